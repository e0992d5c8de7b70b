package cloudwatch_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudwatch"
)

// noon is 1772366400 seconds after 1970.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// orders and payments tell two metrics of a name apart.
var (
	orders   = map[string]string{"TableName": "T", "RecordPrefix": "Orders"}
	payments = map[string]string{"TableName": "T", "RecordPrefix": "Payments"}
)

// measured is a store with some metrics in it.
func measured() *cloudwatch.Store {
	s := cloudwatch.New()
	for _, m := range []cloudwatch.Metric{
		{Name: "RequestTime", Unit: "Milliseconds", Dimensions: orders, Values: []float64{10, 30}, Time: noon.Add(5 * time.Second)},
		{Name: "RequestTime", Unit: "Milliseconds", Dimensions: orders, Values: []float64{20}, Time: noon.Add(59 * time.Second)},
		{Name: "RequestTime", Unit: "Milliseconds", Dimensions: orders, Values: []float64{400}, Time: noon.Add(4 * time.Minute)},
		{Name: "RequestTime", Unit: "Milliseconds", Dimensions: orders, Values: []float64{5}, Time: noon.Add(5 * time.Minute)},
		{Name: "RequestTime", Unit: "Milliseconds", Dimensions: payments, Values: []float64{7000}, Time: noon},
		{Name: "RequestTime", Unit: "Milliseconds", Values: []float64{1}, Time: noon}, // of no dimension
		{Name: "Requests", Unit: "Count", Dimensions: orders, Values: []float64{1}, Time: noon},
		{Name: "Requests", Dimensions: orders, Values: []float64{2}, Time: noon},
	} {
		m.Namespace = "Proxy"
		s.Put(m)
	}
	return s
}

