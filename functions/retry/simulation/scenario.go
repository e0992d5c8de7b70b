package main

import (
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/simulation"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A scenario is one that the strategies are put into, and policies that are compared with them there.
type scenario struct {
	simulation.Scenario
	variants []simulation.Strategy
}

// strategies are what is compared in every scenario.
var strategies = []simulation.Strategy{
	simulation.Tutorial, simulation.StepFunctions, simulation.StepFunctionsJitter,
	simulation.RetryableHTTP, simulation.Failsafe, simulation.Backoff,
	withoutFindings, simulation.ThisPolicy,
}

var withoutFindings = simulation.Strategy{Name: "this policy without findings", Open: simulation.Forgetful(retry.Policy{})}

// Policies that differ from the default where rate limits are concerned, and where errors are.
var (
	limitPolicies = []simulation.Strategy{simulation.PerAccount, simulation.From4s, simulation.PerAddress}
	errorPolicies = []simulation.Strategy{
		{Name: "this policy, server errors from 0.25 s", Open: simulation.Policy(retry.Policy{ServerErrors: retry.Budget{Base: 250 * time.Millisecond}})},
		simulation.SevenErrors,
	}
)

var scenarios = func() []scenario {
	atOnce := simulation.Scenario{
		Name:     "A limit by key, for everybody at once",
		About:    "60 calls in every 10 s for everybody together. Every 61 s, 100 requests at the same moment. Retry-After tells when the next window begins.",
		Upstream: simulation.Upstream{Limit: simulation.Each(simulation.NewWindow(10*time.Second, 60))},
		End:      10 * time.Minute, BurstEvery: 61 * time.Second, BurstSize: 100,
	}
	withCredential := atOnce
	withCredential.Name += ", with a credential"
	withCredential.About, withCredential.Credential = "The same, with a credential in each request.", true
	byAddress := simulation.ByAddress(57)
	byAddress.About += " Strategies without proxies have one address."
	shared := simulation.Scenario{
		Name:  "A limit by address, one of them shared",
		About: "200 calls in every 10 s for each address, of which somebody else makes 150 from the first. 35 requests per second, and every 60 s a burst of 300.",
		Upstream: simulation.Upstream{ByAddress: true, Limit: func(c simulation.Counted) simulation.Limiter {
			if c.Address == 0 {
				return simulation.NewWindow(10*time.Second, 200-150)()
			}
			return simulation.NewWindow(10*time.Second, 200)()
		}},
		Rate: 35, End: 10 * time.Minute, BurstEvery: 60 * time.Second, BurstSize: 300, BurstWithin: time.Second,
	}
	return []scenario{
		{simulation.KeyWithBursts, limitPolicies},
		{simulation.KeyInWindows, limitPolicies},
		{atOnce, limitPolicies},
		{withCredential, limitPolicies},
		{byAddress, limitPolicies},
		{shared, limitPolicies},
		{simulation.Outage(false, 4*time.Minute), errorPolicies},
		{simulation.Outage(true, 4*time.Minute), errorPolicies},
		{simulation.RandomErrors, errorPolicies},
	}
}()
