package simulation

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// Proxies is how many addresses a strategy with proxies has.
const Proxies = 3

// An Upstream answers calls after its latency. It may limit them, fail at random, and be out for a while.
type Upstream struct {
	// Limit makes the limiter of each that is told apart. Nil means that there is no limit.
	Limit func(Counted) Limiter

	// What callers are told apart by. All false: by the one key that all share.
	ByAddress, ByTenant, ByRoute bool

	// Silent says that a 429 has no Retry-After.
	Silent bool

	// Failures is the share of calls that are answered with 500.
	Failures float64

	// Sick is the share of calls that are answered with 503 and a Retry-After of 30 s, by one bad host of many.
	Sick float64

	// Slow is the share of calls that take 3 s.
	Slow float64

	// Outage is when every call is answered with 503, and Announced says that a Retry-After tells when it ends.
	Outage    Interval
	Announced bool

	// Exhausted is from when on a quota is used up that is renewed only in six hours. Zero means never.
	Exhausted time.Duration

	limiters map[Counted]Limiter
	random   *rand.Rand
}

// Counted is what a limiter counts the calls of. What an upstream does not tell apart is zero.
type Counted struct {
	Address int
	Kind    Kind
}

// An Interval is from Begin to just before End.
type Interval struct{ Begin, End time.Duration }

func (i Interval) contains(at time.Duration) bool { return at >= i.Begin && at < i.End }

// Every answer takes from minLatency to maxLatency, but for slow ones.
const (
	minLatency  = 50 * time.Millisecond
	maxLatency  = 150 * time.Millisecond
	slowLatency = 3 * time.Second
)

func (u *Upstream) latency() time.Duration {
	if u.Slow > 0 && u.random.Float64() < u.Slow {
		return slowLatency
	}
	return minLatency + time.Duration(u.random.Int64N(int64(maxLatency-minLatency)))
}

// answer answers a call that arrives at a moment from an address.
func (u *Upstream) answer(at time.Duration, address int, k Kind) retry.Result {
	switch {
	case u.Outage.contains(at):
		result := retry.Result{Status: http.StatusServiceUnavailable, Header: http.Header{}}
		if u.Announced {
			tell(result, u.Outage.End-at)
		}
		return result
	case u.Exhausted > 0 && at >= u.Exhausted:
		result := retry.Result{Status: http.StatusTooManyRequests, Header: http.Header{}}
		tell(result, 6*time.Hour+u.Exhausted-at)
		return result
	case u.Limit != nil && !u.limiter(address, k).Take(at):
		result := retry.Result{Status: http.StatusTooManyRequests, Header: http.Header{}}
		if !u.Silent {
			tell(result, u.limiter(address, k).wait(at))
		}
		return result
	case u.Sick > 0 && u.random.Float64() < u.Sick:
		result := retry.Result{Status: http.StatusServiceUnavailable, Header: http.Header{}}
		tell(result, 30*time.Second)
		return result
	case u.random.Float64() < u.Failures:
		return retry.Result{Status: http.StatusInternalServerError}
	}
	return retry.Result{Status: http.StatusOK}
}

// tell adds a Retry-After in whole seconds, rounded up, and at least one.
func tell(result retry.Result, wait time.Duration) {
	seconds := max(1, int64((wait+time.Second-1)/time.Second))
	result.Header.Set("Retry-After", strconv.FormatInt(seconds, 10))
}

// counter is the number by which an address is counted: that of the first one unless addresses are told apart.
func (u *Upstream) counter(address int) int {
	if !u.ByAddress {
		return 0
	}
	return address
}

func (u *Upstream) limiter(address int, k Kind) Limiter {
	c := Counted{Address: u.counter(address)}
	if u.ByTenant {
		c.Kind.Tenant = k.Tenant
	}
	if u.ByRoute {
		c.Kind.Route = k.Route
	}
	if u.limiters == nil {
		u.limiters = map[Counted]Limiter{}
	}
	l, ok := u.limiters[c]
	if !ok {
		l = u.Limit(c)
		u.limiters[c] = l
	}
	return l
}

// book returns the earliest moment, from a given one on, at which a call is let through from one of the addresses, and
// takes the place of that call. Only somebody who knows everything can do this.
func (u *Upstream) book(at time.Duration, k Kind) time.Duration {
	if u.Outage.contains(at) {
		at = u.Outage.End
	}
	if u.Exhausted > 0 && at >= u.Exhausted {
		return at + Patience
	}
	if u.Limit == nil {
		return at
	}
	best := u.limiter(0, k)
	for address := 1; address < Proxies && u.ByAddress; address++ {
		if l := u.limiter(address, k); l.wait(at) < best.wait(at) {
			best = l
		}
	}
	// A place after the deadline is not taken: it would be wasted on somebody who does not come.
	if best.wait(at) >= Patience-maxLatency {
		return at + Patience
	}
	return at + best.book(at)
}
