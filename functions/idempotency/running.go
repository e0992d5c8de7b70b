package idempotency

import (
	"context"
	"sync"
)

// A run is that of a function, with the record that stands for it. A nil run is one without.
type run struct {
	mu     sync.Mutex
	record Record
}

func (r *run) current() Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.record
}

// renewed takes note of a new lease, if the record is the run's own.
func (r *run) renewed(record Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.record.ID == record.ID && r.record.Owner == record.Owner {
		r.record.LeaseEnd, r.record.Expiration = record.LeaseEnd, record.Expiration
	}
}

type runKey struct{}

func withRun(ctx context.Context, r *run) context.Context { return context.WithValue(ctx, runKey{}, r) }

func runOf(ctx context.Context) *run {
	r, _ := ctx.Value(runKey{}).(*run)
	return r
}

// RecordFrom is the record of the run that a context belongs to: of the function that [Do], [DoClaim] or [Handler] has
// called with it, and of the innermost if they are nested. It says false in a function that runs unprotected, and
// outside.
//
// Pass its ID on to whatever does the work, so that it can refuse to do it twice. If TakenOver is set, a run before this
// one has died, and may have done the work: look before you do it again. LeaseEnd is until when no other call takes over,
// after renewals too; for more time, see [Manager.Renew]. Owner is for whoever completes or releases the record in the
// function's place; what has been completed or released there reaches the caller of Do as an [OwnershipLostError], so
// have [Config.Policy] say [HoldKey].
func RecordFrom(ctx context.Context) (Record, bool) {
	r := runOf(ctx)
	if r == nil {
		return Record{}, false
	}
	return r.current(), true
}
