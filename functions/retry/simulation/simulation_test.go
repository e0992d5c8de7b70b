package main

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestABucketLetsItsRateThroughAndTellsWhenTheNextTokenComes(t *testing.T) {
	t.Parallel()
	b := newBucket(10, 5)()
	through := 0
	for at := time.Duration(0); at < 10*time.Second; at += time.Millisecond {
		if b.take(at) {
			through++
		}
	}
	if through != 104 { // 5 at once, and 10 per second of which the last is due at the very end
		t.Errorf("%d calls in 10 s, want 104", through)
	}
	now := 10 * time.Second
	for b.take(now) {
	}
	wait := b.wait(now)
	if wait <= 0 || b.take(now+wait-time.Millisecond) || !b.take(now+wait+time.Microsecond) {
		t.Errorf("the next token does not come in %v", wait)
	}
}

func TestAWindowLetsItsQuotaThroughAndTellsWhenTheNextBegins(t *testing.T) {
	t.Parallel()
	w := newWindow(10*time.Second, 2)()
	if !w.take(time.Second) || !w.take(2*time.Second) || w.take(3*time.Second) {
		t.Error("the quota of two is not what is let through")
	}
	if wait := w.wait(3 * time.Second); wait != 7*time.Second {
		t.Errorf("the next window begins in %v, want 7 s", wait)
	}
	if !w.take(10 * time.Second) {
		t.Error("nothing is let through in the next window")
	}
}

func TestPlacesThatAreBookedComeOneAfterTheOther(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]limiter{"bucket": newBucket(2, 2)(), "window": newWindow(time.Second, 2)()} {
		var waits []time.Duration
		for range 6 {
			waits = append(waits, l.book(0))
		}
		if !slices.IsSorted(waits) || waits[1] != 0 || waits[5] != 2*time.Second {
			t.Errorf("%s: places after %v", name, waits)
		}
	}
}

func TestTheSameSeedGivesTheSameMeasures(t *testing.T) {
	t.Parallel()
	s := scenarios[len(scenarios)-1]
	times := func(seed uint64) []time.Duration { return s.play(seed, &strategies[0]).times }
	first := times(7)
	if !slices.Equal(first, times(7)) {
		t.Error("one seed has two results")
	}
	if slices.Equal(first, times(8)) {
		t.Error("two seeds have one result")
	}
}

func TestThePolicyCallsBeforeAFloorOnlyInOneQuickTryOfARequest(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: all scenarios take seconds")
	}
	tried := 0
	for _, scenario := range scenarios {
		if scenario.upstream.limit == nil && !scenario.upstream.announced {
			continue // an upstream that names no moment
		}
		m := scenario.play(defaultSeed, &thisPolicy)
		most := 1
		if scenario.credential || scenario.upstream.byAddress || scenario.upstream.announced {
			most = 0
		}
		if m.mostEarly > most {
			t.Errorf("%s: a request makes %d calls too early, want %d", scenario.name, m.mostEarly, most)
		}
		tried += m.early
		if perAccount := &limitPolicies[0]; scenario.play(defaultSeed, perAccount).early > 0 {
			t.Errorf("%s: %s makes calls too early", scenario.name, perAccount.name)
		}
	}
	if tried == 0 {
		t.Error("nobody makes a quick try")
	}
}

func TestWhatQuickTriesFindOutMakesALimitByKeyCheaperAndOneByAddressNoneTheWorse(t *testing.T) {
	t.Parallel()
	without := strategies[slices.IndexFunc(strategies, func(s strategy) bool { return s.name == "this policy without findings" })]
	for _, scenario := range scenarios[:2] {
		with, before := scenario.play(defaultSeed, &thisPolicy), scenario.play(defaultSeed, &without)
		if 2*with.early > before.early || with.callsPerSuccess() > before.callsPerSuccess() {
			t.Errorf("%s: %d calls too early and %.2f calls per success, %d and %.2f without findings",
				scenario.name, with.early, with.callsPerSuccess(), before.early, before.callsPerSuccess())
		}
	}
	for _, scenario := range scenarios {
		if m := scenario.play(defaultSeed, &thisPolicy); scenario.upstream.byAddress && m.shareSuccessful() < 1 {
			t.Errorf("%s: %.2f%% successful", scenario.name, 100*m.shareSuccessful())
		}
	}
}

func TestAKnownLimitByKeyCostsOneCallInTen(t *testing.T) {
	t.Parallel()
	for _, scenario := range scenarios[:2] {
		m := scenario.play(defaultSeed, &limitPolicies[1])
		if m.callsPerSuccess() > 1.1 || m.callsPerSuccessAfterLimit() > 1.1 || m.shareSuccessful() < 0.999 {
			t.Errorf("%s: %.2f calls per success, %.2f after a 429, %.1f%% successful",
				scenario.name, m.callsPerSuccess(), m.callsPerSuccessAfterLimit(), 100*m.shareSuccessful())
		}
	}
}

func TestTheTablesInTheDocumentationAreThoseOfTheCommand(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: all scenarios take seconds")
	}
	text, err := os.ReadFile("../../../docs/retry.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, scenario := range scenarios {
		_, section, found := strings.Cut(string(text), "### "+scenario.name+"\n\n"+scenario.about+"\n\n")
		if !found {
			t.Errorf("there is no section on %q", scenario.name)
			continue
		}
		row := scenario.row(thisPolicy.name, scenario.play(defaultSeed, &thisPolicy))
		if before, _, _ := strings.Cut(section, "### "); !strings.Contains(before, row) {
			t.Errorf("%s: the row of the documentation is not\n%sRun the command with -write.", scenario.name, row)
		}
	}
}

func TestTablesAreWrittenBetweenTheMarkers(t *testing.T) {
	t.Parallel()
	text, err := replace([]byte("a\n"+beginMarker+"old\n"+endMarker+"b\n"), "new\n")
	if want := "a\n" + beginMarker + "new\n" + endMarker + "b\n"; err != nil || string(text) != want {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := replace([]byte("a\n"+beginMarker), "new\n"); err == nil {
		t.Error("a text without the second marker is written")
	}
}
