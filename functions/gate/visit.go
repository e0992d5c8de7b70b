package gate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// A Refusal is the error of a request for which there is no place. Nothing was sent.
type Refusal struct {
	// Reason says why.
	Reason Reason

	// Scope is that of the request.
	Scope string

	// RetryAfter is in how long a request would have had its time that came now and could wait for it: whoever comes then
	// finds those gone who are waiting now. While the circuit is open nobody knows when the outage ends; it is when the
	// request could have called if it ended now. While everybody waits for an announced moment, it is reckoned from those
	// who have come so far.
	RetryAfter time.Duration
}

// A Reason says why a request was refused.
type Reason string

// The reasons.
const (
	QueueFull   Reason = "flow-control-queue-full" // its time would come too late, or too many wait
	CircuitOpen Reason = "circuit-open"            // nearly every call fails
)

func (r *Refusal) Error() string {
	return fmt.Sprintf("gate: %s in scope %s: nothing was sent; come again in %s", r.Reason, r.Scope, r.RetryAfter.Round(time.Millisecond))
}

// A Limit is what an answer 429 says.
type Limit struct {
	// RetryAfter is what the answer asked for. Zero: nothing.
	RetryAfter time.Duration

	// PerAddress says that the limit binds the address that was called from, and that the next call goes out from another
	// one. RetryAfter is then how long that one has to be left alone, because of answers before; mostly it is zero.
	PerAddress bool

	// Last says that the request makes no other call, so that it needs no place.
	Last bool
}

// A Visit is one request at the gate. It is not safe for concurrent use.
type Visit struct {
	gate  *Gate
	scope string
	state State

	// By the process's own clock, whatever is found out about it in the meantime. Nothing that the item says lets the
	// request call before floorAt.
	latestAt, floorAt time.Time

	known   Item
	looked  bool // known is as it is now
	due     bool // the last part of the wait has been slept
	bypass  bool // as if there were no gate
	waited  time.Duration
	refused *Refusal
}

// A State is what has to be known to go on with a visit in another process.
type State struct {
	Shard int `json:"shard,omitempty"`

	// Ticket is the number of the ticket, and Born what the item was drawn that it is of. Zero: there is none.
	Ticket int64 `json:"ticket,omitempty"`
	Born   int64 `json:"born,omitempty"`

	// Probe is what was drawn for the lease of the probe. Zero: the request does not have it.
	Probe int64 `json:"probe,omitempty"`

	// Due says that the ticket's time has come, or has been slept for.
	Due bool `json:"due,omitempty"`

	// Inside says that the request has been let through without a ticket.
	Inside bool `json:"inside,omitempty"`

	// NotBefore is when the request may call at the earliest, as its own answers said, in milliseconds since 1970 by the clock
	// of the process. Zero: they said nothing.
	NotBefore int64 `json:"notBefore,omitempty"`
}

// Visit begins the visit of a request to a scope; see [Scope]. latest is the last moment at which it may call, by the
// clock of this process: its deadline, less the time that a call needs. Zero: there is none.
func (g *Gate) Visit(scope string, latest time.Time) *Visit {
	v := &Visit{gate: g, scope: scope, latestAt: latest}
	v.state.Shard = v.draw()
	return v
}

// draw draws one of the items of the scope.
func (v *Visit) draw() int {
	first, _ := v.gate.copy(v.gate.id(v.scope, 0))
	if shards := max(first.item.Shards, v.gate.settings.shards()); shards > 1 {
		return int(v.gate.random() * float64(shards))
	}
	return 0
}

// Resume goes on with a visit that was begun in another process.
func (g *Gate) Resume(scope string, latest time.Time, s State) *Visit {
	v := g.Visit(scope, latest)
	v.state, v.due = s, s.Due
	if s.NotBefore > 0 {
		v.floorAt = time.UnixMilli(s.NotBefore)
	}
	return v
}

