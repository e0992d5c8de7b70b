package retry

import "time"

// A Request is what a policy has to know of the request that it judges.
type Request struct {
	// Method is the HTTP method, in upper case.
	Method string

	// Path is the path that is asked for, without the query, as the caller wrote it: what routes and rules go by.
	Path string

	// IdempotencyKey says that the request carries an Idempotency-Key, which goes upstream unchanged on every
	// attempt and so makes any method safe to repeat.
	IdempotencyKey bool

	// Credential says that the request carries a credential which is the same for every proxy, so that a limit is likely to
	// be counted by it, and not by address.
	Credential bool

	// LimitedBy is what is known, from other requests, of what the upstream counts its limit by. Empty if
	// nothing is. It holds where the policy's scope is [Inferred].
	LimitedBy Scope

	// Unattended says that nobody waits for the answer on a connection, so that only the deadline bounds how long is waited
	// for the upstream, and not [Policy.RetryAfterMax].
	Unattended bool

	// Proxies is the number of proxies that attempts can go out through. With one there is no other address to try.
	Proxies int

	// Deadline is the moment after which nobody waits for an answer any more. The zero time means none.
	Deadline time.Time

	// MaxAttempts is the caller's own limit, below the policy's. Zero means the policy's alone.
	MaxAttempts int
}
