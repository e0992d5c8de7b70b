package asl_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

// starts is a Task that starts an execution.
func starts(parameters, fields string) string {
	return one(`{"Type":"Task","Resource":"arn:aws:states:::states:startExecution","Parameters":{"StateMachineArn.$":"$$.StateMachine.Id"` +
		parameters + `},` + fields + `}`)
}

func TestAnExecutionIsStartedWithWhatTheParametersSay(t *testing.T) {
	for _, test := range []struct{ parameters, sent string }{
		{``, `{"stateMachineArn":"m","input":"{}"}`},
		{`,"Name":"run-2","Input.$":"$.in"`, `{"stateMachineArn":"m","name":"run-2","input":"{\"a\":[\"<&>\"]}"}`},
		{`,"Name.$":"$$.Execution.Name","Input":"{ }"`, `{"stateMachineArn":"m","name":"run-1","input":"{ }"}`},
		{`,"Input":{"state.$":"$$.State.Name"}`, `{"stateMachineArn":"m","input":"{\"state\":\"One\"}"}`},
	} {
		var sent string
		r := run(t, starts(test.parameters,
			`"ResultSelector":{"arn.$":"$.ExecutionArn","at.$":"$.StartDate","status.$":"$.SdkHttpMetadata.HttpStatusCode"},"End":true`), `{"in":{"a":["<&>"]}}`, asl.Options{
			Execution: asl.ExecutionContext{Name: "run-1"}, StateMachine: asl.StateMachineContext{ID: "m"},
			StepFunctions: asl.StepFunctionsFunc(func(_ context.Context, input json.RawMessage) (json.RawMessage, error) {
				sent = string(input)
				return json.RawMessage(`{"executionArn":"m:run-2","startDate":1795266000.123}`), nil
			}),
		})
		wantSuccess(t, r, `{"arn":"m:run-2","at":"2026-11-21T13:00:00.123Z","status":200}`)
		if string(encoded(t, value(t, sent))) != string(encoded(t, value(t, test.sent))) {
			t.Errorf("%s sends %s, want %s", test.parameters, sent, test.sent)
		}
	}
}

func TestErrorsOfAStartHaveTheNamesOfTheAPIWithExceptionBehindThem(t *testing.T) {
	refused := func(code string) error {
		return &asl.ServiceError{Code: code, Message: "No", StatusCode: 400, RequestID: requestID}
	}
	cause := func(code string) string {
		return "No (Service: AWSStepFunctions; Status Code: 400; Error Code: " + code + "; Request ID: " + requestID + "; Proxy: null)"
	}
	for _, test := range []struct {
		err         error
		name, cause string
	}{
		{refused("ExecutionAlreadyExists"), "StepFunctions.ExecutionAlreadyExistsException", cause("ExecutionAlreadyExists")},
		{refused("ValidationException"), "StepFunctions.ValidationException", cause("ValidationException")},
		{refused("ThrottlingException"), "StepFunctions.AWSStepFunctionsException", cause("ThrottlingException")},
		{errors.New("connection refused"), "StepFunctions.SdkClientException", "Unable to execute HTTP request: connection refused"},
	} {
		r := run(t, starts(``, `"End":true`), `{}`, asl.Options{
			StepFunctions: asl.StepFunctionsFunc(func(context.Context, json.RawMessage) (json.RawMessage, error) { return nil, test.err }),
		})
		wantFailure(t, r, test.name, test.cause)
	}
}

func TestANameThatIsNoTextNeverReachesStepFunctions(t *testing.T) {
	for _, parameters := range []string{`,"Name.$":"$.n"`, `,"Name":null`} {
		r := run(t, starts(parameters, `"End":true`), `{"n":7}`, asl.Options{
			StepFunctions: asl.StepFunctionsFunc(func(context.Context, json.RawMessage) (json.RawMessage, error) {
				t.Error("Step Functions was called")
				return nil, nil
			}),
		})
		if r.Status != asl.Failed || r.Error != asl.Runtime {
			t.Errorf("%s: it ends with %s %s", parameters, r.Status, r.Error)
		}
	}
}

func TestWhatWasStartedAlreadyCanBeToldFromAFaultByItsName(t *testing.T) {
	const tried = `"Retry":[{"ErrorEquals":["StepFunctions.ExecutionAlreadyExistsException"],"MaxAttempts":0},{"ErrorEquals":["States.ALL"],"IntervalSeconds":1}],
		"Catch":[{"ErrorEquals":["StepFunctions.ExecutionAlreadyExistsException"],"ResultPath":"$.already","Next":"Already"}],"ResultPath":null,"End":true`
	definition := states("Start",
		`"Start":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution","Parameters":{"StateMachineArn":"m","Input.$":"$"},`+tried+`}`,
		`"Already":{"Type":"Succeed","OutputPath":"$.already.Error"}`)
	for _, test := range []struct {
		code   string // of the error of the second call; empty for none
		output string
	}{{"", `{"a":1}`}, {"ExecutionAlreadyExists", `"StepFunctions.ExecutionAlreadyExistsException"`}} {
		calls := 0
		r := run(t, definition, `{"a":1}`, asl.Options{
			StepFunctions: asl.StepFunctionsFunc(func(context.Context, json.RawMessage) (json.RawMessage, error) {
				switch calls++; {
				case calls == 1:
					return nil, errors.New("the reply is lost")
				case test.code != "":
					return nil, &asl.ServiceError{Code: test.code, StatusCode: 400}
				}
				return json.RawMessage(`{"executionArn":"m:1","startDate":1795266000}`), nil
			}),
		})
		wantSuccess(t, r, test.output)
		if calls != 2 {
			t.Errorf("it was called %d times, want twice", calls)
		}
	}
}
