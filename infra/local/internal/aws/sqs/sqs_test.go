package sqs_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/sdkhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/sqs"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// start is the time at which the clock of a test begins: 2023-11-14 22:13:20.
var start = time.Unix(1_700_000_000, 0)

const (
	ordersARN = "arn:aws:sqs:us-east-1:123456789012:orders"
	deadARN   = "arn:aws:sqs:us-east-1:123456789012:orders-dead"
	orders    = "https://sqs.us-east-1.amazonaws.com/123456789012/orders"
	dead      = "https://sqs.us-east-1.amazonaws.com/123456789012/orders-dead"
)

// queues are those of the tests: orders, from which a message that was received twice moves to orders-dead.
var queues = []sqs.Queue{
	{Name: "orders", Redrive: &sqs.Redrive{DeadLetterTargetARN: deadARN, MaxReceiveCount: 2}},
	{Name: "orders-dead", Retention: sqs.MaxRetention},
}

// A bench is a store with its clock, and an SDK that talks to it.
type bench struct {
	*sdk.Client
	t     testing.TB
	store *sqs.Store
	clock *clock.Virtual
	url   string
}

// newBench makes a store with the queues of the tests.
func newBench(t testing.TB, change ...func(*sqs.Config)) *bench {
	t.Helper()
	b := &bench{t: t, clock: clock.NewVirtual(start)}
	config := sqs.Config{AccountID: "123456789012", Clock: b.clock}
	for _, c := range change {
		c(&config)
	}
	b.store = sqs.New(config)
	b.create(queues...)
	server := httptest.NewServer(b.store)
	t.Cleanup(server.Close)
	b.url = server.URL
	b.Client = sdk.New(sdk.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), RetryMaxAttempts: 1, HTTPClient: sdkhttp.Client(http.DefaultClient),
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	return b
}

func (b *bench) create(queues ...sqs.Queue) {
	b.t.Helper()
	if err := b.store.Create(queues...); err != nil {
		b.t.Fatal(err)
	}
}

// pass lets time pass.
func (b *bench) pass(d time.Duration) {
	b.t.Helper()
	if err := b.clock.Wait(b.t.Context(), d); err != nil {
		b.t.Fatal(err)
	}
}

// send sends messages with these bodies.
func (b *bench) send(queue string, bodies ...string) {
	b.t.Helper()
	for _, body := range bodies {
		if _, err := b.SendMessage(b.t.Context(), &sdk.SendMessageInput{QueueUrl: &queue, MessageBody: &body}); err != nil {
			b.t.Fatal(err)
		}
	}
}

