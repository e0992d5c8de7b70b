package apiproxy

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
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

// MetricRequests counts the requests that the gateway answered, whatever the answer. An asynchronous request is answered when it is
// accepted. The statistic is the sum, unless props say otherwise.
//
// This metric and those below, up to MetricAddresses, are told of by the functions in their logs, under the name of the table and the
// RecordPrefix. Each costs as much as a custom metric does ($0.30 a month, list price, by the hours in which it has a value). While
// all is well there are MetricRequests, MetricRequestTime, MetricAttempts and MetricAttemptTime only, and the others have no value.
// docs/monitoring.md lists them. All of them panic with OmitMetrics.
func (r *RetryingApiProxy) MetricRequests(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.told(message.MetricRequests, awscloudwatch.Stats_SUM(), props)
}

// MetricRequestTime is how long requests took in the gateway, in milliseconds. The statistic is the 99th percentile, unless props say
// otherwise.
func (r *RetryingApiProxy) MetricRequestTime(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.told(message.MetricRequestTime, nearlyAll, props)
}

// MetricReplays counts the requests that were answered from a record. The statistic is the sum, unless props say otherwise.
func (r *RetryingApiProxy) MetricReplays(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.told(message.MetricReplays, awscloudwatch.Stats_SUM(), props)
}

// MetricConflicts counts the requests whose Idempotency-Key was in use (409) or belonged to another payload (422). The statistic is
// the sum, unless props say otherwise.
func (r *RetryingApiProxy) MetricConflicts(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.told(message.MetricConflicts, awscloudwatch.Stats_SUM(), props)
}

// MetricRefused counts the requests that were refused for another reason, with a problem below 500. The statistic is the sum, unless
// props say otherwise.
func (r *RetryingApiProxy) MetricRefused(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.told(message.MetricRefused, awscloudwatch.Stats_SUM(), props)
}

// MetricUnavailable counts the requests that were answered with a problem that is the construct's own, or the account's: the state
// machine could not be started, or there was no room for the proxies. The upstream has no part in it. The statistic is the sum, unless
// props say otherwise.
func (r *RetryingApiProxy) MetricUnavailable(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.told(message.MetricUnavailable, awscloudwatch.Stats_SUM(), props)
}

// MetricUpstreamFailed counts the requests that were given up on: the upstream gave no final answer in the attempts or the time that
// there were. Asynchronous requests are counted when they end. MetricFailed counts the same from the log of the state machines. The
// statistic is the sum, unless props say otherwise.
func (r *RetryingApiProxy) MetricUpstreamFailed(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.told(message.MetricUpstreamFailed, awscloudwatch.Stats_SUM(), props)
}

// MetricDeadlinesExceeded counts those of MetricUpstreamFailed whose time was up. The statistic is the sum, unless props say otherwise.
func (r *RetryingApiProxy) MetricDeadlinesExceeded(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.told(message.MetricDeadlinesExceeded, awscloudwatch.Stats_SUM(), props)
}

// MetricOutcomesUnknown counts those of MetricUpstreamFailed that the upstream may have carried out all the same. The statistic is the
// sum, unless props say otherwise.
func (r *RetryingApiProxy) MetricOutcomesUnknown(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.told(message.MetricOutcomesUnknown, awscloudwatch.Stats_SUM(), props)
}

// MetricAttempts counts the attempts of all proxies. The statistic is the sum, unless props say otherwise.
func (r *RetryingApiProxy) MetricAttempts(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.told(message.MetricAttempts, awscloudwatch.Stats_SUM(), props)
}

// MetricAttemptsOf is MetricAttempts of one proxy, from 1 to ProxyCount. It panics for another number.
func (r *RetryingApiProxy) MetricAttemptsOf(proxy int, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.toldBy(proxy, message.MetricAttempts, awscloudwatch.Stats_SUM(), props)
}

// MetricRetries counts the attempts that were not the first of their request. The statistic is the sum, unless props say otherwise.
func (r *RetryingApiProxy) MetricRetries(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.told(message.MetricRetries, awscloudwatch.Stats_SUM(), props)
}

// MetricRetriesOf is MetricRetries of one proxy, from 1 to ProxyCount. It panics for another number.
func (r *RetryingApiProxy) MetricRetriesOf(proxy int, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.toldBy(proxy, message.MetricRetries, awscloudwatch.Stats_SUM(), props)
}

