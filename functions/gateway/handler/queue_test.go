package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// deliver hands the gateway a batch of messages with these bodies, whose ids are m0, m1 …, and returns the ids of those that
// failed.
func (b *bench) deliver(t testing.TB, bodies ...string) []string {
	t.Helper()
	return b.deliverUntil(t.Context(), t, bodies...)
}

func (b *bench) deliverUntil(ctx context.Context, t testing.TB, bodies ...string) []string {
	t.Helper()
	var batch events.SQSEvent
	for i, body := range bodies {
		batch.Records = append(batch.Records, events.SQSMessage{
			MessageId: fmt.Sprintf("m%d", i), EventSource: "aws:sqs", Body: body,
			Attributes: map[string]string{"ApproximateReceiveCount": "3"},
		})
	}
	text, err := json.Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := b.Invoke(lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: "request-1"}), text)
	if err != nil {
		t.Fatalf("the batch failed as a whole: %v", err)
	}
	if !strings.HasPrefix(string(answer), `{"batchItemFailures":[`) {
		t.Fatalf("the answer is %s", answer) // null would do as well; a list is what AWS documents
	}
	var response events.SQSEventResponse
	if err := json.Unmarshal(answer, &response); err != nil {
		t.Fatal(err)
	}
	failed := []string{}
	for _, item := range response.BatchItemFailures {
		failed = append(failed, item.ItemIdentifier)
	}
	return failed
}

// byPath is an engine that answers by the path of the request.
func byPath(t *testing.T) (*bench, *fakeEngine) {
	engine := new(fakeEngine)
	b := newBench(t, engine)
	engine.end = func(in *message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
		out := &message.Envelope{Outcome: retry.Succeeded, Response: message.Response{StatusCode: 200}}
		switch in.Call.Request.Path {
		case "/refused":
			out.StatusCode = 404
		case "/busy":
			out.Outcome, out.Error, out.StatusCode = retry.Failed, retry.AttemptsExhausted, 503
		case "/silent":
			out.Outcome, out.Error, out.StatusCode = retry.Failed, retry.DeadlineExceeded, 0
		case "/cut":
			return nil, fmt.Errorf("cut")
		}
		if in.Record != nil && out.Outcome == retry.Succeeded {
			out.Expiration = b.clock.Now().Add(recordTTL).Unix()
			b.complete(t, in.Record, out)
		}
		return endedWith(out), nil
	}
	return b, engine
}

func post(path, more string) string { return `{"method":"POST","path":"` + path + `"` + more + `}` }

func TestTheMessagesWithoutAFinalAnswerGoBackToTheirQueue(t *testing.T) {
	b, _ := byPath(t)
	bodies := []string{
		post("/orders", ""),
		post("/busy", ""),
		post("/refused", ""),
		post("/silent", ""),
		post("/cut", ""),
		post("/orders", `,"failOn":"error"`),
		post("/refused", `,"failOn":"error"`),
		post("/busy", `,"failOn":"never"`),
	}
	if diff := cmp.Diff([]string{"m1", "m3", "m4", "m6"}, b.deliver(t, bodies...)); diff != "" {
		t.Errorf("others failed (-want +got):\n%s", diff)
	}
}

func TestAMessageThatCanNeverBeCarriedOutGoesToTheDeadLetters(t *testing.T) {
	b, engine := byPath(t)
	bodies := []string{
		``, `s3cr3t`, `null`, `[]`, `{}`, `{"method":"GET"}`,
		`{"method":"GET","path":"/","secret":"s3cr3t"}`,
		`{"method":"GET","path":"/../x","query":"s3cr3t"}`,
		`{"method":"GET","path":"/","failOn":"never","headers":{"X-A":5}}`,
		// An event of the URL, with an identity of the sender's choice.
		`{"rawPath":"/","requestContext":{"http":{"method":"GET"},"authorizer":{"iam":{"userId":"A"}}}}`,
		`{"Records":[{"eventSource":"aws:sqs","messageId":"n","body":"{}"}]}`,
	}
	if failed := b.deliver(t, bodies...); len(failed) != len(bodies) {
		t.Errorf("only %v failed", failed)
	}
	if len(engine.inputs) != 0 {
		t.Error("an execution was started")
	}
	if logs := b.logs.String(); strings.Contains(logs, "s3cr3t") || !strings.Contains(logs, `"messageId":"m1","receiveCount":"3","status":400`) {
		t.Errorf("the log is:\n%s", logs)
	}
}

