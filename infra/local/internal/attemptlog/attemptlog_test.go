package attemptlog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/attemptlog"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// machine is a ring of two proxies as the construct writes it, and a state that writes to a table behind it.
const machine = `{
  "StartAt": "Proxy-1",
  "States": {
    "Proxy-1": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "proxy-1", "Payload.$": "$"},
      "OutputPath": "$.Payload", "Next": "Check-1",
      "Retry": [{"ErrorEquals": ["Lambda.TooManyRequestsException"], "IntervalSeconds": 1, "MaxAttempts": 3}],
      "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.fault", "Next": "Lost-1"}]},
    "Lost-1": {"Type": "Pass", "Next": "Check-1", "Parameters": {"version.$": "$.version", "outcome": "retry", "waitSeconds": 0,
      "call.$": "$.call", "attempts.$": "$.attempts", "losses": {"count.$": "States.MathAdd($.losses.count, 1)", "allowed.$": "$.losses.allowed",
      "proxy": "proxy-1", "error.$": "$.fault.Error", "before.$": "$.losses"}}},
    "Check-1": {"Type": "Choice", "Default": "Wait-1", "Choices": [
      {"Variable": "$.outcome", "StringEquals": "succeeded", "Next": "Record"},
      {"Variable": "$.outcome", "StringEquals": "failed", "Next": "Failed"},
      {"Variable": "$.losses.count", "NumericGreaterThanPath": "$.losses.allowed", "Next": "AllLost"}]},
    "Wait-1": {"Type": "Wait", "SecondsPath": "$.waitSeconds", "Next": "Proxy-2"},
    "Proxy-2": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "proxy-2", "Payload.$": "$"},
      "OutputPath": "$.Payload", "Next": "Check-2",
      "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.fault", "Next": "Lost-2"}]},
    "Lost-2": {"Type": "Pass", "Next": "Check-2", "Parameters": {"version.$": "$.version", "outcome": "retry", "waitSeconds": 0,
      "call.$": "$.call", "attempts.$": "$.attempts", "losses": {"count.$": "States.MathAdd($.losses.count, 1)", "allowed.$": "$.losses.allowed",
      "proxy": "proxy-2", "error.$": "$.fault.Error", "before.$": "$.losses"}}},
    "Check-2": {"Type": "Choice", "Default": "Wait-2", "Choices": [
      {"Variable": "$.outcome", "StringEquals": "succeeded", "Next": "Record"},
      {"Variable": "$.outcome", "StringEquals": "failed", "Next": "Failed"},
      {"Variable": "$.losses.count", "NumericGreaterThanPath": "$.losses.allowed", "Next": "AllLost"}]},
    "Wait-2": {"Type": "Wait", "SecondsPath": "$.waitSeconds", "Next": "Proxy-1"},
    "Record": {"Type": "Task", "Resource": "arn:aws:states:::dynamodb:updateItem",
      "Parameters": {"TableName": "records", "Key": {"id": {"S": "1"}}}, "ResultPath": null, "Next": "Succeeded",
      "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.fault", "Next": "Succeeded"}]},
    "AllLost": {"Type": "Pass", "Next": "Failed", "Parameters": {"version.$": "$.version", "outcome": "failed", "error": "ProxiesLost",
      "attempts.$": "$.attempts", "losses.$": "$.losses"}},
    "Succeeded": {"Type": "Succeed"},
    "Failed": {"Type": "Succeed"}
  }
}`

const machineARN = "arn:aws:states:us-east-1:000000000000:stateMachine:ring"

// input is the envelope of a request with a secret in its query, its header and its body. One proxy may be lost.
const input = `{"version": 1, "outcome": "retry", "attempts": [], "losses": {"count": 0, "allowed": 1},
  "call": {"request": {"method": "GET", "path": "/orders/7", "query": "token=secret", "headers": {"authorization": "secret"}, "body": "secret"}}}`

// A call is what comes of calling a proxy: an answer, or an error.
type call struct {
	takes   time.Duration
	answers string
	crashes string
	refused *asl.ServiceError
}

// began is when the execution starts.
var began = time.Date(2026, 3, 1, 12, 30, 0, 0, time.Local)

