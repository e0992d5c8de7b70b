package main

import (
	"math/rand/v2"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/simulation"
)

// A world has, besides the upstream, the sandboxes of the gateway and the table that the callers share.
type world struct {
	*simulation.World
	shared   *rand.Rand // what the gate and the table draw: so that the policy's draws are those that it makes without them
	store    table
	gateways fleet
}

// A request is served by a sandbox of the gateway.
type request struct {
	*simulation.Request
	gateway *sandbox
}

// A strategy makes the attempts of requests.
type strategy struct {
	name string

	// run returns what makes the attempts of one request, in a world of its own. Nil stands for somebody who knows everything.
	run func(*world) func(*request)
}

// ungated are strategies that know neither the table nor the sandbox of the gateway.
func ungated(all ...simulation.Strategy) []strategy {
	var out []strategy
	for _, s := range all {
		out = append(out, strategy{s.Name, func(w *world) func(*request) {
			run := s.Open(w.World)
			return func(r *request) { run(r.Request) }
		}})
	}
	return out
}

// play puts a strategy into a scenario.
func (s scenario) play(seed uint64, with strategy) *world {
	w := &world{store: s.store, gateways: s.gateway, shared: simulation.NewRandom(seed, simulation.OwnStream)}
	w.store.random = w.shared
	if with.run == nil {
		w.World = s.Play(seed, nil)
		return w
	}
	s.Play(seed, func(of *simulation.World) func(*simulation.Request) {
		w.World = of
		run := with.run(w)
		return func(r *simulation.Request) {
			gateway := w.gateways.take(w.Random)
			run(&request{r, gateway})
			w.gateways.idle.Give(gateway)
		}
	})
	return w
}

// A sandbox is an execution environment of the gateway. It serves one request at a time, and keeps what it knows.
type sandbox struct {
	skew   time.Duration
	gate   *gate.Gate
	parked map[string]parked // what it knows, if the strategy only parks
	client *adaptive         // a limiter of its own, if the strategy has one
}

// A fleet is the sandboxes of the gateway. The one that was used last is used next, unless there are so many that any may
// be.
type fleet struct {
	idle    simulation.Pool[*sandbox]
	minimum int           // how many there are from the beginning, of which any may be used
	skew    time.Duration // by which a clock may be off, either way
	made    int
}

func (f *fleet) take(random *rand.Rand) *sandbox {
	for f.made < f.minimum {
		f.idle.Give(f.make(random))
	}
	switch n := f.idle.Len(); {
	case n == 0:
		return f.make(random)
	case f.minimum > 0:
		return f.idle.Take(n - 1 - random.IntN(n))
	}
	return f.idle.Take(0)
}

func (f *fleet) make(random *rand.Rand) *sandbox {
	f.made++
	s := &sandbox{parked: map[string]parked{}}
	if f.skew > 0 {
		s.skew = time.Duration((2*random.Float64() - 1) * float64(f.skew))
	}
	return s
}
