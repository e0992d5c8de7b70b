package retry_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestAnAttemptGetsTheTimeThatNoOtherOneCouldUse(t *testing.T) {
	t.Parallel()
	const s = time.Second
	timeout := retry.Attempt{Kind: retry.NetworkFailure, MaybeProcessed: true}
	serverError := retry.Attempt{Status: 503, Kind: retry.ServerError}
	limit := retry.Attempt{Status: 429, Kind: retry.RateLimit}
	told := retry.Attempt{Status: 429, Kind: retry.RateLimit, NotBefore: noon.Add(52 * s).UnixMilli()}

	for _, c := range []struct {
		when           string
		policy         retry.Policy
		method         string
		key            bool
		maxAttempts    int
		history        []retry.Attempt
		left           time.Duration
		connect, whole time.Duration
	}{
		{when: "the first of three", left: 60 * s, connect: 10 * s, whole: 10 * s},
		{when: "the second of three", history: []retry.Attempt{timeout}, left: 45 * s, connect: 10 * s, whole: 10 * s},
		{when: "the last of three", history: []retry.Attempt{timeout, timeout}, left: 30 * s, connect: 30 * s, whole: 30 * s},
		{when: "the third, but the first that may time out", history: []retry.Attempt{serverError, limit}, left: 55 * s, connect: 10 * s, whole: 10 * s},
		{when: "two timeouts among others", history: []retry.Attempt{timeout, limit, timeout, limit}, left: 25 * s, connect: 25 * s, whole: 25 * s},
		{when: "a budget of one", policy: retry.Policy{NetworkFailures: retry.Budget{Attempts: 1}}, left: 60 * s, connect: 60 * s, whole: 60 * s},

		{when: "the only one that the caller allows", maxAttempts: 1, left: 20 * s, connect: 20 * s, whole: 20 * s},
		{when: "the first of two that the caller allows", maxAttempts: 2, left: 60 * s, connect: 10 * s, whole: 10 * s},
		{when: "the second of two that the caller allows", maxAttempts: 2, history: []retry.Attempt{limit}, left: 58 * s, connect: 58 * s, whole: 58 * s},

		{when: "just enough time for another", left: 10500 * time.Millisecond, connect: 10 * s, whole: 10 * s},
		{when: "a millisecond too little for another", left: 10499 * time.Millisecond, connect: 10499 * time.Millisecond, whole: 10499 * time.Millisecond},
		{when: "less than an attempt may take", left: 2 * s, connect: 2 * s, whole: 2 * s},
		{when: "no time", left: -3 * s},
		{when: "attempts that are shorter than the least time of one", policy: retry.Policy{AttemptTimeout: 100 * time.Millisecond}, left: 200 * time.Millisecond, connect: 100 * time.Millisecond, whole: 100 * time.Millisecond},
		{when: "and no time for a second one", policy: retry.Policy{AttemptTimeout: 100 * time.Millisecond}, left: 199 * time.Millisecond, connect: 199 * time.Millisecond, whole: 199 * time.Millisecond},
		{when: "a wait before the next that does not fit", policy: retry.Policy{NetworkFailures: retry.Budget{Jitter: retry.NoJitter}}, left: 11499 * time.Millisecond, connect: 11499 * time.Millisecond, whole: 11499 * time.Millisecond},
		{when: "a wait before the next that just fits", policy: retry.Policy{NetworkFailures: retry.Budget{Jitter: retry.NoJitter}}, left: 11500 * time.Millisecond, connect: 10 * s, whole: 10 * s},
		{when: "a quick try, with a wait after it that does not fit", history: []retry.Attempt{told}, left: 52 * s, connect: 52 * s, whole: 52 * s},
		{when: "a quick try, with a wait after it that just fits", history: []retry.Attempt{told}, left: 52500 * time.Millisecond, connect: 10 * s, whole: 10 * s},

		{when: "a request that is not safe to repeat", method: "POST", left: 60 * s, connect: 10 * s, whole: 60 * s},
		{when: "the same with a key", method: "POST", key: true, left: 60 * s, connect: 10 * s, whole: 10 * s},
		{when: "the same with a method that is declared repeatable", method: "POST", policy: retry.Policy{RepeatableMethods: []string{"POST"}}, left: 60 * s, connect: 10 * s, whole: 10 * s},
		{when: "a GET that is not", policy: retry.Policy{RepeatableMethods: []string{}}, left: 60 * s, connect: 10 * s, whole: 60 * s},
		{when: "the last one that is not safe to repeat", method: "POST", maxAttempts: 1, left: 60 * s, connect: 60 * s, whole: 60 * s},
		{when: "one that is not safe to repeat, with little time", method: "POST", left: 10 * s, connect: 10 * s, whole: 10 * s},
	} {
		if c.method == "" {
			c.method = http.MethodGet
		}
		request := retry.Request{Method: c.method, IdempotencyKey: c.key, Proxies: 3, MaxAttempts: c.maxAttempts, Deadline: noon.Add(c.left)}
		connect, whole := c.policy.Timeouts(request, c.history, noon)
		if connect != c.connect || whole != c.whole {
			t.Errorf("%s, with %v left: %v for the connection and %v in all, want %v and %v", c.when, c.left, connect, whole, c.connect, c.whole)
		}
	}
}

