package logline

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// A Page is docs/logs.md.
type Page struct {
	sections map[string][][]string
}

// ReadPage reads the tables of the page, which lies at a path.
func ReadPage(t testing.TB, path string) Page {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := Page{map[string][][]string{}}
	heading := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#"):
			heading = strings.TrimSpace(strings.TrimLeft(line, "#"))
		case strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "|---"):
			var cells []string
			for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
				cells = append(cells, strings.Trim(strings.TrimSpace(cell), "`"))
			}
			p.sections[heading] = append(p.sections[heading], cells)
		}
	}
	return p
}

// Rows are the rows of the table below a heading, without its head.
func (p Page) Rows(t testing.TB, heading string) [][]string {
	t.Helper()
	if len(p.sections[heading]) < 2 {
		t.Fatalf("the page has no table below the heading %s", heading)
	}
	return p.sections[heading][1:]
}

// Fields are those that the page promises of a line, those of every line among them: the type by the name, which is text, number
// or boolean.
func (p Page) Fields(t testing.TB, line string) map[string]string {
	t.Helper()
	fields := map[string]string{}
	for _, heading := range []string{"In every line", line} {
		for _, row := range p.Rows(t, heading) {
			fields[row[0]] = row[1]
		}
	}
	return fields
}

// Required are the fields that the page says are always there.
func (p Page) Required(t testing.TB, line string) (names []string) {
	t.Helper()
	for _, heading := range []string{"In every line", line} {
		for _, row := range p.Rows(t, heading) {
			if row[2] == "always" {
				names = append(names, row[0])
			}
		}
	}
	return names
}

// Metrics are those that the page says a line can have, and whether they tell the proxies apart.
func (p Page) Metrics(t testing.TB, line string) map[string]bool {
	t.Helper()
	metrics := map[string]bool{}
	for _, row := range p.Rows(t, "Metrics") {
		for of := range strings.SplitSeq(row[1], ", ") {
			if of == line {
				metrics[row[0]] = row[4] == "yes"
			}
		}
	}
	return metrics
}

// typeOf is what the page calls the type of a JSON value.
func typeOf(value json.RawMessage) string {
	switch {
	case len(value) == 0:
		return "nothing"
	case value[0] == '"':
		return "text"
	case value[0] == 't' || value[0] == 'f':
		return "boolean"
	case value[0] == '{' || value[0] == '[' || value[0] == 'n':
		return "something else"
	}
	return "number"
}

// Compare compares lines of a log, one JSON object each, with the page. What a line has must be on the page, and what the page says
// is always there must be in the line. It returns, by the texts of lines, which fields and metrics were there in any of them. Lines
// with other texts than those that the page promises the fields of are left out.
func (p Page) Compare(t testing.TB, log string) (seen map[string]map[string]bool) {
	t.Helper()
	seen = map[string]map[string]bool{}
	for line := range strings.Lines(log) {
		var root map[string]json.RawMessage
		var about struct{ Msg string }
		if json.Unmarshal([]byte(line), &root) != nil || json.Unmarshal([]byte(line), &about) != nil {
			t.Fatalf("a line is no JSON object: %s", line)
		}
		if len(p.sections[about.Msg]) == 0 {
			continue
		}
		if seen[about.Msg] == nil {
			seen[about.Msg] = map[string]bool{}
		}
		measured := MetricsIn(t, []byte(line))
		fields, metrics := p.Fields(t, about.Msg), p.Metrics(t, about.Msg)
		for name, value := range root {
			_, isMetric := measured.Values[name]
			_, isDimension := measured.Of[name]
			switch {
			case name == "_aws" || isDimension:
			case isMetric:
				byProxy, known := metrics[name]
				if !known || byProxy != (len(measured.Dimensions[name]) == 2) {
					t.Errorf("the page does not have the metric %s with the dimensions %q, in the line %s", name, measured.Dimensions[name], line)
				}
				seen[about.Msg][name] = true
			case fields[name] != typeOf(value):
				t.Errorf("the page says that %s is %q, and it is %s in the line %s", name, fields[name], value, line)
			default:
				seen[about.Msg][name] = true
			}
		}
		for _, name := range p.Required(t, about.Msg) {
			if root[name] == nil {
				t.Errorf("%s is missing in the line %s", name, line)
			}
		}
	}
	return seen
}
