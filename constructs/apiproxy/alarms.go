package apiproxy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Alarms has somebody told of what would otherwise be silent. The zero value is all alarms that the other props have a use for, with
// nobody told: they can be seen in CloudWatch and on the Dashboard, and whoever wants to be told adds actions to
// [RetryingApiProxy.Alarms].
//
// An alarm costs $0.10 a month for each metric that it looks at (list price). The default props have 13 alarms on 22 metrics with three
// proxies, which is $2.20 a month; each proxy more is 2 metrics. Async, DeadLetters and Callback add to them:
// [RetryingApiProxyProps.Explain] says what the alarms of some props come to. Each alarm is a resource of the stack, of which there can be 500.
//
// The names of the alarms, by which they can be found and sorted, are that of the construct and an [AlarmName]. What each means, and
// what is to be done, is in docs/operating.md, which the description of the alarm has a link to. docs/monitoring.md has a table of them.
type Alarms struct {
	// Topic is told when something goes wrong, and when it is over. CloudWatch must be allowed to publish to it: a topic has to have no
	// key, or one whose policy lets cloudwatch.amazonaws.com use it; with the key alias/aws/sns nothing arrives. Default: none.
	Topic awssns.ITopic

	// Actions are what else is done at both times. Default: none.
	Actions []awscloudwatch.IAlarmAction

	// Thresholds are from what value on alarms go off, by their names, where that is not as by default.
	Thresholds map[AlarmName]float64

	// Omit names alarms that are left out. Default: none.
	Omit []AlarmName

	// AccountConcurrency is how many concurrent executions the account has in the region, for AlarmSlots. Without
	// ReservedConcurrency.Gateway, all functions of the account share them. New accounts have 10 or 50, until the quota is raised.
	// Default: 1000.
	AccountConcurrency int
}

// DefaultAccountConcurrency is how many concurrent executions an account has whose quota has neither been lowered nor raised.
const DefaultAccountConcurrency = 1000

// An AlarmName says which alarm is meant. Where there are more than ten proxies, alarms that look at all of them are several, because
// one alarm takes ten metrics: the others are called AlarmProxyErrors + "-2" and so on, and go by the threshold of the first.
type AlarmName string

// The alarms. Unless it says otherwise, an alarm goes off for five minutes whose sum is its threshold, and is over after five minutes
// whose sum is less. Alarms of shares and of states want two out of three times five minutes, so that one request that fails in
// a quiet night wakes nobody; shares of requests and answers keep their state while there are none.
const (
	// AlarmServerErrors is of the share of answers from 500 on, in percent, whoever they are by. Default: [DefaultServerErrors].
	AlarmServerErrors AlarmName = "ServerErrors"

	// AlarmClientErrors is of the share of answers from 400 to 499, in percent. Default: [DefaultClientErrors].
	AlarmClientErrors AlarmName = "ClientErrors"

	// AlarmUnavailable is of requests that the construct itself could not carry out. Default: [DefaultUnavailable].
	AlarmUnavailable AlarmName = "Unavailable"

	// AlarmUpstreamFailing is of the share of requests that were given up on, in percent. Default: [DefaultUpstreamFailing].
	AlarmUpstreamFailing AlarmName = "UpstreamFailing"

	// AlarmCircuitOpen is of a circuit that is open (1) or closing (0.5). Not where CircuitBreaker is Disabled. Default:
	// [DefaultCircuitOpen].
	AlarmCircuitOpen AlarmName = "CircuitOpen"

	// AlarmOutcomesUnknown is of requests that failed and that the upstream may have carried out. Default: [DefaultOutcomesUnknown].
	AlarmOutcomesUnknown AlarmName = "OutcomesUnknown"

	// AlarmGatewayErrors is of crashes and timeouts of the gateway. Default: [DefaultFunctionErrors].
	AlarmGatewayErrors AlarmName = "GatewayErrors"

	// AlarmProxyErrors is of crashes and timeouts of proxies, all together. Default: [DefaultFunctionErrors].
	AlarmProxyErrors AlarmName = "ProxyErrors"

	// AlarmGatewayThrottles is of requests that found no room in the gateway. Default: [DefaultGatewayThrottles].
	AlarmGatewayThrottles AlarmName = "GatewayThrottles"

	// AlarmProxyThrottles is of attempts that found no room in a proxy, all together. Default: [DefaultProxyThrottles].
	AlarmProxyThrottles AlarmName = "ProxyThrottles"

	// AlarmSlots is of the share of the concurrency that is in use, in percent: the gateway's of ReservedConcurrency.Gateway, or else
	// that of all functions of the account of AccountConcurrency. Default: [DefaultSlots].
	AlarmSlots AlarmName = "Slots"

	// AlarmStateMachineFailures is of executions that failed or timed out, which those of requests that are given up on do not. Default:
	// [DefaultStateMachineFailures].
	AlarmStateMachineFailures AlarmName = "StateMachineFailures"

	// AlarmTableThrottles is of calls that the table throttled, of whatever uses it. Default: [DefaultTableThrottles].
	AlarmTableThrottles AlarmName = "TableThrottles"

	// AlarmDeadLetters is of dead letters in the queue. Only with DeadLetters. It lasts until the queue is empty. Default:
	// [DefaultDeadLetters].
	AlarmDeadLetters AlarmName = "DeadLetters"

	// AlarmDeadLetterAge is of the age of the oldest dead letter, as a share of DeadLetters.Retention, in percent. Only with
	// DeadLetters. Default: [DefaultDeadLetterAge].
	AlarmDeadLetterAge AlarmName = "DeadLetterAge"

	// AlarmUndelivered is of dead letters and callbacks that could not be sent. Only with DeadLetters or Callback. Default:
	// [DefaultUndelivered].
	AlarmUndelivered AlarmName = "Undelivered"
)

