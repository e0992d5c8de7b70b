package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/simulation"
)

// others are the strategies of others, of which a summary names the one that makes the fewest calls.
var others = slices.Concat(libraries, aws[:1], refusing)

// summary returns a table of a row for each world that others are played in: what they, this policy and the gate with its
// bound make of it.
func summary(all []simulation.Played) string {
	var out strings.Builder
	out.WriteString("| world | fewest calls of others | this policy, per-account | the gate, 500 may wait | the bound |\n|---|---|---|---|---|\n")
	for _, p := range all {
		fewest := -1
		for n, name := range p.Names {
			if slices.ContainsFunc(others, func(s strategy) bool { return s.name == name }) &&
				(fewest < 0 || p.Measures[n].CallsPerSuccess() < p.Measures[fewest].CallsPerSuccess()) {
				fewest = n
			}
		}
		if fewest < 0 {
			continue
		}
		fmt.Fprintf(&out, "| %s | %s: %s |", p.Name, p.Names[fewest], cell(p, fewest))
		for _, name := range []string{today.name, bounded.name, simulation.Bound} {
			fmt.Fprintf(&out, " %s |", cell(p, slices.Index(p.Names, name)))
		}
		out.WriteString("\n")
	}
	return out.String()
}

// cell is the calls per success and the success of a strategy, and its peak if there was an outage.
func cell(p simulation.Played, n int) string {
	text := fmt.Sprintf("%s, %.1f%%", simulation.Ratio(p.Measures[n].CallsPerSuccess(), 3), 100*p.Measures[n].ShareSuccessful())
	if peak := p.Peak(n); peak != "-" {
		text += ", " + peak
	}
	return text
}
