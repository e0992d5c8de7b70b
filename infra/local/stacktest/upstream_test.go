package stacktest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/stacktest"
)

func TestAnUpstreamThatFailsInEveryWayIsToldSo(t *testing.T) {
	t.Parallel()
	// The timeout is real time, and everything but the attempt that hangs has to be done within it.
	bench := stacktest.Load(t, cdkOut(t), policy(`{"attemptTimeout":"2s","networkFailures":{"attempts":6}}`))
	bench.Upstream(
		stacktest.Refuse(), stacktest.Reset(), stacktest.Refuse(), stacktest.Hang(),
		stacktest.Handle(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "half")
		}),
		stacktest.Answer(200).Body("at last").DelayedBy(time.Millisecond),
	)
	run := bench.Run(stacktest.Get("/"))
	var failures []string
	for _, a := range run.Attempts {
		failures = append(failures, a.Error)
	}
	want := []string{"connection_refused", "connection_terminated", "connection_refused", "connection_read_timeout", "http_response_incomplete", ""}
	if diff := cmp.Diff(want, failures); diff != "" {
		t.Errorf("the failures are not what was expected (-want +got):\n%s", diff)
	}
	if run.StatusCode != 200 || run.Body != "at last" {
		t.Errorf("the answer is %d %q", run.StatusCode, run.Body)
	}
	if n := len(bench.Received()); n != 4 {
		t.Errorf("the upstream got %d requests, want the 4 that were not refused", n)
	}
}

func TestTheUpstreamSeesWhatItWasSent(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, edited(t, "https://httpbin.org", "https://httpbin.org/v1"))
	bench.Upstream(stacktest.Handle(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Answer", "yes")
		_, _ = io.Copy(w, r.Body)
	}))
	run := bench.Run(stacktest.NewRequest("PUT", "/orders/7?a=b").Body("tea").Header("X-Order", "7").IdempotencyKey(`a "k"`).Attempts(1))
	if run.StatusCode != 200 || run.Body != "tea" || run.Header.Get("X-Answer") != "yes" {
		t.Errorf("the answer is %d %q %v", run.StatusCode, run.Body, run.Header)
	}
	received := bench.Received()
	if len(received) != 1 {
		t.Fatalf("the upstream got %d requests", len(received))
	}
	r := received[0]
	if r.Method != "PUT" || r.Target != "/v1/orders/7?a=b" || r.Body != "tea" {
		t.Errorf("the upstream got %s %s %q", r.Method, r.Target, r.Body)
	}
	if r.Header.Get("X-Order") != "7" || r.Header.Get("Idempotency-Key") != `"a \"k\""` || r.Header.Get("Prefer") != "" {
		t.Errorf("the upstream got the header %v", r.Header)
	}
}

func TestFieldsOfAnAnswerArePairs(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an Answer with half a field was taken")
		}
	}()
	stacktest.Answer(429, strings.Fields("Retry-After")...)
}
