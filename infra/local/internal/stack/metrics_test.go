package stack_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// cloudWatch asks the stack's CloudWatch, as SDKs do.
func cloudWatch(t *testing.T, s *stack.Stack, operation string, input, output any) {
	t.Helper()
	text, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, s.Endpoint(), strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "GraniteServiceVersion20100801."+operation)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(output); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s is answered with %d: %v", operation, text, response.StatusCode, err)
	}
}

// summed is what a metric comes to in the last hour.
func summed(t *testing.T, s *stack.Stack, namespace, name string, dimensions map[string]string) (sum float64) {
	t.Helper()
	list := []map[string]string{}
	for name, value := range dimensions {
		list = append(list, map[string]string{"Name": name, "Value": value})
	}
	var found struct{ Datapoints []struct{ Sum float64 } }
	cloudWatch(t, s, "GetMetricStatistics", map[string]any{
		"Namespace": namespace, "MetricName": name, "Dimensions": list, "Period": 60, "Statistics": []string{"Sum"},
		"StartTime": time.Now().Add(-time.Hour).Unix(), "EndTime": time.Now().Add(time.Minute).Unix(),
	}, &found)
	for _, point := range found.Datapoints {
		sum += point.Sum
	}
	return sum
}

// The construct has a metric filter for them, which looks at the log of the state machine.
func TestRequestsThatFailedAreCountedByTheirMetricFilter(t *testing.T) {
	t.Parallel()
	s := start(t, play(t, status(http.StatusNotFound), status(http.StatusServiceUnavailable), status(http.StatusServiceUnavailable)).URL,
		policy(`{"serverErrors":{"attempts":2,"base":"1ms","max":"1ms"}}`))
	failed := func() string {
		var listed struct{ Metrics []struct{ MetricName string } }
		cloudWatch(t, s, "ListMetrics", map[string]any{"Namespace": message.MetricNamespace}, &listed)
		for _, m := range listed.Metrics {
			if strings.HasSuffix(m.MetricName, "-Failed") {
				return m.MetricName
			}
		}
		return ""
	}
	get(t, s, "/not/there")
	if name := failed(); name != "" {
		t.Errorf("after a final answer there is the metric %s", name)
	}
	get(t, s, "/down")
	if name := failed(); name == "" || summed(t, s, message.MetricNamespace, name, nil) != 1 {
		t.Errorf("the metric %q does not say that one request failed", name)
	}
}

func TestTheMetricsOfInstancesThatShareATableAreToldApart(t *testing.T) {
	t.Parallel()
	limited := play(t, status(http.StatusTooManyRequests), status(http.StatusOK), status(http.StatusOK)).URL
	s, err := startShop(t, limited, stack.Selection{Instance: "Orders", Skip: notKnown})
	if err != nil {
		t.Fatal(err)
	}
	payments, err := s.URLOf("Payments")
	if err != nil {
		t.Fatal(err)
	}
	post(t, s.URL()+"/tea", "seven") // refused for a limit once
	post(t, s.URL()+"/tea", "seven") // replayed
	post(t, payments+"/tea", "seven")
	tables := map[string]bool{}
	for _, c := range []struct {
		instance, proxy, metric string
		want                    float64
	}{
		{"Orders", "", message.MetricRequests, 2}, {"Payments", "", message.MetricRequests, 1},
		{"Orders", "", message.MetricReplays, 1}, {"Payments", "", message.MetricReplays, 0},
		{"Orders", "", message.MetricAttempts, 2}, {"Payments", "", message.MetricAttempts, 1},
		{"Orders", "proxy-1", message.MetricRateLimits, 1}, {"Orders", "proxy-2", message.MetricRateLimits, 0}, {"Payments", "proxy-1", message.MetricRateLimits, 0},
		{"Orders", "proxy-2", message.MetricRetries, 1},
	} {
		for _, instance := range s.Instances() {
			if instance.Name != c.instance {
				continue
			}
			dimensions := map[string]string{
				message.MetricTableDimension:  instance.Environment[message.TableVariable],
				message.MetricPrefixDimension: instance.Environment[message.RecordPrefixVariable],
			}
			tables[dimensions[message.MetricTableDimension]] = true
			if c.proxy != "" {
				dimensions[message.MetricProxyDimension] = c.proxy
			}
			if got := summed(t, s, message.MetricNamespace, c.metric, dimensions); got != c.want {
				t.Errorf("%s of %s %s is %v, want %v", c.metric, c.instance, c.proxy, got, c.want)
			}
		}
	}
	if len(tables) != 1 {
		t.Errorf("the tables are %v, want one that both share", tables)
	}
}

func TestMetricsThatFunctionsLogAreToldByCloudWatch(t *testing.T) {
	t.Parallel()
	s, err := startShop(t, "", stack.Selection{Instance: "Eu/Search", Skip: notKnown})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/a", "/b", "/c"} {
		post(t, s.URL()+path, path)
	}
	if n := summed(t, s, "Echo", "Calls", map[string]string{"Method": "POST"}); n != 3 {
		t.Errorf("the function has counted %v calls, want 3", n)
	}
	if n := summed(t, s, "Echo", "Calls", nil); n != 0 {
		t.Errorf("without its dimension there are %v calls, want none", n)
	}
}

func TestWhatLambdaMeasuresIsToldByCloudWatch(t *testing.T) {
	t.Parallel()
	s := start(t, play(t, status(http.StatusOK), status(http.StatusNotFound), status(http.StatusNotImplemented)).URL, crashing("proxy-1"), withoutBackoff)
	for _, path := range []string{"/a", "/b", "/c"} {
		get(t, s, path)
	}
	names := map[string]string{}
	for _, f := range s.Lambda.Functions() {
		names[s.ShortName(f.Name)] = f.Name
	}
	for _, c := range []struct {
		function, name string
		want           float64
	}{
		{"gateway", "UrlRequestCount", 3}, {"gateway", "Url4xxCount", 1}, {"gateway", "Url5xxCount", 1}, {"gateway", "Errors", 0},
		{"gateway", "Invocations", 3}, {"proxy-1", "Errors", 3}, {"proxy-1", "Invocations", 3}, {"proxy-2", "Errors", 0}, {"proxy-3", "Invocations", 0},
		{"gateway", "Throttles", 0},
	} {
		if n := summed(t, s, "AWS/Lambda", c.name, map[string]string{"FunctionName": names[c.function]}); n != c.want {
			t.Errorf("%s of %s are %v, want %v", c.name, c.function, n, c.want)
		}
	}
}