// The thresholds, each with its reason.
const (
	// DefaultServerErrors is 5 percent. Retries hide the failures of an upstream that is well on the whole; what they cannot hide in one
	// request of twenty, callers feel.
	DefaultServerErrors = 5

	// DefaultClientErrors is 50 percent. Callers make mistakes one by one. When half of all requests are refused, it is for something
	// that they have in common: a credential that was revoked, a path that has moved, a limit that was lowered.
	DefaultClientErrors = 50

	// DefaultUnavailable is 3 in five minutes. One now and then is what is left over by the retries of the AWS SDK; three are a
	// condition: no room, no right, or a service of AWS that is down.
	DefaultUnavailable = 3

	// DefaultUpstreamFailing is 25 percent. An upstream that fails in one attempt of two is still answered for by retries, nearly always.
	DefaultUpstreamFailing = 25

	// DefaultCircuitOpen is 1. A circuit that closes again within five minutes has done its work; one that is open in two of three times
	// five minutes belongs to an upstream that is down. Requests that wait for it may be answered in the end, so that
	// AlarmUpstreamFailing says nothing of it.
	DefaultCircuitOpen = 1

	// DefaultOutcomesUnknown is 1. Each is a request of which nobody knows whether it was carried out, such as a payment, and which
	// somebody must look up at the upstream. Nothing else will.
	DefaultOutcomesUnknown = 1

	// DefaultFunctionErrors is 1. Gateway and proxies answer whatever happens; an error is a crash, no memory, or a timeout.
	DefaultFunctionErrors = 1

	// DefaultGatewayThrottles is 1. Lambda refuses the request itself, with a 429 that neither logs nor metrics of the construct know
	// of. Raise it where ReservedConcurrency.Gateway is meant to turn callers away.
	DefaultGatewayThrottles = 1

	// DefaultProxyThrottles is 10 in five minutes. A few are made up for by the state machine, which tries again; they cost time. Ten are
	// a lack of room, and the next step is AlarmUnavailable.
	DefaultProxyThrottles = 10

	// DefaultSlots is 80 percent. What is left serves a peak for minutes, which is what it takes to have a quota raised or callers slowed down.
	DefaultSlots = 80

	// DefaultStateMachineFailures is 1. Executions end with success whatever the upstream does; one that fails is a fault of the
	// construct, of its rights or of AWS.
	DefaultStateMachineFailures = 1

	// DefaultTableThrottles is 10 in five minutes. A table that is paid by request throttles while it grows and for keys that are hot;
	// single calls are repeated by the AWS SDK.
	DefaultTableThrottles = 10

	// DefaultDeadLetters is 1. Each is a request that somebody was promised an answer to.
	DefaultDeadLetters = 1

	// DefaultDeadLetterAge is 50 percent: with the default Retention, a week before the letter, and the request in the table, are gone.
	// AlarmDeadLetters has gone off once by then, and says nothing of letters that came later.
	DefaultDeadLetterAge = 50

	// DefaultUndelivered is 1. It is the last that anything says of such a request.
	DefaultUndelivered = 1
)

