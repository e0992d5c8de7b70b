package handler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/rawupstream"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/watchedgate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// sharedItem is the id of the item that the rings of these tests share.
const sharedItem = "gate#gateway#orders#0"

// A ring is three proxies, each in a process of its own, that share a gate and a clock. chance is what the proxies draw, and lot
// what their gates do.
type ring struct {
	*bench
	proxies     []*Proxy
	store       *watchedgate.Store
	chance, lot func() float64
	start       func() // starts the proxies, or starts them anew: each in a sandbox that knows nothing
}

var adaptive = message.Gate{FlowControl: message.GateFlowControl{Mode: gate.Adaptive}}

// newRing makes a ring in front of an upstream on this machine. What its gates do beside a request, they do at once.
func newRing(t testing.TB, url string, g message.Gate, policy ...retry.Policy) *ring {
	t.Helper()
	half := func() float64 { return 0.5 }
	r := &ring{bench: newBench(t, url), store: &watchedgate.Store{ID: sharedItem}, chance: half, lot: half}
	base := r.settings
	r.start = func() {
		r.proxies = nil
		for n := range 3 {
			s := base
			s.name = message.ProxyName(n + 1)
			for _, p := range policy {
				s.policy = p.Over(s.policy)
			}
			p := newProxy(s, Dependencies{Log: r.log, Clock: r.bench, Random: func() float64 { return r.chance() }})
			settings, _, err := g.Settings(p.policy)
			if err != nil {
				t.Fatal(err)
			}
			p.gate, err = gate.New(r.store, settings, gate.WithPrefix("gateway"), gate.WithClock(r.bench), gate.WithRandom(func() float64 { return r.lot() }),
				gate.WithBeside(func(ctx context.Context, do func(context.Context)) { do(ctx) }),
				gate.WithSilence(0)) // a busy machine is no silent table
			if err != nil {
				t.Fatal(err)
			}
			r.proxies = append(r.proxies, p)
		}
		r.Proxy = r.proxies[0]
	}
	r.start()
	return r
}

// warm has each proxy look at the gate, as its sandbox does before its first call. What others leave in the item after that, no
// proxy knows of before the store tells it.
func (r *ring) warm(t testing.TB) {
	t.Helper()
	for _, p := range r.proxies {
		p.gate.Begin(t.Context(), "orders")
	}
	r.store.Asked()
}

// let is a call that the gateway has let through, with a minute left.
func (r *ring) let(request message.Request, history ...retry.Attempt) message.Envelope {
	in := r.call(request, history...)
	in.Call.Gate = &message.GatePass{Scope: "orders", State: gate.State{Inside: true}}
	return in
}

// at hands an envelope to a proxy, the first one by 1, and takes its answer as the state machine does.
func (r *ring) at(t testing.TB, number int, in message.Envelope) *message.Envelope {
	t.Helper()
	out, err := r.proxies[number-1].Handle(t.Context(), *carried(t, &in))
	if err != nil {
		t.Fatal(err)
	}
	if problem := uncarriable(out); problem != "" {
		t.Fatal(problem)
	}
	return carried(t, out)
}

// maxStateWait is the longest wait of a Wait state, in seconds, by the Amazon States Language.
const maxStateWait = 99_999_999

// uncarriable says what is wrong with an envelope that the state machine cannot carry. Empty: nothing.
func uncarriable(e *message.Envelope) string {
	switch leads := e.Outcome == retry.Again; {
	case e.Outcome != retry.Again && e.Outcome != retry.Succeeded && e.Outcome != retry.Failed:
		return fmt.Sprintf("the outcome is %q", e.Outcome)
	case e.WaitSeconds < 0 || e.WaitSeconds > maxStateWait:
		return fmt.Sprintf("the Wait state is to wait %d seconds", e.WaitSeconds)
	case e.SleepMilliseconds < 0 || e.SleepMilliseconds > 999:
		return fmt.Sprintf("the next proxy is to sleep %d ms", e.SleepMilliseconds)
	case leads != (e.Call != nil) || leads != (e.Losses != nil):
		return fmt.Sprintf("the outcome is %s, with the call %+v", e.Outcome, e.Call)
	}
	return ""
}

// delayOf is how long an envelope has the state machine and the next proxy wait.
func delayOf(e *message.Envelope) time.Duration {
	return time.Duration(e.WaitSeconds)*time.Second + time.Duration(e.SleepMilliseconds)*time.Millisecond
}

// play is the state machine: it carries an envelope from proxy to proxy, from the first one on, until it leads nowhere. delays
// are what it was told to wait.
func (r *ring) play(t testing.TB, in message.Envelope) (final *message.Envelope, delays []time.Duration) {
	t.Helper()
	for n := range 1000 {
		out := r.at(t, n%3+1, in)
		if out.Outcome != retry.Again {
			return out, delays
		}
		delays = append(delays, delayOf(out))
		r.Sleep(t.Context(), time.Duration(out.WaitSeconds)*time.Second)
		in = *out
	}
	t.Fatal("the state machine goes round and round")
	return nil, nil
}

// keep makes an asynchronous request with an hour, as the gateway starts it.
func (r *ring) keep(t testing.TB, request message.Request) (*kept, message.Envelope) {
	t.Helper()
	k := &kept{t: t}
	x := &execution.Execution{
		Name: "e1", State: execution.Running, Method: request.Method, RequestID: "request-1",
		Deadline: r.Now().Add(time.Hour).UnixMilli(), Expiration: r.Now().Add(25 * time.Hour).Unix(),
	}
	if err := errors.Join(k.Create(t.Context(), x), k.PutRequest(t.Context(), x.Name, &request, x.Expiration)); err != nil {
		t.Fatal(err)
	}
	for _, p := range r.proxies {
		p.executions = k
	}
	call := &message.Call{
		Request: request, Execution: "e1", RequestID: "request-1", Deadline: x.Deadline, Gate: &message.GatePass{Scope: "orders"},
	}
	return k, *message.ToProxy(call, r.policy, nil, 0).ByReference()
}

