package retry

import (
	"maps"
	"slices"
	"time"
)

// The defaults of a policy.
const (
	// DefaultRateLimitAttempts is how many attempts may end in a rate limit. It is larger than the others, because a
	// limit says when it ends, and does end.
	DefaultRateLimitAttempts = 6

	// DefaultServerErrorAttempts is how many attempts may end in a server error.
	DefaultServerErrorAttempts = 3

	// DefaultNetworkFailureAttempts is how many attempts may end without a complete answer.
	DefaultNetworkFailureAttempts = 3

	// DefaultBase is the width of the first backoff window.
	DefaultBase = 1 * time.Second

	// DefaultMax is the width that a backoff window grows to.
	DefaultMax = 30 * time.Second

	// DefaultJitter is how a delay is drawn from its window.
	DefaultJitter = FullJitter

	// DefaultScope is what a rate limit is taken to be counted by.
	DefaultScope = Inferred

	// DefaultRetryAfterMax is the longest wait that an upstream can ask for and get.
	DefaultRetryAfterMax = 15 * time.Minute

	// DefaultAttemptTimeout is how long one attempt may take.
	DefaultAttemptTimeout = 10 * time.Second

	// DefaultDeadline is how long a caller who does not say otherwise waits for the final answer.
	DefaultDeadline = 60 * time.Second

	// DefaultMaxDeadline is the longest that a caller can ask to wait: what the longest synchronous engine can hold, five
	// minutes less ten seconds for what is not an attempt.
	DefaultMaxDeadline = 290 * time.Second
)

// Limits of what a policy can say.
const (
	// MaxAttempts is the largest number of attempts of one budget. The list of attempts travels with the request, so it
	// must not grow without limit.
	MaxAttempts = 100

	// MinimumAttemptTime is the least time that an attempt is begun with. With less left before the deadline, not even
	// a cold start, a TLS handshake and a quick answer fit, and the upstream would work for nobody. A shorter
	// AttemptTimeout takes its place.
	MinimumAttemptTime = 500 * time.Millisecond
)

// A Policy says which answers are final, which are asked for again, how often, and when. Its zero value is the same as
// [Default]: a field that is zero means its default. A Policy is a value; nothing in this package changes one.
type Policy struct {
	// RateLimits is the budget for 429, for 403 with an exhausted quota or a Retry-After, and for every status that
	// Statuses calls a rate limit. Default: 6 attempts, base 1 s, max 30 s, full jitter.
	RateLimits Budget

	// ServerErrors is the budget for the other statuses that are asked for again. Default: 3 attempts, base 1 s,
	// max 30 s, full jitter.
	ServerErrors Budget

	// NetworkFailures is the budget for attempts without a complete answer. Default: 3 attempts, base 1 s, max 30 s,
	// full jitter.
	NetworkFailures Budget

	// RetryAfterMax is the longest wait that the upstream can ask for and get. If it asks for more, nobody waits: an
	// attempt before that moment would only be refused again, so the request ends at once, and the caller is told when to
	// come again. Default: 15 minutes.
	RetryAfterMax time.Duration

	// Scope is what the upstream counts its rate limit by. Default: Inferred.
	Scope Scope

	// Statuses rules single statuses differently from the defaults, which stay in force for all others: 429 is a rate
	// limit; 408, 421, 425 and every status from 500 on, but for 501, 505, 508, 510 and 511, are server errors; everything
	// else is final, except for errors that say when to come again. Final takes a status out, whatever its answers say. A
	// rule that repeats what is a server error or a rate limit by default changes nothing. Where a rule differs from the
	// default, Retry-After decides only when the request is repeated, and the upstream's own advice (Stripe-Should-Retry
	// and the like) does not count.
	Statuses map[int]Verdict

	// RepeatableMethods are the methods, in upper case, whose requests may be sent again although the upstream may have
	// acted on them. Nil means GET, HEAD, OPTIONS, TRACE, PROPFIND, QUERY, REPORT, SEARCH, PUT and DELETE: the methods
	// that are [Safe], and the other idempotent ones of RFC 9110 section 9.2.2. An empty slice that is not nil means none.
	// Requests with an Idempotency-Key may always be repeated.
	RepeatableMethods []string

	// Signals are the upstream's own ways to say what HTTP has a status or a field for: rules that are tried first to last,
	// before the built-in reading of an answer. Default: none.
	Signals []Rule

	// Routes are the parts of the upstream's API that have a policy which differs. The first one that a request's method and
	// path match counts. Default: none.
	Routes []Route

	// AttemptTimeout is how long one attempt may take, from the connection to the last byte of the answer. An attempt
	// gets less if less is left before the deadline. Default: 10 s.
	AttemptTimeout time.Duration

	// Deadline is how long a caller who does not say otherwise waits for the final answer. Default: 60 s.
	Deadline time.Duration

	// MaxDeadline is the longest wait that a caller gets by Prefer: wait (RFC 7240 section 4.3). Default: 4 minutes and
	// 50 seconds.
	MaxDeadline time.Duration
}

// Default returns the policy that is used where nothing else is said, with every field filled in.
func Default() Policy { return Policy{}.WithDefaults() }

// WithDefaults returns the policy with its zero fields filled in, but for those of its routes, whose zero fields mean what the
// policy itself says. The result shares no memory with p.
func (p Policy) WithDefaults() Policy {
	p = p.filled()
	statuses := make(map[int]Verdict, len(p.Statuses))
	maps.Copy(statuses, p.Statuses)
	p.Statuses = statuses
	p.RepeatableMethods = append([]string{}, p.RepeatableMethods...)
	p.Signals = cloneRules(p.Signals)
	p.Routes = slices.Clone(p.Routes)
	for i := range p.Routes {
		r := &p.Routes[i]
		r.Methods = slices.Clone(r.Methods)
		r.Policy.Statuses = maps.Clone(r.Policy.Statuses)
		r.Policy.RepeatableMethods = slices.Clone(r.Policy.RepeatableMethods)
		r.Policy.Signals = cloneRules(r.Policy.Signals)
	}
	return p
}

func cloneRules(rules []Rule) []Rule {
	rules = slices.Clone(rules)
	for i := range rules {
		rules[i].Statuses = slices.Clone(rules[i].Statuses)
		rules[i].Methods = slices.Clone(rules[i].Methods)
	}
	return rules
}

// filled is WithDefaults for whoever only reads the result: it may share memory with p.
func (p Policy) filled() Policy {
	p.RateLimits = p.RateLimits.withDefaults(DefaultRateLimitAttempts)
	p.ServerErrors = p.ServerErrors.withDefaults(DefaultServerErrorAttempts)
	p.NetworkFailures = p.NetworkFailures.withDefaults(DefaultNetworkFailureAttempts)
	p.RetryAfterMax = either(p.RetryAfterMax, DefaultRetryAfterMax)
	p.Scope = either(p.Scope, DefaultScope)
	if p.RepeatableMethods == nil {
		p.RepeatableMethods = repeatableMethods
	}
	p.AttemptTimeout = either(p.AttemptTimeout, DefaultAttemptTimeout)
	p.Deadline = either(p.Deadline, DefaultDeadline)
	p.MaxDeadline = either(p.MaxDeadline, DefaultMaxDeadline)
	return p
}