// runbook is where the description of each alarm leads, with the name of the alarm behind it in lower case.
const runbook = "https://github.com/retrying-api-proxy/retrying-api-proxy/blob/main/docs/operating.md#alarm-"

// How alarms are evaluated.
const (
	// alarmPeriod is the time whose sum, share or maximum is compared with a threshold.
	alarmPeriod = 5 * time.Minute

	// What shares and states want: so many periods out of so many.
	lastingPeriods   = 2
	evaluatedPeriods = 3

	// maxAlarmMetrics is how many metrics one alarm can look at.
	maxAlarmMetrics = 10

	// maxAlarmNameLength keeps the names of alarms below CloudWatch's 255 characters.
	maxAlarmNameLength = 128
)

// A watch is what an alarm is made of.
type watch struct {
	name      AlarmName
	threshold float64 // by default
	means     string  // with a full stop

	// lasting wants the threshold in two periods out of three.
	lasting bool

	// held keeps the state while there is nothing to count. Otherwise that is as if there were less than the threshold.
	held bool

	// metrics is how many metrics are paid for.
	metrics int

	metric func(*RetryingApiProxy) awscloudwatch.IMetric
}

// id is the part of the name that is the construct's own: that of the alarm whose threshold it goes by, without a number.
func (w watch) id() AlarmName {
	id, _, _ := strings.Cut(string(w.name), "-")
	return AlarmName(id)
}

// watches are the alarms that the props have a use for, none of them left out. It assumes props that have their defaults.
func (p RetryingApiProxyProps) watches() []watch {
	watches := []watch{
		{
			name: AlarmServerErrors, threshold: DefaultServerErrors, lasting: true, held: true, metrics: 2,
			means: "Percent of requests that callers are answered with 500 or above, by the upstream, the gateway or Lambda.",
			metric: func(r *RetryingApiProxy) awscloudwatch.IMetric {
				return share("5xx", r.MetricUrl5xx(nil), r.MetricUrlRequests(nil))
			},
		},
		{
			name: AlarmClientErrors, threshold: DefaultClientErrors, lasting: true, held: true, metrics: 2,
			means: "Percent of requests that callers are answered with 400 to 499. So many have a cause in common, such as a credential that the upstream no longer takes.",
			metric: func(r *RetryingApiProxy) awscloudwatch.IMetric {
				return share("4xx", r.MetricUrl4xx(nil), r.MetricUrlRequests(nil))
			},
		},
		{
			name: AlarmUnavailable, threshold: DefaultUnavailable, metrics: 1,
			means:  "Requests that could not be carried out for lack of room, rights or a service of AWS. The upstream has no part in it.",
			metric: func(r *RetryingApiProxy) awscloudwatch.IMetric { return r.MetricUnavailable(nil) },
		},
		{
			name: AlarmUpstreamFailing, threshold: DefaultUpstreamFailing, lasting: true, held: true, metrics: 2,
			means: "Percent of requests that were given up on: the upstream gave no final answer, however often it was asked.",
			metric: func(r *RetryingApiProxy) awscloudwatch.IMetric {
				return share("given up", r.MetricUpstreamFailed(nil), r.MetricRequests(nil))
			},
		},
		{
			name: AlarmOutcomesUnknown, threshold: DefaultOutcomesUnknown, metrics: 1,
			means:  "Requests that failed, and that the upstream may have carried out all the same. Somebody has to look them up there.",
			metric: func(r *RetryingApiProxy) awscloudwatch.IMetric { return r.MetricOutcomesUnknown(nil) },
		},
		{
			name: AlarmGatewayErrors, threshold: DefaultFunctionErrors, metrics: 1,
			means:  "Crashes and timeouts of the gateway. Callers are answered with 502 by Lambda.",
			metric: func(r *RetryingApiProxy) awscloudwatch.IMetric { return r.Gateway.MetricErrors(nil) },
		},
		{
			name: AlarmGatewayThrottles, threshold: DefaultGatewayThrottles, metrics: 1,
			means:  "Requests that Lambda refused with 429, because there was no room for the gateway. The logs know nothing of them.",
			metric: func(r *RetryingApiProxy) awscloudwatch.IMetric { return r.Gateway.MetricThrottles(nil) },
		},
		p.slotsWatch(),
		{
			name: AlarmTableThrottles, threshold: DefaultTableThrottles, metrics: 2,
			means: "Calls that the table throttled. Requests with an Idempotency-Key are slow or refused, and what is shared of the upstream's limits is not known.",
			metric: func(r *RetryingApiProxy) awscloudwatch.IMetric {
				return total("throttled calls", r.tableThrottles("ReadThrottleEvents"), r.tableThrottles("WriteThrottleEvents"))
			},
		},
	}
	watches = append(watches, p.machineWatch())
	watches = append(watches, p.proxyWatches(AlarmProxyErrors, DefaultFunctionErrors,
		"Crashes and timeouts of proxies. Each is an attempt whose answer nobody has seen.",
		func(proxy awslambda.Function) awscloudwatch.IMetric { return proxy.MetricErrors(nil) })...)
	watches = append(watches, p.proxyWatches(AlarmProxyThrottles, DefaultProxyThrottles,
		"Attempts that Lambda refused, because there was no room for the proxy. They are made again, later.",
		func(proxy awslambda.Function) awscloudwatch.IMetric { return proxy.MetricThrottles(nil) })...)
	if !p.CircuitBreaker.Disabled {
		watches = append(watches, watch{
			name: AlarmCircuitOpen, threshold: DefaultCircuitOpen, lasting: true, metrics: 1,
			means:  "Nearly all calls of the upstream fail. One at a time tries, and the other requests wait or are turned away.",
			metric: func(r *RetryingApiProxy) awscloudwatch.IMetric { return r.MetricCircuitState(nil) },
		})
	}
	if p.DeadLetters != nil {
		retention := p.DeadLetters.Retention.Seconds()
		watches = append(watches, watch{
			name: AlarmDeadLetters, threshold: DefaultDeadLetters, metrics: 1,
			means: "Dead letters in the queue: asynchronous requests that failed, and that wait for somebody to send them again.",
			metric: func(r *RetryingApiProxy) awscloudwatch.IMetric {
				return r.DeadLetterQueue.MetricApproximateNumberOfMessagesVisible(nil)
			},
		}, watch{
			name: AlarmDeadLetterAge, threshold: DefaultDeadLetterAge, metrics: 1,
			means: "Age of the oldest dead letter, in percent of the time after which it is deleted, and its request with it.",
			metric: func(r *RetryingApiProxy) awscloudwatch.IMetric {
				return percent("age", retention, r.DeadLetterQueue.MetricApproximateAgeOfOldestMessage(nil))
			},
		})
	}
	if len(untoldStates(p)) > 0 {
		watches = append(watches, watch{
			name: AlarmUndelivered, threshold: DefaultUndelivered, metrics: 1,
			means:  "Dead letters and callbacks that could not be sent for minutes. The table has what is known of the requests.",
			metric: func(r *RetryingApiProxy) awscloudwatch.IMetric { return r.MetricUndelivered(nil) },
		})
	}
	slices.SortFunc(watches, func(a, b watch) int { return strings.Compare(string(a.name), string(b.name)) })
	return watches
}

