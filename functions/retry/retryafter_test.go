package retry_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// The next proxy may go on where others were limited, but whoever asks again begins with the first one.
func TestTheCallerIsToldTheLongestWaitOfAllProxies(t *testing.T) {
	received := noon
	history := []retry.Attempt{{Proxy: "proxy-1", Status: 429, Kind: retry.RateLimit, NotBefore: received.Add(30 * time.Second).UnixMilli()}}
	result := retry.Result{Status: 429, Header: http.Header{"Retry-After": {"10"}}, Received: received}
	for _, scope := range []retry.Scope{retry.PerAddress, retry.PerAccount, retry.Inferred} {
		request := retry.Request{Method: "GET", Proxies: 3, MaxAttempts: 2}
		decision := retry.Policy{Scope: scope}.Next(request, history, result, func() float64 { return 0 })
		if decision.Outcome != retry.Failed || decision.Reason != retry.AttemptsExhausted || decision.RetryAfter != 30*time.Second {
			t.Errorf("%s: it ends with %s %s, to be asked again in %v, want 30s", scope, decision.Outcome, decision.Reason, decision.RetryAfter)
		}
	}
}

func TestWhereTheUpstreamSaysNothingTheCallerIsToldTheBackoffBeforeANextAttempt(t *testing.T) {
	t.Parallel()
	half := func() float64 { return 0.5 }
	c := get(t, retry.Policy{})
	c.random = half
	wantAgain(t, c.answers(503), 500*time.Millisecond)
	wantAgain(t, c.answers(503), 1*time.Second)
	wantFailed(t, c.answers(503), retry.AttemptsExhausted, 2*time.Second) // half of the third window, of 4 s

	c = post(t, retry.Policy{ServerErrors: retry.Budget{Jitter: retry.NoJitter, Base: 3 * time.Second}})
	wantFailed(t, c.answers(500), retry.UnsafeToRepeat, 3*time.Second)

	c = get(t, retry.Policy{Scope: retry.PerAccount, RateLimits: retry.Budget{Attempts: 1}})
	c.random = half
	wantFailed(t, c.answers(429), retry.AttemptsExhausted, 500*time.Millisecond)

	// The quick try at once is for this request, and not for the next one.
	c = get(t, retry.Policy{RateLimits: retry.Budget{Attempts: 1, Jitter: retry.NoJitter}})
	wantFailed(t, c.answers(429), retry.AttemptsExhausted, 1*time.Second)

	// A moment that has passed is none.
	c = get(t, retry.Policy{ServerErrors: retry.Budget{Attempts: 1, Jitter: retry.NoJitter}})
	wantFailed(t, c.answers(503, "Retry-After: 0"), retry.AttemptsExhausted, 1*time.Second)
}

func TestNobodyIsToldToComeAgainToAFailureThatStays(t *testing.T) {
	t.Parallel()
	wantFailed(t, get(t, retry.Policy{}).fails(retry.TLSCertificateError, retry.NotProcessed), retry.NotRetryable, 0)
	wantFailed(t, post(t, retry.Policy{}).fails(retry.HTTPResponseBodySize, retry.MaybeProcessed), retry.UnsafeToRepeat, 0)
}
