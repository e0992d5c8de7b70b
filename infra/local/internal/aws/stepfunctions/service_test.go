package stepfunctions_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

const callFunction = `{"StartAt":"Call","States":{"Call":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke",
	"Parameters":{"FunctionName":"f","Payload.$":"$"},"OutputPath":"$.Payload","End":true}}}`

func code(err error) string {
	var e *stepfunctions.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return fmt.Sprint(err)
}

func TestAStateMachineThatCannotRunHereIsRefused(t *testing.T) {
	s := stepfunctions.New(stepfunctions.Config{})
	defer s.Close()
	good := stepfunctions.StateMachine{Name: "standard", ARN: standardARN, Type: stepfunctions.Standard, Definition: passOn}
	tests := []struct {
		want   string
		change func(m *stepfunctions.StateMachine)
	}{
		{stepfunctions.InvalidArn, func(m *stepfunctions.StateMachine) { m.ARN = "standard" }},
		{stepfunctions.InvalidName, func(m *stepfunctions.StateMachine) { m.Name = "other" }},
		{stepfunctions.InvalidName, func(m *stepfunctions.StateMachine) { m.Name = "" }},
		{stepfunctions.StateMachineTypeNotSupported, func(m *stepfunctions.StateMachine) { m.Type = "FAST" }},
		{stepfunctions.InvalidDefinition, func(m *stepfunctions.StateMachine) {
			m.Definition = strings.Replace(passOn, `"Pass","End"`, `"Map","End"`, 1)
		}},
	}
	for _, test := range tests {
		m := good
		test.change(&m)
		if err := s.CreateStateMachine(m); code(err) != test.want {
			t.Errorf("%+v: got %v, want %s", m, err, test.want)
		}
	}
	if err := s.CreateStateMachine(good); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateStateMachine(good); code(err) != stepfunctions.StateMachineAlreadyExists {
		t.Errorf("a second time: got %v", err)
	}
	m := good
	m.Definition = `{"StartAt":"A","States":{"A":{"Type":"Map"}}}`
	m.Name, m.ARN = "other", strings.Replace(m.ARN, "standard", "other", 1)
	var refused *asl.DefinitionError
	if err := s.CreateStateMachine(m); !errors.As(err, &refused) || refused.Problems[0].State != "A" {
		t.Errorf("the problems of the definition are not told: %v", err)
	}
}

func TestAnExecutionThatCannotBeStartedIsRefused(t *testing.T) {
	s := newService(t, stepfunctions.Config{}, passOn, passOn)
	tests := []struct{ arn, name, input, want string }{
		{strings.Replace(standardARN, "standard", "nobody", 1), "", "", stepfunctions.StateMachineDoesNotExist},
		{"standard", "", "", stepfunctions.InvalidArn},
		{standardARN, "with space", "", stepfunctions.InvalidName},
		{standardARN, "with/slash", "", stepfunctions.InvalidName},
		{standardARN, strings.Repeat("x", 81), "", stepfunctions.InvalidName},
		{standardARN, "", "{", stepfunctions.InvalidExecutionInput},
		{standardARN, "", `"` + strings.Repeat("x", asl.MaxPayload) + `"`, stepfunctions.ValidationException},
	}
	for _, test := range tests {
		if _, err := s.StartExecution(test.arn, test.name, test.input); code(err) != test.want {
			t.Errorf("%s %s %.20s: got %v, want %s", test.arn, test.name, test.input, err, test.want)
		}
	}
	if all, err := s.Executions("", ""); err != nil || len(all) != 0 {
		t.Errorf("there are executions: %v %v", all, err)
	}
}

func TestExpressExecutionsOfOneNameAreDifferentExecutions(t *testing.T) {
	s := newService(t, stepfunctions.Config{}, passOn, "")
	first, err := s.StartExecution(expressARN, "one", "")
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.StartExecution(expressARN, "one", "")
	if err != nil {
		t.Fatal(err)
	}
	if first.ARN == second.ARN || !strings.HasPrefix(first.ARN, "arn:aws:states:us-east-1:123456789012:express:express:one:") {
		t.Errorf("got %s and %s", first.ARN, second.ARN)
	}
}

