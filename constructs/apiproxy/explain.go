package apiproxy

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

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
}

// Explain explains the retry policy for the number of proxies of the props, and for requests with the credential of
// Upstream.Auth, if there is one, but without one of their caller's. It assumes props that are valid; see
// [RetryingApiProxyProps.Validate]. It needs nothing of the CDK to run.
//
//	fmt.Print(props.Explain())
func (p RetryingApiProxyProps) Explain() Explanation {
	p = p.withDefaults()
	e := Explanation{Explanation: p.Retry.ExplainFor(p.judged()), deadline: p.Retry.Deadline, maxDeadline: p.Retry.MaxDeadline, async: p.Async, letters: p.DeadLetters != nil, callback: p.Callback != nil, largeBodies: p.LargeBodies != nil}
	var longest retry.Timetable
	for _, table := range e.Timetables {
		if len(table.Starts) > len(longest.Starts) {
			longest = table
		}
	}
	e.Costs = costs(longest, p.ProxyCount)
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
	fmt.Fprintf(&out, "%s\n", costAssumptions)
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
				"cost $%.2f.\n", first+callbackTransitions, first, cents(callbackCost(first)))
		}
	}
	if e.largeBodies {
		fmt.Fprintf(&out, "\nA million bodies that do not fit into a state cost $%.2f to write to the bucket, and $%.2f each time that they are read: a\n"+
			"request by each attempt, an answer by the gateway. Storage is not in it.\n", pricePut*1e6, priceGet*1e6)
	}
	return out.String()
}