// queue is an item of which so many tickets wait, and have their time at a rate per second.
func (r *ring) queue(waiting int64, perSecond float64) gate.Item {
	return watchedgate.Queue(r.Now(), waiting, perSecond)
}

// An upstream notes when it is called, by the clock of the ring, and answers as the test says.
type upstream struct {
	ring   *ring
	mu     sync.Mutex
	called []time.Time
}

// answering starts an upstream. Each call has the next answer: a status, and perhaps a Retry-After; the last one is repeated.
func answering(t testing.TB, g message.Gate, policy retry.Policy, answers ...string) (*ring, *upstream) {
	t.Helper()
	return answeringAs(t, g, policy, func(n int) string { return answers[min(n, len(answers)-1)] })
}

// answeringAs starts an upstream. next is asked for the answer to each call, the first one by 0.
func answeringAs(t testing.TB, g message.Gate, policy retry.Policy, next func(n int) string) (*ring, *upstream) {
	t.Helper()
	u := new(upstream)
	u.ring = newRing(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		u.mu.Lock()
		text := next(len(u.called))
		u.called = append(u.called, u.ring.Now())
		u.mu.Unlock()
		var status int
		var retryAfter string
		fmt.Sscan(text, &status, &retryAfter)
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.Header()["Date"] = nil // which is of the machine's clock
		w.WriteHeader(status)
	}), g, policy)
	return u.ring, u
}

// calls are how long after the beginning of the morning the upstream was called.
func (u *upstream) calls() (after []time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, at := range u.called {
		after = append(after, at.Sub(morning))
	}
	return after
}

// known is a request with a credential, so that a limit is not taken to be by address.
var known = message.Request{Method: http.MethodGet, Path: "/orders", Headers: map[string]string{"authorization": "Bearer x"}}

func TestASandboxLooksOnceAndAsksTheStoreOfNothingElseWhileTheUpstreamAnswers(t *testing.T) {
	t.Parallel()
	r, u := answering(t, adaptive, retry.Policy{}, "200", "404", "301", "200")
	ticket := r.let(known)
	ticket.Call.Gate = &message.GatePass{Scope: "orders", State: gate.State{Ticket: 9, Born: 77, Due: true}, Waited: 1500, Ticket: 9}
	for n := range 1000 {
		in := r.let(known)
		if n%2 == 1 {
			in = ticket // which the gateway has waited with
		}
		if out := r.at(t, n%3+1, in); out.Outcome != retry.Succeeded {
			t.Fatalf("the outcome is %s", out.Outcome)
		}
	}
	if asked, want := r.store.Asked(), []string{"get", "get", "get"}; !slices.Equal(asked, want) || len(u.calls()) != 1000 {
		t.Errorf("%d calls of the upstream ask the store for %q, want %q for 1,000 calls in three sandboxes", len(u.calls()), asked, want)
	}
}

func TestAnAnswerSaysHowLongItsRequestWasHeldBackAndNothingIfItWasNot(t *testing.T) {
	t.Parallel()
	r, _ := answering(t, adaptive, retry.Policy{}, "200")
	if out := r.at(t, 1, r.let(known)); out.Gate != nil {
		t.Errorf("of a request that did not wait, the answer says %+v", out.Gate)
	}
	in := r.let(known)
	in.Call.Gate.Waited, in.Call.Gate.Ticket = 1500, 9
	if diff := cmp.Diff(&message.GateReport{Waited: 1500, Ticket: 9}, r.at(t, 1, in).Gate); diff != "" {
		t.Errorf("of a request that the gateway held back, the answer says something else (-want +got):\n%s", diff)
	}
}

func TestAfterALimitTheStateMachineWaitsForTheTicketAndTheNextProxyLooksAgain(t *testing.T) {
	t.Parallel()
	r, u := answering(t, adaptive, retry.Policy{}, "429 2", "200")
	r.warm(t)
	r.store.Put(r.queue(10, 1)) // so that ticket 11 has its time 10 s after the 2 s that all wait for
	final, delays := r.play(t, r.let(known))
	if want := []time.Duration{6 * time.Second, 3 * time.Second, 1500 * time.Millisecond, 1500 * time.Millisecond}; !slices.Equal(delays, want) {
		t.Errorf("the state machine is told to wait %v, want halves of 12 s, %v", delays, want)
	}
	if want := []time.Duration{0, 12 * time.Second}; !slices.Equal(u.calls(), want) {
		t.Errorf("the upstream is called after %v, want %v", u.calls(), want)
	}
	if len(final.Attempts) != 2 || final.Outcome != retry.Succeeded || final.Gate.Ticket != 11 || final.Gate.Waited != 12_000 {
		t.Errorf("it ends with %d attempts, %s, and says of the gate %+v", len(final.Attempts), final.Outcome, final.Gate)
	}
	if asked, want := r.store.Asked(), []string{"open", "park", "get", "get", "get"}; !slices.Equal(asked, want) {
		t.Errorf("the store is asked for %q, want %q", asked, want)
	}
	if why := final.Attempts[0].Why; !strings.HasSuffix(why, "; the gate has it wait 6s, with ticket 11") {
		t.Errorf("the first attempt says %q", why)
	}
}

func TestNobodyLooksBeforeTheMomentThatTheAnswerNamed(t *testing.T) {
	t.Parallel()
	r, u := answering(t, adaptive, retry.Policy{}, "429 20", "200")
	r.warm(t)
	r.store.Put(r.queue(10, 1)) // half of 30 s would be before it
	final, delays := r.play(t, r.let(known))
	want := []time.Duration{20 * time.Second, 5 * time.Second, 2500 * time.Millisecond, 1250 * time.Millisecond, 1250 * time.Millisecond}
	if !slices.Equal(delays, want) || !slices.Equal(u.calls(), []time.Duration{0, 30 * time.Second}) {
		t.Errorf("the state machine is told to wait %v, and the upstream called after %v, want %v and 30 s", delays, u.calls(), want)
	}
	if final.Gate.Waited != 30_000 {
		t.Errorf("the answer says that the request was held back for %d ms, want 30,000", final.Gate.Waited)
	}
}

