package gate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
)

// A bench is a store in memory, of which requests are counted, and a clock that goes on when somebody sleeps.
type bench struct {
	gate.MemoryStore
	t       *testing.T
	now     time.Time
	random  *rand.Rand
	gets    int
	updates []string
	err     error
}

func newBench(t *testing.T) *bench {
	return &bench{t: t, now: time.UnixMilli(1_790_000_000_000), random: rand.New(rand.NewPCG(1, 2))}
}

func (b *bench) Get(ctx context.Context, id string) (gate.Reply, error) {
	b.gets++
	if b.err != nil {
		return gate.Reply{}, b.err
	}
	return b.MemoryStore.Get(ctx, id)
}

func (b *bench) Update(ctx context.Context, id string, u gate.Update) (gate.Reply, error) {
	b.updates = append(b.updates, u.Operation)
	if b.err != nil {
		return gate.Reply{}, b.err
	}
	return b.MemoryStore.Update(ctx, id, u)
}

func (b *bench) Now() time.Time { return b.now }
func (b *bench) Sleep(_ context.Context, d time.Duration) error {
	b.now = b.now.Add(d)
	return nil
}

func (b *bench) gate(s gate.Settings) *gate.Gate {
	b.t.Helper()
	g, err := gate.New(b, s, gate.WithClock(b), gate.WithRandom(b.random.Float64),
		gate.WithBeside(func(ctx context.Context, do func(context.Context)) { do(ctx) }))
	if err != nil {
		b.t.Fatal(err)
	}
	return g
}

func (b *bench) visit(g *gate.Gate) *gate.Visit { return g.Visit("s", b.now.Add(time.Minute)) }

func (b *bench) item() gate.Item {
	reply, _ := b.MemoryStore.Get(context.Background(), "gate##s#0")
	return reply.Item
}

// passes lets a request through, and returns how long it waited.
func (b *bench) passes(v *gate.Visit) time.Duration {
	b.t.Helper()
	began := b.now
	if err := v.Wait(context.Background()); err != nil {
		b.t.Fatalf("the request is refused: %v", err)
	}
	return b.now.Sub(began)
}

func (b *bench) refused(v *gate.Visit) *gate.Refusal {
	b.t.Helper()
	_, err := v.Next(context.Background())
	refusal := (*gate.Refusal)(nil)
	if !errors.As(err, &refusal) {
		b.t.Fatalf("error is %v, want a refusal", err)
	}
	return refusal
}

// limited brings an item about that lets 10 through per second, with a number of requests waiting.
func (b *bench) limited(g *gate.Gate, waiting int) {
	b.t.Helper()
	b.visit(g).Limited(context.Background(), gate.Limit{})
	for range 11 { // in the first second, nobody is held back and what comes through is counted
		b.passes(b.visit(g))
		b.now = b.now.Add(100 * time.Millisecond)
	}
	b.passes(b.visit(g))
	if rate := b.item().PerSecond(); rate < 9 || rate > 11 {
		b.t.Fatalf("ten a second come through, and the rate is %g", rate)
	}
	for range waiting {
		if _, err := b.visit(g).Next(context.Background()); err != nil {
			b.t.Fatal(err)
		}
	}
}

// failing brings an outage about.
func (b *bench) failing(g *gate.Gate, told time.Duration) {
	b.t.Helper()
	for n := range 30 {
		b.now = b.now.Add(100 * time.Millisecond)
		if b.visit(g).Failed(context.Background(), gate.Failure{RetryAfter: told}) {
			if n < 9 {
				b.t.Fatalf("held back after %d failures", n+1)
			}
			return
		}
	}
	b.t.Fatal("30 calls have failed, and nobody is held back")
}

var adaptive = gate.Settings{Mode: gate.Adaptive}

func TestWhileNothingIsWrongNobodyWritesAndOneLookIsMadePerSecond(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	for range 1000 {
		v := b.visit(g)
		if waited := b.passes(v); waited != 0 {
			t.Fatalf("a request waits for %v", waited)
		}
		v.Succeeded(context.Background())
		b.now = b.now.Add(10 * time.Millisecond)
	}
	if len(b.updates) > 0 || b.gets > 10 {
		t.Errorf("1,000 requests in 10 s make %d updates and %d looks, want none and at most 10", len(b.updates), b.gets)
	}
}

