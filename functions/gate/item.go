package gate

import (
	"math"
	"time"
)

// An Item is what the callers of one scope share. It is about 200 bytes. While nothing is wrong there is none.
//
// All fields are whole numbers, of which zero and absent are the same: times are milliseconds since 1970 by the store's
// clock, rates are thousandths of a ticket per second, and everything else is a count. A store can add to them and compare
// them, which is all that an [Update] asks for.
type Item struct {
	// Version counts the changes of Served, Since, Rate and the state of the circuit. All of them are conditional on it.
	// Zero: nothing of the upstream is known but some failures, at most.
	Version int64 `json:"version,omitempty"`

	// Born is drawn when the item is made. A ticket is of the item that has the same: those of an item that was lost mean
	// nothing in the one that follows it.
	Born int64 `json:"born,omitempty"`

	// Ticket is how many tickets have been taken, and so the number of the last one.
	Ticket int64 `json:"ticket,omitempty"`

	// Served is how many tickets had had their time at Since. From then on Rate tickets per second have it: ticket n may
	// call at Since + (n-1-Served)/Rate. Since may be in the future: nobody may call before.
	Served int64 `json:"served,omitempty"`
	Since  int64 `json:"since,omitempty"`

	// Rate is zero as long as it is not known: in the first second of counting, while everybody waits for an announced
	// moment, and while the circuit is open.
	Rate int64 `json:"rate,omitempty"`

	// Opened is when this spell of trouble began, and ActiveUntil when it is over, unless tickets still wait.
	Opened      int64 `json:"opened,omitempty"`
	ActiveUntil int64 `json:"activeUntil,omitempty"`

	// Best is what the upstream let through when it last limited somebody. It outlasts the spell. Sure is 1 once a rate has
	// met the upstream's limit. Until Still, the rate stays as it is. Most bounds the rate after an outage; zero: no bound.
	Best  int64 `json:"best,omitempty"`
	Sure  int64 `json:"sure,omitempty"`
	Still int64 `json:"still,omitempty"`
	Most  int64 `json:"most,omitempty"`

	// Of the present round of measuring: when it began, the tickets that had been served and that waited then, and how many
	// ticket holders have been limited since.
	RoundStart   int64 `json:"roundStart,omitempty"`
	RoundServed  int64 `json:"roundServed,omitempty"`
	RoundWaiting int64 `json:"roundWaiting,omitempty"`
	Rejected     int64 `json:"rejected,omitempty"`

	// Outage is 1 in a spell that is an outage, announced or not. Probe is there while the circuit is open: when the next
	// caller may try. Prober is drawn by the one that does.
	Outage int64 `json:"outage,omitempty"`
	Probe  int64 `json:"probe,omitempty"`
	Prober int64 `json:"prober,omitempty"`

	// Votes: failures and successes since FailuresSince. Shed is how many have been turned away in the outage.
	Failures      int64 `json:"failures,omitempty"`
	Successes     int64 `json:"successes,omitempty"`
	FailuresSince int64 `json:"failuresSince,omitempty"`
	Shed          int64 `json:"shed,omitempty"`

	// Tries is how many quick tries from another address were made in this spell. ByKey and ByAddress count what they
	// brought: what the limit is by.
	Tries     int64 `json:"tries,omitempty"`
	ByKey     int64 `json:"byKey,omitempty"`
	ByAddress int64 `json:"byAddress,omitempty"`

	// Shards is over how many items the callers of the scope are spread, as this item knows. What holds is what the first of
	// them says. Zero: one.
	Shards int64 `json:"shards,omitempty"`

	// Expiration is when the store may remove the item, in seconds since 1970.
	Expiration int64 `json:"expiration,omitempty"`
}

// A Circuit says whether calls are let through.
type Circuit string

// The states of a circuit.
const (
	Closed  Circuit = "closed"
	Open    Circuit = "open"    // one call at a time, to see whether the outage is over
	Closing Circuit = "closing" // those who waited are let go, at a bounded rate
)

// Circuit returns the state of the circuit at a time.
func (i Item) Circuit(now time.Time) Circuit {
	switch ms := now.UnixMilli(); {
	case i.open() || i.Outage > 0 && ms < i.Since:
		return Open
	case i.Outage > 0 && i.active(ms) && i.Most > 0:
		return Closing
	}
	return Closed
}

// Active says whether callers take tickets at a time: until a minute after the last trouble, and as long as tickets wait.
func (i Item) Active(now time.Time) bool { return i.active(now.UnixMilli()) }

// Waiting returns how many tickets wait for their time.
func (i Item) Waiting(now time.Time) int { return int(math.Ceil(i.waiting(now.UnixMilli()))) }

// PerSecond returns the rate at which tickets have their time, in tickets per second. Zero: it is not known.
func (i Item) PerSecond() float64 { return float64(i.Rate) / perSecond }

// Scoping says what quick tries from another address have found the limit to be counted by.
type Scoping string