// call runs an operation, and gives its output as JSON.
func call(t *testing.T, s *cloudwatch.Store, operation, input string) string {
	t.Helper()
	output, err := s.Call(operation, []byte(input))
	if err != nil {
		t.Fatalf("%s %s: %v", operation, input, err)
	}
	text, err := json.Marshal(output)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const (
	ofOrders = `"Namespace":"Proxy","Dimensions":[{"Name":"RecordPrefix","Value":"Orders"},{"Name":"TableName","Value":"T"}]`
	sixHours = `"StartTime":1772366400,"EndTime":1772388000`
)

func TestWhatIsWrongWithARequestIsSaidAsTheServiceSaysIt(t *testing.T) {
	s := measured()
	const whole = `"Namespace":"N","MetricName":"M",` + sixHours + `,"Period":60`
	for input, want := range map[string]string{
		`GetMetricStatistics {"MetricName":"M",` + sixHours + `,"Period":60}`:                                                   "MissingRequiredParameterException: The parameter Namespace is required.",
		`GetMetricStatistics {"Namespace":"N","MetricName":"M",` + sixHours + `}`:                                               "MissingRequiredParameterException: The parameter Period is required.",
		`GetMetricStatistics {"Namespace":"N","MetricName":"M","EndTime":1,"Period":60}`:                                        "MissingRequiredParameterException: The parameter StartTime is required.",
		`GetMetricStatistics {"Namespace":"N","MetricName":"M",` + sixHours + `,"Period":90}`:                                   "InvalidParameterValueException: The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60; it is 90.",
		`GetMetricStatistics {"Namespace":"N","MetricName":"M","StartTime":7,"EndTime":7,"Period":60,"Statistics":["Sum"]}`:     "InvalidParameterValueException: The parameter StartTime must not equal parameter EndTime.",
		`GetMetricStatistics {"Namespace":"N","MetricName":"M","StartTime":8,"EndTime":7,"Period":60,"Statistics":["Sum"]}`:     "InvalidParameterValueException: The parameter StartTime must be less than the parameter EndTime.",
		`GetMetricStatistics {` + whole + `}`:                                                                                   "InvalidParameterCombinationException: At least one of the parameters Statistics and ExtendedStatistics must be specified.",
		`GetMetricStatistics {` + whole + `,"Statistics":["Mean"]}`:                                                             `InvalidParameterValueException: The parameter Statistics must be one or more of Average, Maximum, Minimum, SampleCount, Sum; it has "Mean".`,
		`GetMetricStatistics {` + whole + `,"ExtendedStatistics":["tm90"]}`:                                                     `InvalidParameterValueException: The parameter ExtendedStatistics may have percentiles from p0 to p100 here; it has "tm90".`,
		`GetMetricStatistics {` + whole + `,"ExtendedStatistics":["p101"]}`:                                                     `InvalidParameterValueException: The parameter ExtendedStatistics may have percentiles from p0 to p100 here; it has "p101".`,
		`GetMetricStatistics {"Namespace":"N","MetricName":"M","StartTime":0,"EndTime":86401,"Period":60,"Statistics":["Sum"]}`: "InvalidParameterCombinationException: You have requested up to 1441 datapoints, which exceeds the limit of 1440. You may reduce the datapoints requested by increasing Period, or decreasing the time range.",
		`GetMetricStatistics {` + whole + `,"Statistic":["Sum"]}`:                                                               "UnsupportedOperation: The local CloudWatch does not support the parameter Statistic here",
		`GetMetricStatistics {"Period":"60"}`:                                                                                   "SerializationException: The parameter Period has the wrong type",
		`GetMetricStatistics []`:                                                                                                "SerializationException: The request is not what the operation takes",
		`PutMetricData {}`:                                                                                                      "UnknownOperationException: The local CloudWatch has no operation PutMetricData; it has GetMetricData, GetMetricStatistics, ListMetrics",
		`GetMetricData {"StartTime":1}`:                                                                                         "MissingRequiredParameterException: The parameters StartTime and EndTime are required.",
		`GetMetricData {"StartTime":1,"EndTime":1}`:                                                                             "ValidationError: The parameter StartTime must not equal parameter EndTime.",
		`GetMetricData {"StartTime":2,"EndTime":1}`:                                                                             "ValidationError: The parameter EndTime must be greater than StartTime.",
		`GetMetricData {"StartTime":1,"EndTime":2}`:                                                                             "ValidationError: The parameter MetricDataQueries must have 1 to 500 queries; it has 0.",
		`GetMetricData {"StartTime":1,"EndTime":2,"MetricDataQueries":[{"Id":"a","Expression":"SUM(METRICS())"}]}`:              `UnsupportedOperation: The query "a" has no MetricStat, or an Expression; the local CloudWatch has no metric math and no Metrics Insights`,
		`GetMetricData {"StartTime":1,"EndTime":2,"MetricDataQueries":[{"Id":"a","MetricStat":{"Period":60,"Stat":"IQM"}}]}`:    `ValidationError: The Stat of the query "a" is "IQM"; the local CloudWatch has Average, Maximum, Minimum, SampleCount, Sum and percentiles`,
		`GetMetricData {"StartTime":1,"EndTime":2,"ScanBy":"Time","MetricDataQueries":[{}]}`:                                    `ValidationError: The parameter ScanBy must be TimestampAscending or TimestampDescending; it is "Time".`,
		`ListMetrics {"OwningAccount":"1"}`:                                                                                     "UnsupportedOperation: The local CloudWatch does not support the parameter OwningAccount here",
	} {
		operation, body, _ := strings.Cut(input, " ")
		output, err := s.Call(operation, []byte(body))
		var refused *cloudwatch.Error
		if !errors.As(err, &refused) || refused.Error() != want {
			t.Errorf("%s gives %v, %v; want %s", input, output, err, want)
		}
	}
	_, err := s.Call("GetMetricStatistics", []byte(`{`+whole+`,"Statistics":["Sum"],"Unit":"Furlongs"}`))
	if err == nil || !strings.Contains(err.Error(), `it is "Furlongs"`) {
		t.Errorf("of the unit it says %v", err)
	}
}

func TestStatisticsAreThoseOfAPeriodWithExactlyTheDimensions(t *testing.T) {
	s := measured()
	for _, c := range []struct{ what, input, want string }{
		{
			"all statistics", `{` + ofOrders + `,"MetricName":"RequestTime","StartTime":1772366400,"EndTime":1772366700,"Period":300,
				"Statistics":["Sum","Average","Minimum","Maximum","SampleCount"],"ExtendedStatistics":["p50","p99.9"]}`,
			`{"Datapoints":[{"Average":115,"ExtendedStatistics":{"p50":20,"p99.9":400},"Maximum":400,"Minimum":10,"SampleCount":4,"Sum":460,"Timestamp":"2026-03-01T12:00:00Z","Unit":"Milliseconds"}],"Label":"RequestTime"}`,
		},
		{
			"by the minute", `{` + ofOrders + `,"MetricName":"RequestTime",` + sixHours + `,"Period":60,"Statistics":["Sum"]}`,
			`{"Datapoints":[{"Sum":60,"Timestamp":"2026-03-01T12:00:00Z","Unit":"Milliseconds"},{"Sum":400,"Timestamp":"2026-03-01T12:04:00Z","Unit":"Milliseconds"},{"Sum":5,"Timestamp":"2026-03-01T12:05:00Z","Unit":"Milliseconds"}],"Label":"RequestTime"}`,
		},
		{
			// The start is rounded down to the minute, periods begin there, and the end is not in them.
			"from a second of a minute on", `{` + ofOrders + `,"MetricName":"RequestTime","StartTime":1772366633.5,"EndTime":1772366700,"Period":120,"Statistics":["Maximum"]}`,
			`{"Datapoints":[{"Maximum":400,"Timestamp":"2026-03-01T12:03:00Z","Unit":"Milliseconds"}],"Label":"RequestTime"}`,
		},
		{
			"of no dimensions", `{"Namespace":"Proxy","MetricName":"RequestTime",` + sixHours + `,"Period":3600,"Statistics":["Sum"]}`,
			`{"Datapoints":[{"Sum":1,"Timestamp":"2026-03-01T12:00:00Z","Unit":"Milliseconds"}],"Label":"RequestTime"}`,
		},
		{
			"of one of two dimensions", `{"Namespace":"Proxy","MetricName":"RequestTime","Dimensions":[{"Name":"TableName","Value":"T"}],` + sixHours + `,"Period":3600,"Statistics":["Sum"]}`,
			`{"Datapoints":[],"Label":"RequestTime"}`,
		},
		{
			"of all units", `{` + ofOrders + `,"MetricName":"Requests",` + sixHours + `,"Period":60,"Statistics":["Sum"]}`,
			`{"Datapoints":[{"Sum":1,"Timestamp":"2026-03-01T12:00:00Z","Unit":"Count"},{"Sum":2,"Timestamp":"2026-03-01T12:00:00Z","Unit":"None"}],"Label":"Requests"}`,
		},
		{
			"of one unit", `{` + ofOrders + `,"MetricName":"Requests",` + sixHours + `,"Period":60,"Statistics":["Sum"],"Unit":"None"}`,
			`{"Datapoints":[{"Sum":2,"Timestamp":"2026-03-01T12:00:00Z","Unit":"None"}],"Label":"Requests"}`,
		},
	} {
		if got := call(t, s, "GetMetricStatistics", c.input); got != c.want {
			t.Errorf("%s: got\n%s, want\n%s", c.what, got, c.want)
		}
	}
}

func TestDataOfSeveralMetricsIsGivenAtOnceNewestFirst(t *testing.T) {
	s := measured()
	queries := `"MetricDataQueries":[
		{"Id":"slow","MetricStat":{"Metric":{` + ofOrders + `,"MetricName":"RequestTime"},"Period":60,"Stat":"p90"}},
		{"Id":"hidden","ReturnData":false,"MetricStat":{"Metric":{` + ofOrders + `,"MetricName":"RequestTime"},"Period":60,"Stat":"Sum"}},
		{"Id":"many","Label":"all","MetricStat":{"Metric":{` + ofOrders + `,"MetricName":"Requests"},"Period":60,"Stat":"Sum"}},
		{"Id":"counted","MetricStat":{"Metric":{` + ofOrders + `,"MetricName":"Requests"},"Period":60,"Stat":"Sum","Unit":"Count"}},
		{"Id":"none","MetricStat":{"Metric":{"Namespace":"Proxy","MetricName":"Nothing"},"Period":60,"Stat":"Sum"}}]`
	const slow = `{"Id":"slow","Label":"RequestTime","StatusCode":"Complete","Timestamps":[%s],"Values":[%s]}`
	const others = `,{"Id":"many","Label":"all","StatusCode":"Complete","Timestamps":["2026-03-01T12:00:00Z"],"Values":[3]},` +
		`{"Id":"counted","Label":"Requests","StatusCode":"Complete","Timestamps":["2026-03-01T12:00:00Z"],"Values":[1]},` +
		`{"Id":"none","Label":"Nothing","StatusCode":"Complete","Timestamps":[],"Values":[]}]}`
	for scan, want := range map[string]string{
		``:                               fmt.Sprintf(slow, `"2026-03-01T12:05:00Z","2026-03-01T12:04:00Z","2026-03-01T12:00:00Z"`, "5,400,30"),
		`,"ScanBy":"TimestampAscending"`: fmt.Sprintf(slow, `"2026-03-01T12:00:00Z","2026-03-01T12:04:00Z","2026-03-01T12:05:00Z"`, "30,400,5"),
	} {
		if got := call(t, s, "GetMetricData", `{`+sixHours+`,`+queries+scan+`}`); got != `{"MetricDataResults":[`+want+others {
			t.Errorf("with %q: got\n%s, want\n%s", scan, got, want)
		}
	}
}

func TestMetricsAreListedByWhatTheyAreAskedFor(t *testing.T) {
	s := measured()
	metric := func(name, prefix string) string {
		if prefix == "" {
			return `{"Dimensions":[],"MetricName":"` + name + `","Namespace":"Proxy"}`
		}
		return `{"Dimensions":[{"Name":"RecordPrefix","Value":"` + prefix + `"},{"Name":"TableName","Value":"T"}],"MetricName":"` + name + `","Namespace":"Proxy"}`
	}
	for input, want := range map[string][]string{
		`{}`: {metric("RequestTime", "Orders"), metric("RequestTime", "Payments"), metric("RequestTime", ""), metric("Requests", "Orders")},
		`{"Namespace":"Proxy","MetricName":"Requests"}`:                    {metric("Requests", "Orders")},
		`{"Dimensions":[{"Name":"RecordPrefix"}]}`:                         {metric("RequestTime", "Orders"), metric("RequestTime", "Payments"), metric("Requests", "Orders")},
		`{"Dimensions":[{"Name":"RecordPrefix","Value":"Payments"}]}`:      {metric("RequestTime", "Payments")},
		`{"Namespace":"Other"}`:                                            nil,
		`{"Dimensions":[{"Name":"TableName"},{"Name":"Proxy"}]}`:           nil,
		`{"Dimensions":[{"Name":"TableName","Value":"U"}]}`:                nil,
		`{"MetricName":"RequestTime","Dimensions":[{"Name":"TableName"}]}`: {metric("RequestTime", "Orders"), metric("RequestTime", "Payments")},
	} {
		if diff := cmp.Diff(`{"Metrics":[`+strings.Join(want, ",")+`]}`, call(t, s, "ListMetrics", input)); diff != "" {
			t.Errorf("%s lists other metrics (-want +got):\n%s", input, diff)
		}
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	s := cloudwatch.New()
	for i := range cloudwatch.MaxMetrics + 10 {
		s.Put(cloudwatch.Metric{Namespace: "N", Name: fmt.Sprintf("%04d", i), Values: []float64{1}, Time: noon})
	}
	if n := strings.Count(call(t, s, "ListMetrics", `{}`), "MetricName"); n != cloudwatch.MaxMetrics {
		t.Errorf("%d metrics are kept, want %d", n, cloudwatch.MaxMetrics)
	}
	for i := range cloudwatch.MaxMinutes + 10 {
		s.Put(cloudwatch.Metric{Namespace: "N", Name: "0000", Values: []float64{1}, Time: noon.Add(time.Duration(i) * time.Minute)})
	}
	all := call(t, s, "GetMetricStatistics", `{"Namespace":"N","MetricName":"0000","StartTime":1772366400,"EndTime":1772539200,"Period":600,"Statistics":["Sum"]}`)
	if strings.Contains(all, "12:00:00Z") && strings.Contains(all, "2026-03-01T12:00") || strings.Count(all, `"Sum":10`) != cloudwatch.MaxMinutes/10 {
		t.Errorf("the minutes that are kept are %s, want the last %d", all, cloudwatch.MaxMinutes)
	}
	// What cannot be a metric is none.
	s.Put(cloudwatch.Metric{Name: "0000", Values: []float64{1}, Time: noon})
	s.Put(cloudwatch.Metric{Namespace: "N", Name: "0000", Time: noon})
}

// Values are rounded to three digits to count them, and never to more than the largest or less than the smallest.
func TestPercentilesAreExactToThreeDigits(t *testing.T) {
	s := cloudwatch.New()
	for i := range 100_000 {
		s.Put(cloudwatch.Metric{Namespace: "N", Name: "M", Values: []float64{float64(i) + 0.25}, Time: noon})
	}
	for percentile, want := range map[string]float64{"p0": 0.25, "p1": 999, "p50": 50_000, "p99": 99_000, "p99.99": 99_999.25, "p100": 99_999.25} {
		var got struct {
			Datapoints []struct{ ExtendedStatistics map[string]float64 }
		}
		text := call(t, s, "GetMetricStatistics", `{"Namespace":"N","MetricName":"M",`+sixHours+`,"Period":60,"ExtendedStatistics":["`+percentile+`"]}`)
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		if value := got.Datapoints[0].ExtendedStatistics[percentile]; value != want {
			t.Errorf("%s is %v, want %v", percentile, value, want)
		}
	}
}
