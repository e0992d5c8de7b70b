package asl_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// runTask runs a definition against scripted functions and returns what was invoked.
func runTask(t *testing.T, definition, input string, options asl.Options, answers map[string][]answer) (*asl.Result, []invocation) {
	t.Helper()
	c := clock.NewVirtual(start)
	s := newScript(c, answers)
	options.Clock, options.Lambda, options.DynamoDB = c, s, asl.DynamoDBFunc(s.updateItem)
	return run(t, definition, input, options), s.calls
}

func TestTheResultOfAnInvocationHasTheFormOfTheService(t *testing.T) {
	r, _ := runTask(t, one(`{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"End":true}`), `{}`,
		asl.Options{Random: func() float64 { return 0 }}, functions(answer{payload: `{"a": 1}`}))
	headers := func(wrap func(string) string) string {
		return `{"Connection":` + wrap("keep-alive") + `,"Content-Length":` + wrap("8") + `,"Content-Type":` + wrap("application/json") +
			`,"Date":` + wrap("Sat, 21 Nov 2026 12:00:00 GMT") + `,"X-Amz-Executed-Version":` + wrap("$LATEST") +
			`,"X-Amzn-Trace-Id":` + wrap("root=1-6b0187c0-000000000000400080000000;parent=8000000000000000;sampled=0") +
			`,"x-amzn-Remapped-Content-Length":` + wrap("0") + `,"x-amzn-RequestId":` + wrap(requestID) + `}`
	}
	quoted := func(s string) string { return `"` + s + `"` }
	wantSuccess(t, r, `{"ExecutedVersion":"$LATEST","Payload":{"a":1},"StatusCode":200,"SdkResponseMetadata":{"RequestId":"`+requestID+`"},
		"SdkHttpMetadata":{"AllHttpHeaders":`+headers(func(s string) string { return "[" + quoted(s) + "]" })+`,"HttpHeaders":`+headers(quoted)+`,"HttpStatusCode":200}}`)
}

func TestAFunctionIsSentThePayloadAsJSON(t *testing.T) {
	tests := []struct{ parameters, want string }{
		{`{"FunctionName":"f"}`, `{}`},
		{`{"FunctionName":"f","Payload":null}`, `{}`},
		{`{"FunctionName":"f","Payload":{"b":1,"a":[2]}}`, `{"a":[2],"b":1}`},
		{`{"FunctionName":"f","Payload.$":"$"}`, `{"in":"<é>"}`},
		{`{"FunctionName.$":"States.Format('f')","Payload.$":"$.in"}`, `"<é>"`},
		{`{"FunctionName":"f","Payload":"{\"a\": 1}"}`, `{"a": 1}`},
		{`{"FunctionName":"f","Payload":5}`, `5`},
	}
	for _, test := range tests {
		_, calls := runTask(t, one(`{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":`+test.parameters+`,"End":true}`),
			`{"in":"<é>"}`, asl.Options{}, functions(answer{payload: `1`}))
		want := []invocation{{"f", test.want, start}}
		if diff := cmp.Diff(want, calls, cmp.AllowUnexported(invocation{})); diff != "" {
			t.Errorf("%s: invocations (-want +got):\n%s", test.parameters, diff)
		}
	}
}

func TestErrorsOfATaskHaveTheNamesOfTheService(t *testing.T) {
	refused := func(code string, status int) answer {
		return answer{refusal: &asl.ServiceError{Code: code, Message: "No.", StatusCode: status, RequestID: requestID}}
	}
	details := func(service, status, code string) string {
		return "No. (Service: " + service + "; Status Code: " + status + "; Error Code: " + code + "; Request ID: " + requestID + "; Proxy: null)"
	}
	tests := []struct {
		name         string
		definition   string
		answer       answer
		error, cause string
	}{
		{"an error of the handler's", task(``), answer{crash: true, payload: `{"errorMessage":"no", "errorType":"errorString"}`}, "errorString", `{"errorMessage":"no","errorType":"errorString"}`},
		{"a crash", task(``), crashed, "Runtime.ExitError", crashed.payload},
		{"a timeout of the function", task(``), hung, "Sandbox.Timedout", hung.payload},
		{"an error without a type", task(``), answer{crash: true, payload: `{"errorMessage":"no"}`}, "Lambda.Unknown",
			`The cause could not be determined because Lambda did not return an error type. Returned payload: {"errorMessage":"no"}`},
		{"an error that is no JSON", task(``), answer{crash: true, payload: `oops`}, "Lambda.Unknown",
			`The cause could not be determined because Lambda did not return an error type. Returned payload: oops`},
		{"throttling", task(``), refused("TooManyRequestsException", 429), "Lambda.TooManyRequestsException", details("AWSLambda", "429", "TooManyRequestsException")},
		{"a fault of Lambda's", task(``), refused("ServiceException", 500), "Lambda.ServiceException", details("AWSLambda", "500", "ServiceException")},
		{"an error of Lambda's without a name of its own", task(``), refused("NovelException", 400), "Lambda.AWSLambdaException", details("AWSLambda", "400", "NovelException")},
		{"a condition that does not hold", one(update(`"End":true`)), refused("ConditionalCheckFailedException", 400), "DynamoDB.ConditionalCheckFailedException", details("AmazonDynamoDBv2", "400", "ConditionalCheckFailedException")},
		{"a table that is not there", one(update(`"End":true`)), refused("ResourceNotFoundException", 400), "DynamoDB.ResourceNotFoundException", details("AmazonDynamoDBv2", "400", "ResourceNotFoundException")},
		{"an update that is not valid", one(update(`"End":true`)), refused("ValidationException", 400), "DynamoDB.AmazonDynamoDBException", details("AmazonDynamoDBv2", "400", "ValidationException")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, _ := runTask(t, test.definition, `{"id":"k","owner":"me"}`, asl.Options{}, map[string][]answer{"f": {test.answer}, "updateItem": {test.answer}})
			wantFailure(t, r, test.error, test.cause)
			wantEvents(t, r, asl.ExecutionStarted, asl.TaskStateEntered, asl.TaskScheduled, asl.TaskStarted, asl.TaskFailedEvent, asl.ExecutionFailed)
		})
	}
}

