package apiproxy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestTheLongestDeadlineAndTheLongestWaitThatFitAreAccepted(t *testing.T) {
	for name, c := range map[string]struct {
		policy retry.Policy
		fits   bool
	}{
		"the longest deadline":                          {retry.Policy{MaxDeadline: 290 * time.Second}, true},
		"a longer deadline":                             {retry.Policy{MaxDeadline: 290*time.Second + 1}, false},
		"an attempt as long as anybody likes":           {retry.Policy{AttemptTimeout: time.Hour}, true},
		"an attempt with the least time before it ends": {fixedWait(289500 * time.Millisecond), true},
		"an attempt with less":                          {fixedWait(289501 * time.Millisecond), false},
	} {
		if err := props(func(p *apiproxy.RetryingApiProxyProps) { p.Retry = c.policy }).Validate(); (err == nil) != c.fits {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// fixedWait is a policy whose second attempt after a server error starts a fixed time after the first one.
func fixedWait(wait time.Duration) retry.Policy {
	return retry.Policy{ServerErrors: retry.Budget{Attempts: 2, Base: wait, Max: wait, Jitter: retry.NoJitter}}
}

func TestAttemptsThatOtherProxiesMakeAtOnceFit(t *testing.T) {
	for proxies, fits := range map[int]bool{3: true, 2: false} {
		err := props(func(p *apiproxy.RetryingApiProxyProps) {
			p.ProxyCount = proxies
			p.Retry.Scope = retry.PerAddress
			p.Retry.RateLimits = retry.Budget{Attempts: 3, Base: 5 * time.Minute, Max: 5 * time.Minute, Jitter: retry.NoJitter}
		}).Validate()
		if (err == nil) != fits {
			t.Errorf("three attempts with %d proxies: %v", proxies, err)
		}
	}
}

func TestAPolicyThatDoesNotFitIsToldWhichNumberToChange(t *testing.T) {
	err := props(func(p *apiproxy.RetryingApiProxyProps) {
		p.ProxyCount = 1
		p.Retry = retry.Policy{
			RateLimits:     retry.Budget{Attempts: 100, Base: time.Millisecond},
			ServerErrors:   retry.Budget{Attempts: 98, Base: 5 * time.Minute, Max: time.Hour, Jitter: retry.NoJitter},
			AttemptTimeout: 5 * time.Minute,
			MaxDeadline:    10 * time.Minute,
			Scope:          retry.PerAddress,
		}
	}).Validate()
	if err == nil {
		t.Fatal("the policy fits")
	}
	for _, want := range []string{
		"Retry.MaxDeadline is 10m0s, but an Express execution ends after 5m0s, of which 10s are kept for what is not an attempt: " +
			"lower MaxDeadline to 4m50s or less",
		`Retry.Scope is "per-address", but there is one proxy, and so one address: give two proxies or more, or the scope "per-account"`,
		"Retry.ServerErrors.Attempts is 98, but attempt 3 cannot start before 15m0s, with MaxDeadline at 10m0s: " +
			"lower ServerErrors.Attempts to 2, lower its Base or Max, or raise MaxDeadline",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message does not say %q", want)
		}
	}
	if lines := strings.Count(err.Error(), "\n") + 1; lines != 3 {
		t.Errorf("%d problems, want 3:\n%v", lines, err)
	}
}

func TestTheRoutesOfAPolicyHaveToFit(t *testing.T) {
	route := func(policy retry.Policy) error {
		return props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Retry = retry.Policy{MaxDeadline: 2 * time.Minute, Routes: []retry.Route{{Path: "/reports", Policy: policy}}}
		}).Validate()
	}
	if err := route(retry.Policy{MaxDeadline: 290 * time.Second, AttemptTimeout: time.Minute}); err != nil {
		t.Errorf("a route that fits is refused: %v", err)
	}
	err := route(retry.Policy{MaxDeadline: 5 * time.Minute})
	if want := "Retry.Routes[0].Policy.MaxDeadline is 5m0s, but an Express execution ends after 5m0s"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the message is %v; want it to say %q", err, want)
	}
}
