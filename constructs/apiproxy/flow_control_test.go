//go:build !race

package apiproxy_test

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/gofunction"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// shares says whether the functions have flow control or a circuit breaker.
func (t template) shares() bool {
	return t.gateway().at("Environment", "Variables", "GATE") != nil
}

// A verdict is what the policies of a role say of an action on an item, as far as one can see who knows nothing but its key.
type verdict string

const (
	allowed    verdict = "allowed"
	notAllowed verdict = "not allowed" // nothing allows it
	denied     verdict = "denied"      // whatever else may allow it
)

// verdict judges as IAM does: what is denied is denied, and what nothing allows is not allowed.
func (t template) verdict(test *testing.T, role *resource, action, key string) verdict {
	test.Helper()
	found := notAllowed
	for _, s := range t.statementsOf(role) {
		if !slices.Contains(each(at(s, "Action")), action) || !holds(test, at(s, "Condition"), key) {
			continue
		}
		if at(s, "Effect") == "Deny" {
			return denied
		}
		found = allowed
	}
	return found
}

// holds says whether a condition holds for a request for one item.
func holds(test *testing.T, condition any, key string) bool {
	test.Helper()
	operators, _ := condition.(map[string]any)
	for operator, operands := range operators {
		for name, value := range operands.(map[string]any) {
			if name != "dynamodb:LeadingKeys" {
				test.Fatalf("a condition on %s: the test knows dynamodb:LeadingKeys only", name)
			}
			patterns, several := value.([]any)
			if !several {
				patterns = []any{value}
			}
			matches := slices.ContainsFunc(patterns, func(pattern any) bool { return isLike(flat(pattern), key) })
			switch operator { // there is one key, so that any and all are the same
			case "ForAllValues:StringLike":
				if !matches {
					return false
				}
			case "ForAnyValue:StringNotLike":
				if matches {
					return false
				}
			default:
				test.Fatalf("a condition %s: the test does not know it", operator)
			}
		}
	}
	return true
}

// isLike compares as StringLike does, for patterns that end with their only wildcard.
func isLike(pattern, text string) bool {
	if before, isPrefix := strings.CutSuffix(pattern, "*"); isPrefix {
		return strings.HasPrefix(text, before)
	}
	return pattern == text
}

func TestFunctionsMayReadAndUpdateWhatTheirOwnCallersShareAndNothingElseOfIt(t *testing.T) {
	none := map[string]verdict{}
	denial := map[string]verdict{"dynamodb:GetItem": denied, "dynamodb:UpdateItem": denied, "dynamodb:PutItem": denied, "dynamodb:DeleteItem": denied}
	forEachVariant(t, func(t *testing.T, template template) {
		prefix := flat(template.gateway().at("Environment", "Variables", "RECORD_PREFIX"))
		own, record := "gate#"+prefix+"#credential.%2Forders#0", prefix+"#5f2c"
		others := []string{
			"gate#other#upstream#0", "gate#" + prefix + "x#upstream#0", "gate#" + prefix + "/x#upstream#0", "gate#", "gate", "x" + own,
			"other#5f2c", prefix + "x#5f2c", prefix, "#" + record,
		}
		check := func(whose string, role *resource, key string, want map[string]verdict) {
			t.Helper()
			for _, action := range []string{
				"dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:Query", "dynamodb:Scan",
				"dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem",
				"dynamodb:PartiQLSelect", "dynamodb:PartiQLUpdate", "dynamodb:PartiQLInsert", "dynamodb:PartiQLDelete",
			} {
				wanted := notAllowed
				if verdict, said := want[action]; said {
					wanted = verdict
				}
				if got := template.verdict(t, role, action, key); got != wanted {
					t.Errorf("%s of %s by %s is %s, want %s", action, key, whose, got, wanted)
				}
			}
		}
		sharing := denial
		if template.shares() {
			sharing = map[string]verdict{"dynamodb:GetItem": allowed, "dynamodb:UpdateItem": allowed, "dynamodb:PutItem": denied, "dynamodb:DeleteItem": denied}
		}

		gateway := template.roleOf(template.gateway())
		check("the gateway", gateway, own, sharing)
		check("the gateway", gateway, record, map[string]verdict{
			"dynamodb:GetItem": allowed, "dynamodb:UpdateItem": allowed, "dynamodb:PutItem": allowed, "dynamodb:DeleteItem": allowed,
		})
		for _, other := range others {
			check("the gateway", gateway, other, denial)
		}
		for _, machine := range template.machines() {
			role := template.referred(machine.at("RoleArn"))
			check(machine.id, role, own, denial)
			for _, other := range others {
				check(machine.id, role, other, denial)
			}
		}
		for _, proxy := range template.proxies() {
			role := template.roleOf(proxy)
			switch {
			case template.asyncMachine() != nil:
				check(proxy.name(), role, own, sharing)
				check(proxy.name(), role, record, map[string]verdict{
					"dynamodb:GetItem": allowed, "dynamodb:UpdateItem": allowed, "dynamodb:PutItem": allowed,
				})
				for _, other := range others {
					check(proxy.name(), role, other, denial)
				}
				continue
			case template.shares():
				check(proxy.name(), role, own, map[string]verdict{"dynamodb:GetItem": allowed, "dynamodb:UpdateItem": allowed})
			default:
				check(proxy.name(), role, own, none)
			}
			for _, key := range append(others, record) {
				check(proxy.name(), role, key, none)
			}
		}
	})
}