func TestAServiceThatCannotBeReachedIsAnSdkClientException(t *testing.T) {
	broken := errors.New("connection refused")
	options := asl.Options{
		Lambda:   asl.LambdaFunc(func(context.Context, string, []byte) (asl.Invocation, error) { return asl.Invocation{}, broken }),
		DynamoDB: asl.DynamoDBFunc(func(context.Context, json.RawMessage) (json.RawMessage, error) { return nil, broken }),
	}
	wantFailure(t, run(t, task(``), `{}`, options), "Lambda.SdkClientException", "Unable to execute HTTP request: connection refused")
	wantFailure(t, run(t, one(update(`"End":true`)), `{"id":"k","owner":"me"}`, options), "DynamoDB.SdkClientException", "Unable to execute HTTP request: connection refused")
}

func TestAnUpdateIsSentAsItsParametersSay(t *testing.T) {
	r, calls := runTask(t, one(update(`"ResultSelector":{"a.$":"$.Attributes","s.$":"$.SdkHttpMetadata.HttpStatusCode"},"End":true`)),
		`{"id":"k","owner":"me"}`, asl.Options{}, map[string][]answer{"updateItem": {{payload: `{"Attributes":{"id":{"S":"k"}}}`}}})
	wantSuccess(t, r, `{"a":{"id":{"S":"k"}},"s":200}`)
	want := `{"TableName":"t","Key":{"id":{"S":"k"}},"UpdateExpression":"SET #s = :done","ConditionExpression":"#o = :me",
		"ExpressionAttributeNames":{"#s":"status","#o":"owner"},"ExpressionAttributeValues":{":done":{"S":"COMPLETED"},":me":{"S":"me"}}}`
	if len(calls) != 1 {
		t.Fatalf("%d calls", len(calls))
	}
	if diff := cmp.Diff(value(t, want), value(t, calls[0].payload)); diff != "" {
		t.Errorf("input (-want +got):\n%s", diff)
	}
}

// DynamoDB wants numbers in strings. Step Functions refuses others itself, which only shows when it runs.
func TestAnUpdateWithValuesOfTheWrongTypeNeverReachesDynamoDB(t *testing.T) {
	tests := []struct{ value, problem string }{
		{`{"N.$":"$.n"}`, "The value for the field 'N' must be a STRING"},
		{`{"S.$":"$.n"}`, "The value for the field 'S' must be a STRING"},
		{`{"BOOL":"true"}`, "The value for the field 'BOOL' must be a BOOLEAN"},
		{`{"L":[{"N":5}]}`, "The value for the field 'N' must be a STRING"},
		{`{"M":{"a":{"N":5}}}`, "The value for the field 'N' must be a STRING"},
		{`{"NS":[5]}`, "The values of the field 'NS' must be STRINGS"},
		{`{"X":"y"}`, "The field 'X' is not supported by Step Functions"},
		{`"k"`, "The value for the field ':v' must be an object"},
	}
	for _, test := range tests {
		definition := one(`{"Type":"Task","Resource":"arn:aws:states:::dynamodb:updateItem","End":true,
			"Catch":[{"ErrorEquals":["States.ALL"],"Next":"One"}],
			"Parameters":{"TableName":"t","Key":{"id":{"S":"k"}},"ExpressionAttributeValues":{":v":` + test.value + `}}}`)
		r, calls := runTask(t, definition, `{"n":5}`, asl.Options{}, nil)
		if r.Status != asl.Failed || r.Error != asl.Runtime {
			t.Errorf("%s: got %s %s", test.value, r.Status, r.Error)
		}
		want := "could not be used to start the Task: [" + test.problem + "]"
		if len(r.Cause) < len(want) || r.Cause[len(r.Cause)-len(want):] != want {
			t.Errorf("%s: got the cause %s", test.value, r.Cause)
		}
		if len(calls) != 0 {
			t.Errorf("%s: DynamoDB was called", test.value)
		}
	}
}

