package stack_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A hostileAnswer is what an upstream writes on a connection, and what the caller gets.
type hostileAnswer struct {
	bytes  string
	method string // of the request. Default: GET
	want   handedBack
}

// What is handedBack is the upstream's answer, or a problem with one attempt.
type handedBack struct {
	status int
	body   string

	// problem is the error of the attempt, RFC 9209. Empty means that the answer is the upstream's.
	problem string

	// fields are some of the answer, with their values joined by commas. Those with an empty value must not come back.
	fields map[string]string
}

func comesBack(status int, body string, fields ...string) handedBack {
	h := handedBack{status: status, body: body, fields: map[string]string{}}
	for i := 0; i < len(fields); i += 2 {
		h.fields[fields[i]] = fields[i+1]
	}
	return h
}

// failsWith is for what cannot be handed back.
func failsWith(kind string) handedBack {
	return handedBack{status: http.StatusBadGateway, problem: kind}
}

// okWith is a success with lines in its header section.
func okWith(lines ...string) string {
	return "HTTP/1.1 200 OK\r\n" + strings.Join(append(lines, "Content-Length: 2", "", "ok"), "\r\n")
}

const broken = "http_protocol_error"

var hostileAnswers = []hostileAnswer{
	// Statuses
	{bytes: "HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n", want: failsWith(broken)},
	{bytes: "HTTP/1.1 042 X\r\nContent-Length: 0\r\n\r\n", want: failsWith(broken)},
	{bytes: "HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n", want: failsWith(broken)},
	{bytes: "HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n", want: failsWith(broken)},
	{bytes: "HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n", want: failsWith(broken)},
	{bytes: "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", want: failsWith(broken)},
	{bytes: "HTTP/1.1 100 Continue\r\n\r\n" + okWith(), want: comesBack(200, "ok")},
	{bytes: "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\nX-Amzn-Requestid: forged\r\n\r\n" + okWith(), want: comesBack(200, "ok", "Link", "")},
	{bytes: "HTTP/1.1 100 Continue\r\n\r\n", want: failsWith("http_response_incomplete")},
	{bytes: strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n", 2000) + okWith(), want: failsWith("http_response_header_section_size")},
	{bytes: "HTTP/1.1 2000 X\r\nContent-Length: 0\r\n\r\n", want: failsWith(broken)},
	{bytes: "HTTP/1.1 20 X\r\nContent-Length: 0\r\n\r\n", want: failsWith(broken)},
	{bytes: "HTTP/1.1 -20 X\r\nContent-Length: 0\r\n\r\n", want: failsWith(broken)},
	{bytes: "HTTP/1.1 +20 X\r\nContent-Length: 0\r\n\r\n", want: failsWith(broken)},
	{bytes: "HTTP/1.1 2x0 X\r\nContent-Length: 0\r\n\r\n", want: failsWith(broken)},
	{bytes: "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", want: comesBack(200, "ok")},
	{bytes: "HTTP/1.1 299 " + strings.Repeat("x", 5000) + "\r\nContent-Length: 2\r\n\r\nok", want: comesBack(299, "ok")},
	{bytes: "HTTP/1.1 200 \x1b[31mred\x00\r\nContent-Length: 2\r\n\r\nok", want: comesBack(200, "ok")},
	{bytes: "HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\nwith body", want: comesBack(204, "")},
	{bytes: "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\nwith body", want: comesBack(304, "")},
	{bytes: "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", want: comesBack(407, "", "Proxy-Authenticate", "")},
	{bytes: "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nX-Amzn-Remapped-WWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n", want: comesBack(401, "", "X-Amzn-Remapped-Www-Authenticate", "Basic")},

	// Status lines
	{bytes: "", want: failsWith("connection_terminated")},
	{bytes: "\r\n\r\n", want: failsWith(broken)},
	{bytes: "ok", want: failsWith(broken)},
	{bytes: "ok\r\n\r\n", want: failsWith(broken)},
	{bytes: "ICY 200 OK\r\nContent-Length: 2\r\n\r\nok", want: failsWith(broken)},
	{bytes: "http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", want: failsWith(broken)},
	{bytes: "HTTP/1.1200 OK\r\nContent-Length: 2\r\n\r\nok", want: failsWith(broken)},
	{bytes: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", want: failsWith(broken)},
	{bytes: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", want: failsWith(broken)},
	{bytes: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", want: comesBack(200, "ok")},
	{bytes: "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", want: comesBack(200, "ok")},
	{bytes: "SSH-2.0-OpenSSH_9.6\r\n", want: failsWith(broken)},

	// Fields
	{bytes: okWith("X Name: a"), want: failsWith(broken)},
	{bytes: okWith("X-Name : a"), want: failsWith(broken)},
	{bytes: okWith(": a"), want: failsWith(broken)},
	{bytes: okWith("X-Name"), want: failsWith(broken)},
	{bytes: okWith(" X-Name: a"), want: failsWith(broken)},
	{bytes: okWith("X\u00d6: a"), want: failsWith(broken)},
	{bytes: okWith("X(: a"), want: failsWith(broken)},
	{bytes: okWith("X-Name: a\x00b"), want: failsWith(broken)},
	{bytes: okWith("X-Name: a\x01b"), want: failsWith(broken)},
	{bytes: okWith("X-Name: a\x7fb"), want: failsWith(broken)},
	{bytes: okWith("X-Name: a\rSet-Cookie: b=1"), want: failsWith(broken)},
	{bytes: okWith("X-Name: a\r\n Set-Cookie: b=1"), want: comesBack(200, "ok", "X-Name", "a Set-Cookie: b=1", "Set-Cookie", "")},
	{bytes: okWith("X-Name: caf\xe9"), want: comesBack(200, "ok", "X-Name", "caf\u00e9")},
	{bytes: okWith("X-Name: caf\u00e9"), want: comesBack(200, "ok", "X-Name", "caf\u00e9")},
	{bytes: okWith("X-Large: " + strings.Repeat("x", 70_000)), want: failsWith("http_response_header_section_size")},
	{bytes: okWith(strings.Repeat("X-Many: a\r\n", 2000) + "X-Last: b"), want: comesBack(200, "ok", "X-Last", "b")},
	{bytes: okWith("Set-Cookie: a=1\r\nSet-Cookie: b=\x01"), want: failsWith(broken)},
	{bytes: okWith("Set-Cookie: a=1; Domain=.com", "Set-Cookie: b=2"), want: comesBack(200, "ok", "Set-Cookie", "a=1; Domain=.com,b=2")},
	{bytes: okWith("Connection: X-Private, close", "X-Private: a", "Keep-Alive: timeout=5", "Upgrade: h2c", "Proxy-Connection: close", "TE: trailers"), want: comesBack(200, "ok", "X-Private", "", "Keep-Alive", "", "Upgrade", "", "Proxy-Connection", "", "Te", "")},
	{bytes: okWith("Location: http://169.254.169.254/", "Content-Location: //evil.example/"), want: comesBack(200, "ok", "Location", "http://169.254.169.254/", "Content-Location", "//evil.example/")},
	{bytes: okWith("Location: \\\\evil.example"), want: comesBack(200, "ok", "Location", `\\evil.example`)},

	// Framing
	{bytes: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", want: comesBack(200, "ok", "Transfer-Encoding", "")},
	{bytes: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", want: failsWith(broken)},
	{bytes: "HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok", want: failsWith(broken)},
	{bytes: "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", want: failsWith(broken)},
	{bytes: "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", want: failsWith(broken)},
	{bytes: "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok", want: failsWith(broken)},
	{bytes: "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok", want: failsWith(broken)},
	{bytes: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", want: failsWith("http_response_incomplete")},
	{bytes: okWith() + "HTTP/1.1 500 Second\r\nContent-Length: 0\r\n\r\n", want: comesBack(200, "ok")},
	{bytes: "HTTP/1.1 200 OK\r\n\r\nok", want: comesBack(200, "ok")},
	{bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n", want: failsWith(broken)},
	{bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n", want: failsWith(broken)},
	{bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokX0\r\n\r\n", want: failsWith(broken)},
	{bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", want: failsWith("http_response_incomplete")},
	{bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;" + strings.Repeat("x", 20_000) + "\r\nok\r\n0\r\n\r\n", want: failsWith(broken)},
	{bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Amzn-Requestid\r\n\r\n2\r\nok\r\n0\r\nX-Amzn-Requestid: forged\r\nX-Trailer: a\r\n\r\n", want: comesBack(200, "ok", "X-Trailer", "", "Trailer", "")},
	{bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok", want: failsWith(broken)},
	{bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", want: failsWith(broken)},
	{bytes: "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok", want: comesBack(200, "ok", "Content-Encoding", "gzip")},
	{bytes: "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("x", 300_000), want: failsWith("http_response_body_size")},
	{bytes: "HTTP/1.1 500 X\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("x", 300_000), want: comesBack(500, "")},
	{bytes: "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", method: "HEAD", want: comesBack(200, "", "Content-Length", "99")},
	{bytes: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", method: "HEAD", want: comesBack(200, "")},
	{bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", method: "HEAD", want: comesBack(200, "")},

	// What is not the upstream's to say
	{bytes: okWith("X-Amzn-Requestid: forged"), want: comesBack(200, "ok")},
	{bytes: okWith("x-amzn-requestid: forged", "X-AMZN-REQUESTID: forged"), want: comesBack(200, "ok")},
	{bytes: okWith("X-Amzn-Trace-Id: Root=forged"), want: comesBack(200, "ok")},
	{bytes: okWith("X-Amzn-ErrorType: AccessDeniedException"), want: comesBack(200, "ok", "X-Amzn-Errortype", "")},
	{bytes: okWith("X-Amz-Function-Error: Unhandled", "X-Amz-Executed-Version: 1", "X-Amz-Log-Result: eA=="), want: comesBack(200, "ok", "X-Amz-Function-Error", "", "X-Amz-Executed-Version", "", "X-Amz-Log-Result", "")},
	{bytes: okWith("X-Amzn-Remapped-Date: a", "X-Amzn-Remapped-Anything: a"), want: comesBack(200, "ok", "X-Amzn-Remapped-Anything", "", "X-Amzn-Remapped-Date", "")},
	{bytes: okWith("Idempotent-Replayed: true"), want: comesBack(200, "ok", "Idempotent-Replayed", "")},
	{bytes: okWith("Preference-Applied: wait=600, attempts=99"), want: comesBack(200, "ok", "Preference-Applied", "attempts=1")},
	{bytes: okWith("Preference-Applied: return=minimal, wait=600"), want: comesBack(200, "ok", "Preference-Applied", "return=minimal, attempts=1")},
	{bytes: okWith("Proxy-Status: proxy-1; received-status=500"), want: comesBack(200, "ok", "Proxy-Status", "proxy-1; received-status=200")},
	{bytes: okWith("Proxy-Status: cdn; received-status=200", "Proxy-Status: proxy-9; error=dns_error"), want: comesBack(200, "ok", "Proxy-Status", "cdn;received-status=200, proxy-1; received-status=200")},
	{bytes: okWith(`Proxy-Status: "proxy-1"; received-status=500, PROXY-2`), want: comesBack(200, "ok", "Proxy-Status", "proxy-1; received-status=200")},
	{bytes: okWith("Proxy-Status: cdn; details=\"unterminated"), want: comesBack(200, "ok", "Proxy-Status", "proxy-1; received-status=200")},
	{bytes: okWith("Proxy-Status: proxy-1; received-status=500, ("), want: comesBack(200, "ok", "Proxy-Status", "proxy-1; received-status=200")},
	{bytes: okWith("Connection: Proxy-Status, Via, Date", "Proxy-Status: cdn"), want: comesBack(200, "ok", "Proxy-Status", "proxy-1; received-status=200")},
	{bytes: okWith("Access-Control-Allow-Origin: *"), want: comesBack(200, "ok", "Access-Control-Allow-Origin", "*")},
	{bytes: okWith("Content-Type: application/problem+json"), want: comesBack(200, "ok", "Content-Type", "application/problem+json")},
	{bytes: okWith("X-Amzn-Bedrock-Anything: a", "X-Amz-Version-Id: 1"), want: comesBack(200, "ok", "X-Amzn-Bedrock-Anything", "a", "X-Amz-Version-Id", "1")},
}

// Security 8, 9, 14: what upstreams answer, byte by byte, and what callers get.
func TestHostileAnswersComeBackAsWhatTheyAre(t *testing.T) {
	t.Parallel()
	if len(hostileAnswers) < 60 {
		t.Errorf("there are %d of them, want 60 at least", len(hostileAnswers))
	}
	listener := listen(t)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go answerHostilely(connection)
		}
	}()
	s := start(t, "http://"+listener.Addr().String())
	for i, c := range hostileAnswers {
		method := c.method
		if method == "" {
			method = http.MethodGet
		}
		a := send(t, s, method, "/", "", "X-Case", strconv.Itoa(i), "Prefer", "attempts=1")
		checkHandedBack(t, c, a)
	}
}

// answerHostilely answers a request with the bytes of its case.
func answerHostilely(connection net.Conn) {
	defer connection.Close()
	request, err := http.ReadRequest(bufio.NewReader(connection))
	if err != nil {
		return
	}
	number, err := strconv.Atoi(request.Header.Get("X-Case"))
	if err != nil {
		return
	}
	_, _ = io.WriteString(connection, hostileAnswers[number].bytes)
}

func checkHandedBack(t *testing.T, c hostileAnswer, a answer) {
	t.Helper()
	if c.want.problem != "" {
		p := a.problem(t, c.want.status, "no-answer")
		if len(p.Attempts) != 1 || p.Attempts[0].Error != c.want.problem || p.Attempts[0].Duration > 5000 {
			t.Errorf("%.100q became %+v, want one %s at once", c.bytes, p.Attempts, c.want.problem)
		}
	} else if a.Status != c.want.status || a.Body != c.want.body {
		t.Errorf("%.100q came back as %d %.200q, want %d %q", c.bytes, a.Status, a.Body, c.want.status, c.want.body)
	}
	for name, want := range c.want.fields {
		if got := strings.Join(a.Header.Values(name), ","); got != want {
			t.Errorf("%.100q came back with %s: %q, want %q", c.bytes, name, got, want)
		}
	}
	for _, name := range []string{"X-Amzn-Requestid", "X-Amzn-Trace-Id"} {
		if values := a.Header.Values(name); len(values) != 1 || strings.Contains(values[0], "forged") {
			t.Errorf("%.100q came back with %s: %q", c.bytes, name, values)
		}
	}
	if slices.Contains(a.Header.Values("Set-Cookie"), "b=1") {
		t.Errorf("%.100q came back with a cookie that nobody set", c.bytes)
	}
}
