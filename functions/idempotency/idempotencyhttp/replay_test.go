package idempotencyhttp_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
)

func TestCacheFieldsAreAddedToRecordedResponsesWhereTheHandlerSetNone(t *testing.T) {
	o := idempotencyhttp.Options{Cache: idempotencyhttp.Cache{ETag: true, MaxAge: 10 * time.Minute, Vary: []string{"Idempotency-Key", "Accept"}}}
	f := setUp(t, o, idempotency.Config{TTL: time.Hour})
	first := f.send(post("k", ""), created)
	if tag := first.Headers["etag"]; len(tag) != 24 || tag[0] != '"' {
		t.Errorf("ETag %s", tag)
	}
	if first.Headers["cache-control"] != "private, max-age=600" || first.Headers["vary"] != "Idempotency-Key, Accept" {
		t.Errorf("first: %v", first.Headers)
	}
	f.clock.now = f.clock.now.Add(55 * time.Minute)
	again := f.send(post("k", ""), created)
	if again.Headers["etag"] != first.Headers["etag"] || again.Headers["cache-control"] != "private, max-age=300" {
		t.Errorf("replay, 5 minutes before the record expires: %v", again.Headers)
	}
	if unprotected := f.send(post("", ""), created); unprotected.Headers["etag"] != "" || unprotected.Headers["cache-control"] != "" {
		t.Errorf("without a key: %v", unprotected.Headers)
	}

	own := idempotencyhttp.Response{StatusCode: 200, Headers: map[string]string{"etag": `"own"`, "cache-control": "no-store", "vary": "Cookie"}}
	if got := f.send(post("own", ""), own); got.Headers["etag"] != `"own"` || got.Headers["cache-control"] != "no-store" || got.Headers["vary"] != "Cookie" {
		t.Errorf("the handler's own fields became %v", got.Headers)
	}
}

func TestIfNoneMatchOfAReplayIsA304(t *testing.T) {
	f := setUp(t, idempotencyhttp.Options{Cache: idempotencyhttp.Cache{ETag: true, MaxAge: time.Minute}, ServerCacheHit: true}, idempotency.Config{})
	tag := f.send(post("k", ""), created).Headers["etag"]
	for _, test := range []struct {
		condition string
		method    string
		want      int
	}{
		{tag, "POST", 304},
		{"W/" + tag, "POST", 304},
		{`"other", ` + tag, "POST", 304},
		{`"with, comma",W/` + tag + `, "x"`, "POST", 304},
		{`"other"`, "POST", 201},
		{`*`, "POST", 201},
		{strings.Trim(tag, `"`), "POST", 201},
		{`"unfinished`, "POST", 201},
	} {
		got := f.send(post("k", "", "if-none-match", test.condition), created)
		if got.StatusCode != test.want {
			t.Errorf("If-None-Match %s: %d; want %d", test.condition, got.StatusCode, test.want)
		}
		if test.want == 304 && (got.Body != "" || got.Cookies != nil || got.Headers["content-type"] != "" || got.Headers["etag"] == "" ||
			got.Headers["cache-control"] == "" || got.Headers["idempotent-replayed"] != "true") {
			t.Errorf("304 is %+v", got)
		}
	}
	if got := f.send(post("new", "", "if-none-match", tag), created); got.StatusCode != 201 {
		t.Errorf("a first request is answered %d; want its response", got.StatusCode)
	}

	get := idempotencyhttp.Request{Method: "GET", Headers: map[string]string{"if-none-match": "*"}}
	if got, ok := idempotencyhttp.NotModified(get, idempotencyhttp.Response{StatusCode: 200}); !ok || got.StatusCode != 304 {
		t.Errorf("an asterisk for GET: %d", got.StatusCode)
	}
	get.Headers["if-none-match"] = `"x"`
	if _, ok := idempotencyhttp.NotModified(get, idempotencyhttp.Response{StatusCode: 404, Headers: map[string]string{"etag": `"x"`}}); ok {
		t.Error("a 404 became a 304")
	}
}

