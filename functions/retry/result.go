package retry

import (
	"net/http"
	"time"
)

// A Result is the result of one attempt: a status with its header fields, a failure, or both.
type Result struct {
	// Status and Header are what the upstream said, or zero if its header section did not come whole.
	Status int
	Header http.Header

	// Body is the body of the answer, for rules that look at it; see [Policy.ReadsBody]. It may be nil if there are none.
	Body []byte

	// Failure says why there is no complete answer, or is nil. If the header section came before the failure, Status and
	// Header are set too. They hold: a rate limit or a server error whose body was cut off is judged by them, and only
	// what would have been final is a failure.
	Failure *Failure

	// Received is when the answer, or the failure, came.
	Received time.Time
}

// Attempt returns the record of an attempt that brought this result, for the history of the next one. start is when
// the attempt began, or the zero time if that is not known. decision is what was decided on the result.
func (r Result) Attempt(proxy string, start time.Time, decision Decision) Attempt {
	a := Attempt{
		Proxy:          proxy,
		Status:         r.Status,
		MaybeProcessed: decision.MaybeProcessed,
		Kind:           decision.Kind,
		Wait:           ceil(decision.Delay, time.Millisecond).Milliseconds(),
		Details:        decision.Details,
		Why:            decision.Why,
	}
	if !start.IsZero() {
		a.Start = start.UnixMilli()
		a.Duration = r.Received.Sub(start).Milliseconds()
	}
	if r.Failure != nil {
		a.Error, a.Details = r.Failure.Type, r.Failure.Details
	}
	if !decision.NotBefore.IsZero() {
		// Rounded up, since a floor that lost its fraction would let an attempt go out early.
		a.NotBefore = decision.NotBefore.Add(time.Millisecond - time.Nanosecond).UnixMilli()
	}
	return a
}
