package stack_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// An arrival is a request as it came in at the upstream, byte by byte.
type arrival struct {
	Line   string
	Fields textproto.MIMEHeader
	Body   string
	Rest   string // what came on the same connection behind it
}

// A watcher is an upstream that looks at bytes, keeps what arrives by its X-Case, and answers each request with 200.
type watcher struct {
	URL string

	mu       sync.Mutex
	arrivals map[string][]arrival
	reading  sync.WaitGroup
}

func watch(t testing.TB) *watcher {
	t.Helper()
	listener := listen(t)
	t.Cleanup(func() { listener.Close() })
	w := &watcher{URL: "http://" + listener.Addr().String(), arrivals: map[string][]arrival{}}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			w.reading.Add(1)
			go func() {
				defer w.reading.Done()
				defer connection.Close()
				w.read(connection)
			}()
		}
	}()
	return w
}

func (w *watcher) read(connection net.Conn) {
	reader := textproto.NewReader(bufio.NewReader(connection))
	var a arrival
	var err error
	if a.Line, err = reader.ReadLine(); err != nil {
		return
	}
	a.Fields, _ = reader.ReadMIMEHeader()
	length, _ := strconv.Atoi(a.Fields.Get("Content-Length"))
	body := make([]byte, length)
	_, _ = io.ReadFull(reader.R, body)
	a.Body = string(body)
	_, _ = io.WriteString(connection, allRight)
	rest, _ := io.ReadAll(reader.R) // until the proxy closes the connection
	a.Rest = string(rest)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrivals[a.Fields.Get("X-Case")] = append(w.arrivals[a.Fields.Get("X-Case")], a)
}

// came returns what has arrived, all of it read.
func (w *watcher) came() map[string][]arrival {
	w.reading.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.arrivals)
}

// A hostile request is what is written to the function URL, and what must come of it.
type hostile struct {
	name  string
	bytes string
	want  consequence
}

// A consequence is what must come of a request.
type consequence struct {
	// status is that of the answer, and problem its type, if it is the gateway's own. Any status from 400 will do if
	// neither is given: then the URL is to refuse it.
	status  int
	problem string

	// line is the request line that arrives upstream. Empty means that nothing arrives.
	line string

	// fields are some that arrive, with their values joined by commas. Those with an empty value must not arrive.
	fields map[string]string

	// body is what arrives, if something does.
	body string
}

// refusedWith is the consequence of a request that the gateway refuses.
func refusedWith(status int, problem string) consequence {
	return consequence{status: status, problem: problem}
}

// refusedByTheURL is the consequence of what is no request.
var refusedByTheURL = consequence{}

// invalid is the consequence of most.
var invalid = refusedWith(400, "invalid-request")

// arrives is the consequence of a request that is forwarded.
func arrives(line string, fields ...string) consequence {
	f := consequence{status: 200, line: line + " HTTP/1.1", fields: map[string]string{}}
	for i := 0; i < len(fields); i += 2 {
		f.fields[fields[i]] = fields[i+1]
	}
	return f
}

// with is a consequence with a body that arrives.
func (f consequence) with(body string) consequence {
	f.body = body
	return f
}

// withFields writes a request with a method and a target, and lines of its header section.
func withFields(method, target string, lines ...string) string {
	return method + " " + target + " HTTP/1.1\r\nHost: url.example\r\n" + strings.Join(append(lines, "", ""), "\r\n")
}

// hostileRequests lists them by kind. The upstream's base URL has the path /base.
func hostileRequests() []hostile {
	var all []hostile
	add := func(name, bytes string, want consequence) { all = append(all, hostile{name, bytes, want}) }

	for _, path := range refusedPaths {
		add("path "+path, withFields("GET", path), invalid)
	}
	for _, path := range pathsThatAreNone {
		add("path "+path, withFields("GET", path), refusedByTheURL)
	}
	for path, target := range forwardedPaths {
		add("path "+path, withFields("GET", path), arrives("GET /base"+target))
	}
	for query, forwarded := range forwardedQueries {
		add("query "+query, withFields("GET", "/q?"+query), arrives("GET /base/q"+forwarded))
	}
	for query, want := range refusedQueries {
		add("query "+query, withFields("GET", "/q?"+query), want)
	}
	for target, want := range oddTargets {
		add("target "+target, withFields("GET", target), want)
	}
	for method, want := range oddMethods {
		add("method "+method, withFields(method, "/m"), want)
	}
	for _, field := range fieldsThatStay {
		name, _, _ := strings.Cut(field, ":")
		add("field "+field, withFields("GET", "/f", field), arrives("GET /base/f", name, ""))
	}
	for lines, want := range fieldLines {
		add("fields "+lines, withFields("GET", "/f", lines), want)
	}
	for _, via := range foreignVias {
		add("Via: "+via, withFields("GET", "/v", "Via: "+via), arrives("GET /base/v"))
	}
	for line, cookie := range oddCookies {
		add("cookie "+line, withFields("GET", "/c", line), arrives("GET /base/c", "Cookie", cookie))
	}
	for bytes, want := range oddFramings {
		add("framing "+bytes, bytes, want)
	}
	return all
}

