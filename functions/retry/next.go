package retry

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Next decides what comes after an attempt.
//
// history holds the attempts before this one, oldest first, as [Result.Attempt] made them. result is that of the
// attempt, and result.Received is now. A proxy that was lost, by a crash or a timeout, is a result with a Failure of
// type [ProxyInternalError] that is MaybeProcessed. random returns numbers in [0,1).
//
// The rules, in their order:
//
//  1. The policy is that of the request's route, see [Policy.For]. The first of its rules that the answer matches says how it
//     is judged, how long to wait, and what the limit is by; what it leaves out is judged by the rules that follow here.
//  2. A status is final, a rate limit or a server error, as the policy has it. The answer can override that for errors
//     that the policy does not rule itself. A field such as Stripe-Should-Retry says whether they are final. A 403 is a
//     rate limit if a quota is used up or if it says when to come again, and any other error that says so in a
//     Retry-After is a server error. What is final has Succeeded, whatever the status.
//  3. A 409 to a request with an Idempotency-Key is a server error, too, if an attempt before may have been processed: it
//     says that this attempt is still running, and the answer to come is that attempt's. Without such an attempt a 409
//     is a conflict with somebody else, and as final as any other error.
//  4. What may have been processed is repeated only if the request has an Idempotency-Key or its method is repeatable
//     (RFC 9110 section 9.2.2). A rate limit, 421, 425, a 503 with Retry-After, and a failure before a byte was sent are
//     proof that nothing was done. Without proof the request has Failed with UnsafeToRepeat; the answer, if there is one,
//     still goes back to the caller, but a server error is not an answer that settles the matter.
//  5. A failure that would come again (a certificate, an answer that is too large) has Failed with NotRetryable. A limit for
//     the day, or longer, that is used up and does not say when it is renewed has Failed with DeadlineExceeded; the next
//     midnight of UTC is the earliest moment that it can be.
//  6. Each kind of failure has its own budget. One that is used up, or the caller's own limit, ends in
//     AttemptsExhausted.
//  7. The next attempt waits for the moment that the upstream named, and for the backoff above it. A rate limit by
//     address binds only the proxies that met it.
//  8. If that moment leaves less than [MinimumAttemptTime] before the deadline, or is farther off than the policy's
//     RetryAfterMax, unless the request is Unattended, the request has Failed with DeadlineExceeded, at once. If there is time left, but less than the
//     backoff may take, the delay is drawn from what is left.
func (p Policy) Next(req Request, history []Attempt, result Result, random func() float64) Decision {
	j := p.judge(req, history, result)
	if j.final {
		return Decision{Outcome: Succeeded, Recorded: j.recorded, Why: j.subject + ": " + j.why}
	}

	fail := func(reason Reason, why string) Decision {
		retryAfter, details := j.binding(PerAccount), ""
		if retryAfter <= 0 && !j.lasting {
			shortest, longest, _ := j.delay(j.policy.budget(j.kind), j.count(j.kind), 0)
			retryAfter = max(draw(shortest, longest, random), time.Millisecond)
			if j.kind == RateLimit {
				details = fmt.Sprintf("nothing says when the limit ends; the backoff would be %s; if it is documented, set a wait by a rule in the policy's signals, or rateLimits.base",
					ceil(retryAfter, time.Second))
			}
		}
		return Decision{
			Outcome:        Failed,
			Reason:         reason,
			Kind:           j.kind,
			Scope:          j.binds(),
			MaybeProcessed: !j.proof,
			NotBefore:      j.notBefore,
			RetryAfter:     retryAfter,
			Details:        details,
			Why:            j.subject + ": " + why,
		}
	}

	if !j.proof && !j.policy.repeatable(req) {
		return fail(UnsafeToRepeat, fmt.Sprintf("the %s may have been processed, and has no Idempotency-Key", req.Method))
	}
	if j.lasting {
		return fail(NotRetryable, "another attempt would meet the same")
	}
	if j.daily {
		return fail(DeadlineExceeded, "a quota for the day, or longer, is used up")
	}
	budget := j.policy.budget(j.kind)
	count := j.count(j.kind) + 1
	if count >= budget.Attempts {
		return fail(AttemptsExhausted, fmt.Sprintf("%s %d of %d", j.kind, count, budget.Attempts))
	}
	if n := len(history) + 1; req.MaxAttempts > 0 && n >= req.MaxAttempts {
		return fail(AttemptsExhausted, fmt.Sprintf("attempt %d of %d that the caller allows", n, req.MaxAttempts))
	}

	scope, n := j.scope()
	floor := j.binding(scope)
	if floor > j.policy.RetryAfterMax && !req.Unattended {
		return fail(DeadlineExceeded, fmt.Sprintf("%s asks for %s, more than the %s that is granted",
			j.source(floor), seconds(floor), seconds(j.policy.RetryAfterMax)))
	}
	shortest, longest, why := j.delay(budget, n, floor)
	if !req.Deadline.IsZero() {
		left := req.Deadline.Sub(result.Received)
		latest := left - min(MinimumAttemptTime, j.policy.AttemptTimeout)
		if shortest > latest {
			return fail(DeadlineExceeded, fmt.Sprintf("the next attempt could start in %s, with %s left before the deadline",
				seconds(shortest), seconds(max(0, left))))
		}
		longest = min(longest, latest.Truncate(time.Millisecond))
	}
	delay := draw(shortest, longest, random)
	return Decision{
		Outcome:        Again,
		Kind:           j.kind,
		MaybeProcessed: !j.proof,
		Delay:          delay,
		Floor:          max(0, floor),
		Scope:          j.binds(),
		NotBefore:      j.notBefore,
		Why:            fmt.Sprintf("%s: %s", j.subject, why),
	}
}

