package main

import (
	"net/http"
	"strconv"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// proxies is how many addresses a strategy with proxies has.
const proxies = 3

// patience is how long the caller of each request waits. No strategy starts an attempt after it.
const patience = retry.DefaultDeadline

// A strategy makes the attempts of requests.
type strategy struct {
	name string

	// run returns what makes the attempts of one request, in a world of its own.
	run func(*world) func(*request)
}

// alone is a strategy whose requests know nothing of each other.
func alone(begin func(at time.Time, random func() float64) session) func(*world) func(*request) {
	return func(*world) func(*request) {
		return func(r *request) {
			// As the gateway draws it.
			decide, start, address := begin(epoch.Add(r.now()), r.w.random.Float64), r.w.random.IntN(proxies), 0
			for {
				result, ok := r.call((start + address) % proxies)
				if !ok || good(result) {
					return
				}
				again, delay, next := decide(result)
				if !again {
					return
				}
				r.sleep(delay)
				address = next
			}
		}
	}
}

// A session decides what comes after an attempt of one request, and from which address the next one goes out. Addresses
// count from zero; every first attempt goes out from there.
type session func(result retry.Result) (again bool, delay time.Duration, address int)

// thisPolicy is the default of package retry.
var thisPolicy = strategy{"this policy", alone(policy(retry.Policy{}))}

// perAccount is the policy that knows that the limit is by key.
var perAccount = policy(retry.Policy{Scope: retry.PerAccount})

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
