package retry

// A Route is a part of an upstream's API, by method and path, with a policy that differs: a search that takes two seconds and
// a report that takes a minute, behind one URL.
//
// In JSON, the members of the policy stand beside those of the route:
//
//	{"methods": ["GET"], "path": "/search", "attemptTimeout": "2s", "deadline": "5s"}
type Route struct {
	// Methods are those of the request, in upper case. None means all.
	Methods []string

	// Path begins the path of the request, as [Rule.Path] does. Empty means every path.
	Path string

	// Policy says what differs. What it leaves out, by a zero field, is as in the policy that the route is in; see
	// [Policy.Over]. It has no routes.
	Policy Policy
}

// Route returns the first route that a request's method and path match, and whether there is one.
func (p Policy) Route(method, path string) (Route, bool) {
	for _, r := range p.Routes {
		if covers(r.Methods, r.Path, method, path) {
			return r, true
		}
	}
	return Route{}, false
}

// For returns the policy for a request: that of its route ([Policy.Route]), over p, or else p itself. It has no routes.
// [Policy.Next], [Policy.Timeouts] and [Policy.ReadsBody] see to it themselves.
func (p Policy) For(method, path string) Policy {
	route, found := p.Route(method, path)
	p.Routes = nil
	if found {
		return route.Policy.Over(p)
	}
	return p
}

// Each returns the policies that requests can have: p without its routes, and then that of each route.
func (p Policy) Each() []Policy {
	routes := p.Routes
	p.Routes = nil
	all := []Policy{p}
	for _, r := range routes {
		all = append(all, r.Policy.Over(p))
	}
	return all
}

// Over returns a policy that says what p says and, where p leaves something out by a zero field, what the other one says.
// Budgets are put together member by member, and Statuses status by status. The rules of p come first; rules of the other
// one that have the name of one of them are left out. Its routes come first, too.
//
// It is meant for what a user says, over a preset:
//
//	preset, err := retry.Vendor("airtable")
//	…
//	policy := retry.Policy{Deadline: 2 * time.Minute}.Over(preset)
//
// A policy that has its defaults filled in leaves nothing out, so that nothing of the other one remains.
func (p Policy) Over(other Policy) Policy {
	p.RateLimits = p.RateLimits.over(other.RateLimits)
	p.ServerErrors = p.ServerErrors.over(other.ServerErrors)
	p.NetworkFailures = p.NetworkFailures.over(other.NetworkFailures)
	p.RetryAfterMax = either(p.RetryAfterMax, other.RetryAfterMax)
	p.Scope = either(p.Scope, other.Scope)
	if len(other.Statuses) > 0 {
		statuses := make(map[int]Verdict, len(p.Statuses)+len(other.Statuses))
		for status, verdict := range other.Statuses {
			statuses[status] = verdict
		}
		for status, verdict := range p.Statuses {
			statuses[status] = verdict
		}
		p.Statuses = statuses
	}
	if p.RepeatableMethods == nil {
		p.RepeatableMethods = other.RepeatableMethods
	}
	p.AttemptTimeout = either(p.AttemptTimeout, other.AttemptTimeout)
	p.Deadline = either(p.Deadline, other.Deadline)
	p.MaxDeadline = either(p.MaxDeadline, other.MaxDeadline)
	p.Signals = rulesOver(p.Signals, other.Signals)
	if len(other.Routes) > 0 {
		p.Routes = append(p.Routes[:len(p.Routes):len(p.Routes)], other.Routes...)
	}
	return p
}

// rulesOver puts the rules of one policy before those of another, without those that it has rules of the same name for.
func rulesOver(rules, others []Rule) []Rule {
	switch {
	case len(rules) == 0:
		return others
	case len(others) == 0:
		return rules
	}
	named := make(map[string]bool, len(rules))
	for _, r := range rules {
		named[r.Name] = true
	}
	all := append([]Rule{}, rules...)
	for _, r := range others {
		if !named[r.Name] {
			all = append(all, r)
		}
	}
	return all
}

func (b Budget) over(other Budget) Budget {
	return Budget{
		Attempts: either(b.Attempts, other.Attempts),
		Base:     either(b.Base, other.Base),
		Max:      either(b.Max, other.Max),
		Jitter:   either(b.Jitter, other.Jitter),
	}
}

// either returns a, or b if a is zero.
func either[T comparable](a, b T) T {
	var zero T
	if a == zero {
		return b
	}
	return a
}