func TestAStoreThatFailsIsAsIfThereWereNoGate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(gate.Settings{Mode: gate.Fixed, Rate: 1})
	b.err = errors.New("throttled")
	for range 50 {
		v := b.visit(g)
		if waited := b.passes(v); waited != 0 {
			t.Fatalf("a request waits for %v", waited)
		}
		if v.Limited(context.Background(), gate.Limit{RetryAfter: time.Second}) || v.Failed(context.Background(), gate.Failure{}) {
			t.Fatal("the gate takes over the waiting, and knows nothing")
		}
	}
}

func TestATicketHolderIsLetGoIfTheStoreFails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	b.limited(g, 100)
	v := b.visit(g)
	first, err := v.Next(context.Background())
	if err != nil || first < 4*time.Second {
		t.Fatalf("behind 100 others, the first part of the wait is %v, %v; want about 5 s", first, err)
	}
	b.now = b.now.Add(first)
	b.err = errors.New("throttled")
	if waited := b.passes(v); waited != 0 {
		t.Errorf("it waits for another %v", waited)
	}
}

// silentStore answers when the context is over.
type silentStore struct{ asked atomic.Int64 }

func (s *silentStore) Get(ctx context.Context, _ string) (gate.Reply, error) {
	s.asked.Add(1)
	<-ctx.Done()
	return gate.Reply{}, ctx.Err()
}

func (s *silentStore) Update(ctx context.Context, id string, _ gate.Update) (gate.Reply, error) {
	return s.Get(ctx, id)
}

func TestFiftyMillisecondsOfSilenceAreAsIfThereWereNoGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &silentStore{}
		g, err := gate.New(store, gate.Settings{Mode: gate.Fixed, Rate: 1})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := g.Visit("s", began.Add(time.Minute)).Wait(context.Background()); err != nil {
			t.Fatal(err)
		}
		g.Settle()
		if took := time.Since(began); took != 50*time.Millisecond || store.asked.Load() != 1 {
			t.Errorf("let through after %v and %d requests, want 50ms and 1", took, store.asked.Load())
		}
	})
}

func TestWhileNothingIsWrongASilentStoreHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := gate.New(&silentStore{}, adaptive)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := g.Visit("s", time.Time{}).Wait(context.Background()); err != nil || time.Since(began) != 0 {
			t.Errorf("let through after %v, %v; want at once", time.Since(began), err)
		}
		g.Settle() // a goroutine that is left behind would be found here, too
		if took := time.Since(began); took != 50*time.Millisecond {
			t.Errorf("the look beside takes %v, want 50ms", took)
		}
	})
}

func TestARequestNeverCallsBeforeItsOwnFloorWhateverTheItemSays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	b.limited(g, 0)
	v := b.visit(g)
	b.passes(v)
	if !v.Limited(context.Background(), gate.Limit{RetryAfter: 1500 * time.Millisecond}) {
		t.Fatal("the gate does not take over the waiting")
	}
	if waited := b.passes(v); waited < 1500*time.Millisecond {
		t.Errorf("told to come in 1.5s, it calls after %v", waited)
	}
}

func TestAFloorBehindTheDeadlineIsARefusal(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	v := b.visit(g)
	b.passes(v)
	v.Limited(context.Background(), gate.Limit{RetryAfter: 6 * time.Hour})
	if r := b.refused(v); r.RetryAfter < 6*time.Hour || r.Reason != gate.QueueFull {
		t.Errorf("the refusal is %+v, want one of six hours", r)
	}
	// And everybody else is told the same, without a call.
	if r := b.refused(b.visit(g)); r.RetryAfter < 6*time.Hour-time.Second || r.RetryAfter > 6*time.Hour+time.Second {
		t.Errorf("the refusal of another is %+v, want one of six hours", r)
	}
}

func TestWhoFindsNoPlaceIsToldWhenThereIsOne(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(gate.Settings{Mode: gate.Adaptive, MaxWaiting: 20})
	b.limited(g, 20)
	v := b.visit(g)
	r := b.refused(v)
	if r.Reason != gate.QueueFull || r.RetryAfter < 1900*time.Millisecond || r.RetryAfter > 2400*time.Millisecond {
		t.Errorf("behind 20 others at 10 a second the refusal is %+v, want one of about 2 s", r)
	}
	if v.Refused() != r || v.Ticket() != 0 {
		t.Errorf("the refusal is kept as %+v, and the request has ticket %d", v.Refused(), v.Ticket())
	}
	b.now = b.now.Add(r.RetryAfter)
	if waited := b.passes(b.visit(g)); waited > 5*time.Millisecond {
		t.Errorf("who comes then waits for %v", waited)
	}
}

