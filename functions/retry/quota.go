package retry

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A quota is what the fields of an answer tell of one quota.
type quota struct {
	limitName

	remaining, used, ceiling []amount
	remainingField           string
	ceilingField             string

	// guessed says that what remains is told by a word that has other meanings, and counted that what is used is.
	guessed, counted bool

	resets, windows, retries []timing
	spans                    []amount // of policies
}

// A timing is a field that tells a time, or several, each for a place in the fields of the same quota.
type timing struct {
	field string
	waits []wait
}

// A ledger collects what an answer tells of its quotas.
type ledger struct {
	moment  moment
	limited bool
	quotas  []quota

	exhausted bool
	by        holders

	// structured is what the standard fields ask for, and named says that they say which quota is used up.
	structured floor
	named      bool
}

// of returns the quota that a name is about. The pointer holds until the next call.
func (l *ledger) of(n limitName) *quota {
	for i := range l.quotas {
		if q := &l.quotas[i]; q.quota == n.quota {
			q.qualified = q.qualified || n.qualified // the same words in another order
			return q
		}
	}
	l.quotas = append(l.quotas, quota{limitName: n})
	return &l.quotas[len(l.quotas)-1]
}

// tell enters one value of a field.
func (l *ledger) tell(n limitName, field, value string) {
	value = strings.TrimSpace(value)
	if v, ok := decode(value); ok {
		l.object(n, field, v, 0)
		return
	}
	if keyed(value) {
		l.members(n, field, value)
		return
	}
	l.scalar(n, field, value)
}

// scalar enters a value that has no members.
func (l *ledger) scalar(n limitName, field, value string) {
	if n.quantity == whole {
		if !strings.Contains(value, "/") { // the limit itself, or a word
			q := l.of(n)
			q.ceiling = append(q.ceiling, readAmounts(value)...)
		}
		return
	}
	if n.quantity == holder {
		for _, name := range splitName(strings.ToLower(value)) {
			l.by = l.by.and(meaning(name).by)
		}
		return
	}
	q := l.of(n)
	switch n.quantity {
	case remaining:
		q.remaining = append(q.remaining, readAmounts(value)...)
		q.guessed, q.remainingField = n.weak, field
	case used:
		part, of, divided := strings.Cut(value, "/")
		q.used = append(q.used, readAmounts(part)...)
		q.counted, q.remainingField = n.weak, field
		if divided {
			q.ceiling = append(q.ceiling, readAmounts(of)...)
		}
	case ceiling:
		q.ceiling = append(q.ceiling, readAmounts(value)...)
		q.ceilingField = field
	case policies:
		q.spans = append(q.spans, readAmounts(value)...)
	case window:
		d := span(value, n.unit)
		q.windows = append(q.windows, timing{field, []wait{{d, d > 0}}})
	case reset:
		q.resets = append(q.resets, timing{field, l.moment.waits(value, n)})
	case retryAfter:
		q.retries = append(q.retries, timing{field, l.moment.waits(value, n)})
	}
}

// members enters a value with members, such as total=10; remaining=0; resets=42. A member that is told again, and a name
// in front of members, begin another quota.
func (l *ledger) members(n limitName, field, value string) {
	group, groups := n, 0
	var seen []string
	next := func() {
		groups++
		group, seen = n.part(groups), nil
	}
	for element := range parts(value, ',') {
		first := true
		for part := range parts(element, ';') {
			key, value, ok := member(part)
			switch {
			case !ok && first:
				if len(seen) > 0 {
					next()
				}
				group = l.label(group, part)
			case !ok:
			default:
				if slices.Contains(seen, key) {
					next()
				}
				seen = append(seen, key)
				group = l.enter(group, field, key, unquote(value))
			}
			first = false
		}
	}
}

// object enters a value in JSON.
func (l *ledger) object(n limitName, field string, v any, depth int) {
	if depth > maxDepth {
		return
	}
	switch v := v.(type) {
	case []any:
		for i, element := range v {
			l.object(n.part(i), field, element, depth+1)
		}
	case map[string]any:
		for _, key := range sortedKeys(v) {
			switch value := v[key].(type) {
			case string:
				n = l.enter(n, field, key, value)
			case json.Number:
				n = l.enter(n, field, key, value.String())
			case map[string]any, []any:
				m := n.member(key)
				l.object(m, field, value, depth+1)
			}
		}
	}
}

// enter enters a member. One that is no quantity, and is told in a word, is a name of the quota.
func (l *ledger) enter(n limitName, field, key, value string) limitName {
	m := n.member(key)
	if m.quantity == whole {
		return l.label(n, value)
	}
	l.scalar(m, field, value)
	return n
}

