package stepfunctions_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// digest is a name of the longest kind that is used: 64 hexadecimal digits.
const digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// starting starts an execution of the Standard workflow.
func starting(t *testing.T, client *sfn.Client, arn, name, input string) (*sfn.StartExecutionOutput, error) {
	t.Helper()
	return client.StartExecution(t.Context(), &sfn.StartExecutionInput{
		StateMachineArn: aws.String(arn), Name: aws.String(name), Input: aws.String(input),
	})
}

func exists(err error) bool {
	var already *types.ExecutionAlreadyExists
	return errors.As(err, &already)
}

func TestANameOfAStandardWorkflowIsTakenUntilNinetyDaysAfterTheEnd(t *testing.T) {
	t.Parallel()
	v := clock.NewVirtual(time.Unix(1e9, 0))
	defer v.Enter()()
	s := newService(t, stepfunctions.Config{Clock: v}, "", `{"StartAt":"Day","States":{"Day":{"Type":"Wait","Seconds":86400,"End":true}}}`)
	client := newClient(t, s)
	if _, err := starting(t, client, standardARN, digest, `{"a":1}`); err != nil {
		t.Fatal(err)
	}
	pass := func(d time.Duration) {
		t.Helper()
		if err := v.Wait(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	pass(23 * time.Hour)
	if again, err := starting(t, client, standardARN, digest, `{"a":1}`); err != nil || again.StartDate.Unix() != 1e9 {
		t.Errorf("while it runs: %+v %v", again, err)
	}
	pass(2 * time.Hour) // it has ended an hour ago
	for _, wait := range []time.Duration{0, 89 * 24 * time.Hour, 22 * time.Hour} {
		pass(wait)
		if _, err := starting(t, client, standardARN, digest, `{"a":1}`); !exists(err) {
			t.Errorf("at %v: %v, want ExecutionAlreadyExists", v.Now().UTC(), err)
		}
	}
	pass(time.Hour)
	again, err := starting(t, client, standardARN, digest, `{"a":1}`)
	if err != nil || again.StartDate.Unix() != 1e9+(24+90*24)*3600 {
		t.Errorf("ninety days after the end: %+v %v", again, err)
	}
}

func TestANameStaysTakenWhenTheExecutionIsDroppedForWantOfRoom(t *testing.T) {
	t.Parallel()
	s := newService(t, stepfunctions.Config{}, "", passOn)
	for i := range 1003 {
		if _, err := s.StartExecution(standardARN, fmt.Sprint(i), "{}"); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			waitForEnd(t, s) // so that it is the first to go
		}
	}
	waitForEnd(t, s)
	client := newClient(t, s)
	arn := strings.Replace(standardARN, ":stateMachine:", ":execution:", 1) + ":0"
	var unknown *types.ExecutionDoesNotExist
	if _, err := client.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: &arn}); !errors.As(err, &unknown) {
		t.Fatalf("the execution is not dropped: %v", err)
	}
	if _, err := starting(t, client, standardARN, "0", "{}"); !exists(err) {
		t.Errorf("got %v, want ExecutionAlreadyExists", err)
	}
}

func TestExpressExecutionsDropNoStandardOnes(t *testing.T) {
	t.Parallel()
	s := newService(t, stepfunctions.Config{}, passOn, passOn)
	e, err := s.StartExecution(standardARN, "one", `{"a":1}`)
	if err != nil {
		t.Fatal(err)
	}
	waitForEnd(t, s)
	for range 1005 {
		if _, err := s.StartSyncExecution(t.Context(), expressARN, "", "{}"); err != nil {
			t.Fatal(err)
		}
	}
	if e, err = s.Execution(e.ARN); err != nil || e.Output != `{"a":1}` {
		t.Errorf("got %+v %v", e, err)
	}
}

func TestAnExecutionThatIsStoppedIsAbortedAndItsFunctionGoesOn(t *testing.T) {
	t.Parallel()
	called, proceed, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	s := newService(t, stepfunctions.Config{Lambda: asl.LambdaFunc(func(ctx context.Context, _ string, _ []byte) (asl.Invocation, error) {
		close(called)
		go func() { // as a function of Lambda, which does not end with its caller
			defer close(ended)
			<-proceed
		}()
		select {
		case <-ended:
			return asl.Invocation{Payload: []byte(`"done"`)}, nil
		case <-ctx.Done():
			return asl.Invocation{}, ctx.Err()
		}
	})}, "", callFunction)
	client := newClient(t, s)
	started, err := starting(t, client, standardARN, digest, "{}")
	if err != nil {
		t.Fatal(err)
	}
	<-called
	stop := func(name, cause string) (*sfn.StopExecutionOutput, error) {
		return client.StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: started.ExecutionArn, Error: &name, Cause: &cause})
	}
	first, err := stop("Enough", "of this")
	if err != nil {
		t.Fatal(err)
	}
	close(proceed)
	<-ended
	second, err := stop("Other", "again")
	if err != nil || !second.StopDate.Equal(*first.StopDate) {
		t.Errorf("stopping it again gives %+v %v, want the moment when it was stopped, %v", second, err, first.StopDate)
	}
	described, err := client.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: started.ExecutionArn})
	if err != nil {
		t.Fatal(err)
	}
	if described.Status != types.ExecutionStatusAborted || aws.ToString(described.Error) != "Enough" || aws.ToString(described.Cause) != "of this" || described.Output != nil ||
		!aws.ToTime(described.StopDate).Equal(*first.StopDate) {
		t.Errorf("it is %+v", described)
	}
	history, err := client.GetExecutionHistory(t.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: started.ExecutionArn})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, event := range history.Events {
		got = append(got, string(event.Type))
	}
	if text := strings.Join(got, " "); text != "ExecutionStarted TaskStateEntered TaskScheduled TaskStarted ExecutionAborted" {
		t.Errorf("its history is %s", text)
	}
}