func TestARedeliveryOfAMessageThatIsDoneEndsWithoutACallAndWithoutAnError(t *testing.T) {
	b, engine := byPath(t)
	for range 3 {
		if failed := b.deliver(t, post("/orders", `,"body":{"tea":2}`), post("/refused", "")); len(failed) != 0 {
			t.Errorf("%v failed", failed)
		}
	}
	if len(engine.inputs) != 2 {
		t.Errorf("two messages made %d executions", len(engine.inputs))
	}
}

func TestARedeliveryOfAMessageWithoutAnAnswerIsAnotherTry(t *testing.T) {
	b, engine := byPath(t)
	first := b.deliver(t, post("/busy", ""))
	record, err := b.store.Get(t.Context(), engine.started(t).Record.ID)
	if err != nil || record == nil {
		t.Fatal(record, err)
	}
	if err := b.records.Release(t.Context(), *record); err != nil { // as the state machine does
		t.Fatal(err)
	}
	if again := b.deliver(t, post("/busy", "")); len(first) != 1 || len(again) != 1 || len(engine.inputs) != 2 {
		t.Errorf("%v and %v failed, and there were %d executions", first, again, len(engine.inputs))
	}
}

func TestTheKeyOfAMessageIsItsOwnOrElseItsId(t *testing.T) {
	for body, want := range map[string]string{
		post("/", ""):                                         "sqs:m0",
		post("/", `,"idempotencyKey":"k"`):                    "k",
		post("/", `,"headers":{"IDEMPOTENCY-KEY":"h"}`):       "h",
		post("/", `,"headers":{"PayPal-Request-Id":"other"}`): "",
	} {
		b, engine := byPath(t)
		b.keyFields = []string{"paypal-request-id"}
		if failed := b.deliver(t, body); len(failed) != 0 {
			t.Errorf("%s: %v failed", body, failed)
		}
		call := engine.call(t)
		if got := call.Request.Headers["idempotency-key"]; got != want || !call.Keyed || !call.Recorded {
			t.Errorf("%s: the key is %q, want %q", body, got, want)
		}
	}
}

func TestAMessageWhoseKeyIsInUseGoesBack(t *testing.T) {
	b, engine := byPath(t)
	asked := idempotencyhttp.Request{Method: "POST", Path: "/orders", Caller: "invoke"}
	if _, err := b.records.Acquire(t.Context(), idempotency.Claim{
		ID: idempotencyhttp.RecordID("gateway", asked, "k"), Fingerprint: idempotencyhttp.Fingerprint(asked), LeaseEnd: noon.Add(time.Hour),
	}); err != nil {
		t.Fatal(err)
	}
	if failed := b.deliver(t, post("/orders", `,"idempotencyKey":"k"`)); len(failed) != 1 || len(engine.inputs) != 0 {
		t.Errorf("%v failed, and there were %d executions", failed, len(engine.inputs))
	}
}

func TestAMessageWhoseKeyWasUsedForAnotherRequestGoesToTheDeadLetters(t *testing.T) {
	b, _ := byPath(t)
	b.deliver(t, post("/orders", `,"idempotencyKey":"k","body":"one"`))
	if failed := b.deliver(t, post("/orders", `,"idempotencyKey":"k","body":"two"`)); len(failed) != 1 {
		t.Errorf("%v failed", failed)
	}
}

func TestAMessageThatWasCarriedOutAndWhoseAnswerWasNotKeptIsDone(t *testing.T) {
	b, engine := byPath(t)
	b.deliver(t, post("/silent", "")) // the record is still in progress
	id := engine.started(t).Record
	if err := b.store.Complete(t.Context(), idempotency.Record{
		ID: id.ID, Owner: id.Owner, Status: idempotency.Completed, Data: []byte("?"), Expiration: noon.Add(recordTTL),
	}); err != nil {
		t.Fatal(err)
	}
	if failed := b.deliver(t, post("/silent", "")); len(failed) != 0 || len(engine.inputs) != 1 {
		t.Errorf("%v failed, and there were %d executions", failed, len(engine.inputs))
	}
}

