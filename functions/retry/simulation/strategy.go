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

	// begin begins a request at a moment of virtual time, and returns what decides on its attempts.
	begin func(at time.Time, random func() float64) session
}

// A session decides what comes after an attempt of one request, and from which address the next one goes out. Addresses
// count from zero; every first attempt goes out from there.
type session func(result retry.Result) (again bool, delay time.Duration, address int)

// strategies are what is compared in every scenario. The others are modelled after their documentation and source, since a
// dependency only to be compared with is too much to ask of importers. functions/retry/comparison, a module of its own, has
// the libraries themselves.
var strategies = []strategy{
	{"the tutorial's three proxies", tutorial},
	{"Step Functions Retry", stepFunctions(false)},
	{"Step Functions Retry, full jitter", stepFunctions(true)},
	{"go-retryablehttp", retryableHTTP},
	{"failsafe-go", failsafe},
	thisPolicy,
}

// thisPolicy is the default of package retry.
var thisPolicy = strategy{"this policy", policy(retry.Policy{})}

// Policies that differ from the default where rate limits are concerned, and where errors are.
var (
	limitPolicies = []strategy{
		{"this policy, per-account", policy(retry.Policy{Scope: retry.PerAccount})},
		{"this policy, per-account, rate limits from 4 s", policy(retry.Policy{
			Scope: retry.PerAccount, RateLimits: retry.Budget{Base: 4 * time.Second},
		})},
		{"this policy, per-address", policy(retry.Policy{Scope: retry.PerAddress})},
	}
	errorPolicies = []strategy{
		{"this policy, server errors from 0.25 s", policy(retry.Policy{ServerErrors: retry.Budget{Base: 250 * time.Millisecond}})},
		{"this policy, 7 server errors", policy(retry.Policy{ServerErrors: retry.Budget{Attempts: 7}})},
	}
)

// tutorial is the state machine that one finds written by hand: three proxies in a row, a wait of 5 s after the first
// and none after the second, whatever the answer.
func tutorial(time.Time, func() float64) session {
	waits := []time.Duration{5 * time.Second, 0}
	attempts := 0
	return func(result retry.Result) (bool, time.Duration, int) {
		if good(result) || attempts == len(waits) {
			return false, 0, 0
		}
		attempts++
		return true, waits[attempts-1], attempts
	}
}

// stepFunctions is the Retry field of a Task as the CDK writes it for a Lambda function, applied to the upstream's
// errors: 2 s, doubled each time, 6 times.
func stepFunctions(jitter bool) func(time.Time, func() float64) session {
	const maxAttempts, interval, rate = 6, 2 * time.Second, 2
	return func(_ time.Time, random func() float64) session {
		retries := 0
		return func(result retry.Result) (bool, time.Duration, int) {
			if good(result) || retries == maxAttempts {
				return false, 0, 0
			}
			delay := time.Duration(float64(interval) * math.Pow(rate, float64(retries)))
			retries++
			if jitter {
				delay = time.Duration(random() * float64(delay))
			}
			return true, delay, 0
		}
	}
}

// retryableHTTP is hashicorp/go-retryablehttp 0.7.8 as it comes: 4 retries, 1 s doubled each time up to 30 s, and for
// 429 and 503 exactly what Retry-After says.
func retryableHTTP(time.Time, func() float64) session {
	const retryMax, waitMin, waitMax = 4, 1 * time.Second, 30 * time.Second
	retries := 0
	return func(result retry.Result) (bool, time.Duration, int) {
		if good(result) || retries == retryMax {
			return false, 0, 0
		}
		delay := min(waitMax, waitMin<<retries)
		if told, ok := retryAfter(result); ok {
			delay = told
		}
		retries++
		return true, delay, 0
	}
}

// failsafe is failsafe-go 0.9.8 with failsafehttp.NewRetryPolicyBuilder as it comes: 2 retries, without a delay unless
// Retry-After asks for one.
func failsafe(time.Time, func() float64) session {
	const maxRetries = 2
	retries := 0
	return func(result retry.Result) (bool, time.Duration, int) {
		if good(result) || retries == maxRetries {
			return false, 0, 0
		}
		retries++
		delay, _ := retryAfter(result)
		return true, delay, 0
	}
}

// policy is package retry itself.
func policy(p retry.Policy) func(time.Time, func() float64) session {
	p = p.WithDefaults()
	return func(at time.Time, random func() float64) session {
		request := retry.Request{Method: http.MethodGet, Proxies: proxies, Deadline: at.Add(patience)}
		var history []retry.Attempt
		return func(result retry.Result) (bool, time.Duration, int) {
			decision := p.Next(request, history, result, random)
			history = append(history, result.Attempt("", time.Time{}, decision))
			return decision.Outcome == retry.Again, decision.Delay, len(history) % proxies
		}
	}
}

func good(result retry.Result) bool { return result.Status == http.StatusOK }

func retryAfter(result retry.Result) (time.Duration, bool) {
	seconds, err := strconv.Atoi(result.Header.Get("Retry-After"))
	return time.Duration(seconds) * time.Second, err == nil
}
