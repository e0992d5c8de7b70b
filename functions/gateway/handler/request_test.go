package handler

import (
	"encoding/base64"
	"net/http"
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
		got, refused := readRequest(&event, pseudonym, message.Forwarding{})
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
	got, refused := readRequest(&event, pseudonym, message.Forwarding{})
	if refused != nil || got.Headers["cookie"] != "a=1; b=2" {
		t.Errorf("got %+v, refused: %v", got, refused)
	}
}

func TestTheEventIsNotChanged(t *testing.T) {
	event := request("GET", "/", "connection", "x-private", "x-private", "a", "prefer", "wait=10")
	if _, refused := readRequest(&event, pseudonym, message.Forwarding{}); refused != nil {
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
		got, refused := readRequest(&event, pseudonym, message.Forwarding{})
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
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "get", "M-SEARCH"} {
		event := request(method, "/")
		if got, refused := readRequest(&event, pseudonym, message.Forwarding{}); refused != nil || got.Method != method {
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
		"": "/", "/": "/", "/orders/": "/orders/", "//a///b": "//a///b", "/a%2Fb": "/a%2Fb", "/a b": "/a%20b", "/東京": "/%E6%9D%B1%E4%BA%AC", "/100%": "/100%25", "/\xff": "/%FF",
	} {
		event := request("GET", raw)
		got, refused := readRequest(&event, pseudonym, message.Forwarding{})
		if refused != nil || got.Path != want {
			t.Errorf("%q became %+v, refused: %v; want %s", raw, got, refused, want)
		}
	}
}

// Security 12.
func TestAPathThatSomeServerMayTakeForAnotherIsRefused(t *testing.T) {
	for why, paths := range map[string][]string{
		"dot segment":        {"/..", "/a/../b", "/%2e%2e/a", "/..;/a", "/%252e%252e/a", "/..%20/x", "/.. /x", "/..%ff", "/..%c2%a0", "/\uff0e\uff0e/x"},
		"UTF-8":              {"/%c0%ae%c0%ae/x", "/..%c0%afx", "/%e0%80%ae%e0%80%ae/x", "/%f0%80%80%ae/x", "/..%25c0%25afx", "/..%c1%9cx"},
		"backslash":          {`/a\b`, "/a%5cb"},
		"control characters": {"/a\nb", "/%00"},
		"again and again":    {"/%25252525"},
		"with a slash":       {"a", "*", "http://elsewhere.example/", "@elsewhere.example"},
	} {
		for _, raw := range paths {
			engine := ends(ok)
			response := newBench(t, engine).send(t, request("GET", raw))
			if d := wantProblem(t, response, http.StatusBadRequest, "invalid-request"); !strings.Contains(d.Detail, why) {
				t.Errorf("%q is refused since it %s, want: %s", raw, d.Detail, why)
			}
			if len(engine.inputs) != 0 {
				t.Errorf("%q: an execution was started", raw)
			}
		}
	}
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
		got, refused := readRequest(&event, pseudonym, message.Forwarding{})
		if refused != nil {
			if got != nil || refused.Detail == "" || strings.ContainsFunc(refused.Detail, unicode.IsControl) {
				t.Fatalf("refused with %q, and %+v", refused.Detail, got)
			}
			return
		}
		sendable(t, got)
	})
}

// isControl says whether a byte of a field ends it, or is not seen.
func isControl(r rune) bool { return r < ' ' || r == 0x7f }

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
		if name != strings.ToLower(name) || !message.IsToken(name) || strings.ContainsFunc(strings.ReplaceAll(value, "\t", ""), isControl) {
			t.Fatalf("the field %q is %q", name, value)
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
		if _, refused := readRequest(&event, pseudonym, message.Forwarding{}); refused == nil || refused.Status != 400 {
			t.Errorf("%s: refused is %+v", name, refused)
		}
	}
	event := request("GET", "/caf\u00e9", "x-name", "caf\u00e9")
	if got, refused := readRequest(&event, pseudonym, message.Forwarding{}); refused != nil || got.Headers["x-name"] != "café" || got.Path != "/caf%C3%A9" {
		t.Errorf("UTF-8 became %+v, refused: %v", got, refused)
	}
}

// Attack M7: a form of 200 KB was refused, because Lambda hands it over in base64.
func TestABodyThatIsTextTravelsAsText(t *testing.T) {
	for body, want := range map[string]string{"a=1&b=%20": "a=1&b=%20", "\x00": "AA==", "": ""} {
		event := request("POST", "/")
		event.Body, event.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(body)), true
		got, refused := readRequest(&event, pseudonym, message.Forwarding{})
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