var refusedPaths = []string{
	// dot segments
	"/.", "/..", "/../", "/../x", "/a/../../x", "/a/..", "/./a", "/a/.", "/%2e%2e/x", "/%2E%2E/x", "/.%2e/x", "/%2e./x", "/%2e/x", "/a%2f..%2f..%2fx", "/..%2fx", "/..%2F..%2Fx", "/..;/x", "/..;v=1/x", "/%2e%2e%3b/x",
	"/%252e%252e/x", "/%252e%252e%252fx", "/%25252e%25252e/x", "/%25%32%65%25%32%65/x", "//../x", "/a//../x", "/..//x", "/%2e%2e", "/a/%2e%2e", "/..%3fx", "/..%23x",
	// backslashes
	`/..\x`, `/a\..\..\x`, `/\x`, "/..%5cx", "/..%5C..%5Cx", "/%5cx", "/..%255cx", "/%25255cx",
	// control characters
	"/%00", "/..%00/x", "/a%0d%0aX:%20y", "/%0a", "/%7f", "/%09", "/%250d%250aX:%20y", "/..%01/x", "/a%c0%8aX:%20y", "/a%c0%80b",
	// bytes that are not UTF-8 and are read as dots and slashes
	"/%c0%ae%c0%ae/x", "/%C0%AE%C0%AE/x", "/..%c0%afx", "/..%C0%AFx", "/%c0%ae/x", "/%c0%ae%c0%ae%c0%afx", "/%e0%80%ae%e0%80%ae/x", "/..%e0%80%afx", "/%f0%80%80%ae%f0%80%80%ae/x", "/..%f0%80%80%afx",
	"/%f8%80%80%80%ae%f8%80%80%80%ae/x", "/..%f8%80%80%80%afx", "/%fc%80%80%80%80%ae%fc%80%80%80%80%ae/x", "/..%fc%80%80%80%80%afx", "/..%c1%9cx", "/..%c1%9c..%c1%9cx", "/..%e0%81%9cx", "/..%25c0%25afx", "/%25c0%25ae%25c0%25ae/x",
	"/..%2525c0%2525afx", "/..%25c1%259cx", "/a%c0%afb", "/%c0%2e%c0%2e/x", "/..%c0%2fx", "/..%c0%5cx", "/..%c1%1cx", "/%c0%a52e%c0%a52e/x", "/\xc0\xae\xc0\xae/x",
	// bytes that are left out
	"/..%ff", "/..%ff/x", "/%ff../x", "/.%ff./x", "/..%fe/x", "/..%80/x", "/..%c0/x", "/..%e2%80/x", "/..%25ff/x", "/..\xff/x",
	// segments of dots and spaces
	"/..%20/x", "/..%20", "/%20../x", "/.%20./x", "/..%2520/x", "/..+/x", "/...%20/x", "/.%20/x", "/..%20%20/x", "/..%c2%a0", "/..%c2%a0/x", "/..%C2%A0/x", "/..%e3%80%80/x", "/..%e2%80%83/x", "/..%e2%80%8b/x", "/.%e2%80%8d./x",
	"/..%ef%bb%bf/x", "/..%c2%ad/x", "/..%c2%85/x", "/..%e2%80%a8/x", "/..%e1%9a%80/x", "/..%cc%88/x", "/..%ef%b8%8f/x", "/..%25c2%25a0/x", "/..\u00a0/x", "/..\u3000/x",
	// look-alikes
	"/\uff0e\uff0e/x", "/%ef%bc%8e%ef%bc%8e/x", "/..%ef%bc%8fx", "/..\uff0fx", "/..%ef%bc%bcx", "/%e2%80%a4%e2%80%a4/x", "/%e2%80%a5/x", "/%ef%b9%92%ef%b9%92/x", "/..%e2%88%95x", "/..%e2%81%84x", "/..%e2%a7%b8x", "/..%e2%88%96x",
	"/%e2%88%99%e2%88%99/x", "/%e2%8b%85%e2%8b%85/x", "/%e3%80%82%e3%80%82/x", "/%ef%bd%a1%ef%bd%a1/x", "/..%c2%a5x", "/%ef%bc%852e%ef%bc%852e/x", "/%25ef%25bc%258e%25ef%25bc%258e/x",
	// other escapes, behind one that is right
	"/%25u002e%25u002e/x", "/..%25u002fx", "/..%25u2215x", "/%25uff0e%25uff0e/x", "/..%25c1%25pcx", "/..%25c0%25qfx",
	// without end
	"/%25252525", "/%252525252e%252525252e/x",
}