// State returns what another process has to know to go on.
func (v *Visit) State() State {
	s := v.state
	s.Due, s.NotBefore, s.Inside = v.due, 0, s.Inside || v.bypass
	if !v.floorAt.IsZero() {
		s.NotBefore = v.floorAt.Add(time.Millisecond - time.Nanosecond).UnixMilli() // rounded up
	}
	return s
}

// Scope names the scope.
func (v *Visit) Scope() string { return v.scope }

// Ticket returns the number of the request's ticket; zero if it has none. Callers with several addresses spread over them
// by the remainder.
func (v *Visit) Ticket() int64 { return v.state.Ticket }

// Waited returns how long the request has been held back at the gate; with [Observe], how long it would have been.
func (v *Visit) Waited() time.Duration { return v.waited }

// Refused returns the refusal; with [Observe], the one that there would have been. Nil: there was none.
func (v *Visit) Refused() *Refusal { return v.refused }

// Item returns the item as the request last saw it, and which of the scope's it is.
func (v *Visit) Item() (shard int, i Item) { return v.state.Shard, v.known }

func (v *Visit) id() string { return v.gate.id(v.scope, v.state.Shard) }

func (v *Visit) remember(i Item) { v.known, v.looked = i, true }

// Wait lets the request through when it may call. The error is a [*Refusal] if there is no place for it, or the context's.
func (v *Visit) Wait(ctx context.Context) error {
	for {
		d, err := v.Next(ctx)
		if err != nil || d <= 0 {
			return err
		}
		if err := v.gate.clock.Sleep(ctx, d); err != nil {
			return err
		}
	}
}

// Next is one step of Wait, for callers who do not sleep themselves: it returns how long to wait before it is called again.
// Zero: the request may call now.
func (v *Visit) Next(ctx context.Context) (time.Duration, error) {
	if v.refused != nil && v.gate.settings.Mode != Observe {
		return 0, v.refused
	}
	d, err := v.next(ctx)
	if v.gate.settings.Mode != Observe {
		v.waited += d
		return d, err
	}
	own := v.ownFloor()
	if err != nil || d > own {
		v.waited += d
		v.bypass = true
	}
	return own, nil
}

// floor is when the request's own answers let it call, by the clock that items are kept by.
func (v *Visit) floor(now int64) int64 { return now + v.ownFloor().Milliseconds() }

// ownFloor is how long the request's own answers keep it, in whole milliseconds, rounded up.
func (v *Visit) ownFloor() time.Duration {
	if v.floorAt.IsZero() {
		return 0
	}
	left := max(0, v.floorAt.Sub(v.gate.clock.Now()))
	return (left + time.Millisecond - 1).Truncate(time.Millisecond)
}

// latest is the last moment at which the request may call, by the clock that items are kept by.
func (v *Visit) latest(now int64) int64 {
	if v.latestAt.IsZero() {
		return noLatest
	}
	return now + v.latestAt.Sub(v.gate.clock.Now()).Milliseconds()
}

// mayWait says whether there is time left after the request's own floor.
func (v *Visit) mayWait() bool { return v.latestAt.IsZero() || !v.floorAt.After(v.latestAt) }

// milliseconds is a wait that is no negative one, and no longer than a Duration can be: an item may hold any numbers.
func milliseconds(ms int64) time.Duration {
	const longest = math.MaxInt64 / int64(time.Millisecond)
	return time.Duration(min(max(0, ms), longest)) * time.Millisecond
}

func (v *Visit) refuse(reason Reason, wait int64) error {
	v.refused = &Refusal{Reason: reason, Scope: v.scope, RetryAfter: max(time.Millisecond, milliseconds(wait))}
	return v.refused
}