func TestWhatIsSaidOfAStopIsLimited(t *testing.T) {
	t.Parallel()
	s := newService(t, stepfunctions.Config{}, "", waitLong)
	e, err := s.StartExecution(standardARN, "one", "{}")
	if err != nil {
		t.Fatal(err)
	}
	for _, said := range [][2]string{{strings.Repeat("e", 257), ""}, {"", strings.Repeat("c", 32769)}} {
		if _, err := s.StopExecution(e.ARN, said[0], said[1]); code(err) != stepfunctions.ValidationException {
			t.Errorf("with an error of %d characters and a cause of %d: %v", len(said[0]), len(said[1]), err)
		}
	}
	longest, cause := strings.Repeat("é", 256), strings.Repeat("c", 32768)
	if e, err = s.StopExecution(e.ARN, longest, cause); err != nil || e.Status != asl.Aborted || e.Error != longest || e.Cause != cause {
		t.Errorf("with the longest it is %s %s: %v", e.Status, e.Error, err)
	}
}

func TestStoppingAnExecutionThatSucceededTellsWhenItEnded(t *testing.T) {
	t.Parallel()
	s := newService(t, stepfunctions.Config{}, "", passOn)
	client := newClient(t, s)
	started, err := starting(t, client, standardARN, "one", "{}")
	if err != nil {
		t.Fatal(err)
	}
	waitForEnd(t, s)
	stopped, err := client.StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: started.ExecutionArn})
	if err != nil {
		t.Fatal(err)
	}
	described, err := client.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: started.ExecutionArn})
	if err != nil || described.Status != types.ExecutionStatusSucceeded || !aws.ToTime(described.StopDate).Equal(*stopped.StopDate) {
		t.Errorf("it was stopped at %v, and is %+v %v", stopped.StopDate, described, err)
	}
}

// The gateway starts the version that it was deployed with. The execution is named as if it had started the state machine.
func TestAnExecutionIsAssociatedWithTheVersionThatItWasStartedBy(t *testing.T) {
	t.Parallel()
	s := newService(t, stepfunctions.Config{}, "", failAtOnce)
	client := newClient(t, s)
	version := standardARN + ":1"
	byVersion, err := starting(t, client, version, digest, "{}")
	if err != nil {
		t.Fatal(err)
	}
	if want := "arn:aws:states:us-east-1:123456789012:execution:standard:" + digest; *byVersion.ExecutionArn != want {
		t.Errorf("the execution is %s, want %s", *byVersion.ExecutionArn, want)
	}
	byMachine, err := starting(t, client, standardARN, "two", "{}")
	if err != nil {
		t.Fatal(err)
	}
	waitForEnd(t, s)
	// A name is taken whatever it was started by.
	if _, err := starting(t, client, standardARN, digest, "{}"); !exists(err) {
		t.Errorf("got %v, want ExecutionAlreadyExists", err)
	}
	for arn, want := range map[string]string{*byVersion.ExecutionArn: version, *byMachine.ExecutionArn: ""} {
		described, err := client.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: &arn})
		if err != nil || *described.StateMachineArn != standardARN || aws.ToString(described.StateMachineVersionArn) != want {
			t.Errorf("%s is %+v %v, want the version %q", arn, described, err, want)
		}
		history, err := client.GetExecutionHistory(t.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: &arn, MaxResults: 1})
		if err != nil || aws.ToString(history.Events[0].ExecutionStartedEventDetails.StateMachineVersionArn) != want {
			t.Errorf("%s started with %+v %v, want the version %q", arn, history, err, want)
		}
	}
	for arn, want := range map[string]int{standardARN: 2, version: 1} {
		for status, n := range map[types.ExecutionStatus]int{"": want, types.ExecutionStatusFailed: want, types.ExecutionStatusRunning: 0, types.ExecutionStatusAborted: 0} {
			listed, err := client.ListExecutions(t.Context(), &sfn.ListExecutionsInput{StateMachineArn: &arn, StatusFilter: status})
			if err != nil || len(listed.Executions) != n {
				t.Errorf("%s has %d executions that are %q, want %d: %v", arn, len(listed.Executions), status, n, err)
			}
		}
	}
	var missing *types.StateMachineDoesNotExist
	if _, err := starting(t, client, standardARN+":2", "three", "{}"); !errors.As(err, &missing) {
		t.Errorf("by a version that is not there: %v", err)
	}
}
