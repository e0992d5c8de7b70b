//go:build !race

package triggers_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctionstasks"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy/triggers"
)

// shop is a stack with one of each trigger.
var shop = sync.OnceValue(func() awscdk.Stack {
	stack := newStack()
	proxy := newProxy(stack)
	triggers.NewQueue(stack, jsii.String("Jobs"), &triggers.QueueProps{Proxy: proxy, MaxConcurrency: 5})
	triggers.NewQueue(stack, jsii.String("Given"), &triggers.QueueProps{Proxy: proxy, BatchSize: 1, Queue: awssqs.NewQueue(stack, jsii.String("Own"),
		&awssqs.QueueProps{VisibilityTimeout: awscdk.Duration_Seconds(jsii.Number(310))})})
	triggers.NewQueue(stack, jsii.String("Foreign"), &triggers.QueueProps{Proxy: proxy,
		Queue: awssqs.Queue_FromQueueArn(stack, jsii.String("Imported"), jsii.String("arn:aws:sqs:eu-central-1:123456789012:jobs"))})
	triggers.NewSchedule(stack, jsii.String("Nightly"), &triggers.ScheduleProps{
		Proxy: proxy,
		Request: triggers.Request{
			Method: "POST", Path: "/reports", Body: map[string]any{"at": *awsscheduler.ContextAttribute_ScheduledTime(), "n": 5},
		},
		Schedule: &awsscheduler.ScheduleProps{Schedule: awsscheduler.ScheduleExpression_Rate(awscdk.Duration_Days(jsii.Number(1)))},
	})
	for _, name := range []string{"Ordered", "Counted"} {
		triggers.NewRule(stack, jsii.String(name), &triggers.RuleProps{
			Proxy: proxy,
			Request: triggers.Request{
				Method: "PUT", Path: "/orders/" + *awsevents.EventField_FromPath(jsii.String("$.detail.id")), FailOn: triggers.FailOnError,
				Query: map[string][]string{"from": {*awsevents.EventField_Source()}, "tag": {"a", "b"}}, Headers: map[string]string{"Accept": "application/json"},
				Body: awsevents.EventField_FromPath(jsii.String("$.detail")),
			},
			Rule: &awsevents.RuleProps{EventPattern: &awsevents.EventPattern{Source: jsii.Strings("shop")}},
		})
	}
	pay := triggers.NewTask(stack, jsii.String("Pay"), &triggers.TaskProps{
		Proxy: proxy,
		Request: triggers.Request{
			Method: "POST", Path: "/payments", IdempotencyKey: *awsstepfunctions.JsonPath_StringAt(jsii.String("$.orderId")),
			Body: awsstepfunctions.JsonPath_ObjectAt(jsii.String("$.payment")),
		},
		Task: &awsstepfunctionstasks.LambdaInvokeProps{ResultPath: jsii.String("$.paid")},
	})
	notify := triggers.NewTask(stack, jsii.String("Notify"), &triggers.TaskProps{
		Proxy: proxy, Request: triggers.Request{Method: "POST", Path: "/notify", Body: []byte{0, 255}},
	})
	look := triggers.NewTask(stack, jsii.String("Look"), &triggers.TaskProps{Proxy: proxy, Request: triggers.Request{Method: "GET", Path: "/orders"}})
	awsstepfunctions.NewStateMachine(stack, jsii.String("Machine"), &awsstepfunctions.StateMachineProps{
		DefinitionBody: awsstepfunctions.DefinitionBody_FromChainable(pay.Next(notify).Next(look)),
	})
	return stack
})

var shopsResources = sync.OnceValue(func() func(*testing.T) []resource {
	var all []resource
	return func(t *testing.T) []resource {
		if all == nil {
			all = resourcesOf(t, shop())
		}
		return all
	}
})

const live = "OrdersgatewayAliaslive"

func TestAQueueHandsItsMessagesToTheLiveAliasInPartsThatFailAlone(t *testing.T) {
	all := shopsResources()(t)
	for prefix, want := range map[string]struct{ queue, size, scaling string }{
		"OrdersgatewayAliasliveShopJobs":    {"JobsQueue", "10", `{"MaximumConcurrency":5}`},
		"OrdersgatewayAliasliveShopGiven":   {"Own", "1", ""},
		"OrdersgatewayAliasliveShopForeign": {"arn:aws:sqs:eu-central-1:123456789012:jobs", "10", ""},
	} {
		source := the(t, all, "AWS::Lambda::EventSourceMapping", prefix)
		if !strings.Contains(source.at("EventSourceArn"), want.queue) || source.at("BatchSize") != want.size || source.at("ScalingConfig") != want.scaling {
			t.Errorf("%s is %s", source.ID, source.Properties)
		}
		if got := source.at("FunctionResponseTypes"); got != `["ReportBatchItemFailures"]` {
			t.Errorf("%s answers with %s", source.ID, got)
		}
		if !strings.Contains(source.at("FunctionName"), "Fn::") && !strings.Contains(source.at("FunctionName"), live) {
			t.Errorf("%s invokes %s", source.ID, source.at("FunctionName"))
		}
	}
}

