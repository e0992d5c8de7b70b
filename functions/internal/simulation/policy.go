package simulation

import (
	"net/http"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A Strategy makes the attempts of requests.
type Strategy struct {
	Name string

	// Open makes what the requests of one world share, and returns what makes the attempts of each of them.
	Open func(*World) func(*Request)
}

// ThisPolicy is the default of package retry, as the proxies use it.
var ThisPolicy = Strategy{"this policy", Policy(retry.Policy{})}

// Policies that differ from the default where rate limits are concerned, and where errors are.
var (
	PerAccount = Strategy{"this policy, per-account", Policy(retry.Policy{Scope: retry.PerAccount})}
	PerAddress = Strategy{"this policy, per-address", Policy(retry.Policy{Scope: retry.PerAddress})}
	From4s     = Strategy{"this policy, per-account, rate limits from 4 s", Policy(retry.Policy{
		Scope: retry.PerAccount, RateLimits: retry.Budget{Base: 4 * time.Second},
	})}
	SevenErrors = Strategy{"this policy, 7 server errors", Policy(retry.Policy{ServerErrors: retry.Budget{Attempts: 7}})}
)

// Policy is package retry as the product uses it.
func Policy(p retry.Policy) func(*World) func(*Request) {
	return func(w *World) func(*Request) { return NewRing(w, p).attempts }
}

// Forgetful is package retry without what sandboxes have found out.
func Forgetful(p retry.Policy) func(*World) func(*Request) {
	return func(w *World) func(*Request) {
		g := NewRing(w, p)
		g.forgetful = true
		return g.attempts
	}
}

// A Ring is the proxies: each attempt is made in a sandbox of the next one, with what that has found out.
type Ring struct {
	world     *World
	policy    retry.Policy
	idle      [Proxies]Pool[*retry.Findings]
	forgetful bool
}

// NewRing returns the proxies of a world, with a policy.
func NewRing(w *World, p retry.Policy) *Ring { return &Ring{world: w, policy: p.WithDefaults()} }

// attempts makes the attempts of a request.
func (g *Ring) attempts(r *Request) {
	x := g.Begin(r)
	for delay, again := time.Duration(0), true; again; {
		_, delay, again = x.Attempt(delay)
	}
}

// An Execution is one of the state machine's, with the proxies that it calls.
type Execution struct {
	*Request
	ring    *Ring
	request retry.Request
	start   int
	history []retry.Attempt
}

// Begin begins the execution of a request. Which proxy is first is drawn.
func (g *Ring) Begin(r *Request) *Execution {
	return &Execution{
		Request: r,
		ring:    g,
		request: retry.Request{
			Method: http.MethodGet, Credential: g.world.credential, Proxies: Proxies, Deadline: Epoch.Add(r.Deadline()),
		},
		start: g.world.Random.IntN(Proxies),
	}
}

// Address is that of the proxy whose turn it is.
func (x *Execution) Address() int { return (x.start + len(x.history)) % Proxies }

// Attempt makes the next attempt after a delay, and says whether and after which delay there is one more. The answer has no
// Status if nobody waits for it any more.
func (x *Execution) Attempt(delay time.Duration) (result retry.Result, next time.Duration, again bool) {
	return x.AttemptFrom(x.Address(), delay)
}

// AttemptFrom is Attempt from an address that it is not the turn of.
func (x *Execution) AttemptFrom(address int, delay time.Duration) (result retry.Result, next time.Duration, again bool) {
	if delay >= x.Left() {
		x.Wait(delay)
		return retry.Result{}, 0, false
	}
	// As in the state machine, whole seconds pass before the proxy is called, and the rest in it.
	x.Wait(delay.Truncate(time.Second))
	idle, findings := &x.ring.idle[address], new(retry.Findings)
	if idle.Len() > 0 {
		findings = idle.Take(0)
	}
	defer idle.Give(findings)
	x.Wait(delay % time.Second)
	result, ok := x.Call(address)
	if !ok || Good(result) && len(x.history) == 0 { // from which nothing is learned
		return result, 0, false
	}
	const route = ""
	if !x.ring.forgetful {
		x.request.LimitedBy = findings.LimitedBy(route, result.Received)
	}
	decision := x.ring.policy.Next(x.request, x.history, result, x.world.Random.Float64)
	x.history = append(x.history, result.Attempt("", result.Received, decision))
	findings.Learn(route, x.history)
	return result, decision.Delay, decision.Outcome == retry.Again
}
