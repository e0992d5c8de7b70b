package stack_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	gateway "github.com/retrying-api-proxy/retrying-api-proxy/functions/gateway/handler"
)

// A fleet is a stack in this process, on a virtual clock, whose functions have a sandbox for each invocation that runs at the same
// time: what callers know of each other they know through the table alone.
type fleet struct {
	*whole
	gateways pool[*gateway.Gateway]

	// limited holds until when a request, or with byAddress an address of one, was told to leave the upstream alone.
	limited map[string]time.Time
	early   int
}

// takesSeconds skips a test of a fleet in a quick run.
func takesSeconds(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short; it sends thousands of requests, which takes seconds")
	}
}

// newFleet starts a fleet with a gate, as JSON; empty for none.
func newFleet(t *testing.T, gate, policy string, seed uint64) *fleet {
	t.Helper()
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(seed, 1))
	random := func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return r.Float64()
	}
	w, end := newWholeIn(t, policy, random, off{}, map[string]string{"GATE": gate, "RING_START": ""})
	t.Cleanup(end)
	f := &fleet{whole: w, limited: map[string]time.Time{}}
	for range 3 {
		w.pools = append(w.pools, &pool[lambda.Handler]{})
	}
	return f
}

// A burst is so many requests, spread over a time, the first one at a moment.
type burst struct {
	requests int
	at, over time.Duration
}

// meets sends bursts of requests, each with a path of its own, and returns the answers.
func (f *fleet) meets(bursts ...burst) []events.LambdaFunctionURLResponse {
	var all sync.WaitGroup
	var answers []events.LambdaFunctionURLResponse
	leave := f.clock.Enter()
	n := 0
	for _, b := range bursts {
		for i := range b.requests {
			at := b.at + b.over*time.Duration(i)/time.Duration(b.requests)
			path := fmt.Sprintf("/orders/%d", n)
			n++
			p := &presence{f.clock, f.clock.Enter()}
			all.Go(func() {
				defer func() { p.leave() }()
				_ = f.clock.Wait(f.t.(*testing.T).Context(), at)
				g, free := f.gateways.take(func() *gateway.Gateway { return f.newGateway(0) })
				defer free()
				answer := f.askIn(context.WithValue(context.Background(), presenceKey{}, p), g, "GET", path)
				f.mu.Lock()
				answers = append(answers, answer)
				f.mu.Unlock()
			})
		}
	}
	leave()
	all.Wait()
	return answers
}

// A tokenBucket lets through so many a second, and so many at once after a pause.
type tokenBucket struct {
	rate, burst float64
	tokens      float64
	at          time.Time
}

func (b *tokenBucket) take(now time.Time) (ok bool, left time.Duration) {
	if b.at.IsZero() {
		b.tokens = b.burst
	} else {
		b.tokens = min(b.burst, b.tokens+b.rate*now.Sub(b.at).Seconds())
	}
	b.at = now
	if b.tokens < 1 {
		return false, time.Duration((1 - b.tokens) / b.rate * float64(time.Second))
	}
	b.tokens--
	return true, 0
}

// limits has the upstream limit requests by token buckets, one for all or one for each address, and say no more of it than
// Retry-After in whole seconds.
func (f *fleet) limits(rate, burst float64, byAddress bool) {
	buckets := map[string]*tokenBucket{}
	f.upstreamOf = func(rw http.ResponseWriter, r *http.Request) {
		now := f.clock.Now()
		bucket, request := "", r.URL.Path
		if byAddress {
			bucket, _, _ = net.SplitHostPort(r.RemoteAddr)
			request += " from " + bucket
		}
		if now.Before(f.limited[request]) {
			f.early++
		}
		if buckets[bucket] == nil {
			buckets[bucket] = &tokenBucket{rate: rate, burst: burst}
		}
		if ok, left := buckets[bucket].take(now); !ok {
			seconds := max(1, int(math.Ceil(left.Seconds())))
			f.limited[request] = now.Add(time.Duration(seconds) * time.Second)
			rw.Header().Set("Retry-After", strconv.Itoa(seconds))
			rw.WriteHeader(http.StatusTooManyRequests)
			return
		}
		rw.WriteHeader(http.StatusOK)
	}
}