var pathsThatAreNone = []string{
	"/%zz", "/%", "/a%2", "/%u002e%u002e/x", "/..%u2215x", "/..%c1%pcx", "/..%c0%qfx", "/%%32%65/x", "/a\tb", "/a\x00b", "/a\x7fb", "/a b", "/a\x01b", "/a\rb",
}

// forwardedPaths are harmless, and arrive as they are given here.
var forwardedPaths = map[string]string{
	"/":                                     "/",
	"//":                                    "//",
	"//elsewhere.example/a":                 "//elsewhere.example/a",
	"/a//b":                                 "/a//b",
	"/...":                                  "/...",
	"/.../x":                                "/.../x",
	"/..a":                                  "/..a",
	"/a..":                                  "/a..",
	"/a..b":                                 "/a..b",
	"/.well-known/x":                        "/.well-known/x",
	"/compare/v1...v2":                      "/compare/v1...v2",
	"/Mr.%20X":                              "/Mr.%20X",
	"/..%20x":                               "/..%20x",
	"/%20":                                  "/%20",
	"/a+b":                                  "/a+b",
	"/c++":                                  "/c++",
	"/%C2%A0":                               "/%C2%A0",
	"/a%2Fb":                                "/a%2Fb",
	"/a%2fb":                                "/a%2fb",
	"/a%252Fb":                              "/a%252Fb",
	"/100%25":                               "/100%25",
	"/50%25off":                             "/50%25off",
	"/a;v=1":                                "/a;v=1",
	"/a;..":                                 "/a;..",
	"/a%3Fb":                                "/a%3Fb",
	"/a#b":                                  "/a%23b",
	"/@elsewhere.example":                   "/@elsewhere.example",
	"/:80":                                  "/:80",
	"/http://elsewhere.example/":            "/http://elsewhere.example/",
	"/caf%E9":                               "/caf%E9",
	"/%FF":                                  "/%FF",
	"/%B1%E8":                               "/%B1%E8",
	"/%E6%9D%B1%E4%BA%AC":                   "/%E6%9D%B1%E4%BA%AC",
	"/\u6771\u4eac":                         "/%E6%9D%B1%E4%BA%AC",
	"/\uff0e.txt":                           "/%EF%BC%8E.txt",
	"/%EF%BC%A1%EF%BC%A3%EF%BC%8F%EF%BC%A4": "/%EF%BC%A1%EF%BC%A3%EF%BC%8F%EF%BC%A4",
	"/%E2%80%A6and":                         "/%E2%80%A6and",
	"/%E2%80%8B":                            "/%E2%80%8B",
	"/%F0%9F%91%A9%E2%80%8D%F0%9F%91%A7":    "/%F0%9F%91%A9%E2%80%8D%F0%9F%91%A7",
	"/%D9%A0":                               "/%D9%A0",
	"/-/local/":                             "/-/local/",
	"/{id}|x":                               "/%7Bid%7D%7Cx",
	`/"`:                                    "/%22",
	"/<a>":                                  "/%3Ca%3E",
	"/[1]":                                  "/[1]",
	"/" + strings.Repeat("a", 8000):         "/" + strings.Repeat("a", 8000),
}

var forwardedQueries = map[string]string{
	"a=%0d%0aX:%20y":              "?a=%0d%0aX:%20y",
	"a=%00":                       "?a=%00",
	"a=../../x":                   "?a=../../x",
	"a=b?c/d":                     "?a=b?c/d",
	"a=1&a=2&&=":                  "?a=1&a=2&&=",
	"a=%zz":                       "?a=%zz",
	"a=%E9":                       "?a=%E9",
	"a=\u6771":                    "?a=\u6771",
	"url=http://169.254.169.254/": "?url=http://169.254.169.254/",
	"":                            "",
	"X-Amz-Signature=aa&X-Amz-Security-Token=SECRET&x-amz-date=1&page=2": "?page=2",
	"X-Amz-Signature=aa&X-Amz-Credential=A/20260504/s3/s3/aws4_request":  "?X-Amz-Signature=aa&X-Amz-Credential=A/20260504/s3/s3/aws4_request",
	"x-amz-si%67nature=aa&X-Amz-Signature=bb":                            "",
}

var refusedQueries = map[string]consequence{
	"a=1#b":    invalid,
	"a=\xff":   invalid,
	"a=\x00":   refusedByTheURL,
	"a=\x01":   refusedByTheURL,
	"a= b":     refusedByTheURL,
	"a=\rX: y": refusedByTheURL,
	"a=\x7f":   refusedByTheURL,
	"a=\ufffd": invalid,
}

