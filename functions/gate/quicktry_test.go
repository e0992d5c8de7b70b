package gate_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
)

// limitedVisit is a visit of a request that was just limited, by it is not known what.
func (b *bench) limitedVisit(g *gate.Gate) *gate.Visit {
	b.t.Helper()
	v := b.visit(g)
	b.passes(v)
	if !v.Limited(context.Background(), gate.Limit{RetryAfter: 10 * time.Second}) {
		b.t.Fatal("the gate does not hold back a request that was limited")
	}
	return v
}

func TestThreeQuickTriesAreMadeInASpellAndAnotherThreeInTheNext(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	for spell := range 2 {
		tries := 0
		for range 10 {
			v := b.limitedVisit(g)
			if !v.Try(context.Background()) {
				continue
			}
			tries++
			if waited := b.passes(v); waited != 0 {
				t.Errorf("a quick try waits for %v", waited)
			}
		}
		if tries != 3 {
			t.Errorf("ten requests make %d quick tries in spell %d, want 3", tries, spell+1)
		}
		b.now = b.now.Add(10 * time.Minute)
	}
}

func TestTriesThatOthersMadeCount(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tries := 0
	for range 10 { // each in a process of its own
		if b.limitedVisit(b.gate(adaptive)).Try(context.Background()) {
			tries++
		}
	}
	if tries != 3 {
		t.Errorf("ten processes make %d quick tries, want 3 of all of them together", tries)
	}
}

func TestWhoMayNotTryWaitsAsTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	for range 3 {
		b.limitedVisit(g).Try(context.Background())
	}
	v := b.limitedVisit(g)
	if v.Try(context.Background()) {
		t.Fatal("a fourth quick try is made")
	}
	if waited := b.passes(v); waited < 10*time.Second {
		t.Errorf("after a try that was refused, the request calls in %v, want the 10 s that its answer asked for", waited)
	}
}

func TestNoTryIsMadeOnceThreeWereInVain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	for range 3 {
		v := b.limitedVisit(g)
		if !v.Try(context.Background()) {
			t.Fatal("no quick try is made of the first three")
		}
		v.Tried(context.Background(), false)
	}
	if got := b.item().Scoping(); got != gate.KeyScoping {
		t.Fatalf("after three tries in vain the limit is by %q, want by key", got)
	}
	b.now = b.now.Add(10 * time.Minute) // the next spell, in which none has been made
	if b.limitedVisit(g).Try(context.Background()) {
		t.Error("a quick try is made although it is known that the limit is by key")
	}
}

func TestThreeTriesThatHelpedSayThatTheLimitIsByAddress(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	for n := range 3 {
		if got := b.item().Scoping(); got != gate.UnknownScoping {
			t.Errorf("after %d tries the limit is taken to be by %q", n, got)
		}
		v := b.limitedVisit(g)
		v.Try(context.Background())
		v.Tried(context.Background(), true)
	}
	if got := b.item().Scoping(); got != gate.AddressScoping {
		t.Errorf("after three tries that helped the limit is by %q, want by address", got)
	}
}

// repliesLost is a store whose updates are made, and whose replies do not come while err is set.
type repliesLost struct{ *bench }

func (s repliesLost) Update(ctx context.Context, id string, u gate.Update) (gate.Reply, error) {
	reply, _ := s.MemoryStore.Update(ctx, id, u)
	return reply, s.err
}

// Where the reply is lost nobody knows whether the try is one of the three. The request does not make it, so that there may be
// fewer of them, and never more.
func TestATryWhoseReplyIsLostIsNotMadeAndCounts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g, err := gate.New(repliesLost{b}, adaptive, gate.WithClock(b), gate.WithRandom(b.random.Float64),
		gate.WithBeside(func(ctx context.Context, do func(context.Context)) { do(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		v := b.limitedVisit(g)
		b.err = errors.New("connection reset")
		if v.Try(context.Background()) {
			t.Error("a quick try is made that nobody is known to have allowed")
		}
		b.err = nil
		if waited := b.passes(v); waited < 10*time.Second {
			t.Errorf("the request calls in %v, want the 10 s that its answer asked for", waited)
		}
	}
	if !b.limitedVisit(g).Try(context.Background()) || b.limitedVisit(g).Try(context.Background()) {
		t.Error("of three tries two had their replies lost, and not exactly one is left")
	}
}

func TestWhatATryBroughtIsNotKeptOfAScopeWithoutTrouble(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g := b.gate(adaptive)
	b.visit(g).Tried(context.Background(), true)
	if len(b.updates) > 0 || b.item() != (gate.Item{}) {
		t.Errorf("%q are made of an item that is not there: %+v", b.updates, b.item())
	}
}

// The next attempt is made by another process, which may not have seen the item.
func TestWhatATryBroughtCountsWhicheverProcessMadeIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v := b.limitedVisit(b.gate(adaptive))
	v.Try(context.Background())
	elsewhere := b.gate(adaptive).Resume("s", b.now.Add(time.Minute), v.State())
	b.passes(elsewhere)
	elsewhere.Tried(context.Background(), true)
	if got := b.item().ByAddress; got != 1 {
		t.Errorf("of one try that helped, %d are counted", got)
	}
}
