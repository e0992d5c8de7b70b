package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A scenario is an upstream and when requests arrive.
type scenario struct {
	name  string
	about string

	upstream   upstream
	strategies []strategy

	// rate is how many requests arrive per second, at random moments, until end.
	rate float64
	end  time.Duration

	// Each burst adds size requests within one second, every so often.
	burstEvery time.Duration
	burstSize  int

	// kinds draws whose request it is.
	kinds func(*rand.Rand) kind

	// The table and the sandboxes.
	store   table
	gateway pool
}

// What is compared.
var (
	today  = strategy{"this policy, per-account", alone(perAccount)}
	others = []strategy{
		{"go-retryablehttp", alone(retryableHTTP)},
		{"failsafe-go", alone(failsafe)},
		{"AWS adaptive, one process", awsAdaptive(true)},
		{"AWS adaptive, per sandbox", awsAdaptive(false)},
		{"SRE throttle, one process", sreThrottle},
		{"retry budget 20%, ideal", budget(0.2)},
		thisPolicy,
		today,
		{"parking", parking(everybody)},
	}
	theGate  = strategy{"the gate", whole(nil)}
	bounded  = strategy{"the gate, 500 may wait", whole(waiting(500))}
	observed = strategy{"the gate, observing", whole(func(g *gated) { g.settings.Mode = gate.Observe })}
	ramps    = []strategy{
		{"the gate, ramp 1.2", whole(func(g *gated) { g.settings.Breaker.RampUp = 1.2 })},
		{"the gate, ramp 2", whole(func(g *gated) { g.settings.Breaker.RampUp = 2 })},
		{"this policy, 7 server errors", alone(policy(retry.Policy{ServerErrors: retry.Budget{Attempts: 7}}))},
	}
)

func and(all ...[]strategy) []strategy {
	var out []strategy
	for _, a := range all {
		out = append(out, a...)
	}
	return out
}

func gates(more ...strategy) []strategy { return append([]strategy{theGate, bounded}, more...) }