// A foreignStore has a record that cannot be read for every key.
type foreignStore struct{ idempotency.Store }

func (foreignStore) Insert(_ context.Context, r idempotency.Record, _ time.Time) (bool, *idempotency.Record, error) {
	return false, nil, &idempotency.UnreadableRecordError{ID: r.ID, Err: errors.New("its status is DONE")}
}

func TestAMessageOfWhichItIsNotKnownWhetherItWasCarriedOutGoesToTheDeadLetters(t *testing.T) {
	b, engine := byPath(t)
	b.use(t, foreignStore{}, b.clock)
	if failed := b.deliver(t, post("/orders", "")); len(failed) != 1 || len(engine.inputs) != 0 {
		t.Errorf("%v failed, and there were %d executions", failed, len(engine.inputs))
	}
	if !strings.Contains(b.logs.String(), "its status is DONE") {
		t.Errorf("the log does not say what is wrong:\n%s", &b.logs)
	}
}

// Each request of a batch has an id: an execution is named by it, and the log leads from the message to it.
func TestEachMessageHasARequestIdOfItsOwn(t *testing.T) {
	b, engine := byPath(t)
	b.deliver(t, post("/", ""), post("/", ""), post("/", ""))
	ids := map[string]bool{}
	for _, input := range engine.inputs {
		ids[*input.Name] = true
		if !strings.Contains(b.logs.String(), `"requestId":"`+*input.Name+`","messageId":"m`) {
			t.Errorf("no line leads from a message to %s", *input.Name)
		}
	}
	if len(ids) != 3 {
		t.Errorf("three messages have %d ids", len(ids))
	}
}

// A meeting is an engine whose executions end when so many of them run at once.
type meeting struct {
	mu           sync.Mutex
	running, max int
	arrived      chan struct{}
	goOn         chan struct{}
}

func (m *meeting) StartSyncExecution(context.Context, *sfn.StartSyncExecutionInput, ...func(*sfn.Options)) (*sfn.StartSyncExecutionOutput, error) {
	m.mu.Lock()
	m.running++
	m.max = max(m.max, m.running)
	m.mu.Unlock()
	m.arrived <- struct{}{}
	<-m.goOn
	m.mu.Lock()
	m.running--
	m.mu.Unlock()
	return endedWith(ok), nil
}

func TestTenMessagesAreCarriedOutAtOnceAndNoMore(t *testing.T) {
	engine := &meeting{arrived: make(chan struct{}), goOn: make(chan struct{})}
	b := newBench(t, engine)
	var bodies []string
	for range 25 {
		bodies = append(bodies, post("/", ""))
	}
	done := make(chan []string)
	go func() { done <- b.deliver(t, bodies...) }()
	for range 10 {
		<-engine.arrived // ten are under way, none of which has ended
	}
	go func() {
		for range 15 {
			<-engine.arrived
		}
	}()
	close(engine.goOn)
	if failed := <-done; len(failed) != 0 || engine.max != 10 {
		t.Errorf("%v failed, and %d ran at once, want 10", failed, engine.max)
	}
}

// The function would be ended in the midst of it, and the whole batch delivered again.
func TestAMessageThatTheFunctionHasNoTimeForGoesBackWithoutACall(t *testing.T) {
	for _, c := range []struct {
		left   time.Duration
		failed int
	}{
		{65 * time.Second, 0}, // 60 of the policy's deadline, and 5
		{65*time.Second - time.Millisecond, 1},
	} {
		b, engine := byPath(t)
		ctx, cancel := context.WithDeadline(t.Context(), noon.Add(c.left))
		failed := b.deliverUntil(ctx, t, post("/orders", ""))
		cancel()
		if len(failed) != c.failed || len(engine.inputs) != 1-c.failed {
			t.Errorf("with %v left, %v failed after %d executions", c.left, failed, len(engine.inputs))
		}
	}
}
