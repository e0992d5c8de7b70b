package stack_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/sdkhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// invoked is what the gateway answers to an event, which the SDK hands to its alias, or the function's error.
func invoked(t testing.TB, s *stack.Stack, event string) (answer []byte, functionError string) {
	t.Helper()
	client := lambda.New(lambda.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.Endpoint()), RetryMaxAttempts: 1, HTTPClient: sdkhttp.Client(http.DefaultClient),
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	for _, f := range s.Template.Functions {
		if s.ShortName(f.Name) != "gateway" {
			continue
		}
		out, err := client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &f.Name, Qualifier: aws.String("live"), Payload: []byte(event)})
		if err != nil {
			t.Fatal(err)
		}
		return out.Payload, aws.ToString(out.FunctionError)
	}
	t.Fatal("there is no gateway")
	return nil, ""
}

// answeredEvent is the answer to a request that comes as an event.
func answeredEvent(t testing.TB, s *stack.Stack, event string) events.LambdaFunctionURLResponse {
	t.Helper()
	payload, failed := invoked(t, s, event)
	var response events.LambdaFunctionURLResponse
	if err := json.Unmarshal(payload, &response); err != nil || failed != "" {
		t.Fatalf("the gateway answered %s %s: %v", failed, payload, err)
	}
	return response
}

func TestAnEventIsAttemptedAndRecordedLikeARequestOfTheURL(t *testing.T) {
	t.Parallel()
	u := play(t, status(503), respond(201, "made", "Set-Cookie", "a=1", "Set-Cookie", "b=2"), respond(200, "another's"))
	s := start(t, u.URL)
	const event = `{"method":"POST","path":"/orders","query":{"dry":"1"},"headers":{"X-Many":["a","b"]},"body":{"tea":2},"idempotencyKey":"order-1"}`
	first, again := answeredEvent(t, s, event), answeredEvent(t, s, event)
	if first.StatusCode != 201 || first.Body != "made" || !cmp.Equal(first.Cookies, []string{"a=1", "b=2"}) || first.Headers["proxy-status"] == "" {
		t.Errorf("the answer is %+v", first)
	}
	if again.Headers["idempotent-replayed"] != "true" || again.Body != "made" || !cmp.Equal(again.Cookies, first.Cookies) {
		t.Errorf("the event that came again was answered with %+v", again)
	}
	sent := u.received()
	if len(sent) != 2 || sent[1].Target != "/orders?dry=1" || sent[1].Body != `{"tea":2}` || sent[1].Header.Get("Content-Type") != "application/json" ||
		sent[1].Header.Get("X-Many") != "a, b" || sent[1].Header.Get("Idempotency-Key") != "order-1" {
		t.Errorf("the upstream was sent %+v", sent)
	}
	// The same request, by its bytes, from somebody at the URL.
	if got := send(t, s, http.MethodPost, "/orders?dry=1", `{"tea":2}`, "Idempotency-Key", "order-1"); got.Body != "another's" {
		t.Errorf("at the URL the answer is %+v", got)
	}
}

func TestAnInvocationOfWhichNobodySeesTheAnswerFailsAsItsRequestDoes(t *testing.T) {
	t.Parallel()
	u := play(t, status(500), status(404), status(404))
	s := start(t, u.URL)
	for _, c := range []struct{ event, want string }{
		{`{"method":"POST","path":"/","failOn":"no-final-answer"}`, `"errorType":"NoFinalAnswerError"`},
		{`{"method":"POST","path":"/","failOn":"error"}`, `"errorType":"StatusError"`},
		{`{"detail-type":"order"}`, `"errorType":"UnknownEventError"`},
	} {
		if payload, failed := invoked(t, s, c.event); failed == "" || !strings.Contains(string(payload), c.want) {
			t.Errorf("%s: the gateway answered %s %s", c.event, failed, payload)
		}
	}
	if response := answeredEvent(t, s, `{"method":"POST","path":"/","failOn":"no-final-answer"}`); response.StatusCode != 404 {
		t.Errorf("a final answer is %+v", response)
	}
}

func TestOfABatchTheMessagesWithoutAFinalAnswerGoBackAndTheOthersAreDoneOnce(t *testing.T) {
	t.Parallel()
	s := start(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/down" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, r.Header.Get("Idempotency-Key"))
	}), withoutBackoff)
	batch := func(bodies ...string) string {
		var event events.SQSEvent
		for i, body := range bodies {
			event.Records = append(event.Records, events.SQSMessage{MessageId: fmt.Sprintf("m%d", i), EventSource: "aws:sqs", Body: body})
		}
		text, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	event := batch(`{"method":"POST","path":"/orders"}`, `{"method":"POST","path":"/down"}`, `not JSON`, `{"method":"PUT","path":"/orders/5","body":"tea"}`)
	const want = `{"batchItemFailures":[{"itemIdentifier":"m1"},{"itemIdentifier":"m2"}]}`
	for range 2 {
		if payload, failed := invoked(t, s, event); failed != "" || string(payload) != want {
			t.Errorf("the gateway answered %s %s, want %s", failed, payload, want)
		}
	}
	all, err := s.StepFunctions.Executions("", "")
	if err != nil {
		t.Fatal(err)
	}
	executions := map[string]int{}
	for _, execution := range all {
		var input struct {
			Call struct{ Request struct{ Path string } }
		}
		if err := json.Unmarshal([]byte(execution.Input), &input); err != nil {
			t.Fatal(err)
		}
		executions[input.Call.Request.Path]++
	}
	if diff := cmp.Diff(map[string]int{"/orders": 1, "/orders/5": 1, "/down": 2}, executions); diff != "" {
		t.Errorf("there were other executions (-want +got):\n%s", diff)
	}
}
