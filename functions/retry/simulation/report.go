package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/simulation"
)

// header is that of the table of a scenario.
const header = "| strategy | calls per success | after a 429 | answers 429 | p50 | p99 | success in 60 s | peak after the outage | too early |\n" +
	"|---|---|---|---|---|---|---|---|---|\n"

// playAll plays all scenarios with all strategies, and with who knows everything.
func playAll(seed uint64) []simulation.Played {
	all := make([]simulation.Played, len(scenarios))
	simulation.AtOnce(len(all), func(n int) {
		with := append(slices.Concat(strategies, scenarios[n].variants), simulation.Strategy{Name: simulation.Bound})
		all[n] = scenarios[n].playAll(seed, n, with...)
	})
	return all
}

func (s scenario) playAll(seed uint64, number int, strategies ...simulation.Strategy) simulation.Played {
	p := simulation.Played{Scenario: s.Scenario, File: fmt.Sprintf("%02d.svg", number+1)}
	for _, with := range strategies {
		p.Names = append(p.Names, with.Name)
		p.Measures = append(p.Measures, s.play(seed, with))
	}
	return p
}

func (s scenario) play(seed uint64, with simulation.Strategy) *simulation.Measures {
	return &s.Play(seed, with.Open).Measures
}

// report returns the tables of what was played. charts is where they are, as the page sees it; empty for none.
func report(all []simulation.Played, charts string) string {
	var sections []string
	for _, p := range all {
		sections = append(sections, p.Section(charts, header, func(n int) string { return row(p, n) }))
	}
	return strings.Join(sections, "\n")
}

// row formats what was measured of a strategy.
func row(p simulation.Played, n int) string {
	m := p.Measures[n]
	return fmt.Sprintf("| %s | %s | %s | %.1f%% | %s | %s | %.1f%% | %s | %d |\n",
		p.Names[n], simulation.Ratio(m.CallsPerSuccess(), 2), simulation.Ratio(m.CallsPerSuccessAfterLimit(), 2), 100*m.ShareLimited(),
		seconds(m.Percentile(0.5)), seconds(m.Percentile(0.99)), 100*m.ShareSuccessful(), p.Peak(n), m.Early)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