// A judgement is what one result amounts to, before anything is decided.
type judgement struct {
	policy  Policy
	req     Request
	history []Attempt
	now     time.Time

	// subject is the status or the error type, for people, and why the rule that made it final.
	subject string
	why     string

	kind    Kind
	final   bool
	proof   bool
	lasting bool

	// daily says that a quota for the day is used up, and recorded whether a final answer is recorded; both by a rule.
	daily    bool
	recorded *bool

	signals   Signals
	notBefore time.Time
}

func (p Policy) judge(req Request, history []Attempt, result Result) judgement {
	j := judgement{policy: p.For(req.Method, req.Path).filled(), req: req, history: history, now: result.Received}
	if result.Failure != nil && result.Status == 0 {
		j.failed(result.Failure)
		return j
	}

	verdict, ruled := j.policy.verdict(result.Status)
	j.subject = strconv.Itoa(result.Status)
	rule, matched := j.policy.rule(req, result)
	if matched {
		j.subject += ", by rule " + rule.Name
		j.recorded = rule.Recorded
		if rule.Verdict != "" {
			verdict, ruled = rule.Verdict, true
		}
		if rule.Scope != "" {
			j.policy.Scope = rule.Scope
		}
	}
	j.signals = ReadSignals(result.Header, result.Received, verdict == Limited)
	if matched {
		rule.applyTo(&j.signals)
	}
	if !ruled && result.Status >= http.StatusBadRequest {
		verdict = j.unruled(result.Status, verdict)
	}
	if j.signals.Doubtful {
		j.signals.Floor = min(j.signals.Floor, j.policy.RetryAfterMax)
	}
	if j.signals.Field != "" {
		j.notBefore = result.Received.Add(j.signals.Floor)
	}
	switch verdict {
	case Limited:
		j.kind, j.proof = RateLimit, true
	case Erroneous:
		j.kind = ServerError
		j.proof = refused(result.Status, j.signals)
	default:
		if result.Failure != nil {
			j.failed(result.Failure)
			break
		}
		j.final = true
		if j.why == "" {
			j.why = "final"
		}
	}
	if (matched && rule.Daily || j.kind == RateLimit && j.signals.Daily && j.signals.Field == "") && !j.final && j.kind != NetworkFailure {
		j.daily = true
		if j.signals.Field == "" {
			j.notBefore = result.Received.Add(untilMidnight(result.Received, 0))
		}
	}
	return j
}

// failed judges an attempt without a complete answer.
func (j *judgement) failed(f *Failure) {
	j.subject = string(f.Type)
	j.kind = NetworkFailure
	j.proof = f.Processed == NotProcessed
	j.lasting = lasting[f.Type]
}

// unruled judges an error that the policy does not rule itself by what the answer says, and by what came before.
func (j *judgement) unruled(status int, verdict Verdict) Verdict {
	s := j.signals
	switch {
	case s.AdviceField != "" && !s.Advice:
		j.why = "final, by " + s.AdviceField
		return Final
	case verdict == Limited, status == http.StatusForbidden && (s.Exhausted || s.RetryAfter):
		return Limited
	case s.AdviceField != "", s.RetryAfter:
		return Erroneous
	case status == http.StatusConflict && j.mayStillRun():
		j.subject += ", perhaps with an attempt of ours that still runs"
		return Erroneous
	}
	return verdict
}

