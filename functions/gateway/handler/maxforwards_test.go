package handler

import (
	"strings"
	"testing"
)

func TestMaxForwardsIsCountedDownAndObeyed(t *testing.T) {
	for _, c := range []struct {
		method, given string
		status        int
		forwarded     string
	}{
		{"OPTIONS", "5", 200, "4"},
		{"OPTIONS", "1", 200, "0"},
		{"OPTIONS", "0", 204, ""},
		{"TRACE", "1", 200, "0"},
		{"TRACE", "0", 200, ""},
		{"OPTIONS", "many", 200, "many"},
		{"OPTIONS", "-1", 200, "-1"},
		{"GET", "0", 200, "0"}, // for OPTIONS and TRACE only
	} {
		engine := ends(ok)
		b := newBench(t, engine)
		b.forwarding = forwarding(t, "OPTIONS,TRACE,GET", "")
		response := b.send(t, request(c.method, "/a", "max-forwards", c.given, "authorization", "Bearer token"))
		forwarded := ""
		if len(engine.inputs) > 0 {
			forwarded = engine.call(t).Request.Headers["max-forwards"]
		}
		if response.StatusCode != c.status || forwarded != c.forwarded {
			t.Errorf("%s with %s is answered with %d, and %q goes upstream", c.method, c.given, response.StatusCode, forwarded)
		}
		if c.forwarded != "" {
			continue
		}
		if strings.Contains(response.Body, "token") || c.method == "TRACE" && (!strings.HasPrefix(response.Body, "TRACE /a HTTP/1.1\r\n") || response.Headers["content-type"] != "message/http") {
			t.Errorf("%s is answered with %v %q", c.method, response.Headers, response.Body)
		}
	}
}
