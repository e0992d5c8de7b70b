package handler

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/rawupstream"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// Security 15: whoever may invoke a proxy may have written its envelope.
func TestAProxyFiltersWhatAnEnvelopeBrings(t *testing.T) {
	got := sends(t, "/v1", message.Request{Method: "GET", Path: "/a", Query: "X-Amz-Signature=aa&X-Amz-Security-Token=SECRET&page=2", Headers: map[string]string{
		"accept": "*/*", "via": "1.1 gateway", "x-hop": "a",
		"Connection": "keep-alive, x-hop", "upgrade": "websocket", "Expect": "100-continue", "te": "trailers", "Transfer-Encoding": "chunked", "content-length": "99",
		"host": "elsewhere.example", "proxy-authorization": "Basic eA==", "keep-alive": "timeout=5", "trailer": "x", "forwarded": "for=192.0.2.1",
		"x-amz-security-token": "SECRET", "X-Amz-Date": "1", "x-amzn-oidc-identity": "root", "x-forwarded-for": "192.0.2.1", "x_forwarded_for": "192.0.2.1",
	}})
	if got.URI != "/v1/a?page=2" {
		t.Errorf("the target is %s", got.URI)
	}
	if diff := cmp.Diff(http.Header{"Accept": {"*/*"}, "Via": {"1.1 gateway"}}, got.Header); diff != "" {
		t.Errorf("other fields arrived (-want +got):\n%s", diff)
	}
}

func TestFilteringDoesNotChangeTheCall(t *testing.T) {
	b := newBench(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	in := b.call(message.Request{Method: "GET", Headers: map[string]string{"accept": "*/*", "upgrade": "websocket"}})
	out, err := b.Handle(t.Context(), in)
	if err != nil || len(in.Call.Request.Headers) != 2 || out.Call != in.Call {
		t.Errorf("the call became %+v, and its answer is %+v, %v", in.Call, out, err)
	}
}

func TestARequestThatMayNotGoUpstreamIsNotSent(t *testing.T) {
	for what, c := range map[string]struct {
		request message.Request
		kind    retry.ErrorType
	}{
		"a dot segment":                  {message.Request{Method: "GET", Path: "/../../admin"}, retry.HTTPRequestError},
		"an escaped one":                 {message.Request{Method: "GET", Path: "/%2e%2e/admin"}, retry.HTTPRequestError},
		"an overlong one":                {message.Request{Method: "GET", Path: "/..%c0%afadmin"}, retry.HTTPRequestError},
		"a padded one":                   {message.Request{Method: "GET", Path: "/..%20/admin"}, retry.HTTPRequestError},
		"a backslash":                    {message.Request{Method: "GET", Path: `/..%5cadmin`}, retry.HTTPRequestError},
		"another host":                   {message.Request{Method: "GET", Path: "@elsewhere.example/"}, retry.HTTPRequestError},
		"a whole URL":                    {message.Request{Method: "GET", Path: "http://elsewhere.example/"}, retry.HTTPRequestError},
		"a path that is not escaped":     {message.Request{Method: "GET", Path: "/a b"}, retry.HTTPRequestError},
		"a method that is no token":      {message.Request{Method: "GET /admin HTTP/1.1\r\nX: y\r\n\r\nGET", Path: "/"}, retry.HTTPRequestError},
		"no method":                      {message.Request{Path: "/"}, retry.HTTPRequestError},
		"CONNECT":                        {message.Request{Method: "CONNECT", Path: "/"}, retry.HTTPRequestError},
		"a query with a line break":      {message.Request{Method: "GET", Path: "/", Query: "a=1 HTTP/1.1\r\nX: y"}, retry.HTTPRequestError},
		"a field with a line break":      {message.Request{Method: "GET", Path: "/", Headers: map[string]string{"x": "a\r\ny: b"}}, retry.HTTPRequestError},
		"a name with a line break":       {message.Request{Method: "GET", Path: "/", Headers: map[string]string{"x: a\r\ny": "b"}}, retry.HTTPRequestError},
		"TRACE":                          {message.Request{Method: "TRACE", Path: "/orders"}, retry.HTTPRequestDenied},
		"a method that is not allowed":   {message.Request{Method: "DELETE", Path: "/orders"}, retry.HTTPRequestDenied},
		"a path that is not allowed":     {message.Request{Method: "GET", Path: "/admin"}, retry.HTTPRequestDenied},
		"a method by way of a field":     {message.Request{Method: "GET", Path: "/orders", Headers: map[string]string{"x-http-method-override": "DELETE"}}, retry.HTTPRequestDenied},
		"a path by way of another field": {message.Request{Method: "GET", Path: "/orders", Headers: map[string]string{"x-original-url": "/admin"}}, retry.HTTPRequestDenied},
	} {
		b := newBench(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			t.Errorf("%s: %s %s was sent", what, r.Method, r.RequestURI)
		})+"/v1")
		if c.kind == retry.HTTPRequestDenied {
			b.forwarding = allowing(t, "GET", "/orders")
		}
		out := b.invoke(t, b.call(c.request))
		if len(out.Attempts) != 1 {
			t.Errorf("%s: %+v", what, out)
			continue
		}
		attempt := out.Attempts[0]
		if out.Outcome != retry.Failed || out.Error != retry.NotRetryable || attempt.Error != c.kind || attempt.MaybeProcessed || attempt.Details == "" {
			t.Errorf("%s: %+v, after %+v; want %s", what, out, attempt, c.kind)
		}
	}
}

