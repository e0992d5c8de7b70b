package gate

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// base is the time of these tests, in milliseconds.
const base = 1_790_000_000_000

// anyItem draws an item as it can be at base: what it was before, and since when.
func anyItem(t *rapid.T) Item {
	served := rapid.Int64Range(0, 5_000).Draw(t, "served")
	opened := base - rapid.Int64Range(0, 120_000).Draw(t, "opened before")
	i := Item{
		Version: rapid.Int64Range(1, 1000).Draw(t, "version"), Born: 7, Served: served, Ticket: served + rapid.Int64Range(0, 2_000).Draw(t, "tickets"),
		Opened: opened, Since: rapid.Int64Range(opened, base+30_000).Draw(t, "since"),
		ActiveUntil: base + rapid.Int64Range(-60_000, 60_000).Draw(t, "active until"),
		Best:        rapid.Int64Range(0, 200_000).Draw(t, "best"), Sure: rapid.Int64Range(0, 1).Draw(t, "sure"),
		RoundStart: base - rapid.Int64Range(0, 20_000).Draw(t, "round began before"), Rejected: rapid.Int64Range(0, 50).Draw(t, "rejected"),
		RoundServed: max(0, served-rapid.Int64Range(0, 50).Draw(t, "round served")), RoundWaiting: rapid.Int64Range(0, 100).Draw(t, "round waiting"),
	}
	switch rapid.SampledFrom([]string{"rate", "rate", "rate", "ramp", "counting", "parked", "open", "announced"}).Draw(t, "what") {
	case "rate":
		i.Rate = rapid.Int64Range(1, 900_000).Draw(t, "rate")
	case "ramp":
		i.Rate, i.Outage = rapid.Int64Range(200, 400_000).Draw(t, "rate"), 1
		i.Most = i.Rate
	case "counting":
		i.Since = i.Opened
	case "parked":
		i.Since = max(i.Since, i.Opened+1)
	case "open":
		i.Since, i.Outage, i.Probe = i.Opened, 1, base+rapid.Int64Range(-5_000, 1_000).Draw(t, "probe")
	case "announced":
		i.Since, i.Outage = base+rapid.Int64Range(1, 60_000).Draw(t, "announced"), 1
	}
	return i
}

func anySettings(t *rapid.T) Settings {
	s := Settings{
		Mode:       rapid.SampledFrom([]Mode{Off, Fixed, Adaptive, Observe}).Draw(t, "mode"),
		MaxWaiting: rapid.SampledFrom([]int{1, 20, 500, Unbounded}).Draw(t, "may wait"),
	}
	if s.Mode == Fixed {
		s.Rate, s.Burst = rapid.IntRange(1, 400).Draw(t, "typed in"), rapid.IntRange(1, 100).Draw(t, "burst")
	}
	return s.WithDefaults()
}

// operations are all that could be done with an item now.
func operations(i Item, s Settings, c claim, told int64) []*Update {
	r := refused{now: c.now, told: told, floor: c.now + told, ticketOf: 7, mayWait: true, born: 9}
	f := failed{now: c.now, told: told, announced: told > 0, mayWait: true, born: 9}
	take, _ := i.take(c, s)
	limited, _ := i.limited(r, s)
	fail, _ := i.fail(f, s)
	return slices.DeleteFunc([]*Update{
		take, limited, fail, i.adapt(c.now, s), i.trip(f, s), i.succeed(c.now), i.lease(c.now, 5, s), i.close(c.now, i.Prober, s), i.turnAway(),
		i.mayTry(), i.tried(true), i.spread(i, c.now), i.respread("respread", 2, c.now),
	}, func(u *Update) bool { return u == nil })
}

