//go:build !race

package apiproxy_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// A page is the body of a dashboard as far as the tests look into it.
type page struct {
	Widgets []struct {
		Type          string
		X, Y          int
		Width, Height int
		Properties    struct {
			Title   string
			Alarms  []string
			Metrics [][]any
		}
	}
}

// pageOf reads the only dashboard of a template.
func pageOf(t *testing.T, template template) page {
	t.Helper()
	var p page
	text := flat(template.the("AWS::CloudWatch::Dashboard").at("DashboardBody"))
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatalf("the body is no JSON: %v\n%s", err, text)
	}
	return p
}

// shown are the metrics on a page, as namespace, name and the names of the dimensions.
func (p page) shown() map[string]bool {
	shown := map[string]bool{}
	for _, widget := range p.Widgets {
		for _, metric := range widget.Properties.Metrics {
			text := fmt.Sprint(metric[0], " ", metric[1])
			for i := 2; i+1 < len(metric); i += 2 {
				text += fmt.Sprint(" ", metric[i])
			}
			shown[text] = true
		}
	}
	return shown
}

func TestTheDashboardShowsEachMetric(t *testing.T) {
	shown := pageOf(t, variants()["Monitored"]).shown()
	var want []string
	for _, name := range metricNames(t) {
		dimensions := " RecordPrefix TableName"
		if name == "Attempts" || name == "Retries" || name == "RateLimits" {
			dimensions = " Proxy RecordPrefix TableName"
		}
		want = append(want, "RetryingApiProxy "+name+dimensions)
	}
	want = append(want, "AWS/Lambda UrlRequestCount FunctionName", "AWS/Lambda Url4xxCount FunctionName", "AWS/Lambda Url5xxCount FunctionName",
		"AWS/Lambda ConcurrentExecutions FunctionName", "AWS/Lambda Throttles FunctionName", "AWS/Lambda Errors FunctionName",
		"AWS/States ExecutionsFailed StateMachineArn", "AWS/States ExecutionsTimedOut StateMachineArn", "AWS/DynamoDB ReadThrottleEvents TableName",
		"AWS/SQS ApproximateNumberOfMessagesVisible QueueName", "AWS/SQS ApproximateAgeOfOldestMessage QueueName")
	for _, name := range want {
		if !shown[name] {
			t.Errorf("the dashboard does not show %s:\n%v", name, shown)
		}
	}
}

func TestTheDashboardShowsThoseOfEachProxyAndTheAlarms(t *testing.T) {
	page := pageOf(t, variants()["Monitored"])
	graphs := map[string]int{}
	occupied := map[[2]int]string{}
	for _, widget := range page.Widgets {
		graphs[widget.Properties.Title] = len(widget.Properties.Metrics)
		if widget.X < 0 || widget.X+widget.Width > 24 {
			t.Errorf("%s goes beyond the 24 columns: %d from %d", widget.Properties.Title, widget.Width, widget.X)
		}
		for x := widget.X; x < widget.X+widget.Width; x++ {
			for y := widget.Y; y < widget.Y+widget.Height; y++ {
				if other := occupied[[2]int{x, y}]; other != "" {
					t.Fatalf("%s lies over %s", widget.Properties.Title, other)
				}
				occupied[[2]int{x, y}] = widget.Properties.Title
			}
		}
	}
	if text := string(variants()["Monitored"].text); strings.Contains(text, "accountId") || strings.Contains(text, `"AccountId":`) {
		t.Error("a metric is said to be of another account")
	}
	for title, want := range map[string]int{"Attempts by proxy": 20, "Slots": 21, "Throttles": 21, "Crashes and timeouts": 21} {
		if graphs[title] != want {
			t.Errorf("%q has %d lines, want %d", title, graphs[title], want)
		}
	}
	if first := page.Widgets[0]; first.Type != "alarm" || len(first.Properties.Alarms) != 18 {
		t.Errorf("first comes %s with %d alarms", first.Type, len(first.Properties.Alarms))
	}
}

func TestADashboardOfOnesOwnShowsOnlyWhatThereIs(t *testing.T) {
	app := newApp(nothingBundled)
	stack := awscdk.NewStack(app, jsii.String("Own"), nil)
	props := minimal()
	props.CircuitBreaker.Disabled = true
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props)
	own := awscloudwatch.NewDashboard(stack, jsii.String("Page"), nil)
	for _, row := range proxy.DashboardWidgets() {
		own.AddWidgets(row...)
	}
	page := pageOf(t, synthesise(app)["Own"])
	if len(page.Widgets) != 15 {
		t.Errorf("there are %d widgets, want 5 rows of 3", len(page.Widgets))
	}
	for metric := range page.shown() {
		for _, absent := range []string{"Gate", "Circuit", "SQS", "Undelivered"} {
			if strings.Contains(metric, absent) {
				t.Errorf("it shows %s", metric)
			}
		}
	}
	if page.Widgets[0].Type == "alarm" {
		t.Error("it shows alarms, and there are none")
	}
}

func TestADashboardHasTheNameOfTheProps(t *testing.T) {
	for variant, want := range map[string]string{"Everything": "orders-proxy", "Monitored": "Monitored-Orders-"} {
		if got := variants()[variant].the("AWS::CloudWatch::Dashboard").at("DashboardName").(string); !strings.HasPrefix(got, want) {
			t.Errorf("%s: it is called %s, want %s", variant, got, want)
		}
	}
}