func TestAnExecutionOutlivesTheCallerThatWaitsForIt(t *testing.T) {
	invoked, proceed := make(chan struct{}), make(chan struct{})
	s := newService(t, stepfunctions.Config{Lambda: asl.LambdaFunc(func(context.Context, string, []byte) (asl.Invocation, error) {
		close(invoked)
		<-proceed
		return asl.Invocation{Payload: []byte(`"done"`)}, nil
	})}, callFunction, "")
	ended := make(chan asl.Status, 1)
	defer s.Observe(func(e stepfunctions.Execution, event asl.Event) {
		if e.Status != asl.Running {
			ended <- e.Status
		}
	})()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-invoked
		cancel()
	}()
	if _, err := s.StartSyncExecution(ctx, expressARN, "one", "{}"); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	close(proceed)
	if status := <-ended; status != asl.Succeeded {
		t.Errorf("the execution ended with %s", status)
	}
}

func TestObserversAreToldEveryEventInOrder(t *testing.T) {
	s := newService(t, stepfunctions.Config{}, failAtOnce, passOn)
	var mu sync.Mutex
	seen := map[string][]string{}
	stop := s.Observe(func(e stepfunctions.Execution, event asl.Event) {
		mu.Lock()
		defer mu.Unlock()
		seen[e.Name] = append(seen[e.Name], fmt.Sprintf("%d %s %s %s", event.ID, event.Type, e.Status, e.Error+e.Output))
	})
	run := func(arn, name string) {
		t.Helper()
		if _, err := s.StartExecution(arn, name, "{}"); err != nil {
			t.Fatal(err)
		}
		waitForEnd(t, s)
	}
	run(expressARN, "fails")
	run(standardARN, "passes")
	stop()
	run(standardARN, "unseen")
	want := map[string][]string{
		"fails":  {"1 ExecutionStarted RUNNING ", "2 FailStateEntered RUNNING ", "3 ExecutionFailed FAILED Broken"},
		"passes": {"1 ExecutionStarted RUNNING ", "2 PassStateEntered RUNNING ", "3 PassStateExited RUNNING ", "4 ExecutionSucceeded SUCCEEDED {}"},
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// waitForEnd waits until no execution is running.
func waitForEnd(t *testing.T, s *stepfunctions.Service) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		running, err := s.Executions("", asl.Running)
		if err != nil {
			t.Fatal(err)
		}
		if len(running) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still running: %+v", running)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestTheEnginesOwnLimitsOfTimeHold(t *testing.T) {
	const forever = `{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":99999999,"End":true}}}`
	for arn, want := range map[string]time.Duration{expressARN: stepfunctions.MaxExpressDuration, standardARN: stepfunctions.MaxStandardDuration} {
		s := newService(t, stepfunctions.Config{Clock: clock.NewVirtual(time.Unix(1e9, 0))}, forever, forever)
		e, err := s.StartExecution(arn, "one", "{}")
		if err != nil {
			t.Fatal(err)
		}
		waitForEnd(t, s)
		if e, err = s.Execution(e.ARN); err != nil {
			t.Fatal(err)
		}
		if e.Status != asl.TimedOut || e.Stopped.Sub(e.Started) != want {
			t.Errorf("%s: %s after %v, not %v", arn, e.Status, e.Stopped.Sub(e.Started), want)
		}
	}
}

func TestManyExecutionsShareAVirtualClock(t *testing.T) {
	const waits = `{"StartAt":"W","States":{"W":{"Type":"Wait","SecondsPath":"$.s","End":true}}}`
	s := newService(t, stepfunctions.Config{Clock: clock.NewVirtual(time.Unix(1e9, 0))}, "", waits)
	for i := range 50 {
		if _, err := s.StartExecution(standardARN, "", fmt.Sprintf(`{"s":%d}`, 1000*i)); err != nil {
			t.Fatal(err)
		}
	}
	waitForEnd(t, s)
	all, err := s.Executions(standardARN, asl.Succeeded)
	if err != nil || len(all) != 50 {
		t.Fatalf("%d succeeded: %v", len(all), err)
	}
	for _, e := range all {
		if took := e.Stopped.Sub(e.Started); fmt.Sprintf(`{"s":%d}`, int(took.Seconds())) != e.Output {
			t.Errorf("%s took %v", e.Output, took)
		}
	}
}

func TestFinishedExecutionsAreKeptUpToANumber(t *testing.T) {
	s := newService(t, stepfunctions.Config{}, passOn, waitLong)
	running, err := s.StartExecution(standardARN, "running", "{}")
	if err != nil {
		t.Fatal(err)
	}
	var first string
	for i := range stepfunctions.MaxFinished + 5 {
		e, err := s.StartSyncExecution(context.Background(), expressARN, "", "{}")
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = e.ARN
		}
	}
	all, err := s.Executions("", "")
	if err != nil || len(all) != stepfunctions.MaxFinished+1 {
		t.Errorf("%d are kept: %v", len(all), err)
	}
	if _, err := s.Execution(first); code(err) != stepfunctions.ExecutionDoesNotExist {
		t.Errorf("the oldest: %v", err)
	}
	if _, err := s.History(first); code(err) != stepfunctions.ExecutionDoesNotExist {
		t.Errorf("the oldest's history: %v", err)
	}
	if e, err := s.Execution(running.ARN); err != nil || e.Status != asl.Running {
		t.Errorf("the one that runs: %+v %v", e, err)
	}
}

