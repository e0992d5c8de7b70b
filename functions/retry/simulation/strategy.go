package main

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// proxies is how many addresses a strategy with proxies has.
const proxies = 3

// patience is how long the caller of each request waits. No strategy starts an attempt after it.
const patience = retry.DefaultDeadline

// A strategy decides on the attempts of requests.
type strategy struct {
	name string

	// open makes what the requests of one world share, and returns what begins each of them.
	open func(w *world) func(at time.Duration) session
}

// A session makes the attempts of one request.
type session interface {
	// address is that which the next attempt goes out from. Addresses count from zero.
	address() int

	// enter begins an attempt, before the last part of the wait for it, which is shorter than a second.
	enter()

	// leave ends an attempt, and decides what comes after it.
	leave(result retry.Result) (again bool, delay time.Duration)
}

// strategies are what is compared in every scenario. The others are modelled after their documentation and source, since a
// dependency only to be compared with is too much to ask of importers. functions/retry/comparison, a module of its own, has
// the libraries themselves.
var strategies = []strategy{
	{"the tutorial's three proxies", alone(tutorial)},
	{"Step Functions Retry", alone(stepFunctions(false))},
	{"Step Functions Retry, full jitter", alone(stepFunctions(true))},
	{"go-retryablehttp", alone(retryableHTTP)},
	{"failsafe-go", alone(failsafe)},
	{"cenkalti/backoff", alone(backoff)},
	{"this policy without findings", proxied(retry.Policy{}, forgetful)},
	thisPolicy,
}

// thisPolicy is the default of package retry, as the proxies use it.
var thisPolicy = strategy{"this policy", proxied(retry.Policy{}, 0)}

// Policies that differ from the default where rate limits are concerned, and where errors are.
var (
	limitPolicies = []strategy{
		{"this policy, per-account", proxied(retry.Policy{Scope: retry.PerAccount}, 0)},
		{"this policy, per-account, rate limits from 4 s", proxied(retry.Policy{
			Scope: retry.PerAccount, RateLimits: retry.Budget{Base: 4 * time.Second},
		}, 0)},
		{"this policy, per-address", proxied(retry.Policy{Scope: retry.PerAddress}, 0)},
	}
	errorPolicies = []strategy{
		{"this policy, server errors from 0.25 s", proxied(retry.Policy{ServerErrors: retry.Budget{Base: 250 * time.Millisecond}}, 0)},
		{"this policy, 7 server errors", proxied(retry.Policy{ServerErrors: retry.Budget{Attempts: 7}}, 0)},
	}
)

// A loop is the session of a client that keeps nothing but the number of its attempts.
type loop struct {
	attempts int // before the one that is made
	ring     int // how many addresses they go out from, one after the other
	decide   func(attempts int, result retry.Result) (again bool, delay time.Duration)
}

func (l *loop) address() int { return l.attempts % l.ring }
func (l *loop) enter()       {}
func (l *loop) leave(result retry.Result) (again bool, delay time.Duration) {
	if good(result) {
		return false, 0
	}
	again, delay = l.decide(l.attempts, result)
	l.attempts++
	return again, delay
}

// alone is a strategy whose requests know nothing of each other. begin makes the loop of each.
func alone(begin func(random func() float64) *loop) func(*world) func(time.Duration) session {
	return func(w *world) func(time.Duration) session {
		return func(time.Duration) session { return begin(w.random.Float64) }
	}
}

// tutorial is the state machine that one finds written by hand: three proxies in a row, a wait of 5 s after the first
// and none after the second, whatever the answer.
func tutorial(func() float64) *loop {
	waits := []time.Duration{5 * time.Second, 0}
	return &loop{ring: proxies, decide: func(attempts int, _ retry.Result) (bool, time.Duration) {
		if attempts == len(waits) {
			return false, 0
		}
		return true, waits[attempts]
	}}
}

// stepFunctions is the Retry field of a Task as the CDK writes it for a Lambda function, applied to the upstream's
// errors: 2 s, doubled each time, 6 times.
func stepFunctions(jitter bool) func(func() float64) *loop {
	const maxAttempts, interval, rate = 6, 2 * time.Second, 2
	return func(random func() float64) *loop {
		return &loop{ring: 1, decide: func(attempts int, _ retry.Result) (bool, time.Duration) {
			delay := time.Duration(float64(interval) * math.Pow(rate, float64(attempts)))
			if jitter {
				delay = time.Duration(random() * float64(delay))
			}
			return attempts < maxAttempts, delay
		}}
	}
}

