package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/simulation"
)

// A scenario is one that strategies are put into, with a table and sandboxes.
type scenario struct {
	simulation.Scenario // its name begins with a number of two digits
	strategies          []strategy
	store               table
	gateway             fleet
}

// What is compared.
var (
	today     = ungated(simulation.PerAccount)[0]
	libraries = ungated(simulation.RetryableHTTP, simulation.Failsafe)
	aws       = []strategy{
		{"AWS adaptive, one process", awsAdaptive(true)},
		{"AWS adaptive, per sandbox", awsAdaptive(false)},
	}
	refusing = []strategy{
		{"SRE throttle, one process", sreThrottle},
		{"retry budget 20%, ideal", budget(0.2)},
	}
	parks    = strategy{"parking", parking(everybody)}
	policies = append(ungated(simulation.ThisPolicy, simulation.PerAccount), parks)
	theGate  = strategy{"the gate", whole(nil)}
	bounded  = strategy{"the gate, 500 may wait", whole(waiting(500))}
	observed = strategy{"the gate, observing", whole(func(g *gated) { g.settings.Mode = gate.Observe })}

	// What is compared where there is a limit by key, and where everything fails.
	againstLimits  = slices.Concat(libraries, aws, refusing, policies, ungated(simulation.From4s))
	againstOutages = slices.Concat(libraries, refusing, policies, []strategy{
		{"the gate, ramp 1.2", whole(func(g *gated) { g.settings.Breaker.RampUp = 1.2 })},
		{"the gate, ramp 2", whole(func(g *gated) { g.settings.Breaker.RampUp = 2 })},
	}, ungated(simulation.SevenErrors))
)

func gates(more ...strategy) []strategy { return append([]strategy{theGate, bounded}, more...) }

