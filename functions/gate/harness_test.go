package gate_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
)

// A world is a store, an upstream and callers who take turns at every point at which another could come in: before and
// after each request to the store, and whenever somebody sleeps. Its time passes when nobody has anything to do.
type world struct {
	memory  *gate.MemoryStore
	now     time.Time
	callers []*caller
	late    []func() // requests to the store that are still under way
	random  *rand.Rand
	seen    map[string]int

	problems []string
	tickets  map[[2]int64]string // who has each ticket
	probes   map[int64]string    // who has each lease
	granted  map[string]time.Time

	interval time.Duration // of probes

	// The upstream: tokens per second and at most as many, and whether it fails.
	rate, tokens float64
	filled       time.Time
	out          bool
	announces    time.Duration
}

func (w *world) fail(format string, a ...any) {
	w.problems = append(w.problems, fmt.Sprintf(format, a...))
}

// A fault is what becomes of a request to the store.
type fault int

const (
	noFault fault = iota
	requestLost
	answerLost
	carriedOutLate
	repeated
)

// A caller makes requests, one after another.
type caller struct {
	w        *world
	name     string
	skew     time.Duration
	gate     *gate.Gate
	next     func() (string, bool)
	yield    func(string) bool
	point    string
	fault    fault
	wake     time.Time
	finished bool

	atGate bool      // in Wait
	floor  time.Time // by the caller's own clock: what its own answers said
	calls  int
}

// park stops at a point until the world lets the caller go on.
func (c *caller) park(point string) fault {
	c.point = point
	c.yield(point)
	f := c.fault
	c.fault = noFault
	return f
}

func (c *caller) clock() time.Time { return c.w.now.Add(c.skew) }

var errNetwork = errors.New("connection reset")

// A callerStore is the store as one caller sees it.
type callerStore struct{ *caller }

func (s callerStore) request(name string, apply func()) error {
	switch s.park(name) {
	case requestLost:
		return errNetwork
	case answerLost:
		apply()
		return errNetwork
	case carriedOutLate:
		s.w.late = append(s.w.late, apply)
		return errNetwork
	case repeated:
		apply()
		s.park(name + " again")
	}
	apply()
	s.park(name + " answered")
	return nil
}

func (s callerStore) Get(_ context.Context, id string) (reply gate.Reply, err error) {
	err = s.request("get", func() {
		reply, _ = s.w.memory.Get(context.Background(), id)
		reply.Time = s.w.now.Truncate(time.Second)
	})
	return reply, err
}

func (s callerStore) Update(_ context.Context, id string, u gate.Update) (reply gate.Reply, err error) {
	err = s.request(u.Operation, func() {
		before, _ := s.w.memory.Get(context.Background(), id)
		reply, _ = s.w.memory.Update(context.Background(), id, u)
		reply.Time = s.w.now.Truncate(time.Second)
		if reply.Applied {
			s.w.seen[u.Operation]++
			s.w.check(s.caller, id, u.Operation, before.Item, reply.Item)
		}
	})
	return reply, err
}

// check judges an update: what no interleaving may bring about.
func (w *world) check(c *caller, id, operation string, before, after gate.Item) {
	if after.Version > 0 && after.Born == 0 {
		w.fail("%s of %s makes an item that cannot be told from the next one: %+v", operation, c.name, after)
	}
	if after.Served > after.Ticket {
		w.fail("%s of %s: more tickets are served than were taken: %+v", operation, c.name, after)
	}
	if after.Version != before.Version && after.Version != before.Version+1 || after.Version == before.Version && (after.Served != before.Served || after.Since != before.Since || after.Rate != before.Rate) {
		w.fail("%s of %s moves tickets behind the back of others:\n%+v\n%+v", operation, c.name, before, after)
	}
	if operation == "lease" { // at the moment that it was worked out for; it may be carried out later
		at := time.UnixMilli(after.Probe).Add(-w.interval)
		if last, again := w.granted[id]; again && before.Born == after.Born && at.Sub(last) < w.interval {
			w.fail("%s gets the lease of the probe %v after another", c.name, at.Sub(last))
		}
		w.granted[id] = at
	}
	if operation == "trip" {
		delete(w.granted, id)
	}
}

// Now and Sleep are the caller's clock, on which to sleep is to park.
func (c *caller) Now() time.Time { return c.clock() }

