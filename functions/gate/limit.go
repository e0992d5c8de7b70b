package gate

const (
	// hold is how long after the last 429 callers still queue, in milliseconds.
	hold = 60 * second

	// holdStep is by how much the end of that is moved at least: a 429 in between writes less.
	holdStep = 5 * second

	// shortTold is the longest Retry-After, in milliseconds, that keeps only the caller that was told. In whole seconds it
	// says nothing of a limit of several calls a second.
	shortTold = 1500

	// parkStep is how much later than is known an answer has to say that everybody is to wait until, for it to be told to the
	// others: what is told in whole seconds ends a moment later with each answer, and to write all of them is to have them in
	// each other's way. It is told in milliseconds. The request itself keeps to its own answer.
	parkStep = 1 * second

	// knownShare is what share of what the upstream let through last the next spell begins with.
	knownShare = 0.95
)

// A refused call is one that was answered with 429.
type refused struct {
	now        int64
	told       int64 // the wait that the answer asked of everybody, in milliseconds; zero if it did not
	floor      int64 // when the request itself may call again
	ticketOf   int64 // what the item was drawn that its ticket is of; zero if it had none
	mayWait    bool  // it takes a ticket: its deadline is not before its floor
	perAddress bool  // the limit binds the address that was called from, and nobody else
	born       int64
	shards     int64 // over how many items the scope is spread
}

// limited is the operation by which callers learn of a 429. ticket says whether it takes a ticket, too; if not, the request
// comes back when its floor has passed, and takes one then. Nil: there is nothing to change.
func (i Item) limited(r refused, s Settings) (u *Update, takes bool) {
	until := r.now
	if r.told > shortTold && !r.perAddress {
		until += r.told
	}
	if !i.active(r.now) && s.Mode != Fixed {
		return i.openSpell(r, until), until > r.now && r.mayWait
	}
	parks := until > r.now && until > i.Since+parkStep && !i.open()
	if parks {
		u = update("park").next(i).set(roundStart, until).set(roundServed, int64(i.served(r.now))).add(rejected, -i.Rejected).
			set(activeUntil, max(i.ActiveUntil, until+hold)).set(Expiration, expiration(until))
		i.settle(u, r.now)
		u.set(since, until)
		if i.Version == 0 { // of a rate that is typed in
			u.set(born, r.born).set(opened, r.now)
		}
	} else {
		u = update("reject").when(version, Above, 0)
		if r.ticketOf == i.Born && s.Mode != Fixed {
			u.add(rejected, 1)
		}
		if s.Mode != Fixed && i.ActiveUntil < r.now+hold-holdStep {
			u.when(activeUntil, AtMost, r.now+hold).set(activeUntil, r.now+hold).set(Expiration, expiration(r.now))
		}
	}
	takes = r.mayWait
	switch {
	case i.counting() && !parks:
		takes = false
	case until == r.now && i.Since <= r.now && r.floor > r.now:
		takes = false
	}
	if takes {
		u.add(ticket, 1)
	}
	if len(u.Changes) == 0 {
		return nil, false
	}
	return u, takes
}

// openSpell begins a spell of trouble.
func (i Item) openSpell(r refused, until int64) *Update {
	u := update("open").next(i).when(activeUntil, AtMost, r.now).when(probe, Equals, 0).
		set(opened, r.now).set(activeUntil, until+hold).set(Expiration, expiration(until)).
		copy(served, ticket).set(since, until).set(roundStart, r.now).copy(roundServed, ticket).set(roundWaiting, 0).
		set(rejected, 0).set(still, 0).set(most, 0).set(outage, 0).set(shed, 0).set(tries, 0).
		set(rate, int64(knownShare*float64(i.Best)))
	if i.Version == 0 {
		u.set(born, r.born).set(shards, r.shards)
	}
	if until > r.now && r.mayWait {
		u.add(ticket, 1)
	}
	return u
}