// Whatever the numbers in an item are, a wait of thousands of years is none of no time.
func TestARefusalUponAnItemWithoutSenseIsNotForNoTime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	g.Tell("s", 0, gate.Item{Version: 5, Born: 7, Ticket: 1 << 32, Rate: 1, Since: 1, ActiveUntil: b.now.UnixMilli() + 60_000})
	if refusal := b.refused(b.visit(g)); refusal.RetryAfter < 100*365*24*time.Hour {
		t.Errorf("who has 4 billion tickets before them, one in a thousand seconds, is to come again in %v", refusal.RetryAfter)
	}
}

func TestNobodyIsTurnedAwayUponACopyThatIsOld(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	b.limited(g, 100)
	hurried := func() *gate.Visit { return g.Visit("s", b.now.Add(time.Second)) }
	b.refused(hurried())
	b.Delete("gate##s#0")
	b.refused(hurried()) // the copy is new enough
	b.now = b.now.Add(300 * time.Millisecond)
	if waited := b.passes(hurried()); waited != 0 {
		t.Errorf("it waits for %v, and the queue has gone", waited)
	}
}

func TestATicketOfALostItemDoesNotWaitInTheNextOne(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	b.limited(g, 100)
	v := b.visit(g)
	first, err := v.Next(context.Background())
	if err != nil || first < 4*time.Second {
		t.Fatalf("the first part of the wait is %v, %v", first, err)
	}
	b.now = b.now.Add(first)
	b.Delete("gate##s#0")
	b.limited(b.gate(adaptive), 5)
	if waited := b.passes(v); waited != 0 {
		t.Errorf("ticket %d of the item that was lost waits %v in the next one", v.Ticket(), waited)
	}
}

func TestAnOutageLetsOneCallThroughAtATime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	b.failing(g, 0)
	b.now = b.now.Add(time.Second)
	through := 0
	for range 50 {
		if d, err := b.visit(g).Next(context.Background()); err != nil {
			t.Fatal(err)
		} else if d == 0 {
			through++
		}
	}
	if through != 1 {
		t.Errorf("%d of 50 requests are let through, want the one that has the lease", through)
	}
	if i := b.item(); i.Circuit(b.now) != gate.Open {
		t.Errorf("the circuit is %s", i.Circuit(b.now))
	}
	// The holder dies. A second later, somebody else has the lease.
	b.now = b.now.Add(time.Second)
	if d, err := b.visit(g).Next(context.Background()); d != 0 || err != nil {
		t.Errorf("after the lease has ended the next one waits for %v, %v", d, err)
	}
}

func TestAfterASuccessThoseWhoWaitedAreLetGoAtOneAndAHalfTimesTheRateAtWhichTheyCame(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(gate.Settings{Mode: gate.Adaptive, MaxWaiting: gate.Unbounded})
	b.failing(g, 0)
	for range 100 { // 10 a second
		b.now = b.now.Add(100 * time.Millisecond)
		v := b.visit(g)
		if _, err := v.Next(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	b.now = b.now.Add(time.Second)
	v := b.visit(g)
	b.passes(v)
	v.Succeeded(context.Background())
	i := b.item()
	if i.Circuit(b.now) != gate.Closing || i.PerSecond() < 12 || i.PerSecond() > 16 {
		t.Errorf("the circuit is %s with %g per second, want it closing with about 14", i.Circuit(b.now), i.PerSecond())
	}
	if waiting := i.Waiting(b.now); waiting < 95 {
		t.Errorf("%d wait, want all that came", waiting)
	}
}

func TestACircuitThatIsOpenHasARefusalOfItsOwn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(gate.Settings{Mode: gate.Adaptive, MaxWaiting: 3})
	b.failing(g, 0)
	for range 3 {
		b.visit(g).Next(context.Background())
	}
	if r := b.refused(b.visit(g)); r.Reason != gate.CircuitOpen || r.RetryAfter <= 0 {
		t.Errorf("the refusal is %+v", r)
	}
}

func TestAnAnnouncedOutageIsWaitedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	b.failing(g, 20*time.Second)
	if i := b.item(); i.Circuit(b.now) != gate.Open || i.Probe != 0 {
		t.Errorf("the circuit is %s, and its probe %d; want it open, without one", i.Circuit(b.now), i.Probe)
	}
	if waited := b.passes(b.visit(g)); waited < 20*time.Second {
		t.Errorf("told to come in 20s, another one calls after %v", waited)
	}
}