func TestEveryOperationIsOneThatAStoreCanMakeAndLeavesAnItemThatMakesSense(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	check := func(t *rapid.T) {
		i, s := anyItem(t), anySettings(t)
		i.Failures, i.Successes = rapid.SampledFrom([]int64{0, 3, 10, 30}).Draw(t, "failures"), rapid.SampledFrom([]int64{0, 0, 2, 8}).Draw(t, "successes")
		i.FailuresSince = base - rapid.SampledFrom([]int64{500, 1_500, 1_900, 4_000}).Draw(t, "failures before")
		told := rapid.SampledFrom([]int64{0, 1_000, 30_000}).Draw(t, "told")
		for _, u := range operations(i, s, claim{now: base, latest: base + 60_000, born: 9}, told) {
			var changed []Attribute
			for _, c := range u.Changes {
				if slices.Contains(changed, c.Attribute) {
					t.Fatalf("%s changes %s twice: %+v", u.Operation, c.Attribute, u)
				}
				changed = append(changed, c.Attribute)
			}
			for _, test := range slices.Concat(u.If...) {
				if test.Value < 0 {
					t.Fatalf("%s compares %s with %d", u.Operation, test.Attribute, test.Value)
				}
			}
			after, applied := u.Apply(i)
			if !applied {
				t.Fatalf("%s was worked out from the item, and its condition fails: %+v\nof %+v", u.Operation, u, i)
			}
			seen[u.Operation]++
			if after.Served > after.Ticket || after.Rate < 0 || after.Rejected < 0 || after.Ticket < i.Ticket || after.Ticket > i.Ticket+1 {
				t.Fatalf("%s makes\n%+v of\n%+v", u.Operation, after, i)
			}
			moved := after.Served != i.Served || after.Since != i.Since || after.Rate != i.Rate || after.open() != i.open()
			if moved && after.Version != i.Version+1 {
				t.Fatalf("%s moves tickets and leaves the version as it is", u.Operation)
			}
			if moved {
				stale := i
				stale.Version++ // somebody else was faster
				if u.Holds(stale) {
					t.Fatalf("%s moves tickets that it has not seen: %+v", u.Operation, u)
				}
			}
		}
	}
	for range 30 {
		rapid.Check(t, check)
	}
	for _, operation := range []string{
		"take", "take afresh", "open", "reject", "park", "adapt", "type in", "fail", "trip", "succeed", "lease", "close", "turn away", "try", "spread", "respread",
	} {
		if seen[operation] == 0 {
			t.Errorf("%q was never tried", operation)
		}
	}
}

func TestARateChangesByNoMoreThanAStepOfARound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		i, s := anyItem(t), Settings{Mode: Adaptive}.WithDefaults()
		u := i.adapt(base, s)
		if u == nil || i.Rate == 0 {
			return
		}
		after, _ := u.Apply(i)
		// At most 1.4 up, and a quarter more if an outage's bound is too low; at most to 0.35 down. A bound holds.
		if float64(after.Rate) > 1.75*float64(i.Rate)+1 || float64(after.Rate) < 0.34*float64(i.Rate)-1 {
			t.Fatalf("the rate goes from %d to %d:\n%+v", i.Rate, after.Rate, i)
		}
		if after.Most > 0 && after.Rate > after.Most {
			t.Fatalf("the rate is %d, and the bound %d", after.Rate, after.Most)
		}
		if base-i.Opened < 2_000 && i.Most == 0 && after.Rate != i.Rate {
			t.Fatalf("the rate goes from %d to %d within two seconds of the beginning", i.Rate, after.Rate)
		}
		if i.Rejected > 1 && base-i.Opened >= 2_000 && float64(i.Rejected) > 0.02*max(1, i.served(base)-float64(i.RoundServed)) && after.Rate >= i.Rate && i.Rate > 1 {
			t.Fatalf("callers were limited, and the rate goes from %d to %d", i.Rate, after.Rate)
		}
	})
}

func TestTicketsThatWaitKeepTheirTimeWhenOnlyTheRoundEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		i, s := anyItem(t), Settings{Mode: Adaptive}.WithDefaults()
		if i.Rate < 100 || i.open() {
			return
		}
		u := update("settle").next(i)
		u.set(since, i.settle(u, base))
		// Others may take tickets in the meantime, if the condition still holds.
		now := i
		now.Ticket += rapid.Int64Range(0, 100).Draw(t, "taken meanwhile")
		after, applied := u.Apply(now)
		if !applied {
			return
		}
		for ticket := i.Ticket; ticket <= now.Ticket+1; ticket++ {
			before, later := now.timeOf(ticket, base, s), after.timeOf(ticket, base, s)
			if before > base && max(before, later)-min(before, later) > 2 {
				t.Fatalf("ticket %d may call %d ms from now, and afterwards %d ms:\n%+v\n%+v", ticket, before-base, later-base, now, after)
			}
			if before <= base && later > base+1 {
				t.Fatalf("ticket %d had its time, and has to wait %d ms:\n%+v\n%+v", ticket, later-base, now, after)
			}
		}
	})
}