// run executes the machine with calls that are listed, on a virtual clock, and returns the lines that were printed.
func run(t *testing.T, text string, written error, calls ...call) []string {
	t.Helper()
	virtual := clock.NewVirtual(began)
	service := stepfunctions.New(stepfunctions.Config{
		Clock: virtual,
		Lambda: asl.LambdaFunc(func(ctx context.Context, name string, _ []byte) (asl.Invocation, error) {
			if len(calls) == 0 {
				t.Errorf("%s was called although all calls are over", name)
				return asl.Invocation{}, &asl.ServiceError{Code: "ServiceException"}
			}
			c := calls[0]
			calls = calls[1:]
			if err := virtual.Wait(ctx, c.takes); err != nil {
				return asl.Invocation{}, err
			}
			switch {
			case c.refused != nil:
				return asl.Invocation{}, c.refused
			case c.crashes != "":
				return asl.Invocation{Payload: fmt.Appendf(nil, `{"errorType":%q,"errorMessage":"it crashed"}`, c.crashes), FunctionError: "Unhandled"}, nil
			}
			return asl.Invocation{Payload: []byte(c.answers)}, nil
		}),
		DynamoDB: table{written},
	})
	t.Cleanup(service.Close)
	var out bytes.Buffer
	service.Observe(attemptlog.New(&out).Event)
	if err := service.CreateStateMachine(stepfunctions.StateMachine{Name: "ring", ARN: machineARN, Type: stepfunctions.Express, Definition: machine}); err != nil {
		t.Fatal(err)
	}
	if _, err := service.StartSyncExecution(context.Background(), machineARN, "0123456789abcdef", text); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "secret") {
		t.Errorf("what was sent is in the trace:\n%s", out.String())
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

// A table takes every write, or refuses them all.
type table struct{ err error }

func (t table) UpdateItem(context.Context, json.RawMessage) (json.RawMessage, error) {
	return json.RawMessage(`{}`), t.err
}

func prints(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the trace is not what was expected (-want +got):\n%s", diff)
	}
}

func TestASuccessIsAnAttemptAndAnEnd(t *testing.T) {
	lines := run(t, input, nil, call{takes: 250 * time.Millisecond,
		answers: `{"outcome":"succeeded","statusCode":200,"attempts":[{"proxy":"proxy-1","start":1,"duration":240,"status":200,"why":"200: final"}]}`})
	prints(t, lines,
		"12:30:00.250  01234567  attempt 1  proxy-1  200     240ms  200: final",
		"12:30:00.250  01234567  GET /orders/7 -> 200 after 1 attempt in 250ms")
}

func TestEachAttemptTellsWhatComesNext(t *testing.T) {
	limited := `{"proxy":"proxy-1","start":1,"duration":40,"status":429,"wait":13400,"why":"429: Retry-After asks for 13s"}`
	refused := `{"proxy":"proxy-2","start":2,"duration":3,"error":"connection_refused","details":"dial tcp: connection refused","wait":1500,"why":"connection_refused: backoff"}`
	lines := run(t, input, nil,
		call{takes: 40 * time.Millisecond, answers: `{"outcome":"retry","statusCode":429,"waitSeconds":13,"call":{"request":{}},"losses":{"count":0,"allowed":1},"attempts":[` + limited + `]}`},
		call{takes: 3 * time.Millisecond, answers: `{"outcome":"retry","waitSeconds":1,"call":{"request":{}},"losses":{"count":0,"allowed":1},"attempts":[` + limited + `,` + refused + `]}`},
		call{takes: 9 * time.Millisecond, answers: `{"outcome":"failed","error":"AttemptsExhausted","statusCode":503,"attempts":[` + limited + `,` + refused + `,{"proxy":"proxy-1","start":3,"duration":9,"status":503,"error":"http_response_body_size","why":"503: server-error 3 of 3"}]}`})
	prints(t, lines,
		"12:30:00.040  01234567  attempt 1  proxy-1  429      40ms  waits 13.4s; 429: Retry-After asks for 13s",
		"12:30:13.043  01234567  attempt 2  proxy-2  connection_refused      3ms  waits 1.5s; connection_refused: backoff (dial tcp: connection refused)",
		"12:30:14.052  01234567  attempt 3  proxy-1  503 http_response_body_size      9ms  503: server-error 3 of 3",
		"12:30:14.052  01234567  GET /orders/7 -> 503 AttemptsExhausted after 3 attempts in 14.1s")
}

