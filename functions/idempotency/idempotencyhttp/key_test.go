package idempotencyhttp_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
)

func TestAKeyIsReadInQuotesOrBare(t *testing.T) {
	longest := strings.Repeat("k", idempotencyhttp.MaxKeyLength)
	for _, test := range []struct{ field, want string }{
		{`"8e03978e-40d5-43dd-bc93-6894a57f9324"`, "8e03978e-40d5-43dd-bc93-6894a57f9324"},
		{`8e03978e-40d5-43dd-bc93-6894a57f9324`, "8e03978e-40d5-43dd-bc93-6894a57f9324"},
		{` "k" `, "k"},
		{"\tk ", "k"},
		{`"a \"b\" \\ c"`, `a "b" \ c`},
		{`"k";created=1`, "k"},
		{`"a, b"`, "a, b"},
		{`two words`, "two words"},
		{`it's`, "it's"},
		{`a"b`, `a"b`},
		{"Schlüssel-東京", "Schlüssel-東京"},
		{longest, longest},
		{`"` + longest + `"`, longest},
		{strings.Repeat("é", idempotencyhttp.MaxKeyLength), strings.Repeat("é", idempotencyhttp.MaxKeyLength)},
	} {
		if got, err := idempotencyhttp.ParseKey(test.field); got != test.want || err != nil {
			t.Errorf("%q: %q, %v; want %q", test.field, got, err, test.want)
		}
	}
}

func TestAMalformedKeyIsRefused(t *testing.T) {
	tooLong := strings.Repeat("k", idempotencyhttp.MaxKeyLength+1)
	for _, test := range []struct{ field, want string }{
		{"", "empty"},
		{"  ", "empty"},
		{`""`, "empty"},
		{`"k`, "quotation mark"},
		{`"`, "quotation mark"},
		{`"a", "b"`, "quotation mark"},
		{`"a"b`, "quotation mark"},
		{`"a\x"`, "quotation mark"},
		{`"é"`, "quotation mark"},
		{tooLong, "256 characters"},
		{`"` + tooLong + `"`, "256 characters"},
		{"a,b", "comma"},
		{"a, a", "comma"},
		{"a\x00b", "control character"},
		{"a\nb", "control character"},
		{"a\x7fb", "control character"},
		{"a\u0085b", "control character"},
		{"a\xffb", "UTF-8"},
	} {
		_, err := idempotencyhttp.ParseKey(test.field)
		if !errors.Is(err, idempotencyhttp.ErrMalformedKey) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v; want ErrMalformedKey that says %q", test.field, err, test.want)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	for _, seed := range []string{`"k"`, "k", `"a\"";p=1`, "\x00", `"a", "b"`, strings.Repeat("x", 256)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		key, err := idempotencyhttp.ParseKey(field)
		if err != nil {
			if key != "" || !errors.Is(err, idempotencyhttp.ErrMalformedKey) {
				t.Fatalf("%q: %q, %v", field, key, err)
			}
			return
		}
		if n := utf8.RuneCountInString(key); n < 1 || n > idempotencyhttp.MaxKeyLength || !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl) {
			t.Fatalf("%q gives the key %q", field, key)
		}
	})
}

func TestNoTwoScopesShareARecord(t *testing.T) {
	type scope struct{ caller, method, path, key string }
	seen := map[string]scope{}
	for _, s := range []scope{
		{"alice", "POST", "/orders", "k"},
		{"bob", "POST", "/orders", "k"},
		{"", "POST", "/orders", "k"},
		{"alice", "PUT", "/orders", "k"},
		{"alice", "POST", "/orders/k", ""},
		{"alice", "POST", "/orders/", "k"},
		{"alice", "POST", "/order", "sk"},
		{"alice#POST", "", "/orders", "k"},
		{"5:alice4:POST", "", "/orders", "k"},
	} {
		id := idempotencyhttp.RecordID("fn", idempotencyhttp.Request{Caller: s.caller, Method: s.method, Path: s.path, Query: "q", Body: "b"}, s.key)
		if other, ok := seen[id]; ok {
			t.Errorf("%+v and %+v share a record", s, other)
		}
		if !strings.HasPrefix(id, "fn#") || len(id) != len("fn#")+64 {
			t.Errorf("ID %s", id)
		}
		seen[id] = s
	}
}
