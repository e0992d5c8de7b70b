package apiproxy_test

import (
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestTwoHundredAttemptsFitIntoWhatAnExecutionCanSay(t *testing.T) {
	for serverErrors, fits := range map[int]bool{97: true, 98: false} { // with 100 and 3 of the other kinds
		err := props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Retry = retry.Policy{
				RateLimits:      retry.Budget{Attempts: 100},
				ServerErrors:    retry.Budget{Attempts: serverErrors},
				NetworkFailures: retry.Budget{Attempts: 3},
			}
		}).Validate()
		if (err == nil) != fits {
			t.Errorf("%d attempts: %v", 103+serverErrors, err)
		}
	}
}
