package main

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// An upstream answers calls after its latency. It may limit them, fail at random, and be out for a while.
type upstream struct {
	// limit makes one limiter for each key, route and address that is told apart. Nil means that there is no limit.
	limit func(k kind) limiter

	// What callers are told apart by. All false: by the one key that all share.
	byAddress, byTenant, byRoute bool

	// silent says that a 429 has no Retry-After.
	silent bool

	// failures is the share of calls that are answered with 500.
	failures float64

	// sick is the share of calls that are answered with 503 and a Retry-After of 30 s, by one bad host of many.
	sick float64

	// outage is when every call is answered with 503, and announced says that a Retry-After tells when it ends.
	outage    interval
	announced bool

	// exhausted is from when on a quota is used up that is renewed only in six hours.
	exhausted time.Duration

	limiters map[who]limiter
	random   *rand.Rand
}

type who struct {
	address int
	kind    kind
}

type interval struct{ begin, end time.Duration }

func (i interval) contains(at time.Duration) bool { return at >= i.begin && at < i.end }

// Every answer takes from minLatency to maxLatency.
const (
	minLatency = 50 * time.Millisecond
	maxLatency = 150 * time.Millisecond
)

func (u *upstream) latency() time.Duration {
	return minLatency + time.Duration(u.random.Int64N(int64(maxLatency-minLatency)))
}

// answer answers a call that arrives at a moment from an address.
func (u *upstream) answer(at time.Duration, address int, k kind) retry.Result {
	switch {
	case u.outage.contains(at):
		result := retry.Result{Status: http.StatusServiceUnavailable, Header: http.Header{}}
		if u.announced {
			tell(result, u.outage.end-at)
		}
		return result
	case u.exhausted > 0 && at >= u.exhausted:
		result := retry.Result{Status: http.StatusTooManyRequests, Header: http.Header{}}
		tell(result, 6*time.Hour+u.exhausted-at)
		return result
	case u.limit != nil && !u.limiter(address, k).take(at):
		result := retry.Result{Status: http.StatusTooManyRequests, Header: http.Header{}}
		if !u.silent {
			tell(result, u.limiter(address, k).wait(at))
		}
		return result
	case u.sick > 0 && u.random.Float64() < u.sick:
		result := retry.Result{Status: http.StatusServiceUnavailable, Header: http.Header{}}
		tell(result, 30*time.Second)
		return result
	case u.random.Float64() < u.failures:
		return retry.Result{Status: http.StatusInternalServerError}
	}
	return retry.Result{Status: http.StatusOK}
}

// tell adds a Retry-After in whole seconds, rounded up, and at least one.
func tell(result retry.Result, wait time.Duration) {
	seconds := max(1, int64((wait+time.Second-1)/time.Second))
	result.Header.Set("Retry-After", strconv.FormatInt(seconds, 10))
}

func (u *upstream) limiter(address int, k kind) limiter {
	var w who
	if u.byAddress {
		w.address = address
	}
	if u.byTenant {
		w.kind.tenant = k.tenant
	}
	if u.byRoute {
		w.kind.route = k.route
	}
	if u.limiters == nil {
		u.limiters = map[who]limiter{}
	}
	l, ok := u.limiters[w]
	if !ok {
		l = u.limit(k)
		u.limiters[w] = l
	}
	return l
}

// book returns the earliest moment, from a given one on, at which a call is let through, and the address to make it
// from; it takes the place of that call. Only somebody who knows everything can do this.
func (u *upstream) book(at time.Duration, addresses int, k kind) (time.Duration, int) {
	if u.outage.contains(at) {
		at = u.outage.end
	}
	if u.exhausted > 0 && at >= u.exhausted {
		return at + time.Hour, 0
	}
	if u.limit == nil {
		return at, 0
	}
	if !u.byAddress {
		addresses = 1
	}
	best := 0
	for address := range addresses {
		if u.limiter(address, k).wait(at) < u.limiter(best, k).wait(at) {
			best = address
		}
	}
	// A place after the deadline is not taken: it would be wasted on somebody who does not come.
	if u.limiter(best, k).wait(at) >= patience-maxLatency {
		return at + patience, best
	}
	return at + u.limiter(best, k).book(at), best
}

// A limiter lets a number of calls through. Moments never go back.
type limiter interface {
	// take says whether a call is let through.
	take(at time.Duration) bool

	// wait returns how long to wait until a single call is let through.
	wait(at time.Duration) time.Duration

	// book takes the next free place, and returns how long to wait for it.
	book(at time.Duration) time.Duration
}

// A bucket is a token bucket.
type bucket struct {
	rate, burst float64 // tokens per second, and the most of them
	tokens      float64 // negative if places were booked ahead
	last        time.Duration

	// changes are rates that hold from a moment on.
	changes []change
}

type change struct {
	from time.Duration
	rate float64
}

func newBucket(rate, burst float64, changes ...change) func() limiter {
	return func() limiter { return &bucket{rate: rate, burst: burst, tokens: burst, changes: changes} }
}

func each(make func() limiter) func(kind) limiter { return func(kind) limiter { return make() } }

func (b *bucket) fill(at time.Duration) {
	for len(b.changes) > 0 && at >= b.changes[0].from {
		b.rate, b.burst = b.changes[0].rate, b.changes[0].rate
		b.changes = b.changes[1:]
	}
	// The conversion keeps the compiler from fusing the two operations, which would round differently elsewhere.
	b.tokens = min(b.burst, b.tokens+float64((at-b.last).Seconds()*b.rate))
	b.last = at
}

func (b *bucket) take(at time.Duration) bool {
	b.fill(at)
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

func (b *bucket) wait(at time.Duration) time.Duration {
	b.fill(at)
	return time.Duration(max(0, 1-b.tokens) / b.rate * float64(time.Second))
}

func (b *bucket) book(at time.Duration) time.Duration {
	wait := b.wait(at)
	b.tokens--
	return wait
}

// A window lets a quota through in each stretch of time.
type window struct {
	length time.Duration
	quota  int
	number int64 // of the window that used counts in
	used   int
}

func newWindow(length time.Duration, quota int) func() limiter {
	return func() limiter { return &window{length: length, quota: quota} }
}

func (w *window) turn(at time.Duration) {
	if number := int64(at / w.length); number > w.number {
		w.number, w.used = number, 0
	}
}

func (w *window) take(at time.Duration) bool {
	w.turn(at)
	if w.used >= w.quota {
		return false
	}
	w.used++
	return true
}

func (w *window) wait(at time.Duration) time.Duration {
	w.turn(at)
	number := w.number
	if w.used >= w.quota {
		number++
	}
	return max(0, time.Duration(number)*w.length-at)
}

func (w *window) book(at time.Duration) time.Duration {
	wait := w.wait(at)
	if w.used >= w.quota {
		w.number, w.used = w.number+1, 0
	}
	w.used++
	return wait
}