func TestAWaitThatIsHandedBackIsNoAttempt(t *testing.T) {
	t.Parallel()
	r, u := answering(t, adaptive, retry.Policy{}, "429 2", "200")
	r.warm(t)
	r.store.Put(r.queue(10, 1))
	first := r.at(t, 1, r.let(known))
	r.Sleep(t.Context(), 6*time.Second)
	second := r.at(t, 2, *first)
	if diff := cmp.Diff(first.Attempts, second.Attempts); diff != "" || len(second.Attempts) != 1 || len(u.calls()) != 1 {
		t.Errorf("after %d calls the attempts have changed (-before +after):\n%s", len(u.calls()), diff)
	}
	if second.StatusCode != 0 || second.Losses.Count != 0 || second.Losses.Allowed != first.Losses.Allowed {
		t.Errorf("the state machine is told %+v with the losses %+v", second, second.Losses)
	}
	if a, b := first.Call.Gate.State, second.Call.Gate.State; b.Ticket != a.Ticket || b.Born != a.Born || b.NotBefore != a.NotBefore {
		t.Errorf("the visit goes on as %+v, and was %+v", b, a)
	}
}

// The rate may fall, and the deadline does not move.
func TestWhoFindsTheQueueSlowerThanItWasEndsBeforeTheDeadline(t *testing.T) {
	t.Parallel()
	r, u := answering(t, adaptive, retry.Policy{}, "429 2", "200")
	r.warm(t)
	r.store.Put(r.queue(10, 1))
	first := r.at(t, 1, r.let(known))
	r.Sleep(t.Context(), 6*time.Second)
	slower := r.store.Item()
	slower.Version, slower.Rate = slower.Version+1, 100 // a ticket in 10 s, so that it is 96 s until its time
	r.store.Put(slower)
	out := r.at(t, 2, *first)
	if out.Outcome != retry.Failed || out.Error != retry.DeadlineExceeded || len(u.calls()) != 1 || len(out.Attempts) != 1 {
		t.Errorf("it ends %s %s after %d calls with %d attempts", out.Outcome, out.Error, len(u.calls()), len(out.Attempts))
	}
	if got, want := time.UnixMilli(out.NotBefore), r.Now().Add(96*time.Second); !got.Equal(want) {
		t.Errorf("it is to come again at %v, want when its time would have come, %v", got, want)
	}
}

func TestWhoFindsNoPlaceAfterALimitIsHandedTheLimitWithTheTrueRetryAfter(t *testing.T) {
	t.Parallel()
	r, u := answering(t, adaptive, retry.Policy{}, "429 2")
	r.warm(t)
	r.store.Put(r.queue(200, 1))
	out := r.at(t, 1, r.let(known))
	if out.Outcome != retry.Failed || out.Error != retry.DeadlineExceeded || out.StatusCode != 429 || len(out.Attempts) != 1 || len(u.calls()) != 1 {
		t.Errorf("it ends %s %s with %d after %d attempts", out.Outcome, out.Error, out.StatusCode, len(out.Attempts))
	}
	if got, want := time.UnixMilli(out.NotBefore), r.Now().Add(202*time.Second); !got.Equal(want) {
		t.Errorf("it is to come again at %v, want when the 200 that wait are gone, which wait for 2 s, %v", got, want)
	}
}

// No delay at all is how the policy tells a quick try, of which there is one.
func TestAPlaceAtTheGateThatIsFreeAtOnceIsNoQuickTry(t *testing.T) {
	t.Parallel()
	r, _ := answering(t, adaptive, retry.Policy{}, "429")
	r.lot = func() float64 { return 0 }
	out := r.at(t, 1, r.let(known))
	if out.Outcome != retry.Again || delayOf(out) != time.Millisecond || out.Attempts[0].Wait != 1 {
		t.Errorf("it goes on as %s in %v, with %+v", out.Outcome, delayOf(out), out.Attempts)
	}
}

func TestALimitOfAnAddressKeepsNobodyElseAway(t *testing.T) {
	t.Parallel()
	until := func(proxy string, d time.Duration) retry.Attempt {
		return retry.Attempt{Proxy: proxy, Status: 429, Kind: retry.RateLimit, NotBefore: morning.Add(d).UnixMilli()}
	}
	r, _ := answering(t, adaptive, retry.Policy{Scope: retry.PerAddress}, "429 20")
	r.store.Put(r.queue(0, 1))
	out := r.at(t, 3, r.let(known, until("proxy-1", 5*time.Second), until("proxy-2", 9*time.Second)))
	if delayOf(out) < 5*time.Second || delayOf(out) > 6*time.Second {
		t.Errorf("it comes again in %v, want the 5 s until the first address is free, and a little more", delayOf(out))
	}
	if i := r.store.Item(); i.Since > r.Now().UnixMilli() {
		t.Errorf("all others are kept away until %v: %+v", time.UnixMilli(i.Since), i)
	}
}

// The gateway votes, which has looked at the item meanwhile. Two votes of one request would hide an outage.
func TestAProxyDoesNotVoteForARequestWhoseGatewayDoes(t *testing.T) {
	t.Parallel()
	r, _ := answering(t, adaptive, retry.Policy{}, "200")
	r.lot = func() float64 { return 0.1 }
	i := r.queue(0, 1)
	i.Failures, i.FailuresSince = 5, r.Now().Add(-500*time.Millisecond).UnixMilli()
	r.store.Put(i)
	r.gate.Tell("orders", 0, i)
	in := r.let(known)
	in.Call.Gate.State = gate.State{Ticket: 9, Born: 77, Due: true}
	if out := r.at(t, 1, in); out.Outcome != retry.Succeeded {
		t.Errorf("the outcome is %s", out.Outcome)
	}
	if asked := r.store.Asked(); len(asked) != 0 {
		t.Errorf("the store is asked for %q", asked)
	}
}