// retryableHTTP is hashicorp/go-retryablehttp 0.7.8 as it comes: 4 retries, 1 s doubled each time up to 30 s, and for
// 429 and 503 exactly what Retry-After says.
func retryableHTTP(func() float64) *loop {
	const retryMax, waitMin, waitMax = 4, 1 * time.Second, 30 * time.Second
	return &loop{ring: 1, decide: func(attempts int, result retry.Result) (bool, time.Duration) {
		delay := min(waitMax, waitMin<<attempts)
		if told, ok := retryAfter(result); ok {
			delay = told
		}
		return attempts < retryMax, delay
	}}
}

// failsafe is failsafe-go 0.9.8 with failsafehttp.NewRetryPolicyBuilder as it comes: 2 retries, without a delay unless
// Retry-After asks for one.
func failsafe(func() float64) *loop {
	const maxRetries = 2
	return &loop{ring: 1, decide: func(attempts int, result retry.Result) (bool, time.Duration) {
		delay, _ := retryAfter(result)
		return attempts < maxRetries, delay
	}}
}

// backoff is cenkalti/backoff 5.0.3 as it comes, told of Retry-After by a RetryAfterError: exactly that, after which the
// intervals begin anew, and otherwise 0.5 s, half as much more each time, up to 60 s, half of it more or less. It goes on
// for longer than anybody waits.
func backoff(random func() float64) *loop {
	const initial, multiplier, randomization, longest = 500 * time.Millisecond, 1.5, 0.5, 60 * time.Second
	interval := initial
	return &loop{ring: 1, decide: func(_ int, result retry.Result) (bool, time.Duration) {
		if told, ok := retryAfter(result); ok {
			interval = initial
			return true, told
		}
		delay := time.Duration(float64(interval) * (1 - randomization + 2*randomization*random()))
		interval = min(longest, time.Duration(multiplier*float64(interval)))
		return true, delay
	}}
}

// options are what a proxied strategy does otherwise than the product.
type options int

// forgetful is without findings.
const forgetful options = 1

// proxied is package retry as the product uses it: each attempt is made in a sandbox of the next proxy, with what that has
// found out.
func proxied(p retry.Policy, o options) func(*world) func(time.Duration) session {
	p = p.WithDefaults()
	return func(w *world) func(time.Duration) session {
		ring := new([proxies]pool)
		return func(at time.Duration) session {
			return &execution{
				policy: p,
				request: retry.Request{
					Method: http.MethodGet, Credential: w.credential, Proxies: proxies, Deadline: epoch.Add(at + patience),
				},
				start:     int(w.random.Float64() * proxies), // as the gateway draws it
				ring:      ring,
				random:    w.random.Float64,
				forgetful: o == forgetful,
			}
		}
	}
}

// An execution is one of the state machine's, with the proxies that it calls.
type execution struct {
	policy    retry.Policy
	request   retry.Request
	start     int
	history   []retry.Attempt
	ring      *[proxies]pool
	inside    *sandbox
	random    func() float64
	forgetful bool
}

func (e *execution) address() int { return (e.start + len(e.history)) % proxies }

func (e *execution) enter() { e.inside = e.ring[e.address()].take() }

// leave does what a proxy does with the answer to its attempt.
func (e *execution) leave(result retry.Result) (again bool, delay time.Duration) {
	const route = ""
	defer e.ring[e.address()].put(e.inside)
	if !e.forgetful {
		e.request.LimitedBy = e.inside.findings.LimitedBy(route, result.Received)
	}
	decision := e.policy.Next(e.request, e.history, result, e.random)
	e.history = append(e.history, result.Attempt("", result.Received, decision))
	e.inside.findings.Learn(route, e.history)
	return decision.Outcome == retry.Again, decision.Delay
}

func good(result retry.Result) bool { return result.Status == http.StatusOK }

func retryAfter(result retry.Result) (time.Duration, bool) {
	seconds, err := strconv.Atoi(result.Header.Get("Retry-After"))
	return time.Duration(seconds) * time.Second, err == nil
}