func TestAQueueThatIsCreatedWaitsSixTimesTheGatewaysTimeoutAndHasDeadLetters(t *testing.T) {
	all := shopsResources()(t)
	queue, dead := the(t, all, "AWS::SQS::Queue", "JobsQueue"), the(t, all, "AWS::SQS::Queue", "JobsDeadLetters")
	if got := queue.at("VisibilityTimeout"); got != "1860" { // 6 times 310
		t.Errorf("the visibility timeout is %s", got)
	}
	if got, want := queue.at("RedrivePolicy"), fmt.Sprintf(`{"deadLetterTargetArn":{"Fn::GetAtt":[%q,"Arn"]},"maxReceiveCount":5}`, dead.ID); got != want {
		t.Errorf("the redrive policy is %s, want %s", got, want)
	}
	if got := dead.at("MessageRetentionPeriod"); got != "1209600" {
		t.Errorf("dead letters are kept for %s s", got)
	}
	for _, id := range []string{"JobsQueue", "JobsDeadLetters", "OrdersDeadLetters"} {
		if policy := the(t, all, "AWS::SQS::QueuePolicy", id).at("PolicyDocument"); !strings.Contains(policy, `"aws:SecureTransport":"false"`) {
			t.Errorf("%s takes messages in the clear: %s", id, policy)
		}
	}
}

func TestTheGatewayMayReadItsQueuesAndWriteItsDeadLettersAndNoOtherQueue(t *testing.T) {
	policy := the(t, shopsResources()(t), "AWS::IAM::Policy", "Ordersgatewayrole").at("PolicyDocument")
	var queues []string
	for part := range strings.SplitSeq(policy, `"Action":`) {
		if strings.Contains(part, "sqs:") {
			queues = append(queues, part)
		}
	}
	if len(queues) != 4 {
		t.Fatalf("it has %d statements about queues: %s", len(queues), policy)
	}
	for i, want := range []string{"JobsQueue", "Own", "arn:aws:sqs:eu-central-1:123456789012:jobs", "OrdersDeadLetters"} {
		if !strings.Contains(queues[i], want) || strings.Contains(queues[i], `"Resource":"*"`) {
			t.Errorf("statement %d is %s, want it to be about %s", i, queues[i], want)
		}
		if sends := strings.Contains(queues[i], "sqs:SendMessage"); sends != (i == 3) {
			t.Errorf("statement %d is %s", i, queues[i])
		}
	}
}

func TestASchedulesRoleMayInvokeTheLiveAliasAndWriteDeadLettersAndNothingElse(t *testing.T) {
	all := shopsResources()(t)
	schedule := the(t, all, "AWS::Scheduler::Schedule", "Nightly")
	target := schedule.at("Target")
	if !strings.Contains(target, `"Arn":{"Ref":"`+live) || !strings.Contains(target, `"DeadLetterConfig":{"Arn":{"Fn::GetAtt":["OrdersDeadLetters`) {
		t.Errorf("the target is %s", target)
	}
	policy := the(t, all, "AWS::IAM::Policy", "SchedulerRole").at("PolicyDocument")
	if strings.Count(policy, `"Effect":"Allow"`) != 2 || !strings.Contains(policy, `"Action":"lambda:InvokeFunction"`) || !strings.Contains(policy, `"Action":"sqs:SendMessage"`) ||
		strings.Contains(policy, `"Resource":"*"`) || !strings.Contains(policy, live) {
		t.Errorf("the role may %s", policy)
	}
}

func TestARuleMayInvokeTheLiveAliasAsItself(t *testing.T) {
	all := shopsResources()(t)
	for _, name := range []string{"Ordered", "Counted"} {
		rule := the(t, all, "AWS::Events::Rule", name)
		if target := rule.at("Targets"); !strings.Contains(target, `"Arn":{"Ref":"`+live) || !strings.Contains(target, `"DeadLetterConfig":{"Arn":{"Fn::GetAtt":["OrdersDeadLetters`) {
			t.Errorf("the target of %s is %s", name, target)
		}
		permission := the(t, all, "AWS::Lambda::Permission", name)
		if permission.at("Action") != "lambda:InvokeFunction" || permission.at("Principal") != "events.amazonaws.com" ||
			!strings.Contains(permission.at("SourceArn"), rule.ID) || !strings.Contains(permission.at("FunctionName"), live) {
			t.Errorf("the permission of %s is %s", name, permission.Properties)
		}
	}
}

