package handler

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// canBeCarried checks that a function URL can make an HTTP response of what a function returned: of what it cannot, it makes
// an error without a body, or a response that says something else.
func canBeCarried(t *testing.T, response events.LambdaFunctionURLResponse) {
	t.Helper()
	text, err := json.Marshal(response)
	if err != nil || len(text) > 6<<20 {
		t.Fatalf("it has %d bytes as JSON: %v", len(text), err)
	}
	var carried idempotencyhttp.Response
	if err := json.Unmarshal(text, &carried); err != nil {
		t.Fatal(err)
	}
	if err := carried.Validate(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if carried.Body != response.Body {
		t.Fatalf("the body %q is carried as %q", response.Body, carried.Body)
	}
	for name, value := range response.Headers {
		if name != strings.ToLower(name) || carried.Headers[name] != value {
			t.Fatalf("the field %q: %q is carried as %q", name, value, carried.Headers[name])
		}
	}
	for i, cookie := range response.Cookies {
		if carried.Cookies[i] != cookie {
			t.Fatalf("the cookie %q is carried as %q", cookie, carried.Cookies[i])
		}
	}
	if strings.HasPrefix(response.Headers["content-type"], "application/problem+json") && response.Headers["via"] == "" {
		problemIn(t, response)
	}
}

// everything is a gateway that has all there is, in front of an upstream that answers with what it was sent.
func everything(t *testing.T) *bench {
	t.Helper()
	engine := new(fakeEngine)
	b := newBench(t, engine)
	engine.end = func(in *message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
		answer := message.Response{StatusCode: 200, Headers: map[string]string{
			"location": "https://api.example.com" + in.Call.Request.Path, "access-control-allow-origin": "*",
		}}
		answer.Body, answer.IsBase64Encoded = in.Call.Request.Body, in.Call.Request.IsBase64Encoded
		for _, name := range []string{"content-type", "via", "proxy-status", "etag", "vary", "link"} {
			if value, sent := in.Call.Request.Headers[name]; sent {
				answer.Headers[name] = value
			}
		}
		out := message.Answer(in.Call.RequestID, retry.Succeeded, "", answer, []retry.Attempt{{Proxy: "proxy-1", Status: 200}})
		if in.Record != nil {
			out.Expiration = b.clock.Now().Add(recordTTL).Unix()
			b.complete(t, in.Record, out)
		}
		return endedWith(out), nil
	}
	b.keyFields, b.callerFields, b.callerClaims = []string{"x-key"}, []string{"x-tenant", "claim:sub"}, true
	b.cache, b.serverCacheHit, b.crossOrigin = cacheHeaders, true, true
	b.links = linksTo(t, "https://api.example.com")
	return b
}

func FuzzAnyEventIsAnsweredWithAResponseThatTheURLCanCarry(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `{"rawPath":"/","requestContext":{"http":{"method":"GET"}}}`,
		`{"version":"2.0","rawPath":"/orders","rawQueryString":"a=1&X-Amz-Signature=0","cookies":["a=1","b=2"],"headers":{"idempotency-key":"\"k\"",` +
			`"content-type":"application/json","prefer":"wait=20, attempts=2, return=minimal","via":"1.1 cdn","host":"x.on.aws","x-forwarded-proto":"https",` +
			`"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","authorization":"Bearer e30.eyJzdWIiOiJhIn0.","x-tenant":"t"},` +
			`"requestContext":{"accountId":"123456789012","authentication":null,"authorizer":{"iam":{"accessKey":"A","userArn":"arn:aws:iam::123456789012:user/a","userId":"B"}},` +
			`"domainName":"x.on.aws","http":{"method":"POST","path":"/orders","protocol":"HTTP/1.1","sourceIp":"192.0.2.1"},"requestId":"r","timeEpoch":1},"body":"{\"a\":1}","isBase64Encoded":false}`,
		`{"rawPath":"/","headers":{"X-Key":"k","If-None-Match":"*","Accept":"application/json"},"requestContext":{"http":{"method":"GET","protocol":"HTTP/2"}},"body":"AAE=","isBase64Encoded":true}`,
		`{"rawPath":"/","headers":{"traceparent":"00-\u007f\r\nX-Injected: 1"},"requestContext":{"http":{"method":"GET"}}}`,
		`{"rawPath":"/","headers":{"max-forwards":"0"},"requestContext":{"http":{"method":"OPTIONS"}}}`,
		`{"rawPath":"/../\u0000","headers":{"a b":"\r\n"},"cookies":["\ud800"],"requestContext":{"http":{"method":"CONNECT"}},"body":"%","isBase64Encoded":true}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		var event events.LambdaFunctionURLRequest
		if json.Unmarshal(document, &event) != nil {
			return // Lambda's runtime says so
		}
		b := everything(t)
		canBeCarried(t, b.send(t, event))
		canBeCarried(t, b.send(t, event)) // with a key, what was recorded
	})
}

func FuzzAnythingInARecordIsReplayedOrUnavailable(f *testing.F) {
	for _, seed := range []string{
		`{"version":1,"outcome":"succeeded","statusCode":201,"headers":{"content-type":"application/json","ETag":"\"v1\"","link":"<https://api.example.com/a>; rel=next"},` +
			`"cookies":["a=1"],"body":"{\"a\":1}","attempts":[{"proxy":"proxy-1","status":201}],"expiration":4100000000,"protocol":"2.0"}`,
		`{"statusCode":200,"body":"AAE=","isBase64Encoded":true}`, `{"statusCode":204,"headers":null}`, `{"statusCode":999}`, `{"$error":"x"}`, `{"$gzip":"%"}`,
		`{"statusCode":200,"headers":{"x-a":"1\r\nX-Injected: 2"}}`, `{"statusCode":200,"attempts":[{"proxy":"proxy-1","details":"\u0000\"","error":"x"}]}`, ``, `null`, `[]`,
	} {
		f.Add([]byte(seed), "")
		f.Add([]byte(packed(seed)), `"v1", W/"v2", *`)
	}
	f.Fuzz(func(t *testing.T, data []byte, condition string) {
		b := everything(t)
		engine := b.engine.(*fakeEngine)
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			event := request(method, "/orders", "x-key", "k", "if-none-match", condition, "host", "x.on.aws")
			started := len(engine.inputs)
			b.send(t, event)
			if len(engine.inputs) == started {
				return // the condition cannot be a field
			}
			r := engine.started(t).Record
			if err := b.store.Complete(t.Context(), idempotency.Record{
				ID: r.ID, Owner: r.Owner, Status: idempotency.Completed, Data: data, Expiration: noon.Add(recordTTL),
			}); err != nil {
				t.Fatal(err)
			}
			response := b.send(t, event)
			canBeCarried(t, response)
			if response.Headers["idempotent-replayed"] != "true" {
				wantProblem(t, response, http.StatusConflict, idempotencyhttp.ResultUnavailable)
			}
			if len(engine.inputs) != started+1 {
				t.Fatal("the request was carried out twice")
			}
		}
	})
}