func TestTwoThatShareATableCannotTouchWhatTheOthersCallersShare(t *testing.T) {
	app := newApp(nothingBundled)
	stack := awscdk.NewStack(app, jsii.String("Shop"), nil)
	table := apiproxy.NewIdempotencyTable(stack, jsii.String("Records"), nil)
	for _, name := range []string{"orders", "orders2"} {
		props := minimal()
		props.ProxyCount, props.Table, props.RecordPrefix, props.Async = 1, table, name, &apiproxy.Async{}
		if name == "orders2" {
			props.Async = nil
		}
		apiproxy.NewRetryingApiProxy(stack, jsii.String("Api-"+name), props)
	}
	template := synthesise(app)["Shop"]
	seen := map[string]int{}
	for _, function := range template.functions() {
		own := flat(function.at("Environment", "Variables", "RECORD_PREFIX"))
		seen[own]++
		for _, prefix := range []string{"orders", "orders2"} {
			for _, action := range []string{"dynamodb:GetItem", "dynamodb:UpdateItem"} {
				got := template.verdict(t, template.roleOf(function), action, "gate#"+prefix+"#upstream#0")
				if (got == allowed) != (prefix == own) {
					t.Errorf("%s of what the callers of %s share is %s for %s, which is of %s", action, prefix, got, function.name(), own)
				}
			}
		}
	}
	if seen["orders"] != 2 || seen["orders2"] != 2 {
		t.Errorf("the functions are of %v, want a gateway and a proxy of each", seen)
	}
}

func TestProxiesThatUseAnEncryptedTableMayUseItsKey(t *testing.T) {
	for _, name := range []string{"EncryptedTable", "Encrypted"} {
		template := variants()[name]
		key := "${" + template.the("AWS::KMS::Key").id + ".Arn}"
		for _, proxy := range template.proxies() {
			for _, action := range keyUse {
				if got := template.resourcesOf(template.roleOf(proxy), action); !slices.Equal(got, []string{key}) {
					t.Errorf("%s: %s may %s with %v, want %s", name, proxy.name(), action, got, key)
				}
			}
		}
	}
}

