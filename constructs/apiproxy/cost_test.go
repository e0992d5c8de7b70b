package apiproxy_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestCostsAreThoseOfThePriceList(t *testing.T) {
	costs := props(func(p *apiproxy.RetryingApiProxyProps) {
		p.Retry.Scope = retry.PerAccount
		p.Retry.RateLimits = retry.Budget{Attempts: 4, Jitter: retry.NoJitter, Base: 250 * time.Millisecond}
	}).Explain().Costs
	// By hand, per million requests. One attempt: four transitions; one Express request of 0.3 s in 64 MB; a proxy of
	// 0.3 s in 256 MB and a gateway of 0.32 s in 128 MB, at 0.20 for each call.
	want := []apiproxy.Cost{
		{Attempts: 1, Transitions: 4, Express: 3.25, Standard: 126.67, GatewaySlots: 4, ProxySlots: 3},
		// After a quarter of a second: no Wait state, but as much slept in the second proxy; 0.85 s are billed as 0.9 s.
		{Attempts: 2, Transitions: 6, Waiting: 250 * time.Millisecond, Express: 6.82, Standard: 178.70, GatewaySlots: 9, ProxySlots: 9},
		{Attempts: 3, Transitions: 8, Waiting: 750 * time.Millisecond, Express: 11.85, Standard: 231.57, GatewaySlots: 17, ProxySlots: 17},
		// After a second more: a Wait state, and half a second slept.
		{Attempts: 4, Transitions: 11, Waiting: 1750 * time.Millisecond, Express: 18.24, Standard: 309.43, GatewaySlots: 30, ProxySlots: 25},
	}
	if diff := cmp.Diff(want, costs); diff != "" {
		t.Error(diff)
	}
}

func TestCostsGoUpToTheAttemptsOfTheLargestBudget(t *testing.T) {
	costs := props(func(p *apiproxy.RetryingApiProxyProps) {
		p.Retry.RateLimits.Attempts, p.Retry.ServerErrors.Attempts, p.Retry.NetworkFailures.Attempts = 2, 5, 3
	}).Explain().Costs
	if len(costs) != 5 || costs[4].Attempts != 5 {
		t.Errorf("the costs are %+v; want those of 1 to 5 attempts", costs)
	}
}

func TestTheGatewaysTimeCostsByItsOwnMemory(t *testing.T) {
	explained := func(gateway int) apiproxy.Explanation {
		return props(func(p *apiproxy.RetryingApiProxyProps) {
			p.GatewayMemorySizeMiB = gateway
			p.Retry.Scope = retry.PerAccount
			p.Retry.RateLimits = retry.Budget{Attempts: 4, Jitter: retry.NoJitter, Base: 250 * time.Millisecond}
		}).Explain()
	}
	// By hand: the gateway of four attempts is held for 2.97 s, which cost $9.90 per million in 256 MB, and half of it in 128 MB.
	half, whole := explained(128), explained(256)
	if got := whole.Costs[3].Express - half.Costs[3].Express; math.Abs(got-4.95) > 0.011 {
		t.Errorf("half the memory saves $%.2f; want $4.95", got)
	}
	if got := whole.Costs[3].Express; got != 23.19 {
		t.Errorf("with 256 MB it is $%.2f; want $23.19", got)
	}
	for memory, want := range map[int]string{128: "a gateway of 128 MB and proxies of 256 MB on arm64", 256: "functions of 256 MB on arm64"} {
		if text := explained(memory).String(); !strings.Contains(text, want) {
			t.Errorf("the explanation does not say %q:\n%s", want, text)
		}
	}
}
