package simulation

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Sizes of a chart, in pixels.
const (
	labelWidth = 250
	panelWidth = 190
	barHeight  = 12
	rowHeight  = 18
	top        = 40
)

// A panel is one measure of every strategy.
type panel struct {
	title string
	text  string // how a value is written
	value func(Played, int) float64
}

var panels = []panel{
	{"calls per success", "%.2f", func(p Played, n int) float64 { return p.Measures[n].CallsPerSuccess() }},
	{"success in 60 s", "%.1f%%", func(p Played, n int) float64 { return 100 * p.Measures[n].ShareSuccessful() }},
	{"busiest second, x the rate", "%.1fx", func(p Played, n int) float64 {
		if p.Names[n] == Bound {
			return 0
		}
		return p.Busiest(p.Measures[n], p.Upstream.Outage.End) // from the beginning if there is none
	}},
}

// Chart draws what came of the strategies of a scenario, as an SVG: a bar for each, in three panels. Those whose name begins
// with ours stand out.
func (p Played) Chart(ours string) string {
	var out strings.Builder
	width, height := labelWidth+len(panels)*panelWidth+10, top+rowHeight*len(p.Names)+8
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n", width, height, width, height)
	fmt.Fprintf(&out, `<rect width="%d" height="%d" fill="#fff"/><text x="8" y="16" font-size="13" font-weight="bold" fill="#222">%s</text>`+"\n", width, height, html.EscapeString(p.Name))
	for n, name := range p.Names {
		fmt.Fprintf(&out, `<text x="%d" y="%d" text-anchor="end" fill="#222">%s</text>`+"\n", labelWidth-8, top+rowHeight*n+barHeight-1, html.EscapeString(name))
	}
	for k, panel := range panels {
		left, longest := labelWidth+k*panelWidth, 0.0
		values := make([]float64, len(p.Names))
		for n := range p.Names {
			if v := panel.value(p, n); !math.IsNaN(v) && !math.IsInf(v, 0) {
				values[n], longest = v, max(longest, v)
			}
		}
		fmt.Fprintf(&out, `<text x="%d" y="%d" fill="#666">%s</text>`+"\n", left, top-8, panel.title)
		for n, v := range values {
			if v == 0 {
				continue
			}
			colour := "#9aa5b1"
			if strings.HasPrefix(p.Names[n], ours) {
				colour = "#1f77b4"
			} else if p.Names[n] == Bound {
				colour = "#2ca02c"
			}
			y, length := top+rowHeight*n, v/longest*(panelWidth-60)
			fmt.Fprintf(&out, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d" fill="#222">%s</text>`+"\n",
				left, y, length, barHeight, colour, float64(left)+length+4, y+barHeight-2, fmt.Sprintf(panel.text, v))
		}
	}
	out.WriteString("</svg>\n")
	return out.String()
}
