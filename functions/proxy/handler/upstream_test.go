package handler

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/rawupstream"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A sent request is what arrived at the upstream.
type sent struct {
	Method, URI, Protocol string
	Header                http.Header
	Body                  string
}

// sends lets a proxy make one attempt and returns what arrived.
func sends(t *testing.T, basePath string, request message.Request) sent {
	t.Helper()
	var got *sent
	b := newBench(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = &sent{r.Method, r.RequestURI, r.Proto, r.Header, string(body)}
	})+basePath)
	if out := b.invoke(t, b.call(request)); got == nil {
		t.Fatalf("nothing arrived; the proxy answered %+v", out)
	}
	return *got
}

// answers lets a proxy make one attempt at an upstream that answers so.
func answers(t *testing.T, method string, handler http.HandlerFunc) *message.Envelope {
	t.Helper()
	b := newBench(t, serve(t, handler))
	out := b.invoke(t, b.call(message.Request{Method: method}))
	if out.Outcome != retry.Succeeded {
		t.Fatalf("the proxy answered %+v", out)
	}
	return out
}

func TestEveryMethodGoesUpstreamAsItIs(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "get"} {
		if got := sends(t, "", message.Request{Method: method}); got.Method != method {
			t.Errorf("%s became %s", method, got.Method)
		}
	}
}

func TestAPathGoesUpstreamWithItsEscapesAsTheyAre(t *testing.T) {
	for _, path := range []string{
		"/", "/orders", "/orders/", "//orders", "/orders//42", "///", "/a%2Fb", "/a%2fb/c", "/a%20b", "/a+b", "/%E6%9D%B1%E4%BA%AC",
		"/a;v=1/b", "/a:b@c", "/100%25", "/%2525", "/a,b", "/(a)", "/~a", "/%7Ea", "/a=b&c", "/a%3Fb", "/a%23b", "/!$'*", "/[1]", "/a.b",
		"/...", "/%2", "/caf%E9",
	} {
		want := path
		b := newBench(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.RequestURI != want {
				t.Errorf("%s became %s", want, r.RequestURI)
			}
		}))
		out := b.invoke(t, b.call(message.Request{Method: "GET", Path: path}))
		if path == "/%2" {
			if out.Error != retry.NotRetryable || out.Attempts[0].Error != retry.HTTPRequestError {
				t.Errorf("the malformed path %s was answered with %+v", path, out)
			}
		} else if out.StatusCode != 200 {
			t.Errorf("%s was answered with %+v", path, out)
		}
	}
}

func TestPathAndQueryAreJoinedToTheBaseURL(t *testing.T) {
	for _, c := range []struct{ base, path, query, want string }{
		{"", "/orders", "", "/orders"},
		{"/", "/orders", "", "/orders"},
		{"/v1", "/", "", "/v1/"},
		{"/v1", "/orders/42", "", "/v1/orders/42"},
		{"/v1/", "/orders", "", "/v1/orders"},
		{"/v1", "//orders", "", "/v1//orders"},
		{"/a%2Fb", "/c%2Fd", "", "/a%2Fb/c%2Fd"},
		{"/a b", "/c", "", "/a%20b/c"},
		{"", "/", "a=1&b=2&a=3", "/?a=1&b=2&a=3"},
		{"", "/", "q=%20%2B+%C3%A9&flag", "/?q=%20%2B+%C3%A9&flag"},
		{"", "/", "a=b?c/d", "/?a=b?c/d"},
	} {
		if got := sends(t, c.base, message.Request{Method: "GET", Path: c.path, Query: c.query}); got.URI != c.want {
			t.Errorf("%q joined with %q and %q is %q, want %q", c.base, c.path, c.query, got.URI, c.want)
		}
	}
}

func TestThePathNeverChangesTheHost(t *testing.T) {
	b := newBench(t, "https://api.example")
	for _, path := range []string{"//evil.example/a", "/@evil.example", "/\\evil.example", "/:80", "/?", "/#", "@evil.example", ":80", ".evil.example", "//evil.example", "http://evil.example"} {
		r := &message.Request{Method: "GET", Path: path}
		if b.forwarding.Refuse(r) != nil {
			continue
		}
		request, err := b.newRequest(context.Background(), r)
		if err != nil {
			continue
		}
		if request.URL.Host != "api.example" || request.Host != "api.example" {
			t.Errorf("the path %s leads to %s, %s", path, request.URL.Host, request.Host)
		}
	}
}

