//go:build !race

package apiproxy_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// alarms are those of a template, by their names without that of the construct.
func (t template) alarms() map[string]*resource {
	alarms := map[string]*resource{}
	for _, alarm := range t.ofType("AWS::CloudWatch::Alarm") {
		name := alarm.at("AlarmName").(string)
		// Monitored-Orders-0123ABCD-ProxyErrors-2
		parts := strings.SplitN(name[strings.Index(name, "Orders-"):], "-", 3)
		alarms[parts[2]] = alarm
	}
	return alarms
}

// looked are the metrics that an alarm looks at, and is paid for.
func looked(alarm *resource) []any {
	if alarm.at("MetricName") != nil {
		return []any{alarm.Properties}
	}
	var metrics []any
	for _, query := range alarm.at("Metrics").([]any) {
		if stat := at(query, "MetricStat"); stat != nil {
			metrics = append(metrics, stat)
		}
	}
	return metrics
}

// when says when an alarm goes off.
func when(alarm *resource) string {
	return fmt.Sprintf(">= %v, %v of %v, %v", alarm.at("Threshold"), alarm.at("DatapointsToAlarm"), alarm.at("EvaluationPeriods"), alarm.at("TreatMissingData"))
}

func TestEachAlarmGoesOffWhenItShould(t *testing.T) {
	want := map[string]string{
		"CircuitOpen":          ">= 1, 2 of 3, notBreaching",
		"ClientErrors":         ">= 50, 2 of 3, ignore",
		"DeadLetterAge":        ">= 50, 1 of 1, notBreaching",
		"DeadLetters":          ">= 1, 1 of 1, notBreaching",
		"GatewayErrors":        ">= 1, 1 of 1, notBreaching",
		"GatewayThrottles":     ">= 1, 1 of 1, notBreaching",
		"OutcomesUnknown":      ">= 1, 1 of 1, notBreaching",
		"ProxyErrors":          ">= 1, 1 of 1, notBreaching",
		"ProxyErrors-2":        ">= 1, 1 of 1, notBreaching",
		"ProxyThrottles":       ">= 10, 1 of 1, notBreaching",
		"ProxyThrottles-2":     ">= 10, 1 of 1, notBreaching",
		"ServerErrors":         ">= 5, 2 of 3, ignore",
		"Slots":                ">= 80, 2 of 3, notBreaching",
		"StateMachineFailures": ">= 1, 1 of 1, notBreaching",
		"TableThrottles":       ">= 10, 1 of 1, notBreaching",
		"Unavailable":          ">= 3, 1 of 1, notBreaching",
		"Undelivered":          ">= 1, 1 of 1, notBreaching",
		"UpstreamFailing":      ">= 25, 2 of 3, ignore",
	}
	got := map[string]string{}
	for name, alarm := range variants()["Monitored"].alarms() {
		got[name] = when(alarm)
		if alarm.at("ComparisonOperator") != "GreaterThanOrEqualToThreshold" {
			t.Errorf("%s compares with %v", name, alarm.at("ComparisonOperator"))
		}
		if alarm.at("MetricName") != nil && alarm.number("Period") != 300 {
			t.Errorf("%s has a period of %v", name, alarm.at("Period"))
		}
		for _, metric := range looked(alarm) {
			if alarm.at("MetricName") == nil && at(metric, "Period") != 300.0 {
				t.Errorf("%s looks at %v", name, metric)
			}
		}
	}
	if difference := cmp.Diff(want, got); difference != "" {
		t.Errorf("when alarms go off (-want +got):\n%s", difference)
	}
}

