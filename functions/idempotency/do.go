package idempotency

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Handler wraps a function, such as a Lambda handler, in [Do], with the event's bytes as the payload. What it returns is
// a function for lambda.Start, which hands it the bytes as they came.
//
// The key and the fingerprint are of the event and not of In: two events that differ only in a member that In lacks have
// two keys, a field more in In changes none, and a function in another language works out the same. In is decoded from
// the same bytes with encoding/json, when the key is known and before it is acquired; if it cannot be, nothing runs and
// the caller gets that error. Options of lambda.Start for decoding have no effect: take a [json.RawMessage] as In to
// decode in a way of your own.
func Handler[In, Out any](m *Manager, fn func(context.Context, In) (Out, error)) func(context.Context, json.RawMessage) (Out, error) {
	return func(ctx context.Context, event json.RawMessage) (Out, error) {
		var in In
		decode := func() error {
			if err := decodeJSON(event, &in); err != nil {
				return fmt.Errorf("idempotency.Handler: decoding the event into %T: %w", in, err)
			}
			return nil
		}
		return do(ctx, m, event, decode, func(ctx context.Context) (Out, error) { return fn(ctx, in) })
	}
}

// Do runs fn once for each key. A call whose key has been used returns the recorded result of the first call, decoded
// from JSON, and does not run fn.
//
// The payload says what the call is about, and the key is taken from it as [Manager.Key] describes: a [json.RawMessage]
// or []byte is a JSON document, such as an event or the body of a message, and counts as it stands. Any other value is
// the caller's own name for the work, such as an id, or a struct that was filled for this purpose. Never pass what an
// event was decoded into: members that the type does not have are not in the key, so that events which differ in one of
// them share a result. [Handler] does it right for the event of an invocation.
//
// The key is taken from the payload before fn runs, so fn may change the payload. What fn returns is recorded with
// encoding/json; what later calls return is therefore what remains of it after a round trip. With an interface in Out a
// number comes back as float64, which holds integers up to 2^53 only: have a type of your own or a [json.Number] there.
// If fn returns an error or panics, the key is free again, and the error or the panic reaches the caller; see
// [Config.Policy] for other ways.
//
// Beside the errors of [Manager.Key] and [Manager.Acquire], after which nothing has run, there are those that follow a
// run: fn's own, joined with an [OwnershipLostError] or a [StoreError] if the key could not be released; and if fn
// succeeded, [OwnershipLostError] and [ResultNotStoredError], which come with the result, and carry it. A replay can
// fail with [StoredFailureError], [ResultNotStoredError] or [UnreadableResultError].
func Do[Out any](ctx context.Context, m *Manager, payload any, fn func(context.Context) (Out, error)) (Out, error) {
	return do(ctx, m, payload, func() error { return nil }, fn)
}

// do calls decode when it has the key and before it asks the store.
func do[Out any](ctx context.Context, m *Manager, payload any, decode func() error, fn func(context.Context) (Out, error)) (Out, error) {
	var none Out
	id, fingerprint, err := "", "", error(nil)
	if !m.disabled {
		id, fingerprint, err = m.Key(payload)
	}
	unprotected := errors.Is(err, ErrKeyMissing) && !m.config.RequireKey
	if err != nil && !unprotected {
		m.emit(ctx, Event{Kind: EventBadKey, Err: err})
		return none, err
	}
	if err := decode(); err != nil {
		m.emit(ctx, Event{Kind: EventBadEvent, ID: id, Err: err})
		return none, err
	}
	if unprotected {
		m.emit(ctx, Event{Kind: EventUnprotected})
		return fn(withRun(ctx, nil))
	}
	if m.disabled {
		m.emit(ctx, Event{Kind: EventDisabled})
		return fn(withRun(ctx, nil))
	}
	result, err := DoClaim(ctx, m, Claim{ID: id, Fingerprint: fingerprint}, fn)
	return result.Value, err
}

// A Result is what [DoClaim] returns.
type Result[Out any] struct {
	// Value is what fn returned, in this call or the first one.
	Value Out

	// Replayed says that Value is from the record, and fn was not run.
	Replayed bool

	// Record is the one that was replayed, or this call's own: as completed, or if it was not, as it was before.
	Record Record
}

// DoClaim is [Do] for callers who work out the record's ID themselves, and want to know whether the result is a replay.
func DoClaim[Out any](ctx context.Context, m *Manager, c Claim, fn func(context.Context) (Out, error)) (Result[Out], error) {
	a, err := m.Acquire(ctx, c)
	if err != nil {
		return Result[Out]{}, err
	}
	result := Result[Out]{Replayed: a.Replay, Record: a.Record}
	if a.Replay {
		result.Value, err = replay[Out](ctx, m, a.Record)
		return result, err
	}
	own := (*run)(nil)
	if !m.disabled {
		own = &run{record: a.Record}
	}
	ctx = withRun(ctx, own)
	running, stop := m.keepLease(ctx, own)
	returned := false
	defer func() {
		if !returned { // fn panicked, or ended its goroutine, and goes on doing so
			stop()
			_ = m.Release(ctx, a.Record)
		}
	}()
	result.Value, err = fn(running)
	returned = true
	stop()
	if own != nil {
		result.Record = own.current()
	}
	result.Record, err = finish(ctx, m, result.Record, result.Value, err)
	return result, err
}

// finish does with the record what the policy says, and returns the record and what the caller gets.
func finish(ctx context.Context, m *Manager, r Record, value any, err error) (Record, error) {
	action := DefaultAction
	if m.config.Policy != nil && !m.disabled {
		action = m.config.Policy(ctx, value, err)
	}
	if action == DefaultAction && err == nil {
		action = StoreResult
	}
	switch action {
	case StoreResult:
		if err != nil {
			r, completeErr := m.complete(ctx, r, ending{data: wrapFailure(err), failed: true})
			return r, join(err, completeErr)
		}
		data, encodingErr := encodeJSON(value)
		return m.complete(ctx, r, ending{data: data, value: value, err: encodingErr})
	case HoldKey:
		m.emit(ctx, Event{Kind: EventHeld, ID: r.ID})
		return r, err
	default:
		releaseErr := m.Release(ctx, r)
		if lost := (*OwnershipLostError)(nil); err == nil && errors.As(releaseErr, &lost) {
			lost.Result = value
		}
		return r, join(err, releaseErr)
	}
}

// join is errors.Join, but leaves the error of a function as it is when nothing else went wrong.
func join(err, other error) error {
	switch {
	case other == nil:
		return err
	case err == nil:
		return other
	default:
		return errors.Join(err, other)
	}
}

// replay turns a record into what fn returned.
func replay[Out any](ctx context.Context, m *Manager, r Record) (Out, error) {
	var value, none Out
	data, err := r.Result()
	if err != nil {
		return none, err
	}
	if m.config.OnReplay != nil {
		if data, err = m.config.OnReplay(ctx, data, r); err != nil {
			return none, err
		}
	}
	if err := decodeJSON(data, &value); err != nil {
		return none, unreadable(r, data, err)
	}
	return value, nil
}
