package asl

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// A StepFunctions starts executions for the states:startExecution integration. StartExecution must return when ctx is done.
//
// The input is the body of a StartExecution request and the output that of its answer, in the JSON of the Step Functions API.
// An error of the service is returned as a [*ServiceError], with a Code such as ExecutionAlreadyExists; the state reports that as
// StepFunctions.ExecutionAlreadyExistsException, and likewise other errors that the API documents. Any other error is reported as
// StepFunctions.SdkClientException.
type StepFunctions interface {
	StartExecution(ctx context.Context, input json.RawMessage) (json.RawMessage, error)
}

// A StepFunctionsFunc is a function that serves as a [StepFunctions].
type StepFunctionsFunc func(ctx context.Context, input json.RawMessage) (json.RawMessage, error)

// StartExecution calls f.
func (f StepFunctionsFunc) StartExecution(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
	return f(ctx, input)
}

type statesStartExecution struct{}

// startExecutionErrors are the errors of StartExecution that Step Functions reports under their own names: those of its API.
var startExecutionErrors = map[string]bool{
	"ExecutionAlreadyExists": true, "ExecutionLimitExceeded": true, "InvalidArn": true, "InvalidExecutionInput": true,
	"InvalidName": true, "KmsAccessDeniedException": true, "KmsInvalidStateException": true, "KmsThrottlingException": true,
	"StateMachineDeleting": true, "StateMachineDoesNotExist": true, "ValidationException": true,
}

func (statesStartExecution) errorNames() serviceErrors {
	return serviceErrors{
		prefix: "StepFunctions", service: "AWSStepFunctions", known: startExecutionErrors, suffix: "Exception", other: "AWSStepFunctionsException",
	}
}

func (statesStartExecution) check(f *fields, parameters map[string]any) {
	checkNames(f, parameters, []string{"StateMachineArn"}, "Name", "Input")
}

// call starts an execution, and does not wait for it. An input that is not a string is handed over as JSON text; without one, it is
// an empty object.
func (statesStartExecution) call(ctx context.Context, e *execution, parameters map[string]any) (any, error) {
	request := map[string]any{"input": "{}"}
	for _, name := range []string{"StateMachineArn", "Name"} {
		value, given := parameters[name]
		if !given {
			continue
		}
		text, ok := value.(string)
		if !ok {
			return nil, invalidParameters(parameters, fmt.Sprintf("The value for the field '%s' must be a STRING", name))
		}
		request[map[string]string{"StateMachineArn": "stateMachineArn", "Name": "name"}[name]] = text
	}
	switch input := parameters["Input"].(type) {
	case nil:
	case string:
		request["input"] = input
	default:
		request["input"] = encode(input)
	}
	output, err := e.options.StepFunctions.StartExecution(ctx, json.RawMessage(encode(request)))
	if err != nil {
		return nil, err
	}
	var started struct {
		ExecutionArn string
		StartDate    float64
	}
	if err := json.Unmarshal(output, &started); err != nil {
		return nil, fmt.Errorf("the answer to StartExecution is not what the API has: %.100q", output)
	}
	at := time.UnixMilli(int64(started.StartDate*1000 + 0.5))
	result := map[string]any{"ExecutionArn": started.ExecutionArn, "StartDate": contextTime(at)}
	addMetadata(result, e.clock.Now(), UUID(e.options.Random), "application/x-amz-json-1.0", len(output), nil)
	return result, nil
}
