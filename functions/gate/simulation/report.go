package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
)

// header is that of the table of a scenario.
const header = "| strategy | calls per success | after a 429 | p50 | p99 | success in 60 s | refused uncalled | peak after the outage | too early | longest / median wait | looks | updates | DynamoDB, $ per million | all, $ per million |\n" +
	"|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"

// A played is a scenario with what came of each of its strategies, and of whoever knows everything.
type played struct {
	scenario
	names  []string
	worlds []*world
}

// play plays the scenarios whose name begins so, with the strategies whose name holds that, two at a time.
func playAll(seed uint64, filter, only string) []played {
	var all []played
	var running sync.WaitGroup
	slots := make(chan bool, 2)
	for _, s := range scenarios {
		if !strings.HasPrefix(s.name, filter) {
			continue
		}
		strategies := slices.DeleteFunc(slices.Clone(s.strategies), func(t strategy) bool { return !strings.Contains(t.name+"$", only) })
		p := played{scenario: s, worlds: make([]*world, len(strategies)+1)}
		for n := range p.worlds {
			with := (*strategy)(nil)
			if n < len(strategies) {
				with = &strategies[n]
				p.names = append(p.names, with.name)
			} else {
				p.names = append(p.names, bound)
			}
			running.Go(func() {
				slots <- true
				defer func() { <-slots }()
				w := s.play(seed, with)
				w.gateways, w.events = pool{}, nil // what is measured is kept, and nothing else
				p.worlds[n] = w
			})
		}
		all = append(all, p)
	}
	running.Wait()
	return all
}

// report returns the tables of what was played. charts is where they are, as the page sees it; empty for none.
func report(all []played, charts string) string {
	var out strings.Builder
	for n, p := range all {
		if n > 0 {
			out.WriteString("\n")
		}
		fmt.Fprintf(&out, "### %s\n\n%s\n\n", p.name, p.about)
		if charts != "" {
			fmt.Fprintf(&out, "![Calls per success, success and peak of each strategy in world %s](%s/%s)\n\n", p.number(), charts, p.file())
		}
		out.WriteString(header)
		for n, name := range p.names {
			out.WriteString(p.row(name, p.worlds[n]))
		}
	}
	return out.String()
}

func (s scenario) number() string { return s.name[:2] }
func (s scenario) file() string   { return s.number() + ".svg" }

// bound is the name of what knows everything. It has no peak worth telling: it knows that an outage is over.
const bound = "the bound"

// row formats what was measured.
func (s scenario) row(name string, w *world) string {
	m := &w.measures
	peak := "-"
	if s.upstream.outage != (interval{}) && name != bound {
		peak = fmt.Sprintf("%.1fx", s.peak(m, interval{s.upstream.outage.end, s.end}))
	}
	n := float64(m.requests)
	fair := "-"
	if f := m.unfairness(); f > 0 {
		fair = fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("| %s | %s | %s | %.2f s | %.1f s | %.1f%% | %.1f%% | %s | %d | %s | %.2f | %.2f | %.2f | %.1f |\n",
		name, ratio(m.callsPerSuccess()), ratio(m.callsPerSuccessAfterLimit()),
		m.percentile(0.5).Seconds(), m.percentile(0.99).Seconds(), 100*m.shareSuccessful(), 100*float64(m.refused)/n, peak, m.early, fair,
		float64(w.store.reads)/n, float64(w.store.writes)/n, w.store.dollars()/n*1e6, (m.dollars()+w.store.dollars())/n*1e6)
}

func ratio(r float64) string {
	if math.IsNaN(r) || math.IsInf(r, 0) {
		return "-"
	}
	return fmt.Sprintf("%.3f", r)
}

// peak is the most calls in any second of an interval, as a multiple of the rate of requests.
func (s scenario) peak(m *measures, in interval) float64 { return float64(m.peak(in)) / s.rate }