// slotsWatch looks at the concurrency that the gateway has, or at that which all functions share.
func (p RetryingApiProxyProps) slotsWatch() watch {
	w := watch{name: AlarmSlots, threshold: DefaultSlots, lasting: true, metrics: 1}
	if slots := p.ReservedConcurrency.Gateway; slots > 0 {
		w.means = fmt.Sprintf("Percent of the %d requests that have room in the gateway, by ReservedConcurrency.Gateway. Lambda answers more with 429.", slots)
		w.metric = func(r *RetryingApiProxy) awscloudwatch.IMetric {
			return percent("slots", float64(slots), r.MetricSlots(nil))
		}
		return w
	}
	slots := p.Alarms.accountConcurrency()
	w.means = fmt.Sprintf("Percent of the %d concurrent executions that all functions of the account share in the region. Without room, callers are answered with 429, and attempts are not made.", slots)
	w.metric = func(r *RetryingApiProxy) awscloudwatch.IMetric {
		return percent("slots", float64(slots), awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
			Namespace: jsii.String(lambdaNamespace), MetricName: jsii.String(concurrentExecutions), Statistic: awscloudwatch.Stats_MAXIMUM(),
		}))
	}
	return w
}

// machineWatch looks at the state machines.
func (p RetryingApiProxyProps) machineWatch() watch {
	w := watch{
		name: AlarmStateMachineFailures, threshold: DefaultStateMachineFailures, metrics: 2,
		means: "Executions that failed or timed out, which is none of the upstream's doing.",
		metric: func(r *RetryingApiProxy) awscloudwatch.IMetric {
			failures := []awscloudwatch.IMetric{r.StateMachine.MetricFailed(nil), r.StateMachine.MetricTimedOut(nil)}
			if r.AsyncStateMachine != nil {
				failures = append(failures, r.AsyncStateMachine.MetricFailed(nil), r.AsyncStateMachine.MetricTimedOut(nil))
			}
			return total("failures", failures...)
		},
	}
	if p.Async != nil {
		w.metrics = 4
	}
	return w
}

