package idempotency

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Renew moves the end of the lease of a record that Acquire gave, or [RecordFrom], and returns the record as it is then.
// It is for work whose length is not known when it begins, and works as long as no other call has taken over, even if
// the lease has ended. The end may also come sooner, and counts in whole milliseconds; see [Config.Renew] for leases that
// renew themselves.
//
// Errors: [OwnershipLostError] if the record is completed, has gone, or is another call's; [StoreError], after which the
// lease may or may not be renewed, and which wraps [errors.ErrUnsupported] if the store is no [Renewer].
func (m *Manager) Renew(ctx context.Context, r Record, until time.Time) (Record, error) {
	if m.disabled {
		return r, nil
	}
	renewed := r.lockedUntil(until)
	err := m.renew(ctx, renewed)
	if err != nil {
		m.emit(ctx, Event{Kind: EventNotRenewed, ID: r.ID, Err: err})
		return r, err
	}
	if own := runOf(ctx); own != nil {
		own.renewed(renewed)
	}
	m.emit(ctx, Event{Kind: EventRenewed, ID: r.ID})
	return renewed, nil
}

func (m *Manager) renew(ctx context.Context, r Record) error {
	store, ok := m.store.(Renewer)
	switch {
	case !ok:
		return &StoreError{Operation: "renew", ID: r.ID, Err: fmt.Errorf("a %T is no Renewer: %w", m.store, errors.ErrUnsupported)}
	case r.LeaseEnd.IsZero():
		return &StoreError{Operation: "renew", ID: r.ID, Err: errors.New("until is the zero time: a lease that is renewed has an end")}
	}
	switch err := store.Renew(ctx, r); {
	case errors.Is(err, ErrOwnershipLost):
		return &OwnershipLostError{ID: r.ID}
	case err != nil:
		return &StoreError{Operation: "renew", ID: r.ID, Err: err}
	}
	return nil
}

// keepLease renews the lease of a run until stop is called, if the configuration asks for it. The context that it returns
// ends when another call has taken over.
func (m *Manager) keepLease(ctx context.Context, r *run) (running context.Context, stop func()) {
	if !m.config.Renew || m.disabled {
		return ctx, func() {}
	}
	running, lost := context.WithCancelCause(ctx)
	renewing, end := context.WithCancel(context.WithoutCancel(ctx)) // a function may go on when its context is over
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		every := m.config.Lease / RenewalsPerLease
		for m.config.Clock.Sleep(renewing, every) == nil {
			// A request that hangs gives way to the next one.
			attempt, cancel := context.WithTimeout(renewing, every)
			_, err := m.Renew(attempt, r.current(), m.config.Clock.Now().Add(m.config.Lease))
			cancel()
			if errors.Is(err, ErrOwnershipLost) {
				lost(err)
				return
			}
		}
	}()
	return running, func() {
		end()
		<-ended
		lost(nil)
	}
}
