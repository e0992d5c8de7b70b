package console_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/console"
)

type executions struct{ Executions []console.Execution }

// after is a moment after the beginning.
func after(d time.Duration) time.Time { return began.Add(d) }

func TestAnExecutionIsToldWithItsRequestItsAttemptsAndItsWay(t *testing.T) {
	s := open(t, console.Config{Speed: 2}, nil)
	s.run("one", input, limited, answered)

	var got executions
	s.get("executions", &got)
	limitedAttempt := retry.Attempt{Proxy: "proxy-1", Start: 1772368200010, Duration: 30, Status: 429, Wait: 2500, Why: "429: Retry-After asks for 2s"}
	want := executions{[]console.Execution{{
		Name: "one", StateMachine: "ring", Method: "POST", Path: "/orders/7", Record: "orders#1f",
		Status: asl.Succeeded, StatusCode: 201, Started: began, Stopped: after(2 * time.Second),
		Attempts: []retry.Attempt{limitedAttempt, {Proxy: "proxy-1", Start: 1772368203000, Duration: 40, Status: 201, Why: "201: final"}},
		Visits: []console.Visit{
			{State: "Proxy-1", Type: "Task", Entered: began, Exited: began, Attempt: 1},
			{State: "Check-1", Type: "Choice", Entered: began, Exited: began},
			{State: "Wait-1", Type: "Wait", Entered: began, Exited: after(2 * time.Second), WaitSeconds: 2, Until: after(time.Second)},
			{State: "Proxy-1", Type: "Task", Entered: after(2 * time.Second), Exited: after(2 * time.Second), Attempt: 2},
			{State: "Check-1", Type: "Choice", Entered: after(2 * time.Second), Exited: after(2 * time.Second)},
			{State: "Record", Type: "Task", Entered: after(2 * time.Second), Exited: after(2 * time.Second)},
			{State: "Succeeded", Type: "Succeed", Entered: after(2 * time.Second), Exited: after(2 * time.Second)},
		},
	}}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(console.Execution{})); diff != "" {
		t.Errorf("the executions are not what was expected (-want +got):\n%s", diff)
	}
}

func TestAFailedExecutionTellsWhyAndItsLastStatus(t *testing.T) {
	s := open(t, console.Config{}, nil)
	s.run("one", input, refused)
	var got executions
	s.get("executions", &got)
	e := got.Executions[0]
	if e.Status != asl.Succeeded || e.StatusCode != 503 || e.Failure != "AttemptsExhausted" {
		t.Errorf("it is %s with %d, %s", e.Status, e.StatusCode, e.Failure)
	}
	if last := e.Visits[len(e.Visits)-1]; last.State != "Failed" || last.Exited.IsZero() {
		t.Errorf("the last visit is %+v", last)
	}
}

func TestTheAttemptOfALostProxyHasTheTimesOfTheVisit(t *testing.T) {
	s := open(t, console.Config{}, nil)
	s.run("one", input, "Runtime.ExitError")
	var got executions
	s.get("executions", &got)
	e := got.Executions[0]
	want := []retry.Attempt{{Proxy: "proxy-1", Start: began.UnixMilli(), Error: "proxy_internal_error", Details: "Runtime.ExitError", Kind: retry.NetworkFailure}}
	if diff := cmp.Diff(want, e.Attempts); diff != "" {
		t.Errorf("the attempts are not what was expected (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Runtime.ExitError"}, e.Visits[0].Failures); diff != "" {
		t.Errorf("the failures of the visit are not what was expected (-want +got):\n%s", diff)
	}
}