func TestAnAttemptThatAProxyRepeatsIsPrintedBeforeIt(t *testing.T) {
	lines := run(t, input, nil, call{takes: 30 * time.Millisecond, answers: `{"outcome":"succeeded","statusCode":200,"attempts":[
		{"proxy":"proxy-1","start":1,"duration":10,"status":401,"why":"401: once more"},{"proxy":"proxy-1","start":11,"duration":20,"status":200,"why":"200: final"}]}`})
	prints(t, lines,
		"12:30:00.030  01234567  attempt 1  proxy-1  401      10ms  401: once more",
		"12:30:00.030  01234567  attempt 2  proxy-1  200      20ms  200: final",
		"12:30:00.030  01234567  GET /orders/7 -> 200 after 2 attempts in 30ms")
}

func TestALostProxyIsAnAttemptThatSaysHowItWasLost(t *testing.T) {
	lines := run(t, input, nil, call{crashes: "Runtime.ExitError"}, call{crashes: "Sandbox.Timedout"})
	prints(t, lines,
		"12:30:00.000  01234567  attempt 1  proxy-1  proxy_internal_error           (Runtime.ExitError)",
		"12:30:00.000  01234567  attempt 2  proxy-2  proxy_internal_error           (Sandbox.Timedout)",
		"12:30:00.000  01234567  GET /orders/7 -> ProxiesLost after 2 attempts in 0s")
}

// The proxy that is called when no time is left makes no attempt, and hands back those before it.
func TestAProxyThatMadeNoAttemptIsNotPrinted(t *testing.T) {
	lost := `{"proxy":"proxy-1","error":"proxy_internal_error","wait":2000,"why":"backoff"}`
	lines := run(t, input, nil, call{crashes: "Runtime.ExitError"}, call{answers: `{"outcome":"failed","error":"DeadlineExceeded","attempts":[` + lost + `]}`})
	prints(t, lines,
		"12:30:00.000  01234567  attempt 1  proxy-1  proxy_internal_error           (Runtime.ExitError)",
		"12:30:00.000  01234567  GET /orders/7 -> DeadlineExceeded after 1 attempt in 0s")
}

func TestACallThatIsRepeatedBecauseLambdaRefusedItIsNoAttempt(t *testing.T) {
	lines := run(t, input, nil,
		call{refused: &asl.ServiceError{Code: "TooManyRequestsException", StatusCode: 429}},
		call{answers: `{"outcome":"succeeded","statusCode":204,"attempts":[{"proxy":"proxy-1","start":1,"status":204,"why":"204: final"}]}`})
	prints(t, lines,
		"12:30:01.000  01234567  attempt 1  proxy-1  204        0s  204: final",
		"12:30:01.000  01234567  GET /orders/7 -> 204 after 1 attempt in 1s")
}

func TestAWriteToTheTableThatFailsIsNoAttempt(t *testing.T) {
	lines := run(t, input, &asl.ServiceError{Code: "ConditionalCheckFailedException", StatusCode: 400},
		call{answers: `{"outcome":"succeeded","statusCode":200,"attempts":[{"proxy":"proxy-1","start":1,"status":200,"why":"200: final"}]}`})
	prints(t, lines,
		"12:30:00.000  01234567  attempt 1  proxy-1  200        0s  200: final",
		"12:30:00.000  01234567  dynamodb updateItem failed: DynamoDB.ConditionalCheckFailedException",
		"12:30:00.000  01234567  GET /orders/7 -> 200 after 1 attempt in 0s")
}

// Anybody can start an execution by hand, with any input.
func TestAnExecutionThatIsNoRequestIsPrintedAllTheSame(t *testing.T) {
	for _, text := range []string{`{}`, `[]`, `null`, `{"answer":"secret"}`, `{"outcome":"retry","call":null,"answer":null}`} {
		lines := run(t, text, nil, call{answers: `{"outcome":"failed","error":"Unknown"}`})
		prints(t, lines, "12:30:00.000  01234567  execution -> Unknown after 0 attempts in 0s")
	}
	lines := run(t, `{}`, nil, call{answers: `"no envelope"`})
	if want := "12:30:00.000  01234567  execution -> States.Runtime after 0 attempts in 0s"; len(lines) != 1 || lines[0] != want {
		t.Errorf("the trace is %q, want %q", lines, want)
	}
}

// hostile is what a terminal would obey: CSI, OSC and BEL, C1 controls, marks that turn the direction of text around, and an
// end of a line that would have another begin. escaped is what is printed of it.
const (
	hostile = "\x1b[2J\x1b]0;t\x07\u0085\u009b\u202e\u2066\r\nforged"
	escaped = `\x1b[2J\x1b]0;t\x07\u0085\u009b\u202e\u2066\r\nforged`
)

