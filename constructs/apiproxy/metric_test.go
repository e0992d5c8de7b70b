//go:build !race

package apiproxy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

func TestRequestsThatWereGivenUpAreCountedFromTheLogOfTheStateMachine(t *testing.T) {
	names := map[string]string{}
	forEachVariant(t, func(t *testing.T, template template) {
		filters := slices.DeleteFunc(template.ofType("AWS::Logs::MetricFilter"), func(r *resource) bool {
			return strings.Contains(r.at("FilterPattern").(string), "Undelivered")
		})
		if len(filters) != len(template.machines()) {
			t.Fatalf("%d filters, want one for each of %d state machines", len(filters), len(template.machines()))
		}
		read := map[*resource]bool{}
		for _, filter := range filters {
			// What the log has of a state that is entered, without execution data.
			if got, want := filter.at("FilterPattern"), `{ ($.type = "SucceedStateEntered") && ($.details.name = "Failed") }`; got != want {
				t.Errorf("the pattern is %v, want %s", got, want)
			}
			if end := template.definition().States["Failed"]; end.Type != "Succeed" {
				t.Errorf("the state whose entering is counted is %+v", end)
			}
			read[template.referred(filter.at("LogGroupName"))] = true
			transformation := filter.at("MetricTransformations").([]any)[0]
			if at(transformation, "MetricNamespace") != "RetryingApiProxy" || at(transformation, "MetricValue") != "1" || at(transformation, "DefaultValue") != nil {
				t.Errorf("what is counted is %v", transformation)
			}
			name := at(transformation, "MetricName").(string)
			if other := names[t.Name()]; other != "" && other != name {
				t.Errorf("the logs of two state machines are counted as %s and %s, want one metric", other, name)
			}
			names[t.Name()] = name
		}
		for _, machine := range template.machines() {
			destinations := machine.at("LoggingConfiguration", "Destinations").([]any)
			if !read[template.referred(at(destinations[0], "CloudWatchLogsLogGroup", "LogGroupArn"))] {
				t.Errorf("the log of %s is not read", machine.id)
			}
		}
	})
	if len(names) == 0 {
		t.Error("no metric has a name")
	}
}

func TestTheMetricOfRequestsThatWereGivenUpIsASum(t *testing.T) {
	app := newApp(nothingBundled)
	stack := awscdk.NewStack(app, jsii.String("Alarmed"), nil)
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), minimal())
	proxy.MetricFailed(nil).CreateAlarm(stack, jsii.String("Given"), &awscloudwatch.CreateAlarmOptions{Threshold: jsii.Number(1), EvaluationPeriods: jsii.Number(1)})
	proxy.MetricFailed(&awscloudwatch.MetricOptions{Statistic: jsii.String("Average")}).
		CreateAlarm(stack, jsii.String("Rate"), &awscloudwatch.CreateAlarmOptions{Threshold: jsii.Number(1), EvaluationPeriods: jsii.Number(1)})
	template := synthesise(app)["Alarmed"]
	var name any
	for _, filter := range template.ofType("AWS::Logs::MetricFilter") {
		name = at(filter.at("MetricTransformations").([]any)[0], "MetricName")
	}
	statistics := map[any]bool{}
	for _, alarm := range template.ofType("AWS::CloudWatch::Alarm") {
		if alarm.at("MetricName") != name || alarm.at("Namespace") != "RetryingApiProxy" {
			t.Errorf("an alarm is for %v of %v, want %v", alarm.at("MetricName"), alarm.at("Namespace"), name)
		}
		statistics[alarm.at("Statistic")] = true
	}
	if !statistics["Sum"] || !statistics["Average"] {
		t.Errorf("the statistics are %v", statistics)
	}
}
