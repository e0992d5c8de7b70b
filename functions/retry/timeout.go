package retry

import (
	"slices"
	"time"
)

// Timeouts says how long the attempt that begins now may take: until it has a connection, and in all. history holds the
// attempts before it.
//
// AttemptTimeout is for an attempt that another one can follow. If it is certain that none may, whatever comes of this
// one, there is nothing to save time for, and the attempt gets all that is left of the deadline: the last one of the
// budget or of those that the caller allows, and one with so little time behind it that no other would fit. A request that
// is not safe to repeat may be repeated until it has been sent, so that only its connection has to come about within
// AttemptTimeout.
func (p Policy) Timeouts(req Request, history []Attempt, now time.Time) (connect, whole time.Duration) {
	p = p.WithDefaults()
	if req.Deadline.IsZero() {
		return p.AttemptTimeout, p.AttemptTimeout
	}
	left := req.Deadline.Sub(now)
	n := 1
	for _, a := range history {
		if a.Kind == NetworkFailure {
			n++
		}
	}
	switch {
	case n >= p.NetworkFailures.Attempts,
		req.MaxAttempts > 0 && len(history)+1 >= req.MaxAttempts,
		left < p.AttemptTimeout+min(MinimumAttemptTime, p.AttemptTimeout):
		return left, left
	case !p.repeatable(req):
		return p.AttemptTimeout, left
	}
	return p.AttemptTimeout, p.AttemptTimeout
}

// repeatable says whether a request may be sent again although the upstream may have acted on it.
func (p Policy) repeatable(req Request) bool {
	return req.IdempotencyKey || slices.Contains(p.RepeatableMethods, req.Method)
}
