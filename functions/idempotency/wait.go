package idempotency

import (
	"context"
	"errors"
	"time"
)

const (
	// FirstPoll and LastPoll are the longest pauses between two looks at the record of another call: the first, and
	// after doubling each time, the last ones. Half of each is random.
	FirstPoll = 50 * time.Millisecond
	LastPoll  = time.Second

	// WaitReserve is how long before the deadline of its context a call stops waiting, so that there is time to say so.
	WaitReserve = 500 * time.Millisecond
)

// waitEnd is until when a call that begins at start waits for another one.
func waitEnd(ctx context.Context, start time.Time, atMost time.Duration) time.Time {
	end := start.Add(atMost)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-WaitReserve).Before(end) {
		end = deadline.Add(-WaitReserve)
	}
	return end
}

// await looks at the record of another call until that is completed, which it returns; until the key is free, when it
// returns nil; or until end, when it returns busy, with what it saw last.
func (m *Manager) await(ctx context.Context, busy *InProgressError, end time.Time) (*Record, error) {
	for poll := FirstPoll; ; poll = min(2*poll, LastPoll) {
		now := m.config.Clock.Now()
		left := end.Sub(now)
		if left <= 0 {
			return nil, busy
		}
		pause := min(poll/2+time.Duration(m.config.Random()*float64(poll/2)), left)
		if lease := busy.Record.LeaseEnd; !lease.IsZero() {
			pause = min(pause, max(lease.Sub(now), 0)+time.Millisecond)
		}
		if err := m.config.Clock.Sleep(ctx, pause); err != nil {
			busy.Err = err
			return nil, busy
		}
		r, err := m.store.Get(ctx, busy.Record.ID)
		if errors.Is(err, ErrRecordUnreadable) {
			return nil, err
		}
		if err != nil {
			return nil, &StoreError{Operation: "get", ID: busy.Record.ID, Err: err}
		}
		if r == nil || !r.Live(m.config.Clock.Now()) {
			return nil, nil
		}
		if r.Status != InProgress {
			return r, nil
		}
		busy.Record = *r
	}
}
