package simulation

import (
	"net/http"
	"strconv"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// Patience is how long the caller of each request waits. No strategy starts an attempt after it.
const Patience = retry.DefaultDeadline

// A Request is one request of a caller, with its attempts.
type Request struct {
	*Process
	*course
	Arrival time.Duration
	Kind    Kind
}

// A course is what has become of a request. Calls of it that are made at the same time share it.
type course struct {
	// told is until when each address was asked to stay away, and everybody with it in everywhere.
	told       map[int]time.Duration
	everywhere time.Duration

	limited bool // has been answered with 429
	early   int  // calls before such a moment
	settled bool // has succeeded in time
}

// A Kind says whose request it is and where it goes.
type Kind struct{ Tenant, Route int }

// request plans a request that arrives at a moment.
func (w *World) request(arrival time.Duration, k Kind, run func(*Request)) {
	w.Start(arrival, func(p *Process) {
		run(&Request{Process: p, course: new(course), Arrival: arrival, Kind: k})
		w.Measures.Held += w.now - arrival
	})
}

// Deadline is when the caller waits no longer.
func (r *Request) Deadline() time.Duration { return r.Arrival + Patience }

// Left is how much longer the caller waits.
func (r *Request) Left() time.Duration { return r.Deadline() - r.Now() }

// Beside starts a process that works for the same request, after a time.
func (r *Request) Beside(after time.Duration, body func(*Request)) {
	r.world.Start(r.Now()+after, func(p *Process) {
		body(&Request{Process: p, course: r.course, Arrival: r.Arrival, Kind: r.Kind})
	})
}

// Succeeded says whether a call has succeeded in time.
func (r *Request) Succeeded() bool { return r.settled }

// Wait waits before an attempt. It is false, and lasts until the deadline, if nobody waits for that attempt.
func (r *Request) Wait(delay time.Duration) bool {
	inTime := delay < r.Left()
	if delay > 0 {
		r.Sleep(min(delay, r.Left()))
	}
	return inTime
}

// Told is until when the request was asked to leave an address alone.
func (r *Request) Told(address int) time.Duration { return r.told[r.world.Upstream.counter(address)] }

// Call makes an attempt now, from an address; addresses count from zero. It is false if nobody waits for it any more.
func (r *Request) Call(address int) (retry.Result, bool) {
	now := r.Now()
	if now >= r.Deadline() {
		return retry.Result{}, false
	}
	m := &r.world.Measures
	m.call(now, r.limited)
	if now < r.Told(address) || now < r.everywhere {
		m.Early++
		r.early++
		m.MostEarly = max(m.MostEarly, r.early)
	}
	result := r.world.Upstream.answer(now, address, r.Kind)
	r.Sleep(r.world.Upstream.latency())
	received := r.Now()
	result.Received = Epoch.Add(received)
	if result.Status == http.StatusTooManyRequests {
		m.Limited++
		r.limited = true
	}
	if !Good(result) {
		r.remember(result, received, address)
	} else if received <= r.Deadline() && !r.settled {
		r.settled = true
		m.success(received-r.Arrival, r.limited)
	}
	return result, true
}

// remember notes until when an answer asks to be left alone: a rate limit asks the address, a server error everybody.
func (r *Request) remember(result retry.Result, received time.Duration, address int) {
	wait, ok := RetryAfter(result)
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
	counter := r.world.Upstream.counter(address)
	r.told[counter] = max(r.told[counter], received+wait)
}

// Good says whether an answer is a success.
func Good(result retry.Result) bool { return result.Status == http.StatusOK }

// RetryAfter is the wait that an answer asks for.
func RetryAfter(result retry.Result) (time.Duration, bool) {
	seconds, err := strconv.Atoi(result.Header.Get("Retry-After"))
	return time.Duration(seconds) * time.Second, err == nil
}

// omniscient plans a request of somebody who knows the upstream's state and everybody's place in the queue. It calls
// when a call is let through, and not before. Failures at random nobody knows: it calls again at once.
func (w *World) omniscient(arrival time.Duration, k Kind) {
	w.plan(arrival, func() {
		received := w.Upstream.book(arrival, k)
		for {
			if received >= arrival+Patience {
				return
			}
			w.Measures.call(received, false)
			failed := w.Random.Float64() < w.Upstream.Failures
			received += w.Upstream.latency()
			if !failed {
				break
			}
		}
		w.Measures.Held += received - arrival
		if received <= arrival+Patience {
			w.Measures.success(received-arrival, false)
		}
	})
}