func TestErrorsOfHalfOfTheCallsAreNoOutage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	for range 400 {
		b.now = b.now.Add(10 * time.Millisecond)
		if b.visit(g).Failed(context.Background(), gate.Failure{}) {
			t.Fatal("half of the calls succeed, and callers are held back")
		}
		b.visit(g).Succeeded(context.Background())
	}
}

func TestABreakerThatIsDisabledCountsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(gate.Settings{Mode: gate.Adaptive, Breaker: gate.Breaker{Disabled: true}})
	for range 40 {
		b.now = b.now.Add(100 * time.Millisecond)
		if b.visit(g).Failed(context.Background(), gate.Failure{}) {
			t.Fatal("callers are held back")
		}
	}
	if len(b.updates) > 0 {
		t.Errorf("%d updates", len(b.updates))
	}
}

func TestOffHasABreakerAndNoQueue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(gate.Settings{})
	for range 40 {
		v := b.visit(g)
		if waited := b.passes(v); waited != 0 {
			t.Fatalf("a request waits for %v", waited)
		}
		if v.Limited(context.Background(), gate.Limit{RetryAfter: time.Second}) {
			t.Fatal("the gate takes over the waiting for a limit")
		}
	}
	if len(b.updates) > 0 {
		t.Errorf("limits make the updates %v", b.updates)
	}
	b.failing(g, 0)
}

func TestObservingHoldsNobodyBackAndSaysWhatWouldHaveBeen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(gate.Settings{Mode: gate.Observe, MaxWaiting: 20})
	b.visit(g).Limited(context.Background(), gate.Limit{})
	for range 12 {
		b.passes(b.visit(g))
		b.now = b.now.Add(100 * time.Millisecond)
	}
	would, refused := time.Duration(0), 0
	for range 50 {
		v := b.visit(g)
		if waited := b.passes(v); waited != 0 {
			t.Fatalf("a request waits for %v", waited)
		}
		would = max(would, v.Waited())
		if v.Refused() != nil {
			refused++
		}
		if v.Limited(context.Background(), gate.Limit{RetryAfter: time.Second}) {
			t.Fatal("the gate takes over the waiting")
		}
	}
	if would < time.Second {
		t.Errorf("of 50 at once the last would have waited %v, want seconds", would)
	}
}

func TestATypedInRateHoldsFromTheFirstRequestOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(gate.Settings{Mode: gate.Fixed, Rate: 600, Period: time.Minute, Burst: 5})
	began := b.now
	for n := range 25 {
		b.passes(b.visit(g))
		if n == 4 && b.now != began {
			t.Errorf("the burst of 5 takes %v", b.now.Sub(began))
		}
	}
	if took := b.now.Sub(began); took < 1990*time.Millisecond || took > 2010*time.Millisecond {
		t.Errorf("25 calls take %v, want 2 s: five at once, and ten a second", took)
	}
}

func TestARateThatIsTypedInAnewTakesHold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.passes(b.visit(b.gate(gate.Settings{Mode: gate.Fixed, Rate: 10})))
	g := b.gate(gate.Settings{Mode: gate.Fixed, Rate: 100})
	for range 3 {
		b.passes(b.visit(g))
	}
	if rate := b.item().PerSecond(); rate != 100 {
		t.Errorf("the rate is %g, want 100", rate)
	}
}

func TestAVisitGoesOnInAnotherProcess(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	b.limited(g, 100)
	v := b.visit(g)
	if _, err := v.Next(context.Background()); err != nil {
		t.Fatal(err)
	}
	other := b.gate(adaptive).Resume("s", b.now.Add(time.Minute), v.State())
	if waited := b.passes(other); waited < 8*time.Second || waited > 12*time.Second || other.Ticket() != v.Ticket() {
		t.Errorf("with ticket %d it waits for %v, want about 10 s with ticket %d", other.Ticket(), waited, v.Ticket())
	}
}

func TestAFloorGoesWithAVisitIntoAnotherProcess(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	b.limited(g, 100)
	v := b.visit(g)
	b.passes(v)
	floor := b.now.Add(20 * time.Second)
	v.Limited(context.Background(), gate.Limit{RetryAfter: 20 * time.Second})
	state, err := json.Marshal(v.State())
	if err != nil {
		t.Fatal(err)
	}
	b.Delete("gate##s#0") // nothing else keeps the request
	var carried gate.State
	if err := json.Unmarshal(state, &carried); err != nil {
		t.Fatal(err)
	}
	b.passes(b.gate(adaptive).Resume("s", b.now.Add(time.Minute), carried))
	if b.now.Before(floor) {
		t.Errorf("it calls %v before its floor; the state was %s", floor.Sub(b.now), state)
	}
}

