package stacktest_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/stacktest"
)

// overHTTP2 is a bench whose upstream speaks HTTP/2.
func overHTTP2(t *testing.T, replies ...stacktest.Reply) *stacktest.Bench {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("Go reads SSL_CERT_FILE on Linux only, so the proxies would not trust the upstream")
	}
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t), policy(`{"networkFailures":{"attempts":3,"base":"1ms","max":"1ms"}}`), stacktest.HTTP2())
	bench.Upstream(replies...)
	return bench
}

func TestAnUpstreamSpeaksHTTP2(t *testing.T) {
	bench := overHTTP2(t, stacktest.Answer(201, "X-Order", "7").Body("made"))
	run := bench.Run(stacktest.Post("/orders?a=1", "tea").Header("X-Key", "k"))
	if run.StatusCode != 201 || run.Body != "made" || run.Header.Get("X-Order") != "7" {
		t.Errorf("the answer is %v", run)
	}
	got := bench.Received()
	if len(got) != 1 || got[0].Method != "POST" || !strings.HasSuffix(got[0].Target, "/orders?a=1") || got[0].Body != "tea" || got[0].Header.Get("X-Key") != "k" {
		t.Errorf("the upstream was sent %+v", got)
	}
}

// Attack H1 and M2: net/http repeats what HTTP/2 refuses by itself, without end after a GOAWAY, and does not say that it is
// proof.
func TestWhatHTTP2RefusesIsOneAttemptEachAndGoesOnWithoutAKey(t *testing.T) {
	bench := overHTTP2(t, stacktest.GoAway(), stacktest.RefuseStream(), stacktest.Answer(201))
	run := bench.Run(stacktest.Post("/orders", "tea"))
	if run.StatusCode != 201 || len(run.Attempts) != 3 || len(bench.Received()) != 3 {
		t.Errorf("the answer is %d after %d attempts and %d requests, want 201 after three of each: %v", run.StatusCode, len(run.Attempts), len(bench.Received()), run)
	}
}

func TestAStreamThatIsResetOtherwiseMayHaveBeenProcessed(t *testing.T) {
	const internalError = 0x2 // RFC 9113 section 7
	bench := overHTTP2(t, stacktest.ResetStream(internalError))
	if run := bench.Run(stacktest.Post("/orders", "tea")); run.StatusCode != 502 || len(bench.Received()) != 1 {
		t.Errorf("the answer is %d after %d requests, want 502 after one: %v", run.StatusCode, len(bench.Received()), run)
	}
}