// what writes the metric of an alarm: its expression, with metrics in the places of their ids.
func what(t template, alarm *resource) string {
	write := func(metric any) string {
		of := at(metric, "Metric")
		if of == nil {
			of = metric
		}
		var dimensions []string
		list, _ := at(of, "Dimensions").([]any)
		for _, dimension := range list {
			dimensions = append(dimensions, fmt.Sprintf("%v", at(dimension, "Name")))
		}
		statistic := at(metric, "Stat")
		if statistic == nil {
			statistic = at(metric, "Statistic")
		}
		return fmt.Sprintf("%v(%v %v by %s)", statistic, at(of, "Namespace"), at(of, "MetricName"), strings.Join(dimensions, " "))
	}
	if alarm.at("MetricName") != nil {
		return write(alarm.Properties)
	}
	expression := ""
	var replacements []string
	for _, query := range alarm.at("Metrics").([]any) {
		if text, isExpression := at(query, "Expression").(string); isExpression {
			expression = text
		} else {
			replacements = append(replacements, at(query, "Id").(string), write(at(query, "MetricStat")))
		}
	}
	return strings.NewReplacer(replacements...).Replace(expression)
}

func TestEachAlarmLooksAtWhatItIsOf(t *testing.T) {
	const ours = "RetryingApiProxy "
	want := map[string]string{
		"CircuitOpen":  "Maximum(" + ours + "CircuitState by RecordPrefix TableName)",
		"ClientErrors": "100 * FILL(Sum(AWS/Lambda Url4xxCount by FunctionName), 0) / Sum(AWS/Lambda UrlRequestCount by FunctionName)",
		// A letter is kept for 14 days.
		"DeadLetterAge":    "100 * Maximum(AWS/SQS ApproximateAgeOfOldestMessage by QueueName) / 1209600",
		"DeadLetters":      "Maximum(AWS/SQS ApproximateNumberOfMessagesVisible by QueueName)",
		"GatewayErrors":    "Sum(AWS/Lambda Errors by FunctionName)",
		"GatewayThrottles": "Sum(AWS/Lambda Throttles by FunctionName)",
		"OutcomesUnknown":  "Sum(" + ours + "OutcomesUnknown by RecordPrefix TableName)",
		"ServerErrors":     "100 * FILL(Sum(AWS/Lambda Url5xxCount by FunctionName), 0) / Sum(AWS/Lambda UrlRequestCount by FunctionName)",
		"Slots":            "100 * Maximum(AWS/Lambda ConcurrentExecutions by ) / 1000",
		"StateMachineFailures": "FILL(Sum(AWS/States ExecutionsFailed by StateMachineArn), 0) + FILL(Sum(AWS/States ExecutionsTimedOut by StateMachineArn), 0) + " +
			"FILL(Sum(AWS/States ExecutionsFailed by StateMachineArn), 0) + FILL(Sum(AWS/States ExecutionsTimedOut by StateMachineArn), 0)",
		"TableThrottles":  "FILL(Sum(AWS/DynamoDB ReadThrottleEvents by TableName), 0) + FILL(Sum(AWS/DynamoDB WriteThrottleEvents by TableName), 0)",
		"Unavailable":     "Sum(" + ours + "Unavailable by RecordPrefix TableName)",
		"UpstreamFailing": "100 * FILL(Sum(" + ours + "UpstreamFailed by RecordPrefix TableName), 0) / Sum(" + ours + "Requests by RecordPrefix TableName)",
	}
	template := variants()["Monitored"]
	got := map[string]string{}
	for name, alarm := range template.alarms() {
		if strings.HasPrefix(name, "Proxy") || name == "Undelivered" { // of tests of their own
			continue
		}
		got[name] = what(template, alarm)
	}
	if difference := cmp.Diff(want, got); difference != "" {
		t.Errorf("what alarms look at (-want +got):\n%s", difference)
	}
	undelivered := variants()["Monitored"].alarms()["Undelivered"]
	if name := undelivered.at("MetricName").(string); !strings.HasPrefix(name, "Monitored-Orders-") || !strings.HasSuffix(name, "-Undelivered") {
		t.Errorf("the alarm of what was not delivered looks at %s", name)
	}
}

