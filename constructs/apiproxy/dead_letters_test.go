//go:build !race

package apiproxy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// queue is the one queue of a template.
func (t template) queue(tb testing.TB) *resource {
	tb.Helper()
	queues := t.ofType("AWS::SQS::Queue")
	if len(queues) != 1 {
		tb.Fatalf("there are %d queues, want one", len(queues))
	}
	return queues[0]
}

func TestOnlyAStackWithDeadLettersHasAQueueForThem(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		with := strings.HasSuffix(t.Name(), "Letters") || strings.HasSuffix(t.Name(), "Everything") || strings.HasSuffix(t.Name(), "Monitored")
		retention := template.gateway().at("Environment", "Variables", "DEAD_LETTER_RETENTION")
		if got := len(template.ofType("AWS::SQS::Queue")); (got == 1) != with || (retention != nil) != with {
			t.Errorf("there are %d queues, and the retention of letters is %v", got, retention)
		}
		if !with && template.asyncMachine() != nil && template.asyncDefinition().States["DeadLetter"].Type != "" {
			t.Error("a state sends letters")
		}
	})
}

func TestTheQueueKeepsLettersFor14DaysAndIsEncrypted(t *testing.T) {
	template := variants()["DeadLetters"]
	queue := template.queue(t)
	if got := queue.at("MessageRetentionPeriod"); got != 1209600.0 {
		t.Errorf("it keeps letters for %v s, want 14 days", got)
	}
	if got := template.gateway().at("Environment", "Variables", "DEAD_LETTER_RETENTION"); got != "336h0m0s" {
		t.Errorf("the gateway keeps what they refer to for %v", got)
	}
	if queue.at("KmsMasterKeyId") != nil || queue.at("SqsManagedSseEnabled") == false {
		t.Error("it is not encrypted as SQS does by default")
	}
	encrypted := variants()["EncryptedDeadLetters"].queue(t)
	if encrypted.at("KmsMasterKeyId") == nil {
		t.Error("with EncryptionKey, it is not encrypted with that")
	}
}

func TestEveryWayToFailedLeadsByTheDeadLetterButThatOfWhatHasNoSummary(t *testing.T) {
	d := variants()["DeadLetters"].asyncDefinition()
	send := d.States["DeadLetter"]
	if send.Type != "Task" || send.Resource != "arn:${AWS::Partition}:states:::sqs:sendMessage" || send.Next != "Failed" || string(send.ResultPath) != "null" {
		t.Fatalf("the state is %+v", send)
	}
	if len(send.Catch) != 1 || send.Catch[0].Next != "Undelivered" || !slices.Equal(send.Catch[0].ErrorEquals, []string{"States.ALL"}) || d.States["Undelivered"].Next != "Failed" {
		t.Errorf("after a failure it leads to %+v", send.Catch)
	}
	if len(send.Retry) != 1 || !slices.Equal(send.Retry[0].ErrorEquals, []string{"States.ALL"}) || send.Retry[0].MaxAttempts < 10 {
		t.Errorf("it is repeated %+v", send.Retry)
	}
	for name, s := range d.States {
		for _, c := range s.Choices {
			if c.Next != "DeadLetter" {
				continue
			}
			text := strings.Split(d.text, `"`+name+`"`)[1:]
			if !strings.Contains(strings.Join(text, ""), `"Variable":"$.summary","IsPresent":true`) {
				t.Errorf("%s leads to the letter without a summary", name)
			}
		}
		if s.Next == "Failed" && name != "DeadLetter" && name != "Undelivered" {
			t.Errorf("%s leads to Failed without a letter", name)
		}
	}
	if check := d.States["CheckAllLost"]; check.Default != "DeadLetter" {
		t.Errorf("without a record, an execution whose proxies were lost goes on to %s", check.Default)
	}
	for name, want := range map[string]string{"Check-1": "DeadLetter", "Check-3": "DeadLetter", "Released": "DeadLetter"} {
		if !slices.ContainsFunc(d.States[name].Choices, func(c choice) bool { return c.Next == want }) {
			t.Errorf("%s never leads to %s", name, want)
		}
	}
	if got := d.States["GiveUp"].Catch; len(got) != 2 || got[0].Next != "Untold" || d.States["Untold"].Next != "DeadLetter" {
		t.Errorf("an execution of which nobody has told how it ended goes on by %+v", got)
	}
}

// Step Functions sends no letter of an execution that it ends itself.
func TestAnExecutionWithDeadLettersHasAnHourAfterItsDeadline(t *testing.T) {
	if got := variants()["DeadLetters"].asyncDefinition().TimeoutSeconds; got != (25 * time.Hour).Seconds() {
		t.Errorf("it ends after %v s, want 25 hours", got)
	}
}

