package message_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

func TestTheRingGoesRound(t *testing.T) {
	for _, c := range []struct {
		ring        message.Ring
		name, after string
	}{
		{1, "proxy-1", "proxy-1"},
		{3, "proxy-1", "proxy-2"},
		{3, "proxy-2", "proxy-3"},
		{3, "proxy-3", "proxy-1"},
		{20, "proxy-19", "proxy-20"},
		{20, "proxy-20", "proxy-1"},
	} {
		if got := c.ring.After(c.name); got != c.after {
			t.Errorf("in a ring of %d, %s is followed by %s, want %s", c.ring, c.name, got, c.after)
		}
	}
}

func TestAfterNProxiesTheRingIsBackAtTheFirst(t *testing.T) {
	for n := message.Ring(1); n <= 20; n++ {
		seen := make(map[string]bool)
		name := n.First()
		for range n {
			if seen[name] || !n.Has(name) {
				t.Errorf("in a ring of %d, %s came twice or is not in it", n, name)
			}
			seen[name] = true
			name = n.After(name)
		}
		if name != n.First() {
			t.Errorf("after %d proxies comes %s, want %s", n, name, n.First())
		}
	}
}

func TestWhatIsNotInTheRingIsFollowedByTheFirst(t *testing.T) {
	const ring = message.Ring(3)
	for _, name := range []string{
		"", "proxy-", "proxy-0", "proxy-4", "proxy--1", "proxy-+1", "proxy-01", "proxy-1 ", " proxy-1", "Proxy-1", "1",
		"proxy-99999999999999999999", "gateway",
	} {
		if ring.Has(name) {
			t.Errorf("%q is said to be in a ring of %d", name, ring)
		}
		if got := ring.After(name); got != "proxy-1" {
			t.Errorf("%q is followed by %s, want proxy-1", name, got)
		}
	}
}

func TestASplitDelayIsNeverBelowTheDelay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		delay := time.Duration(rapid.Int64Range(math.MinInt64, math.MaxInt64-int64(time.Millisecond)).Draw(t, "delay"))
		if rapid.Bool().Draw(t, "short") {
			delay %= time.Minute
		}
		seconds, milliseconds := message.SplitDelay(delay)
		if seconds < 0 || milliseconds < 0 || milliseconds > 999 {
			t.Fatalf("%v is split into %d s and %d ms", delay, seconds, milliseconds)
		}
		sum := time.Duration(seconds)*time.Second + time.Duration(milliseconds)*time.Millisecond
		if sum < delay {
			t.Fatalf("%v is split into %d s and %d ms, which is early", delay, seconds, milliseconds)
		}
		if sum-max(delay, 0) >= time.Millisecond {
			t.Fatalf("%v is split into %d s and %d ms, which is a millisecond late or more", delay, seconds, milliseconds)
		}
	})
}

func TestADelayIsSplitIntoSecondsAndTheRest(t *testing.T) {
	for _, c := range []struct {
		delay                 time.Duration
		seconds, milliseconds int64
	}{
		{-time.Hour, 0, 0},
		{0, 0, 0},
		{time.Nanosecond, 0, 1},
		{700 * time.Millisecond, 0, 700},
		{999*time.Millisecond + time.Nanosecond, 1, 0},
		{time.Second, 1, 0},
		{2700 * time.Millisecond, 2, 700},
		{15 * time.Minute, 900, 0},
	} {
		seconds, milliseconds := message.SplitDelay(c.delay)
		if seconds != c.seconds || milliseconds != c.milliseconds {
			t.Errorf("%v is split into %d s and %d ms, want %d s and %d ms", c.delay, seconds, milliseconds, c.seconds, c.milliseconds)
		}
	}
}
