package idempotency

import (
	"context"
	"encoding/json"
	"errors"
)

// Handler wraps a function, such as a Lambda handler, in [Do], with its input as the payload.
func Handler[In, Out any](m *Manager, fn func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (Out, error) {
		return Do(ctx, m, in, func(ctx context.Context) (Out, error) { return fn(ctx, in) })
	}
}

// Do runs fn once for each key. A call whose key has been used returns the recorded result of the first call, decoded
// from JSON, and does not run fn.
//
// The key is taken from the payload before fn runs, so fn may change the payload. What fn returns is recorded with
// encoding/json; what later calls return is therefore what remains of it after a round trip. If fn returns an error or
// panics, the key is free again, and the error or the panic reaches the caller; see [Config.Policy] for other ways.
//
// Beside the errors of [Manager.Key] and [Manager.Acquire], after which nothing has run, there are those that follow a
// run: fn's own, joined with an [OwnershipLostError] or a [StoreError] if the key could not be released; and if fn
// succeeded, [OwnershipLostError] and [ResultNotStoredError], which come with the result, and carry it. A replay can
// fail with [StoredFailureError], [ResultNotStoredError] or [UnreadableResultError].
func Do[Out any](ctx context.Context, m *Manager, payload any, fn func(context.Context) (Out, error)) (Out, error) {
	if m.disabled {
		m.emit(ctx, Event{Kind: EventDisabled})
		return fn(ctx)
	}
	id, fingerprint, err := m.Key(payload)
	if errors.Is(err, ErrKeyMissing) && !m.config.RequireKey {
		m.emit(ctx, Event{Kind: EventUnprotected})
		return fn(ctx)
	}
	if err != nil {
		m.emit(ctx, Event{Kind: EventBadKey, Err: err})
		var none Out
		return none, err
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

	// Record is the one that was replayed, or this call's own as it was acquired.
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
	returned := false
	defer func() {
		if !returned { // fn panicked, or ended its goroutine, and goes on doing so
			_ = m.Release(ctx, a.Record)
		}
	}()
	result.Value, err = fn(ctx)
	returned = true
	return result, finish(ctx, m, a.Record, result.Value, err)
}

// finish does with the record what the policy says, and returns what the caller gets.
func finish(ctx context.Context, m *Manager, r Record, value any, err error) error {
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
			return join(err, m.complete(ctx, r, ending{data: wrapFailure(err), failed: true}))
		}
		data, encodingErr := json.Marshal(value)
		return m.complete(ctx, r, ending{data: data, value: value, err: encodingErr})
	case HoldKey:
		m.emit(ctx, Event{Kind: EventHeld, ID: r.ID})
		return err
	default:
		releaseErr := m.Release(ctx, r)
		if lost := (*OwnershipLostError)(nil); err == nil && errors.As(releaseErr, &lost) {
			lost.Result = value
		}
		return join(err, releaseErr)
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
	if err := json.Unmarshal(data, &value); err != nil {
		return none, unreadable(r, data, err)
	}
	return value, nil
}
