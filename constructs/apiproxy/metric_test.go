//go:build !race

package apiproxy_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

func TestRequestsThatWereGivenUpAreCountedFromTheLogOfTheStateMachine(t *testing.T) {
	names := map[string]string{}
	forEachVariant(t, func(t *testing.T, template template) {
		filters := slices.DeleteFunc(template.ofType("AWS::Logs::MetricFilter"), func(r *resource) bool {
			return strings.Contains(r.at("FilterPattern").(string), "PassStateEntered") // of those who are not told
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

// metricNames are the metrics of functions/message/metric.go, by the names of their constants.
func metricNames(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(gotoken.NewFileSet(), "../../functions/message/metric.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, isSpec := node.(*ast.ValueSpec)
		if !isSpec {
			return true
		}
		for i, name := range spec.Names {
			if name.Name == "MetricNamespace" || strings.HasSuffix(name.Name, "Dimension") {
				continue
			}
			text, err := strconv.Unquote(spec.Values[i].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			names[name.Name] = text
		}
		return true
	})
	return names
}

// ofMetric calls a method for a metric by its name.
func ofMetric(proxy *apiproxy.RetryingApiProxy, method string) awscloudwatch.Metric {
	none := reflect.Zero(reflect.TypeFor[*awscloudwatch.MetricOptions]())
	arguments := []reflect.Value{none}
	if strings.HasSuffix(method, "Of") {
		arguments = []reflect.Value{reflect.ValueOf(2), none}
	}
	return reflect.ValueOf(proxy).MethodByName(method).Call(arguments)[0].Interface().(awscloudwatch.Metric)
}

func TestThereIsAMethodForEachMetricThatTheFunctionsTellOf(t *testing.T) {
	app := newApp(nothingBundled)
	proxy := apiproxy.NewRetryingApiProxy(awscdk.NewStack(app, jsii.String("Told"), nil), jsii.String("Orders"), minimal())
	names := metricNames(t)
	if len(names) != 19 {
		t.Errorf("there are %d metrics: %v", len(names), names)
	}
	for constant, name := range names {
		metric := ofMetric(proxy, constant)
		if *metric.Namespace() != "RetryingApiProxy" || *metric.MetricName() != name {
			t.Errorf("%s is %s of %s, want %s", constant, *metric.MetricName(), *metric.Namespace(), name)
		}
		dimensions := *metric.Dimensions()
		if len(dimensions) != 2 || dimensions["RecordPrefix"] != "Orders" || dimensions["TableName"] == nil {
			t.Errorf("%s has the dimensions %v", constant, dimensions)
		}
	}
	for _, name := range []string{"Attempts", "Retries", "RateLimits"} {
		metric := ofMetric(proxy, "Metric"+name+"Of")
		dimensions := *metric.Dimensions()
		if *metric.MetricName() != name || len(dimensions) != 3 || dimensions["Proxy"] != "proxy-2" {
			t.Errorf("Metric%sOf is %s with %v", name, *metric.MetricName(), dimensions)
		}
	}
}

func TestTheStatisticOfAMetricSuitsIt(t *testing.T) {
	app := newApp(nothingBundled)
	props := minimal()
	props.Async, props.DeadLetters = &apiproxy.Async{}, &apiproxy.DeadLetters{}
	proxy := apiproxy.NewRetryingApiProxy(awscdk.NewStack(app, jsii.String("Statistics"), nil), jsii.String("Orders"), props)
	others := map[string]string{
		"MetricRequestTime": "p99", "MetricAttemptTime": "p99", "MetricRetryWait": "Average", "MetricGateWait": "Average", "MetricGateRate": "Average",
		"MetricAddresses": "Maximum", "MetricCircuitState": "Maximum", "MetricSlots": "Maximum", "MetricSlotsOf": "Maximum",
	}
	for method := range reflect.TypeOf(proxy).Methods() {
		if !strings.HasPrefix(method.Name, "Metric") {
			continue
		}
		want := others[method.Name]
		if want == "" {
			want = "Sum"
		}
		if got := *ofMetric(proxy, method.Name).Statistic(); got != want {
			t.Errorf("the statistic of %s is %s, want %s", method.Name, got, want)
		}
	}
	median := proxy.MetricRequestTime(&awscloudwatch.MetricOptions{Statistic: jsii.String("p50"), Label: jsii.String("median")})
	if *median.Statistic() != "p50" || *median.Label() != "median" {
		t.Errorf("props do not count: %s, %s", *median.Statistic(), *median.Label())
	}
}

func TestMetricsOfLambdaAreThoseOfTheFunctionsThatTheyAreOf(t *testing.T) {
	app := newApp(nothingBundled)
	stack := awscdk.NewStack(app, jsii.String("Lambda"), nil)
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), minimal())
	for method, name := range map[string]string{
		"MetricUrlRequests": "UrlRequestCount", "MetricUrl4xx": "Url4xxCount", "MetricUrl5xx": "Url5xxCount",
		"MetricSlots": "ConcurrentExecutions", "MetricSlotsOf": "ConcurrentExecutions",
	} {
		function := proxy.Gateway
		if method == "MetricSlotsOf" {
			function = proxy.Proxies[1]
		}
		metric := ofMetric(proxy, method)
		dimensions := *metric.Dimensions()
		if *metric.Namespace() != "AWS/Lambda" || *metric.MetricName() != name || len(dimensions) != 1 ||
			flat(stack.Resolve(dimensions["FunctionName"])) != flat(stack.Resolve(function.FunctionName())) {
			t.Errorf("%s is %s of %s, by %v", method, *metric.MetricName(), *metric.Namespace(), dimensions)
		}
	}
}

func TestTheDocumentationListsEachMetric(t *testing.T) {
	var documented []string
	for _, row := range tableUnder(t, "monitoring.md", "Metrics of the functions") {
		documented = append(documented, "Metric"+strings.Trim(row[0], "`"))
	}
	slices.Sort(documented)
	if difference := cmp.Diff(slices.Sorted(maps.Keys(metricNames(t))), documented); difference != "" {
		t.Errorf("the metrics of the functions (-constants +documentation):\n%s", difference)
	}
	for _, row := range tableUnder(t, "monitoring.md", "Other metrics") {
		documented = append(documented, strings.Trim(row[0], "`"))
	}
	var methods []string
	for method := range reflect.TypeFor[*apiproxy.RetryingApiProxy]().Methods() {
		if strings.HasPrefix(method.Name, "Metric") {
			methods = append(methods, method.Name)
		}
	}
	slices.Sort(documented)
	if difference := cmp.Diff(methods, documented); difference != "" {
		t.Errorf("the methods for metrics (-methods +documentation):\n%s", difference)
	}
}

func TestAMetricThatIsNotThereIsRefusedWithTheReason(t *testing.T) {
	app := newApp(nothingBundled)
	stack := awscdk.NewStack(app, jsii.String("Refused"), nil)
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), minimal())
	without := minimal()
	without.OmitMetrics = true
	silent := apiproxy.NewRetryingApiProxy(stack, jsii.String("Silent"), without)
	for name, c := range map[string]struct {
		call func()
		want string
	}{
		"no such proxy": {func() { proxy.MetricRateLimitsOf(4, nil) }, "there is no proxy-4; give 1 to 3"},
		"number zero":   {func() { proxy.MetricSlotsOf(0, nil) }, "there is no proxy-0; give 1 to 3"},
		"no metrics":    {func() { silent.MetricRequests(nil) }, "MetricRequests is told of by the functions, and they tell of no metrics; leave OmitMetrics out"},
		"nor of one":    {func() { silent.MetricAttemptsOf(1, nil) }, "MetricAttempts is told of by the functions, and they tell of no metrics; leave OmitMetrics out"},
		"nor a page":    {func() { silent.DashboardWidgets() }, "leave OmitMetrics out"},
	} {
		if got := panicOf(t, c.call); !strings.Contains(got, c.want) {
			t.Errorf("%s: it says %q, want %q", name, got, c.want)
		}
	}
	silent.MetricFailed(nil) // counted from the log of the state machine
	silent.MetricUrl5xx(nil) // Lambda's
}

func TestWithoutMetricsTheFunctionsAreToldSo(t *testing.T) {
	for _, function := range variants()["WithoutMetrics"].functions() {
		if got := environment(function)["METRICS"]; got != "off" {
			t.Errorf("%s is told %q, want off", function.name(), got)
		}
	}
	for _, function := range variants()["Minimal"].functions() {
		if got, isTold := environment(function)["METRICS"]; isTold {
			t.Errorf("%s is told %q", function.name(), got)
		}
	}
}