func TestInNoStretchOfTimeMoreCallThanWasTypedIn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate, burst := rapid.IntRange(1, 100).Draw(t, "rate"), rapid.IntRange(1, 50).Draw(t, "burst")
		s := Settings{Mode: Fixed, Rate: rate, Burst: burst, MaxWaiting: Unbounded}.WithDefaults()
		var i Item
		old := []Item{{}}
		var times []int64
		now := int64(base)
		for _, gap := range rapid.SliceOfN(rapid.SampledFrom([]int64{0, 0, 0, 1, 10, 100, 3_000, 60_000}), 20, 200).Draw(t, "gaps") {
			now += gap
			from := i
			if rapid.IntRange(0, 3).Draw(t, "knows") == 0 {
				from = old[rapid.IntRange(0, len(old)-1).Draw(t, "copy")]
			}
			u, _ := from.take(claim{now: now, latest: noLatest, born: 9}, s)
			after, applied := u.Apply(i)
			if !applied {
				u, _ = i.take(claim{now: now, latest: noLatest, born: 9}, s)
				after, _ = u.Apply(i)
			}
			i = after
			old = append(old, i)
			times = append(times, max(now, i.timeOf(i.Ticket, now, s)))
		}
		for first := range times {
			for last := first; last < len(times); last++ {
				n, stretch := last-first+1, float64(times[last]-times[first]+2)/second
				if allowed := float64(burst) + float64(rate)*stretch + 1; float64(n) > allowed {
					t.Fatalf("%d calls in %.3f s; want at most %.1f with a rate of %d and a burst of %d: %v", n, stretch, allowed, rate, burst, times)
				}
			}
		}
	})
}

func TestWhoComesWhenARefusalSaysIsLetInAtOnceAndNotEarlier(t *testing.T) {
	t.Parallel()
	refusals := 0
	rapid.Check(t, func(t *rapid.T) {
		i, s := anyItem(t), anySettings(t)
		if i.open() || i.parked() || s.Mode == Off || s.Mode == Observe {
			return // nobody knows when an outage ends, and how many come until an announced moment
		}
		patience := rapid.Int64Range(0, 60_000).Draw(t, "patience")
		u, wait := i.take(claim{now: base, latest: base + patience, born: 9}, s)
		if u != nil || wait == 0 {
			return
		}
		refusals++
		at := base + wait + wait/500 + 2 // rates are rounded to thousandths
		if u, again := i.take(claim{now: at, latest: at + max(patience, 1), born: 9}, s); u == nil && again > 0 {
			t.Fatalf("told to come in %d ms, and is told %d ms then:\n%+v", wait, again, i)
		}
		if call := i.timeOf(i.Ticket+1, at, s); call > at+3 {
			t.Fatalf("told to come in %d ms, and may call %d ms after that:\n%+v", wait, call-at, i)
		}
		if early := at - 1_000; early > base && i.pace(early, s) > 5 {
			if call := i.timeOf(i.Ticket+1, early, s); call <= early {
				t.Fatalf("told to come in %d ms, and could have called a second before:\n%+v", wait, i)
			}
		}
	})
	if refusals == 0 {
		t.Error("nobody was refused")
	}
}

func TestAClockIsCorrectedOnlyIfTheAnswersProveItWrongAndToHalfASecondThen(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		difference := time.Duration(rapid.IntRange(-5_000, 5_000).Draw(t, "difference in ms")) * time.Millisecond
		var c tableClock
		own := time.UnixMilli(base)
		for range rapid.IntRange(1, 30).Draw(t, "answers") {
			own = own.Add(time.Duration(rapid.IntRange(0, 2_000).Draw(t, "later")) * time.Millisecond)
			sent := own
			own = own.Add(time.Duration(rapid.IntRange(0, 50).Draw(t, "there")) * time.Millisecond)
			said := own.Add(difference).Truncate(time.Second)
			own = own.Add(time.Duration(rapid.IntRange(0, 50).Draw(t, "back")) * time.Millisecond)
			c.saw(said, sent, own)
			offset := c.offset()
			if difference == 0 && offset != 0 {
				t.Fatalf("the clock is right, and is corrected by %v", offset)
			}
			if offset != 0 && (difference-offset).Abs() > 560*time.Millisecond {
				t.Fatalf("clocks differ by %v, and it is corrected by %v", difference, offset)
			}
			if offset == 0 && difference.Abs() > 1110*time.Millisecond {
				t.Fatalf("clocks differ by %v, and it is not corrected", difference)
			}
		}
		// A clock that is set is noticed.
		c.saw(own.Add(time.Hour).Truncate(time.Second), own, own)
		if got := c.offset(); got < time.Hour-time.Second-5*time.Second || got > time.Hour+time.Second {
			t.Fatalf("the clocks differ by an hour now, and it is corrected by %v", got)
		}
	})
}

func TestAnUpdateOfAnItemThatWasLostIsNotMadeOfTheNext(t *testing.T) {
	t.Parallel()
	s := Settings{Mode: Adaptive}.WithDefaults()
	lost := Item{Version: 3, Born: 7, Ticket: 90, Served: 40, Since: base - 5_000, Opened: base - 20_000, RoundStart: base - 5_000, Rate: 2_000, ActiveUntil: base + 9_000}
	next := lost
	next.Born, next.Ticket, next.Served = 8, 60, 55
	if u := lost.adapt(base, s); u == nil || !u.Holds(lost) || u.Holds(next) {
		t.Errorf("the update is %+v; want one that is made of the item that it was worked out from, and not of the next one", u)
	}
}