// CloudWatch takes ten metrics at most.
func TestAlarmsOfProxiesLookAtEachOfThemOnce(t *testing.T) {
	template := variants()["Monitored"]
	alarms := template.alarms()
	for kind, metric := range map[string]string{"ProxyErrors": "Errors", "ProxyThrottles": "Throttles"} {
		var seen []string
		for _, name := range []string{kind, kind + "-2"} {
			metrics := looked(alarms[name])
			if len(metrics) != 10 {
				t.Errorf("%s looks at %d metrics, want 10", name, len(metrics))
			}
			for _, m := range metrics {
				if at(m, "Metric", "MetricName") != metric || at(m, "Stat") != "Sum" {
					t.Errorf("%s looks at %v", name, m)
				}
				dimension := at(m, "Metric", "Dimensions").([]any)[0]
				seen = append(seen, template.referred(at(dimension, "Value")).id)
			}
		}
		var proxies []string
		for _, proxy := range template.proxies() {
			proxies = append(proxies, proxy.id)
		}
		slices.Sort(seen)
		slices.Sort(proxies)
		if difference := cmp.Diff(proxies, seen); difference != "" {
			t.Errorf("the alarms %s look at (-proxies +seen):\n%s", kind, difference)
		}
	}
	if alarm := alarms["ProxyErrors"]; !strings.HasPrefix(what(template, alarm), "FILL(Sum(AWS/Lambda Errors by FunctionName), 0) + FILL(") {
		t.Errorf("it looks at %s", what(template, alarm))
	}
}

func TestAnAlarmSaysWhatItMeansAndWhatToDo(t *testing.T) {
	for _, variant := range []string{"Monitored", "Everything"} {
		for name, alarm := range variants()[variant].alarms() {
			text := alarm.at("AlarmDescription").(string)
			means, link, found := strings.Cut(text, " What to do: ")
			base, _, _ := strings.Cut(name, "-")
			want := "https://github.com/retrying-api-proxy/retrying-api-proxy/blob/main/docs/operating.md#alarm-" + strings.ToLower(base)
			if !found || link != want || !strings.HasSuffix(means, ".") || len(means) < 50 || len(text) > 1024 {
				t.Errorf("%s says %q, and leads to %s, want %s", name, means, link, want)
			}
		}
	}
}

func TestTheTopicIsToldWhenAnAlarmGoesOffAndWhenItIsOver(t *testing.T) {
	template := variants()["Monitored"]
	for name, alarm := range template.alarms() {
		for _, actions := range []string{"AlarmActions", "OKActions"} {
			list, _ := alarm.at(actions).([]any)
			if len(list) != 1 || template.referred(list[0]).Type != "AWS::SNS::Topic" {
				t.Errorf("%s has the %s %v", name, actions, list)
			}
		}
	}
	for name, alarm := range variants()["Everything"].alarms() {
		if alarm.at("AlarmActions") != nil || alarm.at("OKActions") != nil {
			t.Errorf("without a topic, %s tells somebody", name)
		}
	}
}

func TestThresholdsAreThoseOfThePropsAndAlarmsAreLeftOut(t *testing.T) {
	alarms := variants()["Everything"].alarms()
	for name, want := range map[string]float64{"ServerErrors": 2.5, "ProxyThrottles": 100, "UpstreamFailing": 25} {
		if alarms[name] == nil || alarms[name].number("Threshold") != want {
			t.Errorf("%s has the threshold %v, want %v", name, alarms[name].number("Threshold"), want)
		}
	}
	for _, name := range []string{"ClientErrors", "TableThrottles"} {
		if alarms[name] != nil {
			t.Errorf("there is %s, although it is left out", name)
		}
	}
	if got := what(variants()["Everything"], alarms["Slots"]); got != "100 * Maximum(AWS/Lambda ConcurrentExecutions by FunctionName) / 200" {
		t.Errorf("with a reservation of 200 the slots are %s", got)
	}
	if got := what(variants()["Monitored"], variants()["Monitored"].alarms()["Slots"]); got != "100 * Maximum(AWS/Lambda ConcurrentExecutions by ) / 1000" {
		t.Errorf("without a reservation the slots are %s", got)
	}
	if got := what(variants()["Everything"], alarms["DeadLetterAge"]); !strings.HasSuffix(got, " / 345600") { // 4 days
		t.Errorf("the age is %s", got)
	}
}