// mayStillRun says whether the request can be in conflict with itself: an earlier attempt may be under way at an upstream
// that knows it by its key.
func (j *judgement) mayStillRun() bool {
	return j.req.IdempotencyKey && slices.ContainsFunc(j.history, func(a Attempt) bool { return a.MaybeProcessed })
}

// count returns how many attempts of the history were charged to a kind.
func (j *judgement) count(kind Kind) int {
	n := 0
	for _, a := range j.history {
		if a.Kind == kind {
			n++
		}
	}
	return n
}

// turns returns the attempts of the history after which it was the turn of the next proxy: those that were charged to a
// budget.
func (j *judgement) turns() []Attempt {
	turns := make([]Attempt, 0, len(j.history))
	for _, a := range j.history {
		if a.Kind != "" {
			turns = append(turns, a)
		}
	}
	return turns
}

// delay returns the bounds of the delay before the next attempt, and says why.
func (j *judgement) delay(budget Budget, n int, floor time.Duration) (shortest, longest time.Duration, why string) {
	switch {
	case n < 0 && floor == 0 && j.limitedBy() == Inferred:
		return 0, 0, "the next proxy makes a quick try at once, to find out whether the limit is by address"
	case n < 0 && floor == 0:
		return 0, 0, "the next proxy at once, as the limit is by address"
	}
	if floor > 0 && j.kind == RateLimit {
		n = min(n, j.waited()) // a quick try in vain is no reason to come later
	}
	first := n <= 0 && j.kind == RateLimit
	shortest, longest = budget.bounds(max(n, 0), j.lastWait(), floor, first)
	shortest, longest = ceil(shortest, time.Millisecond), ceil(longest, time.Millisecond)
	if floor == 0 {
		return shortest, longest, fmt.Sprintf("backoff of up to %s, jitter %s", seconds(longest), budget.Jitter)
	}
	return shortest, longest, fmt.Sprintf("%s asks for %s, and backoff above it up to %s, jitter %s",
		j.source(floor), seconds(floor), seconds(longest), budget.Jitter)
}

// binding returns how long the next attempt has to wait for what the upstream said, in this answer and before. What an
// upstream says with a server error is about itself. What it says with a rate limit is, if the scope is by address,
// about the proxy that met it.
func (j *judgement) binding(scope Scope) time.Duration {
	turns := j.turns()
	next := len(turns) + 1
	binds := func(i int, kind Kind) bool {
		return scope != PerAddress || kind != RateLimit || (next-i)%max(1, j.req.Proxies) == 0
	}
	var wait time.Duration
	if binds(len(turns), j.kind) && !j.notBefore.IsZero() {
		wait = max(wait, j.notBefore.Sub(j.now))
	}
	for i, a := range turns {
		if a.NotBefore > 0 && binds(i, a.Kind) {
			wait = max(wait, time.UnixMilli(a.NotBefore).Sub(j.now))
		}
	}
	return wait
}

// limitedBefore returns how often the proxy that comes next has been limited.
func (j *judgement) limitedBefore() int {
	n, turns := 0, j.turns()
	for i := len(turns) + 1 - j.req.Proxies; i >= 0; i -= j.req.Proxies {
		if turns[i].Kind == RateLimit {
			n++
		}
	}
	return n
}

// waited returns how many rate limits of the history were waited for, other than those that were followed by an attempt at
// once.
func (j *judgement) waited() int {
	n := 0
	for _, a := range j.history {
		if a.Kind == RateLimit && !quickTry(a) {
			n++
		}
	}
	return n
}

// lastWait returns the delay after the last attempt of the same kind.
func (j *judgement) lastWait() time.Duration {
	for _, a := range slices.Backward(j.history) {
		if a.Kind == j.kind {
			return time.Duration(a.Wait) * time.Millisecond
		}
	}
	return 0
}

// source names the field that asked for a wait, if it was in this answer.
func (j *judgement) source(wait time.Duration) string {
	if j.signals.Field != "" && j.signals.Floor >= wait {
		return j.signals.Field
	}
	return "an earlier answer"
}

// seconds prints a duration for people, to the millisecond.
func seconds(d time.Duration) string { return ceil(d, time.Millisecond).String() }
