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
	// limit makes one limiter for each key or address. Nil means that there is no limit.
	limit func() limiter

	// byAddress says that callers are told apart by address, and not by the one key that all share.
	byAddress bool

	// failures is the share of calls that are answered with 500.
	failures float64

	// outage is when every call is answered with 503, and announced says that a Retry-After tells when it ends.
	outage    interval
	announced bool

	limiters map[int]limiter
	taken    int
	random   *rand.Rand
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
func (u *upstream) answer(at time.Duration, address int) retry.Result {
	switch {
	case u.outage.contains(at):
		result := retry.Result{Status: http.StatusServiceUnavailable, Header: http.Header{}}
		if u.announced {
			tell(result, u.outage.end-at)
		}
		return result
	case u.limit != nil && !u.limiter(address).take(at):
		result := retry.Result{Status: http.StatusTooManyRequests, Header: http.Header{}}
		tell(result, u.limiter(address).wait(at))
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

// counter is the number of the limiter that counts an address.
func (u *upstream) counter(address int) int {
	if !u.byAddress {
		return 0
	}
	return address
}

func (u *upstream) limiter(address int) limiter {
	address = u.counter(address)
	if u.limiters == nil {
		u.limiters = map[int]limiter{}
	}
	l, ok := u.limiters[address]
	if !ok {
		l = u.limit()
		if address == 0 && u.taken > 0 {
			l.(*window).quota -= u.taken
		}
		u.limiters[address] = l
	}
	return l
}

// book returns the earliest moment, from a given one on, at which a call is let through, and the address to make it
// from; it takes the place of that call. Only somebody who knows everything can do this.
func (u *upstream) book(at time.Duration, addresses int) (time.Duration, int) {
	if u.outage.contains(at) {
		at = u.outage.end
	}
	if u.limit == nil {
		return at, 0
	}
	if !u.byAddress {
		addresses = 1
	}
	best := 0
	for address := range addresses {
		if u.limiter(address).wait(at) < u.limiter(best).wait(at) {
			best = address
		}
	}
	return at + u.limiter(best).book(at), best
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
}

func newBucket(rate, burst float64) func() limiter {
	return func() limiter { return &bucket{rate: rate, burst: burst, tokens: burst} }
}

func (b *bucket) fill(at time.Duration) {
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
