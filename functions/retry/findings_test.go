package retry_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// quick is the attempts of a request that was limited, and whose quick try at a moment brought a status.
func quick(at time.Time, kind retry.Kind, status int) []retry.Attempt {
	return []retry.Attempt{
		{Proxy: "proxy-1", Start: at.Add(-time.Second).UnixMilli(), Status: 429, Kind: retry.RateLimit},
		{Proxy: "proxy-2", Start: at.UnixMilli(), Status: status, Kind: kind},
	}
}

// wantBelief checks from when on nothing is known any more.
func wantBelief(t *testing.T, f *retry.Findings, until time.Time) {
	t.Helper()
	if got := f.LimitedBy("a", until.Add(-time.Millisecond)); got != retry.PerAccount {
		t.Errorf("a moment before %v it is limited by %q, want %q", until, got, retry.PerAccount)
	}
	if got := f.LimitedBy("a", until); got != "" {
		t.Errorf("at %v it is limited by %q, want nothing", until, got)
	}
}

func TestAQuickTryInVainIsBelievedForTwoMinutesThenFourThenEight(t *testing.T) {
	t.Parallel()
	var f retry.Findings
	if got := f.LimitedBy("a", noon); got != "" {
		t.Errorf("at first it is limited by %q", got)
	}
	at := noon
	for _, belief := range []time.Duration{2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 8 * time.Minute} {
		f.Learn("a", quick(at, retry.RateLimit, 429))
		at = at.Add(belief)
		wantBelief(t, &f, at)
	}
}

func TestAQuickTryThatIsLetInTakesBackWhatWasBelieved(t *testing.T) {
	t.Parallel()
	var f retry.Findings
	f.Learn("a", quick(noon, retry.RateLimit, 429))
	f.Learn("a", quick(noon.Add(time.Second), "", 200)) // of a request that was on its way
	if got := f.LimitedBy("a", noon.Add(2*time.Second)); got != "" {
		t.Errorf("it is limited by %q", got)
	}
	f.Learn("a", quick(noon.Add(3*time.Second), retry.RateLimit, 429))
	wantBelief(t, &f, noon.Add(3*time.Second+2*time.Minute)) // and not four
}

func TestAttemptsThatAreShownAgainTeachNothingNew(t *testing.T) {
	t.Parallel()
	var f retry.Findings
	attempts := quick(noon, retry.RateLimit, 429)
	f.Learn("a", attempts)
	f.Learn("a", append(attempts, retry.Attempt{Proxy: "proxy-3", Start: noon.Add(time.Hour).UnixMilli(), Status: 429, Kind: retry.RateLimit}))
	wantBelief(t, &f, noon.Add(2*time.Minute))
	f.Learn("a", quick(noon.Add(-time.Minute), "", 200)) // older than what is known
	wantBelief(t, &f, noon.Add(2*time.Minute))
}

func TestOnlyQuickTriesTeach(t *testing.T) {
	t.Parallel()
	for name, attempts := range map[string][]retry.Attempt{
		"no attempt":             nil,
		"one attempt":            quick(noon, retry.RateLimit, 429)[:1],
		"a wait between":         {{Status: 429, Kind: retry.RateLimit, Wait: 1000}, {Start: noon.UnixMilli(), Status: 429, Kind: retry.RateLimit}},
		"a server error between": quick(noon, retry.ServerError, 503),
		"no answer":              quick(noon, retry.NetworkFailure, 0),
	} {
		var f retry.Findings
		f.Learn("a", attempts)
		if got := f.LimitedBy("a", noon.Add(time.Second)); got != "" {
			t.Errorf("%s teaches that it is limited by %q", name, got)
		}
	}
}

func TestFindingsOfOneKeySayNothingOfAnother(t *testing.T) {
	t.Parallel()
	var f retry.Findings
	f.Learn("a", quick(noon, retry.RateLimit, 429))
	if got := f.LimitedBy("b", noon.Add(time.Second)); got != "" {
		t.Errorf("the other one is limited by %q", got)
	}
}

func TestFindingsAreKeptOf256KeysAndTheOldestMakesRoom(t *testing.T) {
	t.Parallel()
	var f retry.Findings
	for i := range 300 {
		f.Learn(fmt.Sprint(i), quick(noon.Add(time.Duration(i)*time.Millisecond), retry.RateLimit, 429))
	}
	kept := 0
	for i := range 300 {
		if f.LimitedBy(fmt.Sprint(i), noon.Add(time.Second)) == retry.PerAccount {
			kept++
			if i < 44 {
				t.Errorf("number %d has not made room", i)
			}
		}
	}
	if kept != 256 {
		t.Errorf("%d findings are kept, want 256", kept)
	}
}

func TestFindingsAreSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	var f retry.Findings
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 100 {
				f.Learn("a", quick(noon.Add(time.Duration(n)*time.Second), retry.RateLimit, 429))
				f.LimitedBy("a", noon.Add(time.Duration(i*n)*time.Second))
			}
		})
	}
	all.Wait()
	if got := f.LimitedBy("a", noon.Add(100*time.Second)); got != retry.PerAccount {
		t.Errorf("it is limited by %q", got)
	}
}
