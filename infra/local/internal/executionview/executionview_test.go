package executionview_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/executionview"
)

// exited is the exit of a state with an output.
func exited(kind asl.EventType, output string) asl.Event {
	return asl.Event{Type: kind, StateExited: &asl.StateExitedDetails{Output: output}}
}

func TestAttemptsAreThoseThatAProxyToldAndThoseThatWereLost(t *testing.T) {
	const told = `{"version": 1, "outcome": "retry", "attempts": [{"proxy": "proxy-1", "status": 429}]`
	limited := retry.Attempt{Proxy: "proxy-1", Status: 429}
	lost := retry.Attempt{Proxy: "proxy-2", Error: "proxy_internal_error", Details: "Sandbox.Timedout", Kind: "network-failure"}
	for name, c := range map[string]struct {
		event asl.Event
		want  []retry.Attempt
	}{
		"a proxy answered":             {exited(asl.TaskStateExited, told+`}`), []retry.Attempt{limited}},
		"a proxy was lost":             {exited(asl.PassStateExited, told+`, "losses": {"count": 1, "proxy": "proxy-2", "error": "Sandbox.Timedout"}}`), []retry.Attempt{limited, lost}},
		"none was lost":                {exited(asl.PassStateExited, told+`, "losses": {"count": 0}}`), []retry.Attempt{limited}},
		"a wait is over":               {exited(asl.WaitStateExited, told+`}`), nil},
		"a function said something":    {exited(asl.TaskStateExited, `"text"`), nil},
		"a function said nothing":      {exited(asl.TaskStateExited, `null`), nil},
		"the envelope is from a later": {exited(asl.TaskStateExited, `{"version": 99, "attempts": [{"proxy": "proxy-1"}]}`), nil},
		"the execution began":          {asl.Event{Type: asl.ExecutionStarted}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, (executionview.View{}).Attempts(stepfunctions.Execution{}, c.event)); diff != "" {
				t.Errorf("the attempts are not what was expected (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheRequestIsThatOfTheCall(t *testing.T) {
	method, path, ok := (executionview.View{}).Request(`{"call": {"request": {"method": "PUT", "path": "/orders/7"}}}`)
	if method != "PUT" || path != "/orders/7" || !ok {
		t.Errorf("it is %s %s, %t", method, path, ok)
	}
	for _, input := range []string{`{"statusCode": 200}`, `[]`, ``, `{"call": null}`} {
		if _, _, ok := (executionview.View{}).Request(input); ok {
			t.Errorf("%s has a request", input)
		}
	}
}

func TestTheResultOfAnExecutionIsItsLastStatusAndWhyItFailed(t *testing.T) {
	for name, c := range map[string]struct {
		execution stepfunctions.Execution
		status    int
		failure   string
	}{
		"it succeeded":       {stepfunctions.Execution{Status: asl.Succeeded, Output: `{"statusCode": 404}`}, 404, ""},
		"it failed":          {stepfunctions.Execution{Status: asl.Succeeded, Output: `{"outcome": "failed", "error": "AttemptsExhausted", "statusCode": 503}`}, 503, "AttemptsExhausted"},
		"it had no answer":   {stepfunctions.Execution{Status: asl.Succeeded, Output: `{"outcome": "failed", "error": "DeadlineExceeded"}`}, 0, "DeadlineExceeded"},
		"it broke":           {stepfunctions.Execution{Status: asl.Failed, Error: "States.Runtime", Cause: "a path leads nowhere"}, 0, "States.Runtime"},
		"it took too long":   {stepfunctions.Execution{Status: asl.TimedOut, Error: "States.Timeout"}, 0, "States.Timeout"},
		"somebody ended it":  {stepfunctions.Execution{Status: asl.Aborted}, 0, "ABORTED"},
		"its output is text": {stepfunctions.Execution{Status: asl.Succeeded, Output: `"done"`}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if status, failure := (executionview.View{}).Result(c.execution); status != c.status || failure != c.failure {
				t.Errorf("it is %d, %q, want %d, %q", status, failure, c.status, c.failure)
			}
		})
	}
}

func TestTheResultOfAnAttemptIsItsStatusItsFailureOrBoth(t *testing.T) {
	for want, attempt := range map[string]retry.Attempt{
		"503":                         {Status: 503},
		"connection_refused":          {Error: "connection_refused"},
		"200 http_response_too_large": {Status: 200, Error: "http_response_too_large"},
	} {
		if got := executionview.AttemptResult(attempt); got != want {
			t.Errorf("it is %q, want %q", got, want)
		}
	}
}

// Anybody can start an execution with any input, and a proxy can answer anything.
func FuzzReading(f *testing.F) {
	f.Add(`{"outcome":"retry","call":null,"attempts":[{"proxy":"proxy-1"}],"losses":{"count":1,"before":null}}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, text string) {
		(executionview.View{}).Request(text)
		(executionview.View{}).Attempts(stepfunctions.Execution{Input: text}, exited(asl.PassStateExited, text))
		(executionview.View{}).Result(stepfunctions.Execution{Status: asl.Succeeded, Output: text})
	})
}

// kept is what is kept of one asynchronous request.
func kept(t *testing.T) *execution.MemoryStore {
	t.Helper()
	store := new(execution.MemoryStore)
	x := &execution.Execution{Name: "e1", State: execution.Succeeded, Attempts: []retry.Attempt{{Proxy: "proxy-1", Status: 429}, {Proxy: "proxy-2", Status: 201}}}
	_, err := store.PutAnswer(t.Context(), "e1", 2, &message.Envelope{Outcome: retry.Succeeded, Response: message.Response{StatusCode: 201}}, 0)
	err = errors.Join(err, store.Create(t.Context(), x), store.PutRequest(t.Context(), "e1", &message.Request{Method: "PUT", Path: "/orders/7"}, 0))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestOfAnAsynchronousRequestItIsReadWhereItIsKept(t *testing.T) {
	view := executionview.View{Kept: kept(t)}
	const input = `{"version": 2, "outcome": "retry", "call": {"execution": "e1"}}`
	if method, path, ok := view.Request(input); method != "PUT" || path != "/orders/7" || !ok {
		t.Errorf("it is %s %s, %t", method, path, ok)
	}
	e := stepfunctions.Execution{Status: asl.Succeeded, Input: input, Output: `{"version": 2, "outcome": "succeeded", "stored": "answer:e1:2"}`}
	if attempts := view.Attempts(e, exited(asl.TaskStateExited, `{"version": 2, "outcome": "retry", "attempts": []}`)); len(attempts) != 2 || attempts[1].Status != 201 {
		t.Errorf("the attempts are %+v", attempts)
	}
	if status, failure := view.Result(e); status != 201 || failure != "" {
		t.Errorf("it is %d, %q", status, failure)
	}
	if method, _, ok := view.Request(`{"version": 2, "call": {"execution": "gone"}}`); method != "" || !ok {
		t.Errorf("one that is gone is %q, %t", method, ok)
	}
}

func TestOfACallbackItIsWhomItTells(t *testing.T) {
	store := kept(t)
	of := &execution.Execution{Name: "e2", Callback: &execution.Callback{URL: "https://hooks.example.com/told"}}
	callback := of.NewCallback(time.Now())
	if err := store.Create(t.Context(), callback); err != nil {
		t.Fatal(err)
	}
	view := executionview.View{Kept: store}
	method, path, ok := view.Request(`{"version": 2, "outcome": "retry", "call": {"execution": "` + callback.Name + `"}}`)
	if method != "POST" || path != "https://hooks.example.com/told" || !ok {
		t.Errorf("it is %s %s, %t", method, path, ok)
	}
}
