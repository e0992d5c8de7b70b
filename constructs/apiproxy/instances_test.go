//go:build !race

package apiproxy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// leadingKeys are the prefixes of records that the functions and the state machine are bound to.
func (t template) leadingKeys(role *resource) []string {
	var keys []string
	for _, s := range t.statementsOf(role) {
		if at(s, "Effect") == "Deny" {
			keys = append(keys, each(at(s, "Condition", "ForAnyValue:StringNotLike", "dynamodb:LeadingKeys"))...)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// shared is a platform's: one table, one key, one topic for alarms.
type shared struct {
	apiproxy.RetryingApiProxyProps
	topic awssns.Topic
}

func newShared(stack awscdk.Stack) shared {
	key := awskms.NewKey(stack, jsii.String("Key"), nil)
	props := minimal()
	props.EncryptionKey = key
	props.Table = apiproxy.NewIdempotencyTable(stack, jsii.String("Records"), &apiproxy.IdempotencyTableProps{EncryptionKey: key, DeletionProtection: true})
	return shared{*props, awssns.NewTopic(stack, jsii.String("Alarms"), nil)}
}

func (s shared) proxy(stack awscdk.Stack, id string) *apiproxy.RetryingApiProxy {
	props := s.RetryingApiProxyProps
	proxy := apiproxy.NewRetryingApiProxy(stack, &id, &props)
	proxy.MetricFailed(nil).CreateAlarm(stack, jsii.String(id+"Failed"), &awscloudwatch.CreateAlarmOptions{
		Threshold: jsii.Number(10), EvaluationPeriods: jsii.Number(1),
	}).AddAlarmAction(awscloudwatchactions.NewSnsAction(s.topic))
	return proxy
}

func TestThreeInOneStackShareATableAKeyAndATopicAndNoRecords(t *testing.T) {
	app := newApp(nothingBundled)
	stack := awscdk.NewStack(app, jsii.String("Shop"), &awscdk.StackProps{Env: &awscdk.Environment{Region: jsii.String("eu-central-1")}})
	common := newShared(stack)
	ids := []string{"Orders", "Payments", "Refunds"}
	for _, id := range ids {
		common.proxy(stack, id)
	}
	template := synthesise(app)["Shop"]
	if got := template.the(tableType).at("Replicas").([]any); at(got[0], "DeletionProtectionEnabled") != true {
		t.Errorf("the table's replica is %v; want it protected", got[0])
	}
	template.the("AWS::KMS::Key")
	if got := len(template.functions()); got != 12 {
		t.Errorf("%d functions; want 12", got)
	}
	metrics := map[string]bool{}
	for _, alarm := range template.ofType("AWS::CloudWatch::Alarm") {
		metrics[flat(alarm.at("MetricName"))] = true
		if got := flat(alarm.at("AlarmActions")); got != `[{"Ref":"`+template.the("AWS::SNS::Topic").id+`"}]` {
			t.Errorf("%s tells %s", alarm.id, got)
		}
	}
	if len(metrics) != 3 {
		t.Errorf("the alarms are of %v; want a metric each", metrics)
	}
	for _, function := range template.functions() {
		told := environment(function)
		prefix := told["RECORD_PREFIX"]
		if !slices.Contains(ids, prefix) || !strings.HasPrefix(function.name(), "Shop-"+prefix+"-") {
			t.Errorf("%s has records that begin with %q", function.name(), prefix)
		}
		if strings.Contains(function.name(), "-gateway") {
			want := []string{prefix + "#*", "gate#" + prefix + "#*"}
			if got := template.leadingKeys(template.roleOf(function)); !slices.Equal(got, want) {
				t.Errorf("%s may touch %q; want %q and nothing else", function.name(), got, want)
			}
		}
	}
	for _, machine := range template.machines() {
		prefix, _, _ := strings.Cut(machine.id, "StateMachine")
		if got := template.leadingKeys(template.referred(machine.at("RoleArn"))); !slices.Equal(got, []string{prefix + "#*"}) {
			t.Errorf("%s may touch %q", machine.id, got)
		}
	}
}

func TestATableAKeyAndATopicOfAnotherStackCanBeShared(t *testing.T) {
	app := newApp(nothingBundled)
	newStack := func(name string) awscdk.Stack {
		return awscdk.NewStack(app, &name, &awscdk.StackProps{Env: &awscdk.Environment{Account: jsii.String("123456789012"), Region: jsii.String("eu-central-1")}})
	}
	platform := newStack("Platform")
	common := newShared(platform)
	proxies := map[string]*apiproxy.RetryingApiProxy{}
	for _, name := range []string{"Shop", "Office"} {
		common.RecordPrefix = strings.ToLower(name)
		proxies[name] = common.proxy(newStack(name), "Orders")
	}
	caller := newStack("Caller")
	proxies["Shop"].GrantInvoke(newWorker(caller))

	templates := synthesise(app)
	for name, prefix := range map[string]string{"Shop": "shop", "Office": "office"} {
		template := templates[name]
		if tables := template.ofType(tableType); len(tables) > 0 {
			t.Errorf("%s has a table of its own", name)
		}
		for _, function := range template.functions() {
			told := environment(function)
			if told["RECORD_PREFIX"] != prefix || !strings.Contains(told["TABLE_NAME"], "Fn::ImportValue") {
				t.Errorf("%s: %s is told of the table %s and the prefix %s", name, function.name(), told["TABLE_NAME"], told["RECORD_PREFIX"])
			}
		}
	}
	rights := strings.Join(templates["Caller"].statements(), "\n")
	for _, want := range []string{"Allow lambda:InvokeFunctionUrl on", "Allow lambda:InvokeFunction on"} {
		if !strings.Contains(rights, want) {
			t.Errorf("the caller in another stack has these rights:\n%s", rights)
		}
	}
	// Neither stack is changed by who calls: the platform's does not depend on those that use it.
	for _, dependency := range *platform.Dependencies() {
		t.Errorf("the stack with the table depends on %s", *dependency.StackName())
	}
}

func TestTwoWithTheSameRecordsAreWarnedOf(t *testing.T) {
	app := newApp(nothingBundled)
	platform := awscdk.NewStack(app, jsii.String("Platform"), nil)
	table := apiproxy.NewIdempotencyTable(platform, jsii.String("Records"), nil)
	for _, c := range []struct{ stack, id, prefix string }{
		{"Shop", "Orders", ""}, {"Other", "Refunds", ""}, {"Same", "Orders", ""}, {"Apart", "Orders", "apart"},
		{"Told", "Orders", "told"}, {"ToldToo", "Orders", "told"}, {"Half", "Orders2", "Orders"},
	} {
		props := minimal()
		props.ProxyCount, props.Table, props.RecordPrefix = 1, table, c.prefix
		apiproxy.NewRetryingApiProxy(awscdk.NewStack(app, &c.stack, nil), &c.id, props)
	}
	for name, template := range synthesise(app) {
		var warned []string
		for path, entries := range template.told {
			for _, entry := range entries {
				if entry.Type == "aws:cdk:warning" {
					warned = append(warned, path+" "+string(entry.Data))
				}
			}
		}
		text := strings.Join(warned, "\n")
		if want := name == "Same" || name == "Half"; want != strings.Contains(text, `Another RetryingApiProxy has the same table and the same RecordPrefix, \"Orders\"`) {
			t.Errorf("%s is warned of %q", name, text)
		}
		if name == "Apart" || name == "Told" || name == "ToldToo" || name == "Other" {
			if text != "" {
				t.Errorf("%s is warned of %q", name, text)
			}
		}
	}
}
