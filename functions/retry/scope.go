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

// binds returns what a rate limit binds as far as a next attempt goes, or would go, and nothing for other failures.
func (j *judgement) binds() Scope {
	scope, n := j.scope()
	switch {
	case j.kind != RateLimit:
		return ""
	case n < 0 && j.limitedBy() == Inferred:
		return Inferred
	}
	return scope
}

// quickTry says whether the attempt after one was made at once, in spite of the rate limit that the one had met.
func quickTry(before Attempt) bool { return before.Kind == RateLimit && before.Wait == 0 }
