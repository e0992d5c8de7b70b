package retry

import (
	"errors"
	"fmt"
	"time"
)

// What an engine and its functions need beside the attempts.
const (
	// ExpressDuration is the longest that an Express execution can take.
	ExpressDuration = 5 * time.Minute

	// EngineMargin is how much of an execution is kept for what is not an attempt: starting, the last transitions, and
	// writing the record.
	EngineMargin = 10 * time.Second

	// MaxSleep is what the proxy may sleep before its attempt: the part of a delay that a Wait state, which knows whole
	// seconds only, cannot wait.
	MaxSleep = 1 * time.Second

	// ProxyMargin is what a proxy function needs beside the sleep and the attempt, to start and to answer.
	ProxyMargin = 1 * time.Second

	// GatewayMargin is what the gateway function needs beside the wait for the final answer.
	GatewayMargin = 1 * time.Second
)

// Limits are what a stack gives a policy to run in. What is zero is not checked.
type Limits struct {
	// Proxies is the number of proxies in the ring.
	Proxies int

	// Execution is the longest that an execution of the state machine may take, [ExpressDuration] say, or the state
	// machine's own timeout.
	Execution time.Duration

	// ProxyTimeout and GatewayTimeout are the timeouts of the functions. The gateway's counts where it waits for the
	// execution.
	ProxyTimeout   time.Duration
	GatewayTimeout time.Duration
}

// Fits returns all reasons why the policy cannot do what it says within the limits, in one error, or nil. Each names
// the number to change. It assumes a policy that is valid.
func (p Policy) Fits(limits Limits) error {
	p = p.WithDefaults()
	var problems []error
	report := func(format string, args ...any) { problems = append(problems, fmt.Errorf("retry: "+format, args...)) }

	if most := limits.Execution - EngineMargin; limits.Execution > 0 && p.MaxDeadline > most {
		report("MaxDeadline is %v, but an execution ends after %v, of which %v are kept for what is not an attempt: "+
			"lower MaxDeadline to %v or less", p.MaxDeadline, limits.Execution, EngineMargin, most)
	}
	if most := limits.ProxyTimeout - MaxSleep - ProxyMargin; limits.ProxyTimeout > 0 && p.AttemptTimeout > most {
		report("AttemptTimeout is %v, but a proxy function ends after %v, of which %v may be slept before the attempt and "+
			"%v are kept for starting and answering: lower AttemptTimeout to %v, or raise the function's timeout to %v",
			p.AttemptTimeout, limits.ProxyTimeout, MaxSleep, ProxyMargin, most, p.AttemptTimeout+MaxSleep+ProxyMargin)
	}
	if most := limits.GatewayTimeout - GatewayMargin; limits.GatewayTimeout > 0 && p.MaxDeadline > most {
		report("MaxDeadline is %v, but the gateway function ends after %v, of which %v are kept for answering: "+
			"lower MaxDeadline to %v, or raise the function's timeout to %v",
			p.MaxDeadline, limits.GatewayTimeout, GatewayMargin, most, p.MaxDeadline+GatewayMargin)
	}
	if limits.Proxies == 1 && p.Scope == PerAddress {
		report("Scope is %q, but there is one proxy, and so one address: give two proxies or more, or the scope %q",
			PerAddress, PerAccount)
	}
	latest := p.MaxDeadline - min(MinimumAttemptTime, p.AttemptTimeout)
	for _, b := range p.budgets() {
		for _, start := range p.timetable(b.kind, max(1, limits.Proxies)).Starts {
			if start.Earliest > latest {
				report("%s.Attempts is %d, but attempt %d cannot start before %v, with MaxDeadline at %v: "+
					"lower %s.Attempts to %d, lower its Base or Max, or raise MaxDeadline",
					b.field, b.Attempts, start.Attempt, start.Earliest, p.MaxDeadline, b.field, start.Attempt-1)
				break
			}
		}
	}
	return errors.Join(problems...)
}