func TestOnlyTheStateMachineMaySendLettersAndNobodyReadsThem(t *testing.T) {
	template := variants()["DeadLetters"]
	for _, role := range template.ofType("AWS::IAM::Role") {
		for _, s := range template.rights(role) {
			for _, action := range s.Actions {
				if strings.HasPrefix(action, "sqs:") && (action != "sqs:SendMessage" || role != template.referred(template.asyncMachine().at("RoleArn"))) {
					t.Errorf("%s may %s", role.id, action)
				}
			}
		}
	}
}

func TestLettersThatCannotBeSentAreCounted(t *testing.T) {
	template := variants()["DeadLetters"]
	found := 0
	for _, filter := range template.ofType("AWS::Logs::MetricFilter") {
		if filter.at("FilterPattern") == `{ ($.type = "PassStateEntered") && ($.details.name = "Undelivered") }` {
			found++
		}
	}
	if state := template.asyncDefinition().States["Undelivered"]; found != 1 || state.Type != "Pass" {
		t.Errorf("%d filters count the state %+v", found, state)
	}
}

func TestLettersCanGoToAQueueThatIsThereAlready(t *testing.T) {
	app := newApp(deployed(), nothingBundled)
	stack := awscdk.NewStack(app, jsii.String("Shared"), nil)
	queue := awssqs.NewQueue(stack, jsii.String("All"), &awssqs.QueueProps{RetentionPeriod: awscdk.Duration_Days(jsii.Number(4))})
	props := minimal()
	props.Async, props.DeadLetters = &apiproxy.Async{}, &apiproxy.DeadLetters{Queue: queue, Retention: 4 * 24 * time.Hour}
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props)
	if proxy.DeadLetterQueue != queue {
		t.Error("DeadLetterQueue is another one")
	}
	template := synthesise(app)["Shared"]
	if got := template.asyncDefinition().States["DeadLetter"].Parameters["QueueUrl"]; got != "${"+template.queue(t).id+"}" {
		t.Errorf("letters go to %v", got)
	}
	if got := template.gateway().at("Environment", "Variables", "DEAD_LETTER_RETENTION"); got != "96h0m0s" {
		t.Errorf("what they refer to is kept for %v", got)
	}
}

func TestAFIFOQueueForLettersIsRefused(t *testing.T) {
	stack := awscdk.NewStack(newApp(deployed(), nothingBundled), jsii.String("Fifo"), nil)
	props := minimal()
	props.Async = &apiproxy.Async{}
	props.DeadLetters = &apiproxy.DeadLetters{Queue: awssqs.NewQueue(stack, jsii.String("All"), &awssqs.QueueProps{Fifo: jsii.Bool(true)})}
	if err := props.Validate(); err == nil || !strings.Contains(err.Error(), "DeadLetters.Queue is a FIFO queue") {
		t.Errorf("the error is %v", err)
	}
}

func TestWhatIsWrongWithDeadLettersIsSaid(t *testing.T) {
	for want, change := range map[string]func(*apiproxy.RetryingApiProxyProps){
		"DeadLetters is set, and Async is not; set Async too":                       func(p *apiproxy.RetryingApiProxyProps) { p.Async = nil },
		"DeadLetters.Retention is 1s; give whole seconds from 1m0s to 336h0m0s":     func(p *apiproxy.RetryingApiProxyProps) { p.DeadLetters.Retention = time.Second },
		"DeadLetters.Retention is 360h0m0s; give whole seconds from 1m0s":           func(p *apiproxy.RetryingApiProxyProps) { p.DeadLetters.Retention = 360 * time.Hour },
		"DeadLetters.Retention is 1m0.5s; give whole seconds from 1m0s to 336h0m0s": func(p *apiproxy.RetryingApiProxyProps) { p.DeadLetters.Retention = 60500 * time.Millisecond },
	} {
		props := minimal()
		props.Async, props.DeadLetters = &apiproxy.Async{}, &apiproxy.DeadLetters{}
		if err := props.Validate(); err != nil {
			t.Fatal(err)
		}
		change(props)
		if err := props.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %s", err, want)
		}
	}
}

func TestMetricUndeliveredIsOfStacksWithDeadLettersOnly(t *testing.T) {
	app := newApp(deployed(), nothingBundled)
	proxy := apiproxy.NewRetryingApiProxy(awscdk.NewStack(app, jsii.String("None"), nil), jsii.String("Orders"), minimal())
	defer func() {
		if told, _ := recover().(string); !strings.Contains(told, "set the prop DeadLetters") {
			t.Errorf("it panics with %q", told)
		}
	}()
	proxy.MetricUndelivered(nil)
}
