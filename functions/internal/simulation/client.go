package simulation

import (
	"math"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// The strategies of others. They are modelled after their documentation and source, since a dependency only to be compared
// with is too much to ask of importers. functions/retry/comparison, a module of its own, has the libraries themselves.
var (
	Tutorial            = Strategy{"the tutorial's three proxies", alone(tutorial)}
	StepFunctions       = Strategy{"Step Functions Retry", alone(stepFunctions(false))}
	StepFunctionsJitter = Strategy{"Step Functions Retry, full jitter", alone(stepFunctions(true))}
	RetryableHTTP       = Strategy{"go-retryablehttp", alone(retryableHTTP)}
	Failsafe            = Strategy{"failsafe-go", alone(failsafe)}
	Backoff             = Strategy{"cenkalti/backoff", alone(backoff)}
)

// A loop is a client that keeps nothing but the number of its attempts. It decides what comes after the one of that number,
// which counts from zero, and does not succeed.
type loop struct {
	ring   int // how many addresses attempts go out from, one after the other
	decide func(attempt int, result retry.Result) (again bool, delay time.Duration)
}

// alone is a strategy whose requests know nothing of each other. begin makes the loop of each.
func alone(begin func(random func() float64) loop) func(*World) func(*Request) {
	return func(w *World) func(*Request) {
		return func(r *Request) {
			l := begin(w.Random.Float64)
			for attempt := 0; ; attempt++ {
				result, ok := r.Call(attempt % l.ring)
				if !ok || Good(result) {
					return
				}
				if again, delay := l.decide(attempt, result); !again || !r.Wait(delay) {
					return
				}
			}
		}
	}
}

// tutorial is the state machine that one finds written by hand: three proxies in a row, a wait of 5 s after the first
// and none after the second, whatever the answer.
func tutorial(func() float64) loop {
	waits := []time.Duration{5 * time.Second, 0}
	return loop{ring: Proxies, decide: func(attempt int, _ retry.Result) (bool, time.Duration) {
		if attempt == len(waits) {
			return false, 0
		}
		return true, waits[attempt]
	}}
}

// stepFunctions is the Retry field of a Task as the CDK writes it for a Lambda function, applied to the upstream's
// errors: 2 s, doubled each time, 6 times.
func stepFunctions(jitter bool) func(func() float64) loop {
	const maxAttempts, interval, rate = 6, 2 * time.Second, 2
	return func(random func() float64) loop {
		return loop{ring: 1, decide: func(attempt int, _ retry.Result) (bool, time.Duration) {
			delay := time.Duration(float64(interval) * math.Pow(rate, float64(attempt)))
			if jitter {
				delay = time.Duration(random() * float64(delay))
			}
			return attempt < maxAttempts, delay
		}}
	}
}

// retryableHTTP is hashicorp/go-retryablehttp 0.7.8 as it comes: 4 retries, 1 s doubled each time up to 30 s, and for
// 429 and 503 exactly what Retry-After says.
func retryableHTTP(func() float64) loop {
	const retryMax, waitMin, waitMax = 4, 1 * time.Second, 30 * time.Second
	return loop{ring: 1, decide: func(attempt int, result retry.Result) (bool, time.Duration) {
		delay := min(waitMax, waitMin<<attempt)
		if told, ok := RetryAfter(result); ok {
			delay = told
		}
		return attempt < retryMax, delay
	}}
}

// failsafe is failsafe-go 0.9.8 with failsafehttp.NewRetryPolicyBuilder as it comes: 2 retries, without a delay unless
// Retry-After asks for one.
func failsafe(func() float64) loop {
	const maxRetries = 2
	return loop{ring: 1, decide: func(attempt int, result retry.Result) (bool, time.Duration) {
		delay, _ := RetryAfter(result)
		return attempt < maxRetries, delay
	}}
}

// backoff is cenkalti/backoff 5.0.3 as it comes, told of Retry-After by a RetryAfterError: exactly that, after which the
// intervals begin anew, and otherwise 0.5 s, half as much more each time, up to 60 s, half of it more or less. It goes on
// for longer than anybody waits.
func backoff(random func() float64) loop {
	const initial, multiplier, randomization, longest = 500 * time.Millisecond, 1.5, 0.5, 60 * time.Second
	interval := initial
	return loop{ring: 1, decide: func(_ int, result retry.Result) (bool, time.Duration) {
		if told, ok := RetryAfter(result); ok {
			interval = initial
			return true, told
		}
		delay := time.Duration(float64(interval) * (1 - randomization + 2*randomization*random()))
		interval = min(longest, time.Duration(multiplier*float64(interval)))
		return true, delay
	}}
}