// MetricRateLimits counts the attempts that the upstream refused for a limit. The statistic is the sum, unless props say otherwise.
func (r *RetryingApiProxy) MetricRateLimits(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.told(message.MetricRateLimits, awscloudwatch.Stats_SUM(), props)
}

// MetricRateLimitsOf is MetricRateLimits of one proxy, from 1 to ProxyCount. It panics for another number.
func (r *RetryingApiProxy) MetricRateLimitsOf(proxy int, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.toldBy(proxy, message.MetricRateLimits, awscloudwatch.Stats_SUM(), props)
}

// MetricAttemptTime is how long attempts took, in milliseconds. The statistic is the 99th percentile, unless props say otherwise.
func (r *RetryingApiProxy) MetricAttemptTime(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.told(message.MetricAttemptTime, nearlyAll, props)
}

// MetricRetryWait is the wait that was decided on after attempts, in milliseconds: of those that another one was to follow. The
// statistic is the average, unless props say otherwise.
func (r *RetryingApiProxy) MetricRetryWait(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.told(message.MetricRetryWait, awscloudwatch.Stats_AVERAGE(), props)
}

// MetricAddresses is how many addresses the proxies have called from, as far as a gateway has lately seen. It has no value unless the
// proxies are told where to ask for their address. The statistic is the maximum, unless props say otherwise.
func (r *RetryingApiProxy) MetricAddresses(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.told(message.MetricAddresses, awscloudwatch.Stats_MAXIMUM(), props)
}

// MetricGateWait is how long requests were held back by flow control or the circuit breaker, in milliseconds: those that were, so
// that the number of its samples is how many. The statistic is the average, unless props say otherwise.
//
// This metric, MetricGateRefused, MetricGateRate and MetricCircuitState have no value while nothing is wrong. They panic if
// FlowControl is Off and CircuitBreaker is Disabled, and with OmitMetrics. See [RetryingApiProxy.MetricRequests] for what they cost.
func (r *RetryingApiProxy) MetricGateWait(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.toldOfGate(message.MetricGateWait, awscloudwatch.Stats_AVERAGE(), props)
}

// MetricGateRefused counts the requests that flow control or the circuit breaker turned away: with 429 or 503, and nothing was
// sent. The statistic is the sum, unless props say otherwise. See [RetryingApiProxy.MetricGateWait].
func (r *RetryingApiProxy) MetricGateRefused(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.toldOfGate(message.MetricGateRefused, awscloudwatch.Stats_SUM(), props)
}

// MetricGateRate is how many calls per second flow control lets through, of one FlowControl.Key: with several at the same time, the
// average is over all of them. The statistic is the average, unless props say otherwise. See [RetryingApiProxy.MetricGateWait].
func (r *RetryingApiProxy) MetricGateRate(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.toldOfGate(message.MetricGateRate, awscloudwatch.Stats_AVERAGE(), props)
}

// MetricCircuitState is 1 while a circuit is open, so that one caller at a time tries, 0.5 while it closes, and 0 when it has closed.
// The statistic is the maximum, which is 1 if any FlowControl.Key has an open circuit, unless props say otherwise. See
// [RetryingApiProxy.MetricGateWait]. It panics if CircuitBreaker is Disabled.
func (r *RetryingApiProxy) MetricCircuitState(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	if r.gate.CircuitBreaker.Disabled {
		panic("MetricCircuitState is of the circuit breaker, and it is disabled; leave CircuitBreaker.Disabled out")
	}
	return r.toldOfGate(message.MetricCircuitState, awscloudwatch.Stats_MAXIMUM(), props)
}

// MetricUrlRequests counts the requests that came to the function URL, those that Lambda refused itself included. The statistic is
// the sum, unless props say otherwise. Like MetricUrl4xx, MetricUrl5xx, MetricSlots and MetricSlotsOf it is one of Lambda's own, and
// costs nothing.
func (r *RetryingApiProxy) MetricUrlRequests(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.Gateway.Metric(jsii.String("UrlRequestCount"), summed(props))
}

// MetricUrl4xx counts the answers of the function URL from 400 to 499: of the upstream, of the gateway, and Lambda's own, such as 429
// if there is no room for the gateway. The statistic is the sum, unless props say otherwise.
func (r *RetryingApiProxy) MetricUrl4xx(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.Gateway.Metric(jsii.String("Url4xxCount"), summed(props))
}