// scenarios are the worlds that the strategies are put into.
var scenarios = func() []scenario {
	numbered := func(n int, s simulation.Scenario, strategies ...strategy) scenario {
		s.Name = fmt.Sprintf("%02d %s", n, s.Name)
		return scenario{Scenario: s, strategies: strategies}
	}
	bucket := func(rate, burst float64, changes ...simulation.Change) simulation.Upstream {
		return simulation.Upstream{Limit: simulation.Each(simulation.NewBucket(rate, burst, changes...))}
	}
	typedIn := func(rate, burst int) strategy {
		return strategy{fmt.Sprintf("typed in: rate %d, burst %d", rate, burst), fixed(rate, burst)}
	}
	variant := func(n int, name, about string, change func(*scenario)) scenario {
		s := numbered(n, simulation.KeyWithBursts, slices.Concat([]strategy{today, parks}, gates())...)
		s.Name, s.About = fmt.Sprintf("%02d %s", n, name), about
		change(&s)
		return s
	}
	overload := func(n int, percent float64) scenario {
		rate := 50 + percent/2
		return numbered(n, simulation.Scenario{
			Name:     fmt.Sprintf("Overload of %g%%", percent),
			About:    fmt.Sprintf("A token bucket of 50 per second, 50 deep. %g requests per second.", rate),
			Upstream: bucket(50, 50),
			Rate:     rate, End: 5 * time.Minute,
		}, slices.Concat(againstLimits, gates(typedIn(50, 40)))...)
	}
	byAddress := func(n int, rate float64) scenario {
		s := simulation.ByAddress(rate)
		s.Name += fmt.Sprintf(", %g per second", rate)
		return numbered(n, s, slices.Concat(ungated(simulation.ThisPolicy, simulation.PerAddress), []strategy{
			{"the gate, by address", whole(func(g *gated) { g.byAddress = true })},
			{"the gate, by address, 500 may wait", whole(func(g *gated) { g.byAddress, g.settings.MaxWaiting = true, 500 })},
		})...)
	}
	// Where limits are by tenant or route, a scope may be so, too, or one for all.
	scopes := func(by string, scope func(simulation.Kind) string, most int) []strategy {
		scoped := func(name string, scope func(simulation.Kind) string, most int) strategy {
			return strategy{name, whole(func(g *gated) { g.scope, g.settings.MaxWaiting = scope, most })}
		}
		return slices.Concat(ungated(simulation.ThisPolicy, simulation.PerAccount), []strategy{
			{"parking, one scope for all", parking(everybody)},
			{"parking by " + by, parking(scope)},
			scoped("the gate, by "+by, scope, gate.Unbounded),
			scoped(fmt.Sprintf("the gate, by %s, %d of each may wait", by, most), scope, most),
			scoped("the gate, one scope for all", everybody, gate.Unbounded),
			scoped("the gate, one scope for all, 500 may wait", everybody, 500),
		})
	}
	tenPercent := simulation.RandomErrors
	tenPercent.Name += ", 10%"
	silent := simulation.KeyWithBursts
	silent.Name, silent.About, silent.Upstream.Silent = "429 without Retry-After", "As 01, but without any field.", true
	return []scenario{
		numbered(1, simulation.KeyWithBursts, slices.Concat(againstLimits, gates(typedIn(50, 80), observed))...),
		numbered(2, simulation.KeyInWindows, slices.Concat(againstLimits, gates(typedIn(50, 80)))...),
		byAddress(3, 45), byAddress(4, 57), byAddress(5, 66),
		numbered(6, simulation.Outage(false, 6*time.Minute), slices.Concat(againstOutages, gates())...),
		numbered(7, simulation.Outage(true, 6*time.Minute), slices.Concat(againstOutages, gates())...),
		numbered(8, tenPercent, slices.Concat(refusing, policies, gates())...),
		numbered(9, simulation.Scenario{
			Name:     "Errors at random, 50%",
			About:    "Half of the calls are answered with 500. 100 requests per second.",
			Upstream: simulation.Upstream{Failures: 0.5},
			Rate:     100, End: 2 * time.Minute,
		}, slices.Concat(refusing, policies, gates())...),
		numbered(10, simulation.Scenario{
			Name:     "One sick host of twenty",
			About:    "One call in twenty is answered with 503 and Retry-After: 30. 100 requests per second.",
			Upstream: simulation.Upstream{Sick: 0.05},
			Rate:     100, End: 3 * time.Minute,
		}, slices.Concat([]strategy{today, parks}, gates())...),
		numbered(11, simulation.Scenario{
			Name:     "Many tenants, a limit by tenant",
			About:    "200 tenants, each with a token bucket of 2 per second, 5 deep. 100 requests per second, most of them of a few tenants: some ask for more than they may.",
			Upstream: simulation.Upstream{Limit: simulation.Each(simulation.NewBucket(2, 5)), ByTenant: true},
			Rate:     100, End: 5 * time.Minute,
			Kinds: func(r *rand.Rand) simulation.Kind { // a few tenants make most of the requests
				return simulation.Kind{Tenant: int(200 * math.Pow(r.Float64(), 3))}
			},
		}, scopes("tenant", tenantScope, 20)...),
		numbered(12, simulation.Scenario{
			Name:     "A limit that changes",
			About:    "A token bucket of 50 per second, 20 per second from 100 s on, 80 per second from 200 s on. 45 requests per second.",
			Upstream: bucket(50, 50, simulation.Change{From: 100 * time.Second, Rate: 20}, simulation.Change{From: 200 * time.Second, Rate: 80}),
			Rate:     45, End: 5 * time.Minute,
		}, slices.Concat(againstLimits, gates(typedIn(50, 40)))...),
		numbered(13, simulation.Scenario{
			Name:  "Routes with limits of their own",
			About: "Three routes, 25 requests per second each. The first allows 10 per second, the others 100.",
			Upstream: simulation.Upstream{ByRoute: true, Limit: func(c simulation.Counted) simulation.Limiter {
				if c.Kind.Route == 0 {
					return simulation.NewBucket(10, 10)()
				}
				return simulation.NewBucket(100, 100)()
			}},
			Rate: 75, End: 5 * time.Minute,
			Kinds: func(r *rand.Rand) simulation.Kind { return simulation.Kind{Route: r.IntN(3)} },
		}, scopes("route", routeScope, 50)...),
		numbered(14, simulation.Scenario{
			Name:     "A quota for the day",
			About:    "From 60 s on every call is answered with 429 and a Retry-After of six hours. 50 requests per second.",
			Upstream: simulation.Upstream{Exhausted: time.Minute},
			Rate:     50, End: 3 * time.Minute,
		}, slices.Concat(againstLimits, gates())...),
		numbered(15, silent, slices.Concat(againstLimits, gates())...),
		overload(16, 1), overload(17, 10), overload(18, 50),
		numbered(19, simulation.Scenario{
			Name:     "5,000 requests per second",
			About:    "A token bucket of 4,500 per second, 4,500 deep. 5,000 requests per second for 40 s.",
			Upstream: bucket(4500, 4500),
			Rate:     5000, End: 40 * time.Second,
		}, today, theGate, bounded, typedIn(4500, 4000)),
		variant(20, "As 01, clocks that differ by up to 2 s", "Each sandbox's clock is off by a constant of up to 2 s either way.", func(s *scenario) {
			s.gateway.skew = 2 * time.Second
			s.strategies = append(s.strategies, strategy{"the gate, by its own clocks", whole(func(g *gated) { g.ownClock = true })})
		}),
		variant(21, "As 01, a slow table that fails", "DynamoDB takes 5 to 20 ms with a tail of 180 ms, and one operation in a hundred fails.", func(s *scenario) { s.store.slow, s.store.failures = true, 0.01 }),
		variant(22, "As 01, a table that fails always", "Every operation of DynamoDB fails.", func(s *scenario) { s.store.slow, s.store.failures = true, 1 }),
		variant(23, "As 01, the state is lost", "All items are lost at 152 s, in the middle of a burst.", func(s *scenario) { s.store.lost = 152 * time.Second }),
		variant(24, "As 01, 300 sandboxes", "300 sandboxes, any of which gets the next request.", func(s *scenario) {
			s.gateway.minimum = 300
			s.strategies = append(s.strategies, strategy{"the gate, without a look at the start", whole(func(g *gated) { g.cold = true })})
		}),
		variant(25, "As 17, 300 sandboxes", "300 sandboxes, any of which gets the next request. 55 requests per second, a bucket of 50 per second.", func(s *scenario) {
			s.Upstream, s.Rate, s.BurstEvery = bucket(50, 50), 55, 0
			s.gateway.minimum = 300
		}),
		variant(26, "Nothing is wrong", "No limit, no error. 100 requests per second.", func(s *scenario) {
			s.Upstream, s.Rate, s.BurstEvery = simulation.Upstream{}, 100, 0
			s.strategies = append(s.strategies, typedIn(1000, 1000))
		}),
		variant(27, "Nothing is wrong, 300 sandboxes", "No limit, no error. 100 requests per second, any of 300 sandboxes gets the next.", func(s *scenario) {
			s.Upstream, s.Rate, s.BurstEvery = simulation.Upstream{}, 100, 0
			s.gateway.minimum = 300
		}),
		variant(28, "As 01, clocks that differ by up to 0.1 s", "Each sandbox's clock is off by a constant of up to 0.1 s either way.", func(s *scenario) { s.gateway.skew = 100 * time.Millisecond }),
		variant(29, "As 01, clocks that differ by up to 0.5 s", "Each sandbox's clock is off by a constant of up to 0.5 s either way.", func(s *scenario) { s.gateway.skew = 500 * time.Millisecond }),
		numbered(30, simulation.Scenario{
			Name:     "Slow calls",
			About:    "One call in fifty takes 3 s. 100 requests per second.",
			Upstream: simulation.Upstream{Slow: 0.02},
			Rate:     100, End: 2 * time.Minute,
		}, today, strategy{"hedge after 0.2 s", hedge(200 * time.Millisecond)}, strategy{"hedge after 1 s", hedge(time.Second)}),
		numbered(31, simulation.Scenario{
			Name:     "Slow calls, and an overload",
			About:    "One call in fifty takes 3 s, and a token bucket lets 100 per second through, 20 deep. 98 requests per second.",
			Upstream: simulation.Upstream{Slow: 0.02, Limit: simulation.Each(simulation.NewBucket(100, 20))},
			Rate:     98, End: 2 * time.Minute,
		}, slices.Concat([]strategy{today, {"hedge after 0.2 s", hedge(200 * time.Millisecond)}}, gates())...),
		numbered(32, simulation.Scenario{
			Name:     "An outage of five minutes",
			About:    "503 without Retry-After for 300 s. 100 requests per second.",
			Upstream: simulation.Upstream{Outage: simulation.Interval{Begin: time.Minute, End: 6 * time.Minute}},
			Rate:     100, End: 10 * time.Minute,
		}, append([]strategy{today}, gates()...)...),
	}
}()
