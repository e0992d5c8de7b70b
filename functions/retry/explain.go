package retry

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// DefaultProxies is the number of proxies that Explain assumes.
const DefaultProxies = 3

// An Explanation says how much time a policy can take.
type Explanation struct {
	Policy  Policy
	Proxies int

	// Timetables say when attempts start if each one before ended in the same kind of failure.
	Timetables []Timetable

	// Routes explain the policies of the policy's routes, in their order.
	Routes []RouteExplanation

	// WorstCase is the longest that a caller waits for the outcome under the default deadline, and WithoutDeadline what
	// it would be if time never ran out. Neither counts waits that the upstream asks for; the deadline holds for them
	// too.
	WorstCase       time.Duration
	WithoutDeadline time.Duration
}

// A RouteExplanation is the explanation of the policy of a route.
type RouteExplanation struct {
	Route Route
	Explanation
}

// A Timetable says when the attempts start of a request whose every attempt ends in one kind of failure.
type Timetable struct {
	Kind Kind

	// Budget is the name of the policy's field with the budget of that kind, such as RateLimits.
	Budget string

	// Starts has an entry for each attempt that the budget allows.
	Starts []Start
}

// A Start is one row of a timetable. Times count from the start of the first attempt.
type Start struct {
	Attempt int
	Proxy   string

	// Earliest is when the attempt starts if everything before failed at once and every delay came out shortest.
	Earliest time.Duration

	// Latest is when it starts if every attempt before took its whole timeout and every delay came out longest, but for
	// the deadline.
	Latest time.Duration

	// Shortest and Longest are the bounds of the delay before the attempt.
	Shortest time.Duration
	Longest  time.Duration

	// Why is the rule that set the delay.
	Why string
}

// Explain explains the policy for requests through [DefaultProxies] proxies.
func (p Policy) Explain() Explanation { return p.ExplainFor(Request{Proxies: DefaultProxies}) }

// ExplainFor explains the policy for requests that go out through req.Proxies proxies, and that are like req in what is known
// of what limits are counted by. The other fields of req play no role.
func (p Policy) ExplainFor(req Request) Explanation {
	p = p.WithDefaults()
	each, routes := p.Each(), p.Routes
	e := each[0].explain(req)
	e.Policy = p
	for i, route := range routes {
		e.Routes = append(e.Routes, RouteExplanation{route, each[i+1].explain(req)})
	}
	return e
}

// explain explains a policy without looking at its routes.
func (p Policy) explain(req Request) Explanation {
	e := Explanation{Policy: p, Proxies: req.Proxies, WithoutDeadline: p.AttemptTimeout}
	for _, b := range p.budgets() {
		table := p.timetable(b, req)
		e.Timetables = append(e.Timetables, table)
		e.WithoutDeadline = saturatingAdd(e.WithoutDeadline, table.Starts[len(table.Starts)-1].Latest)
	}
	e.WorstCase = min(p.Deadline, e.WithoutDeadline)
	return e
}

// timetable uses the code that Next decides with, on a history of nothing but failures of one kind.
func (p Policy) timetable(b namedBudget, req Request) Timetable {
	table := Timetable{Kind: b.kind, Budget: b.field}
	j := judgement{policy: p, kind: b.kind, req: Request{Proxies: req.Proxies, Credential: req.Credential, LimitedBy: req.LimitedBy}}
	start := Start{Attempt: 1, Proxy: "proxy-1", Why: "the request"}
	table.Starts = append(table.Starts, start)
	for start.Attempt < b.Attempts {
		_, n := j.scope()
		shortest, longest, why := j.delay(b.Budget, n, 0)
		start = Start{
			Attempt:  start.Attempt + 1,
			Proxy:    fmt.Sprintf("proxy-%d", start.Attempt%req.Proxies+1),
			Earliest: saturatingAdd(start.Earliest, shortest),
			Latest:   saturatingAdd(start.Latest, saturatingAdd(p.AttemptTimeout, longest)),
			Shortest: shortest,
			Longest:  longest,
			Why:      why,
		}
		table.Starts = append(table.Starts, start)
		j.history = append(j.history, Attempt{Kind: b.kind, Wait: longest.Milliseconds()})
	}
	return table
}

// String returns the explanation as text with aligned columns.
func (e Explanation) String() string {
	var out strings.Builder
	p := e.Policy
	fmt.Fprintf(&out, "Each attempt may take %v. Callers wait %v if they do not say otherwise, and %v at most.\n",
		p.AttemptTimeout, p.Deadline, p.MaxDeadline)
	fmt.Fprintf(&out, "A wait that the upstream asks for takes the place of a shorter delay, up to %v.\n", p.RetryAfterMax)

	for _, table := range e.Timetables {
		fmt.Fprintf(&out, "\nIf every attempt ends in a %s:\n", strings.ReplaceAll(string(table.Kind), "-", " "))
		w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "attempt\tproxy\tearliest\tlatest\twhy")
		for _, s := range table.Starts {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", s.Attempt, s.Proxy, seconds(s.Earliest), e.latest(s), s.Why)
		}
		w.Flush()
	}

	fmt.Fprintf(&out, "\nWorst case: %v, all kinds of failure together (%v if the deadline did not end it).\n",
		e.WorstCase, e.WithoutDeadline)
	if len(p.Signals) > 0 {
		fmt.Fprintf(&out, "\nRules, of which the first that an answer matches decides:\n")
		for _, r := range p.Signals {
			fmt.Fprintf(&out, "  %s\n", r)
		}
	}
	for _, r := range e.Routes {
		fmt.Fprintf(&out, "\n%s:\n\n%s", r.Route, r.Explanation)
	}
	return out.String()
}

// latest prints the latest start, or that the deadline comes first.
func (e Explanation) latest(s Start) string {
	last := e.Policy.Deadline - min(MinimumAttemptTime, e.Policy.AttemptTimeout)
	switch {
	case s.Earliest > last:
		return "not before the deadline"
	case s.Latest > last:
		return seconds(last) + " (deadline)"
	}
	return seconds(s.Latest)
}
