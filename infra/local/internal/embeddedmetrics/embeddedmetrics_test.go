package embeddedmetrics_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/embeddedmetrics"
)

// at is 1772368200000 milliseconds.
var at = time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)

func TestLinesThatAreNoMetricsStayLines(t *testing.T) {
	for _, line := range []string{
		"", "START", `{"level":"INFO","msg":"done"}`, `"_aws"`, `{"_aws"`,
		`{"_aws":null,"GateWait":1}`, `{"_aws":7,"GateWait":1}`, `{"_aws":{"Timestamp":1772368200000},"GateWait":1}`,
		`{"_aws":{"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[[]],"Metrics":[{"Name":"GateWait"}]}]},"GateWait":1}`,                              // no time
		`{"_aws":{"Timestamp":1772368200000,"CloudWatchMetrics":[{"Dimensions":[[]],"Metrics":[{"Name":"GateWait"}]}]},"GateWait":1}`,                    // no namespace
		`{"_aws":{"Timestamp":1772368200000,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[[]],"Metrics":[{"Name":"GateWait"}]}]},"gateWait":1}`,    // no value
		`{"_aws":{"Timestamp":1772368200000,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[[]],"Metrics":[{"Name":"GateWait"}]}]},"GateWait":null}`, // nor here
		`{"_aws":{"Timestamp":1772368200000,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[[]],"Metrics":[{"Name":"GateWait"}]}]},"GateWait":"1"}`,  // a text
		`{"_aws":{"Timestamp":1772368200000,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["A"]],"Metrics":[{"Name":"GateWait"}]}]},"GateWait":1}`, // no dimension
	} {
		if metrics, ok := embeddedmetrics.Read(line); ok || metrics != nil {
			t.Errorf("%s is read as %+v", line, metrics)
		}
	}
}

func TestWhatALineHasIsRead(t *testing.T) {
	line := `{"_aws":{"Timestamp":1772368200000,"CloudWatchMetrics":[
	  {"Namespace":"RetryingApiProxy","Dimensions":[["RecordPrefix"],["RecordPrefix","Function"],["Missing"]],
	   "Metrics":[{"Name":"GateWait","Unit":"Milliseconds"},{"Name":"GateRefused","Unit":"Count"},{"Name":"GateRate"}]}]},
	  "RecordPrefix":"Orders","Function":"gateway","GateWait":[1200,0.5],"GateRate":0,"request":"not a metric"}`
	one, two := map[string]string{"RecordPrefix": "Orders"}, map[string]string{"RecordPrefix": "Orders", "Function": "gateway"}
	want := []embeddedmetrics.Metric{
		{Namespace: "RetryingApiProxy", Name: "GateWait", Unit: "Milliseconds", Dimensions: one, Values: []float64{1200, 0.5}, Time: at},
		{Namespace: "RetryingApiProxy", Name: "GateWait", Unit: "Milliseconds", Dimensions: two, Values: []float64{1200, 0.5}, Time: at},
		{Namespace: "RetryingApiProxy", Name: "GateRate", Dimensions: one, Values: []float64{0}, Time: at},
		{Namespace: "RetryingApiProxy", Name: "GateRate", Dimensions: two, Values: []float64{0}, Time: at},
	}
	got, ok := embeddedmetrics.Read(line)
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("the metrics are not what the line has (-want +got):\n%s", diff)
	}
}
