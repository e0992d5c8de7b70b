package gate

import "math"

const (
	voting     = 2 * second // how long votes are counted
	votingTime = 1 * second // after which a trip is possible: those who succeed need time to say so
	doubt      = 2 * voting // how long after failures those who succeed vote
	votesEach  = 4          // one in so many votes for all
)

// A failed call is one that was answered with a server error, or not at all.
type failed struct {
	now       int64
	told      int64 // the wait that the answer asked for, in milliseconds; zero if it did not
	announced bool
	mayWait   bool // it takes a ticket if it is held back
	born      int64
}

// stopped says that everybody waits for the end of an outage.
func (i Item) stopped(ms int64) bool { return i.open() || i.Outage > 0 && ms < i.Since }

// fail is the operation by which a failure counts. In an outage that is known it takes a ticket.
func (i Item) fail(f failed, s Settings) (u *Update, takes bool) {
	if i.stopped(f.now) {
		u = update("fail").as(i)
		if f.mayWait {
			u.add(ticket, 1)
		}
		// What is told in whole seconds ends a moment later for some.
		if until := min(f.now+f.told, i.Since+1*second); !i.open() && f.announced && until > i.Since {
			u.set(since, until).add(version, 1)
		}
		if len(u.Changes) == 0 {
			return nil, false
		}
		return u, f.mayWait
	}
	cut := f.now - voting
	if i.FailuresSince > cut {
		return update("fail").when(failuresSince, Above, cut).add(failures, 1), false
	}
	return update("fail").when(failuresSince, AtMost, cut).set(failures, 1).set(successes, 0).set(failuresSince, f.now).
		set(Expiration, expiration(f.now)), false
}

// trip is the operation that stops the queue, once enough calls have failed and few enough have not. Nil: they have not.
func (i Item) trip(f failed, s Settings) *Update {
	b := s.Breaker
	few := int64(float64(i.Failures) * (1 - b.FailureRate) / b.FailureRate)
	if i.stopped(f.now) || i.Failures < int64(b.MinimumFailures) || i.Successes > few || f.now-i.FailuresSince < votingTime ||
		f.now-i.FailuresSince > voting {
		return nil
	}
	u := update("trip").next(i).when(failuresSince, Equals, i.FailuresSince).when(failures, AtLeast, int64(b.MinimumFailures)).
		when(successes, AtMost, few).
		set(outage, 1).set(opened, f.now).copy(served, ticket).set(rate, 0).set(best, 0).set(most, 0).set(shed, 0).
		set(roundStart, f.now).copy(roundServed, ticket).set(rejected, 0).set(Expiration, expiration(f.now))
	if f.announced && f.told > 0 {
		u.set(since, f.now+f.told).set(activeUntil, f.now+f.told+hold)
	} else {
		u.set(since, f.now).set(probe, f.now+s.Breaker.ProbeInterval.Milliseconds())
	}
	if i.Version == 0 {
		u.set(born, f.born)
	}
	if f.mayWait {
		u.add(ticket, 1)
	}
	return u
}

// succeed is the operation by which a success counts, for four of its kind. Nil: nobody is in doubt.
func (i Item) succeed(ms int64) *Update {
	if i.Failures == 0 || ms-i.FailuresSince >= doubt {
		return nil
	}
	return update("succeed").when(failuresSince, Above, ms-doubt).add(successes, votesEach)
}

// lease is the operation by which one caller at a time tries whether an outage is over.
func (i Item) lease(ms, me int64, s Settings) *Update {
	if !i.open() || ms < i.Probe {
		return nil
	}
	return update("lease").as(i).when(probe, AtLeast, 1).when(probe, AtMost, ms).
		set(probe, ms+s.Breaker.ProbeInterval.Milliseconds()).set(prober, me)
}

// close is the operation by which the prober, after a success, lets go those who wait. Those who came longer ago than
// anybody waits have gone.
func (i Item) close(ms, me int64, s Settings) *Update {
	if !i.open() || i.Prober != me {
		return nil
	}
	oldest := int64(math.Floor(i.oldest(ms, s)))
	r, bound := ramp(s.Breaker.RampUp*i.arrivals(ms), s)
	return update("close").next(i).when(probe, AtLeast, 1).when(prober, Equals, me).
		set(probe, 0).set(prober, 0).set(since, ms).set(served, oldest).set(rate, r).set(most, bound).
		set(roundStart, ms).set(roundServed, oldest).set(roundWaiting, i.Ticket-oldest).set(rejected, 0).
		set(failures, 0).set(successes, 0).set(failuresSince, 0).
		set(activeUntil, ms+hold).set(Expiration, expiration(ms))
}

// turnAway is the operation by which those who found no place in an outage count, one for as many as vote together: the
// ramp is reckoned from all who came. Nil: the outage is over.
func (i Item) turnAway() *Update {
	if i.Outage == 0 || i.Rate > 0 {
		return nil
	}
	return update("turn away").when(outage, Equals, 1).when(rate, Equals, 0).as(i).add(shed, shedEach)
}

// shedEach is for how many one that is turned away counts.
const shedEach = 8
