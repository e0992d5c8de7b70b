package message_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// now is the moment at which all of these tests take place.
var now = time.UnixMilli(1_700_000_000_000)

// travelled is what an envelope has become after a way through the state machine, as JSON.
func travelled(t testing.TB, e *message.Envelope) *message.Envelope {
	t.Helper()
	text, err := message.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	out := new(message.Envelope)
	if err := json.Unmarshal(text, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func size(t testing.TB, e *message.Envelope) int {
	t.Helper()
	text, err := message.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return len(text)
}

func TestATextBodyTravelsAsText(t *testing.T) {
	for _, body := range []string{"", "hello", `{"a":"b\\c"}`, "a\tb\r\nc", "東京 😀", "<script>&amp;</script>", "\u2028\u2029", "\x7f", "\ufeffBOM"} {
		var response message.Response
		response.SetBody([]byte(body))
		if response.IsBase64Encoded || response.Body != body {
			t.Errorf("the body %q became %q, base64: %v", body, response.Body, response.IsBase64Encoded)
		}
	}
}

func TestABodyThatIsNotTextTravelsInBase64(t *testing.T) {
	for _, body := range []string{"\x00", "a\x1bb", "\xff\xfe", "\xed\xa0\x80", "cut off \xe6\x9d", "\x1f\x8b\x08"} {
		var response message.Response
		response.SetBody([]byte(body))
		if !response.IsBase64Encoded {
			t.Errorf("the body %q travels as the text %q", body, response.Body)
		}
		if got, err := response.BodyBytes(); err != nil || string(got) != body {
			t.Errorf("the body %q came back as %q, error %v", body, got, err)
		}
	}
}

func FuzzABodyComesBackAsItWas(f *testing.F) {
	for _, seed := range []string{"", "text", "\x00\x01", "\xff", "\xc3\x28", "\u2028<&>", `"\`, "é\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e := &message.Envelope{Outcome: retry.Succeeded}
		e.SetBody(body)
		if !e.IsBase64Encoded && !utf8.ValidString(e.Body) {
			t.Fatalf("%q is sent as text", body)
		}
		got, err := travelled(t, e).BodyBytes()
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%q came back as %q, error %v", body, got, err)
		}
		request := message.Request{Body: e.Body, IsBase64Encoded: e.IsBase64Encoded}
		if got, err := request.BodyBytes(); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("as a request, %q came back as %q, error %v", body, got, err)
		}
	})
}

func TestABodyOfRandomBytesTakesAThirdMoreAndNoMore(t *testing.T) {
	body := make([]byte, 100<<10)
	rand.NewChaCha8([32]byte{1}).Read(body)
	empty, full := &message.Envelope{}, &message.Envelope{}
	full.SetBody(body)
	if grown := size(t, full) - size(t, empty); grown > len(body)*4/3+4 {
		t.Errorf("%d bytes take %d as JSON", len(body), grown)
	}
}

func TestABodyWronglyMarkedAsBase64IsAnError(t *testing.T) {
	response := message.Response{Body: "no base64!", IsBase64Encoded: true}
	if _, err := response.BodyBytes(); err == nil || !strings.Contains(err.Error(), "base64") {
		t.Errorf("got the error %v, want one that names base64", err)
	}
	request := message.Request{Body: "%%%", IsBase64Encoded: true}
	if body, err := request.BodyBytes(); err == nil {
		t.Errorf("the request's body was read as %q", body)
	}
}

func TestMarkupIsNotMadeLongerByEscapes(t *testing.T) {
	e := &message.Envelope{Outcome: retry.Succeeded}
	e.SetBody([]byte("<a href='?x&y'>"))
	text, err := message.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte("<a href='?x&y'>")) || bytes.HasSuffix(text, []byte("\n")) {
		t.Errorf("got %s", text)
	}
}

func TestTheTopOfAnAnswerIsInTheWordsOfAPIGateway(t *testing.T) {
	e := message.Answer("request-1", retry.Succeeded, "", message.Response{
		StatusCode: 200,
		Headers:    map[string]string{"content-type": "text/plain"},
		Cookies:    []string{"a=1", "b=2"},
		Body:       "hello",
	}, nil)
	text, err := message.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"statusCode":      200.0,
		"headers":         map[string]any{"content-type": "text/plain"},
		"cookies":         []any{"a=1", "b=2"},
		"body":            "hello",
		"isBase64Encoded": false,
		"version":         1.0,
		"requestId":       "request-1",
		"outcome":         "succeeded",
		"waitSeconds":     0.0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the answer differs (-want +got):\n%s", diff)
	}
}

func TestThePolicyIsToldOfTheIdempotencyKey(t *testing.T) {
	deadline := now.Add(time.Minute)
	call := &message.Call{
		Request:     message.Request{Method: "POST", Headers: map[string]string{"idempotency-key": "k"}},
		Deadline:    deadline.UnixMilli(),
		MaxAttempts: 2,
	}
	want := retry.Request{Method: "POST", IdempotencyKey: true, Proxies: 3, Deadline: deadline, MaxAttempts: 2}
	if diff := cmp.Diff(want, call.ForPolicy(3)); diff != "" {
		t.Errorf("the policy is told something else (-want +got):\n%s", diff)
	}
	call.Request.Headers = map[string]string{"x-idempotency-key": "k"}
	if call.ForPolicy(3).IdempotencyKey {
		t.Error("a request without the field is said to have a key")
	}
}

func TestAResponseWithoutItsBodyDoesNotSpeakOfIt(t *testing.T) {
	whole := message.Response{
		StatusCode: 500,
		Headers: map[string]string{
			"content-type": "text/html", "content-encoding": "gzip", "content-range": "bytes 0-1/2", "content-digest": "sha-256=:x:",
			"content-md5": "x", "digest": "x", "x-order": "7",
		},
		Cookies: []string{"a=1"}, Body: "aGVsbG8=", IsBase64Encoded: true,
	}
	want := message.Response{
		StatusCode: 500, Headers: map[string]string{"content-type": "text/html", "x-order": "7"}, Cookies: []string{"a=1"},
	}
	if difference := cmp.Diff(want, whole.WithoutBody()); difference != "" {
		t.Errorf("(-want +got):\n%s", difference)
	}
	if len(whole.Headers) != 7 || whole.Body == "" {
		t.Error("the response itself has changed")
	}
}
