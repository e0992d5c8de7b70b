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
