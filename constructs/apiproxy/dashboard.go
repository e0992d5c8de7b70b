package apiproxy

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/aws-cdk-go/awscdk/v2/interfaces/interfacesawscloudwatch"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// Dashboard shows what a RetryingApiProxy does, on a page of CloudWatch: the state of its Alarms if it has some, requests and how they
// ended, attempts and limits by proxy, times and waits, concurrency, the gate, and what Lambda, Step Functions, DynamoDB and SQS say.
// It costs $3 a month, unless it is one of the first three of the account (list price), and is one resource of the stack.
// [RetryingApiProxy.DashboardWidgets] are the same for a dashboard of one's own.
type Dashboard struct {
	// Name is how the page is called: letters, digits, - and _. Default: the ids of stack and construct, with a hash of them.
	Name string
}

// maxDashboardNameLength is CloudWatch's limit.
const maxDashboardNameLength = 255

// isDashboardName says whether CloudWatch takes a name.
func isDashboardName(name string) bool {
	return len(name) <= maxDashboardNameLength && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	})
}

// newDashboard creates the dashboard.
func newDashboard(r *RetryingApiProxy, props RetryingApiProxyProps) awscloudwatch.Dashboard {
	name := &props.Dashboard.Name
	if *name == "" {
		name = awscdk.Names_UniqueResourceName(r, &awscdk.UniqueResourceNameOptions{
			MaxLength: jsii.Number(maxDashboardNameLength),
			Separator: jsii.String("-"),
		})
	}
	var rows []*[]awscloudwatch.IWidget
	for _, row := range r.DashboardWidgets() {
		rows = append(rows, &row)
	}
	return awscloudwatch.NewDashboard(r, jsii.String("Dashboard"), &awscloudwatch.DashboardProps{DashboardName: name, Widgets: &rows})
}

// The widths of widgets, of which a row has 24.
const (
	rowWidth    = 24
	widgetWidth = 8
)

// DashboardWidgets are what the Dashboard shows, row by row, for a dashboard that shows other things, too:
//
//	for _, row := range proxy.DashboardWidgets() {
//		dashboard.AddWidgets(row...)
//	}
//
// It panics with OmitMetrics.
func (r *RetryingApiProxy) DashboardWidgets() [][]awscloudwatch.IWidget {
	var rows [][]awscloudwatch.IWidget
	if len(r.Alarms) > 0 {
		var alarms []interfacesawscloudwatch.IAlarmRef
		for _, name := range slices.Sorted(maps.Keys(r.Alarms)) {
			alarms = append(alarms, r.Alarms[name])
		}
		rows = append(rows, []awscloudwatch.IWidget{awscloudwatch.NewAlarmStatusWidget(&awscloudwatch.AlarmStatusWidgetProps{
			Title: jsii.String("Alarms"), Alarms: &alarms, Width: jsii.Number(rowWidth),
		})})
	}
	rows = append(rows, []awscloudwatch.IWidget{
		graph("Requests", r.MetricRequests(nil), r.MetricUpstreamFailed(nil), r.MetricUnavailable(nil), r.MetricDeadlinesExceeded(nil), r.MetricOutcomesUnknown(nil)),
		graph("Requests without attempts", r.MetricReplays(nil), r.MetricConflicts(nil), r.MetricRefused(nil)),
		graph("Answers of the URL", r.MetricUrlRequests(nil), r.MetricUrl4xx(nil), r.MetricUrl5xx(nil)),
	}, []awscloudwatch.IWidget{
		stacked("Attempts by proxy", r.ofEachProxy(r.MetricAttemptsOf)),
		stacked("Attempts that were not the first", r.ofEachProxy(r.MetricRetriesOf)),
		stacked("Attempts that were refused for a limit; addresses", r.ofEachProxy(r.MetricRateLimitsOf), r.MetricAddresses(nil)),
	}, []awscloudwatch.IWidget{
		graph("Time of requests (ms)", as("p50", r.MetricRequestTime), as("p90", r.MetricRequestTime), as("p99", r.MetricRequestTime)),
		graph("Time of attempts (ms)", as("p50", r.MetricAttemptTime), as("p90", r.MetricAttemptTime), as("p99", r.MetricAttemptTime)),
		graph("Waits between attempts (ms)", as("Average", r.MetricRetryWait), as("Maximum", r.MetricRetryWait)),
	}, []awscloudwatch.IWidget{
		graph("Slots", append([]awscloudwatch.IMetric{r.MetricSlots(labelled("gateway"))}, r.ofEachProxy(r.MetricSlotsOf)...)...),
		graph("Throttles", r.ofEachFunction(awslambda.Function.MetricThrottles)...),
		graph("Crashes and timeouts", r.ofEachFunction(awslambda.Function.MetricErrors)...),
	})
	if !r.gate.Idle() {
		row := []awscloudwatch.IWidget{
			graph("Waits at the gate (ms)", as("Average", r.MetricGateWait), as("Maximum", r.MetricGateWait)),
			graph("Turned away at the gate; rate per second", r.MetricGateRefused(nil), r.MetricGateRate(nil)),
		}
		if !r.gate.CircuitBreaker.Disabled {
			row = append(row, graph("Circuit (1: open)", r.MetricCircuitState(nil)))
		}
		rows = append(rows, row)
	}
	rows = append(rows, []awscloudwatch.IWidget{
		executions("Executions", r.StateMachine),
		graph("Given up on", r.MetricFailed(labelled("all requests"))),
		graph("Throttles of the table", r.tableThrottles("ReadThrottleEvents"), r.tableThrottles("WriteThrottleEvents")),
	})
	if r.AsyncStateMachine != nil {
		row := []awscloudwatch.IWidget{executions("Executions of asynchronous requests", r.AsyncStateMachine)}
		if r.DeadLetterQueue != nil {
			row = append(row, awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{
				Title: jsii.String("Dead letters; age of the oldest (s)"), Width: jsii.Number(widgetWidth),
				Left:  &[]awscloudwatch.IMetric{r.DeadLetterQueue.MetricApproximateNumberOfMessagesVisible(nil)},
				Right: &[]awscloudwatch.IMetric{r.DeadLetterQueue.MetricApproximateAgeOfOldestMessage(nil)},
			}))
		}
		if r.undelivered != nil {
			row = append(row, graph("Letters and callbacks that could not be sent", r.MetricUndelivered(labelled("undelivered"))))
		}
		rows = append(rows, row)
	}
	return rows
}