// label reads the name that a value has for a quota.
func (l *ledger) label(n limitName, name string) limitName {
	m := readMember(unquote(name))
	if m.period == 0 && m.by == (holders{}) {
		return n
	}
	n.period, n.by = max(n.period, m.period), n.by.and(m.by)
	q := l.of(n)
	q.period, q.by = n.period, n.by
	return n
}

// part returns the name of a further quota in the same field.
func (n limitName) part(i int) limitName {
	if i > 0 {
		n.quota += "#" + strconv.Itoa(i)
	}
	return n
}

// member returns the name of a member of a field.
func (n limitName) member(key string) limitName {
	m := readMember(key)
	if m.quantity == whole {
		m.quantity, m.weak = n.quantity, n.weak
	}
	if m.unit == 0 && !m.epoch {
		m.unit, m.epoch = n.unit, n.epoch
	}
	if m.period == 0 {
		m.period = n.period
	}
	if m.quota != "" {
		m.quota = n.quota + " " + m.quota
	} else {
		m.quota = n.quota
	}
	m.rated, m.bare, m.family = n.rated, n.bare, n.family
	m.qualifiers = append(slices.Clip(n.qualifiers), m.qualifiers...)
	m.qualified = m.qualified || n.qualified
	m.by = m.by.and(n.by)
	return m
}

// left returns what is left of a quota in each of its windows.
func (q *quota) left() []amount {
	if isKnown(q.remaining) {
		if q.guessed && len(q.resets) == 0 || len(q.ceiling) > 0 && q.ceiling[0].n < 0 { // as much as one likes
			return nil
		}
		return q.remaining
	}
	if len(q.used) != len(q.ceiling) {
		return nil
	}
	left := make([]amount, len(q.used))
	for i, u := range q.used {
		c := q.ceiling[i]
		if q.counted && (u.window == 0 || u.window != c.window) {
			continue
		}
		if u.known && c.known && c.n > 0 && u.n >= c.n { // what is less may be counted by another clock
			left[i] = amount{known: true, window: max(u.window, c.window)}
		}
	}
	return left
}

func isKnown(list []amount) bool {
	return slices.ContainsFunc(list, func(a amount) bool { return a.known })
}

// isExhausted says whether a quota is used up. Whoever has taken more than there was has a negative rest.
func (a amount) isExhausted() bool { return a.known && a.n <= 0 }

// at raises a floor to the wait that fields tell for a place. One wait is for all places; and all waits are for the one
// place, or for all of them if they are all used up, so that it does not matter which is which.
func (f *floor) at(timings []timing, place int, left []amount) bool {
	var found bool
	for _, t := range timings {
		waits := t.waits
		switch {
		case len(waits) == 1, len(left) == 1:
		case len(waits) == len(left):
			waits = waits[place : place+1]
		case slices.ContainsFunc(left, func(a amount) bool { return !a.isExhausted() }):
			continue
		}
		found = f.longest(t.field, waits) || found
	}
	return found
}

// longest raises a floor to the longest of some waits.
func (f *floor) longest(field string, waits []wait) bool {
	var found bool
	for _, w := range waits {
		if w.known {
			f.atLeast(field, w.d)
			found = true
		}
	}
	return found
}

// floors are what the fields ask for, by how surely they do: a field that speaks of this request; the end of a quota that
// is used up; the end or the window of a quota that this one is a part of; the length of the period that a quota is named
// for; a rate; and the end of a quota that is not used up.
type floors struct {
	// daily says that a quota of a day or longer is used up whose end nobody tells.
	daily bool

	told, own, shared, period, rate, doubtful floor
}

// An openQuota is one that is used up, but does not say until when.
type openQuota struct{ quota, place int }

// read reads what has been told.
func (l *ledger) read() floors {
	f := floors{own: l.structured}
	var open []openQuota
	for i := range l.quotas {
		q := &l.quotas[i]
		left := q.left()
		known := isKnown(left)
		ends := q.resets
		for _, t := range q.retries {
			if q.bare || !known || l.limited && !q.qualified {
				f.told.longest(t.field, t.waits)
			} else {
				ends = append(slices.Clip(ends), t)
			}
		}
		for place, a := range left {
			switch {
			case !a.known:
			case !a.isExhausted():
				var end floor
				if l.limited && end.at(ends, place, left) && end.wait > 0 {
					f.doubtful.atMost(end)
				}
			default:
				l.exhaust(q, max(a.window, spanOf(q.spans, place, left), spanOf(q.ceiling, place, left)))
				if f.own.at(ends, place, left) {
					break
				}
				if a.window > 0 {
					f.own.longest(q.remainingField, []wait{l.moment.lasts(a.window)})
				} else if !f.own.lasting(q.windows, l.moment) {
					open = append(open, openQuota{i, place})
				}
			}
		}
		if l.limited && !known && !q.qualified {
			lone := &f.own
			if len(q.qualifiers) > 0 {
				lone = &f.shared
			}
			for _, t := range q.resets {
				if len(t.waits) == 1 { // nobody knows which window of a list is meant
					lone.longest(t.field, t.waits)
				}
			}
		}
		if l.limited && !known {
			q.rate(&f.rate)
		}
	}
	for _, o := range open {
		l.share(o, &f)
	}
	if l.exhausted {
		f.doubtful = floor{} // it is known which limit binds, if not until when
	}
	return f
}