// scenarios are the worlds that the strategies are put into.
var scenarios = func() []scenario {
	bursts := scenario{
		name:       "01 A limit by key, with bursts",
		about:      "A token bucket of 50 per second, 100 deep, for everybody together. 35 requests per second, and every 30 s a burst of 200. Retry-After tells when there is a token again: to everybody the same second.",
		upstream:   upstream{limit: each(newBucket(50, 100))},
		strategies: and(others, gates(strategy{"typed in: rate 50, burst 80", fixed(50, 80)}, observed)),
		rate:       35, end: 5 * time.Minute, burstEvery: 30 * time.Second, burstSize: 200,
	}
	variant := func(s scenario, name, about string, change func(*scenario)) scenario {
		s.name, s.about = name, about
		s.strategies = append([]strategy{today}, gates()...)
		change(&s)
		return s
	}
	overload := func(n int, percent float64) scenario {
		return scenario{
			name:       fmt.Sprintf("%02d Overload of %g%%", n, percent),
			about:      fmt.Sprintf("A token bucket of 50 per second, 50 deep. %g requests per second.", 50+percent/2),
			upstream:   upstream{limit: each(newBucket(50, 50))},
			strategies: and(others, gates(strategy{"typed in: rate 50, burst 40", fixed(50, 40)})),
			rate:       50 + percent/2, end: 5 * time.Minute,
		}
	}
	byAddress := func(n int, rate float64) scenario {
		return scenario{
			name:     fmt.Sprintf("%02d A limit by address, %g per second", n, rate),
			about:    fmt.Sprintf("A token bucket of 20 per second, 20 deep, for each of 3 addresses. %g requests per second.", rate),
			upstream: upstream{limit: each(newBucket(20, 20)), byAddress: true},
			strategies: []strategy{
				thisPolicy,
				{"this policy, per-address", alone(policy(retry.Policy{Scope: retry.PerAddress}))},
				{"the gate, by address", whole(func(g *gated) { g.byAddress = true })},
				{"the gate, by address, 500 may wait", whole(func(g *gated) { g.byAddress, g.settings.MaxWaiting = true, 500 })},
			},
			rate: rate, end: 5 * time.Minute,
		}
	}
	tenants := func(r *rand.Rand) kind { // a few tenants make most of the requests
		return kind{tenant: int(200 * math.Pow(r.Float64(), 3))}
	}
	routes := func(r *rand.Rand) kind { return kind{route: r.IntN(3)} }
	scoped := func(name string, scope func(kind) string, most int) strategy {
		return strategy{name, whole(func(g *gated) { g.scope, g.settings.MaxWaiting = scope, most })}
	}
	return []scenario{
		bursts,
		{
			name:       "02 A limit by key, in windows",
			about:      "500 calls in every 10 s for everybody together. 40 requests per second, and every 30 s a burst of 200. Retry-After tells when the next window begins.",
			upstream:   upstream{limit: each(newWindow(10*time.Second, 500))},
			strategies: and(others, gates(strategy{"typed in: rate 50, burst 80", fixed(50, 80)})),
			rate:       40, end: 5 * time.Minute, burstEvery: 30 * time.Second, burstSize: 200,
		},
		byAddress(3, 45), byAddress(4, 57), byAddress(5, 66),
		{
			name:       "06 An outage of a minute",
			about:      "503 without Retry-After for 60 s. 200 requests per second.",
			upstream:   upstream{outage: interval{time.Minute, 2 * time.Minute}},
			strategies: and(others[:2], others[4:], ramps, gates()),
			rate:       200, end: 6 * time.Minute,
		},
		{
			name:       "07 An outage of a minute, announced",
			about:      "503 for 60 s with a Retry-After that tells everybody the same end. 200 requests per second.",
			upstream:   upstream{outage: interval{time.Minute, 2 * time.Minute}, announced: true},
			strategies: and(others[:2], others[4:], ramps, gates()),
			rate:       200, end: 6 * time.Minute,
		},
		{
			name:       "08 Errors at random, 10%",
			about:      "One call in ten is answered with 500. 100 requests per second.",
			upstream:   upstream{failures: 0.1},
			strategies: and(others[4:], gates()),
			rate:       100, end: 2 * time.Minute,
		},
		{
			name:       "09 Errors at random, 50%",
			about:      "Half of the calls are answered with 500. 100 requests per second.",
			upstream:   upstream{failures: 0.5},
			strategies: and(others[4:], gates()),
			rate:       100, end: 2 * time.Minute,
		},
		{
			name:       "10 One sick host of twenty",
			about:      "One call in twenty is answered with 503 and Retry-After: 30. 100 requests per second.",
			upstream:   upstream{sick: 0.05},
			strategies: and(others[7:], gates()),
			rate:       100, end: 3 * time.Minute,
		},
		{
			name:     "11 Many tenants, a limit by tenant",
			about:    "200 tenants, each with a token bucket of 2 per second, 5 deep. 100 requests per second, most of them of a few tenants: some ask for more than they may.",
			upstream: upstream{limit: each(newBucket(2, 5)), byTenant: true},
			strategies: []strategy{
				thisPolicy, today,
				{"parking, one scope for all", parking(everybody)},
				{"parking by tenant", parking(tenantScope)},
				scoped("the gate, by tenant", tenantScope, gate.Unbounded),
				scoped("the gate, by tenant, 20 of each may wait", tenantScope, 20),
				scoped("the gate, one scope for all", everybody, gate.Unbounded),
				scoped("the gate, one scope for all, 500 may wait", everybody, 500),
			},
			rate: 100, end: 5 * time.Minute, kinds: tenants,
		},
		{
			name:       "12 A limit that changes",
			about:      "A token bucket of 50 per second, 20 per second from 100 s on, 80 per second from 200 s on. 45 requests per second.",
			upstream:   upstream{limit: each(newBucket(50, 50, change{100 * time.Second, 20}, change{200 * time.Second, 80}))},
			strategies: and(others, gates(strategy{"typed in: rate 50, burst 40", fixed(50, 40)})),
			rate:       45, end: 5 * time.Minute,
		},
		{
			name:  "13 Routes with limits of their own",
			about: "Three routes, 25 requests per second each. The first allows 10 per second, the others 100.",
			upstream: upstream{limit: func(k kind) limiter {
				if k.route == 0 {
					return newBucket(10, 10)()
				}
				return newBucket(100, 100)()
			}, byRoute: true},
			strategies: []strategy{
				thisPolicy, today,
				{"parking, one scope for all", parking(everybody)},
				{"parking by route", parking(routeScope)},
				scoped("the gate, by route", routeScope, gate.Unbounded),
				scoped("the gate, by route, 50 of each may wait", routeScope, 50),
				scoped("the gate, one scope for all", everybody, gate.Unbounded),
				scoped("the gate, one scope for all, 500 may wait", everybody, 500),
			},
			rate: 75, end: 5 * time.Minute, kinds: routes,
		},
		{
			name:       "14 A quota for the day",
			about:      "From 60 s on every call is answered with 429 and a Retry-After of six hours. 50 requests per second.",
			upstream:   upstream{exhausted: time.Minute},
			strategies: and(others, gates()),
			rate:       50, end: 3 * time.Minute,
		},
		{
			name:       "15 429 without Retry-After",
			about:      "As 01, but without any field.",
			upstream:   upstream{limit: each(newBucket(50, 100)), silent: true},
			strategies: and(others, gates()),
			rate:       35, end: 5 * time.Minute, burstEvery: 30 * time.Second, burstSize: 200,
		},
		overload(16, 1), overload(17, 10), overload(18, 50),
		{
			name:     "19 5,000 requests per second",
			about:    "A token bucket of 4,500 per second, 4,500 deep. 5,000 requests per second for 40 s.",
			upstream: upstream{limit: each(newBucket(4500, 4500))},
			strategies: []strategy{
				today, theGate, bounded,
				{"typed in: rate 4500, burst 4000", fixed(4500, 4000)},
			},
			rate: 5000, end: 40 * time.Second,
		},
		variant(bursts, "20 As 01, clocks that differ by up to 2 s", "Each sandbox's clock is off by a constant of up to 2 s either way.", func(s *scenario) {
			s.gateway.skew = 2 * time.Second
			s.strategies = append(s.strategies, strategy{"the gate, by its own clocks", whole(func(g *gated) { g.ownClock = true })})
		}),
		variant(bursts, "21 As 01, a slow table that fails", "DynamoDB takes 5 to 20 ms with a tail of 180 ms, and one operation in a hundred fails.", func(s *scenario) { s.store.slow, s.store.failures = true, 0.01 }),
		variant(bursts, "22 As 01, a table that fails always", "Every operation of DynamoDB fails.", func(s *scenario) { s.store.slow, s.store.failures = true, 1 }),
		variant(bursts, "23 As 01, the state is lost", "All items are lost at 152 s, in the middle of a burst.", func(s *scenario) { s.store.lost = 152 * time.Second }),
		variant(bursts, "24 As 01, 300 sandboxes", "300 sandboxes, any of which gets the next request.", func(s *scenario) {
			s.gateway.minimum = 300
			s.strategies = append(s.strategies, strategy{"the gate, without a look at the start", whole(func(g *gated) { g.cold = true })})
		}),
		variant(bursts, "25 As 17, 300 sandboxes", "300 sandboxes, any of which gets the next request. 55 requests per second, a bucket of 50 per second.", func(s *scenario) {
			o := overload(17, 10)
			s.upstream, s.rate, s.burstEvery = o.upstream, o.rate, 0
			s.gateway.minimum = 300
		}),
		variant(bursts, "26 Nothing is wrong", "No limit, no error. 100 requests per second.", func(s *scenario) {
			s.upstream, s.rate, s.burstEvery = upstream{}, 100, 0
			s.strategies = append(s.strategies, strategy{"typed in: rate 1000, burst 1000", fixed(1000, 1000)})
		}),
		variant(bursts, "27 Nothing is wrong, 300 sandboxes", "No limit, no error. 100 requests per second, any of 300 sandboxes gets the next.", func(s *scenario) {
			s.upstream, s.rate, s.burstEvery = upstream{}, 100, 0
			s.gateway.minimum = 300
		}),
		{
			name:       "32 An outage of five minutes",
			about:      "503 without Retry-After for 300 s. 100 requests per second.",
			upstream:   upstream{outage: interval{time.Minute, 6 * time.Minute}},
			strategies: append([]strategy{today}, gates()...),
			rate:       100, end: 10 * time.Minute,
		},
	}
}()

