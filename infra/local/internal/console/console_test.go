package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/console"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/executionview"
)

// machine is a ring of one proxy as the construct writes it, with the states that end it.
const machine = `{
  "StartAt": "Proxy-1",
  "States": {
    "Proxy-1": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "proxy-1", "Payload.$": "$"},
      "OutputPath": "$.Payload", "Next": "Check-1",
      "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.fault", "Next": "Lost-1"}]},
    "Lost-1": {"Type": "Pass", "Next": "Check-1", "Parameters": {"version.$": "$.version", "outcome": "retry", "waitSeconds": 0,
      "call.$": "$.call", "attempts.$": "$.attempts", "losses": {"count.$": "States.MathAdd($.losses.count, 1)", "allowed.$": "$.losses.allowed",
      "proxy": "proxy-1", "error.$": "$.fault.Error", "before.$": "$.losses"}}},
    "Check-1": {"Type": "Choice", "Choices": [
      {"And": [{"Variable": "$.outcome", "StringEquals": "succeeded"}, {"Variable": "$$.Execution.Input.record.id", "IsPresent": true}], "Next": "Record"},
      {"Variable": "$.outcome", "StringEquals": "succeeded", "Next": "Succeeded"},
      {"Variable": "$.outcome", "StringEquals": "failed", "Next": "Failed"},
      {"Variable": "$.losses.count", "NumericGreaterThanPath": "$.losses.allowed", "Next": "AllLost"},
      {"Variable": "$.waitSeconds", "NumericGreaterThanEquals": 1, "Next": "Wait-1"}],
      "Default": "Proxy-1"},
    "Wait-1": {"Type": "Wait", "SecondsPath": "$.waitSeconds", "Next": "Proxy-1"},
    "Record": {"Comment": "The answer is kept", "Type": "Task", "Resource": "arn:aws:states:::dynamodb:updateItem",
      "Parameters": {"TableName": "records", "Key": {"id": {"S": "1"}}}, "ResultPath": null, "Next": "Succeeded",
      "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.fault", "Next": "Succeeded"}]},
    "AllLost": {"Type": "Pass", "Next": "Failed", "Parameters": {"version.$": "$.version", "outcome": "failed", "error": "ProxiesLost",
      "attempts.$": "$.attempts", "losses.$": "$.losses"}},
    "Succeeded": {"Type": "Succeed"},
    "Failed": {"Type": "Succeed"}
  }
}`

const machineARN = "arn:aws:states:us-east-1:000000000000:stateMachine:ring"

// input is the envelope of a request with an idempotency record, and with secrets where requests have them. No proxy may
// be lost.
const input = `{"version": 1, "outcome": "retry", "record": {"id": "orders#1f", "owner": "secret"}, "attempts": [],
  "call": {"request": {"method": "POST", "path": "/orders/7", "query": "token=secret", "headers": {"authorization": "secret"}, "body": "secret"}},
  "losses": {"count": 0, "allowed": 0}}`

// Answers of a proxy: one that has a second attempt follow after a wait, and the ones to end with.
const (
	limited = `{"outcome": "retry", "statusCode": 429, "waitSeconds": 2, "sleepMilliseconds": 500, "call": {"request": {"body": "secret"}},
	  "losses": {"count": 0, "allowed": 0}, "attempts": [
	    {"proxy": "proxy-1", "start": 1772368200010, "duration": 30, "status": 429, "wait": 2500, "why": "429: Retry-After asks for 2s"}]}`
	answered = `{"outcome": "succeeded", "statusCode": 201, "body": "secret", "attempts": [
	    {"proxy": "proxy-1", "start": 1772368200010, "duration": 30, "status": 429, "wait": 2500, "why": "429: Retry-After asks for 2s"},
	    {"proxy": "proxy-1", "start": 1772368203000, "duration": 40, "status": 201, "why": "201: final"}]}`
	once = `{"outcome": "succeeded", "statusCode": 200, "body": "secret", "attempts": [
	    {"proxy": "proxy-1", "start": 1772368200010, "duration": 40, "status": 200, "why": "200: final"}]}`
	refused = `{"outcome": "failed", "error": "AttemptsExhausted", "statusCode": 503, "body": "secret", "attempts": [
	    {"proxy": "proxy-1", "start": 1772368200010, "duration": 40, "status": 503, "why": "server-error 1 of 1"}]}`
)

// began is when the clock of the tests begins.
var began = time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)

