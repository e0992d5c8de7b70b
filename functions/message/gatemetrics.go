package message

import (
	"log/slog"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
)

// GateText is the text of the log line that carries the metrics of the gate.
const GateText = "gate"

// An embeddedMetric is the member _aws of a log line, see
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html.
type embeddedMetric struct {
	Timestamp         int64
	CloudWatchMetrics [1]metricDirective
}

type metricDirective struct {
	Namespace  string
	Dimensions [1][2]string
	Metrics    []metricDefinition
}

type metricDefinition struct {
	Name string
	Unit string
}

// GateMetrics are the attributes of a log line that tells CloudWatch of a request at the gate. item is what was seen there last.
func GateMetrics(table, prefix string, now time.Time, waited time.Duration, refused bool, item gate.Item) []slog.Attr {
	var metrics []metricDefinition
	var values []slog.Attr
	add := func(name, unit string, value float64) {
		metrics = append(metrics, metricDefinition{name, unit})
		values = append(values, slog.Float64(name, value))
	}
	if waited > 0 {
		add(MetricGateWait, "Milliseconds", float64(waited.Milliseconds()))
	}
	if refused {
		add(MetricGateRefused, "Count", 1)
	}
	if rate := item.PerSecond(); rate > 0 && item.Active(now) {
		add(MetricGateRate, "Count/Second", rate)
	}
	state := map[gate.Circuit]float64{gate.Open: 1, gate.Closing: 0.5}[item.Circuit(now)]
	add(MetricCircuitState, "None", state)
	directive := metricDirective{Namespace: MetricNamespace, Dimensions: [1][2]string{{MetricTableDimension, MetricPrefixDimension}}, Metrics: metrics}
	return append([]slog.Attr{
		slog.Any("_aws", embeddedMetric{now.UnixMilli(), [1]metricDirective{directive}}),
		slog.String(MetricTableDimension, table), slog.String(MetricPrefixDimension, prefix),
	}, values...)
}
