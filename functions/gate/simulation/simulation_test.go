package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/simulation"
)

// short says whether a world is one of the tests. `make bench` plays all of them, with more seeds.
func short(world string) bool {
	if simulation.UnderRace {
		return slices.Contains([]string{"02", "14", "23"}, world)
	}
	return !slices.Contains([]string{"07", "19", "32"}, world)
}

func TestTheGateKeepsWhatIsPromised(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("skipped: -short; the worlds take seconds")
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
		_, section, found := strings.Cut(string(text), "### "+s.Name+"\n\n"+s.About+"\n\n")
		if !found {
			t.Errorf("there is no section on %q", s.Name)
			continue
		}
		if _, err := os.Stat("../../../docs/gate/" + s.number() + ".svg"); err != nil {
			t.Errorf("there is no chart of %q: %v", s.Name, err)
		}
		if !slices.Contains([]string{"01", "12", "14", "15", "23"}, s.number()) || !short(s.number()) {
			continue
		}
		row := playAll(defaultSeed, s.number(), theGate.name+"$")[0].row(0)
		if before, _, _ := strings.Cut(section, "### "); !strings.Contains(before, row) {
			t.Errorf("%s: the row of the documentation is not\n%sRun the command with -write.", s.Name, row)
		}
	}
}

func TestTheSummaryOnThePageOnRetriesIsThatOfTheCommand(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/retry.md")
	if err != nil {
		t.Fatal(err)
	}
	if row := summary([]simulation.Played{playAll(defaultSeed, "14", "")[0].Played}); !strings.Contains(string(text), strings.SplitAfterN(row, "\n", 3)[2]) {
		t.Errorf("there is no row of\n%sRun the command with -write docs/gate.md -summary docs/retry.md.", row)
	}
}

func TestTheSameSeedGivesTheSameMeasures(t *testing.T) {
	t.Parallel()
	s := scenarios[0]
	s.End = 35 * time.Second
	play := func(seed uint64) string {
		w := s.play(seed, theGate)
		return fmt.Sprint(w.Measures.Calls, w.Measures.Held, w.store.reads, w.store.writes)
	}
	first := play(7)
	if first != play(7) {
		t.Error("one seed has two results")
	}
	if first == play(8) {
		t.Error("two seeds have one result")
	}
}

func TestATableIsThrottledAtAThousandUpdatesOfAnItemPerSecond(t *testing.T) {
	t.Parallel()
	w := &world{World: new(simulation.World), store: table{random: simulation.NewRandom(1, 1)}}
	failed := 0
	for range 2500 {
		w.Start(0, func(p *simulation.Process) {
			if _, err := w.store.Update(contextOf(p), "i", gate.Update{Operation: "take"}); err != nil {
				failed++
			}
		})
	}
	w.Run()
	if failed != 1500 || w.store.throttled != 1500 {
		t.Errorf("of 2,500 updates at once %d fail, want 1,500", failed)
	}
}

func TestWhatThisPolicyDoesIsTheSameInTheWorldsOfBothCommands(t *testing.T) {
	t.Parallel()
	alone := simulation.KeyWithBursts.Play(1, simulation.ThisPolicy.Open).Measures
	beside := scenarios[0].play(1, ungated(simulation.ThisPolicy)[0]).Measures
	if alone.Calls != beside.Calls || alone.Held != beside.Held || alone.Early != beside.Early {
		t.Errorf("%d calls in %v and %d early, %d in %v and %d with sandboxes and a table that it knows nothing of",
			alone.Calls, alone.Held, alone.Early, beside.Calls, beside.Held, beside.Early)
	}
}

func TestASummaryNamesWhoOfTheOthersMakesTheFewestCalls(t *testing.T) {
	t.Parallel()
	s := scenarios[0]
	s.End = 65 * time.Second
	p := simulation.Played{Scenario: s.Scenario}
	for _, with := range append(slices.Clone(libraries), today, bounded, strategy{name: simulation.Bound}) {
		p.Names = append(p.Names, with.name)
		p.Measures = append(p.Measures, &s.play(1, with).Measures)
	}
	alone := simulation.Played{Names: []string{today.name}, Measures: p.Measures[2:3]} // no others: no row
	got := summary([]simulation.Played{p, alone})
	_, rows, _ := strings.Cut(got, "|---|---|---|---|---|\n")
	want := "| 01 A limit by key, with bursts | failsafe-go: 1.155, 97.5% | 1.133, 100.0% | " + cell(p, 3) + " | 1.000, 100.0% |\n"
	if rows != want {
		t.Errorf("got %swant %s", rows, want)
	}
}