// receive receives up to ten messages with all that is known of them.
func (b *bench) receive(queue string) []types.Message {
	b.t.Helper()
	out, err := b.ReceiveMessage(b.t.Context(), &sdk.ReceiveMessageInput{
		QueueUrl: &queue, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out.Messages
}

// one receives the message that is there.
func (b *bench) one(queue string) types.Message {
	b.t.Helper()
	messages := b.receive(queue)
	if len(messages) != 1 {
		b.t.Fatalf("there are %d messages, want 1", len(messages))
	}
	return messages[0]
}

// expect receives and compares bodies.
func (b *bench) expect(queue string, want ...string) {
	b.t.Helper()
	var got []string
	for _, m := range b.receive(queue) {
		got = append(got, *m.Body)
	}
	if strings.Join(got, ",") != strings.Join(want, ",") {
		b.t.Errorf("the messages are %q, want %q", got, want)
	}
}

func (b *bench) delete(queue string, m types.Message) {
	b.t.Helper()
	if _, err := b.DeleteMessage(b.t.Context(), &sdk.DeleteMessageInput{QueueUrl: &queue, ReceiptHandle: m.ReceiptHandle}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) hide(queue string, m types.Message, seconds int32) error {
	_, err := b.ChangeMessageVisibility(b.t.Context(), &sdk.ChangeMessageVisibilityInput{
		QueueUrl: &queue, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: seconds,
	})
	return err
}

// counts are the numbers of messages that can be received, are hidden and are delayed.
func (b *bench) counts(queue string) string {
	b.t.Helper()
	out, err := b.GetQueueAttributes(b.t.Context(), &sdk.GetQueueAttributesInput{
		QueueUrl: &queue, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	a := out.Attributes
	return fmt.Sprintf("%s %s %s", a["ApproximateNumberOfMessages"], a["ApproximateNumberOfMessagesNotVisible"], a["ApproximateNumberOfMessagesDelayed"])
}

// refused runs an operation that has to fail and gives back the error.
func refused(t testing.TB, store *sqs.Store, operation, input string) *sqs.Error {
	t.Helper()
	output, err := store.Call(t.Context(), operation, json.RawMessage(input))
	var refusal *sqs.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("%s %s: got %s and the error %v, want a refusal", operation, input, output, err)
	}
	return refusal
}

func TestAMessageThatIsNotDeletedComesAgainAfterItsVisibilityTimeout(t *testing.T) {
	b := newBench(t)
	b.send(orders, "a", "b")
	b.expect(orders, "a", "b")
	b.pass(30*time.Second - time.Millisecond)
	b.expect(orders)
	b.pass(time.Millisecond)
	b.expect(orders, "a", "b")
}

func TestADeletedMessageDoesNotComeAgain(t *testing.T) {
	b := newBench(t)
	b.send(orders, "a")
	b.delete(orders, b.one(orders))
	b.pass(time.Hour)
	b.expect(orders)
	if got := b.counts(orders); got != "0 0 0" {
		t.Errorf("the counts are %s", got)
	}
}

func TestWhatIsKnownOfAMessageCountsItsReceives(t *testing.T) {
	b := newBench(t)
	b.send(orders, "a")
	b.pass(5 * time.Second)
	first := b.one(orders)
	b.pass(30 * time.Second)
	second := b.one(orders)
	for i, m := range []types.Message{first, second} {
		want := map[string]string{
			"ApproximateReceiveCount": fmt.Sprint(i + 1), "SentTimestamp": "1700000000000",
			"ApproximateFirstReceiveTimestamp": "1700000005000", "SenderId": "123456789012",
		}
		if fmt.Sprint(m.Attributes) != fmt.Sprint(want) {
			t.Errorf("receive %d: got %v, want %v", i+1, m.Attributes, want)
		}
	}
	if *first.MessageId != *second.MessageId || *first.ReceiptHandle == *second.ReceiptHandle {
		t.Errorf("the ids are %s and %s, and the handles %s and %s; want the same id and other handles",
			*first.MessageId, *second.MessageId, *first.ReceiptHandle, *second.ReceiptHandle)
	}
}

func TestAnOlderReceiptHandleDeletesNothingAndChangesNothing(t *testing.T) {
	b := newBench(t)
	b.send(orders, "a")
	first := b.one(orders)
	b.pass(30 * time.Second)
	second := b.one(orders)
	b.delete(orders, first) // which succeeds
	err := b.hide(orders, first, 0)
	if err == nil || !strings.Contains(err.Error(), "InvalidParameterValue: Value "+*first.ReceiptHandle+
		" for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.") {
		t.Errorf("the change by an older handle: got %v", err)
	}
	if got := b.counts(orders); got != "0 1 0" {
		t.Errorf("the counts are %s, want the message hidden", got)
	}
	b.delete(orders, second)
	if got := b.counts(orders); got != "0 0 0" {
		t.Errorf("the counts are %s", got)
	}
	if err := b.hide(orders, second, 0); err == nil {
		t.Error("the visibility of a deleted message was changed")
	}
}

func TestAReceiptHandleIsGoodAfterTheVisibilityTimeoutUntilTheNextReceive(t *testing.T) {
	b := newBench(t)
	b.send(orders, "a", "b")
	messages := b.receive(orders)
	b.pass(time.Minute)
	b.delete(orders, messages[0])
	if err := b.hide(orders, messages[1], 10); err != nil {
		t.Error(err)
	}
	b.expect(orders)
	b.pass(10 * time.Second)
	b.expect(orders, "b")
}

func TestTheVisibilityTimeoutCanBeChangedUpToTwelveHoursInAll(t *testing.T) {
	b := newBench(t)
	b.send(orders, "a")
	m := b.one(orders)
	if err := b.hide(orders, m, 0); err != nil {
		t.Fatal(err)
	}
	m = b.one(orders)
	b.pass(10 * time.Second)
	if err := b.hide(orders, m, 43_190); err != nil {
		t.Error(err)
	}
	err := b.hide(orders, m, 43_191)
	if err == nil || !strings.Contains(err.Error(), "Value 43191 for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds].") {
		t.Errorf("got %v", err)
	}
}

func TestAReceiverCanSetTheVisibilityTimeout(t *testing.T) {
	b := newBench(t)
	b.send(orders, "a")
	queue := orders
	if _, err := b.ReceiveMessage(t.Context(), &sdk.ReceiveMessageInput{QueueUrl: &queue, VisibilityTimeout: 5}); err != nil {
		t.Fatal(err)
	}
	b.pass(5 * time.Second)
	b.expect(orders, "a")
}

func TestADelayedMessageComesWhenItsDelayIsOver(t *testing.T) {
	b := newBench(t)
	b.create(sqs.Queue{Name: "slow", Delay: 10 * time.Second})
	slow := strings.Replace(orders, "orders", "slow", 1)
	b.send(slow, "queue's")
	if _, err := b.SendMessage(t.Context(), &sdk.SendMessageInput{QueueUrl: &slow, MessageBody: aws.String("own"), DelaySeconds: 2}); err != nil {
		t.Fatal(err)
	}
	if got := b.counts(slow); got != "0 0 2" {
		t.Errorf("the counts are %s, want 2 delayed", got)
	}
	b.pass(2 * time.Second)
	b.expect(slow, "own")
	b.pass(8 * time.Second)
	b.expect(slow, "queue's")
}

func TestAMessageIsGoneAfterTheRetentionPeriod(t *testing.T) {
	b := newBench(t)
	b.create(sqs.Queue{Name: "short", Retention: time.Minute})
	short := strings.Replace(orders, "orders", "short", 1)
	b.send(short, "received", "waiting")
	m := b.receive(short)[0]
	b.pass(time.Minute)
	if got := b.counts(short); got != "0 0 0" {
		t.Errorf("the counts are %s", got)
	}
	if err := b.hide(short, m, 0); err == nil {
		t.Error("the visibility of an expired message was changed")
	}
	b.expect(short)
}

func TestALongPollEndsWithTheFirstMessageOrItsTime(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		sentAfter, want time.Duration
		messages        int
	}{{7 * time.Second, 7 * time.Second, 1}, {time.Minute, 20 * time.Second, 0}} {
		began := b.clock.Now()
		leaveSender, leaveReceiver := b.clock.Enter(), b.clock.Enter()
		sender := make(chan error)
		go func() {
			defer leaveSender()
			_ = b.clock.Wait(t.Context(), c.sentAfter)
			_, err := b.store.Call(t.Context(), "SendMessage", json.RawMessage(`{"QueueUrl":"`+dead+`","MessageBody":"a"}`))
			sender <- err
		}()
		output, err := b.store.Call(t.Context(), "ReceiveMessage", json.RawMessage(`{"QueueUrl":"`+dead+`","WaitTimeSeconds":20}`))
		took := b.clock.Now().Sub(began)
		leaveReceiver()
		if err := <-sender; err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(output), `"MessageId"`); err != nil || n != c.messages || took != c.want {
			t.Errorf("with a message after %v, it took %v and gave %d messages and %v; want %v and %d", c.sentAfter, took, n, err, c.want, c.messages)
		}
	}
}

func TestALongPollWaitsForTheEndOfAVisibilityTimeout(t *testing.T) {
	b := newBench(t)
	b.create(sqs.Queue{Name: "polled", ReceiveWait: 20 * time.Second})
	polled := strings.Replace(orders, "orders", "polled", 1)
	b.send(polled, "a")
	if err := b.hide(polled, b.one(polled), 12); err != nil {
		t.Fatal(err)
	}
	began := b.clock.Now()
	b.expect(polled, "a")
	if took := b.clock.Now().Sub(began); took != 12*time.Second {
		t.Errorf("it took %v, want 12s", took)
	}
}

func TestAMessageThatWasReceivedTooOftenMovesToTheDeadLetterQueue(t *testing.T) {
	b := newBench(t)
	b.send(orders, "a")
	id := *b.one(orders).MessageId
	b.pass(30 * time.Second)
	b.expect(orders, "a")
	b.expect(dead)
	b.pass(30 * time.Second)
	b.expect(orders)
	m := b.one(dead)
	if *m.Body != "a" || *m.MessageId != id || m.Attributes["DeadLetterQueueSourceArn"] != ordersARN ||
		m.Attributes["ApproximateReceiveCount"] != "3" || m.Attributes["SentTimestamp"] != "1700000000000" {
		t.Errorf("the dead letter is %s %s with %v", *m.MessageId, *m.Body, m.Attributes)
	}
	if got := b.counts(orders); got != "0 0 0" {
		t.Errorf("the counts are %s", got)
	}
}

// toDead sends messages, and receives them until they are dead letters.
func (b *bench) toDead(bodies ...string) {
	b.t.Helper()
	b.send(orders, bodies...)
	for range 2 {
		b.expect(orders, bodies...)
		b.pass(30 * time.Second)
	}
	b.expect(orders)
}

func TestAMoveTaskBringsDeadLettersBackAsNewMessages(t *testing.T) {
	b := newBench(t)
	b.toDead("a", "b")
	b.send(dead, "never elsewhere")
	hidden := b.receive(dead)[0]
	b.pass(20 * time.Second)
	if err := b.hide(dead, hidden, 60); err != nil {
		t.Fatal(err)
	}
	b.pass(10 * time.Second)

	if out, err := b.StartMessageMoveTask(t.Context(), &sdk.StartMessageMoveTaskInput{SourceArn: aws.String(deadARN)}); err != nil || *out.TaskHandle == "" {
		t.Fatalf("got %+v %v", out, err)
	}
	m := b.one(orders)
	if *m.Body != "b" || m.Attributes["ApproximateReceiveCount"] != "1" || m.Attributes["SentTimestamp"] != "1700000090000" || m.Attributes["DeadLetterQueueSourceArn"] != "" {
		t.Errorf("the message is %s with %v, want b as a new one", *m.Body, m.Attributes)
	}
	moves := func() types.ListMessageMoveTasksResultEntry {
		out, err := b.ListMessageMoveTasks(t.Context(), &sdk.ListMessageMoveTasksInput{SourceArn: aws.String(deadARN)})
		if err != nil || len(out.Results) != 1 {
			t.Fatalf("got %+v %v", out, err)
		}
		return out.Results[0]
	}
	if got := moves(); *got.Status != "FAILED" || *got.FailureReason != "CouldNotDetermineMessageSource" || got.ApproximateNumberOfMessagesMoved != 1 || *got.ApproximateNumberOfMessagesToMove != 2 {
		t.Errorf("the task is %s, %d of %d moved; want it failed for the message that came from nowhere", *got.Status, got.ApproximateNumberOfMessagesMoved, *got.ApproximateNumberOfMessagesToMove)
	}
	if _, err := b.StartMessageMoveTask(t.Context(), &sdk.StartMessageMoveTaskInput{SourceArn: aws.String(deadARN), DestinationArn: aws.String(ordersARN)}); err != nil {
		t.Fatal(err)
	}
	if got := moves(); *got.Status != "COMPLETED" || got.ApproximateNumberOfMessagesMoved != 1 {
		t.Errorf("the task is %s, %d moved", *got.Status, got.ApproximateNumberOfMessagesMoved)
	}
	b.expect(orders, "never elsewhere")
	if got := b.counts(dead); got != "0 1 0" {
		t.Errorf("the counts of the dead letter queue are %s, want the hidden one left", got)
	}
}

func TestAMoveTaskIsRefusedWhereItCannotBe(t *testing.T) {
	b := newBench(t)
	for input, want := range map[string]string{
		`{}`: "MissingRequiredParameterException: The request must contain the parameter SourceArn.",
		`{"SourceArn":"arn:aws:sqs:us-east-1:123456789012:absent"}`:                                    "ResourceNotFoundException: The resource that you specified for the SourceArn parameter doesn't exist.",
		`{"SourceArn":"` + ordersARN + `"}`:                                                            "InvalidParameterValueException: Source queue must be configured as a Dead Letter Queue.",
		`{"SourceArn":"` + deadARN + `","DestinationArn":"` + deadARN + `"}`:                           "InvalidParameterValueException: Source queue arn and destination queue arn cannot be the same.",
		`{"SourceArn":"` + deadARN + `","DestinationArn":"arn:aws:sqs:us-east-1:123456789012:absent"}`: "ResourceNotFoundException: The resource that you specified for the DestinationArn parameter doesn't exist.",
		`{"SourceArn":"` + deadARN + `","MaxNumberOfMessagesPerSecond":1}`:                             "UnsupportedOperation: The local SQS does not support the parameter MaxNumberOfMessagesPerSecond here",
	} {
		if got := refused(t, b.store, "StartMessageMoveTask", input).Error(); got != want {
			t.Errorf("%s: got %s, want %s", input, got, want)
		}
	}
}

func TestAPurgeDeletesAllMessagesOnceAMinute(t *testing.T) {
	b := newBench(t)
	b.send(orders, "visible", "hidden")
	queue := orders
	if _, err := b.PurgeQueue(t.Context(), &sdk.PurgeQueueInput{QueueUrl: &queue}); err != nil {
		t.Fatal(err)
	}
	b.pass(59 * time.Second)
	b.expect(orders)
	_, err := b.PurgeQueue(t.Context(), &sdk.PurgeQueueInput{QueueUrl: &queue})
	if again := (*types.PurgeQueueInProgress)(nil); !errors.As(err, &again) || again.ErrorMessage() != "Only one PurgeQueue operation on orders is allowed every 60 seconds." {
		t.Errorf("got %v", err)
	}
	b.pass(time.Second)
	if _, err := b.PurgeQueue(t.Context(), &sdk.PurgeQueueInput{QueueUrl: &queue}); err != nil {
		t.Error(err)
	}
}

func TestQueuesThatCannotBeAreRefusedWithAllThatIsWrong(t *testing.T) {
	b := newBench(t)
	long := 13 * time.Hour
	err := b.store.Create(
		sqs.Queue{Name: "orders"},
		sqs.Queue{Name: "a.fifo"},
		sqs.Queue{Name: "a b", VisibilityTimeout: &long, Retention: time.Second, Delay: time.Hour, ReceiveWait: 1500 * time.Millisecond, MaxMessageSize: 1},
		sqs.Queue{Name: "source", Redrive: &sqs.Redrive{DeadLetterTargetARN: "arn:aws:sqs:us-east-1:123456789012:absent"}},
		sqs.Queue{Name: "closed", RedriveAllow: &sqs.RedriveAllow{Permission: "denyAll"}},
		sqs.Queue{Name: "other", Redrive: &sqs.Redrive{DeadLetterTargetARN: "arn:aws:sqs:us-east-1:123456789012:closed", MaxReceiveCount: 1}},
		sqs.Queue{Name: "few", RedriveAllow: &sqs.RedriveAllow{Permission: "byQueue"}},
		sqs.Queue{Name: "typo", RedriveAllow: &sqs.RedriveAllow{Permission: "some"}},
	)
	want := []string{
		`sqs: there are two queues of the name "orders"; names are unique`,
		`sqs: the queue "a.fifo": FIFO queues are not supported here; use a standard queue`,
		`sqs: the queue "a b": its name is not allowed; give 1 to 80 letters, digits, hyphens and underscores`,
		`sqs: the queue "a b": its VisibilityTimeout is 13h0m0s; give whole seconds from 0s to 12h0m0s`,
		`sqs: the queue "a b": its Retention is 1s; give whole seconds from 1m0s to 336h0m0s`,
		`sqs: the queue "a b": its Delay is 1h0m0s; give whole seconds from 0s to 15m0s`,
		`sqs: the queue "a b": its ReceiveWait is 1.5s; give whole seconds from 0s to 20s`,
		`sqs: the queue "a b": its MaxMessageSize is 1 bytes; give 1024 to 1048576`,
		`sqs: the queue "source": its Redrive.MaxReceiveCount is 0; give 1 to 1000`,
		`sqs: the queue "few": its RedriveAllow has the Permission byQueue with 0 SourceQueueARNs; byQueue takes 1 to 10, the others none`,
		`sqs: the queue "typo": its RedriveAllow.Permission is "some"; give allowAll, denyAll or byQueue`,
		`sqs: the queue "source" has "arn:aws:sqs:us-east-1:123456789012:absent" as its dead letter queue, which is not there, or itself; name another queue that is created with it`,
		`sqs: the queue "other" has "closed" as its dead letter queue, whose RedriveAllowPolicy does not allow that`,
	}
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("got\n%v\nwant\n%s", err, strings.Join(want, "\n"))
	}
	if _, err := b.store.Call(t.Context(), "GetQueueUrl", json.RawMessage(`{"QueueName":"closed"}`)); err == nil {
		t.Error("one of them was created all the same")
	}
}