// A stage is a console with something to see: a state machine whose proxy gives answers that a test lists, a table for
// records, and a handler in the place of the function URL.
type stage struct {
	t       *testing.T
	service *stepfunctions.Service
	tables  *dynamodb.Store
	url     string
	shown   *console.Console

	mu      sync.Mutex
	answers []string // of the proxy; one that is no JSON is how it crashes
	refuses error    // of the table
}

// now is a clock that stands still.
func now() time.Time { return began }

// open opens a console before a handler until the test ends.
func open(t *testing.T, config console.Config, url http.HandlerFunc) *stage {
	t.Helper()
	s := &stage{t: t, tables: dynamodb.New()}
	if config.Now == nil {
		config.Now = now
	}
	if err := s.tables.CreateTable(dynamodb.TableDefinition{Name: "records", PartitionKey: dynamodb.KeyAttribute{Name: "id", Type: "S"}}); err != nil {
		t.Fatal(err)
	}
	s.service = stepfunctions.New(stepfunctions.Config{
		Clock:    clock.NewVirtual(began),
		Lambda:   asl.LambdaFunc(s.invoke),
		DynamoDB: s,
	})
	t.Cleanup(s.service.Close)
	if err := s.service.CreateStateMachine(stepfunctions.StateMachine{Name: "ring", ARN: machineARN, Type: stepfunctions.Express, Definition: machine}); err != nil {
		t.Fatal(err)
	}
	shown := console.New(config)
	shown.Watch(s.service, s.tables, executionview.View{})
	if url == nil {
		url = func(http.ResponseWriter, *http.Request) {}
	}
	server := httptest.NewServer(shown.Middleware(url))
	t.Cleanup(server.Close)
	s.url, s.shown = server.URL+console.Path, shown
	return s
}

func (s *stage) invoke(context.Context, string, []byte) (asl.Invocation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	if !json.Valid([]byte(answer)) {
		return asl.Invocation{Payload: fmt.Appendf(nil, `{"errorType":%q}`, answer), FunctionError: "Unhandled"}, nil
	}
	return asl.Invocation{Payload: []byte(answer)}, nil
}

// UpdateItem takes every write of the state machine, or refuses it.
func (s *stage) UpdateItem(context.Context, json.RawMessage) (json.RawMessage, error) {
	return json.RawMessage(`{}`), s.refuses
}

// run runs an execution with the answers of its proxy; the last one is given again and again.
func (s *stage) run(name, text string, answers ...string) {
	s.t.Helper()
	s.mu.Lock()
	s.answers = answers
	s.mu.Unlock()
	if _, err := s.service.StartSyncExecution(context.Background(), machineARN, name, text); err != nil {
		s.t.Fatal(err)
	}
}

// get reads JSON from below the console's path, and fails the test if there is something else.
func (s *stage) get(path string, into any) {
	s.t.Helper()
	status, body := s.ask(http.MethodGet, path, "", nil)
	if status != http.StatusOK {
		s.t.Fatalf("GET %s is answered with %d: %s", path, status, body)
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		s.t.Fatalf("GET %s: %v in %s", path, err, body)
	}
}

// ask sends a request to the console. The headers are added to those of JSON.
func (s *stage) ask(method, path, body string, headers map[string]string) (status int, answer string) {
	s.t.Helper()
	// Events that are let out by mistake have no end.
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, value := range headers {
		if name == "Host" {
			request.Host = value
			continue
		}
		request.Header.Set(name, value)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if bytes.HasPrefix(text, []byte("{")) && response.StatusCode >= 400 && response.Header.Get("Content-Type") != "application/problem+json" {
		s.t.Errorf("%s %s: the problem has the type %s", method, path, response.Header.Get("Content-Type"))
	}
	return response.StatusCode, string(text)
}

// refusesWith asks for something that is refused, for a reason that holds the texts.
func (s *stage) refusesWith(status int, method, path, body string, headers map[string]string, texts ...string) {
	s.t.Helper()
	got, answer := s.ask(method, path, body, headers)
	if got != status {
		s.t.Errorf("%s %s is answered with %d, want %d: %s", method, path, got, status, answer)
		return
	}
	var problem struct {
		Status int
		Detail string
	}
	if err := json.Unmarshal([]byte(answer), &problem); err != nil || problem.Status != status {
		s.t.Errorf("%s %s is answered with no problem of status %d: %s", method, path, status, answer)
	}
	for _, text := range texts {
		if !strings.Contains(problem.Detail, text) {
			s.t.Errorf("the detail %q does not hold %q", problem.Detail, text)
		}
	}
}

// eventually asks again and again until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("it never came to this: %s", what)
}
