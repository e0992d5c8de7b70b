package apiproxy

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// An Explanation says how much time and money the retry policy of a RetryingApiProxy can take.
type Explanation struct {
	// Explanation says when attempts start, and how long a caller waits at most.
	retry.Explanation

	// Costs has an entry for each number of attempts of the largest budget, from 1 on.
	Costs []Cost

	deadline, maxDeadline time.Duration
	async                 *Async
	letters, callback     bool
	largeBodies           bool
	gate                  gate.Settings
	key                   gate.Key
	memory                costMemory
	monitoring            monitoring
	egress                string
}

// Explain explains the retry policy for the number of proxies of the props, and for requests with the credential of
// Upstream.Auth, if there is one, but without one of their caller's. It assumes props that are valid; see
// [RetryingApiProxyProps.Validate]. It needs nothing of the CDK to run.
//
//	fmt.Print(props.Explain())
func (p RetryingApiProxyProps) Explain() Explanation {
	p = p.withDefaults()
	e := Explanation{Explanation: p.Retry.ExplainFor(p.judged()), deadline: p.Retry.Deadline, maxDeadline: p.Retry.MaxDeadline, async: p.Async, letters: p.DeadLetters != nil, callback: p.Callback != nil, largeBodies: p.LargeBodies != nil}
	e.monitoring = p.monitoring()
	e.egress = p.explainEgress()
	e.gate, e.key, _ = p.gate().Settings(retry.Policy{})
	var longest retry.Timetable
	for _, table := range e.Timetables {
		if len(table.Starts) > len(longest.Starts) {
			longest = table
		}
	}
	e.memory = costMemory{gateway: p.GatewayMemorySizeMiB, proxy: p.MemorySizeMiB}
	e.Costs = costs(longest, p.ProxyCount, e.memory)
	return e
}

// judged is what the policy is told of every request.
func (p RetryingApiProxyProps) judged() retry.Request {
	return retry.Request{Proxies: p.ProxyCount, Credential: p.Upstream.Auth.form.Kind != ""}
}

// String returns the explanation as text with aligned columns.
func (e Explanation) String() string {
	var out strings.Builder
	out.WriteString(e.Explanation.String())
	fmt.Fprintf(&out, "\nState transitions, dollars per million requests, and concurrency at %d requests a second:\n", slotsRate)
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "attempts\ttransitions\twaiting\tExpress\tgateways\tproxies")
	for _, c := range e.Costs {
		fmt.Fprintf(w, "%d\t%d\t%v\t%.2f\t%d\t%d\n", c.Attempts, c.Transitions, roundUp(c.Waiting, time.Millisecond), c.Express, c.GatewaySlots, c.ProxySlots)
	}
	w.Flush()
	fmt.Fprintf(&out, "%s\n", costAssumptions(e.memory))
	fmt.Fprintf(&out, "An attempt that no other may follow, such as that of a POST without an Idempotency-Key, gets what is left of the\n"+
		"deadline: up to %v, or %v with Prefer: wait. At an upstream that hangs, %d such requests a second hold %d proxies.\n",
		e.deadline, e.maxDeadline, slotsRate, slots(e.deadline))
	if e.async != nil {
		fmt.Fprintf(&out, "\nAsynchronous requests may take up to %v, and wait for the upstream as long as that. Dollars per million of them, with\n"+
			"an Idempotency-Key, in a Standard workflow at $%.3f per thousand transitions:\n", e.async.Deadline, priceTransition*1000)
		w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "attempts\ttransitions\tStandard")
		for _, c := range e.Costs {
			fmt.Fprintf(w, "%d\t%d\t%.2f\n", c.Attempts, c.Transitions+1, c.Standard)
		}
		w.Flush()
		fmt.Fprintln(&out, "Each lost proxy is a transition more. Waiting costs nothing. DynamoDB is not in it: two writes for each attempt, four more\n"+
			"for each request, and one for each KB of request and answer.")
		if e.letters {
			fmt.Fprintln(&out, "A request that fails takes one transition more, for its dead letter.")
		}
		if e.callback {
			first := e.Costs[0].Transitions
			fmt.Fprintf(&out, "A callback takes %d transitions more: two of the request, and %d of its own if it is delivered at once. A million of them\n"+
				"cost $%.2f.\n", first+callbackTransitions, first, cents(callbackCost(first, e.memory)))
		}
	}
	if e.largeBodies {
		fmt.Fprintf(&out, "\nA million bodies that do not fit into a state cost $%.2f to write to the bucket, and $%.2f each time that they are read: a\n"+
			"request by each attempt, an answer by the gateway. Storage is not in it.\n", pricePut*1e6, priceGet*1e6)
	}
	out.WriteString(e.egress)
	e.explainGate(&out)
	e.monitoring.explain(&out)
	return out.String()
}

// explainGate says what flow control and circuit breaker do, and what it costs that requests wait for them. Nothing if there is neither.
func (e Explanation) explainGate(out io.Writer) {
	g := e.gate.WithDefaults()
	shared := "by " + strings.ReplaceAll(e.key.String(), "+", " and ")
	if e.key == 0 {
		shared = "for all requests together"
	}
	switch g.Mode {
	case gate.Fixed:
		fmt.Fprintf(out, "\nFlow control is fixed, %s: %d calls per %v, and up to %d at once.\n"+
			"Each request takes a ticket, which is a write to the table: $%.3f for a million of them.\n",
			shared, g.Rate, g.Period, g.Burst, priceTableWrite*1e6)
	case gate.Adaptive:
		fmt.Fprintf(out, "\nFlow control is adaptive, %s: from a 429 until a minute after the last one, requests come\n"+
			"one after the other, at the rate that the upstream lets through. Each then takes a ticket, which is a write to the table:\n"+
			"$%.3f for a million of them.\n", shared, priceTableWrite*1e6)
	case gate.Observe:
		fmt.Fprintf(out, "\nFlow control observes, %s: nobody waits for a rate, and the logs say what adaptive would do.\n", shared)
	}
	if b := g.Breaker; !b.Disabled {
		fmt.Fprintf(out, "\nThe circuit breaker, %s, stops calls when %d of them, and %.4g%% of all,\n"+
			"have failed within two seconds. One per %v then tries, and the others wait; after a success they are let go at %.4g times\n"+
			"the rate at which they came. It writes nothing while calls succeed.\n",
			shared, b.MinimumFailures, b.FailureRate*100, b.ProbeInterval, b.RampUp)
	} else if g.Mode == gate.Off || g.Mode == gate.Observe {
		return // nobody waits
	}
	wait := costGateWait
	if g.MaxWaiting == gate.Unbounded {
		fmt.Fprintf(out, "\nAs many requests wait for that as come: %d a second that wait %v hold %d of the account's concurrent executions,\n"+
			"those of the gateway.", slotsRate, wait, slots(wait))
	} else {
		fmt.Fprintf(out, "\nAt most %d requests that share a limit wait for that at the same time, and the others are turned away. %d that wait hold\n"+
			"%d of the account's concurrent executions, those of the gateway.", g.MaxWaiting, g.MaxWaiting, g.MaxWaiting)
	}
	fmt.Fprintf(out, " A million that wait %v cost $%.2f more, and up to\n"+
		"$%.2f where an Express execution waits with them.\n", wait, cents(lambda(wait, e.memory.gateway)), cents(lambda(wait, e.memory.gateway)+express(wait)))
	if e.async != nil {
		fmt.Fprintln(out, "Asynchronous requests wait in neither, and for nothing.")
	}
}