// The loss of a proxy is judged by the next one, so what was decided after it is known with the next attempt.
func TestWhatWasDecidedAfterALossIsToldWhenItIsKnown(t *testing.T) {
	s := open(t, console.Config{}, nil)
	one := strings.Replace(input, `"allowed": 0`, `"allowed": 2`, 1)
	s.run("one", one, "Runtime.ExitError", `{"outcome": "succeeded", "statusCode": 200, "attempts": [
	  {"proxy": "proxy-1", "error": "proxy_internal_error", "details": "Runtime.ExitError", "kind": "network-failure", "wait": 300, "why": "backoff"},
	  {"proxy": "proxy-1", "start": 1772368200010, "duration": 40, "status": 200, "why": "200: final"}]}`)
	var got executions
	s.get("executions", &got)
	want := []retry.Attempt{
		{Proxy: "proxy-1", Start: began.UnixMilli(), Error: "proxy_internal_error", Details: "Runtime.ExitError", Kind: retry.NetworkFailure, Wait: 300, Why: "backoff"},
		{Proxy: "proxy-1", Start: 1772368200010, Duration: 40, Status: 200, Why: "200: final"},
	}
	if diff := cmp.Diff(want, got.Executions[0].Attempts); diff != "" {
		t.Errorf("the attempts are not what was expected (-want +got):\n%s", diff)
	}
	var numbers []int
	for _, visit := range got.Executions[0].Visits {
		if visit.Type == "Task" {
			numbers = append(numbers, visit.Attempt)
		}
	}
	if diff := cmp.Diff([]int{1, 2, 0}, numbers); diff != "" {
		t.Errorf("the visits are not those of the attempts (-want +got):\n%s", diff)
	}
}

func TestAWriteToTheTableThatFailsIsToldWithItsVisit(t *testing.T) {
	s := open(t, console.Config{}, nil)
	s.refuses = &asl.ServiceError{Code: "ConditionalCheckFailedException", StatusCode: 400}
	s.run("one", input, once)
	var got executions
	s.get("executions", &got)
	e := got.Executions[0]
	if i := len(e.Visits) - 2; e.Visits[i].State != "Record" || len(e.Visits[i].Failures) != 1 || !strings.Contains(e.Visits[i].Failures[0], "ConditionalCheckFailedException") {
		t.Errorf("the visit before the last is %+v", e.Visits[i])
	}
	if len(e.Attempts) != 1 || e.StatusCode != 200 {
		t.Errorf("there are %d attempts and the status %d", len(e.Attempts), e.StatusCode)
	}
}

// Anybody can start an execution by hand, with any input and any answers.
func TestAnExecutionThatIsNoRequestIsShownAllTheSame(t *testing.T) {
	s := open(t, console.Config{}, nil)
	s.run("one", `{"call": "none"}`, `{"outcome": "failed", "error": "Unknown"}`)
	s.run("two", `[]`, `"no envelope"`)
	var got executions
	s.get("executions", &got)
	for i, failure := range []string{"States.Runtime", "Unknown"} {
		e := got.Executions[i]
		if e.Method != "" || len(e.Attempts) != 0 || e.Failure != failure {
			t.Errorf("execution %s is %s %d %s, want the failure %s", e.Name, e.Method, len(e.Attempts), e.Failure, failure)
		}
	}
}

func TestTheNewestExecutionsAreKeptAndComeFirst(t *testing.T) {
	s := open(t, console.Config{}, nil)
	for i := range console.MaxExecutions + 5 {
		s.run(fmt.Sprint("run-", i), input, once)
	}
	var got executions
	s.get("executions", &got)
	if len(got.Executions) != console.MaxExecutions {
		t.Fatalf("there are %d executions, want %d", len(got.Executions), console.MaxExecutions)
	}
	for i, e := range got.Executions {
		if want := fmt.Sprint("run-", console.MaxExecutions+4-i); e.Name != want {
			t.Fatalf("execution %d is %s, want %s", i, e.Name, want)
		}
	}
	s.refusesWith(http.StatusNotFound, http.MethodGet, "executions/run-0", "", nil)
}

