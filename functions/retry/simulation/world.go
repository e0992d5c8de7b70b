package main

import (
	"container/heap"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A world is one upstream, and the requests that one strategy makes to it. Its time is virtual: the clock goes from one
// event to the next.
type world struct {
	upstream   upstream
	credential bool // requests carry one
	random     *rand.Rand
	events     events
	sequence   int
	measures   measures
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
		heap.Pop(&w.events).(event).happen()
	}
}

// A request is one request of a caller, with its attempts.
type request struct {
	session
	arrival time.Duration

	// told is until when each address was asked to stay away, and everybody with it in everywhere.
	told       map[int]time.Duration
	everywhere time.Duration

	limited bool // has been answered with 429
	early   int  // calls before such a moment
}

// request plans a request that arrives at a moment. begin makes its session.
func (w *world) request(arrival time.Duration, begin func(at time.Duration) session) {
	w.plan(arrival, func() { w.attempt(&request{session: begin(arrival), arrival: arrival}, arrival, 0) })
}

// attempt plans the next attempt of a request, after a delay. As in the state machine, whole seconds pass before the
// attempt begins, and the rest after that.
func (w *world) attempt(r *request, now, delay time.Duration) {
	whole := delay.Truncate(time.Second)
	if now+delay >= r.arrival+patience {
		return
	}
	w.plan(now+whole, func() {
		r.enter()
		w.plan(now+delay, func() { w.call(r, now+delay) })
	})
}

// call makes an attempt, and plans what follows.
func (w *world) call(r *request, now time.Duration) {
	address := r.address()
	m := &w.measures
	m.call(now, r.limited)
	if now < r.told[w.upstream.counter(address)] || now < r.everywhere {
		m.early++
		r.early++
		m.mostEarly = max(m.mostEarly, r.early)
	}
	result := w.upstream.answer(now, address)
	received := now + w.upstream.latency()
	result.Received = epoch.Add(received)
	if result.Status == http.StatusTooManyRequests {
		m.limited++
		r.limited = true
	}
	if good(result) {
		if received <= r.arrival+patience {
			m.success(received-r.arrival, r.limited)
		}
	} else {
		r.remember(result, received, w.upstream.counter(address))
	}
	w.plan(received, func() {
		if again, delay := r.leave(result); again {
			w.attempt(r, received, delay)
		}
	})
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
func (w *world) omniscient(arrival time.Duration) {
	w.plan(arrival, func() {
		start, _ := w.upstream.book(arrival, proxies)
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
		if received <= arrival+patience {
			w.measures.success(received-arrival, false)
		}
	})
}
