package idempotencyhttp_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
)

func TestAProgramSendsProblemsInItsOwnForm(t *testing.T) {
	own := func(r idempotencyhttp.Request, p idempotencyhttp.Problem) idempotencyhttp.Response {
		body, _ := json.Marshal(map[string]string{"error": p.Name(), "path": r.Path})
		return idempotencyhttp.Response{Headers: map[string]string{"Access-Control-Allow-Origin": "*"}, Body: string(body)}
	}
	f := setUp(t, idempotencyhttp.Options{Require: idempotencyhttp.Always, Problem: own, Cache: idempotencyhttp.Cache{ETag: true}}, idempotency.Config{})
	want := func(status int, name string, more ...string) idempotencyhttp.Response {
		headers := map[string]string{"access-control-allow-origin": "*", "content-type": "application/json", "cache-control": "no-store"}
		for i := 0; i < len(more); i += 2 {
			headers[more[i]] = more[i+1]
		}
		return idempotencyhttp.Response{StatusCode: status, Headers: headers, Body: `{"error":"` + name + `","path":"/orders"}`}
	}
	check := func(what string, want, got idempotencyhttp.Response) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	check("no key", want(400, "idempotency-key-missing"), f.send(post("", "{}"), created))
	check("half a key", want(400, "idempotency-key-malformed"), f.send(post(`"k`, "{}"), created))
	f.store.insert = errors.New("outage")
	check("an outage", want(503, "idempotency-store-unavailable", "retry-after", "1"), f.send(post("k", "{}"), created))
	f.store.insert = nil
	tag := f.send(post("k", "{}"), created).Headers["etag"]
	check("another body", want(422, "idempotency-key-reused"), f.send(post("k", "[]"), created))
	check("a condition", want(412, "idempotency-condition-failed", "etag", tag, "idempotent-replayed", "true"),
		f.send(post("k", "{}", "if-none-match", tag), created))
}

func TestAFormOfTheProgramsOwnMaySayAllButMustBeAResponse(t *testing.T) {
	answer := idempotencyhttp.Response{
		StatusCode: 402, Headers: map[string]string{"Content-Type": "text/plain", "Cache-Control": "max-age=5", "retry-after": "9"}, Body: "busy",
	}
	f := setUp(t, idempotencyhttp.Options{Problem: func(idempotencyhttp.Request, idempotencyhttp.Problem) idempotencyhttp.Response { return answer }}, idempotency.Config{})
	f.store.insert = errors.New("outage")
	want := idempotencyhttp.Response{
		StatusCode: 402, Headers: map[string]string{"content-type": "text/plain", "cache-control": "max-age=5", "retry-after": "9"}, Body: "busy",
	}
	if diff := cmp.Diff(want, f.send(post("k", ""), created)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	answer.Headers = map[string]string{"x-bad": "a\nb"}
	wantProblem(t, f.send(post("k", ""), created), 503, idempotencyhttp.StoreUnavailable, "1")
	answer = idempotencyhttp.Response{StatusCode: 42}
	wantProblem(t, f.send(post("k", ""), created), 503, idempotencyhttp.StoreUnavailable, "1")
}

func TestAProblemOfAnotherTypeHasNoName(t *testing.T) {
	if name := (idempotencyhttp.Problem{Type: "about:blank"}).Name(); name != "" {
		t.Errorf("its name is %q", name)
	}
	if name := idempotencyhttp.MissingKey().Name(); name != idempotencyhttp.KeyMissing {
		t.Errorf("the problem of a missing key is named %q", name)
	}
}
