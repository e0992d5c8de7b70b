package handler

import (
	"net/http"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestAFinalAnswerThatSettlesNothingFreesTheKey(t *testing.T) {
	for _, c := range []struct {
		name    string
		status  int
		fields  map[string]string
		asked   map[string]string
		release bool
	}{
		{"created", 201, nil, nil, false},
		{"accepted, to be asked again for the outcome", 202, map[string]string{"Retry-After": "5"}, nil, false},
		{"redirect", 303, nil, nil, false},
		{"refused for good", 422, nil, nil, false},
		{"not found", 404, nil, nil, false},
		{"wrong token (attack M5)", 401, nil, nil, true},
		{"not allowed", 403, nil, nil, true},
		{"conflict", 409, nil, nil, true},
		{"locked", 423, nil, nil, true},
		{"not implemented", 501, nil, nil, true},
		{"advised to come again", 404, map[string]string{"X-Should-Retry": "TRUE"}, nil, true},
		{"part of it (attack M6)", 206, nil, map[string]string{"range": "bytes=0-9"}, true},
		{"not modified", 304, nil, map[string]string{"if-modified-since": "Wed, 21 Oct 2026 07:28:00 GMT"}, true},
		{"precondition failed", 412, nil, map[string]string{"if-match": `"1"`}, true},
		{"not in range", 416, nil, map[string]string{"range": "bytes=9-"}, true},
		{"precondition failed without one", 412, nil, nil, false},
		{"the whole of it, in spite of a range", 200, nil, map[string]string{"range": "bytes=0-9"}, false},
	} {
		b := newBench(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
			for name, value := range c.fields {
				w.Header().Set(name, value)
			}
			w.WriteHeader(c.status)
		}))
		b.recordTTL = time.Hour
		b.policy.Statuses = map[int]retry.Verdict{c.status: retry.Final}
		for _, recorded := range []bool{true, false} {
			in := b.call(message.Request{Method: "POST", Headers: c.asked})
			in.Call.Recorded = recorded
			out := b.invoke(t, in)
			if out.Outcome != retry.Succeeded || out.StatusCode != c.status || out.Release != (c.release && recorded) || (out.Expiration != 0) != recorded {
				t.Errorf("%s, recorded %v: it is %s with %d, released %v, until %d", c.name, recorded, out.Outcome, out.StatusCode, out.Release, out.Expiration)
			}
		}
	}
}
