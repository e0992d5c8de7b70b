package gate

// How the rate is learned. functions/gate/simulation shows what becomes of other numbers.
const (
	round        = 1 * second // how long a rate is measured before it is changed, in milliseconds
	roundTickets = 10         // or until so many tickets have had their time, once the limit has been met

	lowestRate = 2 * perSecond

	foundShare = 0.95 // of what came through while nobody was held back: the first rate
	searchStep = 1.4  // by how much it grows per round until the limit is met

	toleratedShare = 0.02 // of ticket holders that are limited
	cutMargin      = 0.96 // below what came through
	deepestCut     = 0.7  // at once
	firstCut       = 0.35 // the same, when the limit is met for the first time
	restAfterCut   = 2    // rounds without a change: answers to what was sent before come in late

	slowStep   = 1.01
	fastStep   = 1.05
	bestBegins = 0.9 // of the best: below it the rate grows fast
	bestEnds   = 1.5 // above it, too: the limit has been raised
	bestFades  = 0.85

	mostStep = 1.25 // by how much the bound after an outage grows when more arrive than are let go
)

// adapt is the operation by which the rate is changed after a round of measuring. Nil: it is not over.
func (i Item) adapt(ms int64, s Settings) *Update {
	if i.Version == 0 || i.open() || ms < i.Since {
		return nil
	}
	u := update("adapt").next(i).set(Expiration, expiration(ms)).add(rejected, -i.Rejected)
	if i.parked() { // the wait is over
		r, bound := ramp(i.pace(ms, s), s)
		if i.Outage == 0 {
			bound = 0
		}
		return u.set(rate, r).set(most, bound).set(roundStart, ms).set(roundServed, i.Served).set(roundWaiting, i.Ticket-i.Served)
	}
	if s.Mode == Fixed {
		return i.typedIn(ms, s)
	}
	if i.Rate == 0 {
		if ms-i.Opened < round {
			return nil
		}
		through := max(lowestRate, thousandths(float64(i.Ticket-i.Served-i.Rejected)/(float64(ms-i.Opened)/second)))
		return u.set(best, through).set(rate, int64(foundShare*float64(through))).copy(served, ticket).set(since, ms).
			set(roundStart, ms).copy(roundServed, ticket).set(roundWaiting, 0)
	}
	span := ms - i.RoundStart
	if span < round || i.Sure > 0 && float64(span) < roundTickets*second*perSecond/float64(i.Rate) {
		return nil
	}
	served := i.served(ms)
	waiting := i.waiting(ms)
	held := waiting > 0 && i.RoundWaiting > 0 // the queue was what held everybody back
	share := float64(i.Rejected) / max(1, served-float64(i.RoundServed))
	r, bound := float64(i.Rate), float64(i.Most)
	switch {
	case ms-i.Opened < restAfterCut*round || ms < i.Still:
		// Callers who do not know of the gate yet still take what is there, and what was sent before a cut still comes in:
		// that says nothing of the rate.
	case s.Mode == Observe:
		// Nobody is held back, so what came through says itself what the upstream lets through.
		through := max(lowestRate, (served-float64(i.RoundServed)-float64(i.Rejected))/float64(span)*second*perSecond)
		if i.Rejected > 0 {
			u.set(best, int64(through)).set(sure, 1)
			r = foundShare * through
		} else {
			r = max(r, through)
		}
	case share > toleratedShare && i.Rejected > 1:
		kept := cutMargin
		if held {
			deepest := deepestCut
			if i.Sure == 0 {
				deepest = firstCut
			}
			kept = max(deepest, cutMargin*(1-share))
			u.set(sure, 1) // where nobody was held back, it was met by chance
		}
		u.set(best, int64(max(r*kept, bestFades*float64(i.Best)))).set(still, ms+restAfterCut*round)
		r *= kept
	case held && i.Sure == 0:
		r *= searchStep
	case held && (r < bestBegins*float64(i.Best) || r > bestEnds*float64(i.Best)):
		r *= fastStep
	case held:
		r *= slowStep
	}
	if held && i.Rejected == 0 && bound > 0 && waiting > float64(i.RoundWaiting) {
		bound *= mostStep // it was reckoned from too few
		r *= mostStep
		u.set(most, int64(bound))
	}
	if bound > 0 {
		r = min(r, bound)
	}
	u.set(rate, max(1, int64(r))).set(roundStart, ms).set(roundServed, int64(served)).set(roundWaiting, int64(waiting))
	return u.set(since, i.settle(u, ms))
}

// ramp is the rate after an outage, and its bound: a rate that is typed in needs none.
func ramp(pace float64, s Settings) (rate, bound int64) {
	rate = thousandths(max(minimumRamp, pace))
	if fixed := s.fixedRate(); fixed > 0 && rate >= fixed {
		return fixed, 0
	}
	return rate, rate
}

func thousandths(perSec float64) int64 { return int64(perSec * perSecond) }

// typedIn brings a rate that was typed in into the item, where there is another one. After an outage, those who waited are
// let go first.
func (i Item) typedIn(ms int64, s Settings) *Update {
	fixed := s.fixedRate()
	u := update("type in").next(i).set(Expiration, expiration(ms)).set(rate, fixed).set(most, 0)
	switch {
	case i.Rate == 0 || i.Rate == fixed && i.Most == 0:
		return nil
	case i.Most > 0 && i.waiting(ms) > 0:
		if ms-i.RoundStart < round {
			return nil
		}
		r := i.Rate
		if i.waiting(ms) > float64(i.RoundWaiting) {
			r = min(fixed, int64(mostStep*float64(r)))
		}
		u = update("adapt").next(i).set(Expiration, expiration(ms)).set(rate, r).set(roundStart, ms).set(roundWaiting, int64(i.waiting(ms)))
	}
	return u.set(since, i.settle(u, ms))
}

// spread is the operation, on the first item of a scope, by which the scope is spread over more of them, once one item has a
// rate that is more than one item can do. Nil: it has not, or it has not taken in the last spread yet.
func (i Item) spread(first Item, ms int64) *Update {
	known := first.spreadOver()
	wanted := min(maxShards, shardsFor(i.PerSecond()*float64(known)))
	if first.Version == 0 || i.spreadOver() != known || wanted <= known {
		return nil
	}
	return first.respread("spread", wanted, ms)
}

// respread is the operation by which an item takes the part of the rate that is its own.
func (i Item) respread(operation string, over, ms int64) *Update {
	u := update(operation).next(i).set(shards, over).set(rate, i.Rate*i.spreadOver()/over).set(best, i.Best*i.spreadOver()/over).
		set(most, i.Most*i.spreadOver()/over)
	return u.set(since, i.settle(u, ms))
}

func (i Item) spreadOver() int64 { return max(1, i.Shards) }

// maxShards is over how many items a scope is spread at most.
const maxShards = 256
