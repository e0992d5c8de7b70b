package message_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

func TestProxiesAreNumberedFromOne(t *testing.T) {
	for i := 1; i <= 20; i++ {
		if got := message.ProxyNumber(message.ProxyName(i)); got != i {
			t.Errorf("proxy %d is read as %d", i, got)
		}
	}
	if got := message.ProxyName(12); got != "proxy-12" {
		t.Errorf("the twelfth proxy is called %s", got)
	}
}

func TestWhatIsNotTheNameOfAProxyHasNoNumber(t *testing.T) {
	for _, name := range []string{
		"", "proxy-", "proxy-0", "proxy--1", "proxy-+1", "proxy-01", "proxy-1 ", " proxy-1", "Proxy-1", "1",
		"proxy-99999999999999999999", "gateway",
	} {
		if got := message.ProxyNumber(name); got != 0 {
			t.Errorf("%q is read as proxy %d", name, got)
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