// fleetTally is what came of a run.
type fleetTally struct {
	calls, succeeded, early int
	statuses                map[int]int
}

func (f *fleet) tally(answers []events.LambdaFunctionURLResponse) fleetTally {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := fleetTally{calls: len(f.sent), early: f.early, statuses: map[int]int{}}
	for _, a := range answers {
		all.statuses[a.StatusCode]++
		if a.StatusCode == http.StatusOK {
			all.succeeded++
		}
	}
	return all
}

func (a fleetTally) perSuccess() float64 { return float64(a.calls) / float64(a.succeeded) }

func (a fleetTally) String() string {
	return fmt.Sprintf("%d calls, %d succeeded (%.3f), %d early, %v", a.calls, a.succeeded, a.perSuccess(), a.early, a.statuses)
}

// peak is the most that the upstream was sent in any second from a moment on.
func (f *fleet) peak(from time.Duration) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	seconds := map[int64]int{}
	most := 0
	for _, s := range f.sent {
		if at := s.at.Sub(dawn); at >= from {
			seconds[int64(at/time.Second)]++
			most = max(most, seconds[int64(at/time.Second)])
		}
	}
	return most
}

const (
	noGate       = `{"circuitBreaker":{"disabled":true}}`
	adaptiveGate = `{"flowControl":{"mode":"adaptive"}}`
)

// calling is the number of calls for each success of a run, which is told in the log.
func (f *fleet) calling(t *testing.T, what string, bursts ...burst) fleetTally {
	t.Helper()
	all := f.tally(f.meets(bursts...))
	t.Logf("%s: %v, %d gateways", what, all, f.gateways.made)
	return all
}

func TestTwoHundredCallersKeepALimitOfTwentyASecond(t *testing.T) {
	t.Parallel()
	calls, seeds := 0, 4
	if testing.Short() {
		seeds = 1
	}
	for seed := range uint64(seeds) {
		off := newFleet(t, noGate, "", seed)
		off.limits(20, 20, false)
		without := off.calling(t, "without a gate", burst{200, 0, 8 * time.Second})

		f := newFleet(t, adaptiveGate, "", seed)
		f.limits(20, 20, false)
		with := f.calling(t, "with a gate", burst{200, 0, 8 * time.Second})
		if with.succeeded != 200 || with.calls > 235 || with.early > 3 {
			t.Errorf("seed %d: %v; want 200 successes of at most 235 calls, at most 3 of them early", seed, with)
		}
		calls += with.calls
		if without.calls < 240 {
			t.Errorf("seed %d: without a gate %v; the test is too easy", seed, without)
		}
	}
	if calls > seeds*224 && !testing.Short() {
		t.Errorf("there were %d calls for %d successes, want at most 1.12 for each", calls, 200*seeds)
	}
}

func TestNobodyIsEarlyWhereTheLimitIsKnownToBeByAccount(t *testing.T) {
	takesSeconds(t)
	t.Parallel()
	f := newFleet(t, adaptiveGate, `{"scope":"per-account"}`, 7)
	f.limits(20, 20, false)
	with := f.calling(t, "with a gate", burst{300, 0, 10 * time.Second})
	off := newFleet(t, noGate, `{"scope":"per-account"}`, 7)
	off.limits(20, 20, false)
	without := off.calling(t, "without a gate", burst{300, 0, 10 * time.Second})
	if with.succeeded != 300 || with.calls > 375 || with.early > 0 || with.calls > without.calls*4/5 {
		t.Errorf("%v; want 300 successes of at most 375 calls, none of them early, and a fifth fewer than without: %v", with, without)
	}
}

func TestALimitByAddressBelowItsSumIsHardlyMet(t *testing.T) {
	t.Parallel()
	f := newFleet(t, adaptiveGate, "", 3)
	f.limits(20, 20, true)
	if with := f.calling(t, "by address", burst{450, 0, 10 * time.Second}); with.succeeded != 450 || with.calls > 460 || with.early > 3 {
		t.Errorf("%v; want 450 successes of at most 460 calls", with)
	}
}

