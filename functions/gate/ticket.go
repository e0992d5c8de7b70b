package gate

import (
	"math"
	"time"
)

// A claim is what a request may wait for.
type claim struct {
	now    int64
	latest int64 // the last moment at which it may call; noLatest if there is none
	born   int64 // of an item that it makes
}

const noLatest = math.MaxInt64 / 4

const (
	// reserve is what share of the time that is left a wait may take: the rate may fall, and the place of somebody who has
	// gone is a place lost.
	reserve = 0.7

	// learnedCredit is the credit of a rate that was learned, in milliseconds.
	learnedCredit = 1 * second

	// keptShare is what share of a credit that was typed in is left after it has been forgotten.
	keptShare = 0.8
)

// take is the operation by which a request takes a ticket. none says that nobody needs one; a wait says that there is no
// place: for how long, in milliseconds.
func (i Item) take(c claim, s Settings) (u *Update, wait int64) {
	if s.Mode == Fixed && (i.Version == 0 || i.Rate == 0 && !i.open() && !i.parked()) {
		return i.begin(c, s), 0
	}
	if s.Mode != Fixed && !i.active(c.now) {
		return nil, 0
	}
	last := i.lastPlace(c, s)
	if s.Mode == Observe {
		last = math.MaxInt64
	}
	if float64(i.Ticket) >= float64(last) {
		return nil, max(1, i.timeOf(i.Ticket+1, c.now, s)-c.now)
	}
	u = update("take").add(ticket, 1)
	if due := i.due(c.now - s.credit()); i.Rate > 0 && !i.open() && c.now-s.credit() > i.Since && float64(i.Ticket) < due {
		// Nobody has waited for a while. That time is forgotten, or else as many as could have called in it would call at
		// once. A ticket that somebody else takes first is seen by the condition.
		u.Operation = "take afresh"
		return u.next(i).when(ticket, Below, int64(math.Ceil(due))).
			copy(served, ticket).set(since, c.now-s.keptCredit()).set(Expiration, expiration(c.now)), 0
	}
	u.when(version, Above, 0)
	switch {
	case s.Mode == Fixed:
	case c.now < i.ActiveUntil || i.open():
		u.whenAny(Test{activeUntil, Above, c.now}, Test{probe, Above, 0})
	default: // only because somebody waits
		u.as(i).when(ticket, Above, int64(i.served(c.now)))
	}
	if last < noLatest {
		u.when(ticket, Below, last)
	}
	return u, 0
}

// begin makes the item of a rate that is typed in.
func (i Item) begin(c claim, s Settings) *Update {
	u := update("begin").next(i).add(ticket, 1).copy(served, ticket).set(rate, s.fixedRate()).set(opened, c.now).
		set(since, c.now-s.credit()).set(Expiration, expiration(c.now))
	if i.Version == 0 {
		u.set(born, c.born)
	}
	return u
}

// lastPlace is how many tickets may have been taken before this one for it to have a place: it would call before its
// deadline, with some of the time in reserve, and no more wait than may.
func (i Item) lastPlace(c claim, s Settings) int64 {
	pace := i.pace(c.now, s)
	if pace == 0 {
		return noLatest
	}
	places := float64(noLatest)
	if !i.open() && c.latest < noLatest {
		told := float64(max(0, i.Since-c.now)) // what the upstream said is certain
		wait := told + reserve*(float64(c.latest-c.now)-told)
		places = math.Floor(float64(i.Served) + 1 + (float64(c.now-i.Since)+wait)*pace/second)
	}
	// Somebody has to see whether an outage is over even if all places are taken: their holders may have gone.
	if s.MaxWaiting != Unbounded && !(i.open() && c.now >= i.Probe) {
		served := i.served(c.now)
		if i.open() {
			served = i.oldest(c.now, s)
		}
		places = min(places, math.Floor(served)+float64(s.MaxWaiting))
	}
	return int64(max(0, min(places, noLatest)))
}

// keep is for how long an item is kept after its last use.
const keep = 24 * time.Hour

// expiration is when the store may remove an item that is used now, in seconds.
func expiration(ms int64) int64 { return ms/second + int64(keep/time.Second) }

// settle has an update bring Served up to now, exactly: whatever tickets are taken in the meantime, none has its time twice
// and none is forgotten. It returns the Since that goes with it.
func (i Item) settle(u *Update, ms int64) (at int64) {
	if i.open() || i.Rate == 0 || ms <= i.Since {
		return i.Since
	}
	due := int64(i.due(ms))
	if i.Ticket > due { // somebody waits: the moment at which exactly that many were served
		u.when(ticket, Above, due).set(served, due)
		return i.Since + int64(math.Round(float64(due-i.Served)*perSecond*second/float64(i.Rate)))
	}
	u.when(ticket, AtMost, due).copy(served, ticket)
	return ms
}
