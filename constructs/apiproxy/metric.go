package apiproxy

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// MetricNamespace is the CloudWatch namespace of the metrics that are counted from logs, and of those that the functions tell of.
const MetricNamespace = message.MetricNamespace

// maxMetricNameLength keeps the names of metrics below CloudWatch's 255 characters.
const maxMetricNameLength = 128

// newStateFilter counts the executions that enter one of some states, under a name, from the log of the state machine, which
// names each state that is entered, and does so for executions whose gateway has died too. What is counted costs as much as a
// custom metric does, for each hour in which there is something to count. The log group may be one that existed before.
func newStateFilter(r *RetryingApiProxy, logGroup awslogs.ILogGroup, exists bool, event, name string, states ...string) awslogs.MetricFilter {
	metric := *awscdk.Names_UniqueResourceName(r, &awscdk.UniqueResourceNameOptions{
		MaxLength: jsii.Number(maxMetricNameLength),
		Separator: jsii.String("-"),
	}) + "-" + name
	var entered []awslogs.JsonPattern
	for _, state := range states {
		entered = append(entered, awslogs.FilterPattern_StringValue(jsii.String("$.details.name"), jsii.String("="), &state))
	}
	one := entered[0]
	if len(entered) > 1 {
		one = awslogs.FilterPattern_Any(entered...)
	}
	return addMetricFilter(r, logGroup, exists, name, &awslogs.MetricFilterOptions{
		FilterPattern: awslogs.FilterPattern_All(
			awslogs.FilterPattern_StringValue(jsii.String("$.type"), jsii.String("="), &event),
			one,
		),
		MetricNamespace: jsii.String(MetricNamespace),
		MetricName:      &metric,
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
// for minutes, and those whose callback could not be started, if there is no letter of that either. What is known of them is in
// the table all the same. How many letters there are is for the queue to say:
//
//	proxy.DeadLetterQueue.MetricApproximateNumberOfMessagesVisible(nil)
//
// The statistic is the sum, unless props say otherwise. The metric has no value while there is nothing to count. It panics
// without the props DeadLetters and Callback.
func (r *RetryingApiProxy) MetricUndelivered(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	if r.undelivered == nil {
		panic("MetricUndelivered counts dead letters and callbacks, and there are none; set the prop DeadLetters, or Callback")
	}
	return r.undelivered.Metric(summed(props))
}

// MetricGateWait is how long requests were held back by flow control or the circuit breaker, in milliseconds: those that were, so
// that the number of its samples is how many. The statistic is the average, unless props say otherwise.
//
// This metric, MetricGateRefused, MetricGateRate and MetricCircuitState are told of by the functions in their logs. Each costs
// as much as a custom metric does, for each hour in which it has a value; it has none while nothing is wrong. It panics if FlowControl
// is Off and CircuitBreaker is Disabled.
func (r *RetryingApiProxy) MetricGateWait(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.gateMetric("MetricGateWait", message.MetricGateWait, awscloudwatch.Stats_AVERAGE(), props)
}

// MetricGateRefused counts the requests that flow control or the circuit breaker turned away: with 429 or 503, and nothing was
// sent. The statistic is the sum, unless props say otherwise. See [RetryingApiProxy.MetricGateWait].
func (r *RetryingApiProxy) MetricGateRefused(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.gateMetric("MetricGateRefused", message.MetricGateRefused, awscloudwatch.Stats_SUM(), props)
}

// MetricGateRate is how many calls per second flow control lets through, of one FlowControl.Key: with several at the same time, the
// average is over all of them. The statistic is the average, unless props say otherwise. See [RetryingApiProxy.MetricGateWait].
func (r *RetryingApiProxy) MetricGateRate(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.gateMetric("MetricGateRate", message.MetricGateRate, awscloudwatch.Stats_AVERAGE(), props)
}

// MetricCircuitState is 1 while a circuit is open, so that one caller at a time tries, 0.5 while it closes, and 0 when it has closed.
// The statistic is the maximum, which is 1 if any FlowControl.Key has an open circuit, unless props say otherwise. See
// [RetryingApiProxy.MetricGateWait]. It panics if CircuitBreaker is Disabled.
func (r *RetryingApiProxy) MetricCircuitState(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	if r.gate.CircuitBreaker.Disabled {
		panic("MetricCircuitState is of the circuit breaker, and it is disabled; leave CircuitBreaker.Disabled out")
	}
	return r.gateMetric("MetricCircuitState", message.MetricCircuitState, awscloudwatch.Stats_MAXIMUM(), props)
}

// gateMetric is a metric that the functions tell of.
func (r *RetryingApiProxy) gateMetric(method, name string, statistic *string, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	if r.gate.Idle() {
		panic(method + " is of flow control and the circuit breaker, and there is neither; set FlowControl.Mode, or leave CircuitBreaker.Disabled out")
	}
	if props == nil {
		props = &awscloudwatch.MetricOptions{}
	}
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace:     jsii.String(MetricNamespace),
		MetricName:    &name,
		DimensionsMap: &map[string]*string{message.MetricTableDimension: r.Table.TableName(), message.MetricPrefixDimension: &r.prefix},
		Statistic:     statistic,
	}).With(props).AttachTo(r)
}

// untoldStates are the states of executions of which somebody should have been told, by a letter or a callback, and is not.
func untoldStates(props RetryingApiProxyProps) []string {
	var states []string
	if props.DeadLetters != nil {
		states = append(states, undeliveredState)
	}
	if props.Callback != nil {
		states = append(states, untoldState+succeededState, untoldState+failedState)
	}
	return states
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
