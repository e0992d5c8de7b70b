package handler

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// forwarding is what an environment with these two variables allows.
func forwarding(t testing.TB, methods, paths string) message.Forwarding {
	t.Helper()
	s, err := settingsFrom(variables(map[string]string{"UPSTREAM_ALLOWED_METHODS": methods, "UPSTREAM_ALLOWED_PATHS": paths}))
	if err != nil {
		t.Fatal(err)
	}
	return s.forwarding
}

func TestAMethodThatIsNotAllowedIsRefusedBeforeAnythingIsDone(t *testing.T) {
	for _, c := range []struct{ allowed, method, allow string }{
		{"GET,HEAD", "POST", "GET, HEAD"},
		{"GET,HEAD", "OPTIONS", "GET, HEAD"},
		{"GET", "get", "GET"},
		{"", "TRACE", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"},
		{"", "trace", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"},
	} {
		engine := ends(ok)
		b := newBench(t, engine)
		b.forwarding = forwarding(t, c.allowed, "")
		b.failing(t) // with a record it would be 503
		response := b.send(t, request(c.method, "/", "idempotency-key", "k"))
		d := wantProblem(t, response, http.StatusMethodNotAllowed, "method-not-allowed")
		if response.Headers["allow"] != c.allow || !strings.Contains(d.Detail, c.method) || len(engine.inputs) != 0 {
			t.Errorf("%s, where %q is allowed, is answered with %v and %q, and %d executions were started", c.method, c.allowed, response.Headers, d.Detail, len(engine.inputs))
		}
	}
}

func TestAPathThatIsNotAllowedIsRefusedBeforeAnythingIsDone(t *testing.T) {
	for _, path := range []string{"/", "/ordersX", "/Orders/5", "/v1/orders", "/%256Frders", "/orders%2F5", "/orders;v=1"} {
		engine := ends(ok)
		b := newBench(t, engine)
		b.forwarding = forwarding(t, "", "/orders /health")
		b.failing(t)
		response := b.send(t, request("POST", path, "idempotency-key", "k"))
		wantProblem(t, response, http.StatusForbidden, "path-not-allowed")
		if response.Headers["allow"] != "" || len(engine.inputs) != 0 {
			t.Errorf("%s is answered with %v, and %d executions were started", path, response.Headers, len(engine.inputs))
		}
	}
}

func TestWhatIsAllowedIsForwarded(t *testing.T) {
	for _, path := range []string{"/orders", "/orders/5", "/health", "/%6Frders/caf%C3%A9"} {
		engine := ends(ok)
		b := newBench(t, engine)
		b.forwarding = forwarding(t, "GET", "/orders /health")
		if response := b.send(t, request("GET", path)); response.StatusCode != 200 || engine.call(t).Request.Path != path {
			t.Errorf("%s is answered with %d, and goes upstream as %s", path, response.StatusCode, engine.call(t).Request.Path)
		}
	}
}

func TestTheSettingsSayWhatIsWrongWithWhatIsAllowed(t *testing.T) {
	_, err := settingsFrom(variables(map[string]string{"UPSTREAM_ALLOWED_METHODS": "get", "UPSTREAM_ALLOWED_PATHS": "orders"}))
	for _, want := range []string{"UPSTREAM_ALLOWED_METHODS", "UPSTREAM_ALLOWED_PATHS"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the message does not name %s: %v", want, err)
		}
	}
}

// Security 14.
func TestFieldsThatOnlyTheURLMaySetDoNotGoUpstream(t *testing.T) {
	engine := ends(ok)
	newBench(t, engine).send(t, request("GET", "/", "x-amzn-oidc-identity", "root", "X-Amzn-Anything", "a", "x_amzn_oidc_data", "a", "x-amz-target", "a", "x-kept", "b"))
	if diff := cmp.Diff(map[string]string{"x-kept": "b", "via": "1.1 " + newBench(t, engine).pseudonym}, engine.call(t).Request.Headers); diff != "" {
		t.Errorf("other fields go upstream (-want +got):\n%s", diff)
	}
}

// Security 14. An answer may have been recorded before the proxies took such fields out, or by another program.
func TestNoAnswerSpeaksForTheGateway(t *testing.T) {
	b, engine := newRecordingBench(t, message.Response{StatusCode: 201, Headers: map[string]string{
		"x-amzn-requestid": "forged", "x-amzn-errortype": "forged", "x-amzn-remapped-date": "forged", "idempotent-replayed": "true",
		"preference-applied": "wait=600, return=minimal", "proxy-status": "cdn; received-status=201, proxy-9; received-status=500", "x-kept": "a",
	}})
	for _, replayed := range []string{"", "true"} {
		response := b.send(t, keyed("k", "one", "prefer", "attempts=2"))
		applied := "return=minimal, attempts=2"
		want := map[string]string{
			"x-kept": "a", "preference-applied": applied, "proxy-status": "cdn;received-status=201, proxy-1; received-status=201",
			"via": "1.1 " + b.pseudonym, "content-type": "application/octet-stream",
		}
		if replayed != "" {
			want["idempotent-replayed"] = replayed
		}
		if diff := cmp.Diff(want, response.Headers); diff != "" {
			t.Errorf("replayed %q: other fields come back (-want +got):\n%s", replayed, diff)
		}
	}
	if len(engine.inputs) != 1 {
		t.Errorf("%d executions were started", len(engine.inputs))
	}
	given := &message.Envelope{Outcome: retry.Failed, Response: message.Response{StatusCode: 503, Headers: map[string]string{"x-amzn-requestid": "forged"}}}
	if response := newBench(t, ends(given)).send(t, request("GET", "/")); response.Headers["x-amzn-requestid"] != "" {
		t.Errorf("an answer that was given up on comes back with %v", response.Headers)
	}
}