var oddTargets = map[string]consequence{
	"http://elsewhere.example/t":        arrives("GET /base/t"),
	"http://169.254.169.254/t":          arrives("GET /base/t"),
	"https://user@elsewhere.example/t":  arrives("GET /base/t"),
	"http://elsewhere.example/../t":     invalid,
	"http://elsewhere.example/%2e%2e/t": invalid,
	"http://elsewhere.example":          arrives("GET /base/"),
	"http:/t":                           arrives("GET /base/t"),
	"ftp://elsewhere.example/t":         arrives("GET /base/t"),
	"*":                                 refusedByTheURL,
	"t":                                 refusedByTheURL,
	"@elsewhere.example/t":              refusedByTheURL,
	":80/t":                             refusedByTheURL,
	"elsewhere.example:80":              arrives("GET /base/"),
	"?t":                                refusedByTheURL,
	"#t":                                refusedByTheURL,
	"":                                  refusedByTheURL,
	"http://[::1/t":                     refusedByTheURL,
	`http:\\elsewhere.example\t`:        arrives("GET /base/"),
}

var oddMethods = map[string]consequence{
	"TRACE":                   refusedWith(405, "method-not-allowed"),
	"trace":                   refusedWith(405, "method-not-allowed"),
	"Trace":                   refusedWith(405, "method-not-allowed"),
	"connect":                 invalid,
	"CONNECT":                 invalid,
	"get":                     arrives("get /base/m"),
	"PROPFIND":                arrives("PROPFIND /base/m"),
	"M-SEARCH":                arrives("M-SEARCH /base/m"),
	"PRI":                     arrives("PRI /base/m"),
	"!#$%&'*+-.^_`|~":         arrives("!#$%&'*+-.^_`|~ /base/m"),
	strings.Repeat("A", 1000): arrives(strings.Repeat("A", 1000) + " /base/m"),
	"":                        refusedByTheURL,
	"G\u00c9T":                refusedByTheURL,
	"GET\x00":                 refusedByTheURL,
	"GET/":                    refusedByTheURL,
	"GE(T":                    refusedByTheURL,
	"GET\tX":                  refusedByTheURL,
	"GET /x HTTP/1.1\r\nX:":   arrives("GET /base/x"),
	"GET /x":                  refusedByTheURL,
	"GET\xff":                 refusedByTheURL,
	" GET":                    refusedByTheURL,
}

// fieldsThatStay are fields that must not arrive.
var fieldsThatStay = []string{
	"Connection: keep-alive", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "Proxy-Authenticate: Basic", "Proxy-Authorization: Basic eA==", "TE: trailers", "Upgrade: websocket", "Expect: 100-continue",
	"Forwarded: for=192.0.2.1", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: elsewhere.example", "X-Forwarded-Proto: https", "X-Forwarded-Prefix: /x", "X-Forwarded-Anything: a", "x-forwarded-for: 127.0.0.1",
	"X_Forwarded_For: 127.0.0.1", "X-Forwarded_For: 127.0.0.1",
	"X-Amz-Date: 1", "X-Amz-Security-Token: t", "X-Amz-Content-Sha256: 0", "X-Amz-Target: a", "X-Amz-Meta-A: a", "X-Amz-Cf-Id: a", "x_amz_security_token: t",
	"X-Amzn-Trace-Id: Root=1", "X-Amzn-Requestid: r", "X-Amzn-Tls-Version: a", "X-Amzn-Oidc-Identity: root", "X-Amzn-Oidc-Data: a", "X-Amzn-Oidc-Accesstoken: a", "x-amzn-anything: a", "X_Amzn_Oidc_Identity: root", "X-AMZN-OIDC-IDENTITY: root",
	"Authorization: AWS4-HMAC-SHA256 Credential=A/20260504/eu-central-1/lambda/aws4_request, SignedHeaders=host, Signature=00",
}