func TestFlowControlAndTheBreakerReachTheFunctionsAsTheyReadThem(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*apiproxy.RetryingApiProxyProps)
		want   gate.Settings
		key    gate.Key
	}{
		"Default": {func(*apiproxy.RetryingApiProxyProps) {}, gate.Settings{Mode: gate.Off, MaxWaiting: 500, Patience: time.Minute}, gate.ByCredential | gate.ByRoute},
		"Fixed": {func(p *apiproxy.RetryingApiProxyProps) {
			p.FlowControl = apiproxy.FlowControl{Mode: apiproxy.Fixed, Rate: 3000, Period: time.Minute, Burst: 80, Key: apiproxy.ByUpstream, MaxWaiting: 20}
			p.CircuitBreaker.Disabled = true
		}, gate.Settings{
			Mode: gate.Fixed, Rate: 3000, Period: time.Minute, Burst: 80, MaxWaiting: 20, Patience: time.Minute, Breaker: gate.Breaker{Disabled: true},
		}, 0},
		"Adaptive": {func(p *apiproxy.RetryingApiProxyProps) {
			p.FlowControl = apiproxy.FlowControl{Mode: apiproxy.Adaptive, Key: apiproxy.ByCredential, MaxWaiting: apiproxy.Unbounded}
			p.CircuitBreaker = apiproxy.CircuitBreaker{MinimumFailures: 7, FailureRate: 0.5, ProbeInterval: 1500 * time.Millisecond, RampUp: 2}
		}, gate.Settings{
			Mode: gate.Adaptive, MaxWaiting: -1, Patience: time.Minute,
			Breaker: gate.Breaker{MinimumFailures: 7, FailureRate: 0.5, ProbeInterval: 1500 * time.Millisecond, RampUp: 2},
		}, gate.ByCredential},
		"Observe": {func(p *apiproxy.RetryingApiProxyProps) {
			p.FlowControl = apiproxy.FlowControl{Mode: apiproxy.Observe, Key: apiproxy.ByRoute}
		}, gate.Settings{Mode: gate.Observe, MaxWaiting: 500, Patience: time.Minute}, gate.ByRoute},
		"Both": {func(p *apiproxy.RetryingApiProxyProps) { p.FlowControl.Key = apiproxy.ByCredential | apiproxy.ByRoute },
			gate.Settings{Mode: gate.Off, MaxWaiting: 500, Patience: time.Minute}, gate.ByCredential | gate.ByRoute},
		"SmallGateway": {func(p *apiproxy.RetryingApiProxyProps) { p.ReservedConcurrency.Gateway = 100 },
			gate.Settings{Mode: gate.Off, MaxWaiting: 100, Patience: time.Minute}, gate.ByCredential | gate.ByRoute},
		"LargeGateway": {func(p *apiproxy.RetryingApiProxyProps) { p.ReservedConcurrency.Gateway = 501 },
			gate.Settings{Mode: gate.Off, MaxWaiting: 500, Patience: time.Minute}, gate.ByCredential | gate.ByRoute},
		"SmallGatewayAndAsync": {func(p *apiproxy.RetryingApiProxyProps) {
			p.ReservedConcurrency.Gateway, p.Async = 100, &apiproxy.Async{}
		}, gate.Settings{Mode: gate.Off, MaxWaiting: 500, Patience: time.Minute}, gate.ByCredential | gate.ByRoute},
	} {
		app := newApp(nothingBundled)
		props := minimal()
		props.ProxyCount = 1
		c.change(props)
		apiproxy.NewRetryingApiProxy(awscdk.NewStack(app, jsii.String("Shop"), nil), jsii.String("Orders"), props)
		template := synthesise(app)["Shop"]
		for _, function := range template.functions() {
			told := environment(function)
			read, err := message.GateFrom(func(name string) string { return told[name] }, retry.Default())
			if err != nil || read == nil {
				t.Fatalf("%s: %s is told %v: %v", name, function.name(), told, err)
			}
			if read.Key != c.key {
				t.Errorf("%s: %s has the key %v, want %v", name, function.name(), read.Key, c.key)
			}
			if diff := cmp.Diff(c.want, read.Settings); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", name, function.name(), diff)
			}
			if told["RECORD_PREFIX"] != "Orders" || told["TABLE_NAME"] != "${"+template.the(tableType).id+"}" {
				t.Errorf("%s: %s is told of the records %s of the table %s", name, function.name(), told["RECORD_PREFIX"], told["TABLE_NAME"])
			}
		}
	}
}

func TestProxiesHaveTheSDKOnlyIfTheyNeedIt(t *testing.T) {
	for name, want := range map[string]string{"Minimal": "withsdk", "Unshared": "proxy"} {
		for _, proxy := range variants()[name].proxies() {
			if got := path.Base(flat(proxy.Metadata[gofunction.ImportPathMetadata])); got != want {
				t.Errorf("%s: %s is the command %s, want %s", name, proxy.name(), got, want)
			}
		}
	}
}

func TestWithoutFlowControlAndBreakerFunctionsAreToldNothingOfThem(t *testing.T) {
	template := variants()["Unshared"]
	for _, function := range template.functions() {
		if text, told := environment(function)["GATE"]; told {
			t.Errorf("%s is told %s", function.name(), text)
		}
	}
}

func TestEveryFunctionIsToldTheDimensionsOfItsMetrics(t *testing.T) {
	for _, name := range []string{"Minimal", "Unshared", "Everything"} {
		template := variants()[name]
		gateway := environment(template.gateway())
		if gateway["TABLE_NAME"] == "" || gateway["RECORD_PREFIX"] == "" {
			t.Errorf("%s: the gateway is told %q and %q", name, gateway["TABLE_NAME"], gateway["RECORD_PREFIX"])
		}
		for _, proxy := range template.proxies() {
			told := environment(proxy)
			if told["TABLE_NAME"] != gateway["TABLE_NAME"] || told["RECORD_PREFIX"] != gateway["RECORD_PREFIX"] {
				t.Errorf("%s: %s is told %q and %q, and the gateway %q and %q",
					name, proxy.name(), told["TABLE_NAME"], told["RECORD_PREFIX"], gateway["TABLE_NAME"], gateway["RECORD_PREFIX"])
			}
		}
	}
}

func TestTheModeByDefaultIsOffAndTheBreakerIsOn(t *testing.T) {
	var told message.Gate
	if err := json.Unmarshal([]byte(environment(variants()["Minimal"].gateway())["GATE"]), &told); err != nil {
		t.Fatal(err)
	}
	if told.FlowControl.Mode != "off" || told.CircuitBreaker.Disabled {
		t.Errorf("by default the gateway is told %+v", told)
	}
}

