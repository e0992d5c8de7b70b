package message_test

import (
	"bytes"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/logline"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// lineOf is a log line with a measurement.
func lineOf(t *testing.T, m *message.Measurement) []byte {
	t.Helper()
	var line bytes.Buffer
	slog.New(slog.NewJSONHandler(&line, nil)).LogAttrs(t.Context(), slog.LevelInfo, "line", m.Attributes()...)
	return line.Bytes()
}

func TestMetricsThatTellProxiesApartAreThereWithAndWithoutTheProxy(t *testing.T) {
	t.Parallel()
	m := message.MetricSource{Table: "records", Prefix: "orders"}.At(now)
	m.Milliseconds("AttemptTime", 1234567*time.Microsecond)
	m.CountOf("proxy-2", "Attempts")
	m.CountOf("proxy-2", "Retries")
	m.Number("Addresses", 3)
	got := logline.MetricsIn(t, lineOf(t, m))
	if want := map[string]float64{"AttemptTime": 1234, "Attempts": 1, "Retries": 1, "Addresses": 3}; !maps.Equal(got.Values, want) {
		t.Errorf("the values are %v, want %v", got.Values, want)
	}
	if want := map[string]string{"TableName": "records", "RecordPrefix": "orders", "Proxy": "proxy-2"}; !maps.Equal(got.Of, want) {
		t.Errorf("the dimensions are %v, want %v", got.Of, want)
	}
	for name, want := range map[string][]string{
		"AttemptTime": {"TableName,RecordPrefix"}, "Addresses": {"TableName,RecordPrefix"},
		"Attempts": {"TableName,RecordPrefix", "TableName,RecordPrefix,Proxy"}, "Retries": {"TableName,RecordPrefix", "TableName,RecordPrefix,Proxy"},
	} {
		if !slices.Equal(got.Dimensions[name], want) {
			t.Errorf("%s is by %q, want %q", name, got.Dimensions[name], want)
		}
	}
}

func TestALineWithoutAnythingMeasuredIsNoneOfMetrics(t *testing.T) {
	t.Parallel()
	counted := message.MetricSource{}.At(now)
	counted.Count("Requests")
	for what, m := range map[string]*message.Measurement{
		"nothing is measured": message.MetricSource{Table: "records", Prefix: "orders"}.At(now),
		"metrics are off":     counted,
	} {
		if line := string(lineOf(t, m)); strings.Contains(line, "_aws") || strings.Contains(line, "Requests") || strings.Contains(line, "TableName") {
			t.Errorf("%s, and the line is %s", what, line)
		}
	}
}

func TestMetricsAreOffWhereTheEnvironmentSaysSoOrHasNoTable(t *testing.T) {
	t.Parallel()
	orders := message.MetricSource{Table: "records", Prefix: "orders"}
	for _, c := range []struct {
		metrics, table string
		want           message.MetricSource
	}{
		{"", "records", orders}, {"on", "records", orders}, {"off", "records", message.MetricSource{}}, {"", "", message.MetricSource{}},
	} {
		variables := map[string]string{"METRICS": c.metrics, "TABLE_NAME": c.table, "RECORD_PREFIX": "orders"}
		if got, err := message.MetricSourceFrom(func(name string) string { return variables[name] }); got != c.want || err != nil {
			t.Errorf("METRICS=%s with the table %q is %+v, error %v", c.metrics, c.table, got, err)
		}
	}
	_, err := message.MetricSourceFrom(func(name string) string { return map[string]string{"METRICS": "none"}[name] })
	if err == nil || err.Error() != `METRICS is "none"; it must be on or off` {
		t.Errorf("METRICS=none is %v", err)
	}
}