// fieldLines are lines of a header section, and what comes of them.
var fieldLines = map[string]consequence{
	"Connection: X-Private\r\nX-Private: a":                  arrives("GET /base/f", "X-Private", ""),
	"Connection: close, x-private\r\nX-Private: a":           arrives("GET /base/f", "X-Private", ""),
	"Connection: X-A\r\nConnection: X-B\r\nX-A: a\r\nX-B: b": arrives("GET /base/f", "X-A", "", "X-B", ""),
	"Connection: Authorization\r\nAuthorization: Bearer t":   arrives("GET /base/f", "Authorization", ""),
	"Connection: Host": arrives("GET /base/f"),
	"Connection: Via":  arrives("GET /base/f"),
	"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: Upgrade, HTTP2-Settings": arrives("GET /base/f", "Upgrade", "", "Http2-Settings", ""),
	"Authorization: Bearer t":                     arrives("GET /base/f", "Authorization", "Bearer t"),
	"X-Http-Method-Override: DELETE":              arrives("GET /base/f", "X-Http-Method-Override", "DELETE"),
	"X-Http-Method-Override: TRACE":               refusedWith(405, "method-not-allowed"),
	"X-HTTP-Method: trace":                        refusedWith(405, "method-not-allowed"),
	"X_Method_Override: TRACE":                    refusedWith(405, "method-not-allowed"),
	"X-Original-Url: /x":                          arrives("GET /base/f", "X-Original-Url", "/x"),
	"X-Name: caf\u00e9":                           arrives("GET /base/f", "X-Name", "caf\u00e9"),
	"X-Name: caf\xe9":                             invalid,
	"X-Name: \ufffd":                              invalid,
	"X-Name: a\tb":                                arrives("GET /base/f", "X-Name", "a\tb"),
	"X-Name: a\x00b":                              refusedByTheURL,
	"X-Name: a\x01b":                              refusedByTheURL,
	"X-Name: a\x7fb":                              refusedByTheURL,
	"X-Name: a\rX-Injected: b":                    refusedByTheURL,
	"X-Name: a\n X-Injected: b":                   arrives("GET /base/f", "X-Injected", ""),
	"X-Name: a\r\n\tb":                            arrives("GET /base/f", "X-Name", "a b"),
	"X Name: a":                                   refusedByTheURL,
	"X-Name : a":                                  refusedByTheURL,
	" X-Name: a":                                  refusedByTheURL,
	": a":                                         refusedByTheURL,
	"X-Name":                                      refusedByTheURL,
	"X(Name: a":                                   refusedByTheURL,
	"X\u00d6: a":                                  refusedByTheURL,
	"X\x00: a":                                    refusedByTheURL,
	"Host: elsewhere.example":                     refusedByTheURL,
	"X-Long: " + strings.Repeat("x", 20_000):      arrives("GET /base/f", "X-Long", strings.Repeat("x", 20_000)),
	"User-Agent: a\r\nUser-Agent: b":              arrives("GET /base/f", "User-Agent", "a,b"),
	"Accept-Encoding: gzip":                       arrives("GET /base/f", "Accept-Encoding", "gzip"),
	"Range: bytes=0-":                             arrives("GET /base/f", "Range", "bytes=0-"),
	"Idempotency-Key: a, b":                       refusedWith(400, "idempotency-key-malformed"),
	"Idempotency-Key: ":                           refusedWith(400, "idempotency-key-malformed"),
	"Idempotency-Key: a\r\nIdempotency-Key: b":    refusedWith(400, "idempotency-key-malformed"),
	"Prefer: wait=0, attempts=-1, return=minimal": arrives("GET /base/f", "Prefer", "return=minimal"),
	"Prefer: wait=99999999999999999999":           arrives("GET /base/f", "Prefer", ""),
	"Max-Forwards: 0":                             arrives("GET /base/f", "Max-Forwards", "0"),
	"Traceparent: 00-0-0-00":                      arrives("GET /base/f", "Traceparent", "00-0-0-00"),
}

// foreignVias name other proxies, or nobody.
var foreignVias = []string{"1.1 other", "1.1 cdn (edge), 1.0 fred", "garbage", ",,,", "1.1", "1.1 retrying-api-proxy-0000000000", strings.Repeat("1.1 a, ", 500) + "1.1 b"}

// loops are requests that have been here before, by the Via that the upstream was sent.
func loops(via string) []hostile {
	_, name, _ := strings.Cut(via, " ")
	var all []hostile
	for _, field := range []string{
		via, "1.1 other, " + via, via + ", 1.1 other", "1.1 " + strings.ToUpper(name), "1.1 " + name + ":443", "HTTP/1.1  " + name + " (comment)", "1.1 other\r\nVia: " + via,
	} {
		all = append(all, hostile{"Via: " + field, withFields("GET", "/v", "Via: "+field), refusedWith(508, "loop-detected")})
	}
	// The URL takes out what Connection names, and the gateway sees no Via.
	return append(all, hostile{"Connection: Via", withFields("GET", "/v", "Connection: Via", "Via: "+via), arrives("GET /base/v", "Via", via)})
}

// oddCookies are lines of a header section, and the cookies that arrive.
var oddCookies = map[string]string{
	"Cookie: a=1":                            "a=1",
	"Cookie: a=1; b=2":                       "a=1; b=2",
	"Cookie: a=1\r\nCookie: b=2":             "a=1; b=2",
	"Cookie: ;;; a=1;;":                      "a=1",
	"Cookie: a=1, b=2":                       "a=1, b=2",
	"Cookie: $Version=1; a=\"x;y\"":          `$Version=1; a="x; y"`,
	"Cookie: a=\u00e9":                       "a=\u00e9",
	"Cookie: =; a":                           "=; a",
	"Cookie: a=" + strings.Repeat("x", 5000): "a=" + strings.Repeat("x", 5000),
}

