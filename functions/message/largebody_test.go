package message_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestALargeBodyTakesTheFormThatIsShorterAsJSON(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body   string
		base64 bool
	}{
		"text":                 {strings.Repeat("tea ", 300), false},
		"all quotes":           {strings.Repeat(`"`, 300), true},
		"all backslashes":      {strings.Repeat(`\`, 300), true},
		"all new lines":        {strings.Repeat("\n", 300), true},
		"a third of quotes":    {strings.Repeat(`"aa`, 100), false}, // 400 bytes either way
		"more than a third":    {strings.Repeat(`"aa`, 100) + `"""`, true},
		"line separators":      {strings.Repeat("\u2028", 100), true},
		"paragraph separators": {strings.Repeat("\u2029", 100), true},
		"what looks like them": {strings.Repeat("\u2027", 100), false},
		"bytes":                {strings.Repeat("\x00", 300), true},
		"nothing":              {"", false},
	} {
		var r message.Response
		r.SetLargeBody([]byte(c.body))
		if got, err := r.BodyBytes(); r.IsBase64Encoded != c.base64 || string(got) != c.body || err != nil {
			t.Errorf("%s: in base64 is %v, and the body is %q, error %v", name, r.IsBase64Encoded, got, err)
		}
	}
}

func FuzzALargeBodyIsAsShortAsItCanBe(f *testing.F) {
	for _, seed := range []string{"", "text", `"\`, "\u2028\u2029\n", "\xe2\x80", "\x00", "é<>&"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var large, small message.Response
		large.SetLargeBody(body)
		small.SetBody(body)
		bytesOf := func(r message.Response) int {
			n, err := message.JSONBytes(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		if bytesOf(large) > bytesOf(small) || bytesOf(large) > (len(body)+2)/3*4+2 {
			t.Fatalf("%q takes %d bytes, and %d as a small body", body, bytesOf(large), bytesOf(small))
		}
		if got, err := large.BodyBytes(); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%q came back as %q, error %v", body, got, err)
		}
	})
}

func TestAValueIsAsLongAsTheFunctionsWriteIt(t *testing.T) {
	t.Parallel()
	if n, err := message.JSONBytes(map[string]string{"a": `<"&>`}); n != len(`{"a":"<\"&>"}`) || err != nil {
		t.Errorf("it takes %d bytes, error %v", n, err)
	}
	if _, err := message.JSONBytes(func() {}); err == nil {
		t.Error("a function is written as JSON")
	}
}

// Code that does not know of objects would take the body for an empty one.
func TestWhoeverDoesNotKnowOfObjectsRefusesWhatNamesOne(t *testing.T) {
	t.Parallel()
	call := &message.Call{Request: message.Request{Method: "PUT", Body: "tea", IsBase64Encoded: true}.WithBodyIn("0123456789abcdef0123456789abcdef")}
	if call.Request.Body != "" || call.Request.IsBase64Encoded {
		t.Errorf("the request has a body beside its object: %+v", call.Request)
	}
	answer := message.Answer("r", retry.Succeeded, "", message.Response{StatusCode: 200, Body: "tea", IsBase64Encoded: true}, nil)
	for name, e := range map[string]*message.Envelope{
		"a call":                message.ToProxy(call, retry.Default(), nil, 0),
		"an answer":             answer.WithBodyIn("0123456789abcdef0123456789abcdef"),
		"an answer without one": answer.WithoutBody(),
	} {
		text, err := message.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Version int }
		if err := json.Unmarshal(text, &got); err != nil || got.Version != 2 || bytes.Contains(text, []byte("tea")) {
			t.Errorf("%s has version %d: %s", name, got.Version, text)
		}
	}
	if answer.Body != "tea" || answer.Version != 1 {
		t.Errorf("the answer itself has changed: %+v", answer)
	}
}
