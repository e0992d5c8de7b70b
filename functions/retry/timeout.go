package retry

import (
	"slices"
	"time"
)

// Timeouts says how long the attempt that begins now may take: until it has a connection, and in all. history holds the
// attempts before it.
//
// AttemptTimeout is there to save time for another attempt. If none could follow an attempt that is cut off then, nothing
// is saved, and it gets all that is left of the deadline: the last attempt of the budget for network failures or of those
// that the caller allows, and one after which the time would not suffice for another. A request that is not safe to repeat
// may be repeated as long as it has not been sent, so only its connection has to come about within AttemptTimeout.
func (p Policy) Timeouts(req Request, history []Attempt, now time.Time) (connect, whole time.Duration) {
	p = p.For(req.Method, req.Path).filled()
	if req.Deadline.IsZero() {
		return p.AttemptTimeout, p.AttemptTimeout
	}
	left := max(0, req.Deadline.Sub(now))
	timeout := func(t ErrorType, processed Processed) time.Duration {
		cutOff := Result{Failure: &Failure{Type: t, Processed: processed}, Received: now.Add(p.AttemptTimeout)}
		// Chance has no say in the outcome, only in the delay.
		if p.Next(req, history, cutOff, func() float64 { return 0 }).Outcome == Again {
			return p.AttemptTimeout
		}
		return left
	}
	return timeout(ConnectionTimeout, NotProcessed), timeout(ConnectionReadTimeout, MaybeProcessed)
}

// repeatable says whether a request may be sent again although the upstream may have acted on it.
func (p Policy) repeatable(req Request) bool {
	return req.IdempotencyKey || slices.Contains(p.RepeatableMethods, req.Method)
}