// proxyWatches look at all proxies together, as many as one alarm can at a time.
func (p RetryingApiProxyProps) proxyWatches(name AlarmName, threshold float64, means string, metric func(awslambda.Function) awscloudwatch.IMetric) []watch {
	var watches []watch
	for first := 0; first < p.ProxyCount; first += maxAlarmMetrics {
		w := watch{name: name, threshold: threshold, means: means, metrics: min(maxAlarmMetrics, p.ProxyCount-first)}
		if first > 0 {
			w.name += AlarmName(fmt.Sprintf("-%d", first/maxAlarmMetrics+1))
		}
		w.metric = func(r *RetryingApiProxy) awscloudwatch.IMetric {
			var of []awscloudwatch.IMetric
			for _, proxy := range r.Proxies[first : first+w.metrics] {
				of = append(of, metric(proxy))
			}
			return total("all proxies", of...)
		}
		watches = append(watches, w)
	}
	return watches
}

// share is how many of all a part is, in percent. There is none while there is nothing at all.
func share(label string, part, all awscloudwatch.IMetric) awscloudwatch.IMetric {
	return calculated(label+" %", "100 * FILL(part, 0) / whole", map[string]awscloudwatch.IMetric{"part": part, "whole": all})
}

// percent is how much of something that is known is taken.
func percent(label string, whole float64, part awscloudwatch.IMetric) awscloudwatch.IMetric {
	return calculated(label+" %", fmt.Sprintf("100 * part / %.0f", whole), map[string]awscloudwatch.IMetric{"part": part})
}

// total is the sum of some metrics, of which any may have no value.
func total(label string, parts ...awscloudwatch.IMetric) awscloudwatch.IMetric {
	if len(parts) == 1 {
		return parts[0]
	}
	named := map[string]awscloudwatch.IMetric{}
	var terms []string
	for i, part := range parts {
		name := fmt.Sprintf("m%d", i+1)
		named[name] = part
		terms = append(terms, "FILL("+name+", 0)")
	}
	return calculated(label, strings.Join(terms, " + "), named)
}

func calculated(label, expression string, of map[string]awscloudwatch.IMetric) awscloudwatch.IMetric {
	return awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
		Expression: &expression, Label: &label, UsingMetrics: &of, Period: seconds(alarmPeriod),
	})
}

// accountConcurrency is that of the account, as far as it is told.
func (a *Alarms) accountConcurrency() int {
	if a == nil || a.AccountConcurrency == 0 {
		return DefaultAccountConcurrency
	}
	return a.AccountConcurrency
}

// alarmed are the watches of which there are alarms, with their thresholds.
func (p RetryingApiProxyProps) alarmed() []watch {
	if p.Alarms == nil {
		return nil
	}
	watches := slices.DeleteFunc(p.watches(), func(w watch) bool { return slices.Contains(p.Alarms.Omit, w.id()) })
	for i, w := range watches {
		if threshold, isSaid := p.Alarms.Thresholds[w.id()]; isSaid {
			watches[i].threshold = threshold
		}
	}
	return watches
}

// newAlarms creates the alarms.
func newAlarms(r *RetryingApiProxy, props RetryingApiProxyProps) map[AlarmName]awscloudwatch.Alarm {
	actions := slices.Clone(props.Alarms.Actions)
	if props.Alarms.Topic != nil {
		actions = append(actions, awscloudwatchactions.NewSnsAction(props.Alarms.Topic))
	}
	unique := *awscdk.Names_UniqueResourceName(r, &awscdk.UniqueResourceNameOptions{
		MaxLength: jsii.Number(maxAlarmNameLength),
		Separator: jsii.String("-"),
	})
	scope := constructs.NewConstruct(r, jsii.String("Alarms"))
	alarms := map[AlarmName]awscloudwatch.Alarm{}
	for _, w := range props.alarmed() {
		own := &awscloudwatch.AlarmProps{
			AlarmName:          jsii.String(unique + "-" + string(w.name)),
			AlarmDescription:   jsii.String(w.means + " What to do: " + runbook + strings.ToLower(string(w.id()))),
			Metric:             w.metric(r),
			Threshold:          &w.threshold,
			ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
			EvaluationPeriods:  jsii.Number(1),
			DatapointsToAlarm:  jsii.Number(1),
			TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING,
		}
		if w.lasting {
			own.EvaluationPeriods, own.DatapointsToAlarm = jsii.Number(evaluatedPeriods), jsii.Number(lastingPeriods)
		}
		if w.held {
			own.TreatMissingData = awscloudwatch.TreatMissingData_IGNORE
		}
		alarm := awscloudwatch.NewAlarm(scope, jsii.String(string(w.name)), own)
		if len(actions) > 0 {
			alarm.AddAlarmAction(actions...)
			alarm.AddOkAction(actions...)
		}
		alarms[w.name] = alarm
	}
	return alarms
}