func TestAnExecutionIsToldWithItsHistory(t *testing.T) {
	s := open(t, console.Config{}, nil)
	s.run("one", input, "Runtime.ExitError")
	s.run("two", input, once)
	var got struct {
		Name    string
		History []console.HistoryEvent
	}
	s.get("executions/one", &got)
	if got.Name != "one" {
		t.Errorf("the name is %s", got.Name)
	}
	want := []console.HistoryEvent{
		{ID: 1, Timestamp: began, Type: asl.ExecutionStarted},
		{ID: 2, Timestamp: began, Type: asl.TaskStateEntered, State: "Proxy-1"},
		{ID: 3, Previous: 2, Timestamp: began, Type: asl.TaskScheduled, Resource: "lambda:invoke"},
		{ID: 4, Previous: 3, Timestamp: began, Type: asl.TaskStarted, Resource: "lambda:invoke"},
		{ID: 5, Previous: 4, Timestamp: began, Type: asl.TaskFailedEvent, Resource: "lambda:invoke", Error: "Runtime.ExitError"},
		{ID: 6, Previous: 5, Timestamp: began, Type: asl.TaskStateExited, State: "Proxy-1"},
		{ID: 7, Previous: 6, Timestamp: began, Type: asl.PassStateEntered, State: "Lost-1"},
		{ID: 8, Previous: 7, Timestamp: began, Type: asl.PassStateExited, State: "Lost-1"},
		{ID: 9, Previous: 8, Timestamp: began, Type: asl.ChoiceStateEntered, State: "Check-1"},
		{ID: 10, Previous: 9, Timestamp: began, Type: asl.ChoiceStateExited, State: "Check-1"},
		{ID: 11, Previous: 10, Timestamp: began, Type: asl.PassStateEntered, State: "AllLost"},
		{ID: 12, Previous: 11, Timestamp: began, Type: asl.PassStateExited, State: "AllLost"},
		{ID: 13, Previous: 12, Timestamp: began, Type: asl.SucceedStateEntered, State: "Failed"},
		{ID: 14, Previous: 13, Timestamp: began, Type: asl.SucceedStateExited, State: "Failed"},
		{ID: 15, Previous: 14, Timestamp: began, Type: asl.ExecutionSucceeded},
	}
	if diff := cmp.Diff(want, got.History); diff != "" {
		t.Errorf("the history is not what was expected (-want +got):\n%s", diff)
	}
	s.refusesWith(http.StatusNotFound, http.MethodGet, "executions/three", "", nil)
}

func TestWhatWasSentAndAnsweredIsNotTold(t *testing.T) {
	s := open(t, console.Config{}, nil)
	s.run("one", input, limited, answered)
	s.run("two", input, refused)
	s.run("three", input, "Runtime.ExitError")
	for _, path := range []string{"executions", "executions/one", "executions/two", "executions/three", "records", "requests", "definition"} {
		if _, body := s.ask(http.MethodGet, path, "", nil); strings.Contains(body, "secret") {
			t.Errorf("%s tells it: %s", path, body)
		}
	}
}

func TestExecutionsAtTheSameTimeAreKeptApart(t *testing.T) {
	s := open(t, console.Config{}, nil)
	s.answers = []string{once}
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if _, err := s.service.StartExecution(machineARN, fmt.Sprint("run-", i), input); err != nil {
				t.Error(err)
			}
			s.ask(http.MethodGet, "executions", "", nil)
		})
	}
	all.Wait()
	eventually(t, "all executions have succeeded", func() bool {
		var got executions
		s.get("executions", &got)
		succeeded := 0
		for _, e := range got.Executions {
			if e.Status == asl.Succeeded && len(e.Attempts) == 1 && len(e.Visits) == 4 {
				succeeded++
			}
		}
		return succeeded == 20
	})
}

