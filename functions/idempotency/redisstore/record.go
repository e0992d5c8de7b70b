package redisstore

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

// A stored record. The names of the members are those of package recordformat.
type stored struct {
	Status      string          `json:"status"`
	Expiration  *json.Number    `json:"expiration"`
	LeaseEnd    *json.Number    `json:"in_progress_expiration,omitempty"`
	Data        json.RawMessage `json:"data,omitempty"`
	Fingerprint string          `json:"validation,omitempty"`
	Owner       string          `json:"owner,omitempty"`
	Reference   string          `json:"reference,omitempty"`
}

// encode is a record as it is stored.
func encode(r idempotency.Record) (string, error) {
	s := stored{
		Status: string(r.Status), Expiration: number(r.Expiration.Unix()), Fingerprint: r.Fingerprint, Owner: r.Owner, Reference: r.Reference,
	}
	if !r.LeaseEnd.IsZero() {
		s.LeaseEnd = number(r.LeaseEnd.UnixMilli())
	}
	if r.Data != nil {
		text, err := json.Marshal(string(r.Data))
		if err != nil {
			return "", err
		}
		s.Data = text
	}
	document, err := json.Marshal(s)
	return string(document), err
}

// decode reads a record. Data is JSON text in a string, or, as Powertools for TypeScript stores it, the result itself if
// that is no string.
func decode(id, document string) (*idempotency.Record, error) {
	unreadable := func(format string, a ...any) (*idempotency.Record, error) {
		return nil, &idempotency.UnreadableRecordError{ID: id, Err: fmt.Errorf("the value of the key: "+format, a...)}
	}
	var s stored
	if err := json.Unmarshal([]byte(document), &s); err != nil {
		return unreadable("%w", err)
	}
	r := &idempotency.Record{ID: id, Status: idempotency.Status(s.Status), Owner: s.Owner, Fingerprint: s.Fingerprint, Reference: s.Reference}
	if r.Status != idempotency.InProgress && r.Status != idempotency.Completed {
		return unreadable("its status is %q, want %s or %s", s.Status, idempotency.InProgress, idempotency.Completed)
	}
	if s.Expiration == nil {
		return unreadable("it has no expiration")
	}
	expiration, err := s.Expiration.Float64()
	if err != nil {
		return unreadable("its expiration: %w", err)
	}
	r.Expiration = time.Unix(int64(expiration), 0)
	if s.LeaseEnd != nil {
		lease, err := s.LeaseEnd.Float64()
		if err != nil {
			return unreadable("its in_progress_expiration: %w", err)
		}
		r.LeaseEnd = time.UnixMilli(int64(lease))
	}
	if len(s.Data) > 0 && s.Data[0] == '"' {
		var text string
		if err := json.Unmarshal(s.Data, &text); err != nil {
			return unreadable("its data: %w", err)
		}
		s.Data = json.RawMessage(text)
	}
	r.Data = s.Data
	return r, nil
}

func number(n int64) *json.Number {
	token := json.Number(fmt.Sprint(n))
	return &token
}
