package simulation

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// A Scenario is an upstream and when requests arrive.
type Scenario struct {
	Name, About string

	Upstream Upstream

	// Credential says that each request carries one.
	Credential bool

	// Rate is how many requests arrive per second, at random moments, until End.
	Rate float64
	End  time.Duration

	// Each burst adds BurstSize requests within a time, every so often. BurstWithin zero: at the same moment.
	BurstEvery  time.Duration
	BurstWithin time.Duration
	BurstSize   int

	// Kinds draws whose request it is. Nil: all are of one kind.
	Kinds func(*rand.Rand) Kind
}

// Scenarios that both commands have.
var (
	KeyWithBursts = Scenario{
		Name:     "A limit by key, with bursts",
		About:    "A token bucket of 50 per second, 100 deep, for everybody together. 35 requests per second, and every 30 s a burst of 200. Retry-After tells when there is a token again: to everybody the same second.",
		Upstream: Upstream{Limit: Each(NewBucket(50, 100))},
		Rate:     35, End: 5 * time.Minute, BurstEvery: 30 * time.Second, BurstSize: 200, BurstWithin: time.Second,
	}
	KeyInWindows = Scenario{
		Name:     "A limit by key, in windows",
		About:    "500 calls in every 10 s for everybody together. 40 requests per second, and every 30 s a burst of 200. Retry-After tells when the next window begins.",
		Upstream: Upstream{Limit: Each(NewWindow(10*time.Second, 500))},
		Rate:     40, End: 5 * time.Minute, BurstEvery: 30 * time.Second, BurstSize: 200, BurstWithin: time.Second,
	}
	RandomErrors = Scenario{
		Name:     "Errors at random",
		About:    "One call in ten is answered with 500. 100 requests per second.",
		Upstream: Upstream{Failures: 0.1},
		Rate:     100, End: 2 * time.Minute,
	}
)

// ByAddress is a limit by address, for so many requests per second.
func ByAddress(rate float64) Scenario {
	return Scenario{
		Name:     "A limit by address",
		About:    fmt.Sprintf("A token bucket of 20 per second, 20 deep, for each of %d addresses. %g requests per second.", Proxies, rate),
		Upstream: Upstream{Limit: Each(NewBucket(20, 20)), ByAddress: true},
		Rate:     rate, End: 5 * time.Minute,
	}
}

// Outage is an outage of a minute, and what comes after it, until the end. announced says that a Retry-After tells when it
// is over.
func Outage(announced bool, end time.Duration) Scenario {
	s := Scenario{
		Name:     "An outage of a minute",
		About:    "503 without Retry-After for 60 s. 200 requests per second.",
		Upstream: Upstream{Outage: Interval{time.Minute, 2 * time.Minute}, Announced: announced},
		Rate:     200, End: end,
	}
	if announced {
		s.Name += ", announced"
		s.About = "503 for 60 s with a Retry-After that tells everybody the same end. 200 requests per second."
	}
	return s
}

// arrivals returns when requests arrive. They are the same for every strategy.
func (s Scenario) arrivals(random *rand.Rand) []time.Duration {
	var at []time.Duration
	for t := 0.0; s.Rate > 0; {
		t += random.ExpFloat64() / s.Rate
		moment := time.Duration(t * float64(time.Second))
		if moment >= s.End {
			break
		}
		at = append(at, moment)
	}
	for begin := s.BurstEvery; s.BurstEvery > 0 && begin < s.End; begin += s.BurstEvery {
		for range s.BurstSize {
			moment := begin
			if s.BurstWithin > 0 {
				moment += time.Duration(random.Int64N(int64(s.BurstWithin)))
			}
			at = append(at, moment)
		}
	}
	return at
}

// Streams of random numbers that belong to one seed, so that none of them depends on how many another one has drawn.
const (
	strategyStream uint64 = iota + 1
	upstreamStream
	arrivalStream
	kindStream

	// OwnStream is for what a command draws besides.
	OwnStream
)

// NewRandom returns a stream of random numbers.
func NewRandom(seed, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }

// Play puts a strategy into a scenario: open makes what the requests share, and returns what makes the attempts of each. Nil
// stands for somebody who knows everything.
func (s Scenario) Play(seed uint64, open func(*World) func(*Request)) *World {
	w := &World{Upstream: s.Upstream, Random: NewRandom(seed, strategyStream), credential: s.Credential}
	w.Upstream.random = NewRandom(seed, upstreamStream)
	arrivals := s.arrivals(NewRandom(seed, arrivalStream))
	kinds := NewRandom(seed, kindStream)
	w.Measures.Requests = len(arrivals)
	begin := w.omniscient
	if open != nil {
		run := open(w)
		begin = func(at time.Duration, k Kind) { w.request(at, k, run) }
	}
	for _, at := range arrivals {
		var k Kind
		if s.Kinds != nil {
			k = s.Kinds(kinds)
		}
		begin(at, k)
	}
	w.Run()
	return w
}

// Busiest is the most calls in any second from a moment on, as a multiple of the rate of requests.
func (s Scenario) Busiest(m *Measures, from time.Duration) float64 {
	return float64(m.peak(Interval{from, s.End})) / s.Rate
}
