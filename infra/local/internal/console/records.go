package console

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/recordformat"
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

// item is what is read of an item in the format of package recordformat. Numbers keep their digits.
type item struct {
	id         string
	status     string
	leaseEnd   json.Number
	expiration json.Number
	data       string
}

// readItem reads an item; ok is false if an attribute has another type than in a record.
func readItem(text json.RawMessage) (i item, ok bool) {
	var attributes map[string]json.RawMessage
	if json.Unmarshal(text, &attributes) != nil {
		return item{}, false
	}
	for name, field := range map[string]any{
		recordformat.ID:         &i.id,
		recordformat.Status:     &i.status,
		recordformat.LeaseEnd:   &i.leaseEnd,
		recordformat.Expiration: &i.expiration,
		recordformat.Data:       &i.data,
	} {
		if value, found := attributes[name]; found && json.Unmarshal(value, field) != nil {
			return item{}, false
		}
	}
	return i, true
}

// newRecord reads an item; ok is false if it is no idempotency record. The times of the record's end still belong to its
// life.
func newRecord(text json.RawMessage, now time.Time) (record Record, ok bool) {
	i, ok := readItem(text)
	if !ok || (i.status != recordformat.InProgress && i.status != recordformat.Completed) {
		return Record{}, false
	}
	expiration, err := strconv.ParseInt(i.expiration.String(), 10, 64)
	if err != nil {
		return Record{}, false
	}
	record = Record{ID: i.id, State: RecordCompleted, Expiration: time.Unix(expiration, 0).UTC(), HasResult: i.data != ""}
	lease, err := strconv.ParseInt(i.leaseEnd.String(), 10, 64)
	expired := expiration < now.Unix()
	switch {
	case i.status == recordformat.Completed && expired:
		record.State = RecordExpired
	case i.status == recordformat.Completed:
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
	list, err := itemsOf(tables, now, newRecord)
	if err != nil {
		return nil, err
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
