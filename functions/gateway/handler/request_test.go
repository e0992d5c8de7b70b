package handler

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// pseudonym is what the gateways in these tests call themselves in Via.
const pseudonym = "retrying-api-proxy-test"

func TestHeaderFieldsGoUpstreamExceptThoseForTheWayToTheGateway(t *testing.T) {
	for _, c := range []struct {
		name        string
		given, want map[string]string
	}{
		{"what the caller says to the upstream", map[string]string{
			"accept": "*/*", "content-type": "application/json", "user-agent": "shop/1.0", "x-api-key": "k", "idempotency-key": `"k"`,
			"if-none-match": `"v1"`, "range": "bytes=0-9", "traceparent": "00-0-0-00", "accept-encoding": "gzip", "origin": "https://shop.example",
			"authorization": "Bearer token", "x-many": "a, b,c", "x-empty": "", "x-tab": "a\tb",
		}, map[string]string{
			"accept": "*/*", "content-type": "application/json", "user-agent": "shop/1.0", "x-api-key": "k", "idempotency-key": `"k"`,
			"if-none-match": `"v1"`, "range": "bytes=0-9", "traceparent": "00-0-0-00", "accept-encoding": "gzip", "origin": "https://shop.example",
			"authorization": "Bearer token", "x-many": "a, b,c", "x-empty": "", "x-tab": "a\tb",
		}},
		{"the signature of the function URL", map[string]string{
			"authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260504/eu-central-1/lambda/aws4_request, SignedHeaders=host, Signature=00",
			"x-amz-date":    "20260504T080000Z", "x-amz-security-token": "t", "x-amz-content-sha256": "0", "X-Amz-Anything": "a",
		}, map[string]string{}},
		{"a signature of both kinds of keys", map[string]string{"authorization": "AWS4-ECDSA-P256-SHA256 Credential=A"}, map[string]string{}},
		{"another scheme", map[string]string{"authorization": "Basic QVdTNC0="}, map[string]string{"authorization": "Basic QVdTNC0="}},
		{"the way to the gateway", map[string]string{
			"host": "abc.lambda-url.eu-central-1.on.aws", "forwarded": "for=192.0.2.1", "x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https",
			"x-forwarded-port": "443", "x-forwarded-host": "a", "x-forwarded-prefix": "/a", "x-amzn-trace-id": "Root=1",
			"x-amzn-tls-version": "TLSv1.3", "x-amzn-tls-cipher-suite": "a", "x-amzn-requestid": "r",
		}, map[string]string{}},
		{"the connection", map[string]string{
			"connection": "close, X-Private,\tx-other ,", "x-private": "a", "x-other": "b", "x-kept": "c", "keep-alive": "timeout=5",
			"proxy-connection": "close", "proxy-authenticate": "Basic", "proxy-authorization": "Basic eA==", "te": "trailers",
			"trailer": "x-sum", "transfer-encoding": "chunked", "upgrade": "websocket", "content-length": "5", "expect": "100-continue",
		}, map[string]string{"x-kept": "c"}},
		{"names in any case", map[string]string{"Content-Type": "text/plain", "Transfer-Encoding": "chunked", "HOST": "a"}, map[string]string{"content-type": "text/plain"}},
	} {
		event := request("GET", "/")
		event.Headers = c.given
		got, refused := readRequest(&event, pseudonym)
		if refused != nil {
			t.Errorf("%s: refused: %s", c.name, refused.Detail)
			continue
		}
		c.want["via"] = "1.1 " + pseudonym
		if diff := cmp.Diff(c.want, got.Headers); diff != "" {
			t.Errorf("%s: other fields go upstream (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestCookiesGoUpstreamInOneField(t *testing.T) {
	event := request("GET", "/")
	event.Cookies = []string{"a=1", "b=2"}
	got, refused := readRequest(&event, pseudonym)
	if refused != nil || got.Headers["cookie"] != "a=1; b=2" {
		t.Errorf("got %+v, refused: %v", got, refused)
	}
}

func TestTheEventIsNotChanged(t *testing.T) {
	event := request("GET", "/", "connection", "x-private", "x-private", "a", "prefer", "wait=10")
	if _, refused := readRequest(&event, pseudonym); refused != nil {
		t.Fatal(refused.Detail)
	}
	want := map[string]string{"connection": "x-private", "x-private": "a", "prefer": "wait=10"}
	if diff := cmp.Diff(want, event.Headers); diff != "" {
		t.Errorf("the event's fields differ (-want +got):\n%s", diff)
	}
}

func TestViaNamesTheGatewayAfterThoseBefore(t *testing.T) {
	for _, c := range []struct{ protocol, via, want string }{
		{"HTTP/1.1", "", "1.1 " + pseudonym},
		{"HTTP/1.0", "", "1.0 " + pseudonym},
		{"HTTP/2.0", "1.1 cdn (edge), 1.1 other", "1.1 cdn (edge), 1.1 other, 2.0 " + pseudonym},
		{"", "", "1.1 " + pseudonym},
		{"HTTP/1 1", "", "1.1 " + pseudonym},
		{"HTTP/1.1", "1.1 " + pseudonym + "2", "1.1 " + pseudonym + "2, 1.1 " + pseudonym},
	} {
		event := request("GET", "/")
		event.RequestContext.HTTP.Protocol = c.protocol
		if c.via != "" {
			event.Headers["via"] = c.via
		}
		got, refused := readRequest(&event, pseudonym)
		if refused != nil || got.Headers["via"] != c.want {
			t.Errorf("%s, Via: %s: got %v, refused: %v", c.protocol, c.via, got, refused)
		}
	}
}

func TestARequestThatHasBeenHereIsALoop(t *testing.T) {
	engine := ends(ok)
	b := newBench(t, engine)
	for _, via := range []string{
		"1.1 " + b.pseudonym,
		"1.1 cdn, 2.0 " + b.pseudonym,
		"1.1 " + b.pseudonym + ", 1.1 other",
		"HTTP/1.1  " + b.pseudonym + " (comment)",
		"1.1 " + strings.ToUpper(b.pseudonym),
		"1.1 " + b.pseudonym + ":443",
	} {
		wantProblem(t, b.send(t, request("GET", "/", "via", via)), http.StatusLoopDetected, "loop-detected")
		wantProblem(t, b.send(t, request("GET", "/", "via", via, "connection", "via")), http.StatusLoopDetected, "loop-detected")
	}
	if len(engine.inputs) != 0 {
		t.Error("an execution was started")
	}
}

func TestMethodsThatAreTokensGoUpstream(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "M-SEARCH"} {
		event := request(method, "/")
		if got, refused := readRequest(&event, pseudonym); refused != nil || got.Method != method {
			t.Errorf("%s became %+v, refused: %v", method, got, refused)
		}
	}
}

func TestWhatCannotBeForwardedIsRefused(t *testing.T) {
	with := func(change func(*events.LambdaFunctionURLRequest)) events.LambdaFunctionURLRequest {
		event := request("GET", "/")
		change(&event)
		return event
	}
	query := func(query string) events.LambdaFunctionURLRequest {
		return with(func(e *events.LambdaFunctionURLRequest) { e.RawQueryString = query })
	}
	for what, event := range map[string]events.LambdaFunctionURLRequest{
		"no method":                       request("", "/"),
		"CONNECT":                         request("CONNECT", "/"),
		"a method that is two":            request("GET POST", "/"),
		"a method with a line break":      request("GET\r\nX: y", "/"),
		"a method that is not ASCII":      request("GÉT", "/"),
		"a line break in a field":         request("GET", "/", "x", "a\r\nx-injected: b"),
		"a line feed in a field":          request("GET", "/", "x", "a\nb"),
		"a NUL in a field":                request("GET", "/", "x", "a\x00b"),
		"a delete in a field":             request("GET", "/", "x", "a\x7f"),
		"a line break in a dropped field": request("GET", "/", "prefer", "wait=1\r\nx: y"),
		"a field without a name":          request("GET", "/", "", "a"),
		"a field with a colon in it":      request("GET", "/", "x:y", "a"),
		"a field with a space in it":      request("GET", "/", "x y", "a"),
		"a field with a line break in it": request("GET", "/", "x\r\ny", "a"),
		"a line break in a cookie": with(func(e *events.LambdaFunctionURLRequest) {
			e.Cookies = []string{"a=1", "b=2\r\nx-injected: c"}
		}),
		"a line break in the query":   query("a=1\r\nx: y"),
		"a space in the query":        query("a=1 HTTP/1.1"),
		"a fragment behind the query": query("a=1#b"),
	} {
		engine := ends(ok)
		d := wantProblem(t, newBench(t, engine).send(t, event), http.StatusBadRequest, "invalid-request")
		if len(engine.inputs) != 0 {
			t.Errorf("%s: an execution was started", what)
		}
		if strings.ContainsFunc(d.Detail, unicode.IsControl) {
			t.Errorf("%s: the problem holds control characters: %q", what, d.Detail)
		}
	}
}

func TestAPathIsForwardedAsItWasSent(t *testing.T) {
	for raw, want := range map[string]string{
		"":                       "/",
		"/":                      "/",
		"/orders/42":             "/orders/42",
		"/orders/":               "/orders/",
		"//a///b":                "//a///b",
		"/a%2Fb":                 "/a%2Fb",
		"/a%2fb":                 "/a%2fb",
		"/%7Euser":               "/%7Euser",
		"/a%20b":                 "/a%20b",
		"/a b":                   "/a%20b",
		"/a+b":                   "/a+b",
		"/東京":                    "/%E6%9D%B1%E4%BA%AC",
		"/%E6%9D%B1":             "/%E6%9D%B1",
		"/100%":                  "/100%25",
		"/100%25":                "/100%25",
		"/%zz/%2":                "/%25zz/%252",
		"/a?b#c":                 "/a%3Fb%23c",
		"/{id}|x":                "/%7Bid%7D%7Cx",
		"/a%2Fb|c":               "/a%2Fb%7Cc",
		"/a;v=1,2/(b)!$&'*:@=~_": "/a;v=1,2/(b)!$&'*:@=~_",
		"/[1]":                   "/[1]",
		"/.../..a/a../.a/a.":     "/.../..a/a../.a/a.",
		"/-/local/":              "/-/local/",
		"/%2525":                 "/%2525",
		"/\xff":                  "/%FF",
	} {
		event := request("GET", raw)
		got, refused := readRequest(&event, pseudonym)
		if refused != nil || got.Path != want {
			t.Errorf("%q became %+v, refused: %v; want %s", raw, got, refused, want)
		}
	}
}

func TestAPathThatSomeServerMayTakeForAnotherIsRefused(t *testing.T) {
	for why, paths := range map[string][]string{
		"dot segment": {
			"/.", "/..", "/../", "/a/../b", "/a/..", "/./a", "/a/./b", "/%2e%2e/a", "/%2E%2E/a", "/.%2e/a", "/%2e./a", "/%2e/a",
			"/a%2f..%2fb", "/a/..%2fb", "/..;/a", "/a/..;v=1/b", "/.;/a", "/%2e%2e%3b/a", "/%252e%252e/a", "/%252e%252e%252fa",
			"/%25252e%25252e/a", "/a%252f%252e%252e%252fb", "/%252e%252e/%25zz", "/%2e%2e/%zz", "/..%00/", "/..%2f..%2fetc",
		},
		"backslash":          {`/a\b`, `/..\..\a`, "/a%5cb", "/a%5Cb", "/..%5c..%5ca", "/a%255cb", "/%25255c"},
		"control characters": {"/a\nb", "/a%0ab", "/a%0d%0aX:%20y", "/%00", "/a%7f", "/a%250d%250ab", "/a\tb", "/a%09b"},
		"again and again":    {"/%25252525", "/%252525252e%252525252e/"},
		"with a slash":       {"a", "*", "http://elsewhere.example/", "@elsewhere.example", ".elsewhere.example", ":80", "%2Fa", "?a"},
	} {
		for _, raw := range paths {
			response := newBench(t, ends(ok)).send(t, request("GET", raw))
			d := wantProblem(t, response, http.StatusBadRequest, "invalid-request")
			if !strings.Contains(d.Detail, why) && raw != "/..%00/" {
				t.Errorf("%q is refused since it %s, want: %s", raw, d.Detail, why)
			}
		}
	}
}

var (
	escape     = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	wellFormed = regexp.MustCompile(`^/([A-Za-z0-9\-._~!$&'()*+,;=:@/\[\]]|%[0-9A-Fa-f]{2})*$`)
)

// unescapedOnce undoes the escapes of a text as a lenient server does.
func unescapedOnce(text string) string {
	return escape.ReplaceAllStringFunc(text, func(e string) string {
		c, err := url.PathUnescape(e)
		if err != nil {
			panic(err)
		}
		return c
	})
}

// staysBelow checks that a path, joined to a base URL, leads to nothing above it, whoever reads it.
func staysBelow(t *testing.T, raw, escaped string) {
	t.Helper()
	base, err := url.Parse("https://h/base")
	if err != nil {
		t.Fatal(err)
	}
	joined, err := url.Parse("https://h/base" + escaped)
	if err != nil {
		t.Fatalf("%q became %q, which is not a path: %v", raw, escaped, err)
	}
	if joined.Host != "h" || joined.User != nil || joined.RawQuery != "" || joined.Fragment != "" || joined.EscapedPath() != "/base"+escaped {
		t.Fatalf("%q became %q, and joined %s, %q", raw, escaped, joined, joined.EscapedPath())
	}
	texts := []string{base.ResolveReference(joined).Path}
	for text, next := joined.EscapedPath(), ""; ; text = next {
		texts = append(texts, text)
		if next = unescapedOnce(text); next == text {
			break
		}
	}
	for _, text := range texts {
		segments := strings.Split(strings.ReplaceAll(text, `\`, "/"), "/")
		for i, segment := range segments {
			segments[i], _, _ = strings.Cut(segment, ";")
		}
		if clean := path.Clean(strings.Join(segments, "/")); clean != "/base" && !strings.HasPrefix(clean, "/base/") {
			t.Fatalf("%q became %q, which some server may read as %s", raw, escaped, clean)
		}
	}
	if wellFormed.MatchString(raw) && escaped != raw {
		t.Fatalf("%q became %q", raw, escaped)
	}
}

func FuzzAPathThatIsForwardedStaysBelowTheBase(f *testing.F) {
	for _, seed := range []string{
		"/", "/a/b", "/a%2Fb", "/../a", "/%2e%2e/a", "/%252e%252e%252f", "/..;/a", `/..\a`, "//h2/a", "/%25%32%65/", "/a?b", "/é", "/%zz%2e%2e",
		"/.%2525252e/", "/a;b/..%3b/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		escaped := escapedPath(raw)
		if refusedPath(escaped) == "" {
			staysBelow(t, raw, escaped)
		}
	})
}

func FuzzARequestThatIsForwardedCanBeSent(f *testing.F) {
	f.Add("GET", "/a", "a=1", "accept", "*/*", "a=1")
	f.Add("POST", "/a%0a", "a=1\n", "x\r\n", "a\r\nb", "c\r\n")
	f.Add("CONNECT", "*", "#", "Connection", "via, close", "")
	f.Fuzz(func(t *testing.T, method, rawPath, query, name, value, cookie string) {
		event := request(method, rawPath, name, value)
		event.RawQueryString = query
		if cookie != "" {
			event.Cookies = []string{cookie}
		}
		got, refused := readRequest(&event, pseudonym)
		if refused != nil {
			if got != nil || refused.Detail == "" || strings.ContainsFunc(refused.Detail, unicode.IsControl) {
				t.Fatalf("refused with %q, and %+v", refused.Detail, got)
			}
			return
		}
		staysBelow(t, rawPath, got.Path)
		sendable(t, got)
	})
}

// sendable checks that a request can be written as HTTP without saying more than it does.
func sendable(t *testing.T, r *message.Request) {
	t.Helper()
	target := "https://h/base" + r.Path
	if r.Query != "" {
		target += "?" + r.Query
	}
	request, err := http.NewRequest(r.Method, target, nil)
	if err != nil {
		t.Fatalf("%+v cannot be sent: %v", r, err)
	}
	if r.Method == "" || request.URL.RawQuery != r.Query || request.URL.Fragment != "" {
		t.Fatalf("%+v is sent as %+v", r, request)
	}
	for name, value := range r.Headers {
		if name != strings.ToLower(name) || !message.IsToken(name) || hasControl(strings.ReplaceAll(value, "\t", "")) {
			t.Fatalf("the field %q is %q", name, value)
		}
		for _, prefix := range prefixesNotForwarded {
			if strings.HasPrefix(name, prefix) {
				t.Fatalf("the field %q goes upstream", name)
			}
		}
	}
	for _, name := range notForwarded {
		if _, found := r.Headers[name]; found {
			t.Fatalf("the field %q goes upstream", name)
		}
	}
	if !strings.HasSuffix(r.Headers["via"], " "+pseudonym) {
		t.Fatalf("Via is %q", r.Headers["via"])
	}
}

// Attack M10: in an event, what was not UTF-8 is a replacement character.
func TestFieldsThatAreNotUTF8AreRefused(t *testing.T) {
	for name, change := range map[string]func(*events.LambdaFunctionURLRequest){
		"a field":               func(e *events.LambdaFunctionURLRequest) { e.Headers["x-name"] = "caf\uFFFD" },
		"a field, byte by byte": func(e *events.LambdaFunctionURLRequest) { e.Headers["x-name"] = "caf\xe9" },
		"a cookie":              func(e *events.LambdaFunctionURLRequest) { e.Cookies = []string{"a=\uFFFD"} },
		"the query":             func(e *events.LambdaFunctionURLRequest) { e.RawQueryString = "q=\uFFFD" },
		"the path":              func(e *events.LambdaFunctionURLRequest) { e.RawPath = "/\uFFFD" },
		"a body":                func(e *events.LambdaFunctionURLRequest) { e.Body, e.IsBase64Encoded = "%", true },
	} {
		event := request("GET", "/")
		change(&event)
		if _, refused := readRequest(&event, pseudonym); refused == nil || refused.Status != 400 {
			t.Errorf("%s: refused is %+v", name, refused)
		}
	}
	event := request("GET", "/caf\u00e9", "x-name", "caf\u00e9")
	if got, refused := readRequest(&event, pseudonym); refused != nil || got.Headers["x-name"] != "café" || got.Path != "/caf%C3%A9" {
		t.Errorf("UTF-8 became %+v, refused: %v", got, refused)
	}
}

// Attack M7: a form of 200 KB was refused, because Lambda hands it over in base64.
func TestABodyThatIsTextTravelsAsText(t *testing.T) {
	for body, want := range map[string]string{"a=1&b=%20": "a=1&b=%20", "\x00": "AA==", "": ""} {
		event := request("POST", "/")
		event.Body, event.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(body)), true
		got, refused := readRequest(&event, pseudonym)
		if refused != nil || got.Body != want || got.IsBase64Encoded != (want != body) {
			t.Errorf("%q travels as %+v, refused: %v", body, got, refused)
		}
	}
}

// Attack M11, security 6.
func TestASignatureInTheQueryStaysHereAndIsNoPartOfTheRequest(t *testing.T) {
	b, engine := newRecordingBench(t, message.Response{StatusCode: 201})
	for i, signature := range []string{"X-Amz-Signature=aa&X-Amz-Date=1&X-Amz-Security-Token=SECRET&", "X-Amz-Signature=bb&X-Amz-Date=2&"} {
		event := keyed("k", "one")
		event.RawQueryString = signature + "page=2"
		response := b.send(t, event)
		if replayed := response.Headers["idempotent-replayed"] == "true"; response.StatusCode != 201 || replayed != (i == 1) {
			t.Errorf("answer %d is %d %s", i+1, response.StatusCode, response.Body)
		}
	}
	if got := engine.call(t).Request.Query; got != "page=2" {
		t.Errorf("the query upstream is %s", got)
	}
}

// Attack M9.
func TestAnAnswerWithoutATypeIsNotTakenForJSON(t *testing.T) {
	for status, want := range map[int]string{200: "application/octet-stream", 404: "application/octet-stream", 204: "", 304: ""} {
		b := newBench(t, ends(&message.Envelope{Outcome: retry.Succeeded, Response: message.Response{StatusCode: status}}))
		if got := b.send(t, request("GET", "/")).Headers["content-type"]; got != want {
			t.Errorf("%d has the type %q, want %q", status, got, want)
		}
	}
}
