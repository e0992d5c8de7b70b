package idempotencyhttp_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
)

// preflight is what a browser asks before a page of another origin may send a POST with a key.
func preflight() idempotencyhttp.Request {
	return idempotencyhttp.Request{Method: "OPTIONS", Path: "/orders", Headers: map[string]string{
		"origin": "https://shop.example", "access-control-request-method": "POST", "access-control-request-headers": "idempotency-key",
	}}
}

func TestAPreflightNeverNeedsAKey(t *testing.T) {
	for _, require := range []idempotencyhttp.Requirement{idempotencyhttp.Never, idempotencyhttp.UnsafeMethods, idempotencyhttp.Always} {
		f := setUp(t, idempotencyhttp.Options{Require: require}, idempotency.Config{})
		allowed := idempotencyhttp.Response{StatusCode: 204, Headers: map[string]string{"access-control-allow-origin": "*"}}
		if diff := cmp.Diff(allowed, f.send(preflight(), allowed)); diff != "" || f.runs != 1 {
			t.Errorf("requirement %d: the handler ran %d times (-want +got):\n%s", require, f.runs, diff)
		}
	}
}

func TestOnlyOPTIONSWithAnOriginAndTheMethodAskedForIsAPreflight(t *testing.T) {
	without := func(field string) idempotencyhttp.Request {
		r := preflight()
		delete(r.Headers, field)
		return r
	}
	post := preflight()
	post.Method = "POST"
	for name, r := range map[string]idempotencyhttp.Request{
		"without an origin":            without("origin"),
		"without the method asked for": without("access-control-request-method"),
		"with another method":          post,
		"without fields":               {Method: "OPTIONS"},
	} {
		if r.Preflight() || !idempotencyhttp.Always.Requires(r) {
			t.Errorf("%s: preflight %v, and a key is needed: %v; want false and true", name, r.Preflight(), idempotencyhttp.Always.Requires(r))
		}
	}
	if r := without("access-control-request-headers"); !r.Preflight() || idempotencyhttp.Always.Requires(r) {
		t.Error("a preflight for a request without fields of its own is taken for none")
	}
}
