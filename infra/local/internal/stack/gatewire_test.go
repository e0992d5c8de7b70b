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

// A throttled upstream limits requests by token buckets, one for all or one for each address, and says no more of it than
// Retry-After in whole seconds. It counts its calls, and those that came before the moment that it had named.
type throttledUpstream struct {
	rate, burst float64
	byAddress   bool
	down        func(time.Duration) bool // whether it fails, so long after the first call

	mu      sync.Mutex
	begun   time.Time
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
	if u.rate == 0 {
		return http.StatusOK, 0
	}
	if u.buckets[address] == nil {
		u.buckets[address] = &tokenBucket{rate: u.rate, burst: u.burst}
	}
	ok, left := u.buckets[address].take(now)
	if ok {
		return http.StatusOK, 0
	}
	told = max(1, int(math.Ceil(left.Seconds())))
	u.until[request] = now.Add(time.Duration(told) * time.Second)
	return http.StatusTooManyRequests, told
}

// asked300 sends requests, spread over a time, each with a path of its own, and returns how they were answered.
func asked300(t *testing.T, s *stack.Stack, over time.Duration) map[int]int {
	t.Helper()
	const requests = 300
	var mu sync.Mutex
	statuses := map[int]int{}
	var all sync.WaitGroup
	for i := range requests {
		all.Go(func() {
			time.Sleep(over * time.Duration(i) / requests)
			response, err := http.Get(fmt.Sprintf("%s/orders/%d", s.URL(), i))
			status := 0
			if err == nil {
				status = response.StatusCode
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
			mu.Lock()
			statuses[status]++
			mu.Unlock()
		})
	}
	all.Wait()
	return statuses
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
			statuses := asked300(t, s, 6*time.Second)
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
