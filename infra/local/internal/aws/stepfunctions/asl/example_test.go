package asl_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// A backoff of hours runs in no time on a virtual clock, and every moment of it can be looked at.
func ExampleMachine_Run() {
	machine, err := asl.Parse([]byte(`{
		"StartAt": "Call",
		"States": {
			"Call": {
				"Type": "Task",
				"Resource": "arn:aws:states:::lambda:invoke",
				"Parameters": {"FunctionName": "orders", "Payload.$": "$"},
				"OutputPath": "$.Payload",
				"Retry": [{"ErrorEquals": ["Lambda.TooManyRequestsException"], "IntervalSeconds": 3600, "BackoffRate": 3}],
				"End": true
			}
		}
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	calls := 0
	orders := asl.LambdaFunc(func(_ context.Context, functionName string, payload []byte) (asl.Invocation, error) {
		if calls++; calls < 3 {
			return asl.Invocation{}, &asl.ServiceError{Code: "TooManyRequestsException", Message: "Rate Exceeded.", StatusCode: 429}
		}
		return asl.Invocation{Payload: []byte(`{"order": 17}`)}, nil
	})
	start := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	result, err := machine.Run(context.Background(), []byte(`{}`), asl.Options{Lambda: orders, Clock: clock.NewVirtual(start)})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, event := range result.Events {
		if event.Type == asl.TaskStarted {
			fmt.Println("called at", event.Timestamp.Format(time.TimeOnly))
		}
	}
	fmt.Println(result.Status, result.Output)
	// Output:
	// called at 08:00:00
	// called at 09:00:00
	// called at 12:00:00
	// SUCCEEDED {"order":17}
}

// Everything that the interpreter does not know is refused, with all problems at once.
func ExampleParse() {
	_, err := asl.Parse([]byte(`{
		"StartAt": "First",
		"States": {
			"First": {"Type": "Wait", "Seconds": 5, "JitterStrategy": "FULL", "Next": "Second"},
			"Second": {"Type": "Map", "End": true}
		}
	}`))
	var refused *asl.DefinitionError
	if errors.As(err, &refused) {
		for _, problem := range refused.Problems {
			fmt.Println(problem)
		}
	}
	// Output:
	// state "First": JitterStrategy: there is no such field here
	// state "Second": Type: Map states are not supported
}
