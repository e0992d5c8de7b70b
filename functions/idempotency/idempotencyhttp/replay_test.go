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

func TestIfNoneMatchOfAReplayIsA304WithEveryMethodWhereThatIsAskedFor(t *testing.T) {
	f := setUp(t, idempotencyhttp.Options{NotModified: true, Cache: idempotencyhttp.Cache{ETag: true, MaxAge: time.Minute}, ServerCacheHit: true}, idempotency.Config{})
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
		{`"zz"` + tag, "POST", 201},
		{tag + `, other`, "POST", 201},
		{tag + `; q=1`, "POST", 201},
		{`w/` + tag, "POST", 201},
		{`, ,` + tag + ` ,`, "POST", 304},
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

func TestIfNoneMatchOfAReplayIsA412UnlessTheMethodReads(t *testing.T) {
	for method, want := range map[string]int{"GET": 304, "HEAD": 304, "POST": 412, "PUT": 412, "DELETE": 412, "QUERY": 412} {
		f := setUp(t, idempotencyhttp.Options{Cache: idempotencyhttp.Cache{ETag: true}}, idempotency.Config{})
		request := post("k", "")
		request.Method = method
		tag := f.send(request, created).Headers["etag"]
		request.Headers["if-none-match"] = `"other"`
		if got := f.send(request, created); got.StatusCode != 201 {
			t.Errorf("%s with another tag: %d; want 201", method, got.StatusCode)
		}
		request.Headers["if-none-match"] = tag
		got := f.send(request, created)
		if got.StatusCode != want || got.Headers["etag"] != tag || got.Headers["idempotent-replayed"] != "true" || f.runs != 1 {
			t.Errorf("%s: %d with %v after %d runs; want %d", method, got.StatusCode, got.Headers, f.runs, want)
		}
		if want == 412 {
			wantProblem(t, got, 412, idempotencyhttp.ConditionFailed, "")
		}
	}
}

func TestMaxAgeIsForResponsesThatCachesMayKeep(t *testing.T) {
	cache := idempotencyhttp.Cache{ETag: true, MaxAge: time.Hour}
	for status, kept := range map[int]bool{
		200: true, 201: true, 204: true, 301: true, 308: true, 302: false, 303: false, 307: false, 304: false, 400: false, 402: false, 404: false, 410: false,
	} {
		got := cache.Decorate(idempotencyhttp.Response{StatusCode: status}, time.Hour).Headers
		want := map[string]string{}
		if kept {
			want = map[string]string{"cache-control": "private, max-age=3600", "vary": "Idempotency-Key"}
		}
		if status < 300 {
			want["etag"] = got["etag"]
		}
		if diff := cmp.Diff(want, got); diff != "" || status < 300 && got["etag"] == "" {
			t.Errorf("%d has other fields (-want +got):\n%s", status, diff)
		}
	}
}

func TestADigestOfABodyGoesWhereTheBodyIsChanged(t *testing.T) {
	fields := []string{"content-digest", "repr-digest", "digest", "content-md5", "content-length"}
	response := idempotencyhttp.Response{StatusCode: 200, Headers: map[string]string{}, Body: `{"a":1}`}
	for _, field := range fields {
		response.Headers[field] = "x"
	}
	for _, c := range []struct {
		coding  string
		inBody  bool
		changed bool
	}{{"", false, false}, {"", true, true}, {"identity", true, true}, {"gzip", true, false}} {
		response.Headers["content-encoding"] = c.coding
		got := idempotencyhttp.Replayed(response, c.inBody)
		for _, field := range fields {
			if _, kept := got.Headers[field]; kept == c.changed {
				t.Errorf("coding %q, flag in the body %v: %s is kept: %v", c.coding, c.inBody, field, kept)
			}
		}
		if changed := got.Body != response.Body; changed != c.changed {
			t.Errorf("coding %q, flag in the body %v: the body is %s", c.coding, c.inBody, got.Body)
		}
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

func TestAMaxAgeOfOursComesWithAVaryByTheKey(t *testing.T) {
	cache := idempotencyhttp.Cache{MaxAge: time.Hour}
	for name, c := range map[string]struct{ own, want map[string]string }{
		"without a Vary there is one": {nil, map[string]string{"vary": "Idempotency-Key", "cache-control": "private, max-age=3600"}},
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