func TestFinishedExecutionsAreKeptUpToASize(t *testing.T) {
	const n = 20 // states that hand on their input
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"%d":{"Type":"Wait","Seconds":0,"Next":"%d"}`, i, i+1))
	}
	all = append(all, fmt.Sprintf(`"%d":{"Type":"Succeed"}`, n))
	s := newService(t, stepfunctions.Config{}, `{"StartAt":"0","States":{`+strings.Join(all, ",")+`}}`, "")
	input := `"` + strings.Repeat("x", asl.MaxPayload-2) + `"`
	const each = (2*(n+1) + 2) * asl.MaxPayload // the entry and exit of each state, the input and the output
	const fit = stepfunctions.MaxFinishedBytes / each
	for range fit + 5 {
		if _, err := s.StartSyncExecution(context.Background(), expressARN, "", input); err != nil {
			t.Fatal(err)
		}
	}
	if kept, err := s.Executions("", ""); err != nil || len(kept) != fit {
		t.Errorf("%d are kept, not %d: %v", len(kept), fit, err)
	}
}

func TestClosingAbortsWhatRuns(t *testing.T) {
	s := newService(t, stepfunctions.Config{}, "", waitLong)
	e, err := s.StartExecution(standardARN, "one", "{}")
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if e, err = s.Execution(e.ARN); err != nil || e.Status != asl.Aborted || e.Stopped.IsZero() {
		t.Errorf("got %+v %v", e, err)
	}
	if _, err := s.StartExecution(standardARN, "two", "{}"); code(err) != stepfunctions.ServiceUnavailable {
		t.Errorf("after Close: %v", err)
	}
}

func TestStoppingAnExecutionThatHasEndedChangesNothing(t *testing.T) {
	s := newService(t, stepfunctions.Config{}, "", passOn)
	e, err := s.StartExecution(standardARN, "one", "{}")
	if err != nil {
		t.Fatal(err)
	}
	waitForEnd(t, s)
	if e, err = s.StopExecution(e.ARN, "Late", ""); err != nil || e.Status != asl.Succeeded || e.Error != "" {
		t.Errorf("got %+v %v", e, err)
	}
	if _, err = s.StopExecution(e.ARN+"x", "", ""); code(err) != stepfunctions.ExecutionDoesNotExist {
		t.Errorf("got %v", err)
	}
}

func TestATaskWithoutItsServiceFailsAndSaysWhy(t *testing.T) {
	s := newService(t, stepfunctions.Config{}, callFunction, "")
	e, err := s.StartSyncExecution(context.Background(), expressARN, "", "{}")
	if err != nil {
		t.Fatal(err)
	}
	if e.Status != asl.Failed || !strings.Contains(e.Cause, `"Call" invokes a function`) {
		t.Errorf("got %+v", e)
	}
}

func TestTheContextObjectNamesTheExecutionAndItsMachine(t *testing.T) {
	const tell = `{"StartAt":"Tell","States":{"Tell":{"Type":"Pass","Parameters":{"e.$":"$$.Execution","m.$":"$$.StateMachine"},"End":true}}}`
	s := stepfunctions.New(stepfunctions.Config{Clock: clock.NewVirtual(time.Unix(1e9, 0))})
	defer s.Close()
	if err := s.CreateStateMachine(stepfunctions.StateMachine{
		Name: "standard", ARN: standardARN, Type: stepfunctions.Standard, Definition: tell, RoleARN: "arn:aws:iam::123456789012:role/r",
	}); err != nil {
		t.Fatal(err)
	}
	e, err := s.StartExecution(standardARN, "one", `{"a":1}`)
	if err != nil {
		t.Fatal(err)
	}
	waitForEnd(t, s)
	if e, err = s.Execution(e.ARN); err != nil {
		t.Fatal(err)
	}
	want := `{"e":{"Id":"` + e.ARN + `","Input":{"a":1},"Name":"one","RedriveCount":0,"RoleArn":"arn:aws:iam::123456789012:role/r","StartTime":"2001-09-09T01:46:40.000Z"},` +
		`"m":{"Id":"` + standardARN + `","Name":"standard"}}`
	if e.Output != want {
		t.Errorf("got %s\nwant %s", e.Output, want)
	}
}