func TestAProxyThatWasLimitedByItsAddressPassesOnInPlaceOfCalling(t *testing.T) {
	t.Parallel()
	r, u := answering(t, adaptive, retry.Policy{Scope: retry.PerAddress}, "429 20", "200")
	r.warm(t)
	r.store.Put(r.queue(6, 1)) // 6 s, in three waits, after which it is the turn of the first proxy again
	final, delays := r.play(t, r.let(known))
	if want := []time.Duration{3 * time.Second, 1500 * time.Millisecond, 1500 * time.Millisecond, 0}; !slices.Equal(delays, want) {
		t.Errorf("the state machine is told to wait %v, want %v", delays, want)
	}
	if want := []time.Duration{0, 6 * time.Second}; !slices.Equal(u.calls(), want) {
		t.Errorf("the upstream is called after %v, want %v", u.calls(), want)
	}
	if len(final.Attempts) != 2 || final.Attempts[1].Proxy != "proxy-2" {
		t.Errorf("the attempts are %+v, want the second one of proxy-2", final.Attempts)
	}
}

func TestWhereAllAddressesAreLimitedTheFirstThatIsFreeIsWaitedFor(t *testing.T) {
	t.Parallel()
	until := func(proxy string, d time.Duration) retry.Attempt {
		return retry.Attempt{Proxy: proxy, Status: 429, Kind: retry.RateLimit, NotBefore: morning.Add(d).UnixMilli()}
	}
	for name, c := range map[string]struct {
		history []retry.Attempt
		want    time.Duration
		outcome retry.Outcome
	}{
		"another one is free": {[]retry.Attempt{until("proxy-1", 20*time.Second), until("proxy-2", 9*time.Second)}, 0, retry.Again},
		"all are limited": {
			[]retry.Attempt{until("proxy-1", 20*time.Second), until("proxy-2", 9*time.Second), until("proxy-3", 5500*time.Millisecond)},
			5500 * time.Millisecond, retry.Again,
		},
		"the later limit of an address counts": {
			[]retry.Attempt{until("proxy-1", 3*time.Second), until("proxy-1", 20*time.Second), until("proxy-2", 9*time.Second), until("proxy-3", 12*time.Second)},
			9 * time.Second, retry.Again,
		},
		"until after the deadline": {
			[]retry.Attempt{until("proxy-1", 61*time.Second), until("proxy-2", 62*time.Second), until("proxy-3", 63*time.Second)}, 0, retry.Failed,
		},
		"with just enough time for an attempt": {
			[]retry.Attempt{until("proxy-1", 59400*time.Millisecond), until("proxy-2", 62*time.Second), until("proxy-3", 63*time.Second)},
			59400 * time.Millisecond, retry.Again,
		},
		"with no time for an attempt": {
			[]retry.Attempt{until("proxy-1", 59401*time.Millisecond), until("proxy-2", 62*time.Second), until("proxy-3", 63*time.Second)}, 0, retry.Failed,
		},
	} {
		r, u := answering(t, adaptive, retry.Policy{Scope: retry.PerAddress}, "200")
		out := r.at(t, 1, r.let(known, c.history...))
		if out.Outcome != c.outcome || delayOf(out) != c.want || len(out.Attempts) != len(c.history) || len(u.calls()) != 0 {
			t.Errorf("%s: %s after %v with %d attempts and %d calls, want %s after %v", name, out.Outcome, delayOf(out), len(out.Attempts), len(u.calls()), c.outcome, c.want)
		}
		if out.Outcome == retry.Failed && (out.Error != retry.DeadlineExceeded || out.NotBefore != c.history[2].NotBefore) {
			t.Errorf("%s: it fails with %s, to come again at %d", name, out.Error, out.NotBefore)
		}
	}
}

// open is an item of an outage that nobody has announced, which began 10 s ago.
func (r *ring) open(waiting int64, prober int64) gate.Item {
	return watchedgate.Outage(r.Now(), waiting, prober)
}

// othersTry makes it an outage without an end, in which it is always others who try whether it is over.
func (r *ring) othersTry() {
	r.store.Put(r.open(1, 4))
	r.store.Before = func(operation string) error {
		if i := r.store.Item(); operation == "lease" {
			i.Probe, i.Prober = r.Now().UnixMilli()+1000, 4
			r.store.Put(i)
		}
		return nil
	}
}

func TestAnAsynchronousRequestLooksSomeHundredTimesInAnHourOfAnOutage(t *testing.T) {
	t.Parallel()
	r, u := answering(t, adaptive, retry.Policy{}, "200")
	r.othersTry()
	k, in := r.keep(t, known)
	final, delays := r.play(t, in)
	if len(u.calls()) != 0 || final.Outcome != retry.Failed || k.answer(k.now().Answer).Error != retry.DeadlineExceeded {
		t.Errorf("after %d calls it is %s %s", len(u.calls()), final.Outcome, final.Error)
	}
	if held := k.answer(k.now().Answer).Gate.Waited; held < 3_598_000 || held > 3_600_000 {
		t.Errorf("it was held back for %d ms, want the hour", held)
	}
	if n := len(delays); n < 100 || n > 900 || slices.Min(delays) < 500*time.Millisecond {
		t.Errorf("it looks %d times, at least %v apart, want some hundred times, about a second apart", n, slices.Min(delays))
	}
}

// A proxy is paid for while it sleeps, and ends by its timeout.
func TestAProxySleepsNoMoreThanASecondAtTheGate(t *testing.T) {
	t.Parallel()
	r, u := answering(t, adaptive, retry.Policy{}, "200")
	var slept time.Duration
	r.slept = func(d time.Duration) { slept += d }
	r.othersTry()
	in := r.let(known)
	in.Call.Gate.State = gate.State{Ticket: 1, Born: 77}
	out := r.at(t, 1, in)
	if out.Outcome != retry.Again || slept > time.Second || len(u.calls()) != 0 {
		t.Errorf("a proxy sleeps for %v and ends with %s after %d calls, want a second at most and another proxy", slept, out.Outcome, len(u.calls()))
	}
}

