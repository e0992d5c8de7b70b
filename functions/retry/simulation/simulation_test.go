package main

import (
	"os"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/simulation"
)

// played are the scenarios of the tests. The race detector takes too long for the larger ones.
func played(t *testing.T) []scenario {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: the scenarios take seconds")
	}
	if simulation.UnderRace {
		return scenarios[:4]
	}
	return scenarios
}

func TestThePolicyCallsBeforeAFloorOnlyInOneQuickTryOfARequest(t *testing.T) {
	t.Parallel()
	tried := 0
	for _, scenario := range played(t) {
		if scenario.Upstream.Limit == nil && !scenario.Upstream.Announced {
			continue // an upstream that names no moment
		}
		m := scenario.play(defaultSeed, simulation.ThisPolicy)
		most := 1
		if scenario.Credential || scenario.Upstream.ByAddress || scenario.Upstream.Announced {
			most = 0
		}
		if m.MostEarly > most {
			t.Errorf("%s: a request makes %d calls too early, want %d", scenario.Name, m.MostEarly, most)
		}
		tried += m.Early
		if scenario.play(defaultSeed, simulation.PerAccount).Early > 0 {
			t.Errorf("%s: %s makes calls too early", scenario.Name, simulation.PerAccount.Name)
		}
	}
	if tried == 0 {
		t.Error("nobody makes a quick try")
	}
}

func TestWhatQuickTriesFindOutMakesALimitByKeyCheaperAndOneByAddressNoneTheWorse(t *testing.T) {
	t.Parallel()
	for _, scenario := range scenarios[:2] {
		with, before := scenario.play(defaultSeed, simulation.ThisPolicy), scenario.play(defaultSeed, withoutFindings)
		if 2*with.Early > before.Early || with.CallsPerSuccess() > before.CallsPerSuccess() {
			t.Errorf("%s: %d calls too early and %.2f calls per success, %d and %.2f without findings",
				scenario.Name, with.Early, with.CallsPerSuccess(), before.Early, before.CallsPerSuccess())
		}
	}
	for _, scenario := range scenarios {
		if !scenario.Upstream.ByAddress {
			continue
		}
		if m := scenario.play(defaultSeed, simulation.ThisPolicy); m.ShareSuccessful() < 1 {
			t.Errorf("%s: %.2f%% successful", scenario.Name, 100*m.ShareSuccessful())
		}
	}
}

func TestAKnownLimitByKeyCostsOneCallInTen(t *testing.T) {
	t.Parallel()
	for _, scenario := range scenarios[:2] {
		m := scenario.play(defaultSeed, simulation.From4s)
		if m.CallsPerSuccess() > 1.1 || m.CallsPerSuccessAfterLimit() > 1.1 || m.ShareSuccessful() < 0.999 {
			t.Errorf("%s: %.2f calls per success, %.2f after a 429, %.1f%% successful",
				scenario.Name, m.CallsPerSuccess(), m.CallsPerSuccessAfterLimit(), 100*m.ShareSuccessful())
		}
	}
}

func TestTheTablesInTheDocumentationAreThoseOfTheCommand(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/retry.md")
	if err != nil {
		t.Fatal(err)
	}
	for number, scenario := range played(t) {
		_, section, found := strings.Cut(string(text), "### "+scenario.Name+"\n\n"+scenario.About+"\n\n")
		if !found {
			t.Errorf("there is no section on %q", scenario.Name)
			continue
		}
		p := scenario.playAll(defaultSeed, number, simulation.ThisPolicy)
		if before, _, _ := strings.Cut(section, "### "); !strings.Contains(before, row(p, 0)) {
			t.Errorf("%s: the row of the documentation is not\n%sRun the command with -write.", scenario.Name, row(p, 0))
		}
		if _, err := os.Stat("../../../docs/retry/" + p.File); err != nil {
			t.Errorf("there is no chart of %q: %v", scenario.Name, err)
		}
	}
}
