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

// newFailedFilter counts the executions that end in the state Failed, from the log of the state machine, which names each
// state that is entered, and does so for executions whose gateway has died too. What is counted costs as much as a custom
// metric does, for each hour in which there is something to count.
func newFailedFilter(r *RetryingApiProxy, logGroup awslogs.LogGroup) awslogs.MetricFilter {
	name := *awscdk.Names_UniqueResourceName(r, &awscdk.UniqueResourceNameOptions{
		MaxLength: jsii.Number(maxMetricNameLength),
		Separator: jsii.String("-"),
	}) + "-Failed"
	return logGroup.AddMetricFilter(jsii.String("Failed"), &awslogs.MetricFilterOptions{
		FilterPattern: awslogs.FilterPattern_All(
			awslogs.FilterPattern_StringValue(jsii.String("$.type"), jsii.String("="), jsii.String("SucceedStateEntered")),
			awslogs.FilterPattern_StringValue(jsii.String("$.details.name"), jsii.String("="), jsii.String(failedState)),
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
	sum := awscloudwatch.MetricOptions{}
	if props != nil {
		sum = *props
	}
	if sum.Statistic == nil {
		sum.Statistic = awscloudwatch.Stats_SUM()
	}
	return r.failed.Metric(&sum)
}
