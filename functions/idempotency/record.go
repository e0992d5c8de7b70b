package idempotency

import (
	"encoding/json"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/recordformat"
)

// A Status says how far the call behind a record has come.
type Status string

// These are stored. Whether a record has expired is worked out when it is read.
const (
	InProgress Status = recordformat.InProgress
	Completed  Status = recordformat.Completed
)

// A Record is what is kept of the calls with one key. In DynamoDB it is an item as Powertools for AWS Lambda (Python)
// writes it, with the attribute `owner` added; the attribute's name stands beside each field. Package recordformat has the
// names as constants.
type Record struct {
	// ID is the partition key (`id`): prefix, number sign, and hash of the key.
	ID string

	// Status is INPROGRESS or COMPLETED (`status`).
	Status Status

	// Owner is a random token of the acquisition that wrote the record (`owner`). Only who knows it completes or
	// releases the record. Empty in records that another library wrote.
	Owner string

	// LeaseEnd is until when a record in progress is locked, to the millisecond (`in_progress_expiration`). Zero if
	// nobody knows how long the call may take: the record is then locked until Expiration.
	LeaseEnd time.Time

	// Expiration is until when a completed record is replayed, in whole seconds (`expiration`, the table's TTL
	// attribute).
	Expiration time.Time

	// Data is the result as JSON text (`data`). Nil while in progress, and in a completed record whose result could not
	// be stored.
	Data json.RawMessage

	// Reference is what the claim that wrote the record said of where more is known of its call (`reference`). Empty if it
	// said nothing.
	Reference string

	// Fingerprint is the hash of the part of the payload that must be the same in all calls with one key
	// (`validation`). Empty if payloads are not compared.
	Fingerprint string

	// TakenOver says of a record that Acquire gave that it took the place of one whose run has neither completed nor
	// released it, and of which nobody knows what it has done. It is not stored. It is false if the answer of the store to
	// the request that took over was lost, and the request was repeated.
	TakenOver bool
}

// Live says whether the record bars another run at the time now: a completed one until it expires, one in progress
// until its lease ends, or until it expires if it has no lease. A lease that has not ended counts, even if the record
// has expired. At the very moment of its end a record still counts.
//
// Lease ends are compared in milliseconds and expirations in seconds, both rounded down, as in the table.
func (r Record) Live(now time.Time) bool {
	if r.Status == InProgress && !r.LeaseEnd.IsZero() {
		return r.LeaseEnd.UnixMilli() >= now.UnixMilli()
	}
	return r.Expiration.Unix() >= now.Unix()
}

// Left is for how long a completed record is still replayed at the time now, in whole seconds as they are in the table,
// and not less than 0.
func (r Record) Left(now time.Time) time.Duration {
	return max(time.Duration(r.Expiration.Unix()-now.Unix())*time.Second, 0)
}

// lockedUntil is the record with this end of its lease. The table deletes what has expired, and must not delete a lease
// that has not ended.
func (r Record) lockedUntil(end time.Time) Record {
	r.LeaseEnd = end.Truncate(time.Millisecond)
	if end := r.LeaseEnd.Truncate(time.Second).Add(time.Second); end.After(r.Expiration) {
		r.Expiration = end
	}
	return r
}

// diedInProgress says of a record that was replaced whether its run was neither completed nor released. A lease that
// ends at the time 0 is how a state machine releases a record that it keeps.
func (r Record) diedInProgress() bool {
	return r.Status == InProgress && (r.LeaseEnd.IsZero() || r.LeaseEnd.UnixMilli() != 0)
}
