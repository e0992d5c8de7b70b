package main

import (
	"math"
	"net/http"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/simulation"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// parked is until when everybody was told to stay away, as far as a sandbox knows.
type parked struct{ until, at time.Duration }

// parking lets one caller's Retry-After keep everybody away, and spreads them afterwards as the policy spreads one. Until
// when is in an item of the table, which is read beside the requests, once a second.
func parking(scope func(simulation.Kind) string) func(*world) func(*request) {
	return func(w *world) func(*request) {
		items, ring := map[string]time.Duration{}, perAccount(w)
		return func(r *request) {
			key := scope(r.Kind)
			c, known := r.gateway.parked[key]
			switch {
			case !known:
				w.store.reads++
				c = parked{items[key], r.Now()}
				r.gateway.parked[key] = c
			case r.Now()-c.at > time.Second && c.until <= r.Now():
				w.Start(w.Now(), func(p *simulation.Process) {
					w.store.reads++
					p.Sleep(w.store.latency())
					r.gateway.parked[key] = parked{items[key], p.Now()}
				})
			}
			if wait := c.until - r.Now(); wait > 0 {
				wait += time.Duration(w.Random.Float64() * float64(max(time.Second, wait/4)))
				if wait > r.Left()-retry.MinimumAttemptTime {
					w.Measures.Refused++
					return
				}
				r.Sleep(wait)
			}
			x := ring.Begin(r.Request)
			for delay, again := time.Duration(0), true; again; {
				var result retry.Result
				result, delay, again = x.Attempt(delay)
				if told, ok := simulation.RetryAfter(result); ok {
					w.store.writes++
					r.Sleep(w.store.latency())
					items[key] = max(items[key], r.Now()+told)
					r.gateway.parked[key] = parked{items[key], r.Now()}
				}
			}
		}
	}
}

// An adaptive limiter is that of the AWS SDKs' adaptive mode: a token bucket whose rate follows CUBIC after the first
// 429.
type adaptive struct {
	enabled                      bool
	fill, capacity, level        float64
	last, throttled, counted     time.Duration
	count, measured, most, cubic float64
}

func (a *adaptive) refill(now time.Duration) {
	a.level = min(a.capacity, a.level+(now-a.last).Seconds()*a.fill)
	a.last = now
}

// take takes a token, or returns how long to wait before the next try.
func (a *adaptive) take(now time.Duration) time.Duration {
	if !a.enabled {
		return 0
	}
	a.refill(now)
	if a.level >= 1 {
		a.level--
		return 0
	}
	return time.Duration((1 - a.level) / a.fill * float64(time.Second))
}

func (a *adaptive) answered(now time.Duration, throttled bool) {
	const beta, scale, smooth = 0.7, 0.4, 0.8
	a.count++
	if bucket := now.Truncate(500 * time.Millisecond); bucket > a.counted {
		rate := a.count / (bucket - a.counted).Seconds()
		a.measured = smooth*rate + (1-smooth)*a.measured
		a.count, a.counted = 0, bucket
	}
	var rate float64
	if throttled {
		used := a.measured
		if a.enabled {
			used = min(a.measured, a.fill)
		}
		a.most, a.throttled, a.enabled = used, now, true
		a.cubic = math.Cbrt(a.most * (1 - beta) / scale)
		rate = used * beta
	} else {
		a.cubic = math.Cbrt(a.most * (1 - beta) / scale)
		rate = scale*math.Pow((now-a.throttled).Seconds()-a.cubic, 3) + a.most
	}
	if a.enabled {
		a.refill(now)
		a.fill = max(0.5, min(rate, 2*a.measured))
		a.capacity = max(1, a.fill)
		a.level = min(a.level, a.capacity)
	}
}

// awsAdaptive is the AWS SDKs' adaptive mode, in one process that makes all the calls or in each sandbox: full jitter from
// 1 s up to 20 s, as many attempts as the policy has.
func awsAdaptive(oneProcess bool) func(*world) func(*request) {
	return func(w *world) func(*request) {
		all := &adaptive{}
		return func(r *request) {
			a := all
			if !oneProcess {
				if r.gateway.client == nil {
					r.gateway.client = &adaptive{}
				}
				a = r.gateway.client
			}
			for n := range retry.DefaultRateLimitAttempts {
				for wait := a.take(r.Now()); wait > 0 && r.Left() > 0; wait = a.take(r.Now()) {
					r.Sleep(max(wait, 10*time.Millisecond))
				}
				result, ok := r.Call(0)
				if !ok {
					return
				}
				a.answered(r.Now(), result.Status == http.StatusTooManyRequests)
				if simulation.Good(result) {
					return
				}
				r.Sleep(time.Duration(w.Random.Float64() * min(20, math.Pow(2, float64(n))) * float64(time.Second)))
			}
		}
	}
}

// A throttle is the client-side throttling of Google's SRE book, as in failsafe-go's adaptive throttler and Envoy's
// admission control: it refuses calls in proportion to those that the upstream refused, K being 2.
type throttle struct {
	calls, accepted float64
	last            time.Duration
}

func (t *throttle) decay(now time.Duration) {
	f := math.Exp(-(now - t.last).Seconds() / 30)
	t.calls, t.accepted, t.last = t.calls*f, t.accepted*f, now
}

// sreThrottle is the policy behind such a throttle, in one process that makes all the calls. A call that it refuses ends
// the request.
func sreThrottle(w *world) func(*request) {
	var t throttle
	ring := perAccount(w)
	return func(r *request) {
		x := ring.Begin(r.Request)
		for delay, again := time.Duration(0), true; again; {
			r.Wait(delay)
			t.decay(r.Now())
			t.calls++
			if w.Random.Float64() < max(0, (t.calls-2*t.accepted)/(t.calls+1)) {
				w.Measures.Refused++
				return
			}
			var result retry.Result
			result, delay, again = x.Attempt(0)
			if simulation.Good(result) {
				t.accepted++
			}
		}
	}
}

// budget is the policy with a retry budget for everybody together, as Finagle has it for a process: 20% of the requests
// of the last 10 s, and 10 per second. It knows all requests at once and for nothing, which no table can give.
func budget(share float64) func(*world) func(*request) {
	return func(w *world) func(*request) {
		tokens, last, ring := 100.0, time.Duration(0), perAccount(w)
		refill := func() {
			passed := (w.Now() - last).Seconds()
			tokens, last = min(100+share*2000, tokens*math.Exp(-passed/10)+10*passed), w.Now()
		}
		return func(r *request) {
			refill()
			tokens += share
			x := ring.Begin(r.Request)
			for delay, again := time.Duration(0), true; again; tokens-- {
				var result retry.Result
				result, delay, again = x.Attempt(delay)
				if simulation.Good(result) {
					return
				}
				refill()
				if !again || tokens < 1 {
					return
				}
			}
		}
	}
}

// hedge makes a second call from another address if the first takes longer than that, and lets the faster one win. What
// fails is repeated as the policy has it.
func hedge(after time.Duration) func(*world) func(*request) {
	return func(w *world) func(*request) {
		ring := perAccount(w)
		return func(r *request) {
			x, answered := ring.Begin(r.Request), false
			second := (x.Address() + 1) % simulation.Proxies
			r.Beside(after, func(b *simulation.Request) {
				if !answered {
					b.Call(second)
				}
			})
			for delay, again := time.Duration(0), true; again && !r.Succeeded(); answered = true {
				_, delay, again = x.Attempt(delay)
			}
		}
	}
}
