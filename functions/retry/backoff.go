package retry

import (
	"math"
	"time"
)

// A Jitter is how a delay is drawn from its window, so that clients that failed together do not come back together.
type Jitter string

const (
	// FullJitter draws from the whole window: U(0, w). Of the four it needs the fewest calls under contention.
	FullJitter Jitter = "full"

	// EqualJitter keeps half of the window: w/2 + U(0, w/2).
	EqualJitter Jitter = "equal"

	// DecorrelatedJitter grows from the last delay instead of from a count: U(base, 3*last), up to max.
	DecorrelatedJitter Jitter = "decorrelated"

	// NoJitter waits exactly as long as the window is wide.
	NoJitter Jitter = "none"
)

var jitters = []Jitter{FullJitter, EqualJitter, DecorrelatedJitter, NoJitter}

const (
	// FloorSpread is the least width of the window above a moment that the upstream named. Everybody was told the same
	// moment, so even a short wait needs room above it.
	FloorSpread = 1 * time.Second

	// FloorSpreadShare is the width of that window as a share of a long wait.
	FloorSpreadShare = 0.25

	// FirstSpread takes the place of FloorSpread at the first rate limit that a request waits for. There is mostly room for
	// all who wait where a new window of a quota begins, and where there is not, who is limited again is spread wider.
	FirstSpread = 100 * time.Millisecond

	// FirstSpreadShare takes the place of FloorSpreadShare there.
	FirstSpreadShare = 0.01
)

// window returns min(Max, Base*2^n).
func (b Budget) window(n int) time.Duration {
	w := b.Base
	for ; n > 0 && w < b.Max; n-- {
		if w > b.Max/2 {
			return b.Max
		}
		w *= 2
	}
	return min(w, b.Max)
}

// bounds returns the shortest and the longest delay above a floor. n counts the failures of the same kind before, and
// last is the delay after the last of them. narrow says that the window above the floor needs no more than FirstSpread; a
// budget with a jitter of its own, or with a first window wider than the default, has it as wide as that.
func (b Budget) bounds(n int, last, floor time.Duration, narrow bool) (shortest, longest time.Duration) {
	w := b.window(n)
	switch b.Jitter {
	case NoJitter:
		shortest = max(floor, w)
		return shortest, shortest
	case EqualJitter:
		shortest, longest = w/2, w
	case DecorrelatedJitter:
		shortest, longest = b.Base, min(b.Max, 3*min(max(last, b.Base), b.Max))
	default:
		shortest, longest = 0, w
	}
	switch {
	case floor <= 0:
	case narrow && b.Jitter == FullJitter && b.Base <= DefaultBase:
		longest = max(FirstSpread, time.Duration(FirstSpreadShare*float64(floor)))
	default:
		longest = max(longest, FloorSpread, time.Duration(FloorSpreadShare*float64(floor)))
	}
	return saturatingAdd(floor, shortest), saturatingAdd(floor, longest)
}

// draw returns a delay between shortest and longest, in whole milliseconds and rounded up: whoever waits the seconds and
// the milliseconds of it in different places then waits exactly that long.
func draw(shortest, longest time.Duration, random func() float64) time.Duration {
	d := shortest
	if longest > shortest {
		d += time.Duration(random() * float64(longest-shortest))
	}
	return ceil(d, time.Millisecond)
}

// ceil rounds d up to a multiple of unit.
func ceil(d, unit time.Duration) time.Duration {
	if rest := d % unit; rest > 0 {
		return saturatingAdd(d, unit-rest)
	}
	return d
}

func saturatingAdd(a, b time.Duration) time.Duration {
	if a > 0 && b > math.MaxInt64-a {
		return math.MaxInt64
	}
	return a + b
}
