package stack_test

import (
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// everyFunction sets a variable of the gateway and of the proxies.
func everyFunction(name, value string) []setting {
	var settings []setting
	for _, function := range []string{"gateway", "proxy-1", "proxy-2", "proxy-3"} {
		settings = append(settings, environment(function, name, value))
	}
	return settings
}

// asItPasses has waits take as long as they are: whoever shares a gate shares the time.
func asItPasses(_ testing.TB, c *config) { c.Speed = 1 }

// A throttled upstream limits requests by token buckets, one for all or one for each address, or by a window, and says no more of it
// than Retry-After in whole seconds. It counts its calls, and those that came before the moment that it had named.
type throttledUpstream struct {
	rate, burst float64
	byAddress   bool
	window      time.Duration            // in which burst requests may be made, and then none until its end; zero for buckets
	down        func(time.Duration) bool // whether it fails, so long after the first call

	mu      sync.Mutex
	begun   time.Time
	ends    time.Time // of the window
	inside  float64   // requests in it
	buckets map[string]*tokenBucket
	until   map[string]time.Time
	calls   int
	early   int
	seconds map[int]int
}

func (u *throttledUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, told := u.judge(r)
	if told > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(told))
	}
	w.WriteHeader(answer)
}

func (u *throttledUpstream) judge(r *http.Request) (answer, told int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	if u.begun.IsZero() {
		u.begun, u.buckets, u.until, u.seconds = now, map[string]*tokenBucket{}, map[string]time.Time{}, map[int]int{}
	}
	u.calls++
	u.seconds[int(now.Sub(u.begun)/time.Second)]++
	address, request := "", r.URL.Path
	if u.byAddress {
		address, _, _ = net.SplitHostPort(r.RemoteAddr)
		request += " from " + address
	}
	if now.Before(u.until[request]) {
		u.early++
	}
	if u.down != nil && u.down(now.Sub(u.begun)) {
		return http.StatusServiceUnavailable, 0
	}
	ok, left := u.take(address, now)
	if ok {
		return http.StatusOK, 0
	}
	told = max(1, int(math.Ceil(left.Seconds())))
	u.until[request] = now.Add(time.Duration(told) * time.Second)
	return http.StatusTooManyRequests, told
}

// take makes a request, if it may be made, and says otherwise when one may be.
func (u *throttledUpstream) take(address string, now time.Time) (ok bool, left time.Duration) {
	switch {
	case u.window > 0:
		if now.After(u.ends) {
			u.ends, u.inside = now.Add(u.window), 0
		}
		u.inside++
		return u.inside <= u.burst, u.ends.Sub(now)
	case u.rate == 0:
		return true, 0
	}
	if u.buckets[address] == nil {
		u.buckets[address] = &tokenBucket{rate: u.rate, burst: u.burst}
	}
	return u.buckets[address].take(now)
}

// askedAll sends requests, spread over a time, each with a path of its own. It returns how they were answered, and how long each
// took, the shortest first.
func askedAll(s *stack.Stack, requests int, over time.Duration) (statuses map[int]int, took []time.Duration) {
	var mu sync.Mutex
	statuses = map[int]int{}
	var all sync.WaitGroup
	for i := range requests {
		all.Go(func() {
			time.Sleep(over * time.Duration(i) / time.Duration(requests))
			began := time.Now()
			response, err := http.Get(fmt.Sprintf("%s/orders/%d", s.URL(), i))
			status := 0
			if err == nil {
				status = response.StatusCode
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
			mu.Lock()
			statuses[status]++
			took = append(took, time.Since(began))
			mu.Unlock()
		})
	}
	all.Wait()
	slices.Sort(took)
	return statuses, took
}

// On a machine that is busy with other tests the table is silent for longer than the gate waits, and then it is as if there were
// none. So this bounds what calls there may be in any case; what they are otherwise, the fleets show on a clock of their own.
func TestThreeHundredCallersThroughTheirGate(t *testing.T) {
	t.Parallel()
	adaptive := everyFunction("GATE", adaptiveGate)
	for name, c := range map[string]struct {
		upstream *throttledUpstream
		settings []setting
		most     float64 // calls for each request
		least    int     // successes: who has used up their attempts before the breaker trips has failed
	}{
		"against a limit by key":     {&throttledUpstream{rate: 40, burst: 40}, append(slices.Clone(adaptive), asItPasses, policy(`{"scope":"per-account"}`)), 1.6, 300},
		"against a limit by address": {&throttledUpstream{rate: 20, burst: 20, byAddress: true}, append(slices.Clone(adaptive), asItPasses, severalAddresses(t)), 2, 300},
		"through an outage": {&throttledUpstream{down: func(at time.Duration) bool { return at > time.Second && at < 4*time.Second }},
			append(slices.Clone(adaptive), asItPasses, policy(`{"scope":"per-account"}`)), 2, 240},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := c.upstream
			s := start(t, serve(t, u.ServeHTTP), c.settings...)
			statuses, _ := askedAll(s, 300, 6*time.Second)
			u.mu.Lock()
			defer u.mu.Unlock()
			t.Logf("%d calls, %d of them early, answered with %v; in each second %v", u.calls, u.early, statuses, u.seconds)
			if statuses[http.StatusOK] < c.least || float64(u.calls) > 300*c.most || u.early > 3 {
				t.Errorf("%d calls, %d of them early, answered with %v; want %d successes of at most %.0f calls, and at most 3 early",
					u.calls, u.early, statuses, c.least, 300*c.most)
			}
		})
	}
}