func TestHeaderFieldsGoUpstreamAndNoneIsMadeUp(t *testing.T) {
	got := sends(t, "", message.Request{Method: "GET", Headers: map[string]string{
		"accept":          "application/json, text/plain;q=0.5",
		"cookie":          "a=1; b=2",
		"x-repeated":      "one,two",
		"idempotency-key": `"k"`,
		"via":             "1.1 gateway",
		"x-empty":         "",
	}})
	want := http.Header{
		"Accept":          {"application/json, text/plain;q=0.5"},
		"Cookie":          {"a=1; b=2"},
		"X-Repeated":      {"one,two"},
		"Idempotency-Key": {`"k"`},
		"Via":             {"1.1 gateway"},
		"X-Empty":         {""},
	}
	if diff := cmp.Diff(want, got.Header); diff != "" {
		t.Errorf("other fields arrived (-want +got):\n%s", diff)
	}
}

func TestAUserAgentGoesUpstreamAsItIs(t *testing.T) {
	got := sends(t, "", message.Request{Method: "GET", Headers: map[string]string{"user-agent": "shop/1.0"}})
	if diff := cmp.Diff([]string{"shop/1.0"}, got.Header.Values("User-Agent")); diff != "" {
		t.Errorf("another User-Agent arrived (-want +got):\n%s", diff)
	}
}

func TestBodiesGoUpstreamByteByByte(t *testing.T) {
	random := make([]byte, 100<<10)
	rand.NewChaCha8([32]byte{2}).Read(random)
	for _, body := range []string{"", "text", `{"a":1}`, "\x00\xff\r\n", "é", string(random)} {
		request := message.Request{Method: "POST", Body: base64.StdEncoding.EncodeToString([]byte(body)), IsBase64Encoded: true}
		got := sends(t, "", request)
		if got.Body != body {
			t.Errorf("%d bytes became %d", len(body), len(got.Body))
		}
		if length := got.Header.Get("Content-Length"); length != fmt.Sprint(len(body)) {
			t.Errorf("%d bytes are announced as %s", len(body), length)
		}
	}
	if got := sends(t, "", message.Request{Method: "GET", Body: "even with GET"}); got.Body != "even with GET" {
		t.Errorf("the body of a GET became %q", got.Body)
	}
}

func TestBodiesComeBackByteByByte(t *testing.T) {
	random := make([]byte, 100<<10)
	rand.NewChaCha8([32]byte{3}).Read(random)
	for _, want := range []string{"", "text", "東京", "\x00\xff\r\n", string(random)} {
		out := answers(t, "GET", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, want) })
		if got, err := out.BodyBytes(); err != nil || string(got) != want {
			t.Errorf("%d bytes became %d, error %v", len(want), len(got), err)
		}
	}
}

func TestAnAnswerInChunksIsPutTogether(t *testing.T) {
	out := answers(t, "GET", func(w http.ResponseWriter, _ *http.Request) {
		for i := range 3 {
			fmt.Fprint(w, i)
			w.(http.Flusher).Flush()
		}
	})
	if out.Body != "012" || out.Headers["transfer-encoding"] != "" {
		t.Errorf("got %q, with the fields %v", out.Body, out.Headers)
	}
}

