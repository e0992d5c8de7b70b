package asl_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// calledBackInput is that of a request without a key that has a callback.
const calledBackInput = `{"version":2,"outcome":"retry","waitSeconds":0,"attempts":[],"item":"i","call":{"deadline":1,"requestId":"r"},"losses":{"count":0,"allowed":1},
	"callback":{"name":"told","input":{"version":2,"item":"j","call":{"deadline":2,"requestId":"r"}}}}`

// What the construct writes: however the start of a callback goes, the execution ends as the request did, with the same output.
func TestAnExecutionThatTheConstructWritesEndsAsTheRequestDidHoweverItsCallbackIsStarted(t *testing.T) {
	already := &asl.ServiceError{Code: "ExecutionAlreadyExists", StatusCode: 400}
	throttled := &asl.ServiceError{Code: "ThrottlingException", StatusCode: 400}
	lost := errors.New("the reply is lost")
	for _, test := range []struct {
		name       string
		definition string
		starts     []error // of the first calls; the last one is that of all that follow
		letters    error
		way        []string // the states after Check-1
		calls      int
		sent       int // letters
	}{
		{"at once", "callback-definition-3-proxies.json", []error{nil}, nil, []string{"Callback-Succeeded", "Succeeded"}, 1, 0},
		{"after faults", "callback-definition-3-proxies.json", []error{throttled, lost, nil}, nil, []string{"Callback-Succeeded", "Succeeded"}, 3, 0},
		{"with its reply lost", "callback-definition-3-proxies.json", []error{lost, already}, nil, []string{"Callback-Succeeded", "Succeeded"}, 2, 0},
		{"never", "callback-definition-3-proxies.json", []error{throttled}, nil, []string{"Callback-Succeeded", "Untold-Succeeded", "Succeeded"}, 10, 0},
		{"never, with letters", "everything-async-definition.json", []error{throttled}, nil, []string{"Callback-Succeeded", "CallbackLetter-Succeeded", "Succeeded"}, 10, 1},
		{"never, and the letter neither", "everything-async-definition.json", []error{throttled}, lost, []string{"Callback-Succeeded", "CallbackLetter-Succeeded", "Untold-Succeeded", "Succeeded"}, 10, 13},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			virtual := clock.NewVirtual(start)
			calls, sent := 0, 0
			r := run(t, synthesisedDefinition(test.definition), calledBackInput, asl.Options{
				Clock: virtual, Random: func() float64 { return 0.99 },
				Execution:    asl.ExecutionContext{Name: "run-1", Standard: true},
				StateMachine: asl.StateMachineContext{ID: "arn:aws:states:us-east-1:123456789012:stateMachine:m"},
				Lambda:       newScript(virtual, map[string][]answer{proxyARN(1): {{payload: `{"version":2,"outcome":"succeeded","waitSeconds":0,"stored":"s"}`}}}),
				DynamoDB:     asl.DynamoDBFunc(func(context.Context, json.RawMessage) (json.RawMessage, error) { return json.RawMessage(`{}`), nil }),
				StepFunctions: asl.StepFunctionsFunc(func(_ context.Context, input json.RawMessage) (json.RawMessage, error) {
					var asked struct{ StateMachineArn, Name, Input string }
					if err := json.Unmarshal(input, &asked); err != nil {
						t.Error(err)
					}
					if asked.StateMachineArn != "arn:aws:states:us-east-1:123456789012:stateMachine:m" || asked.Name != "told" || !strings.Contains(asked.Input, `"item":"j"`) {
						t.Errorf("what is started is %s", input)
					}
					err := test.starts[min(calls, len(test.starts)-1)]
					calls++
					return json.RawMessage(`{"executionArn":"told","startDate":1795266000}`), err
				}),
				SQS: asl.SQSFunc(func(_ context.Context, input json.RawMessage) (json.RawMessage, error) {
					if sent++; !strings.Contains(string(input), `\"item\":\"j\"`) || !strings.Contains(string(input), `\"reason\":\"CallbackNotStarted\"`) {
						t.Errorf("the letter is %s", input)
					}
					return json.RawMessage(`{"MessageId":"m"}`), test.letters
				}),
			})
			if r.Status != asl.Succeeded || !strings.Contains(r.Output, `"stored":"s"`) {
				t.Errorf("it ends with %s %s %s, %s", r.Status, r.Error, r.Cause, r.Output)
			}
			var way []string
			for _, e := range r.Events {
				if e.StateEntered != nil {
					way = append(way, e.StateEntered.Name)
				}
			}
			if at := slices.Index(way, "Check-1"); !slices.Equal(way[at+1:], test.way) {
				t.Errorf("its way is %v, want %v after Check-1", way, test.way)
			}
			if calls != test.calls || sent != test.sent {
				t.Errorf("it was started %d times, want %d; %d letters were sent, want %d", calls, test.calls, sent, test.sent)
			}
			if took := r.Stopped.Sub(r.Started); took > 30*time.Minute {
				t.Errorf("it took %v", took)
			}
		})
	}
}
