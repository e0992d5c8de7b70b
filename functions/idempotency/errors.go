package idempotency

import (
	"errors"
	"fmt"
	"time"
)

// For errors.Is. Each of the errors below wraps one of them and says more.
var (
	// ErrInProgress: another call with the same key is running. Wrapped by [InProgressError].
	ErrInProgress = errors.New("a call with the same idempotency key is in progress")

	// ErrKeyMissing: the payload has no key, and one is required. Wrapped by [KeyMissingError].
	ErrKeyMissing = errors.New("idempotency key missing")

	// ErrKeyMalformed: the payload is not what the expressions need. Wrapped by [KeyMalformedError].
	ErrKeyMalformed = errors.New("idempotency key malformed")

	// ErrPayloadMismatch: the key was used before, with another payload. Wrapped by [PayloadMismatchError].
	ErrPayloadMismatch = errors.New("idempotency key used before with another payload")

	// ErrInconsistentState: the record changed each time it was looked at. Wrapped by [InconsistentStateError].
	ErrInconsistentState = errors.New("idempotency record in an inconsistent state")

	// ErrOwnershipLost: the run took longer than its lease, and another call has taken over the key. Wrapped by
	// [OwnershipLostError], and returned by stores.
	ErrOwnershipLost = errors.New("idempotency record has another owner")

	// ErrResultNotStored: the run succeeded, but its result is not in the record. Wrapped by [ResultNotStoredError].
	ErrResultNotStored = errors.New("result of an idempotent call not stored")

	// ErrRecordUnreadable: there is a record, and it is not of a form that is known. Wrapped by [UnreadableRecordError],
	// which stores return.
	ErrRecordUnreadable = errors.New("idempotency record cannot be read")

	// ErrStoreFailed: the store could not be asked. Wrapped by [StoreError].
	ErrStoreFailed = errors.New("idempotency store failed")

	// ErrTooLarge is returned by stores for a result that does not fit into a record, by its size or its form.
	ErrTooLarge = errors.New("result does not fit into an idempotency record")
)

// An InProgressError says that another call with the same key is running. Nothing was run.
type InProgressError struct {
	// Record is the other call's. Its LeaseEnd says until when the key is locked at most; zero if that is not known.
	Record Record

	// Err says why waiting for the other call ended before its time, such as context.Canceled. Nil otherwise.
	Err error
}

func (e *InProgressError) Error() string {
	s := fmt.Sprintf("%v (%s)", ErrInProgress, e.Record.ID)
	if !e.Record.LeaseEnd.IsZero() {
		s += ", locked until " + e.Record.LeaseEnd.UTC().Format(time.RFC3339Nano) + " at the latest"
	}
	if e.Err != nil {
		s += ": stopped waiting for it: " + e.Err.Error()
	}
	return s
}

// Unwrap returns ErrInProgress, and Err if there is one.
func (e *InProgressError) Unwrap() []error { return wrapped(ErrInProgress, e.Err) }

// A KeyMissingError says that the expression selects nothing in the payload. Nothing was run.
type KeyMissingError struct{ Expression string }

func (e *KeyMissingError) Error() string {
	return fmt.Sprintf("%v: %s selects nothing in the payload", ErrKeyMissing, named(e.Expression))
}

// Unwrap returns ErrKeyMissing.
func (e *KeyMissingError) Unwrap() error { return ErrKeyMissing }

// A KeyMalformedError says why the expression cannot be evaluated on the payload, such as that the body is not JSON.
// The fault is the caller's. Nothing was run.
type KeyMalformedError struct {
	Expression string
	Err        error
}

func (e *KeyMalformedError) Error() string {
	return fmt.Sprintf("%v: %s: %v", ErrKeyMalformed, named(e.Expression), e.Err)
}

// Unwrap returns ErrKeyMalformed and Err.
func (e *KeyMalformedError) Unwrap() []error { return wrapped(ErrKeyMalformed, e.Err) }

func named(expression string) string { return "expression `" + expression + "`" }

// A PayloadMismatchError says that the key was used before with a payload of another fingerprint. Nothing was run.
type PayloadMismatchError struct {
	// Record is that of the earlier call.
	Record Record

	// Fingerprint is that of the payload at hand.
	Fingerprint string
}

func (e *PayloadMismatchError) Error() string {
	return fmt.Sprintf("%v (%s): fingerprint %s, recorded %s", ErrPayloadMismatch, e.Record.ID, e.Fingerprint, e.Record.Fingerprint)
}