// quoted is a text in JSON.
func quoted(t *testing.T, text string) string {
	t.Helper()
	encoded, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

func TestNothingThatATerminalObeysIsPrinted(t *testing.T) {
	q := quoted(t, hostile)
	text := `{"outcome":"retry","attempts":[],"losses":{"count":0,"allowed":1},"call":{"request":{"method":` + q + `,"path":` + q + `}}}`
	lines := run(t, text, nil,
		call{answers: `{"outcome":"retry","waitSeconds":0,"call":{"request":{}},"losses":{"count":0,"allowed":1},
		  "attempts":[{"proxy":` + q + `,"start":1,"error":` + q + `,"details":` + q + `,"why":` + q + `}]}`},
		call{answers: `{"outcome":"succeeded","statusCode":200,"attempts":[{},{"proxy":"proxy-2","start":1,"status":200,"why":"200: final"}]}`})
	prints(t, lines,
		"12:30:00.000  01234567  attempt 1  "+escaped+" "+escaped+"       0s  "+escaped+" ("+escaped+")",
		"12:30:00.000  01234567  attempt 2  proxy-2  200        0s  200: final",
		"12:30:00.000  01234567  "+escaped+" "+escaped+" -> 200 after 2 attempts in 0s")
	prints(t, run(t, `{}`, nil, call{answers: `{"outcome":"failed","error":` + q + `}`}),
		"12:30:00.000  01234567  execution -> "+escaped+" after 0 attempts in 0s")
}

func TestWhyAWriteToTheTableFailedIsMadePrintable(t *testing.T) {
	var out bytes.Buffer
	attemptlog.New(&out).Event(stepfunctions.Execution{ARN: "arn", Name: "0123456789abcdef", Input: `{}`, Started: began}, asl.Event{
		Type: asl.TaskFailedEvent, Timestamp: began,
		TaskFailed: &asl.TaskFailureDetails{
			TaskDetails: asl.TaskDetails{ResourceType: "dynamodb", Resource: "updateItem"}, FailureDetails: asl.FailureDetails{Error: hostile},
		},
	})
	if got, want := out.String(), "12:30:00.000  01234567  dynamodb updateItem failed: "+escaped+"\n"; got != want {
		t.Errorf("it printed %q, want %q", got, want)
	}
}

// Whoever starts an execution names it.
func TestTheNameOfAnExecutionIsMadePrintable(t *testing.T) {
	for name, want := range map[string]string{
		"\x1b[2Jab": `\x1b[2Jab`, "a\nb": `a\nb    `, "\u202e\u009bab": `\u202e\u009bab`, "123456\u20ac": `123456\xe2\x82`, // cut in the middle
	} {
		var out bytes.Buffer
		execution := stepfunctions.Execution{ARN: "arn", Name: name, Input: `{}`, Status: asl.Succeeded, Output: `{"statusCode":200}`, Started: began}
		attemptlog.New(&out).Event(execution, asl.Event{Type: asl.ExecutionSucceeded, Timestamp: began, ExecutionSucceeded: &asl.ExecutionSucceededDetails{}})
		if got, line := out.String(), "12:30:00.000  "+want+"  execution -> 200 after 0 attempts in 0s\n"; got != line {
			t.Errorf("it printed %q, want %q", got, line)
		}
	}
}

func TestExecutionsAtTheSameTimeArePrintedInWholeLines(t *testing.T) {
	out := new(bytes.Buffer)
	printer := attemptlog.New(out)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			execution := stepfunctions.Execution{ARN: fmt.Sprint("arn:", i), Name: fmt.Sprint("run-", i), Input: input, Status: asl.Succeeded, Output: `{"statusCode":200}`, Started: began}
			printer.Event(execution, asl.Event{Type: asl.ExecutionSucceeded, Timestamp: began, ExecutionSucceeded: &asl.ExecutionSucceededDetails{}})
		})
	}
	wg.Wait()
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 20 {
		t.Fatalf("there are %d lines, want 20", len(lines))
	}
	for _, line := range lines {
		if !strings.HasSuffix(line, "GET /orders/7 -> 200 after 0 attempts in 0s") {
			t.Errorf("a line is %q", line)
		}
	}
}
