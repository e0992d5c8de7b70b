package retry

import "time"

// An Outcome is what happens to a request after an attempt. Together with the delay it is all that an engine which makes
// the attempts has to look at.
type Outcome string

const (
	// Succeeded means that the upstream gave a final answer, whatever its status.
	Succeeded Outcome = "succeeded"

	// Failed means that attempts or time ran out without a final answer.
	Failed Outcome = "failed"

	// Again means that the next proxy is to make another attempt.
	Again Outcome = "retry"
)

// A Reason says why no final answer was reached.
type Reason string

const (
	// AttemptsExhausted means that the policy's attempts, or the caller's, were used up.
	AttemptsExhausted Reason = "AttemptsExhausted"

	// DeadlineExceeded means that no further attempt could have ended in the time that is granted: before the deadline,
	// or within the policy's RetryAfterMax.
	DeadlineExceeded Reason = "DeadlineExceeded"

	// UnsafeToRepeat means that the request may have been processed and must not be sent again.
	UnsafeToRepeat Reason = "UnsafeToRepeat"

	// NotRetryable means that another attempt would have met the same failure.
	NotRetryable Reason = "NotRetryable"
)

// A Decision is what a policy makes of an attempt.
type Decision struct {
	Outcome Outcome

	// Reason is set if the outcome is Failed.
	Reason Reason

	// Kind is the budget that the attempt was charged to; empty if it was a success or a final answer.
	Kind Kind

	// MaybeProcessed says that the upstream may have acted on the request, if the outcome is not Succeeded.
	MaybeProcessed bool

	// Delay is how long to wait before the next attempt, if the outcome is Again. It is never below a floor that the
	// upstream gave.
	Delay time.Duration

	// NotBefore is the moment before which the upstream, in this answer, wants no further request. The zero time if it
	// did not say.
	NotBefore time.Time

	// Floor is how long the next attempt has to wait for what the upstream said, in this answer and before, if the outcome is
	// Again: the part of Delay that is not our own.
	Floor time.Duration

	// Scope is what the limit binds, if the kind is RateLimit, as far as the next attempt goes, or would go if there were one:
	// PerAccount, PerAddress, or Inferred, if that is a quick try.
	Scope Scope

	// RetryAfter is how long whoever wants to send the request again should wait, if the outcome is Failed: as long as
	// the upstream said, now or before, or else the backoff before a next attempt. Zero if the upstream said nothing and
	// another attempt would meet the same.
	RetryAfter time.Duration

	// Details says, for people, how long the policy would wait and what to set, if a rate limit has ended the request and no
	// answer said when it ends. Empty otherwise. [Result.Attempt] makes it the attempt's.
	Details string

	// Recorded is what a rule of the policy says of whether a final answer settles the operation, so that it is recorded
	// under the request's Idempotency-Key. Nil if no rule says.
	Recorded *bool

	// Why says in a few words, for people, what was decided and by which rule.
	Why string
}
