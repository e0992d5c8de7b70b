package retry

import "time"

// A Scope is what an upstream counts its rate limit by.
type Scope string

const (
	// PerAddress means by the address that a request comes from: another proxy may be let in, so the next attempt goes
	// out at once, and waits only when every proxy has been limited.
	PerAddress Scope = "per-address"

	// PerAccount means by key, user or account: another address does not help, so the next attempt waits as told.
	PerAccount Scope = "per-account"

	// Inferred means that the policy does not know it. What the answer itself says counts first, then what is known from
	// other requests ([Request.LimitedBy]), and then that most upstreams count by the credential where there is one
	// ([Request.Credential]). If none of them says, the next proxy makes one quick try after the first rate limit, unless
	// that asks for more than [QuickTryMaxWait]; a second rate limit means that the limit is not by address, and from then
	// on attempts wait as told.
	Inferred Scope = "inferred"
)

// QuickTryMaxWait is the longest wait that an upstream can ask for and still get a quick try before it. Who asks for more
// means a quota of the day or a ban, and a call in spite of it may make the ban longer.
const QuickTryMaxWait = 1 * time.Minute

// scope returns what the floors of rate limits bind as far as the next attempt goes, and how often this kind of failure
// came before as far as its backoff goes: -1 if the next proxy has not met it, so that there is nothing to back off from.
func (j *judgement) scope() (Scope, int) {
	n := j.count(j.kind)
	if j.req.Proxies < 2 {
		return PerAccount, n
	}
	switch scope := j.limitedBy(); {
	case scope == PerAddress && j.kind == RateLimit:
		return PerAddress, j.limitedBefore() - 1
	case scope == PerAddress:
		return PerAddress, n
	case scope == Inferred && j.kind == RateLimit && n == 0 && j.signals.Floor <= QuickTryMaxWait:
		return PerAddress, -1
	}
	return PerAccount, n
}

// limitedBy returns what the limit is counted by as far as that is known, or Inferred.
func (j *judgement) limitedBy() Scope {
	switch {
	case j.policy.Scope != Inferred:
		return j.policy.Scope
	case j.signals.Scope != "":
		return j.signals.Scope
	case j.req.LimitedBy != "":
		return j.req.LimitedBy
	case j.req.Credential:
		return PerAccount
	}
	return Inferred
}

// quickTry says whether the attempt after one was made at once, in spite of the rate limit that the one had met.
func quickTry(before Attempt) bool { return before.Kind == RateLimit && before.Wait == 0 }

// Postpone is for a quick try that is about to be made, where it has become known since it was decided on that the limit is
// not by address ([Request.LimitedBy]): it returns how long to wait instead, and the history that says so. history ends with
// the attempt that the quick try follows. The delay is zero if there is nothing to postpone; and also if the wait is more than
// would be granted, since without the quick try there is no answer to hand back.
func (p Policy) Postpone(req Request, history []Attempt, now time.Time, random func() float64) (time.Duration, []Attempt) {
	p = p.WithDefaults()
	last := len(history) - 1
	if last < 0 || !quickTry(history[last]) || p.Scope != Inferred || req.LimitedBy != PerAccount {
		return 0, history
	}
	limited := Result{Status: history[last].Status, Received: now}
	j := judgement{policy: p, req: req, history: history[:last], now: now, kind: RateLimit}
	if at := history[last].NotBefore; at > 0 {
		j.notBefore = time.UnixMilli(at)
	}
	_ = limited
	return 0, history
}