// allowing is what an environment with these two variables allows.
func allowing(t testing.TB, methods, paths string) message.Forwarding {
	t.Helper()
	f, err := message.ForwardingFrom(environment(map[string]string{"UPSTREAM_ALLOWED_METHODS": methods, "UPSTREAM_ALLOWED_PATHS": paths}))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Security 14.
func TestAnUpstreamCannotSpeakForOthers(t *testing.T) {
	b := newBench(t, "http://"+rawupstream.Listen(t, answer(strings.Join([]string{
		"HTTP/1.1 200 OK",
		"Content-Length: 0",
		"X-Amzn-RequestId: forged",
		"x-amzn-requestid: forged again",
		"X-Amzn-Trace-Id: Root=1",
		"X-Amzn-ErrorType: AccessDeniedException",
		"X-Amz-Function-Error: Unhandled",
		"X-Amzn-Remapped-Date: now",
		"x-amzn-remapped-www-authenticate: Basic",
		"Idempotent-Replayed: true",
		"Preference-Applied: wait=600",
		"Preference-Applied: return=minimal",
		"Proxy-Status: cdn; received-status=200",
		"Proxy-Status: proxy-9; received-status=500",
		"X-Kept: c",
		"", "",
	}, "\r\n"))))
	out := b.invoke(t, b.call(message.Request{Method: "GET"}))
	want := map[string]string{"preference-applied": "return=minimal", "proxy-status": "cdn;received-status=200", "x-kept": "c"}
	if diff := cmp.Diff(want, out.Headers); diff != "" {
		t.Errorf("other fields came back (-want +got):\n%s", diff)
	}
}

// How servers that are wrong in one way or another spell a dot, a slash, and what they leave out, in the bytes of a path
// that is unescaped so and so often.
const (
	aDot   = `(?:\.|\xc0[\x2e\x6e\xae\xee]|\xe0\x80\xae|\xf0\x80\x80\xae|\xf8\x80\x80\x80\xae|\xfc\x80\x80\x80\x80\xae|\xef\xbc\x8e|\xef\xb9\x92|\xe2\x80\xa4|%u002[eE]|%u[fF][fF]0[eE])`
	aSlash = `(?:[/\\]|\xc0[\x2f\x6f\xaf\xef]|\xe0\x80\xaf|\xf0\x80\x80\xaf|\xf8\x80\x80\x80\xaf|\xc1[\x1c\x5c\x9c\xdc]|\xef\xbc\x8f|\xef\xbc\xbc|\xe2\x88\x95|\xe2\x81\x84|%u002[fF]|%u2215)`
	aBlank = `(?:[\x00-\x20\x7f+\xfe\xff]|\xc2\xa0|\xc2\xad|\xe2\x80[\x80-\x8f]|\xe3\x80\x80|\xef\xbb\xbf)`
)

var (
	climbing   = regexp.MustCompile(`(?s:(?:^|` + aSlash + `)` + aBlank + `*` + aDot + aBlank + `*(?:` + aDot + aBlank + `*)?(?:[;?#]|$|` + aSlash + `))`)
	escaped    = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	wellFormed = regexp.MustCompile(`^/([A-Za-z0-9\-._~!$&'()*+,;=:@/\[\]]|%[0-9A-Fa-f]{2})*$`)
)

// latin1 has a character for each byte, since regular expressions are of characters.
func latin1(text string) string {
	characters := make([]rune, len(text))
	for i := range len(text) {
		characters[i] = rune(text[i])
	}
	return string(characters)
}

// bytesOf undoes the escapes of a text, once, as a lenient server does.
func bytesOf(text string) string {
	return escaped.ReplaceAllStringFunc(text, func(e string) string {
		var c byte
		if _, err := fmt.Sscanf(e, "%%%02X", &c); err != nil {
			panic(err)
		}
		return string([]byte{c})
	})
}

func TestTheLenientServerClimbs(t *testing.T) {
	for _, path := range []string{"/..", "/../a", "/a/%2e%2e/b", "/..%c0%afx", "/%c0%ae%c0%ae/x", "/..%20/x", "/..%ff/x", "/..%ef%bc%8fx", "/..%c1%9cx", "/%u002e%u002e/x"} {
		if !climbing.MatchString(latin1(bytesOf(path))) {
			t.Errorf("%s climbs nowhere", path)
		}
	}
	for _, path := range []string{"/", "/a", "/a..b", "/...", "/..a/b", "/caf%c3%a9/x"} {
		if climbing.MatchString(latin1(bytesOf(path))) {
			t.Errorf("%s climbs", path)
		}
	}
}

// What is forwarded leads below the base URL for a server that goes by the book, and for one that is lenient in all that
// it can be.
func FuzzWhatIsJoinedStaysBelowTheBaseURL(f *testing.F) {
	for _, seed := range [][2]string{
		{"/", ""}, {"/a/b", "a=1"}, {"/a%2Fb", ""}, {"/../a", ""}, {"/%2e%2e/a", ""}, {"/%252e%252e%252f", ""}, {"/..;/a", ""}, {`/..\a`, ""}, {"//h2/a", ""}, {"/%25%32%65/", ""},
		{"/a?b", ""}, {"/é", "é"}, {"/%zz%2e%2e", ""}, {"/.%2525252e/", ""}, {"/a;b/..%3b/", ""}, {"/%c0%ae%c0%ae/x", ""}, {"/..%c0%afx", "a#b"}, {"/%f0%80%80%ae/", ""}, {"/..%20/", ""},
		{"/..%ff/", ""}, {"/..%c2%a0/", "X-Amz-Signature=a"}, {"/..%25c0%25af", ""}, {"/．．/", ""}, {"/%u002e%u002e/", ""}, {"@h2/", ""}, {":80", ""}, {"http://h2/", ""}, {"/..%3f", ""}, {"/%c0%a52e/", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	for _, seed := range []string{"/orders", "/orders/5", "/%6Frders/5", "/orders%2F5", "/%256Frders", "/orders//..a", "/orders%3f"} {
		f.Add(seed, "")
	}
	base, err := url.Parse("https://h/base/path")
	if err != nil {
		f.Fatal(err)
	}
	limited := allowing(f, "", "/orders")
	f.Fuzz(func(t *testing.T, raw, query string) {
		r := &message.Request{Method: "GET", Path: message.EscapedPath(raw), Query: query}
		if wellFormed.MatchString(raw) && r.Path != raw {
			t.Fatalf("%q became %q", raw, r.Path)
		}
		p := newProxy(settings{baseURL: base}, Dependencies{})
		if p.forwarding.Refuse(r) != nil {
			return
		}
		request, err := p.newRequest(context.Background(), r)
		if err != nil {
			t.Fatalf("%q became %q, which cannot be sent: %v", raw, r.Path, err)
		}
		target := request.URL
		if target.Host != "h" || request.Host != "h" || target.User != nil || target.Scheme != "https" || target.Fragment != "" {
			t.Fatalf("%q leads to %s", raw, target)
		}
		if target.EscapedPath() != "/base/path"+r.Path || target.RequestURI() != "/base/path"+r.Path && !strings.HasPrefix(target.RequestURI(), "/base/path"+r.Path+"?") {
			t.Fatalf("%q is asked for as %s", raw, target.RequestURI())
		}
		strict, err := url.Parse("https://h" + target.RequestURI())
		if err != nil {
			t.Fatalf("%q is asked for as %s: %v", raw, target.RequestURI(), err)
		}
		if resolved := base.ResolveReference(strict); resolved.Host != "h" || !strings.HasPrefix(resolved.EscapedPath(), "/base/path/") {
			t.Fatalf("%q is asked for as %s, which is %s", raw, target.RequestURI(), resolved)
		}
		for text, next := r.Path, ""; ; text = next {
			if found := climbing.FindString(latin1(text)); found != "" {
				t.Fatalf("%q is asked for as %s, which some server reads with %q in it", raw, target.RequestURI(), found)
			}
			if next = bytesOf(text); next == text {
				break
			}
			if limited.Refuse(r) == nil && next != "/orders" && !strings.HasPrefix(next, "/orders/") {
				t.Fatalf("%q is below /orders, and read as %s", raw, next)
			}
		}
	})
}