// graph shows some metrics.
func graph(title string, metrics ...awscloudwatch.IMetric) awscloudwatch.IWidget {
	return awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{Title: &title, Width: jsii.Number(widgetWidth), Left: &metrics})
}

// stacked shows some metrics one above the other, and others on an axis of their own.
func stacked(title string, metrics []awscloudwatch.IMetric, beside ...awscloudwatch.IMetric) awscloudwatch.IWidget {
	return awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{
		Title: &title, Width: jsii.Number(widgetWidth), Left: &metrics, Right: &beside, Stacked: jsii.Bool(true),
	})
}

// executions shows what became of those of a state machine.
func executions(title string, machine awsstepfunctions.StateMachine) awscloudwatch.IWidget {
	return graph(title, machine.MetricStarted(nil), machine.MetricSucceeded(nil), machine.MetricFailed(nil), machine.MetricTimedOut(nil), machine.MetricAborted(nil))
}

// as is a metric with another statistic, which it is labelled with.
func as(statistic string, metric func(*awscloudwatch.MetricOptions) awscloudwatch.Metric) awscloudwatch.IMetric {
	return metric(&awscloudwatch.MetricOptions{Statistic: &statistic, Label: &statistic})
}

func labelled(label string) *awscloudwatch.MetricOptions {
	return &awscloudwatch.MetricOptions{Label: &label}
}

// ofEachProxy is a metric of all proxies, each with its name.
func (r *RetryingApiProxy) ofEachProxy(metric func(int, *awscloudwatch.MetricOptions) awscloudwatch.Metric) []awscloudwatch.IMetric {
	var metrics []awscloudwatch.IMetric
	for i := range r.Proxies {
		metrics = append(metrics, metric(i+1, labelled(message.ProxyName(i+1))))
	}
	return metrics
}

// ofEachFunction is a metric of gateway and proxies, each with its name.
func (r *RetryingApiProxy) ofEachFunction(metric func(awslambda.Function, *awscloudwatch.MetricOptions) awscloudwatch.Metric) []awscloudwatch.IMetric {
	metrics := []awscloudwatch.IMetric{metric(r.Gateway, labelled("gateway"))}
	for i, proxy := range r.Proxies {
		metrics = append(metrics, metric(proxy, labelled(message.ProxyName(i+1))))
	}
	return metrics
}
