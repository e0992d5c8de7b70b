package simulation

import (
	"slices"
	"testing"
	"time"
)

func TestABucketLetsItsRateThroughAndTellsWhenTheNextTokenComes(t *testing.T) {
	t.Parallel()
	b := NewBucket(10, 5)()
	through := 0
	for at := time.Duration(0); at < 10*time.Second; at += time.Millisecond {
		if b.Take(at) {
			through++
		}
	}
	if through != 104 { // 5 at once, and 10 per second of which the last is due at the very end
		t.Errorf("%d calls in 10 s, want 104", through)
	}
	now := 10 * time.Second
	for b.Take(now) {
	}
	wait := b.wait(now)
	if wait <= 0 || b.Take(now+wait-time.Millisecond) || !b.Take(now+wait+time.Microsecond) {
		t.Errorf("the next token does not come in %v", wait)
	}
}

func TestAWindowLetsItsQuotaThroughAndTellsWhenTheNextBegins(t *testing.T) {
	t.Parallel()
	w := NewWindow(10*time.Second, 2)()
	if !w.Take(time.Second) || !w.Take(2*time.Second) || w.Take(3*time.Second) {
		t.Error("the quota of two is not what is let through")
	}
	if wait := w.wait(3 * time.Second); wait != 7*time.Second {
		t.Errorf("the next window begins in %v, want 7 s", wait)
	}
	if !w.Take(10 * time.Second) {
		t.Error("nothing is let through in the next window")
	}
}

func TestPlacesThatAreBookedComeOneAfterTheOther(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]Limiter{"bucket": NewBucket(2, 2)(), "window": NewWindow(time.Second, 2)()} {
		var waits []time.Duration
		for range 6 {
			waits = append(waits, l.book(0))
		}
		if !slices.IsSorted(waits) || waits[1] != 0 || waits[5] != 2*time.Second {
			t.Errorf("%s: places after %v", name, waits)
		}
	}
}
