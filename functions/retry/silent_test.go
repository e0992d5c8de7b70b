package retry_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestALimitThatSaysNothingEndsWithWhatToSet(t *testing.T) {
	t.Parallel()
	policy := retry.Policy{RateLimits: retry.Budget{Attempts: 1, Base: 8 * time.Second, Jitter: retry.NoJitter}}
	silent := retry.Result{Status: http.StatusTooManyRequests, Header: http.Header{}, Received: noon}
	d := policy.Next(retry.Request{Method: "GET", Proxies: 3}, nil, silent, lowest)
	for _, want := range []string{"nothing says when the limit ends", "the backoff would be 8s", "signals", "rateLimits.base"} {
		if d.Outcome != retry.Failed || !strings.Contains(d.Details, want) {
			t.Errorf("%s: %q; want it to say %q", d.Outcome, d.Details, want)
		}
	}
	if a := silent.Attempt("proxy-1", noon, d); a.Details != d.Details {
		t.Errorf("the attempt says %q", a.Details)
	}
	told := silent
	told.Header = http.Header{"Retry-After": {"30"}}
	for what, result := range map[string]retry.Result{
		"a limit that says when": told, "a server error": {Status: 500, Header: http.Header{}, Received: noon},
	} {
		p := policy
		p.ServerErrors.Attempts = 1
		if d := p.Next(retry.Request{Method: "GET", Proxies: 3}, nil, result, lowest); d.Outcome != retry.Failed || d.Details != "" {
			t.Errorf("%s: %s with %q", what, d.Outcome, d.Details)
		}
	}
}
