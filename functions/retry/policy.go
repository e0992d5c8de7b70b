package retry

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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

// WithDefaults returns the policy with its zero fields filled in. The result shares no memory with p.
func (p Policy) WithDefaults() Policy {
	p.RateLimits = p.RateLimits.withDefaults(DefaultRateLimitAttempts)
	p.ServerErrors = p.ServerErrors.withDefaults(DefaultServerErrorAttempts)
	p.NetworkFailures = p.NetworkFailures.withDefaults(DefaultNetworkFailureAttempts)
	if p.RetryAfterMax == 0 {
		p.RetryAfterMax = DefaultRetryAfterMax
	}
	if p.Scope == "" {
		p.Scope = DefaultScope
	}
	statuses := make(map[int]Verdict, len(p.Statuses))
	maps.Copy(statuses, p.Statuses)
	p.Statuses = statuses
	if p.RepeatableMethods == nil {
		p.RepeatableMethods = repeatableMethods
	}
	p.RepeatableMethods = append([]string{}, p.RepeatableMethods...)
	if p.AttemptTimeout == 0 {
		p.AttemptTimeout = DefaultAttemptTimeout
	}
	if p.Deadline == 0 {
		p.Deadline = DefaultDeadline
	}
	if p.MaxDeadline == 0 {
		p.MaxDeadline = DefaultMaxDeadline
	}
	return p
}

// Validate returns all problems of the policy in one error, or nil. Each names the field, what was given, and what is
// allowed.
func (p Policy) Validate() error {
	p = p.WithDefaults()
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf("retry: "+format, args...)) }

	for _, b := range p.budgets() {
		if b.Attempts < 1 || b.Attempts > MaxAttempts {
			problem("%s.Attempts is %d: give 1 to %d, or 0 for the default", b.field, b.Attempts, MaxAttempts)
		}
		if b.Base < 0 {
			problem("%s.Base is %v: give a positive duration, or 0 for the default", b.field, b.Base)
		}
		if b.Max < 0 {
			problem("%s.Max is %v: give a positive duration, or 0 for the default", b.field, b.Max)
		} else if b.Max < b.Base {
			problem("%s.Max is %v, less than %s.Base, which is %v: raise Max or lower Base", b.field, b.Max, b.field, b.Base)
		}
		if !slices.Contains(jitters, b.Jitter) {
			problem("%s.Jitter is %q: give %s", b.field, b.Jitter, list(jitters))
		}
	}
	if p.RetryAfterMax < 0 {
		problem("RetryAfterMax is %v: give a positive duration, or 0 for the default", p.RetryAfterMax)
	}
	if !slices.Contains(scopes, p.Scope) {
		problem("Scope is %q: give %s", p.Scope, list(scopes))
	}
	for _, status := range slices.Sorted(maps.Keys(p.Statuses)) {
		if status < 200 || status > 599 {
			problem("Statuses has %d: give statuses from 200 to 599", status)
		}
		if !slices.Contains(verdicts, p.Statuses[status]) {
			problem("Statuses[%d] is %q: give %s", status, p.Statuses[status], list(verdicts))
		}
	}
	for _, method := range p.RepeatableMethods {
		if method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
			problem("RepeatableMethods has %q: give names of methods in upper case", method)
		}
	}
	if p.AttemptTimeout < time.Millisecond {
		problem("AttemptTimeout is %v: give 1ms or more, or 0 for the default", p.AttemptTimeout)
	}
	if p.Deadline < time.Millisecond {
		problem("Deadline is %v: give 1ms or more, or 0 for the default", p.Deadline)
	}
	if p.MaxDeadline < time.Millisecond {
		problem("MaxDeadline is %v: give 1ms or more, or 0 for the default", p.MaxDeadline)
	} else if p.Deadline > p.MaxDeadline {
		problem("Deadline is %v, more than MaxDeadline, which is %v: lower Deadline or raise MaxDeadline",
			p.Deadline, p.MaxDeadline)
	}
	return errors.Join(problems...)
}

var (
	scopes   = []Scope{PerAddress, PerAccount, Inferred}
	verdicts = []Verdict{Final, Limited, Erroneous}
)

// list names the allowed values of a string type, for a message.
func list[T ~string](values []T) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = fmt.Sprintf("%q", string(v))
	}
	last := len(quoted) - 1
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}
