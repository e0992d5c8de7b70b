package console

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
)

// MaxRecords is how many idempotency records are shown: those that live longest.
const MaxRecords = 200

// A RecordState says what a record does with the next request of its key.
type RecordState string

const (
	// RecordInProgress means that a request with the key is being carried out; another one waits for it.
	RecordInProgress RecordState = "in progress"

	// RecordCompleted means that the answer is there, and is replayed.
	RecordCompleted RecordState = "completed"

	// RecordReleased means that a request with the key failed or was lost; the key is free.
	RecordReleased RecordState = "released"

	// RecordExpired means that the record's life is over; the key is free.
	RecordExpired RecordState = "expired"
)

// A Record is what is shown of an idempotency record.
type Record struct {
	ID    string      `json:"id"`
	State RecordState `json:"state"`

	// LeaseEnd is until when a record in progress is locked. Zero if it is not.
	LeaseEnd time.Time `json:"leaseEnd,omitzero"`

	// Expiration is until when the record lives.
	Expiration time.Time `json:"expiration"`

	// HasResult says that the record holds an answer.
	HasResult bool `json:"hasResult"`
}

// item is what is read of an item in the format of Powertools for AWS Lambda. Numbers keep their digits.
type item struct {
	ID         string      `json:"id"`
	Status     string      `json:"status"`
	LeaseEnd   json.Number `json:"in_progress_expiration"`
	Expiration json.Number `json:"expiration"`
	Data       string      `json:"data"`
}

// The statuses that are stored.
const (
	storedInProgress = "INPROGRESS"
	storedCompleted  = "COMPLETED"
)

// newRecord reads an item; ok is false if it is no idempotency record. The times of the record's end still belong to its
// life.
func newRecord(text json.RawMessage, now time.Time) (record Record, ok bool) {
	var i item
	if json.Unmarshal(text, &i) != nil || (i.Status != storedInProgress && i.Status != storedCompleted) {
		return Record{}, false
	}
	expiration, err := strconv.ParseInt(i.Expiration.String(), 10, 64)
	if err != nil {
		return Record{}, false
	}
	record = Record{ID: i.ID, State: RecordCompleted, Expiration: time.Unix(expiration, 0).UTC(), HasResult: i.Data != ""}
	lease, err := strconv.ParseInt(i.LeaseEnd.String(), 10, 64)
	expired := expiration < now.Unix()
	switch {
	case i.Status == storedCompleted && expired:
		record.State = RecordExpired
	case i.Status == storedCompleted:
	case err != nil && expired: // without a lease it is locked for all its life
		record.State = RecordExpired
	case err != nil:
		record.State = RecordInProgress
	case lease < now.UnixMilli():
		record.State = RecordReleased
	default:
		record.State, record.LeaseEnd = RecordInProgress, time.UnixMilli(lease).UTC()
	}
	return record, true
}

// records lists the idempotency records of all tables, those that live longest first.
func records(tables *dynamodb.Store, now time.Time) ([]Record, error) {
	list := []Record{}
	if tables == nil {
		return list, nil
	}
	for _, name := range tables.TableNames() {
		items, err := tables.Items(name)
		if err != nil {
			return nil, err
		}
		for _, text := range items {
			if record, ok := newRecord(text, now); ok {
				list = append(list, record)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Record) int { return b.Expiration.Compare(a.Expiration) })
	return list[:min(len(list), MaxRecords)], nil
}

func (c *Console) getRecords(rw http.ResponseWriter, _ *http.Request) {
	_, tables := c.watched()
	list, err := records(tables, c.config.Now())
	if err != nil {
		writeProblem(rw, http.StatusInternalServerError, err.Error())
		return
	}
	writeJSON(rw, http.StatusOK, map[string]any{"records": list})
}
