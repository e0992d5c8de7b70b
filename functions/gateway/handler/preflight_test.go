package handler

import (
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

func TestAPreflightGoesUpstreamWithoutAKeyAlthoughAllElseNeedsOne(t *testing.T) {
	b, engine := newRecordingBench(t, message.Response{StatusCode: 204, Headers: map[string]string{"access-control-allow-origin": "*"}})
	b.keyRequirement = idempotencyhttp.Always
	response := b.send(t, request("OPTIONS", "/orders", "origin", "https://shop.example", "access-control-request-method", "POST"))
	if response.StatusCode != 204 || response.Headers["access-control-allow-origin"] != "*" || len(engine.inputs) != 1 {
		t.Errorf("it is answered with %d %v after %d executions; want the upstream's 204 after one", response.StatusCode, response.Headers, len(engine.inputs))
	}
	wantProblem(t, b.send(t, request("OPTIONS", "/orders", "origin", "https://shop.example")), 400, idempotencyhttp.KeyMissing)
}
