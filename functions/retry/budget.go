package retry

import "time"

// A Kind is a budget that an attempt is charged to.
type Kind string

const (
	RateLimit      Kind = "rate-limit"
	ServerError    Kind = "server-error"
	NetworkFailure Kind = "network-failure"
)

// A Budget says how many attempts may end in one kind of failure, and how the waits between them grow. The n-th wait,
// counted from zero, is drawn from a window of min(Max, Base*2^n), where n counts the failures of this kind alone.
type Budget struct {
	// Attempts is how many attempts may end in this kind of failure before the request fails. 1 means that it is never
	// repeated; zero means the default.
	Attempts int

	// Base is the width of the first window. Zero means the default; for no delay at all give both Base and Max as one
	// nanosecond.
	Base time.Duration

	// Max is the width that the windows grow to.
	Max time.Duration

	// Jitter is how the delay is drawn from the window.
	Jitter Jitter
}

func (b Budget) withDefaults(attempts int) Budget {
	if b.Attempts == 0 {
		b.Attempts = attempts
	}
	if b.Base == 0 {
		b.Base = DefaultBase
	}
	if b.Max == 0 {
		b.Max = DefaultMax
	}
	if b.Jitter == "" {
		b.Jitter = DefaultJitter
	}
	return b
}

// budget returns the budget of a kind.
func (p Policy) budget(kind Kind) Budget {
	switch kind {
	case RateLimit:
		return p.RateLimits
	case ServerError:
		return p.ServerErrors
	default:
		return p.NetworkFailures
	}
}

// budgets lists the policy's budgets, with the names of their fields.
func (p Policy) budgets() []namedBudget {
	return []namedBudget{
		{RateLimit, "RateLimits", p.RateLimits},
		{ServerError, "ServerErrors", p.ServerErrors},
		{NetworkFailure, "NetworkFailures", p.NetworkFailures},
	}
}

type namedBudget struct {
	kind  Kind
	field string
	Budget
}
