package retry

// A Scope is what an upstream counts its rate limit by.
type Scope string

const (
	// PerAddress means by the address that a request comes from: another proxy may be let in, so the next attempt goes
	// out at once, and waits only when every proxy has been limited.
	PerAddress Scope = "per-address"

	// PerAccount means by key, user or account: another address does not help, so the next attempt waits as told.
	PerAccount Scope = "per-account"

	// Inferred means that it is not known. After the first rate limit the next proxy makes one quick try; a second rate
	// limit means that the limit is not by address, and from then on attempts wait as told.
	Inferred Scope = "inferred"
)

// scope returns what the floors of rate limits bind as far as the next attempt goes, and how often this kind of failure
// came before as far as its backoff goes: -1 if the next proxy has not met it, so that there is nothing to back off from.
func (j *judgement) scope() (Scope, int) {
	n := j.count(j.kind)
	switch {
	case j.req.Proxies < 2:
	case j.policy.Scope == PerAddress && j.kind == RateLimit:
		return PerAddress, j.limitedBefore() - 1
	case j.policy.Scope == PerAddress:
		return PerAddress, n
	case j.policy.Scope == Inferred && j.kind == RateLimit && n == 0:
		return PerAddress, -1
	}
	return PerAccount, n
}