func (v *Visit) next(ctx context.Context) (time.Duration, error) {
	g, s := v.gate, v.gate.settings
	for {
		now := g.now()
		if floor := v.ownFloor(); floor > 0 && (v.state.Ticket == 0 || v.bypass || v.due) {
			if !v.mayWait() {
				return 0, v.refuse(QueueFull, floor.Milliseconds())
			}
			return floor, nil
		}
		switch {
		case v.bypass || v.due || v.state.Inside || v.state.Probe > 0 || s.idle():
			return 0, nil
		case v.state.Ticket == 0:
			if err := v.enter(ctx); err != nil {
				return 0, err
			}
			v.state.Inside = v.state.Ticket == 0
			continue
		case !v.looked:
			i, ok := g.look(ctx, v.id())
			if !ok {
				v.bypass = true
				continue
			}
			v.remember(i)
			v.tend(ctx)
		}
		i := v.known
		if i.Born != v.state.Born || !i.active(now) && s.Mode != Fixed { // the item was lost, or the trouble is over
			v.due = true
			continue
		}
		left := v.latest(now) - now
		if i.open() {
			if now >= i.Probe && left >= 0 && v.ownFloor() == 0 && v.probe(ctx) {
				continue
			}
			if i = v.known; !i.open() {
				continue
			}
			if left <= 0 {
				return 0, v.refuse(CircuitOpen, max(second, i.timeOf(v.state.Ticket, now, s)-now))
			}
			// If the outage ended now, this would be the ticket's time. Nothing is lost by not looking before it.
			v.looked = false
			return milliseconds(min(max(s.Breaker.ProbeInterval.Milliseconds(), i.timeOf(v.state.Ticket, now, s)-now), left)), nil
		}
		wait := max(i.timeOf(v.state.Ticket, now, s), v.floor(now)) - now
		switch {
		case wait <= 0:
			v.due = true
		case wait > left:
			return 0, v.refuse(v.reason(now), wait)
		case wait < shortWait:
			v.due = true
			return milliseconds(wait), nil
		default:
			// The rate may change meanwhile: half of a long wait is slept, and then the item is looked at again.
			v.looked = false
			if s.Mode != Observe {
				wait /= 2
			}
			return milliseconds(wait), nil
		}
	}
}

// shortWait is the longest wait that is slept without looking at the item again, in milliseconds.
const shortWait = 2 * second

func (v *Visit) reason(now int64) Reason {
	if v.known.stopped(now) {
		return CircuitOpen
	}
	return QueueFull
}

// enter takes a ticket if there is trouble.
func (v *Visit) enter(ctx context.Context) error {
	g, s := v.gate, v.gate.settings
	c, known := g.copy(v.id())
	now := g.now()
	active := known && (c.item.active(now) || c.item.active(c.at)) // whether it still is, the item says
	v.known = c.item
	if v.state.Shard > 0 {
		v.refreshFirst(ctx, now)
	}
	if s.Mode != Fixed && !active {
		if !known || now-c.at > fresh {
			id := v.id()
			g.beside(ctx, func(ctx context.Context) { g.look(ctx, id) })
		}
		return nil
	}
	return v.take(ctx, c.at)
}

// refreshFirst looks at the first item of the scope, which says over how many it is spread.
func (v *Visit) refreshFirst(ctx context.Context, now int64) {
	g, id := v.gate, v.gate.id(v.scope, 0)
	if c, known := g.copy(id); !known || now-c.at > fresh {
		g.beside(ctx, func(ctx context.Context) { g.look(ctx, id) })
	}
}

func (v *Visit) take(ctx context.Context, copiedAt int64) error {
	g, s, id := v.gate, v.gate.settings, v.id()
	take := func(i Item) (*Update, int64) {
		now := g.now()
		return i.take(claim{now: now, latest: v.latest(now), born: g.drawn()}, s)
	}
	refused, first := int64(0), true
	i, applied, err := g.change(ctx, id, func(i Item) (u *Update) {
		u, refused = take(i)
		// Nobody is turned away upon a copy that is old, and nobody let through upon one that was active.
		if first && (u == nil && refused == 0 || refused > 0 && g.now()-copiedAt > freshRefusal) {
			if i, ok := g.look(ctx, id); ok {
				u, refused = take(i)
			}
		}
		first = false
		return u
	})
	if err != nil {
		v.bypass = true
		return nil
	}
	if refused > 0 {
		c, _ := g.copy(id)
		i = c.item
	}
	v.keepTicket(i, applied)
	v.tend(ctx)
	if refused == 0 {
		return nil
	}
	if i.turnAway() != nil && g.random() < 1./shedEach {
		g.beside(ctx, func(ctx context.Context) { g.change(ctx, id, Item.turnAway) })
	}
	return v.refuse(v.reason(g.now()), refused)
}