func TestACatchPutsTheErrorWhereResultPathSays(t *testing.T) {
	const fault = `{"Error":"Runtime.ExitError","Cause":"{\"errorMessage\":\"RequestId: 1 Error: Runtime exited with error: exit status 1\",\"errorType\":\"Runtime.ExitError\"}"}`
	tests := []struct{ name, resultPath, input, want string }{
		{"by default everywhere", ``, `{"a":1}`, fault},
		{"at the root", `"ResultPath":"$",`, `{"a":1}`, fault},
		{"nowhere", `"ResultPath":null,`, `{"a":1}`, `{"a":1}`},
		{"in a member that is there", `"ResultPath":"$.answer.fault",`, `{"answer":{"x":1},"b":2}`, `{"answer":{"x":1,"fault":` + fault + `},"b":2}`},
		{"in members that are made", `"ResultPath":"$.answer.fault",`, `{"b":2}`, `{"answer":{"fault":` + fault + `},"b":2}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			definition := states("T",
				`"T":`+taskState(`"OutputPath":"$.not.for.errors","Catch":[{"ErrorEquals":["States.ALL"],`+test.resultPath+`"Next":"Caught"}],"Next":"Caught"`),
				`"Caught":{"Type":"Succeed"}`)
			r, _ := runTask(t, definition, test.input, asl.Options{}, functions(crashed))
			wantSuccess(t, r, test.want)
		})
	}
}

func TestACatchWhoseResultPathDoesNotFitFails(t *testing.T) {
	definition := states("T", `"T":`+taskState(`"Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.a.b","Next":"Caught"}],"Next":"Caught"`), `"Caught":{"Type":"Succeed"}`)
	r, _ := runTask(t, definition, `{"a":1}`, asl.Options{}, functions(crashed))
	wantFailure(t, r, asl.ResultPathMatchFailure, `Unable to apply ReferencePath $.a.b to input {"a":1}`)
}

func TestErrorEqualsMatchesAsTheLanguageSays(t *testing.T) {
	large := answer{payload: `"` + strings.Repeat("x", asl.MaxPayload) + `"`}
	slow := answer{payload: `1`, takes: time.Hour}
	tests := []struct {
		errorEquals string
		answer      answer
		caught      bool
	}{
		{asl.All, crashed, true},
		{asl.All, slow, true},
		{asl.All, large, false},
		{asl.TaskFailed, crashed, true},
		{asl.TaskFailed, throttled, true},
		{asl.TaskFailed, slow, false},
		{asl.TaskFailed, large, false},
		{asl.Timeout, slow, true},
		{asl.Timeout, crashed, false},
		{asl.DataLimitExceeded, large, true},
		{"Runtime.ExitError", crashed, true},
		{"Runtime", crashed, false},
	}
	for _, test := range tests {
		definition := states("T",
			`"T":`+taskState(`"TimeoutSeconds":60,"Catch":[{"ErrorEquals":["`+test.errorEquals+`"],"ResultPath":null,"Next":"Caught"}],"Next":"Missed"`),
			`"Caught":{"Type":"Pass","Result":"caught","End":true}`, `"Missed":{"Type":"Succeed"}`)
		r, _ := runTask(t, definition, `{}`, asl.Options{}, functions(test.answer))
		if got := r.Output == `"caught"`; got != test.caught {
			t.Errorf("%s and an answer that is %.40q and takes %v: caught is %v; the execution %s with %s",
				test.errorEquals, test.answer.payload, test.answer.takes, got, r.Status, r.Error)
		}
	}
}

func TestARuntimeErrorIsNeitherRetriedNorCaught(t *testing.T) {
	for _, errorEquals := range []string{asl.All, asl.Runtime, asl.TaskFailed} {
		definition := one(taskState(`"OutputPath":"$.no.such.path",
			"Retry":[{"ErrorEquals":["` + errorEquals + `"]}],"Catch":[{"ErrorEquals":["` + errorEquals + `"],"Next":"One"}],"End":true`))
		r, calls := runTask(t, definition, `{}`, asl.Options{}, functions(answer{payload: `{}`}))
		wantFailure(t, r, asl.Runtime, "An error occurred while executing the state 'One' (entered at the event id #2). "+
			"Invalid path '$.no.such.path' : Missing property in path $['no']")
		wantEvents(t, r, asl.ExecutionStarted, asl.TaskStateEntered, asl.TaskScheduled, asl.TaskStarted, asl.TaskSucceeded, asl.ExecutionFailed)
		if len(calls) != 1 {
			t.Errorf("%s: %d calls", errorEquals, len(calls))
		}
	}
}