// oddFramings are whole requests in which it is not plain where one ends. What could be a second one asks for /smuggled, which
// must not arrive.
var oddFramings = map[string]consequence{
	"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n": arrives("POST /base/b", "Transfer-Encoding", ""),
	"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n":                                       arrives("POST /base/b", "Transfer-Encoding", "", "Content-Length", "4").with("body"),
	"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4;ext=\"x\"\r\nbody\r\n0\r\nX-Trailer: a\r\n\r\n":             arrives("POST /base/b", "X-Trailer", "").with("body"),
	"POST /b HTTP/1.1\r\nHost: a\r\nTrailer: X-Trailer\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Trailer: a\r\n\r\n": arrives("POST /base/b", "X-Trailer", "", "Trailer", "").with("body"),
	"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n":                                                   refusedByTheURL,
	"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n":                                          refusedByTheURL,
	"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":                      refusedByTheURL,
	"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n":                                                   refusedByTheURL,
	"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n":                                                 refusedByTheURL,
	"POST /b HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":                                              arrives("POST /base/b", "Transfer-Encoding", ""),
	"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nbody\r\n0\r\n\r\n":                                      refusedByTheURL,
	"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-4\r\nbody\r\n0\r\n\r\n":                                      refusedByTheURL,
	"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbodyX\r\n0\r\n\r\n":                                      refusedByTheURL,
	"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\nbody\r\n0\r\n\r\n":                       refusedByTheURL,
	"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbo":                                                      refusedByTheURL,
	"POST /b HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\nContent-Length: 4\r\n\r\nbody":                                    arrives("POST /base/b", "Transfer_Encoding", "").with("body"),
	"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nbody":                                             arrives("POST /base/b", "Content-Length", "4").with("body"),
	"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody":                                             refusedByTheURL,
	"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 5\r\n\r\nbody":                                                               refusedByTheURL,
	"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: -4\r\n\r\nbody":                                                                 refusedByTheURL,
	"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nbody":                                                                 refusedByTheURL,
	"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 0x4\r\n\r\nbody":                                                                refusedByTheURL,
	"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4 4\r\n\r\nbody":                                                                refusedByTheURL,
	"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nbody":                                               refusedByTheURL,
	"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nbody":                                                                  refusedByTheURL,
	"POST /b HTTP/1.1\r\nHost: a\r\nContent_Length: 9\r\nContent-Length: 4\r\n\r\nbody":                                             arrives("POST /base/b", "Content_Length", "", "Content-Length", "4").with("body"),
	"GET /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody":                                                                   arrives("GET /base/b", "Content-Length", "4").with("body"),
	"HEAD /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody":                                                                  arrives("HEAD /base/b").with("body"),
	"POST /b HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 4\r\n\r\nbody":                                                refusedByTheURL,
	"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n":                                        arrives("POST /base/b").with("GET "),
	"GET /b HTTP/1.1\r\n\r\n":                          refusedByTheURL,
	"GET /b HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n":    refusedByTheURL,
	"GET /b HTTP/1.1\r\nHost: a b\r\n\r\n":             refusedByTheURL,
	"GET /b HTTP/1.1\r\nHost: a/../b\r\n\r\n":          refusedByTheURL,
	"GET /b HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n": arrives("GET /base/b"),
	"GET /b HTTP/1.1\r\nHost:\r\n\r\n":                 arrives("GET /base/b"),
	"GET /b HTTP/1.0\r\n\r\n":                          arrives("GET /base/b"),
	"GET /b HTTP/2.0\r\nHost: a\r\n\r\n":               refusedByTheURL,
	"GET /b HTTP/3.0\r\nHost: a\r\n\r\n":               refusedByTheURL,
	"GET /b HTTP/1.2\r\nHost: a\r\n\r\n":               arrives("GET /base/b"),
	"GET /b HTTP/0.9\r\n\r\n":                          refusedByTheURL,
	"GET /b\r\n\r\n":                                   refusedByTheURL,
	"GET /b http/1.1\r\nHost: a\r\n\r\n":               refusedByTheURL,
	"GET  /b HTTP/1.1\r\nHost: a\r\n\r\n":              refusedByTheURL,
	"GET /b HTTP/1.1 \r\nHost: a\r\n\r\n":              refusedByTheURL,
	"GET\t/b\tHTTP/1.1\r\nHost: a\r\n\r\n":             refusedByTheURL,
	"\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n":           refusedByTheURL,
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                 refusedByTheURL,
	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03":     refusedByTheURL,
	"GET /b HTTP/1.1\nHost: a\n\n":                     arrives("GET /base/b"),
}