// BenchmarkHealthyPath compares stacks with and without a gate in one run, in turns, where the upstream limits nobody and never
// fails: the medians and the 99th percentiles of 10,000 requests each, and what is asked of the table.
func BenchmarkHealthyPath(b *testing.B) {
	const requests, turn, callers = 10_000, 250, 4
	url := serve(b, status(http.StatusOK))
	var reads, writes atomic.Int64
	count := func(w http.ResponseWriter, r *http.Request, operation string, next http.Handler) {
		if operation == "GetItem" {
			reads.Add(1)
		} else {
			writes.Add(1)
		}
		next.ServeHTTP(w, r)
	}
	stacks := []*stack.Stack{
		start(b, url, everyFunction("GATE", "")...),
		tapped(b, url, count, everyFunction("GATE", adaptiveGate)...),
	}
	took := make([][]time.Duration, len(stacks))
	for b.Loop() {
		for range requests / turn {
			for i, s := range stacks {
				var mu sync.Mutex
				var all sync.WaitGroup
				for range callers {
					all.Go(func() {
						for range turn / callers {
							began := time.Now()
							if a := get(b, s, "/orders/1"); a.Status != http.StatusOK {
								b.Errorf("the answer is %d %s", a.Status, a.Body)
							}
							d := time.Since(began)
							mu.Lock()
							took[i] = append(took[i], d)
							mu.Unlock()
						}
					})
				}
				all.Wait()
			}
		}
	}
	at := func(i int, share float64) float64 {
		slices.Sort(took[i])
		return float64(took[i][int(share*float64(len(took[i])-1))].Microseconds()) / 1000
	}
	for i, name := range []string{"without", "with"} {
		b.ReportMetric(at(i, 0.5), "p50-ms-"+name)
		b.ReportMetric(at(i, 0.99), "p99-ms-"+name)
	}
	b.ReportMetric(at(1, 0.5)/at(0, 0.5), "p50-ratio")
	b.ReportMetric(at(1, 0.99)/at(0, 0.99), "p99-ratio")
	b.ReportMetric(float64(writes.Load()), "writes")
	b.ReportMetric(float64(reads.Load()), "reads")
}

// BenchmarkAHundredAtOnce sends a hundred requests in the same moment to an upstream that lets sixty through in ten seconds, with and
// without a gate, in sandboxes that are new and in those that are there already.
func BenchmarkAHundredAtOnce(b *testing.B) {
	for _, c := range []struct{ name, gate string }{{"with", adaptiveGate}, {"without", noGate}} {
		b.Run(c.name, func(b *testing.B) {
			u := &throttledUpstream{burst: 60, window: 10 * time.Second}
			s := start(b, serve(b, u.ServeHTTP), append(everyFunction("GATE", c.gate), asItPasses)...)
			for b.Loop() {
				for _, sandboxes := range []string{"new", "warm"} {
					u.mu.Lock()
					before, early := u.calls, u.early
					u.mu.Unlock()
					statuses, took := askedAll(s, 100, 0)
					u.mu.Lock()
					b.ReportMetric(float64(u.calls-before)/float64(max(1, statuses[http.StatusOK])), "calls/success-"+sandboxes)
					b.ReportMetric(float64(u.early-early), "early-"+sandboxes)
					u.mu.Unlock()
					b.ReportMetric(took[len(took)*99/100].Seconds(), "p99-s-"+sandboxes)
					time.Sleep(u.window) // the next hundred meet a window of their own
				}
			}
		})
	}
}
