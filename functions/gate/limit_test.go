package gate_test

import (
	"context"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
)

// A crowd is processes that work at the same time, upon one store: the updates of all of them are under way before the first one is
// made, and all that follow from the answers again.
type crowd struct {
	bench *bench
	made  map[string]int // updates whose condition held
}

// A process is one of a crowd. Its clock is that of the bench, so much later.
type process struct {
	crowd *crowd
	after time.Duration
	yield func(struct{}) bool
}

func (p *process) Now() time.Time { return p.crowd.bench.now.Add(p.after) }

func (p *process) Sleep(context.Context, time.Duration) error {
	panic("a process of a crowd does not wait")
}

func (p *process) Get(ctx context.Context, id string) (gate.Reply, error) {
	return p.crowd.bench.MemoryStore.Get(ctx, id)
}

func (p *process) Update(ctx context.Context, id string, u gate.Update) (gate.Reply, error) {
	p.yield(struct{}{})
	reply, err := p.crowd.bench.MemoryStore.Update(ctx, id, u)
	if reply.Applied {
		p.crowd.made[u.Operation]++
	}
	return reply, err
}

// crowdLimited has 40 processes, which know the item as it is, be limited at the same time. The answer to each comes a moment apart
// from the one before, and asks for the same time. It returns their visits, and whether the gate holds each of them back.
func (b *bench) crowdLimited(apart, retryAfter time.Duration) (c *crowd, visits []*gate.Visit, held []bool) {
	b.t.Helper()
	const processes = 40
	c = &crowd{b, map[string]int{}}
	visits, held = make([]*gate.Visit, processes), make([]bool, processes)
	var next []func() (struct{}, bool)
	for n := range processes {
		p := &process{crowd: c, after: time.Duration(n) * apart}
		g, err := gate.New(p, adaptive, gate.WithClock(p), gate.WithRandom(b.random.Float64), gate.WithSilence(0),
			gate.WithBeside(func(ctx context.Context, do func(context.Context)) { do(ctx) }))
		if err != nil {
			b.t.Fatal(err)
		}
		g.Look(context.Background(), "s")
		visits[n] = g.Resume("s", b.now.Add(time.Minute), gate.State{Inside: true})
		step, stop := iter.Pull(func(yield func(struct{}) bool) {
			p.yield = yield
			held[n] = visits[n].Limited(context.Background(), gate.Limit{RetryAfter: retryAfter})
		})
		b.t.Cleanup(stop)
		next = append(next, step)
	}
	for len(next) > 0 {
		next = slices.DeleteFunc(next, func(step func() (struct{}, bool)) bool {
			_, more := step()
			return !more
		})
	}
	return c, visits, held
}

// active makes the item one of a spell of trouble in which nobody waits, and 10 a second come through.
func (b *bench) active() {
	b.t.Helper()
	b.limited(b.gate(adaptive), 0)
}

func TestFortyWhoAreLimitedAtOnceAllQueueAndFewOfThemWriteUntilWhen(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(*bench){
		"while nothing was wrong": func(*bench) {},
		"in a spell of trouble":   (*bench).active,
	} {
		b := newBench(t)
		before(b)
		c, visits, held := b.crowdLimited(5*time.Millisecond, 10*time.Second)
		for n, held := range held {
			if !held || visits[n].Ticket() == 0 {
				t.Errorf("%s: process %d is held back: %v, with ticket %d", name, n, held, visits[n].Ticket())
			}
		}
		if told := c.made["open"] + c.made["park"]; told < 1 || told > 4 {
			t.Errorf("%s: of 40 who are told the same, %d write until when all wait, want some: %v", name, told, c.made)
		}
		if i := b.item(); i.Waiting(b.now) != 40 {
			t.Errorf("%s: %d wait, want 40: %+v", name, i.Waiting(b.now), i)
		}
	}
}

// Each of them has news for the others, which change the item before most can tell it. So there is trouble for certain.
func TestWhoCannotTellOfALimitBecauseSoManyOthersDoQueuesToo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.active()
	now := b.now
	c, visits, held := b.crowdLimited(1100*time.Millisecond, 10*time.Second)
	without := 0
	for n, held := range held {
		if !held {
			t.Errorf("process %d comes again as if there were no gate", n)
		}
		if visits[n].Ticket() == 0 {
			without++
		}
		own := now.Add(time.Duration(n)*1100*time.Millisecond + 10*time.Second)
		if at := time.UnixMilli(visits[n].State().NotBefore); at.Before(own) || at.After(own.Add(time.Second)) {
			t.Errorf("process %d may call at %v, want what its own answer asked for, %v, or up to a second later", n, at, own)
		}
	}
	if without == 0 || c.made["park"] > 5 {
		t.Errorf("%d have no ticket, and %v were made: nobody was in another's way, and the test shows nothing", without, c.made)
	}
}