func TestAboveALimitByAddressCallersQueue(t *testing.T) {
	takesSeconds(t)
	t.Parallel()
	f := newFleet(t, adaptiveGate, `{"scope":"per-address"}`, 3)
	f.limits(10, 10, true)
	with := f.calling(t, "by address", burst{400, 0, 10 * time.Second})
	off := newFleet(t, noGate, `{"scope":"per-address"}`, 3)
	off.limits(10, 10, true)
	without := off.calling(t, "by address, without a gate", burst{400, 0, 10 * time.Second})
	// In which order goroutines run is not for the clock to say, and in one order of some dozens somebody uses up all attempts.
	if with.succeeded < 396 || with.calls > 500 || with.early > 0 || with.calls > without.calls*4/5 {
		t.Errorf("%v; want 396 successes or more of at most 500 calls, none of them early, and a fifth fewer than without: %v", with, without)
	}
}

func TestATableThatIsThrottledHalfOfTheTimeIsNoWorseThanNoGate(t *testing.T) {
	takesSeconds(t)
	t.Parallel()
	for _, share := range []float64{0.5, 1} {
		calls := map[string]int{}
		for _, gate := range []string{noGate, adaptiveGate} {
			for seed := range uint64(3) {
				f := newFleet(t, gate, "", seed)
				f.limits(20, 20, false)
				r := rand.New(rand.NewPCG(seed, 2))
				f.table = func() (bool, bool) { return r.Float64() >= share, true }
				all := f.calling(t, fmt.Sprintf("%s, %v of the table's answers fail", gate, share), burst{200, 0, 8 * time.Second})
				if all.succeeded != 200 {
					t.Errorf("%s: %v; want 200 successes", gate, all)
				}
				calls[gate] += all.calls
			}
		}
		if with, without := calls[adaptiveGate], calls[noGate]; float64(with) > 1.08*float64(without) {
			t.Errorf("with %v of the answers failing there were %d calls with a gate and %d without", share, with, without)
		}
	}
}

// down has the upstream fail from one moment to another.
func (f *fleet) down(from, to time.Duration) {
	f.upstreamOf = func(rw http.ResponseWriter, _ *http.Request) {
		if at := f.clock.Now().Sub(dawn); at >= from && at < to {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		rw.WriteHeader(http.StatusOK)
	}
}

func TestAfterAnOutageThoseWhoWaitedDoNotComeAllAtOnce(t *testing.T) {
	takesSeconds(t)
	t.Parallel()
	const rate = 20
	traffic := burst{90 * rate, 0, 90 * time.Second}
	off := newFleet(t, noGate, "", 1)
	off.down(10*time.Second, 40*time.Second)
	without := off.calling(t, "an outage of 30 s, without a gate", traffic)
	withoutPeak := off.peak(40 * time.Second)

	f := newFleet(t, `{}`, "", 1) // the breaker alone, which is what there is by default
	f.down(10*time.Second, 40*time.Second)
	with := f.calling(t, "an outage of 30 s, with a breaker", traffic)
	peak := f.peak(40 * time.Second)
	t.Logf("peaks after it: %d without, %d with, of %d a second", withoutPeak, peak, rate)
	if with.perSuccess() > 1.1 || with.succeeded < without.succeeded || peak > rate*11/5 {
		t.Errorf("%v, and a peak of %d; want at most 1.1 calls for each success, as many successes as without (%v), and no more than %d in a second", with, peak, without, rate*11/5)
	}
}

func TestErrorsOfHalfOfTheCallsStopNobody(t *testing.T) {
	takesSeconds(t)
	t.Parallel()
	calls := map[string]fleetTally{}
	for _, gate := range []string{noGate, `{}`} {
		f := newFleet(t, gate, "", 5)
		r := rand.New(rand.NewPCG(5, 2))
		f.upstreamOf = func(rw http.ResponseWriter, _ *http.Request) {
			if r.Float64() < 0.5 {
				rw.WriteHeader(http.StatusServiceUnavailable)
			}
		}
		calls[gate] = f.calling(t, gate, burst{600, 0, 20 * time.Second})
	}
	with, without := calls[`{}`], calls[noGate]
	if with.statuses[503] > without.statuses[503]+20 || with.perSuccess() > 1.1*without.perSuccess() {
		t.Errorf("%v; want about %v", with, without)
	}
}
