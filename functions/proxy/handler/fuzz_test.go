package handler

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A network has one host, which answers a request with the same text each time. It notes what it is asked.
type network struct {
	answer string

	dialed    []string // the addresses
	requests  []*http.Request
	malformed error // what was sent and is no request
	surplus   int   // bytes that came behind a request
	served    chan struct{}
}

func (n *network) dial(_ context.Context, _, address string) (net.Conn, error) {
	n.dialed = append(n.dialed, address)
	n.served = make(chan struct{})
	near, far := net.Pipe()
	go n.serve(far)
	return near, nil
}

// hangUpTime is how long the host waits for whoever has been answered to hang up. If that was but a part of an answer, they
// wait for the rest.
const hangUpTime = 20 * time.Millisecond

// serve reads a request and answers it, and sees what else comes.
func (n *network) serve(conn net.Conn) {
	defer close(n.served)
	defer conn.Close()
	reader := bufio.NewReader(conn)
	request, err := http.ReadRequest(reader)
	if err == nil {
		_, err = io.Copy(io.Discard, request.Body)
	}
	if err != nil {
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) { // that is: given up, as far as it came
			n.malformed = err
		}
		return
	}
	n.requests = append(n.requests, request)
	io.WriteString(conn, n.answer)
	conn.SetReadDeadline(time.Now().Add(hangUpTime))
	surplus, _ := io.Copy(io.Discard, reader)
	n.surplus += int(surplus)
}

// wait ends when the host has seen all that was sent.
func (n *network) wait() {
	if n.served != nil {
		<-n.served
	}
}

func FuzzAnEnvelopeLeadsToTheUpstreamOrNowhere(f *testing.F) {
	for _, envelope := range []string{
		`{"version":1,"outcome":"retry","call":{"request":{"method":"GET","path":"/orders","query":"a=1","headers":{"accept":"*/*"}},"requestId":"r","deadline":1777881660000},` +
			`"attempts":[],"losses":{"count":0,"allowed":2}}`,
		`{"version":1,"outcome":"retry","sleepMilliseconds":500,"call":{"request":{"method":"POST","path":"/a%2Fb","headers":{"idempotency-key":"k","connection":"close, x"},` +
			`"body":"AAE=","isBase64Encoded":true},"requestId":"r","deadline":1777881660000,"maxAttempts":5,"keyed":true,"recorded":true},` +
			`"attempts":[{"proxy":"proxy-3","start":1777881590000,"status":429,"kind":"rateLimit","wait":1000,"notBefore":1777881600000}],` +
			`"losses":{"count":1,"allowed":2,"proxy":"proxy-2","error":"Lambda.Unknown","before":{"count":0,"allowed":2}}}`,
		`{"call":{"request":{"method":"GET","path":"http://elsewhere.example/"},"deadline":1777881660000}}`,
		`{"call":{"request":{"method":"GET","path":"@elsewhere.example/"},"deadline":1777881660000}}`,
		`{"call":{"request":{"method":"GET","path":"/..%2f/","headers":{"host":"elsewhere.example"}},"deadline":1777881660000}}`,
		`{"call":{"request":{"method":"POST","path":"/","headers":{"transfer-encoding":"chunked","content-length":"1"},"body":"0\r\n\r\nGET / HTTP/1.1\r\n\r\n"},"deadline":1777881660000}}`,
		`{"call":{"request":{"method":"GET / HTTP/1.1\r\n\r\nGET","path":"/"},"deadline":1777881660000}}`,
		`{"sleepMilliseconds":9000000000000000,"call":{"request":{"method":"GET","path":"/"},"deadline":-1}}`, `{"version":2}`, `{}`, `null`,
	} {
		for _, answer := range []string{
			"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Order: 42\r\n\r\nok",
			"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nwait",
			"HTTP/1.0 200\r\nLocation: //elsewhere.example\r\nSet-Cookie: a=\x80\r\n\r\n\xff",
		} {
			f.Add([]byte(envelope), answer)
		}
	}
	outcomes := []retry.Outcome{retry.Succeeded, retry.Again, retry.Failed}
	f.Fuzz(func(t *testing.T, document []byte, answer string) {
		in, err := message.Unmarshal(document)
		if err != nil {
			return // Lambda's runtime says so
		}
		b := newBench(t, "http://upstream.example/v1")
		n := &network{answer: answer}
		b.Proxy = newProxy(b.settings, Dependencies{Log: b.log, Dial: n.dial, Clock: b, Random: b.random})
		out, err := b.Handle(t.Context(), *in)
		n.wait()
		for _, address := range n.dialed {
			if address != "upstream.example:80" {
				t.Fatalf("%s was called", address)
			}
		}
		if len(n.dialed) > 1 || len(n.requests) > 1 || n.surplus > 0 || n.malformed != nil {
			t.Fatalf("%d connections were opened, with %d requests and %d bytes behind them; %v", len(n.dialed), len(n.requests), n.surplus, n.malformed)
		}
		for _, request := range n.requests {
			target, err := url.PathUnescape(strings.ReplaceAll(request.URL.EscapedPath(), `\`, "/"))
			if err != nil || request.Host != "upstream.example" || request.URL.IsAbs() || !strings.HasPrefix(path.Clean(target)+"/", "/v1/") {
				t.Fatalf("%s %s of %s was asked for", request.Method, request.RequestURI, request.Host)
			}
		}
		if err != nil {
			if out != nil || len(n.dialed) > 0 {
				t.Fatalf("with the error %v there came %+v, after %d connections", err, out, len(n.dialed))
			}
			return
		}
		text, err := message.Marshal(carried(t, out))
		if err != nil || len(text) > message.MaxStateBytes+len(document) || !slices.Contains(outcomes, out.Outcome) || out.WaitSeconds < 0 || out.SleepMilliseconds < 0 {
			t.Fatalf("the envelope has %d bytes and the error %v: %+v", len(text), err, out)
		}
	})
}
