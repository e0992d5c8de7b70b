// Package logline reads the log lines of the functions as those do that they are written for: CloudWatch, which takes metrics
// from them, and whoever has read docs/logs.md.
package logline

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// units are those that a metric in the embedded metric format may have, by the reference of MetricDatum.
var units = strings.Fields(`Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes Bits Kilobits Megabits Gigabits
	Terabits Percent Count Bytes/Second Kilobytes/Second Megabytes/Second Gigabytes/Second Terabytes/Second Bits/Second Kilobits/Second
	Megabits/Second Gigabits/Second Terabits/Second Count/Second None`)

// Metrics are what CloudWatch takes from a line.
type Metrics struct {
	// Values are by the name of the metric.
	Values map[string]float64

	// Dimensions are by the name of the metric, too: the sets that it has, each as the names of its dimensions with commas between
	// them.
	Dimensions map[string][]string

	// Of are the values of the dimensions.
	Of map[string]string

	// Time is when. The zero time where the line has no metrics.
	Time time.Time
}

// Names lists the metrics, in order.
func (m Metrics) Names() []string { return slices.Sorted(maps.Keys(m.Values)) }

// MetricsIn reads the metrics of a line as CloudWatch does, by its Embedded Metric Format Specification. It fails if the line
// breaks the specification, of which CloudWatch would say nothing and take nothing from the line. A line without the member
// _aws has none.
func MetricsIn(t testing.TB, line []byte) Metrics {
	t.Helper()
	var root map[string]json.RawMessage
	var meta struct {
		Timestamp         *int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name, Unit string }
		}
	}
	if err := json.Unmarshal(line, &root); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if root["_aws"] == nil {
		return Metrics{}
	}
	decoder := json.NewDecoder(bytes.NewReader(root["_aws"]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&meta); err != nil {
		t.Fatalf("the member _aws of %s: %v", line, err)
	}
	if meta.Timestamp == nil || len(meta.CloudWatchMetrics) == 0 {
		t.Fatalf("the member _aws has no timestamp, or no directive: %s", line)
	}
	m := Metrics{map[string]float64{}, map[string][]string{}, map[string]string{}, time.UnixMilli(*meta.Timestamp).UTC()}
	for _, directive := range meta.CloudWatchMetrics {
		if n := len(directive.Namespace); n < 1 || n > 1024 || strings.HasPrefix(directive.Namespace, "AWS/") {
			t.Errorf("the namespace is %q", directive.Namespace)
		}
		if n := len(directive.Metrics); n < 1 || n > 100 {
			t.Errorf("there are %d metrics, want 1 to 100", n)
		}
		var sets []string
		for _, set := range directive.Dimensions {
			if len(set) > 30 {
				t.Errorf("a set has %d dimensions, want at most 30", len(set))
			}
			for _, name := range set {
				var value string
				if err := json.Unmarshal(root[name], &value); err != nil || value == "" || len(value) > 1024 {
					t.Errorf("the dimension %s is %s, want a text of 1 to 1,024 bytes at the root", name, root[name])
				}
				m.Of[name] = value
			}
			sets = append(sets, strings.Join(set, ","))
		}
		for _, metric := range directive.Metrics {
			var value float64
			if err := json.Unmarshal(root[metric.Name], &value); err != nil || math.IsInf(value, 0) {
				t.Errorf("the metric %s is %s, want a number at the root", metric.Name, root[metric.Name])
			}
			if _, twice := m.Values[metric.Name]; twice || len(metric.Name) > 1024 || !slices.Contains(units, metric.Unit) {
				t.Errorf("the metric %q has the unit %q", metric.Name, metric.Unit)
			}
			m.Values[metric.Name], m.Dimensions[metric.Name] = value, sets
		}
	}
	return m
}
