package idempotencyhttp_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
)

func TestPreflightRequestsAreAnswered(t *testing.T) {
	cors := &idempotencyhttp.CORS{AllowOrigins: []string{"https://a.example", "https://b.example"}, AllowCredentials: true, MaxAge: time.Hour}
	f := setUp(t, idempotencyhttp.Options{Require: idempotencyhttp.Always, CORS: cors}, idempotency.Config{})
	preflight := func(origin string) idempotencyhttp.Response {
		return f.send(idempotencyhttp.Request{Method: "OPTIONS", Headers: map[string]string{"origin": origin, "access-control-request-method": "POST"}}, created)
	}
	want := idempotencyhttp.Response{StatusCode: 204, Headers: map[string]string{
		"access-control-allow-origin":      "https://b.example",
		"access-control-allow-methods":     "GET, HEAD, POST, PUT, PATCH, DELETE",
		"access-control-allow-headers":     "Content-Type, Idempotency-Key, If-None-Match",
		"access-control-allow-credentials": "true",
		"access-control-max-age":           "3600",
		"vary":                             "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
	}}
	if diff := cmp.Diff(want, preflight("https://b.example")); diff != "" {
		t.Errorf("preflight (-want +got):\n%s", diff)
	}
	if got := preflight("https://evil.example"); got.StatusCode != 204 || got.Headers["access-control-allow-origin"] != "" || got.Headers["access-control-allow-methods"] != "" {
		t.Errorf("of an origin that may not call: %+v", got)
	}
	if f.runs != 0 {
		t.Errorf("%d runs", f.runs)
	}

	got := f.send(post("k", "", "origin", "https://a.example"), idempotencyhttp.Response{StatusCode: 200, Headers: map[string]string{"vary": "Accept"}})
	if got.Headers["access-control-allow-origin"] != "https://a.example" || got.Headers["access-control-expose-headers"] != "ETag, Idempotent-Replayed, Retry-After" || got.Headers["vary"] != "Accept, Origin" {
		t.Errorf("response: %v", got.Headers)
	}
	if got := f.send(post("", "", "origin", "https://a.example"), created); got.StatusCode != 400 || got.Headers["access-control-allow-origin"] != "https://a.example" {
		t.Errorf("a problem that the browser must be able to read: %+v", got)
	}
	if got := f.send(post("k", "", "origin", "https://b.example"), created); got.Headers["access-control-allow-origin"] != "https://b.example" {
		t.Errorf("the replay to another origin: %v", got.Headers)
	}

	all := setUp(t, idempotencyhttp.Options{CORS: &idempotencyhttp.CORS{AllowOrigins: []string{"*"}, AllowMethods: []string{"POST"}, AllowHeaders: []string{"X-A"}, ExposeHeaders: []string{"X-B"}}}, idempotency.Config{})
	if got := all.send(post("", "", "origin", "https://x.example"), created); got.Headers["access-control-allow-origin"] != "*" || got.Headers["vary"] != "" || got.Headers["access-control-expose-headers"] != "X-B" {
		t.Errorf("all origins: %v", got.Headers)
	}
	options := idempotencyhttp.Request{Method: "OPTIONS", Headers: map[string]string{"origin": "https://x.example"}}
	if got := all.send(options, created); got.StatusCode != 201 {
		t.Errorf("an OPTIONS request that is no preflight is answered %d; want the handler's answer", got.StatusCode)
	}
}