func (c *caller) Sleep(_ context.Context, d time.Duration) error {
	if d > time.Hour {
		c.w.fail("%s sleeps for %v", c.name, d)
	}
	c.wake = c.w.now.Add(d)
	c.park("sleep")
	c.wake = time.Time{}
	return nil
}

// answer is the upstream's.
func (w *world) answer() (status int, told time.Duration) {
	w.tokens = min(max(1, w.rate), w.tokens+w.rate*w.now.Sub(w.filled).Seconds())
	w.filled = w.now
	switch {
	case w.out:
		return 503, w.announces
	case w.tokens < 1:
		return 429, time.Duration(w.random.IntN(4)) * time.Second
	}
	w.tokens--
	return 200, 0
}

// add brings a caller into the world, who makes a number of requests.
func (w *world) add(name string, s gate.Settings, skew time.Duration, requests int) *caller {
	c := &caller{w: w, name: name, skew: skew}
	g, err := gate.New(callerStore{c}, s, gate.WithClock(c), gate.WithRandom(w.random.Float64), gate.WithSilence(0),
		gate.WithBeside(func(ctx context.Context, do func(context.Context)) { do(ctx) }))
	if err != nil {
		panic(err)
	}
	c.gate = g
	c.next, _ = iter.Pull(func(yield func(string) bool) {
		c.yield = yield
		for n := range requests {
			c.park("start")
			c.request(fmt.Sprint(name, "-", n))
		}
	})
	w.callers = append(w.callers, c)
	w.step(c, noFault)
	return c
}

// request is the life of one request.
func (c *caller) request(name string) {
	ctx := context.Background()
	latest := c.clock().Add(30 * time.Second)
	v := c.gate.Visit("s", latest)
	c.floor = time.Time{}
	for range 6 {
		c.atGate = true
		err := v.Wait(ctx)
		c.atGate = false
		if refusal := (*gate.Refusal)(nil); errors.As(err, &refusal) {
			c.w.seen["refusals"]++
			if refusal.RetryAfter <= 0 {
				c.w.fail("%s is told to come again in %v", name, refusal.RetryAfter)
			}
			return
		}
		c.holds(name, v)
		if now := c.clock(); now.Before(c.floor) {
			c.w.fail("%s calls %v before its own floor", name, c.floor.Sub(now))
		}
		c.calls++
		c.w.seen["calls"]++
		status, told := c.w.answer()
		c.floor = c.clock().Add(told)
		held := false
		switch status {
		case 200:
			c.w.seen["successes"]++
			v.Succeeded(ctx)
			return
		case 429:
			held = v.Limited(ctx, gate.Limit{RetryAfter: told})
		default:
			held = v.Failed(ctx, gate.Failure{RetryAfter: told})
		}
		c.holds(name, v)
		if !held {
			c.Sleep(ctx, told+time.Second)
		}
	}
}

// holds checks that nobody else has what a request has.
func (c *caller) holds(name string, v *gate.Visit) {
	s := v.State()
	if s.Ticket > 0 {
		key := [2]int64{s.Born, s.Ticket}
		if other, taken := c.w.tickets[key]; taken && other != name {
			c.w.fail("%s and %s both have ticket %d", other, name, s.Ticket)
		}
		c.w.tickets[key] = name
	}
	if s.Probe != 0 {
		if other, taken := c.w.probes[s.Probe]; taken && other != name {
			c.w.fail("%s and %s both have the lease of one probe", other, name)
		}
		c.w.probes[s.Probe] = name
		c.w.seen["probes"]++
	}
}

// step lets a caller go on to its next point.
func (w *world) step(c *caller, f fault) {
	if c.wake.After(w.now) {
		w.now = c.wake
	}
	c.fault = f
	if _, more := c.next(); !more {
		c.finished = true
	}
}

// ready are those who can go on now; if all sleep, it is the one who wakes first.
func (w *world) ready() []*caller {
	var ready []*caller
	var first *caller
	for _, c := range w.callers {
		switch {
		case c.finished:
		case !c.wake.After(w.now):
			ready = append(ready, c)
		case first == nil || c.wake.Before(first.wake):
			first = c
		}
	}
	if len(ready) == 0 && first != nil {
		return []*caller{first}
	}
	return ready
}