func TestAProbeThatIsLimitedEndsTheOutage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	b.failing(g, 0)
	b.now = b.now.Add(time.Second)
	v := b.visit(g)
	b.passes(v)
	if v.State().Probe == 0 {
		t.Fatal("it has no lease")
	}
	v.Limited(context.Background(), gate.Limit{RetryAfter: time.Second})
	if c := b.item().Circuit(b.now); c == gate.Open {
		t.Error("the upstream has answered, and the circuit is open")
	}
}

// The one that has the lease has it from one process, and another one makes the call.
func TestAProbeOfAnotherProcessEndsTheOutage(t *testing.T) {
	t.Parallel()
	for name, tell := range map[string]func(*gate.Visit){
		"a success": func(v *gate.Visit) { v.Succeeded(context.Background()) },
		"a limit":   func(v *gate.Visit) { v.Limited(context.Background(), gate.Limit{Last: true}) },
	} {
		b := newBench(t)
		g := b.gate(adaptive)
		b.failing(g, 0)
		b.now = b.now.Add(2 * time.Second)
		v := b.visit(g)
		b.passes(v)
		if v.State().Probe == 0 {
			t.Fatal("nobody tries whether the outage is over")
		}
		elsewhere := b.gate(adaptive).Resume("s", b.now.Add(time.Minute), v.State())
		b.passes(elsewhere)
		tell(elsewhere)
		if got := b.item().Circuit(b.now); got == gate.Open {
			t.Errorf("after %s in another process the circuit is still open", name)
		}
	}
}

func TestAFloorThatAnEarlierAnswerSetIsTheRequestsOwn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	b.failing(g, 0)
	v := b.visit(g)
	v.Failed(context.Background(), gate.Failure{Floor: 30 * time.Second})
	if waited := b.passes(v); waited < 30*time.Second {
		t.Errorf("the request waits for %v, want the 30 s of its floor", waited)
	}
}

func TestWhatAnotherProcessHasSeenIsKnownWithoutALook(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.gate(adaptive)
	b.limited(first, 20)
	seen, _ := first.Seen("s")
	g := b.gate(adaptive)
	g.Tell("s", 0, seen)
	if waited := b.passes(b.visit(g)); waited < 1500*time.Millisecond {
		t.Errorf("behind 20 others it waits for %v, want about 2 s", waited)
	}
}

func TestAProcessKeepsCopiesOfAThousandScopes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	for n := range 5000 {
		g.Look(context.Background(), fmt.Sprint("scope-", n))
	}
	kept := 0
	for n := range 5000 {
		if _, known := g.Seen(fmt.Sprint("scope-", n)); known {
			kept++
		}
	}
	if kept != 1000 {
		t.Errorf("%d copies are kept, want 1,000", kept)
	}
}

func TestOnlyAContextEndsAWait(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	b.limited(g, 100)
	ctx, cancel := context.WithCancel(context.Background())
	real, err := gate.New(b, adaptive)
	if err != nil {
		t.Fatal(err)
	}
	item, _ := g.Seen("s")
	real.Tell("s", 0, item)
	cancel()
	if err := real.Visit("s", time.Time{}).Wait(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want none, or the context's", err)
	}
}

func TestExpiredItemsAreRemovedFromMemory(t *testing.T) {
	t.Parallel()
	var m gate.MemoryStore
	make := func(n int, expiration int64) {
		m.Update(context.Background(), fmt.Sprint(n), gate.Update{Changes: []gate.Change{{Attribute: "rate", Kind: gate.Set, Value: 1}, {Attribute: gate.Expiration, Kind: gate.Set, Value: expiration}}})
	}
	for n := range 127 {
		make(n, 1_790_000_000)
	}
	make(127, 1_790_000_000+3*86_400)
	if reply, _ := m.Get(context.Background(), "0"); reply.Item != (gate.Item{}) {
		t.Errorf("an item that expired two days ago is still there: %+v", reply.Item)
	}
	if reply, _ := m.Get(context.Background(), "127"); reply.Item.Rate != 1 {
		t.Error("an item in use was removed")
	}
}
