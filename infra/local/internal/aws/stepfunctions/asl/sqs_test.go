package asl_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

func sendState(body string) string {
	return one(`{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl":"http://q/1/letters",` + body + `},
		"ResultSelector":{"id.$":"$.MessageId","status.$":"$.SdkHttpMetadata.HttpStatusCode"},"End":true}`)
}

func TestAMessageIsSentAndABodyThatIsNoStringIsSentAsJSON(t *testing.T) {
	for _, test := range []struct{ body, sent string }{
		{`"MessageBody":"<plain> text"`, `{"MessageBody":"<plain> text","QueueUrl":"http://q/1/letters"}`},
		{`"MessageBody.$":"$.n","DelaySeconds":5`, `{"DelaySeconds":5,"MessageBody":"7","QueueUrl":"http://q/1/letters"}`},
		{`"MessageBody":{"letter.$":"$","run.$":"$$.Execution.Name"}`, `{"MessageBody":"{\"letter\":{\"n\":7},\"run\":\"run-1\"}","QueueUrl":"http://q/1/letters"}`},
	} {
		var sent string
		r := run(t, sendState(test.body), `{"n":7}`, asl.Options{
			Execution: asl.ExecutionContext{Name: "run-1"},
			SQS: asl.SQSFunc(func(_ context.Context, input json.RawMessage) (json.RawMessage, error) {
				sent = string(input)
				return json.RawMessage(`{"MessageId":"m-1","MD5OfMessageBody":"x"}`), nil
			}),
		})
		wantSuccess(t, r, `{"id":"m-1","status":200}`)
		if string(encoded(t, value(t, sent))) != string(encoded(t, value(t, test.sent))) {
			t.Errorf("%s sends %s, want %s", test.body, sent, test.sent)
		}
	}
}

func encoded(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestStepFunctionsHasOneNameForAllErrorsOfSQS(t *testing.T) {
	for _, test := range []struct {
		err                error
		name, messageStart string
	}{
		{&asl.ServiceError{Code: "RequestThrottled", Message: "Rate exceeded", StatusCode: 403, RequestID: requestID}, "SQS.AmazonSQSException",
			"Rate exceeded (Service: AmazonSQS; Status Code: 403; Error Code: RequestThrottled; Request ID: " + requestID + "; Proxy: null)"},
		{errors.New("connection refused"), "SQS.SdkClientException", "Unable to execute HTTP request: connection refused"},
	} {
		r := run(t, sendState(`"MessageBody":"x"`), `{}`, asl.Options{
			SQS: asl.SQSFunc(func(context.Context, json.RawMessage) (json.RawMessage, error) { return nil, test.err }),
		})
		wantFailure(t, r, test.name, test.messageStart)
	}
}

func TestAQueueURLThatIsNoTextNeverReachesSQS(t *testing.T) {
	r := run(t, one(`{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl.$":"$.n","MessageBody":"x"},"End":true}`), `{"n":7}`, asl.Options{
		SQS: asl.SQSFunc(func(context.Context, json.RawMessage) (json.RawMessage, error) {
			t.Error("SQS was called")
			return nil, nil
		}),
	})
	if r.Status != asl.Failed || r.Error != asl.Runtime {
		t.Errorf("it ends with %s %s", r.Status, r.Error)
	}
}
