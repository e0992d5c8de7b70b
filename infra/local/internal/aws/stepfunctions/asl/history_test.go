package asl_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

func TestTheHistoryTellsWhatHappenedInTheWordsOfTheService(t *testing.T) {
	definition := states("Call",
		`"Call":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","TimeoutSeconds":9,"Parameters":{"FunctionName":"f","Payload.$":"$.in"},
			"ResultSelector":{"answer.$":"$.Payload"},"Retry":[{"ErrorEquals":["Lambda.TooManyRequestsException"],"IntervalSeconds":2}],"Next":"Ask"}`,
		`"Ask":{"Type":"Choice","OutputPath":"$.answer","Choices":[{"Variable":"$.answer.wait","NumericGreaterThan":0,"Next":"Rest"}],"Default":"Lost"}`,
		`"Rest":{"Type":"Wait","SecondsPath":"$.wait","Next":"Lost"}`,
		`"Lost":{"Type":"Fail","Error":"Gone","CausePath":"States.JsonToString($)"}`)
	var told []asl.Event
	r, _ := runTask(t, definition, `{ "in": 1 }`, asl.Options{
		Execution: asl.ExecutionContext{RoleARN: "arn:aws:iam::123456789012:role/r"}, OnEvent: func(e asl.Event) { told = append(told, e) },
	}, functions(throttled, answer{payload: `{"wait": 3}`}))

	result := r.Events[7].TaskSucceeded.Output // has ids and dates in it that other tests look at
	text, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	want := `[
	{"id":1,"previousEventId":0,"timestamp":"2026-11-21T12:00:00Z","type":"ExecutionStarted",
	 "executionStartedEventDetails":{"input":"{ \"in\": 1 }","inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::123456789012:role/r"}},
	{"id":2,"previousEventId":0,"timestamp":"2026-11-21T12:00:00Z","type":"TaskStateEntered",
	 "stateEnteredEventDetails":{"name":"Call","input":"{\"in\":1}","inputDetails":{"truncated":false}}},
	{"id":3,"previousEventId":2,"timestamp":"2026-11-21T12:00:00Z","type":"TaskScheduled",
	 "taskScheduledEventDetails":{"resourceType":"lambda","resource":"invoke","region":"us-east-1","parameters":"{\"FunctionName\":\"f\",\"Payload\":1}","timeoutInSeconds":9}},
	{"id":4,"previousEventId":3,"timestamp":"2026-11-21T12:00:00Z","type":"TaskStarted",
	 "taskStartedEventDetails":{"resourceType":"lambda","resource":"invoke"}},
	{"id":5,"previousEventId":4,"timestamp":"2026-11-21T12:00:00Z","type":"TaskFailed",
	 "taskFailedEventDetails":{"resourceType":"lambda","resource":"invoke","error":"Lambda.TooManyRequestsException",
	  "cause":"Rate Exceeded. (Service: AWSLambda; Status Code: 429; Error Code: TooManyRequestsException; Request ID: ` + requestID + `; Proxy: null)"}},
	{"id":6,"previousEventId":5,"timestamp":"2026-11-21T12:00:02Z","type":"TaskScheduled",
	 "taskScheduledEventDetails":{"resourceType":"lambda","resource":"invoke","region":"us-east-1","parameters":"{\"FunctionName\":\"f\",\"Payload\":1}","timeoutInSeconds":9}},
	{"id":7,"previousEventId":6,"timestamp":"2026-11-21T12:00:02Z","type":"TaskStarted",
	 "taskStartedEventDetails":{"resourceType":"lambda","resource":"invoke"}},
	{"id":8,"previousEventId":7,"timestamp":"2026-11-21T12:00:02Z","type":"TaskSucceeded",
	 "taskSucceededEventDetails":{"resourceType":"lambda","resource":"invoke","output":` + string(text) + `,"outputDetails":{"truncated":false}}},
	{"id":9,"previousEventId":8,"timestamp":"2026-11-21T12:00:02Z","type":"TaskStateExited",
	 "stateExitedEventDetails":{"name":"Call","output":"{\"answer\":{\"wait\":3}}","outputDetails":{"truncated":false}}},
	{"id":10,"previousEventId":9,"timestamp":"2026-11-21T12:00:02Z","type":"ChoiceStateEntered",
	 "stateEnteredEventDetails":{"name":"Ask","input":"{\"answer\":{\"wait\":3}}","inputDetails":{"truncated":false}}},
	{"id":11,"previousEventId":10,"timestamp":"2026-11-21T12:00:02Z","type":"ChoiceStateExited",
	 "stateExitedEventDetails":{"name":"Ask","output":"{\"wait\":3}","outputDetails":{"truncated":false}}},
	{"id":12,"previousEventId":11,"timestamp":"2026-11-21T12:00:02Z","type":"WaitStateEntered",
	 "stateEnteredEventDetails":{"name":"Rest","input":"{\"wait\":3}","inputDetails":{"truncated":false}}},
	{"id":13,"previousEventId":12,"timestamp":"2026-11-21T12:00:05Z","type":"WaitStateExited",
	 "stateExitedEventDetails":{"name":"Rest","output":"{\"wait\":3}","outputDetails":{"truncated":false}}},
	{"id":14,"previousEventId":13,"timestamp":"2026-11-21T12:00:05Z","type":"FailStateEntered",
	 "stateEnteredEventDetails":{"name":"Lost","input":"{\"wait\":3}","inputDetails":{"truncated":false}}},
	{"id":15,"previousEventId":14,"timestamp":"2026-11-21T12:00:05Z","type":"ExecutionFailed",
	 "executionFailedEventDetails":{"error":"Gone","cause":"{\"wait\":3}"}}]`
	got, err := json.Marshal(r.Events)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(value(t, want), value(t, string(got))); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(r.Events, told); diff != "" {
		t.Errorf("OnEvent was told something else:\n%s", diff)
	}
}

func TestACaughtErrorLeavesTheStateWithItsOutput(t *testing.T) {
	definition := states("T", `"T":`+taskState(`"Catch":[{"ErrorEquals":["States.ALL"],"Next":"Caught"}],"Next":"Caught"`), `"Caught":{"Type":"Succeed"}`)
	r, _ := runTask(t, definition, `{}`, asl.Options{}, functions(crashed))
	wantEvents(t, r, asl.ExecutionStarted, asl.TaskStateEntered, asl.TaskScheduled, asl.TaskStarted, asl.TaskFailedEvent, asl.TaskStateExited,
		asl.SucceedStateEntered, asl.SucceedStateExited, asl.ExecutionSucceeded)
	if got := r.Events[5].StateExited.Output; got != r.Events[6].StateEntered.Input || got != r.Output {
		t.Errorf("the state was left with %s", got)
	}
	if r.Events[5].State() != "T" || r.Events[6].State() != "Caught" || r.Events[4].State() != "" {
		t.Error("events do not tell their states")
	}
}
