package main

import (
	"container/heap"
	"iter"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A world is one upstream, the sandboxes and the table that the callers share, and the requests that one strategy makes.
// Its time is virtual: the clock goes from one event to the next. Each request is a process of its own.
type world struct {
	upstream upstream
	random   *rand.Rand
	shared   *rand.Rand // what the gate and the table draw: so that the policy's draws are those that it makes without them
	now      time.Duration
	events   events
	sequence int
	measures measures
	store    table
	gateways pool
}

// epoch is when virtual time begins.
var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// An event is something that happens at a moment. Events of one moment happen in the order in which they were planned.
type event struct {
	at       time.Duration
	sequence int
	happen   func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].sequence < e[j].sequence
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	*e = (*e)[:last]
	return x
}

func (w *world) plan(at time.Duration, happen func()) {
	w.sequence++
	heap.Push(&w.events, event{at, w.sequence, happen})
}

func (w *world) run() {
	for w.events.Len() > 0 {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.happen()
	}
}

// A process is a sequence of steps in virtual time.
type process struct {
	w     *world
	yield func(time.Duration) bool
}

func (p *process) now() time.Duration { return p.w.now }

func (p *process) sleep(d time.Duration) { p.yield(max(0, d)) }

// start starts a process at a moment.
func (w *world) start(at time.Duration, body func(*process)) {
	w.plan(at, func() {
		next, _ := iter.Pull(func(yield func(time.Duration) bool) { body(&process{w, yield}) })
		var step func()
		step = func() {
			if d, again := next(); again {
				w.plan(w.now+d, step)
			}
		}
		step()
	})
}

// A request is one request of a caller, with its attempts.
type request struct {
	*process
	arrival time.Duration
	kind    kind
	gateway *sandbox

	// told is until when each address was asked to stay away, and everybody with it in everywhere.
	told       map[int]time.Duration
	everywhere time.Duration

	limited bool // has been answered with 429
}

// A kind says whose request it is and where it goes.
type kind struct{ tenant, route int }

func (r *request) left() time.Duration     { return r.arrival + patience - r.now() }
func (r *request) random() float64         { return r.w.random.Float64() }
func (r *request) deadline() time.Duration { return r.arrival + patience }

// request plans a request that arrives at a moment.
func (w *world) request(arrival time.Duration, k kind, run func(*request)) {
	w.start(arrival, func(p *process) {
		r := &request{process: p, arrival: arrival, kind: k, gateway: w.gateways.take(w)}
		run(r)
		w.measures.held += w.now - arrival
		w.gateways.give(r.gateway)
	})
}

// call makes an attempt now. It is false if nobody waits for it any more.
func (r *request) call(address int) (retry.Result, bool) {
	now := r.now()
	if now >= r.deadline() {
		return retry.Result{}, false
	}
	m := &r.w.measures
	m.call(now, r.limited)
	if now < r.told[address] || now < r.everywhere {
		m.early++
	}
	result := r.w.upstream.answer(now, address, r.kind)
	r.sleep(r.w.upstream.latency())
	received := r.now()
	result.Received = epoch.Add(received)
	if result.Status == http.StatusTooManyRequests {
		m.limited++
		r.limited = true
	}
	if good(result) {
		if received <= r.deadline() {
			m.success(received-r.arrival, r.limited)
		}
		return result, true
	}
	r.remember(result, received, address)
	return result, true
}

// remember notes until when an answer asks to be left alone: a rate limit asks the address, a server error everybody.
func (r *request) remember(result retry.Result, received time.Duration, address int) {
	wait, ok := retryAfter(result)
	if !ok {
		return
	}
	if result.Status != http.StatusTooManyRequests {
		r.everywhere = max(r.everywhere, received+wait)
		return
	}
	if r.told == nil {
		r.told = map[int]time.Duration{}
	}
	r.told[address] = max(r.told[address], received+wait)
}

// omniscient plans a request of somebody who knows the upstream's state and everybody's place in the queue. It calls
// when a call is let through, and not before. Failures at random nobody knows: it calls again at once.
func (w *world) omniscient(arrival time.Duration, k kind) {
	w.plan(arrival, func() {
		start, _ := w.upstream.book(arrival, proxies, k)
		received := start
		for {
			if received >= arrival+patience {
				return
			}
			w.measures.call(received, false)
			failed := w.random.Float64() < w.upstream.failures
			received += w.upstream.latency()
			if !failed {
				break
			}
		}
		w.measures.held += received - arrival
		if received <= arrival+patience {
			w.measures.success(received-arrival, false)
		}
	})
}

// A sandbox is an execution environment of the gateway. It serves one request at a time, and keeps what it knows.
type sandbox struct {
	skew   time.Duration
	gate   *gate.Gate
	parked map[string]parked // what it knows, if the strategy only parks
	client *adaptive         // a limiter of its own, if the strategy has one
}

// A pool holds the sandboxes that are idle. The one that was used last is used next, unless there are so many that any
// may be.
type pool struct {
	idle    []*sandbox
	minimum int
	skew    time.Duration
	made    int
}

func (p *pool) take(w *world) *sandbox {
	if p.made < p.minimum {
		for p.made < p.minimum {
			p.idle = append(p.idle, p.make(w))
		}
	}
	if len(p.idle) == 0 {
		return p.make(w)
	}
	i := len(p.idle) - 1
	if p.minimum > 0 {
		i = w.random.IntN(len(p.idle))
	}
	s := p.idle[i]
	p.idle[i] = p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	return s
}

func (p *pool) make(w *world) *sandbox {
	p.made++
	s := &sandbox{parked: map[string]parked{}}
	if p.skew > 0 {
		s.skew = time.Duration((2*w.random.Float64() - 1) * float64(p.skew))
	}
	return s
}

func (p *pool) give(s *sandbox) { p.idle = append(p.idle, s) }
