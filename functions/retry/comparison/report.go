package comparison

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// The markers between which the table stands.
const (
	beginMarker = "<!-- comparison: begin -->\n"
	endMarker   = "<!-- comparison: end -->\n"
)

// report returns the scenarios, and the table of what was measured: of each scenario, and in it of each client.
func report(measured [][]measures) string {
	var out strings.Builder
	for _, s := range scenarios {
		fmt.Fprintf(&out, "- *%s*: %s.\n", s.name, s.about)
	}
	out.WriteString("\n| upstream | client | calls | calls per success | too early | p50 | p99 | success | longest |\n")
	out.WriteString("|---|---|---|---|---|---|---|---|---|\n")
	for i, s := range scenarios {
		for j, c := range s.clients() {
			out.WriteString(row(s.name, c.name, measured[i][j]))
		}
	}
	return out.String()
}

func row(scenario, client string, m measures) string {
	perSuccess, p50, p99 := "-", "-", "-"
	if len(m.times) > 0 {
		perSuccess = fmt.Sprintf("%.2f", m.callsPerSuccess())
		p50, p99 = seconds(m.percentile(0.5)), seconds(m.percentile(0.99))
	}
	return fmt.Sprintf("| %s | %s | %d | %s | %d | %s | %s | %d%% | %s |\n",
		scenario, client, m.calls, perSuccess, m.early, p50, p99, 100*len(m.times)/m.programs, seconds(m.longest))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// replace puts the report between the markers in a text.
func replace(text []byte, report string) ([]byte, error) {
	before, rest, found := bytes.Cut(text, []byte(beginMarker))
	_, after, closed := bytes.Cut(rest, []byte(endMarker))
	if !found || !closed {
		return nil, fmt.Errorf("no lines %q and %q to put the table between", beginMarker, endMarker)
	}
	return bytes.Join([][]byte{before, []byte(beginMarker), []byte(report), []byte(endMarker), after}, nil), nil
}
