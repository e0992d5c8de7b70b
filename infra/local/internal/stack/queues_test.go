package stack_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/faults"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// batchReader is testdata/batchreader, a handler that processes the messages of a queue.
var batchReader = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(directory, "batchreader")
	if output, err := exec.Command("go", "build", "-tags=lambda.norpc", "-o", binary, "./testdata/batchreader").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./testdata/batchreader: %w\n%s", err, output)
	}
	return binary, nil
})

// queueTemplate is a stack with a function that reads the queue jobs. Messages that it has received twice move to jobs-dead.
const queueTemplate = `{
  "Resources": {
    "Reader": {"Type": "AWS::Lambda::Function", "Properties": {
      "FunctionName": "reader", "Code": {"S3Key": "aaaa.zip"}, "Handler": "bootstrap", "Runtime": "provided.al2023", "Timeout": 20,
      "Environment": {"Variables": {"FORWARD": {"Ref": "Dead"}}}
    }},
    "Version": {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "Reader"}}},
    "Live": {"Type": "AWS::Lambda::Alias", "Properties": {"FunctionName": {"Ref": "Reader"}, "FunctionVersion": "1", "Name": "live"}},
    "Url": {"Type": "AWS::Lambda::Url", "Properties": {"AuthType": "NONE", "TargetFunctionArn": {"Fn::GetAtt": ["Reader", "Arn"]}}},
    "Jobs": {"Type": "AWS::SQS::Queue", "Properties": {
      "QueueName": "jobs", "VisibilityTimeout": 120, "RedrivePolicy": {"deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}, "maxReceiveCount": 2}
    }},
    "Dead": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "jobs-dead", "MessageRetentionPeriod": 1209600}},
    "Source": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {
      "EventSourceArn": {"Fn::GetAtt": ["Jobs", "Arn"]}, "FunctionName": {"Ref": "Live"}, "FunctionResponseTypes": ["ReportBatchItemFailures"]
    }}
  }
}`

const (
	jobs     = "http://aws.local/000000000000/jobs"
	deadJobs = "http://aws.local/000000000000/jobs-dead"
)

// A queueBench is a stack of the queueTemplate, with a clock of the queues that the test has entered.
type queueBench struct {
	t     *testing.T
	stack *stack.Stack
	sdk   *sqs.Client
	clock *clock.Virtual

	mu    sync.Mutex
	lines []string // that the function printed, and what the event source says
}

// newQueueBench starts a stack of the queueTemplate, with a change in it.
func newQueueBench(t *testing.T, change func(string) string, settings ...setting) (*queueBench, error) {
	t.Helper()
	binary, err := batchReader()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"manifest.json":      `{"artifacts":{"Shop":{"type":"aws:cloudformation:stack","properties":{"templateFile":"Shop.template.json"}}}}`,
		"Shop.assets.json":   `{"files":{"aaaa":{"source":{"path":"asset.aaaa"}}}}`,
		"Shop.template.json": change(queueTemplate),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := &queueBench{t: t, clock: clock.NewVirtual(time.Unix(1_700_000_000, 0))}
	t.Cleanup(b.clock.Enter())
	c := config{Config: stack.Config{Listener: listen(t), QueueClock: b.clock, Binaries: map[string]string{"reader": binary}, Log: b.log}}
	for _, set := range settings {
		set(t, &c)
	}
	if c.Template, err = stack.Load(dir, c.Listener); err != nil {
		t.Fatal(err)
	}
	if b.stack, err = stack.Start(c.Config); err != nil {
		return nil, err
	}
	t.Cleanup(b.stack.Close)
	b.sdk = sqs.New(sqs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(b.stack.Endpoint()), Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff, o.RateLimiter = 20, time.Millisecond, ratelimit.None
		}),
	})
	return b, nil
}

// unchanged leaves the queueTemplate as it is.
func unchanged(template string) string { return template }

