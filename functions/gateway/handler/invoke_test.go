package handler

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// The runtime hands such a handler the payload as it came, and takes its answer as it is.
var _ lambda.Handler = (*Gateway)(nil)

// invoke hands an event to the gateway as Lambda does.
func (b *bench) invoke(t testing.TB, event string) ([]byte, error) {
	t.Helper()
	return b.Invoke(lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "request-1"}), []byte(event))
}

// plain hands the gateway a plain event that is answered.
func (b *bench) plain(t testing.TB, event string) events.LambdaFunctionURLResponse {
	t.Helper()
	answer, err := b.invoke(t, event)
	if err != nil {
		t.Fatalf("the event failed: %v", err)
	}
	var response events.LambdaFunctionURLResponse
	decoder := json.NewDecoder(strings.NewReader(string(answer)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&response); err != nil {
		t.Fatalf("the answer is %s: %v", answer, err)
	}
	return response
}

func TestAnEventThatIsNoneOfTheThreeKindsFailsAndNamesThem(t *testing.T) {
	engine := ends(ok)
	b := newBench(t, engine)
	for _, event := range []string{
		``, `null`, `[]`, `"GET"`, `5`, `{`, `{}`, `{"Method":"GET","path":"/"}`, `{"httpMethod":"GET","path":"/"}`,
		`{"requestContext":{}}`, `{"requestContext":{"http":null}}`, `{"requestContext":{"http":{"method":5}}}`, `{"requestContext":{"http":{"method":"GET"}},"headers":["s3cr3t"]}`,
		`{"Records":[]}`, `{"Records":[{"EventSource":"aws:sns","Sns":{"Message":"s3cr3t"}}]}`, `{"Records":[{"eventSource":"aws:kinesis"}]}`,
		`{"Records":[{"eventSource":"aws:sqs","messageId":"1","body":"{}"},{"eventSource":"aws:s3"}]}`,
		`{"version":"0","id":"1","detail-type":"s3cr3t","source":"shop","detail":{}}`,
	} {
		answer, err := b.invoke(t, event)
		var unknown *UnknownEventError
		if !errors.As(err, &unknown) || answer != nil {
			t.Errorf("%s was answered with %s, %v", event, answer, err)
			continue
		}
		for _, want := range []string{"requestContext.http", "method and path", "aws:sqs"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the error does not name %s: %v", want, err)
			}
		}
	}
	if len(engine.inputs) != 0 {
		t.Error("an execution was started")
	}
	if strings.Contains(b.logs.String(), "s3cr3t") {
		t.Errorf("the log holds what is in the event: %s", b.logs.String())
	}
}

func TestAnEventOfTheURLIsAnsweredAsBefore(t *testing.T) {
	b := newBench(t, ends(ok))
	event := request("GET", "/orders", "accept", "*/*")
	text, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := b.plain(t, string(text)), b.send(t, event); !reflect.DeepEqual(got, want) {
		t.Errorf("it is answered with %+v, want %+v", got, want)
	}
}

func TestAnAnswerToAnEventHasNoEscapesForHTML(t *testing.T) {
	b := newBench(t, ends(&message.Envelope{Outcome: retry.Succeeded, Response: message.Response{StatusCode: 200, Body: "<a & b>"}}))
	if answer, err := b.invoke(t, `{"method":"GET","path":"/"}`); err != nil || !strings.Contains(string(answer), `"<a & b>"`) {
		t.Errorf("the answer is %s, %v", answer, err)
	}
}

// What an invocation ends with, by how its request ended and what its event says.
func TestAnInvocationFailsAsItsEventSays(t *testing.T) {
	attempt := []retry.Attempt{{Proxy: "proxy-1", Status: 503}}
	upstream := func(outcome retry.Outcome, reason retry.Reason, status int) *fakeEngine {
		return ends(&message.Envelope{Outcome: outcome, Error: reason, Response: message.Response{StatusCode: status}, Attempts: attempt})
	}
	throttled := &fakeEngine{end: func(*message.Envelope) (*sfn.StartSyncExecutionOutput, error) { return nil, errors.New("cut") }}
	const none, noAnswer, status = "", "*handler.NoFinalAnswerError", "*handler.StatusError"
	for _, c := range []struct {
		what                    string
		engine                  *fakeEngine
		event                   string
		never, without, onError string
	}{
		{"a final success", upstream(retry.Succeeded, "", 201), "", none, none, none},
		{"a final redirect", upstream(retry.Succeeded, "", 303), "", none, none, none},
		{"a final refusal", upstream(retry.Succeeded, "", 404), "", none, none, status},
		{"a final error", upstream(retry.Succeeded, "", 501), "", none, none, status},
		{"attempts that ran out, with a last answer", upstream(retry.Failed, retry.AttemptsExhausted, 503), "", none, noAnswer, noAnswer},
		{"an answer that is not safe to ask for again", upstream(retry.Failed, retry.UnsafeToRepeat, 500), "", none, noAnswer, noAnswer},
		{"a deadline without an answer", upstream(retry.Failed, retry.DeadlineExceeded, 0), "", none, noAnswer, noAnswer},
		{"an engine that broke", throttled, "", none, noAnswer, noAnswer},
		{"a request that cannot be forwarded", ends(ok), `,"headers":{"a b":"c"}`, none, noAnswer, noAnswer},
		{"an event with a member that nobody knows", ends(ok), `,"boddy":"x"`, none, noAnswer, noAnswer},
	} {
		for failOn, want := range map[string]string{"": c.never, `"never"`: c.never, `"no-final-answer"`: c.without, `"error"`: c.onError} {
			b := newBench(t, c.engine)
			event := `{"method":"POST","path":"/orders"` + c.event
			if failOn != "" {
				event += `,"failOn":` + failOn
			}
			answer, err := b.invoke(t, event+"}")
			got := none
			if err != nil {
				got = reflect.TypeOf(err).String()
			}
			if got != want || (err == nil) != (answer != nil) {
				t.Errorf("%s, failOn %s: answered with %s, error %v; want the error %q", c.what, failOn, answer, err, want)
			}
			if err != nil && !strings.Contains(err.Error(), "request-1") {
				t.Errorf("the error does not name the request: %v", err)
			}
		}
	}
}

func TestAnAnswerOfTheGatewaysOwnToMaxForwardsIsFinal(t *testing.T) {
	b := newBench(t, ends(ok))
	if answer, err := b.invoke(t, `{"method":"OPTIONS","path":"/","headers":{"Max-Forwards":"0"},"failOn":"no-final-answer"}`); err != nil {
		t.Errorf("answered with %s, %v", answer, err)
	}
}

func TestAWishThatCannotBeReadFailsSinceWhoeverHasOneSeesNoAnswer(t *testing.T) {
	b := newBench(t, ends(ok))
	for _, failOn := range []string{`"always"`, `""`, `true`, `["error"]`} {
		var unanswered *NoFinalAnswerError
		if _, err := b.invoke(t, `{"method":"GET","path":"/","failOn":`+failOn+`}`); !errors.As(err, &unanswered) || unanswered.Status != 400 {
			t.Errorf("failOn %s: the error is %v", failOn, err)
		}
	}
}
