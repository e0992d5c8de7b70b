package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
)

// short says whether a world is one of the tests. `make bench` plays all of them, with more seeds.
func short(world string) bool {
	if underRace {
		return slices.Contains([]string{"02", "14", "23"}, world)
	}
	return !slices.Contains([]string{"07", "19", "32"}, world)
}

func TestTheGateKeepsWhatIsPromised(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: the worlds take seconds")
	}
	for _, p := range promises {
		if !short(p.world) || p.unreached != "" {
			continue
		}
		t.Run(strings.ReplaceAll(p.name(), " ", "-"), func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= 2; seed++ {
				if seed == 2 && p.world == "06" {
					break // it takes as long as all the others
				}
				if problems, measured := p.check(seed); len(problems) > 0 {
					t.Errorf("seed %d: %s: %s", seed, measured, strings.Join(problems, "; "))
				}
			}
		})
	}
}

func TestEveryPromiseIsOfAStrategyThatIsPlayed(t *testing.T) {
	t.Parallel()
	for _, p := range promises {
		p.find() // panics if it is not
		if p.String() == "" {
			t.Errorf("%s promises nothing", p.name())
		}
	}
}

func TestTheTablesInTheDocumentationAreThoseOfTheCommand(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: worlds take seconds")
	}
	text, err := os.ReadFile("../../../docs/gate.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios {
		_, section, found := strings.Cut(string(text), "### "+s.name+"\n\n"+s.about+"\n\n")
		if !found {
			t.Errorf("there is no section on %q", s.name)
			continue
		}
		if _, err := os.Stat("../../../docs/gate/" + s.file()); err != nil {
			t.Errorf("there is no chart of %q: %v", s.name, err)
		}
		if !slices.Contains([]string{"01", "12", "14", "15", "23"}, s.number()) || !short(s.number()) {
			continue
		}
		row := s.row(theGate.name, s.play(defaultSeed, &theGate))
		if before, _, _ := strings.Cut(section, "### "); !strings.Contains(before, row) {
			t.Errorf("%s: the row of the documentation is not\n%sRun the command with -write.", s.name, row)
		}
	}
}

func TestTheSameSeedGivesTheSameMeasures(t *testing.T) {
	t.Parallel()
	s := scenarios[0]
	s.end = 35 * time.Second
	times := func(seed uint64) []time.Duration { return s.play(seed, &theGate).measures.times }
	first := times(7)
	if len(first) < 1000 || !slices.Equal(first, times(7)) {
		t.Error("one seed has two results")
	}
	if slices.Equal(first, times(8)) {
		t.Error("two seeds have one result")
	}
}

func TestATableIsThrottledAtAThousandUpdatesOfAnItemPerSecond(t *testing.T) {
	t.Parallel()
	w := &world{store: table{}}
	failed := 0
	for range 2500 {
		w.start(0, func(p *process) {
			if _, err := w.store.Update(p.context(), "i", gate.Update{Operation: "take"}); err != nil {
				failed++
			}
		})
	}
	w.shared = newRandom(1)
	w.random = newRandom(2)
	w.run()
	if failed != 1500 || w.store.throttled != 1500 {
		t.Errorf("of 2,500 updates at once %d fail, want 1,500", failed)
	}
}

func TestAChartHasABarOfEachStrategyInEachPanel(t *testing.T) {
	t.Parallel()
	s := scenarios[0]
	s.end, s.strategies = 40*time.Second, []strategy{today, theGate}
	p := played{scenario: s, names: []string{today.name, theGate.name}, worlds: []*world{s.play(1, &today), s.play(1, &theGate)}}
	got := chart(p)
	if bars := strings.Count(got, `height="12"`); bars != 6 {
		t.Errorf("%d bars, want 6", bars)
	}
	for _, want := range []string{">the gate<", fmt.Sprintf("%.2f", p.worlds[1].measures.callsPerSuccess()), "</svg>"} {
		if !strings.Contains(got, want) {
			t.Errorf("the chart does not hold %q", want)
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