func mustStart(t *testing.T, settings ...setting) *queueBench {
	t.Helper()
	b, err := newQueueBench(t, unchanged, settings...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *queueBench) log(event lambda.LogEvent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if event.Type == lambda.LogFunction || event.Type == lambda.LogFault {
		b.lines = append(b.lines, strings.TrimPrefix(event.Message, "got "))
	}
}

func (b *queueBench) printed() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(slices.Values(b.lines))
}

// expect waits until the function has printed lines, in any order.
func (b *queueBench) expect(want ...string) {
	b.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !slices.Equal(b.printed(), want); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("the function printed %q, want %q", b.printed(), want)
		}
	}
}

// pass lets time pass for the queues, with all that comes of it.
func (b *queueBench) pass(d time.Duration) {
	b.t.Helper()
	for _, d := range []time.Duration{d, time.Nanosecond} {
		if err := b.clock.Wait(b.t.Context(), d); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *queueBench) send(bodies ...string) {
	b.t.Helper()
	for _, body := range bodies {
		if _, err := b.sdk.SendMessage(b.t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(jobs), MessageBody: &body}); err != nil {
			b.t.Fatal(err)
		}
	}
}

// dead are the bodies in the dead letter queue.
func (b *queueBench) dead() (bodies []string) {
	b.t.Helper()
	out, err := b.sdk.ReceiveMessage(b.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(deadJobs), MaxNumberOfMessages: 10})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, m := range out.Messages {
		bodies = append(bodies, *m.Body)
	}
	return bodies
}

func TestAMessageThatFailsComesTwiceAndThenIsADeadLetter(t *testing.T) {
	t.Parallel()
	b := mustStart(t)
	b.send("good", "fail")
	b.expect("fail 1", "good 1")
	b.pass(119 * time.Second)
	b.expect("fail 1", "good 1")
	b.pass(time.Second)
	b.expect("fail 1", "fail 2", "good 1")
	if dead := b.dead(); len(dead) > 0 {
		t.Errorf("there are dead letters after two receives: %q", dead)
	}
	b.pass(120 * time.Second)
	b.expect("fail 1", "fail 2", "good 1")
	if dead := b.dead(); !slices.Equal(dead, []string{"fail"}) {
		t.Errorf("the dead letters are %q, want the message that failed", dead)
	}
}

func TestQueuesGoByTheRealClockUnlessTheyAreGivenAnother(t *testing.T) {
	t.Parallel()
	b := mustStart(t, func(_ testing.TB, c *config) { c.QueueClock, c.Speed = nil, 1000 })
	b.send("good", "fail")
	b.expect("fail 1", "good 1")
	out, err := b.sdk.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: aws.String(jobs), AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		t.Fatal(err)
	}
	created, err := strconv.ParseInt(out.Attributes["CreatedTimestamp"], 10, 64)
	if age := time.Since(time.Unix(created, 0)); err != nil || age < 0 || age > time.Minute {
		t.Errorf("the queue is %v old, want some seconds", age)
	}
}

func TestAFunctionReachesTheQueuesOfTheStack(t *testing.T) {
	t.Parallel()
	b := mustStart(t)
	b.send("forward")
	b.expect("forward 1")
	b.pass(time.Nanosecond)
	if dead := b.dead(); !slices.Equal(dead, []string{"done"}) {
		t.Errorf("what was forwarded is %q", dead)
	}
}

func TestMessagesAreKeptInTheDataFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "data.db")
	kept := func(_ testing.TB, c *config) { c.DataFile = file }
	b := mustStart(t, kept)
	b.send("fail")
	b.expect("fail 1")
	b.pass(time.Second)
	b.stack.Close()

	b = mustStart(t, kept)
	b.pass(118 * time.Second) // its clock begins where the other one did
	b.expect()
	b.pass(2 * time.Second)
	b.expect("fail 2")
}

