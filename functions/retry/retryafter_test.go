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
