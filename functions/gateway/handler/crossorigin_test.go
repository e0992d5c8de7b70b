package handler

import (
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

func TestWhatTheUpstreamSaysToPagesIsTakenOutWhereTheURLSaysIt(t *testing.T) {
	answer := message.Response{StatusCode: 201, Headers: map[string]string{
		"access-control-allow-origin": "*", "access-control-expose-headers": "etag", "vary": "Origin", "etag": `"1"`,
	}}
	for _, url := range []bool{true, false} {
		b, _ := newRecordingBench(t, answer)
		b.crossOrigin = url
		for _, replayed := range []string{"", "true"} {
			response := b.send(t, keyed("order-1", "one"))
			_, origin := response.Headers["access-control-allow-origin"]
			_, exposed := response.Headers["access-control-expose-headers"]
			if origin == url || exposed == url || response.Headers["vary"] != "Origin" || response.Headers["etag"] != `"1"` ||
				response.Headers["idempotent-replayed"] != replayed {
				t.Errorf("the URL has Cors: %v; the answer, replayed %q, has %v", url, replayed, response.Headers)
			}
		}
	}
}

func TestWhetherTheURLHasCorsIsRead(t *testing.T) {
	for value, want := range map[string]bool{"": false, "false": false, "true": true} {
		s, err := settingsFrom(variables(map[string]string{"CROSS_ORIGIN": value}))
		if err != nil || s.crossOrigin != want {
			t.Errorf("%q is read as %v: %v", value, s.crossOrigin, err)
		}
	}
	if _, err := settingsFrom(variables(map[string]string{"CROSS_ORIGIN": "yes"})); err == nil {
		t.Error("yes is read")
	}
}
