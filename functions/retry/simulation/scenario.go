package main

import (
	"math/rand/v2"
	"time"
)

// A scenario is an upstream and when requests arrive.
type scenario struct {
	name  string
	about string

	upstream upstream

	// variants are the policies that are compared with the strategies.
	variants []strategy

	// credential says that each request carries one.
	credential bool

	// rate is how many requests arrive per second, at random moments, until end.
	rate float64
	end  time.Duration

	// Each burst adds size requests within a time, every so often.
	burstEvery  time.Duration
	burstSize   int
	burstWithin time.Duration
}

// scenarios are the worlds that the strategies are put into.
var scenarios = []scenario{
	{
		name:     "A limit by key, with bursts",
		about:    "A token bucket of 50 per second, 100 deep, for everybody together. 35 requests per second, and every 30 s a burst of 200. Retry-After tells when there is a token again: to everybody the same second.",
		upstream: upstream{limit: newBucket(50, 100)},
		variants: limitPolicies,
		rate:     35, end: 5 * time.Minute, burstEvery: 30 * time.Second, burstSize: 200, burstWithin: time.Second,
	},
	{
		name:     "A limit by key, in windows",
		about:    "500 calls in every 10 s for everybody together. 40 requests per second, and every 30 s a burst of 200. Retry-After tells when the next window begins.",
		upstream: upstream{limit: newWindow(10*time.Second, 500)},
		variants: limitPolicies,
		rate:     40, end: 5 * time.Minute, burstEvery: 30 * time.Second, burstSize: 200, burstWithin: time.Second,
	},
	{
		name:     "A limit by key, for everybody at once",
		about:    "60 calls in every 10 s for everybody together. Every 61 s, 100 requests at the same moment. Retry-After tells when the next window begins.",
		upstream: upstream{limit: newWindow(10*time.Second, 60)},
		variants: limitPolicies,
		end:      10 * time.Minute, burstEvery: 61 * time.Second, burstSize: 100,
	},
	{
		name:       "A limit by key, for everybody at once, with a credential",
		about:      "The same, with a credential in each request.",
		upstream:   upstream{limit: newWindow(10*time.Second, 60)},
		credential: true,
		variants:   limitPolicies,
		end:        10 * time.Minute, burstEvery: 61 * time.Second, burstSize: 100,
	},
	{
		name:     "A limit by address",
		about:    "A token bucket of 20 per second, 20 deep, for each address. 57 requests per second. Strategies without proxies have one address.",
		upstream: upstream{limit: newBucket(20, 20), byAddress: true},
		variants: limitPolicies,
		rate:     57, end: 5 * time.Minute,
	},
	{
		name:     "A limit by address, one of them shared",
		about:    "200 calls in every 10 s for each address, of which somebody else makes 150 from the first. 35 requests per second, and every 60 s a burst of 300.",
		upstream: upstream{limit: newWindow(10*time.Second, 200), byAddress: true, taken: 150},
		variants: limitPolicies,
		rate:     35, end: 10 * time.Minute, burstEvery: 60 * time.Second, burstSize: 300, burstWithin: time.Second,
	},
	{
		name:     "An outage of a minute",
		about:    "503 without Retry-After for 60 s. 200 requests per second.",
		upstream: upstream{outage: interval{time.Minute, 2 * time.Minute}},
		variants: errorPolicies,
		rate:     200, end: 4 * time.Minute,
	},
	{
		name:     "An outage of a minute, announced",
		about:    "503 for 60 s with a Retry-After that tells everybody the same end. 200 requests per second.",
		upstream: upstream{outage: interval{time.Minute, 2 * time.Minute}, announced: true},
		variants: errorPolicies,
		rate:     200, end: 4 * time.Minute,
	},
	{
		name:     "Errors at random",
		about:    "One call in ten is answered with 500. 100 requests per second.",
		upstream: upstream{failures: 0.1},
		variants: errorPolicies,
		rate:     100, end: 2 * time.Minute,
	},
}

// arrivals returns when requests arrive. They are the same for every strategy.
func (s scenario) arrivals(random *rand.Rand) []time.Duration {
	var at []time.Duration
	for t := 0.0; s.rate > 0; {
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
				at = append(at, begin+time.Duration(random.Float64()*float64(s.burstWithin)))
			}
		}
	}
	return at
}

// play runs a strategy in a scenario. Nil stands for a caller who knows everything.
func (s scenario) play(seed uint64, with *strategy) *measures {
	w := &world{upstream: s.upstream, credential: s.credential, random: rand.New(rand.NewPCG(seed, 1))}
	w.upstream.random = rand.New(rand.NewPCG(seed, 2))
	arrivals := s.arrivals(rand.New(rand.NewPCG(seed, 3)))
	w.measures.requests = len(arrivals)
	begin := w.omniscient
	if with != nil {
		open := with.open(w)
		begin = func(at time.Duration) { w.request(at, open) }
	}
	for _, at := range arrivals {
		begin(at)
	}
	w.run()
	return &w.measures
}
