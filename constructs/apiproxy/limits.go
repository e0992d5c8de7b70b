package apiproxy

import (
	"errors"
	"fmt"
	"slices"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// fits returns all reasons why the retry policy cannot do what it says in an Express execution and with the proxies
// that there are, in one error, or nil. Each names the number to change. It assumes props that have their defaults, and
// a policy that is valid.
func (p RetryingApiProxyProps) fits() error {
	var problems []error
	for i, policy := range p.Retry.Each() {
		at := "Retry"
		if i > 0 {
			at = fmt.Sprintf("Retry.Routes[%d].Policy", i-1)
		}
		for _, err := range p.fitting(policy) {
			if text := err.Error(); !slices.ContainsFunc(problems, func(known error) bool { return known.Error() == "Retry."+text }) {
				problems = append(problems, fmt.Errorf("%s.%s", at, text))
			}
		}
	}
	return errors.Join(problems...)
}

// fitting lists why a policy, that of all requests or of a route, cannot do what it says.
func (p RetryingApiProxyProps) fitting(policy retry.Policy) []error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	if most := expressDuration - deadlineMargin; policy.MaxDeadline > most {
		problem("MaxDeadline is %v, but an Express execution ends after %v, of which %v are kept for what is not an "+
			"attempt: lower MaxDeadline to %v or less", policy.MaxDeadline, expressDuration, deadlineMargin, most)
	}
	if p.ProxyCount == 1 && policy.Scope == retry.PerAddress {
		problem("Scope is %q, but there is one proxy, and so one address: give two proxies or more, or the scope %q",
			retry.PerAddress, retry.PerAccount)
	}
	latest := policy.MaxDeadline - min(retry.MinimumAttemptTime, policy.AttemptTimeout)
	for _, table := range policy.ExplainFor(p.judged()).Timetables {
		for _, start := range table.Starts {
			if start.Earliest > latest {
				problem("%s.Attempts is %d, but attempt %d cannot start before %v, with MaxDeadline at %v: "+
					"lower %s.Attempts to %d, lower its Base or Max, or raise MaxDeadline", table.Budget, len(table.Starts),
					start.Attempt, start.Earliest, policy.MaxDeadline, table.Budget, start.Attempt-1)
				break
			}
		}
	}
	return problems
}
