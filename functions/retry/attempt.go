package retry

import "time"

// A Request is what a policy has to know of the request that it judges.
type Request struct {
	// Method is the HTTP method, in upper case.
	Method string

	// IdempotencyKey says that the request carries an Idempotency-Key, which goes upstream unchanged on every
	// attempt and so makes any method safe to repeat.
	IdempotencyKey bool

	// Proxies is the number of proxies that attempts can go out through. With one there is no other address to try.
	Proxies int

	// Deadline is the moment after which nobody waits for an answer any more. The zero time means none.
	Deadline time.Time

	// MaxAttempts is the caller's own limit, below the policy's. Zero means the policy's alone.
	MaxAttempts int
}

// An Attempt is one try at the upstream and what came of it. It travels in the envelope from proxy to proxy, and is
// told to the caller in Proxy-Status and in problem documents.
type Attempt struct {
	// Proxy is the name of the proxy that made the attempt, proxy-2 say.
	Proxy string `json:"proxy"`

	// Start is when the attempt began, in milliseconds since the Unix epoch. Zero if it is not known, because the
	// proxy was lost.
	Start int64 `json:"start,omitempty"`

	// Duration is how long it took, in milliseconds.
	Duration int64 `json:"duration,omitempty"`

	// Status is the upstream's HTTP status, or zero if there was none.
	Status int `json:"status,omitempty"`

	// Error is the RFC 9209 type of the failure, if there was one.
	Error ErrorType `json:"error,omitempty"`

	// Details is a short text for people that says more about the failure. It holds no payload.
	Details string `json:"details,omitempty"`

	// Kind is the budget that the attempt was charged to.
	Kind Kind `json:"kind,omitempty"`

	// Wait is the delay that was decided on after the attempt, in milliseconds.
	Wait int64 `json:"wait,omitempty"`

	// NotBefore is the moment before which the upstream wanted no further request, in milliseconds since the Unix
	// epoch, if it said so. Later decisions respect it.
	NotBefore int64 `json:"notBefore,omitempty"`

	// Why says in a few words what was decided after the attempt, and by which rule.
	Why string `json:"why,omitempty"`
}

// Attempt returns the record of an attempt that brought this result, for the history of the next one. start is when
// the attempt began, or the zero time if that is not known. decision is what was decided on the result.
func (r Result) Attempt(proxy string, start time.Time, decision Decision) Attempt {
	a := Attempt{
		Proxy:  proxy,
		Status: r.Status,
		Kind:   decision.Kind,
		Wait:   ceil(decision.Delay, time.Millisecond).Milliseconds(),
		Why:    decision.Why,
	}
	if !start.IsZero() {
		a.Start = start.UnixMilli()
		a.Duration = r.Received.Sub(start).Milliseconds()
	}
	if r.Failure != nil {
		a.Status, a.Error, a.Details = 0, r.Failure.Type, r.Failure.Details
	}
	if !decision.NotBefore.IsZero() {
		// Rounded up, since a floor that lost its fraction would let an attempt go out early.
		a.NotBefore = decision.NotBefore.Add(time.Millisecond - time.Nanosecond).UnixMilli()
	}
	return a
}
