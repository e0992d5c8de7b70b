package simulation

import (
	"fmt"
	"math"
	"strings"
	"sync"
)

// Bound is the name of what knows everything. It has no peak worth telling: it knows that an outage is over.
const Bound = "the bound"

// A Played is a scenario with what came of each of several strategies.
type Played struct {
	Scenario
	File     string // of its chart
	Names    []string
	Measures []*Measures
}

// AtOnce has n things done, two at a time, and waits for them.
func AtOnce(n int, do func(int)) {
	var all sync.WaitGroup
	slots := make(chan bool, 2)
	for i := range n {
		slots <- true
		all.Go(func() {
			defer func() { <-slots }()
			do(i)
		})
	}
	all.Wait()
}

// Section returns the section of a page on what was played: its chart, which is in a folder unless that is empty, and a table
// with a header, its line of dashes, and a row of each strategy.
func (p Played) Section(charts, header string, row func(n int) string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "### %s\n\n%s\n\n", p.Name, p.About)
	if charts != "" {
		fmt.Fprintf(&out, "![Calls per success, success and busiest second of each strategy: %s](%s/%s)\n\n", p.Name, charts, p.File)
	}
	out.WriteString(header)
	for n := range p.Names {
		out.WriteString(row(n))
	}
	return out.String()
}

// Peak formats the most calls in any second after the outage of the scenario, as a multiple of the rate of requests.
func (p Played) Peak(n int) string {
	if p.Upstream.Outage == (Interval{}) || p.Names[n] == Bound {
		return "-"
	}
	return fmt.Sprintf("%.1fx", p.Busiest(p.Measures[n], p.Upstream.Outage.End))
}

// Ratio formats a ratio with so many digits after the point, or a dash if it is none.
func Ratio(r float64, digits int) string {
	if math.IsNaN(r) || math.IsInf(r, 0) {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, r)
}
