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

// A patience is for how long a call waits for another one: until the end, by the clock, and for no more pauses than are
// left. The clock alone would not do, as it may be set back.
type patience struct {
	end  time.Time
	left time.Duration
}

// newPatience is that of a call that begins at start.
func newPatience(ctx context.Context, start time.Time, atMost time.Duration) *patience {
	end := start.Add(atMost)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-WaitReserve).Before(end) {
		end = deadline.Add(-WaitReserve)
	}
	return &patience{end, end.Sub(start)}
}

// await looks at the record of another call until that is completed, which it returns; until the key is free, when it
// returns nil; or until patience is at its end, when it returns busy, with what it saw last.
func (m *Manager) await(ctx context.Context, busy *InProgressError, p *patience) (*Record, error) {
	for poll := FirstPoll; ; poll = min(2*poll, LastPoll) {
		now := m.config.Clock.Now()
		left := min(p.end.Sub(now), p.left)
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
		p.left -= pause
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