func TestTheDefinitionIsToldAsStatesAndTransitions(t *testing.T) {
	s := open(t, console.Config{Speed: 10}, nil)
	var got struct {
		StateMachines []console.StateMachine
		Speed         float64
	}
	s.get("definition", &got)
	if got.Speed != 10 {
		t.Errorf("the speed is %v", got.Speed)
	}
	lost := console.Transition{To: "Lost-1", When: "States.ALL", Catch: true}
	want := []console.StateMachine{{Name: "ring", Type: "EXPRESS", StartAt: "Proxy-1", States: []console.State{
		{Name: "Proxy-1", Type: "Task", Resource: "lambda:invoke", Transitions: []console.Transition{{To: "Check-1"}, lost}},
		{Name: "Lost-1", Type: "Pass", Transitions: []console.Transition{{To: "Check-1"}}},
		{Name: "Check-1", Type: "Choice", Transitions: []console.Transition{
			{To: "Record", When: `$.outcome StringEquals "succeeded" and $$.Execution.Input.record.id IsPresent true`},
			{To: "Succeeded", When: `$.outcome StringEquals "succeeded"`},
			{To: "Failed", When: `$.outcome StringEquals "failed"`},
			{To: "AllLost", When: `$.losses.count NumericGreaterThanPath "$.losses.allowed"`},
			{To: "Wait-1", When: `$.waitSeconds NumericGreaterThanEquals 1`},
			{To: "Proxy-1"},
		}},
		{Name: "Wait-1", Type: "Wait", Transitions: []console.Transition{{To: "Proxy-1"}}},
		{Name: "Record", Type: "Task", Comment: "The answer is kept", Resource: "dynamodb:updateItem",
			Transitions: []console.Transition{{To: "Succeeded"}, {To: "Succeeded", When: "States.ALL", Catch: true}}},
		{Name: "AllLost", Type: "Pass", Transitions: []console.Transition{{To: "Failed"}}},
		{Name: "Succeeded", Type: "Succeed", Transitions: []console.Transition{}},
		{Name: "Failed", Type: "Succeed", Transitions: []console.Transition{}},
	}}}
	if diff := cmp.Diff(want, got.StateMachines); diff != "" {
		t.Errorf("the state machines are not what was expected (-want +got):\n%s", diff)
	}
}

func TestAConsoleThatWatchesNothingYetShowsNothing(t *testing.T) {
	shown := console.New(console.Config{}).Middleware(http.NotFoundHandler())
	for path, want := range map[string]string{
		"definition": `{"speed":1,"stateMachines":[]}`, "executions": `{"executions":[]}`, "records": `{"records":[]}`, "requests": `{"requests":[]}`,
		"upstream": `{"url":"","calls":0}`,
	} {
		request := httptest.NewRequest(http.MethodGet, "http://localhost"+console.Path+path, nil)
		request.RemoteAddr = "127.0.0.1:50000"
		answer := httptest.NewRecorder()
		shown.ServeHTTP(answer, request)
		if got := answer.Body.String(); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

func TestBodiesThatAreInTheBucketAreSaidToBe(t *testing.T) {
	s := open(t, console.Config{}, nil)
	s.run("large", `{"version": 1, "outcome": "retry", "attempts": [], "losses": {"count": 0, "allowed": 0},
	  "call": {"request": {"method": "PUT", "path": "/pictures/7", "bodyObject": "requests/1f"}}}`,
		`{"outcome": "succeeded", "statusCode": 200, "bodyObject": "answers/2e", "attempts": []}`)
	var got console.Execution
	s.get("executions/large", &got)
	if got.RequestObject != "requests/1f" || got.AnswerObject != "answers/2e" {
		t.Errorf("they are said to be at %q and %q, want requests/1f and answers/2e", got.RequestObject, got.AnswerObject)
	}
	s.run("small", input, once)
	got = console.Execution{}
	if s.get("executions/small", &got); got.RequestObject != "" || got.AnswerObject != "" {
		t.Errorf("bodies that are in the states are said to be at %q and %q", got.RequestObject, got.AnswerObject)
	}
}