// exhaust notes that a quota is used up, and whose it is. Nobody counts a day by address.
func (l *ledger) exhaust(q *quota, length time.Duration) {
	l.exhausted = true
	l.by = l.by.and(q.by)
	length = max(length, q.period)
	for _, t := range q.windows {
		length = max(length, t.waits[0].d)
	}
	l.by.account = l.by.account || length >= day
}

// share looks for the end of a quota in fields that are about more than it, as X-RateLimit-Reset is about more than
// X-RateLimit-Remaining-Minute: of those that do not belong to a quota which is told apart, the ones that are about the
// least.
func (l *ledger) share(o openQuota, f *floors) {
	q := &l.quotas[o.quota]
	left := q.left()
	best, closest := -1, -1
	for i := range l.quotas {
		r := &l.quotas[i]
		if len(r.resets) > 0 && !isKnown(r.left()) && len(r.qualifiers) > closest && q.isPartOf(r) {
			best, closest = i, len(r.qualifiers)
		}
	}
	if best >= 0 && f.shared.at(l.quotas[best].resets, o.place, left) {
		return
	}
	var found bool
	for i := range l.quotas {
		if r := &l.quotas[i]; q.isPartOf(r) {
			found = f.shared.lasting(r.windows, l.moment) || found
			if d := spanOf(r.spans, o.place, left); d > 0 {
				f.shared.longest(q.remainingField, []wait{l.moment.lasts(d)})
				found = true
			} else if d := spanOf(r.ceiling, o.place, left); d > 0 {
				f.shared.longest(q.remainingField, []wait{l.moment.lasts(d)})
				found = true
			}
		}
	}
	switch {
	case found || q.period == 0:
	case q.period < day:
		f.period.longest(q.remainingField, []wait{l.moment.lasts(q.period)})
	default:
		f.daily = true // it ends with the calendar's day, in a zone that nobody tells
	}
}

// isPartOf says whether all that another quota counts by is among what this one counts by.
func (q *quota) isPartOf(r *quota) bool {
	if q.family != r.family || q.bare != r.bare {
		return false
	}
	for _, name := range r.qualifiers {
		if !slices.Contains(q.qualifiers, name) {
			return false
		}
	}
	return true
}

// spanOf returns the window of a place. If there are more windows than places, and they differ, nobody knows which it is.
func spanOf(list []amount, place int, left []amount) time.Duration {
	if len(list) == len(left) {
		return list[place].window
	}
	var d time.Duration
	for _, a := range list {
		if a.window > 0 && d > 0 && a.window != d {
			return 0
		}
		d = max(d, a.window)
	}
	return d
}

// rate raises a floor to the time between two requests, if the limit is no number of requests: a fraction can only be so
// many in a second, or in the window that is told.
func (q *quota) rate(f *floor) {
	if !q.rated || q.ceilingField == "" || len(q.ceiling) != 1 || len(q.resets) > 0 {
		return
	}
	length := time.Second
	for _, t := range q.windows {
		if t.waits[0].known {
			length = t.waits[0].d
		}
	}
	if c := q.ceiling[0]; c.known && !c.whole && c.n > 0 && c.window == 0 {
		if d, ok := credible(float64(length) / c.n); ok {
			f.atLeast(q.ceilingField, ceil(d, time.Millisecond))
		}
	}
}

// lasting raises a floor to the longest of some windows, which begin no later than the answer was made.
func (f *floor) lasting(timings []timing, m moment) bool {
	var found bool
	for _, t := range timings {
		for _, w := range t.waits {
			if w.known {
				found = f.longest(t.field, []wait{m.lasts(w.d)}) || found
			}
		}
	}
	return found
}

// lasts returns what is left of a window.
func (m moment) lasts(d time.Duration) wait {
	left, ok := m.left(float64(d))
	return wait{left, ok}
}

// A floor is a wait, and the field that asked for it.
type floor struct {
	wait  time.Duration
	field string
}

// atLeast raises the floor to a wait. Of equal ones the shortest name counts, so that the order does not matter.
func (f *floor) atLeast(field string, wait time.Duration) {
	if f.field == "" || wait > f.wait || wait == f.wait && before(field, f.field) {
		f.wait, f.field = wait, field
	}
}

// atMost lowers the floor to another one.
func (f *floor) atMost(other floor) {
	if f.field == "" || other.wait < f.wait || other.wait == f.wait && before(other.field, f.field) {
		*f = other
	}
}

func before(a, b string) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}