func TestThereIsNoAlarmWithoutTheProp(t *testing.T) {
	for _, name := range []string{"Minimal", "DeadLetters", "NoFlags"} {
		template := variants()[name]
		if n := len(template.ofType("AWS::CloudWatch::Alarm")) + len(template.ofType("AWS::CloudWatch::Dashboard")) + len(template.ofType("AWS::Logs::QueryDefinition")); n != 0 {
			t.Errorf("%s: there are %d alarms, dashboards and queries", name, n)
		}
	}
}

func TestAlarmsOfSeveralInOneStackHaveNamesOfTheirOwnAndTakeActions(t *testing.T) {
	app := newApp(nothingBundled)
	stack := awscdk.NewStack(app, jsii.String("Shop"), nil)
	build := func(id string, change func(*apiproxy.RetryingApiProxyProps)) *apiproxy.RetryingApiProxy {
		props := minimal()
		props.Alarms, props.Dashboard, props.SavedQueries = &apiproxy.Alarms{}, &apiproxy.Dashboard{}, true
		change(props)
		return apiproxy.NewRetryingApiProxy(stack, &id, props)
	}
	orders := build("Orders", func(p *apiproxy.RetryingApiProxyProps) { p.CircuitBreaker.Disabled = true })
	build("Payments", func(p *apiproxy.RetryingApiProxyProps) {
		p.ProxyCount, p.Async, p.ReservedConcurrency = 11, &apiproxy.Async{}, apiproxy.ReservedConcurrency{Gateway: 40, EachProxy: 10}
	})
	topic := awssns.NewTopic(stack, jsii.String("Topic"), nil)
	orders.Alarms[apiproxy.AlarmUpstreamFailing].AddAlarmAction(awscloudwatchactions.NewSnsAction(topic))
	awscloudwatch.NewCompositeAlarm(stack, jsii.String("Night"), &awscloudwatch.CompositeAlarmProps{
		AlarmRule: awscloudwatch.AlarmRule_AnyOf(orders.Alarms[apiproxy.AlarmUnavailable], orders.Alarms[apiproxy.AlarmServerErrors]),
	})
	template := synthesise(app)["Shop"]

	byScope := map[string]int{}
	names := map[string]bool{}
	for _, alarm := range template.ofType("AWS::CloudWatch::Alarm") {
		name := alarm.at("AlarmName").(string)
		if names[name] {
			t.Errorf("two alarms are called %s", name)
		}
		names[name] = true
		scope, _, _ := strings.Cut(strings.TrimPrefix(name, "Shop-"), "-")
		byScope[scope]++
		if strings.HasSuffix(name, "-UpstreamFailing") && scope == "Orders" {
			if list, _ := alarm.at("AlarmActions").([]any); len(list) != 1 {
				t.Errorf("the action that was added is not in %v", list)
			}
		}
		if strings.HasSuffix(name, "-Slots") && scope == "Payments" {
			if got := what(template, alarm); got != "100 * Maximum(AWS/Lambda ConcurrentExecutions by FunctionName) / 40" {
				t.Errorf("the slots of those who have reserved them are %s", got)
			}
		}
		if strings.HasSuffix(name, "-ProxyErrors-2") {
			if got := what(template, alarm); got != "Sum(AWS/Lambda Errors by FunctionName)" {
				t.Errorf("the eleventh proxy is looked at by %s", got)
			}
		}
	}
	// Twelve and the circuit, which Orders has not; Payments has two more of its eleventh proxy.
	if difference := cmp.Diff(map[string]int{"Orders": 12, "Payments": 15}, byScope); difference != "" {
		t.Errorf("how many alarms there are (-want +got):\n%s", difference)
	}
	dashboards := map[any]bool{}
	for _, dashboard := range template.ofType("AWS::CloudWatch::Dashboard") {
		dashboards[dashboard.at("DashboardName")] = true
	}
	queries := map[any]bool{}
	for _, query := range template.ofType("AWS::Logs::QueryDefinition") {
		queries[query.at("Name")] = true
	}
	if len(dashboards) != 2 || len(queries) != 18 {
		t.Errorf("the dashboards are called %v, and the queries %v", slices.Collect(maps.Keys(dashboards)), slices.Collect(maps.Keys(queries)))
	}
}

