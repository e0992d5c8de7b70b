package stack_test

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

// KiB is 1024 bytes.
const KiB = 1 << 10

// binary returns bytes of every value, the same ones in every run.
func binary(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return string(b)
}

func TestABinaryBodyOf100KiBPassesBothWaysByteForByte(t *testing.T) {
	t.Parallel()
	sent, back := binary(100*KiB), binary(101 * KiB)[KiB:]
	u := play(t, status(http.StatusServiceUnavailable), respond(http.StatusOK, back, "Content-Type", "application/octet-stream"))
	s := start(t, u.URL)

	a := send(t, s, http.MethodPut, "/blob", sent, "Content-Type", "application/octet-stream")
	if a.Status != http.StatusOK || a.Body != back {
		t.Errorf("the answer is %d with %d bytes, want 200 and the %d that the upstream sent", a.Status, len(a.Body), len(back))
	}
	if media := a.Header.Get("Content-Type"); media != "application/octet-stream" {
		t.Errorf("the answer has Content-Type %q", media)
	}
	for i, r := range u.received() {
		if r.Body != sent || r.Header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("attempt %d brought %d bytes of %s, want the %d that were sent", i+1, len(r.Body), r.Header.Get("Content-Type"), len(sent))
		}
	}
}

func TestBodiesOfEveryKindPassUnchanged(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, media, body string }{
		{"JSON", "application/json", `{"text":"Grüße & <tags> \u2028","n":1e400}`},
		{"JSON with a byte that is none", "application/json", "{\"bad\":\"\xff\"}"},
		{"text with control characters", "text/plain", "a\x00b\r\nc\x1b"},
		{"text without a type", "", "plain\n"},
		{"compressed bytes", "application/gzip", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x01\x00\x00\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"nothing", "text/plain", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fields := []string{}
			if c.media != "" {
				fields = append(fields, "Content-Type", c.media)
			}
			u := play(t, respond(http.StatusOK, c.body, fields...))
			s := start(t, u.URL)
			if a := send(t, s, http.MethodPost, "/", c.body, fields...); a.Status != http.StatusOK || a.Body != c.body {
				t.Errorf("the answer is %d %q, want 200 %q", a.Status, a.Body, c.body)
			}
			if r := u.received()[0]; r.Body != c.body {
				t.Errorf("the upstream was sent %q, want %q", r.Body, c.body)
			}
		})
	}
}

func TestARequestThatNoStateCanHoldIsRefused(t *testing.T) {
	t.Parallel()
	u := play(t) // nothing may arrive
	s := start(t, u.URL)
	p := send(t, s, http.MethodPut, "/blob", binary(300*KiB)).problem(t, http.StatusRequestEntityTooLarge, "request-too-large")
	if !strings.Contains(p.Detail, "bytes") {
		t.Errorf("the detail is %q, want the sizes in it", p.Detail)
	}
	if executions, _ := s.StepFunctions.Executions("", ""); len(executions) != 0 {
		t.Errorf("%d executions were started", len(executions))
	}
}

func TestAnAnswerThatNoStateCanHoldIsAProblemAndNeverCutOff(t *testing.T) {
	t.Parallel()
	u := play(t, respond(http.StatusOK, binary(300*KiB), "Content-Type", "application/octet-stream"))
	s := start(t, u.URL)
	p := get(t, s, "/blob").problem(t, http.StatusBadGateway, "no-answer")
	if len(p.Attempts) != 1 || p.Attempts[0].Error != "http_response_body_size" {
		t.Errorf("the attempts are %+v, want one that ended in http_response_body_size", p.Attempts)
	}
}

// Attack M3: the status is what callers act on.
func TestALastErrorComesBackWholeAsFarAsAStateHoldsItAndThenWithoutItsBody(t *testing.T) {
	t.Parallel()
	for size, body := range map[int]string{40 * KiB: strings.Repeat("x", 40*KiB), 240 * KiB: strings.Repeat("x", 240*KiB), 300 * KiB: ""} {
		large := respond(http.StatusInternalServerError, strings.Repeat("x", size), "X-Order", "7", "Content-Type", "text/html", "Set-Cookie", "a=1")
		u := play(t, large, large, large)
		s := start(t, u.URL)
		a := get(t, s, "/")
		if a.Status != 500 || a.Body != body || a.Header.Get("X-Order") != "7" || a.Header.Get("Set-Cookie") != "a=1" || a.Header.Get("Content-Type") != "text/html" {
			t.Errorf("of %d bytes the answer is %d with %d bytes, %v", size, a.Status, len(a.Body), a.Header)
		}
		if told := strings.Contains(a.Header.Get("Proxy-Status"), "http_response_body_size"); told != (body == "") {
			t.Errorf("of %d bytes Proxy-Status is %s", size, a.Header.Get("Proxy-Status"))
		}
	}
}

func TestACompressedAnswerStaysCompressed(t *testing.T) {
	t.Parallel()
	compressed := "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xca\x48\xcd\xc9\xc9\x07\x04\x00\x00\xff\xff\x86\xa6\x10\x36\x05\x00\x00\x00"
	u := play(t, respond(http.StatusOK, compressed, "Content-Encoding", "gzip", "Content-Type", "text/plain"))
	s := start(t, u.URL)
	a := get(t, s, "/", "Accept-Encoding", "gzip")
	if a.Body != compressed || a.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("the answer is %q with Content-Encoding %q, want the upstream's bytes", a.Body, a.Header.Get("Content-Encoding"))
	}
	if r := u.received()[0]; r.Header.Get("Accept-Encoding") != "gzip" {
		t.Errorf("Accept-Encoding arrived as %q", r.Header.Get("Accept-Encoding"))
	}
}