// MetricUrl5xx counts the answers of the function URL from 500 on: of the upstream, of the gateway, and Lambda's own for a gateway
// that crashed. The gateway returns no errors to Lambda, so that its MetricErrors has nothing of the first two. The statistic is the
// sum, unless props say otherwise.
func (r *RetryingApiProxy) MetricUrl5xx(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.Gateway.Metric(jsii.String("Url5xxCount"), summed(props))
}

// MetricSlots is how many requests were in the gateway at the same time, each of which holds one of the account's concurrent
// executions. The statistic is the maximum, unless props say otherwise.
func (r *RetryingApiProxy) MetricSlots(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.Gateway.Metric(jsii.String(concurrentExecutions), peak(props))
}

// MetricSlotsOf is how many attempts one proxy, from 1 to ProxyCount, made at the same time. The statistic is the maximum, unless
// props say otherwise. It panics for another number.
func (r *RetryingApiProxy) MetricSlotsOf(proxy int, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.proxy(proxy).Metric(jsii.String(concurrentExecutions), peak(props))
}

// What Lambda calls slots, and its namespace.
const (
	lambdaNamespace      = "AWS/Lambda"
	concurrentExecutions = "ConcurrentExecutions"
)

// nearlyAll is the statistic of times: what all but one in a hundred stay below.
var nearlyAll = jsii.String("p99")

// told is a metric that the functions tell of.
func (r *RetryingApiProxy) told(name string, statistic *string, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.toldUnder(map[string]*string{}, name, statistic, props)
}

// toldBy is one that the functions tell of, of one proxy.
func (r *RetryingApiProxy) toldBy(proxy int, name string, statistic *string, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	r.proxy(proxy) // panics if there is none
	return r.toldUnder(map[string]*string{message.MetricProxyDimension: jsii.String(message.ProxyName(proxy))}, name, statistic, props)
}

// toldOfGate is one of flow control and the circuit breaker.
func (r *RetryingApiProxy) toldOfGate(name string, statistic *string, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	if r.gate.Idle() {
		panic("Metric" + name + " is of flow control and the circuit breaker, and there is neither; set FlowControl.Mode, or leave CircuitBreaker.Disabled out")
	}
	return r.told(name, statistic, props)
}

// toldUnder is one that the functions tell of, under some dimensions beside those of the RetryingApiProxy.
func (r *RetryingApiProxy) toldUnder(dimensions map[string]*string, name string, statistic *string, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	if r.omitMetrics {
		panic("Metric" + name + " is told of by the functions, and they tell of no metrics; leave OmitMetrics out")
	}
	if props == nil {
		props = &awscloudwatch.MetricOptions{}
	}
	dimensions[message.MetricTableDimension] = r.Table.TableName()
	dimensions[message.MetricPrefixDimension] = &r.prefix
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace:     jsii.String(MetricNamespace),
		MetricName:    &name,
		DimensionsMap: &dimensions,
		Statistic:     statistic,
	}).With(props).AttachTo(r)
}

// tableThrottles counts calls that the table throttled: ReadThrottleEvents, or WriteThrottleEvents. The table's own Metric would name the
// account, as is done for metrics of another one.
func (r *RetryingApiProxy) tableThrottles(name string) awscloudwatch.Metric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace:     jsii.String("AWS/DynamoDB"),
		MetricName:    &name,
		DimensionsMap: &map[string]*string{"TableName": r.Table.TableName()},
		Statistic:     awscloudwatch.Stats_SUM(),
	}).AttachTo(r)
}

// proxy is a proxy by its number.
func (r *RetryingApiProxy) proxy(number int) awslambda.Function {
	if number < 1 || number > len(r.Proxies) {
		panic(fmt.Sprintf("there is no %s; give 1 to %d", message.ProxyName(number), len(r.Proxies)))
	}
	return r.Proxies[number-1]
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
	return unlessSaid(awscloudwatch.Stats_SUM(), props)
}

// peak is the maximum, unless props say otherwise.
func peak(props *awscloudwatch.MetricOptions) *awscloudwatch.MetricOptions {
	return unlessSaid(awscloudwatch.Stats_MAXIMUM(), props)
}

// unlessSaid is a statistic, unless props say otherwise.
func unlessSaid(statistic *string, props *awscloudwatch.MetricOptions) *awscloudwatch.MetricOptions {
	options := awscloudwatch.MetricOptions{}
	if props != nil {
		options = *props
	}
	if options.Statistic == nil {
		options.Statistic = statistic
	}
	return &options
}