// What a limit is counted by.
const (
	UnknownScoping Scoping = ""
	KeyScoping     Scoping = "key"
	AddressScoping Scoping = "address"
)

// triesToBelieve is how many quick tries have to agree, net.
const triesToBelieve = 3

// Scoping returns what the limit is counted by, once three quick tries more say so than say the contrary.
func (i Item) Scoping() Scoping {
	switch d := i.ByAddress - i.ByKey; {
	case d >= triesToBelieve:
		return AddressScoping
	case d <= -triesToBelieve:
		return KeyScoping
	}
	return UnknownScoping
}

const (
	// perSecond is the unit of rates: thousandths of a ticket per second.
	perSecond = 1000

	// second is the unit of times: milliseconds.
	second = 1000
)

func (i Item) open() bool { return i.Probe > 0 }

// counting says that the rate is not known and nobody is held back: what comes through is counted.
func (i Item) counting() bool { return i.Rate == 0 && i.Since <= i.Opened && !i.open() }

// parked says that everybody waits for a moment, and that the rate after it is not known yet.
func (i Item) parked() bool { return i.Rate == 0 && i.Since > i.Opened && !i.open() }

func (i Item) active(ms int64) bool {
	return i.Version > 0 && (ms < i.ActiveUntil || i.open() || i.waiting(ms) > 0)
}

// due is how many tickets could have had their time, were there enough of them.
func (i Item) due(ms int64) float64 {
	if i.open() || i.Rate == 0 || ms < i.Since {
		return float64(i.Served)
	}
	return float64(i.Served) + float64(i.Rate)*float64(ms-i.Since)/(perSecond*second)
}

// served is how many tickets have had their time.
func (i Item) served(ms int64) float64 { return min(float64(i.Ticket), i.due(ms)) }

func (i Item) waiting(ms int64) float64 {
	if i.counting() {
		return 0
	}
	return float64(i.Ticket) - i.served(ms)
}

// arrivals is how many requests per second have come while nobody may call, including those that were turned away.
func (i Item) arrivals(ms int64) float64 {
	end := ms
	if !i.open() {
		end = min(ms, i.Since)
	}
	return float64(i.Ticket-i.Served+i.Shed) / max(1, float64(end-i.Opened)/second)
}

// pace is the rate in tickets per second, or what stands in for it while it is not known: zero if nobody is held back.
func (i Item) pace(ms int64, s Settings) float64 {
	switch {
	case i.Rate > 0:
		return float64(i.Rate) / perSecond
	case i.open() || i.parked():
		p := max(minimumRamp, s.Breaker.RampUp*i.arrivals(ms))
		if i.parked() && i.Outage == 0 {
			p = max(p, i.release())
		}
		if fixed := s.fixedRate(); fixed > 0 {
			p = min(p, float64(fixed)/perSecond)
		}
		return p
	}
	return 0
}

const (
	// releaseAtOnce is how many may go in a tenth of a second, which is releaseTime in milliseconds, when the moment has come that a
	// limit named.
	releaseAtOnce = 50
	releaseTime   = second / 10
)

// release is the rate, in tickets per second, at which those are let go at least who waited for the moment that a limit named.
// Mostly a whole quota is renewed then. Where it is one for fewer, those whose turn comes within shortWait hear of the next limit
// too late, however they are spread over it; so no more than releaseAtOnce have their turn in that time.
func (i Item) release() float64 {
	if waiting := i.Ticket - i.Served; waiting <= releaseAtOnce {
		return float64(waiting) * second / releaseTime
	}
	return releaseAtOnce * second / shortWait
}

// minimumRamp is the lowest rate, in tickets per second, at which those who waited are let go.
const minimumRamp = 0.2

// oldest is how many tickets are of no account any more: they have had their time, or while the circuit is open were taken
// longer ago than anybody waits, as far as the rate tells at which they were taken.
func (i Item) oldest(ms int64, s Settings) float64 {
	if i.open() {
		taken := float64(i.Ticket - i.Served)
		return float64(i.Served) + max(0, taken-taken/max(1, float64(ms-i.Opened)/second)*s.Patience.Seconds())
	}
	return float64(i.Served)
}

// timeOf is when a ticket may call; while the circuit is open, when it could if the outage ended now.
func (i Item) timeOf(ticket int64, ms int64, s Settings) int64 {
	pace := i.pace(ms, s)
	if pace == 0 {
		return ms
	}
	since := i.Since
	if i.open() {
		since = ms
	}
	return since + int64(math.Ceil((float64(ticket-1)-i.oldest(ms, s))/pace*second))
}

// TimeOf returns when a ticket may call, as the item says at a time. While the circuit is open it is when it could if the
// outage ended now.
func (i Item) TimeOf(ticket int64, now time.Time, s Settings) time.Time {
	return time.UnixMilli(i.timeOf(ticket, now.UnixMilli(), s.WithDefaults()))
}