func TestAMomentThatIsLessThanASecondLaterIsNotToldToOthersAndKeepsTheRequestItself(t *testing.T) {
	t.Parallel()
	for later, want := range map[time.Duration]string{
		-time.Second:            "reject",
		5 * time.Millisecond:    "reject",
		1000 * time.Millisecond: "reject",
		1001 * time.Millisecond: "park",
		20 * time.Second:        "park",
	} {
		b := newBench(t)
		g := b.gate(adaptive)
		b.visit(g).Limited(context.Background(), gate.Limit{RetryAfter: 10 * time.Second})
		known := b.item().Since
		b.updates = nil
		own := b.now.Add(10*time.Second + later)
		other := g.Resume("s", b.now.Add(time.Minute), gate.State{Inside: true}) // let through before anybody was limited
		if !other.Limited(context.Background(), gate.Limit{RetryAfter: 10*time.Second + later}) {
			t.Errorf("who is told to come %v later is not held back", later)
		}
		if len(b.updates) != 1 || b.updates[0] != want {
			t.Errorf("who is told to come %v later makes the updates %q, want %q", later, b.updates, want)
		}
		if since, until := b.item().Since, own.UnixMilli(); want == "park" && since != until || want != "park" && since != known {
			t.Errorf("who is told to come %v later has all others wait until %d, and they waited until %d", later, since, known)
		}
		b.passes(other)
		if b.now.Before(own) {
			t.Errorf("who is told to come %v later calls %v before that", later, own.Sub(b.now))
		}
	}
}

// letGo has requests wait at the same time, and returns how long after a moment each was let through.
func (b *bench) letGo(moment time.Time, visits []*gate.Visit) (after []time.Duration) {
	b.t.Helper()
	wake := make([]time.Time, len(visits))
	for n := range wake {
		wake[n] = b.now
	}
	for len(visits) > 0 {
		first := 0
		for n, at := range wake {
			if at.Before(wake[first]) {
				first = n
			}
		}
		b.now = wake[first]
		d, err := visits[first].Next(context.Background())
		if err != nil {
			b.t.Fatal(err)
		}
		if wake[first] = b.now.Add(d); d == 0 {
			after = append(after, b.now.Sub(moment))
			visits, wake = slices.Delete(visits, first, first+1), slices.Delete(wake, first, first+1)
		}
	}
	return after
}

func TestAFewWhoWaitForTheMomentOfALimitAreLetGoAtOnceUnlessItIsAnOutage(t *testing.T) {
	t.Parallel()
	limit := func(v *gate.Visit) bool {
		return v.Limited(context.Background(), gate.Limit{RetryAfter: 10 * time.Second})
	}
	for name, c := range map[string]struct {
		settings gate.Settings
		begin    func(*bench, *gate.Gate)
		tell     func(*gate.Visit) bool
		from, to time.Duration // after the moment, when the last one is let through
		waiting  int
	}{
		"a limit": {adaptive, func(*bench, *gate.Gate) {}, limit, 90 * time.Millisecond, 110 * time.Millisecond, 40},
		// They come at 20 per second, and half as many again are let go at first: it may be that a quota for few is renewed.
		"a limit that 200 wait for": {adaptive, func(*bench, *gate.Gate) {}, limit, 4 * time.Second, 7 * time.Second, 200},
		"a limit, with a rate typed in": { // 40 take 4 s
			gate.Settings{Mode: gate.Fixed, Rate: 10, Burst: 1}, func(b *bench, g *gate.Gate) { b.passes(b.visit(g)) }, limit, 3800 * time.Millisecond, 4100 * time.Millisecond, 40,
		},
		"an outage that was announced": { // 41 in 10 s come, and half as many again are let go
			adaptive, func(b *bench, g *gate.Gate) { b.failing(g, 10*time.Second) }, func(v *gate.Visit) bool {
				return v.Failed(context.Background(), gate.Failure{RetryAfter: 10 * time.Second})
			}, 5 * time.Second, 8 * time.Second, 40,
		},
	} {
		b := newBench(t)
		g := b.gate(c.settings)
		c.begin(b, g)
		moment := b.now.Add(10 * time.Second)
		var visits []*gate.Visit
		for range c.waiting {
			v := g.Resume("s", b.now.Add(time.Minute), gate.State{Inside: true})
			if !c.tell(v) {
				t.Fatalf("%s: a request is not held back", name)
			}
			visits = append(visits, v)
		}
		after := b.letGo(moment, visits)
		if first := slices.Min(after); first < 0 {
			t.Errorf("%s: the first is let through %v before the moment", name, -first)
		}
		if last := slices.Max(after); len(after) != c.waiting || last < c.from || last > c.to {
			t.Errorf("%s: the last of %d is let through %v after the moment, want %v to %v", name, len(after), last, c.from, c.to)
		}
	}
}
