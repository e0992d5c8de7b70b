// Package embeddedmetrics reads metrics out of lines that functions log, as CloudWatch does: by its Embedded Metric Format,
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
package embeddedmetrics

import (
	"encoding/json"
	"strings"
	"time"
)

// A Metric is what a line says of one metric.
type Metric struct {
	Namespace, Name, Unit string

	// Dimensions are the names and values that tell it from other metrics of the name.
	Dimensions map[string]string

	// Values are those that were measured, one or more, in the order in which they stand there.
	Values []float64

	// Time is when.
	Time time.Time
}

// metadata is the member by which a line is one of metrics.
type metadata struct {
	Timestamp         *int64 // milliseconds since 1970
	CloudWatchMetrics []struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []struct{ Name, Unit string }
	}
}

// Read reads a line. ok is false if it is not in the format, or nothing in it can be read as a metric: to CloudWatch, too, it
// is a line like any other then. Of several sets of dimensions each is a metric of its own. What a line names and does not
// have is left out.
func Read(line string) (metrics []Metric, ok bool) {
	if !strings.HasPrefix(line, "{") || !strings.Contains(line, `"_aws"`) {
		return nil, false // without reading all of what functions log as JSON
	}
	var members map[string]json.RawMessage
	var about metadata
	if json.Unmarshal([]byte(line), &members) != nil || json.Unmarshal(members["_aws"], &about) != nil || about.Timestamp == nil {
		return nil, false
	}
	for _, directive := range about.CloudWatchMetrics {
		for _, definition := range directive.Metrics {
			values := valuesOf(members[definition.Name])
			if directive.Namespace == "" || len(values) == 0 {
				continue
			}
			for _, names := range directive.Dimensions {
				dimensions, complete := dimensionsOf(names, members)
				if !complete {
					continue
				}
				metrics = append(metrics, Metric{
					Namespace: directive.Namespace, Name: definition.Name, Unit: definition.Unit,
					Dimensions: dimensions, Values: values, Time: time.UnixMilli(*about.Timestamp).UTC(),
				})
			}
		}
	}
	return metrics, len(metrics) > 0
}

// valuesOf reads a number, or a list of numbers. It is nil for anything else.
func valuesOf(text json.RawMessage) []float64 {
	var one *float64
	if json.Unmarshal(text, &one) == nil && one != nil {
		return []float64{*one}
	}
	var several []float64
	if json.Unmarshal(text, &several) == nil {
		return several
	}
	return nil
}

// dimensionsOf finds the values of a set of dimensions, which are strings.
func dimensionsOf(names []string, members map[string]json.RawMessage) (dimensions map[string]string, complete bool) {
	dimensions = map[string]string{}
	for _, name := range names {
		var value *string
		if json.Unmarshal(members[name], &value) != nil || value == nil {
			return nil, false
		}
		dimensions[name] = *value
	}
	return dimensions, true
}