// allAlarms are the names that there are, whatever the props.
var allAlarms = []AlarmName{
	AlarmCircuitOpen, AlarmClientErrors, AlarmDeadLetterAge, AlarmDeadLetters, AlarmGatewayErrors, AlarmGatewayThrottles, AlarmOutcomesUnknown,
	AlarmProxyErrors, AlarmProxyThrottles, AlarmServerErrors, AlarmSlots, AlarmStateMachineFailures, AlarmTableThrottles, AlarmUnavailable,
	AlarmUndelivered, AlarmUpstreamFailing,
}

// validateMonitoring checks the alarms, and that what is looked at is there. It assumes props that have their defaults.
func (p RetryingApiProxyProps) validateMonitoring() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if p.OmitMetrics && p.Alarms != nil {
		problem("OmitMetrics is set, and Alarms is too, which would have nothing to look at; leave one of them out")
	}
	if p.OmitMetrics && p.Dashboard != nil {
		problem("OmitMetrics is set, and Dashboard is too, which would have nothing to show; leave one of them out")
	}
	if d := p.Dashboard; d != nil && d.Name != "" && !isToken(d.Name) && !isDashboardName(d.Name) {
		problem("Dashboard.Name is %q; give up to %d letters, digits, - and _, or leave it out for one that is unique", d.Name, maxDashboardNameLength)
	}
	if p.Alarms == nil {
		return errors.Join(problems...)
	}
	var names []string
	for _, name := range allAlarms {
		names = append(names, string(name))
	}
	known := strings.Join(names, ", ")
	for _, name := range p.Alarms.Omit {
		if !slices.Contains(allAlarms, name) {
			problem("Alarms.Omit has %q; give some of %s", name, known)
		}
	}
	watches := p.watches()
	for _, name := range slices.Sorted(maps.Keys(p.Alarms.Thresholds)) {
		at := slices.IndexFunc(watches, func(w watch) bool { return w.name == name })
		switch threshold := p.Alarms.Thresholds[name]; {
		case !slices.Contains(allAlarms, name):
			problem("Alarms.Thresholds has %q; give some of %s", name, known)
		case slices.Contains(p.Alarms.Omit, name):
			problem("Alarms.Thresholds has %s, and Alarms.Omit too; leave one of them out", name)
		case at < 0:
			problem("Alarms.Thresholds has %s, and with these props there is no such alarm; leave it out", name)
		case !(threshold > 0):
			problem("Alarms.Thresholds[%s] is %v; give more than 0, or name it in Alarms.Omit", name, threshold)
		case name == AlarmCircuitOpen && threshold > 1:
			problem("Alarms.Thresholds[%s] is %v, which a circuit never is; give more than 0, up to 1", name, threshold)
		case isShare(name) && threshold > 100:
			problem("Alarms.Thresholds[%s] is %v percent; give more than 0, up to 100", name, threshold)
		}
	}
	if p.Alarms.AccountConcurrency < 0 {
		problem("Alarms.AccountConcurrency is %d; give 1 or more, or 0 for the default of %d", p.Alarms.AccountConcurrency, DefaultAccountConcurrency)
	}
	if p.Alarms.AccountConcurrency > 0 && p.ReservedConcurrency.Gateway > 0 {
		problem("Alarms.AccountConcurrency is %d, and nothing reads it, because ReservedConcurrency.Gateway is %d; leave it out",
			p.Alarms.AccountConcurrency, p.ReservedConcurrency.Gateway)
	}
	return errors.Join(problems...)
}

// isShare says whether the threshold of an alarm is in percent.
func isShare(name AlarmName) bool {
	return slices.Contains([]AlarmName{AlarmServerErrors, AlarmClientErrors, AlarmUpstreamFailing, AlarmSlots, AlarmDeadLetterAge}, name)
}
