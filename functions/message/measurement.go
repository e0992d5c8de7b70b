package message

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
)

// The texts of the log lines that carry metrics, as their member msg.
const (
	RequestText   = "request"   // of the gateway, one for each request
	AttemptText   = "attempt"   // of the proxies, one for each attempt
	ExecutionText = "execution" // of the proxies, when an asynchronous request has ended
	GateText      = "gate"      // of both, of a request at the gate in a time of trouble
)

// The units of metrics, as CloudWatch has them.
const (
	unitCount        = "Count"
	unitMilliseconds = "Milliseconds"
	unitPerSecond    = "Count/Second"
	unitNone         = "None"
)

// A MetricSource is whose metrics a function writes: the values of the two dimensions that all of them have. The zero value
// writes none.
type MetricSource struct {
	Table, Prefix string
}

// MetricSourceFrom reads a source from the environment. It is the zero value where METRICS is off, and where there is no table.
func MetricSourceFrom(getenv func(string) string) (MetricSource, error) {
	switch text := getenv(MetricsVariable); text {
	case "", "on":
	case "off":
		return MetricSource{}, nil
	default:
		return MetricSource{}, fmt.Errorf("%s is %q; it must be on or off", MetricsVariable, text)
	}
	if getenv(TableVariable) == "" {
		return MetricSource{}, nil
	}
	return MetricSource{getenv(TableVariable), getenv(RecordPrefixVariable)}, nil
}

// A Measurement is what one log line says to CloudWatch, in its embedded metric format:
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
//
// Each method adds a metric, under a name that the line has no other member of.
type Measurement struct {
	source         MetricSource
	now            time.Time
	proxy          string
	plain, byProxy []metricDefinition
	values         []slog.Attr
}

// An embeddedMetric is the member _aws of a log line.
type embeddedMetric struct {
	Timestamp         int64
	CloudWatchMetrics []metricDirective
}

type metricDirective struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []metricDefinition
}

type metricDefinition struct {
	Name string
	Unit string
}

// The sets of dimensions that metrics have: all the first one, and those that tell the proxies apart both.
var (
	ofAll   = []string{MetricTableDimension, MetricPrefixDimension}
	ofProxy = []string{MetricTableDimension, MetricPrefixDimension, MetricProxyDimension}
)

// At begins what is measured at a moment.
func (s MetricSource) At(now time.Time) *Measurement { return &Measurement{source: s, now: now} }

// Count counts one.
func (m *Measurement) Count(name string) {
	m.plain = append(m.plain, metricDefinition{name, unitCount})
	m.values = append(m.values, slog.Int(name, 1))
}

// CountOf counts one of a proxy's, and of all. The proxy is the same for all that is counted so.
func (m *Measurement) CountOf(proxy, name string) {
	m.proxy = proxy
	m.byProxy = append(m.byProxy, metricDefinition{name, unitCount})
	m.values = append(m.values, slog.Int(name, 1))
}

// Number gives a number of things.
func (m *Measurement) Number(name string, n int) {
	m.plain = append(m.plain, metricDefinition{name, unitCount})
	m.values = append(m.values, slog.Int(name, n))
}

// Milliseconds gives a duration.
func (m *Measurement) Milliseconds(name string, d time.Duration) {
	m.plain = append(m.plain, metricDefinition{name, unitMilliseconds})
	m.values = append(m.values, slog.Int64(name, d.Milliseconds()))
}

// value gives a number with a unit.
func (m *Measurement) value(name, unit string, value float64) {
	m.plain = append(m.plain, metricDefinition{name, unit})
	m.values = append(m.values, slog.Float64(name, value))
}

// Gate tells of a request at the gate, which was held back for so long, and perhaps refused. item is what was seen there last.
func (m *Measurement) Gate(waited time.Duration, refused bool, item gate.Item) {
	if waited > 0 {
		m.Milliseconds(MetricGateWait, waited)
	}
	if refused {
		m.Count(MetricGateRefused)
	}
	if rate := item.PerSecond(); rate > 0 && item.Active(m.now) {
		m.value(MetricGateRate, unitPerSecond, rate)
	}
	state := map[gate.Circuit]float64{gate.Open: 1, gate.Closing: 0.5}[item.Circuit(m.now)]
	m.value(MetricCircuitState, unitNone, state)
}

// Attributes are those of the log line, for its end: there are none if nothing was measured, or the source is the zero value.
func (m *Measurement) Attributes() []slog.Attr {
	if m.source == (MetricSource{}) || len(m.values) == 0 {
		return nil
	}
	about := embeddedMetric{Timestamp: m.now.UnixMilli()}
	if len(m.plain) > 0 {
		about.CloudWatchMetrics = append(about.CloudWatchMetrics, metricDirective{MetricNamespace, [][]string{ofAll}, m.plain})
	}
	if len(m.byProxy) > 0 {
		about.CloudWatchMetrics = append(about.CloudWatchMetrics, metricDirective{MetricNamespace, [][]string{ofAll, ofProxy}, m.byProxy})
	}
	attributes := append(m.values, slog.String(MetricTableDimension, m.source.Table), slog.String(MetricPrefixDimension, m.source.Prefix))
	if m.proxy != "" {
		attributes = append(attributes, slog.String(MetricProxyDimension, m.proxy))
	}
	return append(attributes, slog.Any("_aws", about))
}
