//go:build !race

package apiproxy_test

import (
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

func TestRequestsThatWereGivenUpAreCountedFromTheLogOfTheStateMachine(t *testing.T) {
	names := map[string]string{}
	forEachVariant(t, func(t *testing.T, template template) {
		filters := template.ofType("AWS::Logs::MetricFilter")
		if len(filters) != 1 {
			t.Fatalf("%d filters, want one", len(filters))
		}
		for _, filter := range filters {
			// What the log has of a state that is entered, without execution data.
			if got, want := filter.at("FilterPattern"), `{ ($.type = "SucceedStateEntered") && ($.details.name = "Failed") }`; got != want {
				t.Errorf("the pattern is %v, want %s", got, want)
			}
			if end := template.definition().States["Failed"]; end.Type != "Succeed" {
				t.Errorf("the state whose entering is counted is %+v", end)
			}
			destinations := template.machine().at("LoggingConfiguration", "Destinations").([]any)
			if template.referred(filter.at("LogGroupName")) != template.referred(at(destinations[0], "CloudWatchLogsLogGroup", "LogGroupArn")) {
				t.Error("it reads another log than that of the state machine")
			}
			transformation := filter.at("MetricTransformations").([]any)[0]
			if at(transformation, "MetricNamespace") != "RetryingApiProxy" || at(transformation, "MetricValue") != "1" || at(transformation, "DefaultValue") != nil {
				t.Errorf("what is counted is %v", transformation)
			}
			names[t.Name()] = at(transformation, "MetricName").(string)
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