// Security 12, 14: what callers send over sockets, and what must come of it.
func TestHostileRequestsReachNothingThatTheyMustNot(t *testing.T) {
	t.Parallel()
	u := watch(t)
	s := start(t, u.URL+"/base")
	get(t, s, "/", "X-Case", "before")
	requests := append(hostileRequests(), loops(u.came()["before"][0].Fields.Get("Via"))...)
	if len(requests) < 250 {
		t.Errorf("there are %d of them, want 250 at least", len(requests))
	}
	for i, r := range requests {
		checkAnswer(t, s, r, strconv.Itoa(i))
	}

	arrivals := u.came()
	for i, r := range requests {
		checkArrival(t, r, arrivals[strconv.Itoa(i)], u.URL)
		delete(arrivals, strconv.Itoa(i))
	}
	delete(arrivals, "before")
	for number, unknown := range arrivals {
		t.Errorf("nobody sent what arrived as case %q: %+v", number, unknown)
	}
	// Whoever sent all that did not wear it out.
	if a := get(t, s, "/after"); a.Status != 200 {
		t.Errorf("afterwards a plain request is answered with %d %s", a.Status, a.Body)
	}
}

// numbered writes the number of a case into the header section of a request, behind its first line.
func numbered(bytes, number string) string {
	line, rest, found := strings.Cut(bytes, "\n")
	if !found || strings.Trim(line, "\r") == "" {
		return bytes
	}
	return line + "\nX-Case: " + number + "\r\n" + rest
}

