package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/simulation"
)

// others are the strategies of others, of which a summary names the one that makes the fewest calls.
var others = slices.Concat(libraries, aws[:1], refusing)

// summary returns a table of a row for each world with a limit or a failure: what this policy, the gate with its bound and
// others make of it.
func summary(all []simulation.Played) string {
	var out strings.Builder
	out.WriteString("| world | fewest calls of others | this policy, told the scope | the gate, with a bound on who waits | the bound |\n|---|---|---|---|---|\n")
	for _, p := range all {
		name := func(is func(string) bool) int { return slices.IndexFunc(p.Names, is) }
		policy := name(func(s string) bool { return s == simulation.PerAccount.Name || s == simulation.PerAddress.Name })
		gated := name(func(s string) bool { return strings.HasPrefix(s, theGate.name) && strings.HasSuffix(s, "may wait") })
		if policy < 0 || gated < 0 {
			continue
		}
		fewest := -1
		for n, s := range p.Names {
			if slices.ContainsFunc(others, func(o strategy) bool { return o.name == s }) &&
				(fewest < 0 || p.Measures[n].CallsPerSuccess() < p.Measures[fewest].CallsPerSuccess()) {
				fewest = n
			}
		}
		other := "-"
		if fewest >= 0 {
			other = p.Names[fewest] + ": " + cell(p, fewest)
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n", p.Name, other, cell(p, policy), cell(p, gated), cell(p, len(p.Names)-1))
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