// Unwrap returns ErrPayloadMismatch.
func (e *PayloadMismatchError) Unwrap() error { return ErrPayloadMismatch }

// An InconsistentStateError says that a record was in the way each time one was to be written, and was gone or dead
// each time it was looked at. Nothing was run.
type InconsistentStateError struct {
	ID       string
	Attempts int
}

func (e *InconsistentStateError) Error() string {
	return fmt.Sprintf("%v (%s): it was in the way %d times, and gone or out of date when looked at", ErrInconsistentState, e.ID, e.Attempts)
}

// Unwrap returns ErrInconsistentState.
func (e *InconsistentStateError) Unwrap() error { return ErrInconsistentState }

// An OwnershipLostError says that a run went on after its lease had ended, and that another call has taken over the
// key. The record is the other's and was left alone. A lease that is longer than the longest run prevents this: see
// [Config.Lease].
type OwnershipLostError struct {
	ID string

	// Result is what the run returned. Nil if it failed.
	Result any
}

func (e *OwnershipLostError) Error() string {
	return fmt.Sprintf("%v (%s): the run took longer than its lease, and another call took over", ErrOwnershipLost, e.ID)
}

// Unwrap returns ErrOwnershipLost.
func (e *OwnershipLostError) Unwrap() error { return ErrOwnershipLost }

// A ResultNotStoredError says that a run succeeded and its result could not be stored. The key is not free again.
//
// If the result could not be encoded or was too large, the record is completed without it, and later calls get this
// error too, with no Result: what was done is not done again. If the store failed, the record stays in progress until
// its lease ends.
type ResultNotStoredError struct {
	ID string

	// Result is what the run returned. Nil for a later call, which ran nothing.
	Result any

	// Err says why. Nil for a later call.
	Err error
}

func (e *ResultNotStoredError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%v (%s): an earlier call succeeded, and its result was not kept", ErrResultNotStored, e.ID)
	}
	return fmt.Sprintf("%v (%s): %v", ErrResultNotStored, e.ID, e.Err)
}

// Unwrap returns ErrResultNotStored, and Err if there is one.
func (e *ResultNotStoredError) Unwrap() []error { return wrapped(ErrResultNotStored, e.Err) }

// A StoreError says that the store could not be asked. If Operation is "insert" or "get", nothing was run; if it is
// "release", the run failed, and its own error is joined with this one.
type StoreError struct {
	// Operation is insert, get, complete, release, renew or forget.
	Operation string
	ID        string
	Err       error
}

func (e *StoreError) Error() string {
	return fmt.Sprintf("%v to %s %s: %v", ErrStoreFailed, e.Operation, e.ID, e.Err)
}

// Unwrap returns ErrStoreFailed and Err.
func (e *StoreError) Unwrap() []error { return wrapped(ErrStoreFailed, e.Err) }

// A StoredFailureError is the error of an earlier run, which [Config.Policy] had stored. Nothing was run. Of the first
// error only its text is kept.
type StoredFailureError struct {
	ID      string
	Message string
}

func (e *StoredFailureError) Error() string { return e.Message }

// An UnreadableResultError says that a stored result is not what the function returns now, as after a change of its
// type. Nothing was run.
type UnreadableResultError struct {
	Record Record
	Err    error
}

func (e *UnreadableResultError) Error() string {
	return fmt.Sprintf("stored result of an idempotent call (%s) cannot be read: %v", e.Record.ID, e.Err)
}

// Unwrap returns Err.
func (e *UnreadableResultError) Unwrap() error { return e.Err }

// An UnreadableRecordError says that there is a record which is not of a form that is known, such as one with another
// status. Whether the work was done cannot be told, so nothing was run, and later calls get the same error until the
// record expires. Look at the record, and delete it if the work may be done again.
type UnreadableRecordError struct {
	ID string

	// Err says what is wrong with the record, and where it is.
	Err error
}

func (e *UnreadableRecordError) Error() string {
	return fmt.Sprintf("%v (%s): %v", ErrRecordUnreadable, e.ID, e.Err)
}

// Unwrap returns ErrRecordUnreadable and Err.
func (e *UnreadableRecordError) Unwrap() []error { return wrapped(ErrRecordUnreadable, e.Err) }

func wrapped(sentinel, err error) []error {
	if err == nil {
		return []error{sentinel}
	}
	return []error{sentinel, err}
}
