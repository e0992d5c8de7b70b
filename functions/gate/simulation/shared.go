package main

import (
	"math"
	"net/http"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// parked is until when everybody was told to stay away, as far as a sandbox knows.
type parked struct{ until, at time.Duration }

// parking lets one caller's Retry-After keep everybody away, and spreads them afterwards as the policy spreads one. Until
// when is in an item of the table, which is read beside the requests, once a second.
func parking(scope func(kind) string) func(*world) func(*request) {
	return func(w *world) func(*request) {
		items := map[string]time.Duration{}
		return func(r *request) {
			key := scope(r.kind)
			decide := perAccount(epoch.Add(r.now()), w.random.Float64)
			c, known := r.gateway.parked[key]
			switch {
			case !known:
				w.store.reads++
				c = parked{items[key], r.now()}
				r.gateway.parked[key] = c
			case r.now()-c.at > time.Second && c.until <= r.now():
				w.start(w.now, func(p *process) {
					w.store.reads++
					p.sleep(w.store.latency(p))
					r.gateway.parked[key] = parked{items[key], p.now()}
				})
			}
			if wait := c.until - r.now(); wait > 0 {
				wait += time.Duration(r.random() * float64(max(time.Second, wait/4)))
				if wait > r.left()-retry.MinimumAttemptTime {
					w.measures.refused++
					return
				}
				r.sleep(wait)
			}
			for address := w.random.IntN(proxies); ; address = (address + 1) % proxies {
				result, ok := r.call(address)
				if !ok || good(result) {
					return
				}
				again, delay, _ := decide(result)
				if told, ok := retryAfter(result); ok {
					w.store.writes++
					r.sleep(w.store.latency(r.process))
					items[key] = max(items[key], r.now()+told)
					r.gateway.parked[key] = parked{items[key], r.now()}
				}
				if !again {
					return
				}
				r.sleep(delay)
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
				for wait := a.take(r.now()); wait > 0 && r.left() > 0; wait = a.take(r.now()) {
					r.sleep(max(wait, 10*time.Millisecond))
				}
				result, ok := r.call(0)
				if !ok {
					return
				}
				a.answered(r.now(), result.Status == http.StatusTooManyRequests)
				if good(result) {
					return
				}
				r.sleep(time.Duration(r.random() * min(20, math.Pow(2, float64(n))) * float64(time.Second)))
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
// the request if it is the first one, and is a failure like another if not.
func sreThrottle(w *world) func(*request) {
	var t throttle
	return func(r *request) {
		decide := perAccount(epoch.Add(r.now()), w.random.Float64)
		for address := w.random.IntN(proxies); ; address = (address + 1) % proxies {
			t.decay(r.now())
			t.calls++
			if r.random() < max(0, (t.calls-2*t.accepted)/(t.calls+1)) {
				w.measures.refused++
				return
			}
			result, ok := r.call(address)
			if !ok {
				return
			}
			if good(result) {
				t.accepted++
				return
			}
			again, delay, _ := decide(result)
			if !again {
				return
			}
			r.sleep(delay)
		}
	}
}

// budget is the policy with a retry budget for everybody together, as Finagle has it for a process: 20% of the requests
// of the last 10 s, and 10 per second. It knows all requests at once and for nothing, which no table can give.
func budget(share float64) func(*world) func(*request) {
	return func(w *world) func(*request) {
		tokens, last := 100.0, time.Duration(0)
		return func(r *request) {
			decide := perAccount(epoch.Add(r.now()), w.random.Float64)
			refill := func() {
				tokens = min(100+share*2000, tokens*math.Exp(-(w.now-last).Seconds()/10)+10*(w.now-last).Seconds())
				last = w.now
			}
			refill()
			tokens += share
			for address := w.random.IntN(proxies); ; address = (address + 1) % proxies {
				result, ok := r.call(address)
				if !ok || good(result) {
					return
				}
				again, delay, _ := decide(result)
				refill()
				if !again || tokens < 1 {
					return
				}
				tokens--
				r.sleep(delay)
			}
		}
	}
}
