package eventsource_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda/eventsource"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/sqs"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// start is the time at which the clock of a test begins: 2023-11-14 22:13:20.
var start = time.Unix(1_700_000_000, 0)

const (
	queueURL = "https://sqs.us-east-1.amazonaws.com/000000000000/orders"
	queueARN = "arn:aws:sqs:us-east-1:000000000000:orders"
	deadURL  = "https://sqs.us-east-1.amazonaws.com/000000000000/orders-dead"
)

// An event is what a function gets.
type event struct {
	Records []struct {
		MessageID  string `json:"messageId"`
		Body       string
		Attributes map[string]string
	}
}

// bodies are those of the messages, in order.
func (e event) bodies() string {
	var all []string
	for _, r := range e.Records {
		all = append(all, r.Body)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// A bench is a queue with an event source, whose function is the test's. The test has entered the clock: time passes only
// when it waits, and when it has waited everybody has done what there was to do by then.
type bench struct {
	t     *testing.T
	store *sqs.Store
	clock *clock.Virtual

	mu      sync.Mutex
	events  []event
	payload []byte // of the last event
	logged  []string
	answer  func(event) (lambda.Result, error)
}

func newBench(t *testing.T, answer func(event) (lambda.Result, error)) *bench {
	t.Helper()
	b := &bench{t: t, clock: clock.NewVirtual(start), answer: answer}
	t.Cleanup(b.clock.Enter())
	b.store = sqs.New(sqs.Config{Clock: b.clock})
	if err := b.store.Create(
		sqs.Queue{Name: "orders", Redrive: &sqs.Redrive{DeadLetterTargetARN: queueARN + "-dead", MaxReceiveCount: 2}},
		sqs.Queue{Name: "orders-dead"},
	); err != nil {
		t.Fatal(err)
	}
	return b
}

// Invoke is the function.
func (b *bench) Invoke(_ context.Context, name string, payload []byte) (lambda.Result, error) {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil || name != "gateway:live" {
		b.t.Errorf("%s was invoked with %s: %v", name, payload, err)
	}
	b.mu.Lock()
	b.events, b.payload = append(b.events, e), payload
	b.mu.Unlock()
	return b.answer(e)
}

// mapping is that of the tests.
func mapping(change ...func(*eventsource.Mapping)) eventsource.Mapping {
	m := eventsource.Mapping{
		QueueARN: queueARN, QueueURL: queueURL, VisibilityTimeout: 30 * time.Second, Function: "gateway:live", FunctionTimeout: 5 * time.Second,
	}
	for _, c := range change {
		c(&m)
	}
	return m
}

func reporting(m *eventsource.Mapping) { m.ReportBatchItemFailures = true }

// run starts the source, until the test ends, and has it do what there is to do.
func (b *bench) run(m eventsource.Mapping, queues ...eventsource.Queues) *eventsource.Source {
	b.t.Helper()
	config := eventsource.Config{Queues: b.store, Functions: b, Clock: b.clock, Log: func(reason string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.logged = append(b.logged, reason)
	}}
	for _, q := range queues {
		config.Queues = q
	}
	s, err := eventsource.Start(config, m)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(s.Close)
	b.pass(time.Nanosecond)
	return s
}

// pass lets time pass.
func (b *bench) pass(d time.Duration) {
	b.t.Helper()
	for _, d := range []time.Duration{d, time.Nanosecond} { // the second lets those end who woke at the end of the first
		if err := b.clock.Wait(b.t.Context(), d); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) call(operation, input string) []byte {
	b.t.Helper()
	output, err := b.store.Call(b.t.Context(), operation, json.RawMessage(input))
	if err != nil {
		b.t.Fatalf("%s: %v", operation, err)
	}
	return output
}

func (b *bench) send(bodies ...string) {
	b.t.Helper()
	for _, body := range bodies {
		b.call("SendMessage", fmt.Sprintf(`{"QueueUrl":%q,"MessageBody":%q}`, queueURL, body))
	}
}

// counts are the numbers of messages of a queue that can be received, and that are hidden.
func (b *bench) counts(url string) string {
	b.t.Helper()
	var out struct{ Attributes map[string]string }
	if err := json.Unmarshal(b.call("GetQueueAttributes", fmt.Sprintf(`{"QueueUrl":%q,"AttributeNames":["All"]}`, url)), &out); err != nil {
		b.t.Fatal(err)
	}
	return out.Attributes["ApproximateNumberOfMessages"] + " " + out.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

// expect compares the bodies of the events so far.
func (b *bench) expect(want ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var got []string
	for _, e := range b.events {
		got = append(got, e.bodies())
	}
	if !slices.Equal(got, want) {
		b.t.Errorf("the function got %q, want %q", got, want)
	}
}

// answering is a function that always answers the same.
func answering(payload string) func(event) (lambda.Result, error) {
	return func(event) (lambda.Result, error) { return lambda.Result{Payload: []byte(payload)}, nil }
}

func failing(event) (lambda.Result, error) {
	return lambda.Result{FunctionError: lambda.Unhandled, ErrorType: "errorString", Payload: []byte(`{"batchItemFailures":[]}`)}, nil
}

var errThrottled = &lambda.Error{Code: "TooManyRequestsException", StatusCode: 429, Message: "Rate Exceeded."}

func TestTheFunctionGetsTheEventThatLambdaMakes(t *testing.T) {
	b := newBench(t, answering("null"))
	b.call("SendMessage", `{"QueueUrl":"`+queueURL+`","MessageBody":"{\"path\":\"/<a>\"}","MessageAttributes":{"n":{"DataType":"Number.int","StringValue":"7"},"b":{"DataType":"Binary","BinaryValue":"AP8="}}}`)
	b.pass(5 * time.Second)
	b.run(mapping())
	var got bytes.Buffer
	if err := json.Indent(&got, b.payload, "", "  "); err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Records []struct{ MessageID, ReceiptHandle string }
	}
	if err := json.Unmarshal(b.payload, &parsed); err != nil || len(parsed.Records) != 1 {
		t.Fatalf("%v: %s", err, b.payload)
	}
	want := `{
  "Records": [
    {
      "messageId": "` + parsed.Records[0].MessageID + `",
      "receiptHandle": "` + parsed.Records[0].ReceiptHandle + `",
      "body": "{\"path\":\"/<a>\"}",
      "attributes": {
        "ApproximateFirstReceiveTimestamp": "1700000005000",
        "ApproximateReceiveCount": "1",
        "SenderId": "000000000000",
        "SentTimestamp": "1700000000000"
      },
      "messageAttributes": {
        "b": {
          "binaryValue": "AP8=",
          "stringListValues": [],
          "binaryListValues": [],
          "dataType": "Binary"
        },
        "n": {
          "stringValue": "7",
          "stringListValues": [],
          "binaryListValues": [],
          "dataType": "Number.int"
        }
      },
      "md5OfMessageAttributes": "aea33dd33599cb2d1babfbccf1656106",
      "md5OfBody": "e496d0cc5691d96e7f3550b4c5523b37",
      "eventSource": "aws:sqs",
      "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:orders",
      "awsRegion": "us-east-1"
    }
  ]
}`
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

func TestMessagesOfABatchThatSucceededAreDeleted(t *testing.T) {
	b := newBench(t, answering(`{"any":"answer"}`))
	b.send("a", "b", "c")
	b.run(mapping())
	b.expect("a b c")
	if got := b.counts(queueURL); got != "0 0" {
		t.Errorf("the counts are %s", got)
	}
	b.pass(time.Hour)
	b.expect("a b c")
}

func TestMessagesOfABatchThatFailedComeAgainAndThenAreDeadLetters(t *testing.T) {
	b := newBench(t, failing)
	b.send("a", "b")
	b.run(mapping(reporting))
	b.expect("a b")
	if got := b.counts(queueURL); got != "0 2" {
		t.Errorf("the counts are %s, want both left to the visibility timeout", got)
	}
	b.pass(29 * time.Second)
	b.expect("a b")
	b.pass(time.Second)
	b.expect("a b", "a b")
	b.pass(30 * time.Second)
	b.expect("a b", "a b")
	if got, gotDead := b.counts(queueURL), b.counts(deadURL); got != "0 0" || gotDead != "2 0" {
		t.Errorf("the counts are %s, and of the dead letter queue %s", got, gotDead)
	}
	if len(b.logged) != 2 || b.logged[0] != "event source "+queueARN+": a batch of 2 failed: the function ended with errorString" {
		t.Errorf("the log is %q", b.logged)
	}
}

// An answer of ID stands for the id of the message b.
func TestTheAnswerSaysWhichMessagesFailed(t *testing.T) {
	for answer, again := range map[string]string{
		``:                           "",
		`null`:                       "",
		`""`:                         "",
		`{}`:                         "",
		`{"batchItemFailures":null}`: "",
		`{"batchItemFailures":[]}`:   "",
		`{"batchItemFailure":[{"itemIdentifier":"ID"}]}`:                          "", // as Lambda has it: an answer without the list
		`{"batchItemFailures":[{"itemIdentifier":"ID"}]}`:                         "b",
		`{"batchItemFailures":[{"itemIdentifier":"ID"},{"itemIdentifier":"ID"}]}`: "b",
		`{"batchItemFailures":[{"itemIdentifier":""}]}`:                           "a b c",
		`{"batchItemFailures":[{"itemIdentifier":null}]}`:                         "a b c",
		`{"batchItemFailures":[{"itemIdentifier":7}]}`:                            "a b c",
		`{"batchItemFailures":[{"ItemIdentifier":"ID"}]}`:                         "a b c",
		`{"batchItemFailures":[{"messageId":"ID"}]}`:                              "a b c",
		`{"batchItemFailures":[{"itemIdentifier":"ID"},{"itemIdentifier":"x"}]}`:  "a b c",
		`{"batchItemFailures":["ID"]}`:                                            "a b c",
		`{"batchItemFailures":{"itemIdentifier":"ID"}}`:                           "a b c",
		`"done"`: "a b c",
		`[]`:     "a b c",
		`{`:      "a b c",
	} {
		b := newBench(t, func(e event) (lambda.Result, error) {
			id := ""
			for _, r := range e.Records {
				if r.Body == "b" {
					id = r.MessageID
				}
			}
			return lambda.Result{Payload: []byte(strings.ReplaceAll(answer, "ID", id))}, nil
		})
		b.send("a", "b", "c")
		b.run(mapping(reporting))
		left := map[string]string{"": "0 0", "b": "0 1", "a b c": "0 3"}[again]
		if got := b.counts(queueURL); got != left {
			t.Errorf("after %s the counts are %s, want %s", answer, got, left)
		}
		if wholeFailed := again == "a b c"; (len(b.logged) > 0) != wholeFailed {
			t.Errorf("after %s the log is %q", answer, b.logged)
		}
		b.pass(30 * time.Second)
		if again != "" {
			b.expect("a b c", again)
		} else {
			b.expect("a b c")
		}
	}
}

func TestAnAnswerCountsOnlyIfTheMappingSaysSo(t *testing.T) {
	for _, answer := range []string{`{"batchItemFailures":[{"itemIdentifier":""}]}`, `"done"`} {
		b := newBench(t, answering(answer))
		b.send("a")
		b.run(mapping())
		if got := b.counts(queueURL); got != "0 0" {
			t.Errorf("after %s the counts are %s", answer, got)
		}
	}
}

func TestAThrottledInvocationCostsNoReceive(t *testing.T) {
	calls := 0
	b := newBench(t, nil)
	b.answer = func(event) (lambda.Result, error) {
		if calls++; calls < 5 {
			return lambda.Result{}, errThrottled
		}
		return lambda.Result{}, nil
	}
	b.send("a")
	b.run(mapping())
	b.pass(5 * time.Second) // four pauses, of 0.25 s to 2 s
	b.expect("a", "a", "a", "a", "a")
	if count := b.events[4].Records[0].Attributes["ApproximateReceiveCount"]; count != "1" {
		t.Errorf("the message was received %s times", count)
	}
	if got := b.counts(queueURL); got != "0 0" {
		t.Errorf("the counts are %s", got)
	}
}

func TestAnInvocationThatIsThrottledForTooLongLeavesItsMessagesToTheVisibilityTimeout(t *testing.T) {
	b := newBench(t, func(event) (lambda.Result, error) { return lambda.Result{}, errThrottled })
	b.send("a")
	b.run(mapping())
	// The function may take 5 s, and the message is hidden for 30: the last invocation begins within 25 s, which is the
	// one after 0.25 + 0.5 + 1 + 2 + 4 + 8 = 15.75 and 8 more seconds.
	b.pass(29 * time.Second)
	b.expect("a", "a", "a", "a", "a", "a", "a", "a")
	if len(b.logged) != 1 || !strings.Contains(b.logged[0], "TooManyRequestsException") {
		t.Errorf("the log is %q", b.logged)
	}
	b.pass(time.Second)
	if n := len(b.events); n != 9 || b.events[8].Records[0].Attributes["ApproximateReceiveCount"] != "2" {
		t.Errorf("the function was invoked %d times, want once more when the message comes again", n)
	}
}

func TestABatchHasAsManyMessagesAsItMay(t *testing.T) {
	b := newBench(t, answering("null"))
	b.send("1", "2", "3", "4", "5")
	b.run(mapping(func(m *eventsource.Mapping) { m.BatchSize = 2 }))
	b.mu.Lock()
	got := []int{}
	for _, e := range b.events {
		got = append(got, len(e.Records))
	}
	b.mu.Unlock()
	slices.Sort(got) // they are processed at the same time
	if !slices.Equal(got, []int{1, 2, 2}) {
		t.Errorf("the batches had %v messages", got)
	}
}

func TestABatchIsGatheredUntilItIsFullOrItsWindowIsOver(t *testing.T) {
	b := newBench(t, answering("null"))
	b.run(mapping(func(m *eventsource.Mapping) { m.BatchSize, m.BatchingWindow = 12, 20*time.Second }))
	sendOver := func(n int, pause time.Duration) {
		for i := range n {
			b.pass(pause)
			b.send(fmt.Sprintf("%c", 'a'+i))
			for !strings.HasPrefix(b.counts(queueURL), "0 ") { // until the one who waits for it has noticed
				time.Sleep(time.Millisecond)
			}
		}
	}
	// The window begins with the first message.
	sendOver(3, 7*time.Second)
	b.pass(20*time.Second - 14*time.Second - time.Millisecond)
	b.expect()
	b.pass(time.Second)
	b.expect("a b c")
	sendOver(12, 100*time.Millisecond)
	b.pass(time.Millisecond)
	b.expect("a b c", "a b c d e f g h i j k l")
}

func TestABatchThatIsTooLargeForAnEventIsProcessedInParts(t *testing.T) {
	b := newBench(t, answering("null"))
	quotes := strings.Repeat(`"`, 1<<20) // 2 MiB in JSON
	for range 3 {
		b.call("SendMessage", `{"QueueUrl":"`+queueURL+`","MessageBody":"`+strings.ReplaceAll(quotes, `"`, `\"`)+`"}`)
	}
	b.run(mapping())
	got := []int{}
	for _, e := range b.events {
		got = append(got, len(e.Records))
	}
	if !slices.Equal(got, []int{2, 1}) {
		t.Errorf("the events had %v messages, want 2, as many as fit into 6 MB", got)
	}
	if got := b.counts(queueURL); got != "0 0" {
		t.Errorf("the counts are %s", got)
	}
}

func TestNoMoreBatchesAreProcessedAtOnceThanMayBe(t *testing.T) {
	release, began := make(chan struct{}), make(chan struct{}, 100)
	b := newBench(t, func(event) (lambda.Result, error) {
		began <- struct{}{}
		<-release
		return lambda.Result{}, nil
	})
	for i := range 6 {
		b.send(fmt.Sprint(i))
	}
	s, err := eventsource.Start(eventsource.Config{Queues: b.store, Functions: b, Clock: b.clock}, mapping(func(m *eventsource.Mapping) {
		m.BatchSize, m.MaximumConcurrency = 1, 2
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	<-began
	<-began
	time.Sleep(20 * time.Millisecond) // in which a third would begin
	if n := len(began); n > 0 {
		t.Errorf("%d more began", n)
	}
	// The others are still there for whoever has room for them.
	if got := b.counts(queueURL); got != "4 2" {
		t.Errorf("the counts are %s, want 2 received", got)
	}
	close(release)
	b.pass(time.Nanosecond)
	for range 4 {
		<-began
	}
	b.pass(time.Nanosecond)
	if got := b.counts(queueURL); got != "0 0" {
		t.Errorf("the counts are %s", got)
	}
}

// unlessFailing is the store, but for the operations that fail.
func (b *bench) unlessFailing(fails func(operation string) error) eventsource.Queues {
	return eventsource.QueuesFunc(func(ctx context.Context, operation string, input json.RawMessage) (json.RawMessage, error) {
		if err := fails(operation); err != nil {
			return nil, err
		}
		return b.store.Call(ctx, operation, input)
	})
}

func TestAQueueThatFailsForAWhileIsPolledOn(t *testing.T) {
	b := newBench(t, answering("null"))
	b.send("a")
	left := map[string]int{"ReceiveMessage": 3, "DeleteMessageBatch": 2}
	var mu sync.Mutex
	b.run(mapping(), b.unlessFailing(func(operation string) error {
		mu.Lock()
		defer mu.Unlock()
		if left[operation]--; left[operation] >= 0 {
			return errors.New("unreachable")
		}
		return nil
	}))
	b.expect()
	b.pass(3 * time.Second)
	b.expect("a")
	b.pass(2 * time.Second)
	if got := b.counts(queueURL); got != "0 0" || len(b.logged) > 0 {
		t.Errorf("the counts are %s, and the log is %q", got, b.logged)
	}
}

func TestMessagesThatCannotBeDeletedComeAgain(t *testing.T) {
	b := newBench(t, answering("null"))
	b.send("a")
	b.run(mapping(), b.unlessFailing(func(operation string) error {
		if operation == "DeleteMessageBatch" {
			return errors.New("unreachable")
		}
		return nil
	}))
	b.pass(30 * time.Second)
	b.expect("a", "a")
	if len(b.logged) == 0 || !strings.Contains(b.logged[0], "messages that were processed could not be deleted, and will come again: unreachable") {
		t.Errorf("the log is %q", b.logged)
	}
}

func TestACloseDoesNotWaitForFunctions(t *testing.T) {
	b := newBench(t, nil)
	began := make(chan struct{})
	functions := eventsource.FunctionsFunc(func(ctx context.Context, _ string, _ []byte) (lambda.Result, error) {
		close(began)
		<-ctx.Done() // as lambda.Host has it
		return lambda.Result{}, ctx.Err()
	})
	b.send("a")
	s, err := eventsource.Start(eventsource.Config{Queues: b.store, Functions: functions, Clock: b.clock, Log: func(reason string) { t.Errorf("it says %s", reason) }}, mapping())
	if err != nil {
		t.Fatal(err)
	}
	<-began
	s.Close()
	if got := b.counts(queueURL); got != "0 1" {
		t.Errorf("the counts are %s, want the message left to the visibility timeout", got)
	}
}

func TestAMappingThatCannotBeIsRefusedWithAllThatIsWrong(t *testing.T) {
	b := newBench(t, nil)
	_, err := eventsource.Start(eventsource.Config{Queues: b.store, Functions: b}, mapping(func(m *eventsource.Mapping) {
		m.VisibilityTimeout, m.FunctionTimeout = 30*time.Second, 300*time.Second
		m.BatchSize, m.MaximumConcurrency = 11, 1
	}))
	var refused *lambda.Error
	if !errors.As(err, &refused) || refused.Code != "InvalidParameterValueException" {
		t.Fatalf("got %v", err)
	}
	const prefix = "lambda: InvalidParameterValueException: the event source " + queueARN + " of the function gateway:live: "
	want := []string{
		prefix + "Queue visibility timeout: 30 seconds is less than Function timeout: 300 seconds",
		prefix + "its BatchSize is 11, and it has no BatchingWindow; give 1s or more, or a BatchSize of at most 10",
		prefix + "its MaximumConcurrency is 1; give 2 to 1000",
	}
	if err.Error() != strings.Join(want, "\n") {
		t.Errorf("got\n%v\nwant\n%s", err, strings.Join(want, "\n"))
	}
	for _, wrong := range []func(*eventsource.Mapping){
		func(m *eventsource.Mapping) { m.BatchSize = -1 },
		func(m *eventsource.Mapping) { m.BatchSize, m.BatchingWindow = 10_001, time.Second },
		func(m *eventsource.Mapping) { m.BatchingWindow = 301 * time.Second },
		func(m *eventsource.Mapping) { m.BatchingWindow = 1500 * time.Millisecond },
		func(m *eventsource.Mapping) { m.MaximumConcurrency = 1001 },
	} {
		if m := mapping(wrong); m.Validate() == nil {
			t.Errorf("%+v is taken", m)
		}
	}
	if err := mapping(func(m *eventsource.Mapping) { m.VisibilityTimeout = m.FunctionTimeout }).Validate(); err != nil {
		t.Errorf("a visibility timeout that is the function's timeout: got %v", err)
	}
}