func TestWhatSchedulesAndRulesCouldNotDoGoesToOneQueue(t *testing.T) {
	config := the(t, shopsResources()(t), "AWS::Lambda::EventInvokeConfig", live)
	if got := config.at("DestinationConfig"); !strings.Contains(got, `{"OnFailure":{"Destination":{"Fn::GetAtt":["OrdersDeadLetters`) {
		t.Errorf("failures go to %s", got)
	}
	if got := config.at("Qualifier"); !strings.Contains(got, live) && got != "live" {
		t.Errorf("the qualifier is %s", got)
	}
}

func TestATaskInvokesTheGatewayAndIsRepeatedOnlyWhereThatIsSafe(t *testing.T) {
	all := shopsResources()(t)
	definition := the(t, all, "AWS::StepFunctions::StateMachine", "Machine").at("DefinitionString")
	for state, repeated := range map[string]bool{"Pay": true, "Notify": false, "Look": true} {
		_, text, _ := strings.Cut(definition, `\"`+state+`\":{`)
		text, _, _ = strings.Cut(text, `\"Parameters\"`)
		if !strings.Contains(text, "Lambda.TooManyRequestsException") {
			t.Errorf("%s is not repeated if Lambda has no room: %s", state, text)
		}
		if got := strings.Contains(text, "Lambda.ServiceException"); got != repeated {
			t.Errorf("%s is repeated when nobody knows whether it ran: %v, want %v", state, got, repeated)
		}
	}
	policy := the(t, all, "AWS::IAM::Policy", "MachineRole").at("PolicyDocument")
	if strings.Count(policy, `"Effect":"Allow"`) != 1 || !strings.Contains(policy, `"Action":"lambda:InvokeFunction"`) || !strings.Contains(policy, live) {
		t.Errorf("the role of the state machine may %s", policy)
	}
}

func TestATriggerThatCannotWorkSaysAllThatIsWrong(t *testing.T) {
	stack := newStack()
	proxy := newProxy(stack)
	short := awssqs.NewQueue(stack, jsii.String("Short"), nil)
	fifo := awssqs.NewQueue(stack, jsii.String("Fifo"), &awssqs.QueueProps{Fifo: jsii.Bool(true), VisibilityTimeout: awscdk.Duration_Hours(jsii.Number(1))})
	wrong := triggers.Request{
		Method: "GET /", Path: "/a/../b", Headers: map[string]string{"a b": "c", "X-A": "1", "x-a": "2", "Idempotency-Key": "k"},
		Body: stack, IdempotencyKey: strings.Repeat("k", 256), FailOn: "always",
	}
	wrong.Body = struct{ Tea int }{2}
	requests := []string{"Request.Method", "dot segment", `"a b"`, "two spellings", "Request.IdempotencyKey", "256 characters", `"always"`, "Request.Body is a struct"}
	id := func() *string { return jsii.String("Wrong") }
	for name, c := range map[string]struct {
		build func()
		says  []string
	}{
		"nothing at all": {func() { triggers.NewQueue(stack, id(), nil) }, []string{`Queue "Wrong"`, "Proxy is nil"}},
		"numbers": {func() {
			triggers.NewQueue(stack, id(), &triggers.QueueProps{Proxy: proxy, BatchSize: 11, MaxConcurrency: 1, MaxReceiveCount: -1, VisibilityTimeout: 309 * time.Second})
		}, []string{"BatchSize is 11; give 1 to 10", "MaxConcurrency is 1; give 2 to 1000", "MaxReceiveCount is -1", "VisibilityTimeout is 5m9s", "give 5m10s or more"}},
		"a wait that is no number of seconds": {func() {
			triggers.NewQueue(stack, id(), &triggers.QueueProps{Proxy: proxy, VisibilityTimeout: 13 * time.Hour})
		}, []string{"up to 12h0m0s"}},
		"a queue with the default of SQS": {func() {
			triggers.NewQueue(stack, id(), &triggers.QueueProps{Proxy: proxy, Queue: short, MaxReceiveCount: 3})
		},
			[]string{"the visibility timeout of Queue is 30s", "give 5m10s or more", "give them to that queue"}},
		"a FIFO queue": {func() { triggers.NewQueue(stack, id(), &triggers.QueueProps{Proxy: proxy, Queue: fifo}) }, []string{"standard queue"}},
		"a schedule": {func() {
			triggers.NewSchedule(stack, id(), &triggers.ScheduleProps{Request: wrong, Schedule: &awsscheduler.ScheduleProps{}})
		}, append([]string{`Schedule "Wrong"`, "Proxy is nil", "no expression"}, requests...)},
		"a rule": {func() {
			triggers.NewRule(stack, id(), &triggers.RuleProps{Proxy: proxy, Request: wrong, Rule: &awsevents.RuleProps{Targets: &[]awsevents.IRuleTarget{}}})
		}, append([]string{`Rule "Wrong"`, "EventPattern"}, requests...)},
		"a task": {func() {
			triggers.NewTask(stack, id(), &triggers.TaskProps{Proxy: proxy, Request: wrong, Task: &awsstepfunctionstasks.LambdaInvokeProps{InvocationType: awsstepfunctionstasks.LambdaInvocationType_EVENT}})
		}, append([]string{`Task "Wrong"`, "InvocationType"}, requests...)},
		"a path with a query": {func() {
			triggers.NewTask(stack, id(), &triggers.TaskProps{Proxy: proxy, Request: triggers.Request{Method: "GET", Path: "/a?b"}})
		}, []string{"Request.Query"}},
		"a request without a path": {func() {
			triggers.NewTask(stack, id(), &triggers.TaskProps{Proxy: proxy, Request: triggers.Request{Method: "GET"}})
		}, []string{"Request.Path is empty"}},
	} {
		message := panicOf(t, c.build)
		for _, want := range c.says {
			if !strings.Contains(message, want) {
				t.Errorf("%s: the message does not say %q:\n%s", name, want, message)
			}
		}
	}
	if stack.Node().TryFindChild(jsii.String("Wrong")) != nil {
		t.Error("something was built all the same")
	}
}