// Its records would have the ids of what the callers of all others share.
func TestAConstructThatIsCalledGateNeedsAPrefix(t *testing.T) {
	_, stack := newStack()
	if text := panicOf(t, func() { apiproxy.NewRetryingApiProxy(stack, jsii.String("gate"), minimal()) }); !strings.Contains(text, "set RecordPrefix, or give it another id") {
		t.Errorf("the message is %s", text)
	}
	props := minimal()
	props.RecordPrefix = "orders"
	_, stack = newStack()
	apiproxy.NewRetryingApiProxy(stack, jsii.String("gate"), props)
}

// An environment that is too large is refused by Lambda, in the middle of a deployment.
func TestFlowControlCountsAgainstTheRoomInTheEnvironment(t *testing.T) {
	with := func(prefix string, disabled bool, path int) error {
		return props(func(p *apiproxy.RetryingApiProxyProps) {
			p.RecordPrefix, p.CircuitBreaker.Disabled = prefix, disabled
			p.Upstream.AllowedPaths = []string{"/" + strings.Repeat("a", path)}
		}).Validate()
	}
	most := 0
	for with("", true, most+1) == nil {
		most++
	}
	if err := with("", false, most); err == nil || !strings.Contains(err.Error(), "FlowControl") {
		t.Errorf("with the breaker, a path of %d bytes gives %v", most, err)
	}
	const told = len(`{"flowControl":{"mode":"off","key":"credential+route","maxWaiting":500}}`)
	if err := with("", false, most-told); err != nil {
		t.Errorf("with the breaker, a path that is %d bytes shorter gives %v", told, err)
	}
	if err := with("orders", false, most-told); err == nil {
		t.Error("the prefix, of which the proxies are told, is not counted")
	}
}

func TestWhatTheFunctionsTellOfFlowControlIsAMetric(t *testing.T) {
	app := newApp(nothingBundled)
	stack := awscdk.NewStack(app, jsii.String("Alarmed"), nil)
	props := minimal()
	props.RecordPrefix = "orders"
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props)
	type told struct{ Name, Statistic string }
	want := map[told]bool{}
	alarm := func(metric awscloudwatch.Metric, name, statistic string) {
		want[told{name, statistic}] = true
		metric.CreateAlarm(stack, jsii.String(name+statistic), &awscloudwatch.CreateAlarmOptions{Threshold: jsii.Number(1), EvaluationPeriods: jsii.Number(1)})
	}
	alarm(proxy.MetricGateWait(nil), "GateWait", "Average")
	alarm(proxy.MetricGateRefused(nil), "GateRefused", "Sum")
	alarm(proxy.MetricGateRate(nil), "GateRate", "Average")
	alarm(proxy.MetricCircuitState(nil), "CircuitState", "Maximum")
	alarm(proxy.MetricGateRate(&awscloudwatch.MetricOptions{Statistic: jsii.String("Minimum")}), "GateRate", "Minimum")

	got := map[told]bool{}
	for _, alarm := range synthesise(app)["Alarmed"].ofType("AWS::CloudWatch::Alarm") {
		got[told{flat(alarm.at("MetricName")), flat(alarm.at("Statistic"))}] = true
		if namespace := alarm.at("Namespace"); namespace != "RetryingApiProxy" {
			t.Errorf("%s is in the namespace %v", alarm.id, namespace)
		}
		if dimensions := flat(alarm.at("Dimensions")); !strings.Contains(dimensions, `{"Name":"RecordPrefix","Value":"orders"}`) || !strings.Contains(dimensions, `{"Name":"TableName","Value":{"Ref":"OrdersTable`) {
			t.Errorf("%s has the dimensions %s", alarm.id, dimensions)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alarms (-want +got):\n%s", diff)
	}
}

func TestAMetricOfWhatIsSwitchedOffIsRefused(t *testing.T) {
	build := func(mode gate.Mode) *apiproxy.RetryingApiProxy {
		_, stack := newStack()
		props := minimal()
		props.ProxyCount, props.FlowControl.Mode, props.CircuitBreaker.Disabled = 1, mode, true
		return apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props)
	}
	off, adaptive := build(apiproxy.Off), build(apiproxy.Adaptive)
	for name, metric := range map[string]func(){
		"MetricGateWait":     func() { off.MetricGateWait(nil) },
		"MetricGateRefused":  func() { off.MetricGateRefused(nil) },
		"MetricGateRate":     func() { off.MetricGateRate(nil) },
		"MetricCircuitState": func() { adaptive.MetricCircuitState(nil) },
	} {
		if text := panicOf(t, metric); !strings.HasPrefix(text, name+" is of ") || !strings.Contains(text, "CircuitBreaker.Disabled") {
			t.Errorf("%s says %s", name, text)
		}
	}
	adaptive.MetricGateRate(nil)
}