// The prices are those of the template, however the props are.
func TestAnExplanationTellsWhatMonitoringCosts(t *testing.T) {
	for variant, want := range map[string]string{
		// By hand: 4 and one for each of 20 proxies, and 15 and two for each.
		"Monitored": `
The functions tell of 24 metrics while all is well, and of 79 at most: $7.20 to $23.70 a month, by the hours in which each
has a value. OmitMetrics leaves them out.
18 alarms on 61 metrics cost $6.10 a month.
The dashboard costs $3.00 a month, unless it is one of the account's first three.
The 9 saved queries cost nothing, and each time that one is run $0.005 for each GB of logs that it reads.
`,
		"Minimal": `
The functions tell of 7 metrics while all is well, and of 28 at most: $2.10 to $8.40 a month, by the hours in which each
has a value. OmitMetrics leaves them out.
`,
		"Everything": `
14 alarms on 27 metrics cost $2.70 a month.
`,
	} {
		var text string
		switch variant {
		case "Monitored":
			text = props(func(p *apiproxy.RetryingApiProxyProps) {
				p.ProxyCount, p.Async, p.DeadLetters, p.Callback = 20, &apiproxy.Async{}, &apiproxy.DeadLetters{}, &apiproxy.Callback{Hosts: []string{"hooks.example.com"}}
				p.Alarms, p.Dashboard, p.SavedQueries = &apiproxy.Alarms{}, &apiproxy.Dashboard{}, true
			}).Explain().String()
		case "Minimal":
			text = minimal().Explain().String()
		case "Everything":
			text = everything().Explain().String()
		}
		if !strings.Contains(text, strings.TrimPrefix(want, "\n")) {
			t.Errorf("%s: it does not say %s:\n%s", variant, want, text)
		}
		var alarms, metrics int
		for _, alarm := range variants()[variant].alarms() {
			alarms++
			metrics += len(looked(alarm))
		}
		if said := fmt.Sprintf("%d alarms on %d metrics cost", alarms, metrics); alarms > 0 && !strings.Contains(text, said) {
			t.Errorf("%s: there are %s money", variant, said)
		}
	}
	// What the documentation of the prop says.
	text := props(func(p *apiproxy.RetryingApiProxyProps) { p.Alarms = &apiproxy.Alarms{} }).Explain().String()
	if want := "13 alarms on 22 metrics cost $2.20 a month.\n"; !strings.Contains(text, want) {
		t.Errorf("it does not say %q:\n%s", want, text)
	}
	if text := props(func(p *apiproxy.RetryingApiProxyProps) { p.OmitMetrics = true }).Explain().String(); strings.Contains(text, "functions tell of") {
		t.Errorf("without metrics, it says what they cost:\n%s", text)
	}
}

// tableUnder reads the table below a heading of a page, without its head.
func tableUnder(t *testing.T, page, heading string) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("docs/%s has no heading %q", page, heading)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	var rows [][]string
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	if len(rows) < 3 {
		t.Fatalf("docs/%s has no table under %q", page, heading)
	}
	return rows[2:]
}

func TestTheDocumentationListsEachAlarmAsItIs(t *testing.T) {
	got := map[string]string{}
	for _, row := range tableUnder(t, "monitoring.md", "Alarms") {
		got[strings.Trim(row[0], "`")] = row[2]
	}
	units := map[string]string{"ServerErrors": " %", "ClientErrors": " %", "UpstreamFailing": " %", "Slots": " %", "DeadLetterAge": " %"}
	want := map[string]string{}
	for name, alarm := range variants()["Monitored"].alarms() {
		if strings.HasSuffix(name, "-2") {
			continue
		}
		want[name] = fmt.Sprintf("%v%s", alarm.at("Threshold"), units[name])
		if alarm.number("EvaluationPeriods") == 3 {
			want[name] += ", 2 of 3"
		}
	}
	if difference := cmp.Diff(want, got); difference != "" {
		t.Errorf("the table of alarms (-template +documentation):\n%s", difference)
	}
}