// tend changes the rate, if a round of measuring is over, and spreads the scope over more items, if one does not do.
func (v *Visit) tend(ctx context.Context) {
	g, s, id, i := v.gate, v.gate.settings, v.id(), v.known
	if i.adapt(g.now(), s) != nil {
		g.beside(ctx, func(ctx context.Context) {
			g.change(ctx, id, func(now Item) *Update {
				if now.Version != i.Version { // somebody else was faster
					return nil
				}
				return now.adapt(g.now(), s)
			})
		})
	}
	if s.Mode == Fixed {
		return
	}
	firstID := g.id(v.scope, 0)
	first, _ := g.copy(firstID)
	if over := first.item.spreadOver(); i.spreadOver() < over && i.Version > 0 {
		g.beside(ctx, func(ctx context.Context) {
			g.change(ctx, id, func(now Item) *Update {
				if now.Version == 0 || now.spreadOver() >= over {
					return nil
				}
				return now.respread("respread", over, g.now())
			})
		})
	}
	if i.spread(first.item, g.now()) != nil && g.random() < spreadShare {
		g.beside(ctx, func(ctx context.Context) {
			g.change(ctx, firstID, func(first Item) *Update { return i.spread(first, g.now()) })
		})
	}
}

// spreadShare is what share of those who see that one item does not do try to change it: the item has enough to do.
const spreadShare = 1. / 16

// probe tries to become the one that sees whether the outage is over.
func (v *Visit) probe(ctx context.Context) bool {
	g, me := v.gate, v.gate.drawn()
	i, applied, err := g.change(ctx, v.id(), func(i Item) *Update { return i.lease(g.now(), me, g.settings) })
	switch {
	case err != nil:
		v.bypass = true
		return true
	case applied:
		v.state.Probe = me
	}
	v.remember(i)
	return applied
}

// leave ends what the request was let through by, and returns what the item was drawn that its ticket was of.
func (v *Visit) leave() (ticketOf int64) {
	ticketOf = v.state.Born
	v.state = State{Shard: v.state.Shard}
	v.looked, v.due, v.bypass = false, false, false
	return ticketOf
}

func (v *Visit) keepTicket(i Item, taken bool) {
	v.remember(i)
	if taken {
		v.state.Ticket, v.state.Born = i.Ticket, i.Born
	}
}

// shards is over how many items a scope is spread, as far as this process knows; zero for one.
func (g *Gate) shards(scope string) int64 {
	first, _ := g.copy(g.id(scope, 0))
	return first.item.Shards
}

// spread of those who come back after a 429, in milliseconds: while the rate is known, they have tickets for the rest.
const (
	spreadUnknown = 1 * second
	spreadKnown   = second / 4
)

