package stepfunctions_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// startsAnother is a state machine whose executions start another one of itself, unless they have been started so.
const startsAnother = `{"StartAt":"Ask","States":{
	"Ask":{"Type":"Choice","Choices":[{"Variable":"$$.Execution.Input.next","IsPresent":true,"Next":"Start"}],"Default":"End"},
	"Start":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution","ResultPath":null,
		"Parameters":{"StateMachineArn.$":"$$.StateMachine.Id","Name.$":"$$.Execution.Input.next.name","Input.$":"$$.Execution.Input.next.input"},
		"Retry":[{"ErrorEquals":["StepFunctions.ExecutionAlreadyExistsException"],"MaxAttempts":0},{"ErrorEquals":["States.ALL"],"IntervalSeconds":1}],
		"Catch":[{"ErrorEquals":["StepFunctions.ExecutionAlreadyExistsException"],"Next":"Already"}],"Next":"End"},
	"Already":{"Type":"Pass","OutputPath":"$.Error","Next":"End"},
	"End":{"Type":"Succeed"}}}`

const another = "arn:aws:states:us-east-1:123456789012:execution:standard:another"

func TestAnExecutionStartsAnotherOneOfItsOwnStateMachine(t *testing.T) {
	t.Parallel()
	s := newService(t, stepfunctions.Config{}, "", startsAnother)
	e, err := s.StartExecution(standardARN+":1", "one", `{"next":{"name":"another","input":{"a":"<&>"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	waitForEnd(t, s)
	if e, err = s.Execution(e.ARN); err != nil || e.Status != asl.Succeeded || e.Output != `{"next":{"input":{"a":"<&>"},"name":"another"}}` {
		t.Errorf("the execution is %+v, %v", e, err)
	}
	started, err := s.Execution(another)
	if err != nil || started.Status != asl.Succeeded || started.Input != `{"a":"<&>"}` || started.Name != "another" || started.VersionARN != "" {
		t.Errorf("the one that it has started is %+v, %v", started, err)
	}
}

func TestAnExecutionIsToldThatTheOtherOneWasStartedAlready(t *testing.T) {
	t.Parallel()
	s := newService(t, stepfunctions.Config{}, "", startsAnother)
	if _, err := s.StartExecution(standardARN, "another", `{}`); err != nil {
		t.Fatal(err)
	}
	waitForEnd(t, s)
	e, err := s.StartExecution(standardARN, "one", `{"next":{"name":"another","input":{}}}`)
	if err != nil {
		t.Fatal(err)
	}
	waitForEnd(t, s)
	if e, err = s.Execution(e.ARN); err != nil || e.Output != `"StepFunctions.ExecutionAlreadyExistsException"` {
		t.Errorf("the execution is %+v, %v", e, err)
	}
}

func TestTheReplyToAStartCanBeLost(t *testing.T) {
	t.Parallel()
	calls := 0
	s := newService(t, stepfunctions.Config{
		Clock: clock.NewVirtual(time.Unix(1e9, 0)),
		Starts: func(own asl.StepFunctions) asl.StepFunctions {
			return asl.StepFunctionsFunc(func(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
				output, err := own.StartExecution(ctx, input)
				if calls++; calls == 1 && err == nil {
					return nil, errors.New("the reply is lost")
				}
				return output, err
			})
		},
	}, "", startsAnother)
	e, err := s.StartExecution(standardARN, "one", `{"next":{"name":"another","input":{"a":1}}}`)
	if err != nil {
		t.Fatal(err)
	}
	waitForEnd(t, s)
	if e, err = s.Execution(e.ARN); err != nil || e.Output != `"StepFunctions.ExecutionAlreadyExistsException"` || calls != 2 {
		t.Errorf("after %d calls the execution is %+v, %v", calls, e, err)
	}
	if all, err := s.Executions("", ""); err != nil || len(all) != 2 {
		t.Errorf("there are %d executions, %v; want two", len(all), err)
	}
}

// As every execution of a Standard workflow: what was started is there when the process ends at once.
func TestAnExecutionThatAnotherOneHasStartedIsInTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file.db")
	definition := strings.Replace(startsAnother, `"Default":"End"`, `"Default":"Day"`, 1)
	definition = strings.Replace(definition, `"End":{`, `"Day":{"Type":"Wait","Seconds":86400,"Next":"End"},"End":{`, 1)
	first := openFile(t, path, stepfunctions.Config{}, "", definition)
	ended := make(chan struct{})
	first.Observe(func(e stepfunctions.Execution, _ asl.Event) {
		if e.Name == "one" && e.Status != asl.Running {
			close(ended)
		}
	})
	if _, err := first.StartExecution(standardARN, "one", `{"next":{"name":"another","input":{"a":1}}}`); err != nil {
		t.Fatal(err)
	}
	<-ended
	first.leave()

	second := openFile(t, path, stepfunctions.Config{}, "", definition)
	if e := second.execution(another); e.Status != asl.Running || e.Input != `{"a":1}` {
		t.Errorf("it is %+v", e)
	}
}