// arrivals returns when requests arrive. They are the same for every strategy.
func (s scenario) arrivals(random *rand.Rand) []time.Duration {
	var at []time.Duration
	for t := 0.0; ; {
		t += random.ExpFloat64() / s.rate
		moment := time.Duration(t * float64(time.Second))
		if moment >= s.end {
			break
		}
		at = append(at, moment)
	}
	if s.burstEvery > 0 {
		for begin := s.burstEvery; begin < s.end; begin += s.burstEvery {
			for range s.burstSize {
				at = append(at, begin+time.Duration(random.Int64N(int64(time.Second))))
			}
		}
	}
	return at
}

func newRandom(seed ...uint64) *rand.Rand { return rand.New(rand.NewPCG(seed[0], seed[len(seed)-1])) }

// play puts a strategy into a scenario. Nil stands for somebody who knows everything.
func (s scenario) play(seed uint64, with *strategy) *world {
	w := &world{upstream: s.upstream, random: newRandom(seed, 1), shared: newRandom(seed, 5), store: s.store, gateways: s.gateway}
	w.upstream.random = newRandom(seed, 2)
	arrivals := s.arrivals(newRandom(seed, 3))
	kinds := newRandom(seed, 4)
	w.measures.requests = len(arrivals)
	var run func(*request)
	if with != nil {
		run = with.run(w)
	}
	for _, at := range arrivals {
		var k kind
		if s.kinds != nil {
			k = s.kinds(kinds)
		}
		if with == nil {
			w.omniscient(at, k)
		} else {
			w.request(at, k, run)
		}
	}
	w.run()
	return w
}
