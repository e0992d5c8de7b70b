package handler

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// packed is a result as the library stores it where it is large.
func packed(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(text))
	w.Close()
	return `{"$gzip":"` + base64.StdEncoding.EncodeToString(b.Bytes()) + `"}`
}

// Whoever may write to the table may have written anything. What cannot be handed out is said to be unavailable, and never
// breaks the answer or the gateway.
func TestARecordThatCannotBeAnAnswerIsUnavailable(t *testing.T) {
	const ok = `{"statusCode":200,"body":"ok"`
	for name, data := range map[string]string{
		"status 999":                       `{"statusCode":999}`,
		"status 600":                       `{"statusCode":600}`,
		"status 100":                       `{"statusCode":100}`,
		"status below zero":                `{"statusCode":-1}`,
		"status in words":                  `{"statusCode":"200"}`,
		"a line break in a field":          ok + `,"headers":{"x-a":"1\r\nX-Injected: 2"}}`,
		"a line break in a name":           ok + `,"headers":{"x-a\r\nX-Injected":"2"}}`,
		"a space in a name":                ok + `,"headers":{"x a":"2"}}`,
		"no name":                          ok + `,"headers":{"":"2"}}`,
		"a zero byte in a field":           ok + `,"headers":{"x-a":"\u0000"}}`,
		"a line break in a cookie":         ok + `,"cookies":["a=1\r\nX-Injected: 2"]}`,
		"a body that is not base64":        `{"statusCode":200,"body":"%%%","isBase64Encoded":true}`,
		"a stored failure":                 `{"$error":"x"}`,
		"a line break in a proxy":          ok + `,"attempts":[{"proxy":"proxy-1\r\nX-Injected: 2"}]}`,
		"a list in a proxy":                ok + `,"attempts":[{"proxy":"proxy-1, proxy-2"}]}`,
		"a line break in a type of error":  ok + `,"attempts":[{"proxy":"proxy-1","error":"x\r\ny"}]}`,
		"an attempt without a proxy":       ok + `,"attempts":[{"status":200}]}`,
		"fields that are a list":           ok + `,"headers":["a"]}`,
		"half of a document":               ok,
		"a newer version":                  `{"version":999,"statusCode":200}`,
		"eight megabytes of body":          packed(ok[:len(ok)-3] + strings.Repeat("x", 8<<20) + `"}`),
		"eight megabytes of spaces":        packed(strings.Repeat(" ", 8<<20) + ok + "}"),
		"seven megabytes as they are":      ok[:len(ok)-3] + strings.Repeat("x", 7<<20) + `"}`,
		"what looks packed and is not":     `{"$gzip":"aGVsbG8="}`,
		"what looks packed and is no text": `{"$gzip":"%"}`,
	} {
		t.Run(name, func(t *testing.T) {
			b, engine := newRecordingBench(t, message.Response{StatusCode: 201})
			b.send(t, keyed("k", "one"))
			r := engine.started(t).Record
			if err := b.store.Complete(t.Context(), idempotency.Record{
				ID: r.ID, Owner: r.Owner, Status: idempotency.Completed, Data: json.RawMessage(data), Expiration: noon.Add(recordTTL),
			}); err != nil {
				t.Fatal(err)
			}
			wantProblem(t, b.send(t, keyed("k", "one")), 409, idempotencyhttp.ResultUnavailable)
			if len(engine.inputs) != 1 {
				t.Errorf("%d executions were started", len(engine.inputs))
			}
		})
	}
}

func TestARecordOfFiveMegabytesIsReplayed(t *testing.T) {
	b, engine := newRecordingBench(t, message.Response{StatusCode: 201})
	b.send(t, keyed("k", "one"))
	r := engine.started(t).Record
	body := strings.Repeat("x", 5<<20)
	if err := b.store.Complete(t.Context(), idempotency.Record{
		ID: r.ID, Owner: r.Owner, Status: idempotency.Completed, Data: json.RawMessage(packed(`{"statusCode":200,"body":"` + body + `"}`)),
		Expiration: noon.Add(recordTTL),
	}); err != nil {
		t.Fatal(err)
	}
	if response := b.send(t, keyed("k", "one")); response.StatusCode != 200 || response.Body != body {
		t.Errorf("it is replayed as %d, with %d bytes", response.StatusCode, len(response.Body))
	}
}