// checkAnswer sends a hostile request and checks the answer to it.
func checkAnswer(t *testing.T, s *stack.Stack, r hostile, n string) {
	t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(connection, numbered(r.bytes, n)); err != nil {
		t.Fatal(err)
	}
	if r.want.status == 0 {
		_ = connection.(*net.TCPConn).CloseWrite() // nothing more comes of what is not whole
	}
	method, _, _ := strings.Cut(r.bytes, " ")
	response, err := http.ReadResponse(bufio.NewReader(connection), &http.Request{Method: method})
	if err != nil {
		t.Errorf("%.100q: there is no answer: %v", r.name, err)
		return
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	switch {
	case r.want.status == 0 && (response.StatusCode < 400 || response.StatusCode >= 600 || response.Header.Get("Content-Type") == "application/problem+json"):
		t.Errorf("%.100q is answered with %d %s, want the URL to refuse it", r.name, response.StatusCode, body)
	case r.want.status != 0 && response.StatusCode != r.want.status:
		t.Errorf("%.100q is answered with %d %s, want %d", r.name, response.StatusCode, body, r.want.status)
	}
	var p problem
	if err := json.Unmarshal(body, &p); r.want.problem != "" && method != http.MethodHead && (err != nil || p.Type != problemBase+r.want.problem) {
		t.Errorf("%.100q is answered with %d %s, want the problem %s", r.name, response.StatusCode, body, r.want.problem)
	}
	if allow := response.Header.Get("Allow"); (response.StatusCode == http.StatusMethodNotAllowed) != (allow != "") {
		t.Errorf("%.100q is answered with %d and Allow: %s", r.name, response.StatusCode, allow)
	}
}

// checkArrival checks what of a hostile request arrived upstream.
func checkArrival(t *testing.T, r hostile, came []arrival, upstream string) {
	t.Helper()
	if r.want.line == "" {
		for _, a := range came {
			t.Errorf("%.100q arrived as %+v, want nothing", r.name, a)
		}
		return
	}
	if len(came) != 1 {
		t.Errorf("%.100q arrived %d times: %+v", r.name, len(came), came)
		return
	}
	a := came[0]
	if a.Line != r.want.line || a.Body != r.want.body || a.Rest != "" {
		t.Errorf("%.100q arrived as %.200q with the body %q, and behind it %q; want %.200q and %q", r.name, a.Line, a.Body, a.Rest, r.want.line, r.want.body)
	}
	for name, want := range r.want.fields {
		if got := strings.Join(a.Fields[textproto.CanonicalMIMEHeaderKey(name)], ","); got != want {
			t.Errorf("%.100q arrived with %s: %.100q, want %.100q", r.name, name, got, want)
		}
	}
	for name := range a.Fields {
		if !slices.Contains(arriving, name) && r.want.fields[name] == "" {
			if _, told := r.want.fields[name]; !told && !strings.Contains(strings.ToLower(r.bytes), strings.ToLower(name)) {
				t.Errorf("%.100q arrived with %s: %s, which nobody sent", r.name, name, a.Fields[name])
			}
		}
	}
	if host := a.Fields.Get("Host"); host != strings.TrimPrefix(upstream, "http://") {
		t.Errorf("%.100q arrived with the Host %s", r.name, host)
	}
	if via := a.Fields.Get("Via"); !strings.Contains(via, " retrying-api-proxy-") {
		t.Errorf("%.100q arrived with the Via %s, without the gateway", r.name, via)
	}
}

// arriving are the fields that requests have upstream by themselves.
var arriving = []string{"Host", "Via", "X-Case", "Content-Length", "Connection"}

// A path or a method that is not allowed, in a stack of its own.
func TestNothingButWhatIsAllowedGoesUpstream(t *testing.T) {
	t.Parallel()
	u := watch(t)
	var settings []setting
	for _, function := range []string{"gateway", "proxy-1", "proxy-2", "proxy-3"} {
		settings = append(settings, environment(function, "UPSTREAM_ALLOWED_METHODS", "GET,POST"), environment(function, "UPSTREAM_ALLOWED_PATHS", "/orders /v1/public"))
	}
	s := start(t, u.URL+"/base", settings...)

	method, path := refusedWith(405, "method-not-allowed"), refusedWith(403, "path-not-allowed")
	requests := []hostile{
		{"allowed", withFields("GET", "/orders/5?a=1"), arrives("GET /base/orders/5?a=1")},
		{"allowed, escaped", withFields("GET", "/%6Frders"), arrives("GET /base/%6Frders")},
		{"allowed, deeper", withFields("POST", "/v1/public/a%2Fb"), arrives("POST /base/v1/public/a%2Fb")},
		{"allowed by a field", withFields("POST", "/orders", "X-HTTP-Method-Override: GET"), arrives("POST /base/orders")},
	}
	for _, m := range []string{"PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "get", "PROPFIND"} {
		requests = append(requests, hostile{m, withFields(m, "/orders", "Idempotency-Key: a"), method})
	}
	for _, target := range []string{
		"/", "/admin", "/ordersX", "/Orders", "/orders;v=1", "/orders%2F5", "//orders", "/%256Frders", "/orders%3Fx", "/orders%20", "/orders%FF", "/\uff4frders", "/orders%EF%BC%8F5", "/v1", "/v1/", "/v1%2Fpublic", "/v1//public", "/v1/publicity",
		"/base/orders", "/orders%C0%A5", "http://url.example/admin",
	} {
		requests = append(requests, hostile{target, withFields("GET", target, "Idempotency-Key: a"), path})
	}
	for _, target := range []string{"/orders/../admin", "/orders/%2e%2e/admin", "/orders/..%2fadmin", "/orders/..%c0%afadmin", "/orders/..%20/admin", "/orders/..;/admin", "/orders/..%ff/admin", "/orders/%ef%bc%8e%ef%bc%8e/admin"} {
		requests = append(requests, hostile{target, withFields("GET", target), invalid})
	}
	for _, line := range []string{"X-HTTP-Method-Override: DELETE", "X-HTTP-Method: PUT", "X_Method_Override: PATCH", "X-HTTP-Method-Override: GET, DELETE"} {
		requests = append(requests, hostile{line, withFields("POST", "/orders", line), method})
	}
	for _, line := range []string{"X-Original-URL: /admin", "X-Rewrite-URL: /admin", "X_Original_Url: /admin"} {
		requests = append(requests, hostile{line, withFields("GET", "/orders", line), path})
	}
	for i, r := range requests {
		checkAnswer(t, s, r, strconv.Itoa(i))
	}
	arrivals := u.came()
	for i, r := range requests {
		checkArrival(t, r, arrivals[strconv.Itoa(i)], u.URL)
	}
	if executions, err := s.StepFunctions.Executions("", ""); err != nil || len(executions) != 4 {
		t.Errorf("%d executions were started, %v; want four, for what is allowed", len(executions), err)
	}
	if written := records(t, s); len(written) > 0 {
		t.Errorf("%v were written for requests that were refused", written)
	}

	// The proxies look again.
	gateway := s.Template.URLs[0].FunctionName
	envelope := func(method, path string) string {
		return fmt.Sprintf(`{"version":1,"outcome":"retry","attempts":[],"losses":{"count":0,"allowed":2},"call":{"request":{"method":%q,"path":%q,"headers":{"x-case":"forged"}},"deadline":%d}}`, method, path, time.Now().Add(time.Minute).UnixMilli())
	}
	for _, forged := range []string{envelope("DELETE", "/orders"), envelope("GET", "/admin"), envelope("GET", "/orders/../admin"), envelope("GET /x", "/orders"), envelope("TRACE", "/orders")} {
		result, err := s.Lambda.Invoke(t.Context(), strings.TrimSuffix(gateway, "gateway")+"proxy-1", []byte(forged))
		if err != nil || result.FunctionError != "" || !strings.Contains(string(result.Payload), `"error":"http_request_`) {
			t.Errorf("%s is answered with %s, %v", forged, result.Payload, err)
		}
	}
	if arrivals := u.came()["forged"]; len(arrivals) > 0 {
		t.Errorf("%+v arrived of forged envelopes", arrivals)
	}
}
