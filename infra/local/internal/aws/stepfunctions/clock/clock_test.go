package clock_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestAWaitOfTenHoursEndsAtOnceOnAVirtualClock(t *testing.T) {
	c := clock.NewVirtual(start)
	defer c.Enter()()
	if err := c.Wait(context.Background(), 10*time.Hour); err != nil {
		t.Fatal(err)
	}
	if got := c.Now().Sub(start); got != 10*time.Hour {
		t.Errorf("the clock moved on by %v", got)
	}
}

func TestAVirtualClockStandsStillWhileSomebodyWorks(t *testing.T) {
	c := clock.NewVirtual(start)
	leave := c.Enter()
	waiting, woken := make(chan struct{}), make(chan time.Time, 1)
	go func() {
		defer c.Enter()()
		close(waiting)
		if err := c.Wait(context.Background(), time.Hour); err != nil {
			t.Error(err)
		}
		woken <- c.Now()
	}()
	<-waiting
	for range 100 { // however the goroutines are scheduled
		if now := c.Now(); !now.Equal(start) {
			t.Fatalf("the clock shows %v while somebody works", now)
		}
	}
	select {
	case <-woken:
		t.Fatal("the wait ended while somebody worked")
	default:
	}
	leave()
	if now := <-woken; !now.Equal(start.Add(time.Hour)) {
		t.Errorf("woken at %v", now)
	}
}

func TestWaitersOfAVirtualClockWakeInTheOrderOfTheirTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		waits := rapid.SliceOfN(rapid.IntRange(1, 50), 1, 20).Draw(t, "waits")
		c := clock.NewVirtual(start)
		leave := c.Enter()
		var mu sync.Mutex
		var woken []time.Duration
		var all sync.WaitGroup
		for _, seconds := range waits {
			enter := c.Enter()
			all.Go(func() {
				defer enter()
				if err := c.Wait(context.Background(), time.Duration(seconds)*time.Second); err != nil {
					panic(err)
				}
				mu.Lock()
				woken = append(woken, c.Now().Sub(start))
				mu.Unlock()
			})
		}
		leave()
		all.Wait()
		for i := range woken {
			if i > 0 && woken[i] < woken[i-1] {
				t.Fatalf("woken at %v", woken)
			}
		}
		total := map[time.Duration]int{}
		for _, at := range woken {
			total[at]++
		}
		for _, seconds := range waits {
			total[time.Duration(seconds)*time.Second]--
		}
		for at, n := range total {
			if n != 0 {
				t.Fatalf("%d more were woken after %v than had asked for it", n, at)
			}
		}
	})
}

func TestATimeoutOfAVirtualClockEndsAWait(t *testing.T) {
	c := clock.NewVirtual(start)
	defer c.Enter()()
	ctx, cancel := c.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if deadline, ok := ctx.Deadline(); !ok || !deadline.Equal(start.Add(time.Minute)) {
		t.Errorf("the deadline is %v", deadline)
	}
	if err := c.Wait(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if got := c.Now().Sub(start); got != time.Minute {
		t.Errorf("the clock moved on by %v", got)
	}
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Errorf("the context's error is %v", ctx.Err())
	}
}

func TestATimeoutEndsAWaitUnderADerivedContextBeforeTimeMovesOn(t *testing.T) {
	c := clock.NewVirtual(start)
	defer c.Enter()()
	outer, cancelOuter := c.WithTimeout(context.Background(), time.Minute)
	defer cancelOuter()
	inner, cancelInner := c.WithTimeout(outer, time.Hour)
	defer cancelInner()
	ctx, cancel := context.WithCancel(inner)
	defer cancel()
	if err := c.Wait(ctx, 2*time.Hour); err == nil {
		t.Error("the wait was not ended")
	}
	if got := c.Now().Sub(start); got != time.Minute {
		t.Errorf("the clock moved on by %v", got)
	}
}

func TestATimeoutThatWasCancelledDoesNotFire(t *testing.T) {
	c := clock.NewVirtual(start)
	defer c.Enter()()
	ctx, cancel := c.WithTimeout(context.Background(), time.Minute)
	cancel()
	if err := c.Wait(context.Background(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("got %v", ctx.Err())
	}
}

func TestCancellingAContextEndsAWait(t *testing.T) {
	for name, c := range map[string]clock.Clock{"real": clock.Real, "virtual": clock.NewVirtual(start)} {
		t.Run(name, func(t *testing.T) {
			busy := c.Enter() // so that the virtual clock does not move on
			defer busy()
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error)
			enter := c.Enter()
			go func() {
				defer enter()
				ended <- c.Wait(ctx, 10*time.Hour)
			}()
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			if err := c.Wait(ctx, time.Hour); !errors.Is(err, context.Canceled) {
				t.Errorf("a wait under a context that is done: got %v", err)
			}
		})
	}
}

func TestAWaitOfNothingReturnsAtOnce(t *testing.T) {
	for name, c := range map[string]clock.Clock{"real": clock.Real, "virtual": clock.NewVirtual(start)} {
		for _, d := range []time.Duration{0, -time.Hour} {
			if err := c.Wait(context.Background(), d); err != nil {
				t.Errorf("%s: waiting for %v: %v", name, d, err)
			}
		}
	}
}

// On a clock a billion times faster an hour is a few microseconds; if it were not shortened, this test would not end.
func TestWaitsPassFasterButTimeoutsDoNot(t *testing.T) {
	c := clock.Faster(1e9)
	if err := c.Wait(context.Background(), time.Hour); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := c.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	deadline, ok := ctx.Deadline()
	if !ok || time.Until(deadline) < 30*time.Minute {
		t.Errorf("the timeout ends at %v", deadline)
	}
}

func TestTheRestOfAWaitEndsAtItsMoment(t *testing.T) {
	v := clock.NewVirtual(start)
	defer v.Enter()()
	moment := v.After(time.Hour)
	if !moment.Equal(start.Add(time.Hour)) || !v.After(-time.Hour).Equal(start) {
		t.Errorf("an hour ends at %v, and none at %v", moment, v.After(-time.Hour))
	}
	if err := v.Wait(context.Background(), 20*time.Minute); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second one is over already
		if err := v.WaitUntil(context.Background(), moment); err != nil || !v.Now().Equal(moment) {
			t.Errorf("the clock shows %v, want %v: %v", v.Now(), moment, err)
		}
	}
}

// The moment is one of real time: the wait was shortened when it was planned, and its rest is not once more.
func TestTheRestOfAWaitThatPassesFasterIsRealTime(t *testing.T) {
	c := clock.Faster(1e6)
	moment := c.After(time.Hour)
	if wait := time.Until(moment); wait > 4*time.Millisecond || wait < -time.Minute {
		t.Errorf("an hour that passes a million times faster ends in %v", wait)
	}
	if err := c.WaitUntil(context.Background(), moment); err != nil || time.Now().Before(moment) {
		t.Errorf("the wait ended at %v, before %v: %v", time.Now(), moment, err)
	}
	if none := c.After(-time.Hour); time.Since(none) > time.Minute {
		t.Errorf("a wait of less than nothing ends at %v", none)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.WaitUntil(ctx, time.Now().Add(time.Hour)); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait under a context that is done: got %v", err)
	}
}
