package handler

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/smithy-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// An error with a name and a 5xx may come while the execution runs, from what stands before the service, too.
func TestAServerErrorOfTheEngineLeavesOpenWhetherTheUpstreamWasCalled(t *testing.T) {
	for _, status := range []string{"500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout", "507 Insufficient Storage"} {
		t.Run(status, func(t *testing.T) {
			b := newBench(t, clientOf(t, service(t, faulty(status, "ServiceTimeout"))))
			d := wantProblem(t, b.send(t, keyed("k", "one")), 502, "engine-failed")
			if strings.Contains(d.Detail, "was not called") {
				t.Errorf("the problem says %q", d.Detail)
			}
			wantProblem(t, b.send(t, keyed("k", "one", "prefer", "wait=1")), 409, idempotencyhttp.KeyInUse)
		})
	}
}

func TestARefusalThatQuotesTheInputIsLoggedByItsCode(t *testing.T) {
	for _, code := range []string{"ValidationException", "InvalidExecutionInput"} {
		b := newBench(t, &fakeEngine{end: func(*message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
			return nil, &smithy.GenericAPIError{Code: code, Message: "1 validation error detected: Value 'secret' at 'input'"}
		}})
		wantProblem(t, b.send(t, request("POST", "/")), 503, "engine-unavailable")
		if logs := b.logs.String(); strings.Contains(logs, "secret") || !strings.Contains(logs, code) {
			t.Errorf("of a %s the log says\n%s", code, logs)
		}
	}
}