func TestTriggersMayBeInAnotherStackThanTheProxy(t *testing.T) {
	stack := newStack()
	proxy := newProxy(stack)
	other := awscdk.NewStack(stack, jsii.String("Jobs"), nil)
	triggers.NewQueue(other, jsii.String("Jobs"), &triggers.QueueProps{Proxy: proxy})
	request := triggers.Request{Method: "GET", Path: "/"}
	triggers.NewSchedule(awscdk.NewStack(stack, jsii.String("Nights"), nil), jsii.String("Nightly"), &triggers.ScheduleProps{
		Proxy: proxy, Request: request,
		Schedule: &awsscheduler.ScheduleProps{Schedule: awsscheduler.ScheduleExpression_Rate(awscdk.Duration_Days(jsii.Number(1)))},
	})
	if source := the(t, resourcesOf(t, stack), "AWS::Lambda::EventSourceMapping", live); !strings.Contains(source.at("EventSourceArn"), "Fn::ImportValue") {
		t.Errorf("the event source is %s", source.Properties)
	}
	message := panicOf(t, func() {
		triggers.NewRule(other, jsii.String("Rule"), &triggers.RuleProps{Proxy: proxy, Request: request, Rule: &awsevents.RuleProps{
			EventPattern: &awsevents.EventPattern{Source: jsii.Strings("shop")},
		}})
	})
	if !strings.Contains(message, "another stack than Proxy") {
		t.Errorf("the message is %s", message)
	}
}

func TestAQueueWithoutDeadLettersIsWarnedOf(t *testing.T) {
	var told []string
	for _, entry := range *shop().Node().FindChild(jsii.String("Given")).Node().Metadata() {
		told = append(told, fmt.Sprint(entry.Data))
	}
	if !strings.Contains(strings.Join(told, "\n"), "no dead letter queue") {
		t.Errorf("it is told of %v", told)
	}
}

// Whoever has set it up for something else must hear of it.
func TestAnAliasThatIsAlreadyConfiguredIsNotConfiguredTwice(t *testing.T) {
	stack := newStack()
	proxy := newProxy(stack)
	if one, other := triggers.DeadLetters(proxy), triggers.DeadLetters(proxy); *one.Node().Path() != *other.Node().Path() {
		t.Error("there are two queues")
	}
	message := panicOf(t, func() { proxy.Live.ConfigureAsyncInvoke(&awslambda.EventInvokeConfigOptions{}) })
	if !strings.Contains(message, "already been configured") {
		t.Errorf("the message is %s", message)
	}
}
