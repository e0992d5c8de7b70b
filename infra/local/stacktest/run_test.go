package stacktest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/stacktest"
)

func TestAnAnswerCannotWriteToTheTerminalOfTheTest(t *testing.T) {
	run := stacktest.Run{
		StatusCode: 503,
		Header:     http.Header{"Retry-After": {"\x1b[2J\x9b\u202e"}, "Idempotent-Replayed": {"a\nb"}},
		Body:       "\x1b]0;t\x07\u0085",
	}
	want := `was answered with 503 Service Unavailable "\x1b]0;t\a\u0085", Retry-After: \x1b[2J\x9b\u202e, Idempotent-Replayed: a\nb`
	if got := strings.TrimSpace(run.String()); got != want {
		t.Errorf("it is told as %q, want %q", got, want)
	}
}