func TestWithoutADeadlineEveryAttemptMayTakeAsLongAsThePolicySays(t *testing.T) {
	t.Parallel()
	policy := retry.Policy{AttemptTimeout: 3 * time.Second}
	last := retry.Request{Method: http.MethodPost, MaxAttempts: 1}
	if connect, whole := policy.Timeouts(last, nil, noon); connect != 3*time.Second || whole != 3*time.Second {
		t.Errorf("got %v for the connection and %v in all, want 3s and 3s", connect, whole)
	}
}

func TestNoRequestEndsWithATimeoutWhileThereIsTimeLeft(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policy := drawPolicy(t)
		now := noon
		request := retry.Request{
			Method:         rapid.SampledFrom([]string{"GET", "POST"}).Draw(t, "method"),
			IdempotencyKey: rapid.Bool().Draw(t, "key"),
			Proxies:        rapid.IntRange(1, 5).Draw(t, "proxies"),
			MaxAttempts:    rapid.IntRange(0, 6).Draw(t, "most attempts"),
			Deadline:       now.Add(time.Duration(rapid.Int64Range(0, int64(10*time.Minute)).Draw(t, "deadline"))),
		}
		random := func() float64 { return rapid.Float64Range(0, 1-1e-9).Draw(t, "random") }
		var history []retry.Attempt
		for {
			connect, whole := policy.Timeouts(request, history, now)
			if left := request.Deadline.Sub(now); connect > whole || whole > left {
				t.Fatalf("%v for the connection and %v in all, with %v left", connect, whole, left)
			}
			var result retry.Result
			timedOut := rapid.Bool().Draw(t, "times out")
			switch {
			case timedOut && rapid.Bool().Draw(t, "without a connection"):
				result.Failure = &retry.Failure{Type: retry.ConnectionTimeout, Processed: retry.NotProcessed}
				result.Received = now.Add(connect)
			case timedOut:
				result.Failure = &retry.Failure{Type: retry.ConnectionReadTimeout, Processed: retry.MaybeProcessed}
				result.Received = now.Add(whole)
			default:
				result = drawResult(t, now.Add(whole/4))
			}
			d := policy.Next(request, history, result, random)
			if d.Outcome != retry.Again {
				if left := request.Deadline.Sub(result.Received); timedOut && left > 0 {
					t.Fatalf("a timeout ends the request with %v left (%s)", left, d.Why)
				}
				return
			}
			history = append(history, result.Attempt(fmt.Sprint("proxy-", len(history)), now, d))
			now = result.Received.Add(d.Delay)
		}
	})
}