// Limited tells the others that a call was answered with 429. If it is true, the next one is made when [Visit.Wait] lets
// it, which is not before what the answer asked for. If it is false, it is as if there were no gate, and the caller backs off
// by itself; with [Observe] it always is.
func (v *Visit) Limited(ctx context.Context, l Limit) bool {
	g, s := v.gate, v.gate.settings
	received := g.clock.Now()
	// Every request takes a ticket at a rate that is typed in, unless the item could not be used.
	unknown := v.bypass || s.Mode == Fixed && v.state.Inside
	if me := v.state.Probe; me != 0 { // who limits is there again
		g.changeSeen(ctx, v.id(), func(i Item) *Update { return i.close(g.now(), me, s) })
	}
	ticketOf := v.leave()
	v.floorAt = time.Time{}
	defer func() { // those who come back take part in a spread that they did not know of
		if v.state.Ticket == 0 {
			v.state.Shard = v.draw()
		}
	}()
	if l.RetryAfter > 0 {
		v.floorAt = received.Add(l.RetryAfter)
	}
	if s.Mode == Off {
		return v.elsewhere()
	}
	takes := false
	i, applied, err := g.change(ctx, v.id(), func(i Item) *Update {
		now := g.now()
		r := refused{
			now: now, told: l.RetryAfter.Milliseconds(), floor: v.floor(now), ticketOf: ticketOf, mayWait: v.mayWait() && !l.Last,
			perAddress: l.PerAddress, born: g.drawn(), shards: g.shards(v.scope),
		}
		var u *Update
		u, takes = i.limited(r, s)
		return u
	})
	if errors.Is(err, errContended) { // so many others tell of it that there is trouble for certain
		err = nil
	}
	if err != nil || unknown && !applied {
		return v.elsewhere()
	}
	v.keepTicket(i, applied && takes)
	v.tend(ctx)
	if s.Mode == Observe {
		return v.elsewhere()
	}
	if v.state.Ticket == 0 {
		spread := float64(spreadUnknown)
		if i.Rate > 0 {
			spread = spreadKnown
		}
		from := received
		if v.floorAt.After(from) {
			from = v.floorAt
		}
		v.floorAt = from.Add(time.Duration(g.random() * spread * float64(time.Millisecond)))
	}
	return true
}

// elsewhere leaves the waiting to the caller.
func (v *Visit) elsewhere() bool {
	v.bypass = true
	return false
}

// A Failure is what an answer with a server error says.
type Failure struct {
	// RetryAfter is what the answer asked for. Zero: nothing, or there was no answer.
	RetryAfter time.Duration

	// Floor is how long the request itself has to wait for what answers before asked for, if that is longer. Others are not
	// told of it.
	Floor time.Duration

	// Last says that the request makes no other call, so that it needs no place.
	Last bool
}

// Failed tells the others that a call was answered with a server error, or not at all. If it is true, nearly every call
// fails, and the next one is made when [Visit.Wait] lets it. If it is false, it is as if there were no gate, and the
// caller backs off by itself; with [Observe] it always is.
func (v *Visit) Failed(ctx context.Context, f Failure) bool {
	g, s := v.gate, v.gate.settings
	v.leave()
	v.floorAt = g.clock.Now().Add(max(f.RetryAfter, f.Floor))
	if s.Breaker.Disabled {
		return v.elsewhere()
	}
	how := func() failed {
		return failed{
			now: g.now(), told: f.RetryAfter.Milliseconds(), announced: f.RetryAfter > 0, mayWait: v.mayWait() && !f.Last, born: g.drawn(),
		}
	}
	takes := false
	i, applied, err := g.change(ctx, v.id(), func(i Item) (u *Update) {
		u, takes = i.fail(how(), s)
		return u
	})
	if err == nil && applied && !takes && i.trip(how(), s) != nil {
		i, applied, err = g.change(ctx, v.id(), func(i Item) (u *Update) {
			f := how()
			takes = f.mayWait
			if i.stopped(f.now) { // somebody else was faster
				u, takes = i.fail(f, s)
				return u
			}
			return i.trip(f, s)
		})
	}
	if err != nil {
		return v.elsewhere()
	}
	v.keepTicket(i, applied && takes)
	if !i.stopped(g.now()) || s.Mode == Observe {
		return v.elsewhere()
	}
	return true
}

// Succeeded tells the others that a call had an answer that is no failure, if they are in doubt. It does so beside the
// request.
func (v *Visit) Succeeded(ctx context.Context) {
	g, s := v.gate, v.gate.settings
	if s.Breaker.Disabled {
		return
	}
	id, me := v.id(), v.state.Probe
	if me != 0 {
		g.beside(ctx, func(ctx context.Context) {
			g.changeSeen(ctx, id, func(i Item) *Update { return i.close(g.now(), me, s) })
		})
		return
	}
	c, _ := g.copy(id)
	if c.item.succeed(g.now()) != nil && g.random() < 1./votesEach {
		g.beside(ctx, func(ctx context.Context) {
			g.change(ctx, id, func(i Item) *Update { return i.succeed(g.now()) })
		})
	}
}