func TestTheBodyFlagIsAddedToJSONObjects(t *testing.T) {
	json := "application/json; charset=utf-8"
	for _, test := range []struct{ mediaType, body, want string }{
		{json, `{"order":1}`, `{"order":1,"serverCacheHit":true}`},
		{json, `{}`, `{"serverCacheHit":true}`},
		{json, ` { "a" : [1, 2.50] , "b":"\u00e9" } `, `{"a" : [1, 2.50],"b":"\u00e9","serverCacheHit":true}`},
		{json, `{"serverCacheHit":false,"a":1}`, `{"a":1,"serverCacheHit":true}`},
		{json, `{"a":{"serverCacheHit":false}}`, `{"a":{"serverCacheHit":false},"serverCacheHit":true}`},
		{"application/vnd.api+json", `{"a":1}`, `{"a":1,"serverCacheHit":true}`},
		{"", `{"a":1}`, `{"a":1,"serverCacheHit":true}`},
		{json, `[1]`, `[1]`},
		{json, `"text"`, `"text"`},
		{json, `{"a":`, `{"a":`},
		{json, ``, ``},
		{"text/plain", `{"a":1}`, `{"a":1}`},
	} {
		r := idempotencyhttp.Response{StatusCode: 200, Headers: map[string]string{"content-type": test.mediaType, "etag": `"x"`, "content-length": "5"}, Body: test.body}
		got := idempotencyhttp.Replayed(r, true)
		changed := test.want != test.body
		if got.Body != test.want || got.Headers["etag"] == `W/"x"` != changed || got.Headers["content-length"] == "" != changed {
			t.Errorf("%s %s became %s with %v; want %s", test.mediaType, test.body, got.Body, got.Headers, test.want)
		}
		if plain := idempotencyhttp.Replayed(r, false); plain.Body != test.body || plain.Headers["etag"] != `"x"` || plain.Headers["idempotent-replayed"] != "true" {
			t.Errorf("without the flag: %+v", plain)
		}
		if r.Headers["idempotent-replayed"] != "" {
			t.Error("the caller's own header fields were changed")
		}
	}
}

func FuzzReplayed(f *testing.F) {
	for _, seed := range []string{`{"a":1}`, `{}`, ` {"serverCacheHit" : [1,{}] , "a":"," }`, `{"a":1,"a":2}`, `{"\u0073erverCacheHit":0}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got := idempotencyhttp.Replayed(idempotencyhttp.Response{Body: body}, true).Body
		var before map[string]any
		if !json.Valid([]byte(body)) || json.Unmarshal([]byte(body), &before) != nil || before == nil {
			if got != body {
				t.Fatalf("%q became %q", body, got)
			}
			return
		}
		var after map[string]any
		if err := json.Unmarshal([]byte(got), &after); err != nil {
			t.Fatalf("%q became %q: %v", body, got, err)
		}
		before["serverCacheHit"] = true
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatalf("%q became %q:\n%s", body, got, diff)
		}
	})
}

func TestAMaxAgeOfOursComesWithAVaryOfOurs(t *testing.T) {
	cache := idempotencyhttp.Cache{MaxAge: time.Hour, Vary: []string{"Idempotency-Key"}}
	for name, c := range map[string]struct{ own, want map[string]string }{
		"a Vary of the handler's is kept, and ours is added": {
			map[string]string{"vary": "Accept-Encoding"},
			map[string]string{"vary": "Accept-Encoding, Idempotency-Key", "cache-control": "private, max-age=3600"},
		},
		"one that names everything is enough": {map[string]string{"vary": "*"}, map[string]string{"vary": "*", "cache-control": "private, max-age=3600"}},
		"one that has ours in it, in any case, is enough": {
			map[string]string{"vary": "Accept, idempotency-key"},
			map[string]string{"vary": "Accept, idempotency-key", "cache-control": "private, max-age=3600"},
		},
		"Expires has said how long": {
			map[string]string{"expires": "0", "vary": "Accept"}, map[string]string{"expires": "0", "vary": "Accept", "cache-control": ""},
		},
	} {
		got := cache.Decorate(idempotencyhttp.Response{StatusCode: 200, Headers: c.own}, time.Hour)
		for field, want := range c.want {
			if got.Headers[field] != want {
				t.Errorf("%s: %s is %q, want %q", name, field, got.Headers[field], want)
			}
		}
	}
}
