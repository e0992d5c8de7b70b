package retry

import (
	"sync"
	"time"
)

// How long findings are believed.
const (
	// FirstBelief is how long one quick try in vain is believed. It is short, since a limit by address whose addresses are
	// all used up looks the same.
	FirstBelief = 2 * time.Minute

	// LongestBelief is what that grows to, doubled each time that the quick try after it was in vain, too.
	LongestBelief = 8 * time.Minute

	// maxFindings is how many upstreams and routes findings are kept of.
	maxFindings = 256
)

// Findings are what quick tries have found out about what limits are counted by, so that a limit which is not by address
// costs a few quick tries, and not one for each request. They are kept by a key, which stands for an upstream and a route.
//
// What is found out is that a limit is not by address: the quick try met a limit, too. That it is by address nobody finds
// out in this way, since the quick try may have been let in because some time had passed. It only takes back what was
// believed before.
//
// The zero value is ready for use, and knows nothing. Findings are safe for concurrent use.
type Findings struct {
	mu    sync.Mutex
	byKey map[string]finding
}

// A finding is that quick tries were in vain.
type finding struct {
	seen   time.Time     // when the latest quick try was answered
	until  time.Time     // until when it is believed; zero if the quick try was let in
	belief time.Duration // how long it was believed from then on
}

// LimitedBy returns what a limit is known to be counted by now, for [Request.LimitedBy]: [PerAccount], or empty if nothing is
// known.
func (f *Findings) LimitedBy(key string, now time.Time) Scope {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Before(f.byKey[key].until) {
		return PerAccount
	}
	return ""
}

// Learn takes in what the attempts of a request have found out, with whichever proxy that was. attempts are in their order,
// and the last may be that of the final answer. The same attempts may be shown again, when there are more of them.
func (f *Findings) Learn(key string, attempts []Attempt) {
	inVain, answered := outcome(attempts)
	if answered.IsZero() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	last, known := f.byKey[key]
	if known && !answered.After(last.seen) {
		return // as old as what is known, or older
	}
	next := finding{seen: answered}
	switch {
	case !inVain && !known:
		return
	case !inVain:
	case answered.Before(last.until):
		next.until, next.belief = last.until, last.belief // several requests made a quick try at the same time
	default:
		next.belief = min(max(FirstBelief, 2*last.belief), LongestBelief)
		next.until = answered.Add(next.belief)
	}
	f.keep(key, next)
}

// outcome says whether the quick try among the attempts of a request met a limit, too, and when it was answered. The time is
// zero if there was none, or if it found out nothing: a failure may come before any limit is looked at.
func outcome(attempts []Attempt) (inVain bool, answered time.Time) {
	for i, a := range attempts {
		if !quickTry(a) {
			continue
		}
		// Without those that their proxy repeated with another credential.
		rest := attempts[i+1:]
		for len(rest) > 1 && rest[0].Kind == "" {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			break
		}
		if try := rest[0]; try.Status != 0 && (try.Kind == RateLimit || try.Kind == "") {
			return try.Kind == RateLimit, time.UnixMilli(try.Start + try.Duration)
		}
		break
	}
	return false, time.Time{}
}

// keep keeps a finding, in the place of the oldest one if there is no room.
func (f *Findings) keep(key string, found finding) {
	if f.byKey == nil {
		f.byKey = map[string]finding{}
	}
	if _, known := f.byKey[key]; !known && len(f.byKey) >= maxFindings {
		var oldest string
		first := true
		for other, o := range f.byKey {
			if first || o.seen.Before(f.byKey[oldest].seen) {
				oldest, first = other, false
			}
		}
		delete(f.byKey, oldest)
	}
	f.byKey[key] = found
}