func TestCompressedBytesPassThroughAsTheyAre(t *testing.T) {
	var compressed bytes.Buffer
	writer := gzip.NewWriter(&compressed)
	io.WriteString(writer, strings.Repeat("hello ", 100))
	writer.Close()
	out := answers(t, "GET", func(w http.ResponseWriter, r *http.Request) {
		if accepted := r.Header.Get("Accept-Encoding"); accepted != "" {
			t.Errorf("the proxy made up Accept-Encoding: %s", accepted)
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(compressed.Bytes())
	})
	got, err := out.BodyBytes()
	if err != nil || !bytes.Equal(got, compressed.Bytes()) || out.Headers["content-encoding"] != "gzip" {
		t.Errorf("%d bytes became %d, in the encoding %q, error %v", compressed.Len(), len(got), out.Headers["content-encoding"], err)
	}
}

func TestFieldsOfTheAnswerComeBackExceptThoseOfTheConnection(t *testing.T) {
	b := newBench(t, "http://"+rawupstream.Listen(t, answer(strings.Join([]string{
		"HTTP/1.1 200 OK",
		"Content-Type: text/plain",
		"Content-Length: 5",
		`ETag: "v1"`,
		"Vary: Accept",
		"Vary: Origin",
		"Connection: X-Private",
		"Connection: X-Unused, x-other ,",
		"X-Private: a",
		"X-Other: b",
		"Keep-Alive: timeout=5",
		"Proxy-Connection: keep-alive",
		"Proxy-Authenticate: Basic",
		"Proxy-Authorization: Basic eA==",
		"TE: trailers",
		"Trailer: X-Sum",
		"Upgrade: h2c",
		"X-Kept: c",
		"Via: 1.1 origin",
		"", "hello",
	}, "\r\n"))))
	out := b.invoke(t, b.call(message.Request{Method: "GET"}))
	want := map[string]string{
		"content-type": "text/plain", "etag": `"v1"`, "vary": "Accept, Origin", "x-kept": "c", "via": "1.1 origin",
	}
	if diff := cmp.Diff(want, out.Headers); diff != "" {
		t.Errorf("other fields came back (-want +got):\n%s", diff)
	}
}

func TestEveryCookieComesBack(t *testing.T) {
	out := answers(t, "GET", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Set-Cookie", "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/")
		w.Header().Add("Set-Cookie", "b=2; HttpOnly")
	})
	want := []string{"a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/", "b=2; HttpOnly"}
	if diff := cmp.Diff(want, out.Cookies); diff != "" {
		t.Errorf("other cookies came back (-want +got):\n%s", diff)
	}
	if _, found := out.Headers["set-cookie"]; found {
		t.Error("the cookies are among the joined fields, too")
	}
}

func TestAnswersWithoutABody(t *testing.T) {
	for _, c := range []struct {
		method string
		status int
	}{{"HEAD", 200}, {"GET", 204}, {"GET", 304}, {"DELETE", 205}} {
		out := answers(t, c.method, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Etag", `"v1"`)
			w.WriteHeader(c.status)
		})
		if out.StatusCode != c.status || out.Body != "" || out.Headers["etag"] != `"v1"` {
			t.Errorf("%s with %d became %+v", c.method, c.status, out)
		}
	}
}

func TestARedirectIsHandedBackAndNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		requests := 0
		out := answers(t, "GET", func(w http.ResponseWriter, _ *http.Request) {
			requests++
			w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
			w.WriteHeader(status)
			io.WriteString(w, "over there")
		})
		if out.StatusCode != status || out.Headers["location"] != "http://127.0.0.1:1/elsewhere" || out.Body != "over there" || requests != 1 {
			t.Errorf("%d became %d to %s after %d requests", status, out.StatusCode, out.Headers["location"], requests)
		}
	}
}

func TestHTTP2IsSpokenWhereTheUpstreamDoes(t *testing.T) {
	var got sent
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = sent{r.Method, r.RequestURI, r.Proto, r.Header, string(body)}
		w.Header().Add("Set-Cookie", "a=1")
		io.WriteString(w, "hello")
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	b := newBench(t, server.URL+"/v1")
	b.trust(server)

	out := b.invoke(t, b.call(message.Request{Method: "PUT", Path: "/a%2Fb", Query: "q=1", Body: "payload", Headers: map[string]string{"accept": "*/*"}}))
	want := sent{"PUT", "/v1/a%2Fb?q=1", "HTTP/2.0", http.Header{"Accept": {"*/*"}, "Content-Length": {"7"}}, "payload"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("something else arrived (-want +got):\n%s", diff)
	}
	if out.StatusCode != 200 || out.Body != "hello" || !cmp.Equal(out.Cookies, []string{"a=1"}) || out.Protocol != "2.0" {
		t.Errorf("got %+v", out)
	}
}

func TestProxyVariablesOfTheEnvironmentAreNotLookedAt(t *testing.T) {
	if newTransport(nil, nil).Proxy != nil {
		t.Error("the transport asks for a proxy")
	}
}
