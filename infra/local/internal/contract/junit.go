package contract

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// The elements of a JUnit report, as CI systems read it: https://github.com/testmoapp/junitxml.
type (
	junitSuites struct {
		XMLName xml.Name `xml:"testsuites"`
		Name    string   `xml:"name,attr"`
		junitCounts
		Suites []*junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name string `xml:"name,attr"`
		junitCounts
		Cases []junitCase `xml:"testcase"`
	}
	junitCounts struct {
		Tests    int    `xml:"tests,attr"`
		Failures int    `xml:"failures,attr"`
		Skipped  int    `xml:"skipped,attr"`
		Time     string `xml:"time,attr"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitMessage `xml:"failure"`
		Skipped *junitMessage `xml:"skipped"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes the report as JUnit XML: a suite for each theme, and as a failure's message the first thing that is wrong.
func (r Report) WriteJUnit(w io.Writer) error {
	all := junitSuites{Name: "contract", junitCounts: junitCounts{
		Tests: len(r.Results), Failures: r.Failed(), Skipped: r.LeftOut(), Time: junitTime(r.Took),
	}}
	var took time.Duration // of the theme
	for i, one := range r.Results {
		if i == 0 || one.Theme() != r.Results[i-1].Theme() {
			all.Suites = append(all.Suites, &junitSuite{Name: one.Theme()})
			took = 0
		}
		suite := all.Suites[len(all.Suites)-1]
		written := junitCase{Name: one.Name, Class: "contract." + one.Theme(), Time: junitTime(one.Took)}
		suite.Tests++
		took += one.Took
		suite.Time = junitTime(took)
		switch {
		case one.LeftOut != "":
			suite.Skipped++
			written.Skipped = &junitMessage{Message: one.LeftOut}
		case len(one.Wrong) > 0:
			suite.Failures++
			message, _, _ := strings.Cut(one.Wrong[0], "\n")
			written.Failure = &junitMessage{Message: message, Text: strings.Join(slices.Concat(one.Wrong, []string{"source: " + one.Source}), "\n")}
		}
		suite.Cases = append(suite.Cases, written)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func junitTime(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
