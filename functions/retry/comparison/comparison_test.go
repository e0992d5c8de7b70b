package comparison

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var write = flag.String("write", "", "file to put the table into, between its markers")

// page is the page that holds the table.
const page = "../../../docs/retry.md"

var (
	once     sync.Once
	measured [][]measures
)

// play plays each scenario with each of its clients, once for all tests.
func play(t *testing.T) [][]measures {
	t.Helper()
	once.Do(func() {
		measured = make([][]measures, len(scenarios))
		for i, s := range scenarios {
			for _, c := range s.clients() {
				synctest.Test(t, func(*testing.T) { measured[i] = append(measured[i], s.play(c)) })
			}
		}
	})
	return measured
}

func TestComparison(t *testing.T) {
	table := report(play(t))
	if testing.Verbose() {
		fmt.Print(table)
	}
	if *write == "" {
		return
	}
	text, err := os.ReadFile(*write)
	if err == nil {
		text, err = replace(text, table)
	}
	if err == nil {
		err = os.WriteFile(*write, text, 0o644)
	}
	if err != nil {
		t.Fatalf("%s: %v", *write, err)
	}
}

func TestTheTableInTheDocumentationIsTheOneThatIsMeasured(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), beginMarker)
	table, _, _ = strings.Cut(table, endMarker)
	if want := report(play(t)); table != want {
		t.Errorf("the table of %s is\n%s\nwant\n%s\nRun go test -run TestComparison -write %s", page, table, want, page)
	}
}

func TestThePolicyCallsNoEarlierAndNoOftenerThanTheLibraries(t *testing.T) {
	for i, s := range scenarios {
		var policy measures
		for j, c := range clients {
			if c.name == thisPolicy {
				policy = play(t)[i][j]
			}
		}
		if policy.early > 0 {
			t.Errorf("%s: %d calls too early", s.name, policy.early)
		}
		for j, c := range clients {
			other := play(t)[i][j]
			if s.name == "outage" { // it gives up sooner, so that only the calls can be compared
				if policy.calls > other.calls {
					t.Errorf("%s: %d calls, and %s makes %d", s.name, policy.calls, c.name, other.calls)
				}
			} else if policy.callsPerSuccess() > other.callsPerSuccess() || len(policy.times) < len(other.times) {
				t.Errorf("%s: %.2f calls per success and %d successes, and %s makes %.2f and has %d",
					s.name, policy.callsPerSuccess(), len(policy.times), c.name, other.callsPerSuccess(), len(other.times))
			}
		}
	}
}

func TestUpstreamsSayWhenToComeAgain(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) time.Time { return start.Add(d) }
	type step struct {
		at     time.Duration
		status int
		until  time.Duration // -1 if nothing is said
	}
	for name, test := range map[string]struct {
		script script
		steps  []step
	}{
		"windows": {windows(2, 10*time.Second), []step{
			{0, 200, -1}, {1e9, 200, -1}, {2500 * time.Millisecond, 429, 10500 * time.Millisecond}, {10 * time.Second, 200, -1},
		}},
		"bucket": {bucket(0.5, 1), []step{
			{0, 200, -1}, {0, 429, 2 * time.Second}, {1500 * time.Millisecond, 429, 2500 * time.Millisecond}, {2 * time.Second, 200, -1},
		}},
		"used up": {usedUp(time.Hour), []step{{0, 429, time.Hour}, {time.Minute, 429, time.Hour}}},
		"outage":  {outage(5 * time.Second), []step{{0, 503, -1}, {4 * time.Second, 503, -1}, {5 * time.Second, 200, -1}}},
	} {
		for _, s := range test.steps {
			header := map[string][]string{}
			status, until := test.script(at(s.at), header)
			said := s.until >= 0
			if status != s.status || until.IsZero() == said || said && !until.Equal(at(s.until)) {
				t.Errorf("%s after %v: %d until %v with %v, want %d until %v", name, s.at, status, until.Sub(start), header, s.status, s.until)
			}
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