func TestAProbeThatSucceedsClosesTheCircuitAndOneThatFailsDoesNot(t *testing.T) {
	t.Parallel()
	for answer, c := range map[string]struct {
		state gate.Circuit
		asked string
	}{
		"200":   {gate.Closing, "close"},
		"404":   {gate.Closing, "close"},
		"503":   {gate.Open, "fail"},
		"429 1": {gate.Closing, "close"}, // who limits is there again
	} {
		r, _ := answering(t, adaptive, retry.Policy{}, answer)
		r.store.Put(r.open(20, 4))
		in := r.let(known)
		in.Call.Gate.State = gate.State{Ticket: 1, Born: 77, Probe: 4}
		r.at(t, 1, in)
		if got := r.store.Item().Circuit(r.Now()); got != c.state {
			t.Errorf("after a probe that was answered with %s the circuit is %s, want %s", answer, got, c.state)
		}
		if asked := r.store.Asked(); !slices.Contains(asked, c.asked) {
			t.Errorf("after a probe that was answered with %s the store is asked for %q, want %s", answer, asked, c.asked)
		}
	}
}

func TestWhatOthersWouldMeetTooInAnOutageCountsAndNothingElse(t *testing.T) {
	t.Parallel()
	post := message.Request{Method: http.MethodPost, Path: "/orders", Body: "tea"}
	status := func(text string) func(*testing.T) *ring {
		return func(t *testing.T) *ring { r, _ := answering(t, adaptive, retry.Policy{}, text); return r }
	}
	raw := func(scheme, text string) func(*testing.T) *ring {
		return func(t *testing.T) *ring {
			return newRing(t, scheme+"://"+rawupstream.Listen(t, answer(text)), adaptive)
		}
	}
	for name, c := range map[string]struct {
		ring    func(*testing.T) *ring
		request message.Request
		counts  bool
	}{
		"a 503":                                {status("503"), known, true},
		"a 500 of a POST that is not repeated": {status("500"), post, true},
		"a closed port":                        {func(t *testing.T) *ring { return newRing(t, "http://"+rawupstream.Closed(t), adaptive) }, known, true},
		"no answer":                            {raw("http", ""), known, true},
		"no answer to a POST that is not repeated": {raw("http", ""), post, true},
		"a 404":                                     {status("404"), known, false},
		"a 501":                                     {status("501"), known, false},
		"a 409 that says when to come again":        {status("409 1"), known, false},
		"a limit":                                   {status("429 1"), known, false},
		"an answer that is too large":               {raw("http", "HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n"+strings.Repeat("x", 9_000_000)), known, false},
		"fields that are too large":                 {raw("http", "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 2<<20)+"\r\n\r\n"), known, false},
		"fields that are too large, to a POST":      {raw("http", "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 2<<20)+"\r\n\r\n"), post, false},
		"a certificate that nobody vouches for":     {certificate, known, false},
		"the same, for a POST that is not repeated": {certificate, post, false},
	} {
		r := c.ring(t)
		r.at(t, 1, r.let(c.request))
		if asked := r.store.Asked(); slices.Contains(asked, "fail") != c.counts {
			t.Errorf("%s: the store is asked for %q, and whether it counts should be %v", name, asked, c.counts)
		}
	}
}

// Whoever gives the upstream less time than the policy does would be an outage for all others.
func TestAnAttemptThatItsCallersDeadlineCutsShortIsNoFailureOfTheUpstream(t *testing.T) {
	t.Parallel()
	hangs, breaksOff := stall, answer("")
	post := message.Request{Method: http.MethodPost, Path: "/orders", Body: "tea"}
	for name, c := range map[string]struct {
		upstream func(net.Conn)
		policy   retry.Policy
		left     time.Duration // of the caller's deadline
		request  message.Request
		counts   bool
	}{
		"cut short by the deadline":                  {hangs, retry.Policy{Deadline: 40 * time.Millisecond}, 30 * time.Millisecond, known, false},
		"the same, of a POST":                        {hangs, retry.Policy{Deadline: 40 * time.Millisecond}, 30 * time.Millisecond, post, false},
		"with half of an answer":                     {answerThenStall("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nte"), retry.Policy{Deadline: 40 * time.Millisecond}, 30 * time.Millisecond, known, false},
		"with half of a 503":                         {answerThenStall("HTTP/1.1 503 Down\r\nContent-Length: 9\r\n\r\nte"), retry.Policy{Deadline: 40 * time.Millisecond}, 30 * time.Millisecond, known, true},
		"broken off by the upstream before it":       {breaksOff, retry.Policy{Deadline: 40 * time.Second}, 30 * time.Second, known, true},
		"broken off, with less time than an attempt": {breaksOff, retry.Policy{Deadline: 8 * time.Second}, 5 * time.Second, known, true},
		"ended by the policy's timeout":              {hangs, retry.Policy{AttemptTimeout: 30 * time.Millisecond}, time.Minute, known, true},
		"ended by a deadline behind that timeout":    {hangs, retry.Policy{AttemptTimeout: 30 * time.Millisecond}, 40 * time.Millisecond, known, true},
	} {
		r := newRing(t, "http://"+rawupstream.Listen(t, c.upstream), adaptive, c.policy)
		in := r.let(c.request)
		in.Call.Deadline = r.Now().Add(c.left).UnixMilli()
		if out := r.at(t, 1, in); len(out.Attempts) != 1 {
			t.Errorf("%s: there are %d attempts, want 1", name, len(out.Attempts))
		}
		if asked := r.store.Asked(); slices.Contains(asked, "fail") != c.counts {
			t.Errorf("%s: the store is asked for %q, and whether it counts should be %v", name, asked, c.counts)
		}
	}
}

// answerThenStall answers, and then nothing more until the other side gives up.
func answerThenStall(text string) func(net.Conn) {
	return func(conn net.Conn) {
		answer(text)(conn)
		stall(conn)
	}
}

// certificate is a ring in front of an upstream whose certificate nobody vouches for.
func certificate(t *testing.T) *ring {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return newRing(t, server.URL, adaptive)
}

func TestALostProxyIsNoFailureOfTheUpstream(t *testing.T) {
	t.Parallel()
	r, _ := answering(t, adaptive, retry.Policy{}, "200")
	in := r.let(known)
	in.Losses = &message.Losses{Count: 2, Allowed: 2, Proxy: "proxy-3", Error: "Lambda.Unknown", Before: &message.Losses{
		Count: 1, Allowed: 2, Proxy: "proxy-2", Error: "Sandbox.Timedout", Before: in.Losses,
	}}
	out := r.at(t, 1, in)
	if asked := r.store.Asked(); len(asked) > 0 || len(out.Attempts) != 3 || out.Outcome != retry.Succeeded {
		t.Errorf("after %d attempts, two of them lost, the store is asked for %q", len(out.Attempts), asked)
	}
}

func TestTenRequestsMakeThreeQuickTriesAndTellWhatTheyBrought(t *testing.T) {
	t.Parallel()
	r, u := answering(t, adaptive, retry.Policy{}, "429 2")
	var sandboxes [10][]*Proxy // for each request others, which have not heard of any limit
	for n := range sandboxes {
		r.start()
		r.warm(t)
		sandboxes[n] = r.proxies
	}
	atOnce := 0
	for n := range sandboxes {
		r.proxies = sandboxes[n]
		first := r.at(t, 1, r.let(message.Request{Method: http.MethodGet}))
		if delayOf(first) > 0 {
			if delayOf(first) < 2*time.Second {
				t.Errorf("a request that makes no quick try comes again in %v, want the 2 s that it was told", delayOf(first))
			}
			continue
		}
		atOnce++
		if !first.Call.Gate.Tried {
			t.Errorf("the next proxy is not told that its attempt is a quick try: %+v", first.Call.Gate)
		}
		second := r.at(t, 2, *first)
		if delayOf(second) < 2*time.Second || second.Call.Gate.Tried {
			t.Errorf("after a quick try in vain the next attempt follows in %v, with %+v", delayOf(second), second.Call.Gate)
		}
	}
	if i := r.store.Item(); atOnce != 3 || i.Tries != 3 || i.ByKey != 3 || i.Scoping() != gate.KeyScoping || len(u.calls()) != 13 {
		t.Errorf("%d quick tries are made in %d calls, and the item is %+v", atOnce, len(u.calls()), i)
	}
}

// A quick try may come to a proxy that was limited itself, and pass it by.
func TestAQuickTryThatIsPassedOnIsStillOne(t *testing.T) {
	t.Parallel()
	r, _ := answering(t, adaptive, retry.Policy{}, "200")
	r.store.Put(r.queue(0, 1))
	in := r.let(message.Request{Method: http.MethodGet}, retry.Attempt{
		Proxy: "proxy-1", Status: 429, Kind: retry.RateLimit, NotBefore: morning.Add(9 * time.Second).UnixMilli(),
	})
	in.Call.Gate.Tried = true
	passed := r.at(t, 1, in)
	if passed.Outcome != retry.Again || !passed.Call.Gate.Tried {
		t.Fatalf("it goes on as %s with %+v", passed.Outcome, passed.Call.Gate)
	}
	r.at(t, 2, *passed)
	if i := r.store.Item(); i.ByAddress != 1 {
		t.Errorf("what the quick try brought is not told: %+v", i)
	}
}

// An announcement binds everybody, so it must be the upstream's.
func TestAWaitThatAnEarlierAnswerAskedForIsNotAnnouncedToOthers(t *testing.T) {
	t.Parallel()
	r, _ := answering(t, adaptive, retry.Policy{}, "503")
	i := r.queue(0, 1)
	i.Failures, i.FailuresSince = 20, r.Now().Add(-1500*time.Millisecond).UnixMilli() // the next failure trips
	r.store.Put(i)
	out := r.at(t, 2, r.let(message.Request{Method: http.MethodGet}, retry.Attempt{
		Proxy: "proxy-1", Status: 429, Kind: retry.RateLimit, NotBefore: morning.Add(30 * time.Second).UnixMilli(),
	}))
	after := r.store.Item()
	if after.Outage != 1 || after.Probe == 0 {
		t.Errorf("a 503 without Retry-After makes the outage %+v, want one whose end nobody knows", after)
	}
	if got := time.UnixMilli(out.Call.Gate.State.NotBefore); got.Before(morning.Add(30 * time.Second)) {
		t.Errorf("the request itself may call at %v, want the 30 s that its own answer asked for", got)
	}
}

func TestAnAsynchronousRequestThatIsTurnedAwayComesAgainLaterAndLaterUntilItsDeadline(t *testing.T) {
	t.Parallel()
	g := adaptive
	g.FlowControl.MaxWaiting = 5
	r, u := answering(t, g, retry.Policy{}, "200")
	k, in := r.keep(t, known)
	var delays []time.Duration
	for n := range 100 {
		r.store.Put(r.queue(5, 0.1)) // all places are taken, and a sixth ticket had its time in 50 s
		left := time.UnixMilli(k.now().Deadline).Sub(r.Now())
		out := r.at(t, n%3+1, in)
		if out.Outcome != retry.Again {
			if out.Outcome != retry.Failed || left > 51*time.Second {
				t.Errorf("it ends %s with %v left, want failed when the 50 s do not fit any more", out.Outcome, left)
			}
			break
		}
		if delayOf(out) >= left {
			t.Fatalf("it comes again in %v, with %v left", delayOf(out), left)
		}
		delays = append(delays, delayOf(out))
		r.Sleep(t.Context(), delayOf(out))
		in = *out
		in.SleepMilliseconds = 0
	}
	want := []time.Duration{75 * time.Second, 100 * time.Second, 150 * time.Second, 250 * time.Second, 450 * time.Second, 850 * time.Second}
	if len(delays) < len(want) || !slices.Equal(delays[:len(want)], want) {
		t.Errorf("it comes again after %v, want %v, and then after half of what is left", delays, want)
	}
	x := k.now()
	answer := k.answer(x.Answer)
	if len(u.calls()) != 0 || x.State != execution.Failed || answer == nil || answer.Error != retry.DeadlineExceeded || len(answer.Attempts) != 0 {
		t.Fatalf("after %d calls the execution is %+v, with the answer %+v", len(u.calls()), x, answer)
	}
	if got, want := time.UnixMilli(answer.NotBefore), r.Now().Add(50*time.Second); !got.Equal(want) {
		t.Errorf("it is to come again at %v, want when there is a place, %v", got, want)
	}
}

// Each time is a few events of its execution, of which there can be 25,000, and an hour has 3,600,000 ms.
func TestAnAsynchronousRequestThatIsTurnedAwayForAMomentDoesNotComeAgainAtOnce(t *testing.T) {
	t.Parallel()
	g := adaptive
	g.FlowControl.MaxWaiting = 5
	r, _ := answering(t, g, retry.Policy{}, "200")
	r.store.Put(r.queue(5, 200)) // a sixth ticket had its time in 25 ms
	r.chance = func() float64 { return 0 }
	_, in := r.keep(t, known)
	if out := r.at(t, 1, in); out.Outcome != retry.Again || delayOf(out) != 35994*time.Millisecond {
		t.Errorf("it comes again in %v (%s), want a hundredth of the hour, less what it takes to come to an attempt, and the attempt", delayOf(out), out.Outcome)
	}
}

func TestAnAsynchronousRequestKeepsItsPlaceWhenTheQueueGetsSlower(t *testing.T) {
	t.Parallel()
	r, u := answering(t, adaptive, retry.Policy{}, "429 2", "200")
	r.warm(t)
	r.store.Put(r.queue(200, 5)) // 40 s behind the 2 s that all wait for
	k, in := r.keep(t, known)
	in.Call.Gate.State.Inside = true
	first := r.at(t, 1, in)
	if first.Outcome != retry.Again || delayOf(first) != 21*time.Second || first.Call.Gate.State.Ticket != 201 || len(k.now().Attempts) != 1 {
		t.Fatalf("the limit leads to %s in %v, with %+v", first.Outcome, delayOf(first), first.Call.Gate)
	}
	r.Sleep(t.Context(), delayOf(first))
	slower := r.store.Item()
	slower.Version, slower.Rate = slower.Version+1, 2500 // the 200 take 80 s, of which 19 s have passed
	r.store.Put(slower)
	in = *first
	in.SleepMilliseconds = 0
	second := r.at(t, 2, in)
	if second.Outcome != retry.Again || delayOf(second) != 30500*time.Millisecond || second.Call.Gate.State.Ticket != 201 || len(u.calls()) != 1 {
		t.Errorf("it goes on as %s in %v with %+v after %d calls, want half of 61 s with ticket 201", second.Outcome, delayOf(second), second.Call.Gate, len(u.calls()))
	}
	if x := k.now(); len(x.Attempts) != 1 || x.State != execution.Waiting {
		t.Errorf("the execution is %+v", x)
	}
}

func TestAnAsynchronousRequestForWhichTheDeadlineComesFirstFailsAtOnce(t *testing.T) {
	t.Parallel()
	r, u := answering(t, adaptive, retry.Policy{}, "429 2")
	r.warm(t)
	r.store.Put(r.queue(200, 0.05)) // 4,000 s, of an hour
	k, in := r.keep(t, known)
	in.Call.Gate.State.Inside = true
	out := r.at(t, 1, in)
	answer := k.answer(k.now().Answer)
	if out.Outcome != retry.Failed || answer == nil || answer.Error != retry.DeadlineExceeded || answer.StatusCode != 429 || len(u.calls()) != 1 {
		t.Fatalf("it is %s after %d calls, with %+v", out.Outcome, len(u.calls()), answer)
	}
	if got, want := time.UnixMilli(answer.NotBefore), r.Now().Add(4002*time.Second); !got.Equal(want) {
		t.Errorf("it is to come again at %v, want %v", got, want)
	}
}

func TestAnAsynchronousRequestHoldsItsRecordWhileItWaitsBeforeItsFirstAttempt(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		r, u := answering(t, adaptive, retry.Policy{}, "200")
		r.store.Put(r.queue(300, 1))
		k, in := r.keep(t, known)
		k.lost = lost
		k.change(func(x *execution.Execution) { x.Record = &message.Record{ID: "r", Owner: "me"} })
		out := r.at(t, 1, in)
		if len(u.calls()) != 0 {
			t.Fatalf("the upstream is called after %v", u.calls())
		}
		if lost {
			if out.Outcome != retry.Failed || out.Error != message.Superseded || k.now().State != execution.Failed {
				t.Errorf("another request has the key, and it ends %s %s", out.Outcome, out.Error)
			}
			continue
		}
		if out.Outcome != retry.Again || delayOf(out) < 2*time.Minute || k.now().State != execution.Waiting {
			t.Errorf("with 300 before it, it is %s in %v", out.Outcome, delayOf(out))
		}
		if want := time.UnixMilli(k.now().Deadline).Add(30 * time.Second); !k.held.Equal(want) {
			t.Errorf("the record is locked until %v, want half a minute beyond the deadline, %v", k.held, want)
		}
	}
}

// Its sandbox has mostly just started, or knows nothing of the last minutes.
func TestAnAsynchronousRequestLooksBeforeItCalls(t *testing.T) {
	t.Parallel()
	r, u := answering(t, adaptive, retry.Policy{}, "200")
	r.store.Put(r.queue(300, 1))
	_, in := r.keep(t, known)
	if out := r.at(t, 1, in); out.Outcome != retry.Again || len(u.calls()) != 0 || out.Call.Gate.State.Ticket != 301 {
		t.Errorf("with 300 before it, it is %s after %d calls, with %+v", out.Outcome, len(u.calls()), out.Call.Gate)
	}
}

func TestAnAsynchronousRequestTellsTheVotesAndMeasuresItself(t *testing.T) {
	t.Parallel()
	r, _ := answering(t, adaptive, retry.Policy{}, "200")
	r.lot = func() float64 { return 0.1 } // it is the one in four that votes
	i := r.queue(0, 1)
	i.Failures, i.FailuresSince = 5, r.Now().Add(-500*time.Millisecond).UnixMilli()
	r.store.Put(i)
	_, in := r.keep(t, known)
	if out := r.at(t, 1, in); out.Outcome != retry.Succeeded {
		t.Fatalf("it is %s", out.Outcome)
	}
	if got := r.store.Item().Successes; got != 4 {
		t.Errorf("%d successes are counted, want 4 for the four that it stands for", got)
	}
	if !strings.Contains(r.logs.String(), `"msg":"gate"`) || !strings.Contains(r.logs.String(), `"CircuitState":0`) {
		t.Errorf("the log has no metrics: %s", &r.logs)
	}
}

// In a deployment, a proxy of before may be called by a gateway of now, and the other way round.
func TestProxiesWithAGateAndWithoutOneGoOnWithEachOthersCalls(t *testing.T) {
	t.Parallel()
	r, u := answering(t, adaptive, retry.Policy{}, "503", "200", "429 2", "200")
	r.proxies[0].gate = nil
	in := r.let(known)
	in.Call.Gate.Waited, in.Call.Gate.Ticket = 1500, 9
	first := r.at(t, 1, in)
	if diff := cmp.Diff(in.Call.Gate, first.Call.Gate); diff != "" || len(r.store.Asked()) > 0 {
		t.Errorf("a proxy without a gate hands on another pass (-want +got):\n%s", diff)
	}
	if second := r.at(t, 2, *first); second.Outcome != retry.Succeeded || second.Gate == nil || second.Gate.Waited != 1500 || second.Gate.Ticket != 9 {
		t.Errorf("the next one ends %s, and says %+v of the gate", second.Outcome, second.Gate)
	}
	in = r.let(known)
	in.Call.Gate = nil
	if final, _ := r.play(t, in); final.Outcome != retry.Succeeded || final.Gate != nil || len(r.store.Asked()) > 0 || len(u.calls()) != 4 {
		t.Errorf("a call of a gateway without a gate ends %s after %d calls, and says %+v of the gate", final.Outcome, len(u.calls()), final.Gate)
	}
}

func TestACallbackDoesNotComeToTheGate(t *testing.T) {
	t.Parallel()
	server, got := receiver(t, func(int, http.ResponseWriter) int { return 204 })
	b, _, _, in := callingBack(t, server, asItIs)
	store := new(watchedgate.Store)
	var err error
	if b.gate, err = gate.New(store, gate.Settings{Mode: gate.Adaptive}, gate.WithClock(b)); err != nil {
		t.Fatal(err)
	}
	if out := b.invoke(t, in); out.Outcome != retry.Succeeded || len(got()) != 1 || len(store.Asked()) != 0 {
		t.Errorf("after %d callbacks it is %s, and the store was asked for %q", len(got()), out.Outcome, store.Asked())
	}
}

// A heldStore keeps an update until its caller has no more patience.
type heldStore struct {
	gate.MemoryStore
	ended atomic.Int64
}

func (s *heldStore) Update(ctx context.Context, _ string, _ gate.Update) (gate.Reply, error) {
	<-ctx.Done()
	s.ended.Add(1)
	return gate.Reply{}, ctx.Err()
}

// What runs on after the answer is frozen with the sandbox, and goes on in the time of another request.
func TestNothingRunsOnAfterAProxyHasAnswered(t *testing.T) {
	t.Parallel()
	b := newBench(t, serve(t, func(http.ResponseWriter, *http.Request) {}))
	store := new(heldStore)
	var err error
	if b.gate, err = gate.New(store, gate.Settings{Mode: gate.Adaptive}, gate.WithClock(b)); err != nil {
		t.Fatal(err)
	}
	in := b.call(known)
	in.Call.Gate = &message.GatePass{Scope: "orders", State: gate.State{Inside: true}, Tried: true}
	b.gate.Tell("orders", 0, gate.Item{Version: 1, Born: 7})
	b.invoke(t, in)
	if ended := store.ended.Load(); ended != 1 {
		t.Errorf("%d updates have ended when the proxy answers, want the one that was begun", ended)
	}
}

func TestTheEnvironmentHasAGateOnlyWithWhatItNeeds(t *testing.T) {
	t.Parallel()
	right := map[string]string{
		"PROXY_NAME": "proxy-1", "PROXY_COUNT": "3", "UPSTREAM_BASE_URL": "https://api.example", "TABLE_NAME": "records", "RECORD_PREFIX": "gateway",
		"GATE": `{"flowControl":{"mode":"fixed","rate":60,"period":"1m","burst":5}}`,
	}
	store := func(string) gate.Store { return new(gate.MemoryStore) }
	p, err := New(environment(right), Dependencies{Gate: store})
	if err != nil || p.gate == nil || p.gate.Settings().Burst != 5 || p.gate.Settings().Patience != 60*time.Second {
		t.Fatalf("the gate is %+v, error %v", p, err)
	}
	for name, c := range map[string]struct {
		variable, value string
		gate            func(string) gate.Store
		want            []string
	}{
		"malformed":          {"GATE", "adaptive", store, []string{"GATE must be a JSON object"}},
		"unknown members":    {"GATE", `{"limit":5}`, store, []string{`unknown field "limit"`}},
		"without a table":    {"TABLE_NAME", "", store, []string{"GATE needs TABLE_NAME and RECORD_PREFIX"}},
		"without a prefix":   {"RECORD_PREFIX", "", store, []string{"GATE needs TABLE_NAME and RECORD_PREFIX"}},
		"without the SDK":    {"GATE", `{}`, nil, []string{"GATE says how the gate is set, which takes the AWS SDK", "functions/proxy/withsdk"}},
		"wrong settings":     {"GATE", `{"flowControl":{"mode":"adaptive","rate":5,"maxWaiting":-7}}`, store, []string{`GATE: `, "Rate is 5", "MaxWaiting is -7"}},
		"a key that is none": {"GATE", `{"flowControl":{"key":"tenant"}}`, store, []string{`Key is "tenant", want one of credential+route`}},
	} {
		variables := map[string]string{}
		for key, value := range right {
			variables[key] = value
		}
		variables[c.variable] = c.value
		_, err := New(environment(variables), Dependencies{Gate: c.gate})
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error is %v, want one with %s", name, err, want)
			}
		}
	}
	delete(right, "GATE")
	if p, err := New(environment(right), Dependencies{}); err != nil || p.gate != nil {
		t.Errorf("without a gate, there is %+v, error %v", p, err)
	}
}