func TestEachMessageIsProcessedWhateverCallsFail(t *testing.T) {
	t.Parallel()
	b := mustStart(t, failing(faults.Settings{Throttle: 0.15, Lost: 0.15, Slow: 0.1, Delay: time.Millisecond, Seed: 7}))
	var bodies []string
	for i := range 40 {
		bodies = append(bodies, fmt.Sprintf("%02d", i))
	}
	b.send(bodies...)
	seen := func() (all map[string]int) {
		all = map[string]int{}
		for _, line := range b.printed() {
			if body, _, _ := strings.Cut(line, " "); slices.Contains(bodies, body) {
				all[body]++
			}
		}
		return all
	}
	deadline := time.Now().Add(60 * time.Second)
	for len(seen()) < 40 && time.Now().Before(deadline) {
		b.pass(10 * time.Second)
		for _, dead := range b.dead() { // twice received, and not processed once, as AWS has it too
			b.log(lambda.LogEvent{Type: lambda.LogFunction, Message: dead + " dead"})
		}
	}
	if n := len(seen()); n < 40 {
		t.Errorf("%d of 40 messages were processed or are dead letters", n)
	}
}

func TestMessagesForAFunctionThatMayNotRunEndAsDeadLetters(t *testing.T) {
	t.Parallel()
	b, err := newQueueBench(t, func(template string) string {
		return strings.Replace(template, `"Timeout": 20,`, `"Timeout": 20, "ReservedConcurrentExecutions": 0,`, 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	b.send("never")
	for range 5 {
		b.pass(120 * time.Second)
	}
	if lines := b.printed(); len(lines) == 0 || !strings.Contains(lines[0], "event source arn:aws:sqs:us-east-1:000000000000:jobs: a batch of 1 failed: lambda: TooManyRequestsException") {
		t.Errorf("the event source says %q", lines)
	}
	if dead := b.dead(); !slices.Equal(dead, []string{"never"}) {
		t.Errorf("the dead letters are %q", dead)
	}
}

func TestAnEventSourceThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	for want, change := range map[string][2]string{
		"InvalidParameterValueException: the event source arn:aws:sqs:us-east-1:000000000000:jobs of the function arn:aws:lambda:us-east-1:000000000000:function:reader:live: " +
			"Queue visibility timeout: 120 seconds is less than Function timeout: 121 seconds": {`"Timeout": 20`, `"Timeout": 121`},
		"which is no queue of the stack; it cannot be run here":   {`"EventSourceArn": {"Fn::GetAtt": ["Jobs", "Arn"]}`, `"EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:elsewhere"`},
		"which is not in the stack; it cannot be run here":        {`"FunctionName": {"Ref": "Live"}, "FunctionResponse`, `"FunctionName": "elsewhere", "FunctionResponse`},
		`as its dead letter queue, which is not there, or itself`: {`{"Fn::GetAtt": ["Dead", "Arn"]}`, `"arn:aws:sqs:us-east-1:000000000000:elsewhere"`},
	} {
		_, err := newQueueBench(t, func(template string) string {
			if !strings.Contains(template, change[0]) {
				t.Fatalf("the template has no %s", change[0])
			}
			return strings.Replace(template, change[0], change[1], 1)
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %s: got %v, want %s", change[1], err, want)
		}
	}
}

func TestTheReaderOfAQueueThatCannotReadItIsNamedInItsLog(t *testing.T) {
	t.Parallel()
	b := mustStart(t, func(_ testing.TB, c *config) {
		binary, err := crasher()
		if err != nil {
			t.Fatal(err)
		}
		c.Binaries["reader"] = binary
	})
	b.send("a")
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(strings.Join(b.printed(), "\n"), "a batch of 1 failed: the function ended with Runtime.ExitError"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log is %q", b.printed())
		}
	}
}

func TestCallsToSQSFailAsTheFaultsSay(t *testing.T) {
	t.Parallel()
	b := mustStart(t, failing(faults.Settings{Throttle: 1}))
	_, err := b.sdk.ListQueues(t.Context(), &sqs.ListQueuesInput{}, func(o *sqs.Options) { o.Retryer = aws.NopRetryer{} })
	var throttled smithy.APIError
	if !errors.As(err, &throttled) || throttled.ErrorCode() != "RequestThrottled" {
		t.Errorf("the error is %v, want a RequestThrottled", err)
	}
}
