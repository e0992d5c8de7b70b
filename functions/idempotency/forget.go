package idempotency

import (
	"context"
	"errors"
	"fmt"
)

// Forget removes the record with this ID, which is that of [Manager.Key] or [Record.ID], from the store and from this
// manager's cache, so that the next call with the key runs. That there is no record is no error. Caches of other
// processes keep what they have.
//
// The record of a run in progress whose lease has not ended stays, and Forget returns an [InProgressError] with it: to
// remove it would allow two runs at a time. Whoever knows that this run is dead, or that what [HoldKey] held may be done
// again, passes the error's Record to [Manager.Release]; should the run be alive after all, it gets an
// [OwnershipLostError] when it ends.
//
// Other errors: [StoreError], which wraps [errors.ErrUnsupported] if the store is no [Forgetter].
func (m *Manager) Forget(ctx context.Context, id string) error {
	if m.disabled {
		return nil
	}
	store, ok := m.store.(Forgetter)
	if !ok {
		return &StoreError{Operation: "forget", ID: id, Err: fmt.Errorf("a %T is no Forgetter: %w", m.store, errors.ErrUnsupported)}
	}
	running, err := store.Forget(ctx, id, m.config.Clock.Now())
	if err != nil {
		return &StoreError{Operation: "forget", ID: id, Err: err}
	}
	m.cache.forget(id)
	if running != nil {
		return &InProgressError{Record: *running}
	}
	m.emit(ctx, Event{Kind: EventForgotten, ID: id})
	return nil
}
