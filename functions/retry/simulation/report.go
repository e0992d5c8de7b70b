package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// report plays all scenarios and returns the tables.
func report(seed uint64) string {
	var out strings.Builder
	for i, s := range scenarios {
		if i > 0 {
			out.WriteString("\n")
		}
		fmt.Fprintf(&out, "### %s\n\n%s\n\n", s.name, s.about)
		out.WriteString("| strategy | calls per success | after a 429 | answers 429 | p50 | p99 | success in 60 s | peak after the outage | too early |\n")
		out.WriteString("|---|---|---|---|---|---|---|---|---|\n")
		for _, strategy := range slices.Concat(strategies, s.variants) {
			out.WriteString(s.row(strategy.name, s.play(seed, &strategy)))
		}
		out.WriteString(s.row(bound, s.play(seed, nil)))
	}
	return out.String()
}

// bound is the name of what knows everything. It has no peak worth telling: it knows that an outage is over.
const bound = "the bound"

// row formats what was measured.
func (s scenario) row(name string, m *measures) string {
	peak := "-"
	if s.upstream.outage != (interval{}) && name != bound {
		after := interval{s.upstream.outage.end, s.end}
		peak = fmt.Sprintf("%.1fx", float64(m.peak(after))/s.rate)
	}
	return fmt.Sprintf("| %s | %s | %s | %.1f%% | %s | %s | %.1f%% | %s | %d |\n",
		name, ratio(m.callsPerSuccess()), ratio(m.callsPerSuccessAfterLimit()), 100*m.shareLimited(),
		seconds(m.percentile(0.5)), seconds(m.percentile(0.99)), 100*m.shareSuccessful(), peak, m.early)
}

func ratio(r float64) string {
	if math.IsNaN(r) || math.IsInf(r, 0) {
		return "-"
	}
	return fmt.Sprintf("%.2f", r)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
