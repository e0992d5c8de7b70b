package comparison

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A scenario is an upstream, and programs that each make one request.
type scenario struct {
	name     string
	about    string
	script   func() script
	programs int
	apart    time.Duration // between the requests of two programs

	// variants are policies that are compared with the clients here.
	variants []client
}

// atOnce is the time between requests at once: so little that it changes nothing, and enough for their order to be always
// the same.
const atOnce = 7 * time.Microsecond

// scenarios are the upstreams that all clients are put in front of.
var scenarios = []scenario{
	{
		name: "limit in windows", about: "60 calls in every 10 s for all together, and a Retry-After; 100 programs at once",
		script: func() script { return windows(60, 10*time.Second) }, programs: 100, apart: atOnce,
	},
	{
		name: "token bucket", about: "10 calls per second for all together, 20 in store, and a Retry-After of whole seconds; 100 programs at once",
		script: func() script { return bucket(10, 20) }, programs: 100, apart: atOnce,
	},
	{
		name: "quota used up", about: "429 with `X-RateLimit-Remaining: 0` and an `X-RateLimit-Reset` in 16 days, without Retry-After; 20 programs",
		script: func() script { return usedUp(16 * 24 * time.Hour) }, programs: 20, apart: atOnce,
	},
	{
		name: "outage", about: "503 without Retry-After for 5 s; 100 programs, one every 100 ms from the begin of the outage on",
		script: func() script { return outage(5 * time.Second) }, programs: 100, apart: 100 * time.Millisecond,
		variants: []client{ours("this policy, 6 server errors", retry.Policy{ServerErrors: retry.Budget{Attempts: 6}})},
	},
}

// patience is how long each program waits: the deadline of its context.
const patience = time.Minute

// start is when scenarios begin. It has to be after the time at which virtual time does, and after 2001: numbers of seconds
// from then on are told apart from those to wait.
var start = time.Date(2026, time.November, 28, 12, 0, 0, 0, time.UTC)

// measures are what is measured of one client in one scenario.
type measures struct {
	programs int
	calls    int
	early    int             // calls before the moment that the program was told
	times    []time.Duration // to success, in order
	longest  time.Duration   // to success or failure
}

// play plays a scenario with a client. It has to be called in a bubble of package synctest, whose time is then past start.
func (s scenario) play(c client) measures {
	time.Sleep(time.Until(start))
	u := &upstream{answer: s.script(), told: map[string]time.Time{}}
	net := newNetwork()
	server := &http.Server{Handler: u}
	served := make(chan struct{})
	go func() { defer close(served); server.Serve(net) }()
	base := &http.Transport{DialContext: net.dial, MaxIdleConnsPerHost: s.programs}

	m := measures{programs: s.programs}
	var mu sync.Mutex
	var programs sync.WaitGroup
	for i := range s.programs {
		programs.Go(func() {
			time.Sleep(time.Duration(i) * s.apart)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			send := c.over(base, rand.New(rand.NewPCG(1, uint64(i))))
			begun := time.Now()
			status, err := send(request(ctx, i))
			took := time.Since(begun)
			mu.Lock()
			defer mu.Unlock()
			m.longest = max(m.longest, took)
			if err == nil && status == http.StatusOK {
				m.times = append(m.times, took)
			}
		})
	}
	programs.Wait()
	base.CloseIdleConnections()
	server.Close()
	<-served
	m.calls, m.early = u.calls, u.early
	slices.Sort(m.times)
	return m
}

// clients are all that is compared in the scenario.
func (s scenario) clients() []client { return slices.Concat(clients, s.variants) }

// callsPerSuccess returns how many calls a success took, or how many there were if there was none.
func (m measures) callsPerSuccess() float64 { return float64(m.calls) / float64(max(1, len(m.times))) }

// percentile returns the time to success that a share of the successes did not exceed.
func (m measures) percentile(share float64) time.Duration {
	if len(m.times) == 0 {
		return 0
	}
	return m.times[int(share*float64(len(m.times)-1))]
}
