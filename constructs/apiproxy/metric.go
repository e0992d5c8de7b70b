package apiproxy

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"
)

// MetricNamespace is the CloudWatch namespace of the metrics that are counted from logs.
const MetricNamespace = "RetryingApiProxy"

// maxMetricNameLength keeps the names of metrics below CloudWatch's 255 characters.
const maxMetricNameLength = 128

// newStateFilter counts the executions that enter a state, from the log of the state machine, which names each state that is
// entered, and does so for executions whose gateway has died too. What is counted costs as much as a custom metric does, for
// each hour in which there is something to count.
func newStateFilter(r *RetryingApiProxy, logGroup awslogs.LogGroup, event, state string) awslogs.MetricFilter {
	name := *awscdk.Names_UniqueResourceName(r, &awscdk.UniqueResourceNameOptions{
		MaxLength: jsii.Number(maxMetricNameLength),
		Separator: jsii.String("-"),
	}) + "-" + state
	return logGroup.AddMetricFilter(&state, &awslogs.MetricFilterOptions{
		FilterPattern: awslogs.FilterPattern_All(
			awslogs.FilterPattern_StringValue(jsii.String("$.type"), jsii.String("="), &event),
			awslogs.FilterPattern_StringValue(jsii.String("$.details.name"), jsii.String("="), &state),
		),
		MetricNamespace: jsii.String(MetricNamespace),
		MetricName:      &name,
		MetricValue:     jsii.String("1"),
		Unit:            awscloudwatch.Unit_COUNT,
	})
}

// MetricFailed counts the requests whose attempts or time ran out without a final answer, whatever the reason. Executions
// of the state machine that fail are not among them: those are faults of the proxy itself, and
// [awsstepfunctions.StateMachine.MetricFailed] of the field StateMachine counts them.
//
// The statistic is the sum, unless props say otherwise. The metric has no value while there is nothing to count.
func (r *RetryingApiProxy) MetricFailed(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.failed.Metric(summed(props))
}

// MetricUndelivered counts the asynchronous requests that failed and of which there is no dead letter, because SQS has refused it
// for minutes. What is known of them is in the table all the same. How many letters there are is for the queue to say:
//
//	proxy.DeadLetterQueue.MetricApproximateNumberOfMessagesVisible(nil)
//
// The statistic is the sum, unless props say otherwise. The metric has no value while there is nothing to count. It panics
// without the prop DeadLetters.
func (r *RetryingApiProxy) MetricUndelivered(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	if r.undelivered == nil {
		panic("MetricUndelivered counts dead letters, and there are none; set the prop DeadLetters")
	}
	return r.undelivered.Metric(summed(props))
}

// summed is the sum, unless props say otherwise.
func summed(props *awscloudwatch.MetricOptions) *awscloudwatch.MetricOptions {
	sum := awscloudwatch.MetricOptions{}
	if props != nil {
		sum = *props
	}
	if sum.Statistic == nil {
		sum.Statistic = awscloudwatch.Stats_SUM()
	}
	return &sum
}
