package handler

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/rawupstream"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestEachAttemptHasAConnectionOfItsOwn(t *testing.T) {
	var connections, requests atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { requests.Add(1) }))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	b := newBench(t, server.URL)
	for range 3 {
		b.invoke(t, b.call(message.Request{Method: "POST", Body: "hello"}))
	}
	if connections.Load() != 3 || requests.Load() != 3 {
		t.Errorf("three attempts made %d requests over %d connections", requests.Load(), connections.Load())
	}
}

func TestTheNextAttemptResumesTheSessionOfTheConnectionBefore(t *testing.T) {
	var resumed []bool
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { resumed = append(resumed, r.TLS.DidResume) }))
	defer server.Close()
	b := newBench(t, server.URL)
	b.trust(server)
	for range 3 {
		b.invoke(t, b.call(message.Request{Method: "GET"}))
	}
	if len(resumed) != 3 || resumed[0] || !resumed[1] || !resumed[2] {
		t.Errorf("connections resumed a session: %t", resumed)
	}
}

// An upstream that closes a connection soon after its answer, or that resets it when a second request comes, does not see
// a second one.
func TestAConnectionThatTheUpstreamHasClosedIsNotUsedAgain(t *testing.T) {
	var requests atomic.Int32
	address := rawupstream.Listen(t, func(conn net.Conn) {
		rawupstream.ReadHead(conn)
		requests.Add(1)
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		// Keep-alive was promised, and is not kept.
	})
	b := newBench(t, "http://"+address)
	for range 10 {
		if out := b.invoke(t, b.call(message.Request{Method: "POST"})); out.Outcome != retry.Succeeded || out.Body != "ok" {
			t.Fatalf("it ended with %s, %s: %+v", out.Outcome, out.Error, out.Attempts)
		}
	}
	if requests.Load() != 10 {
		t.Errorf("ten attempts made %d requests", requests.Load())
	}
}

func TestARequestIsNotRepeatedBelowThePolicy(t *testing.T) {
	for name, request := range map[string]message.Request{
		"a GET":                             {Method: "GET"},
		"a POST with a key and no body":     {Method: "POST", Headers: map[string]string{"idempotency-key": "k"}},
		"a PUT with a body":                 {Method: "PUT", Body: "payload"},
		"a POST that net/http would repeat": {Method: "POST", Headers: map[string]string{"x-idempotency-key": "k"}},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			b := newBench(t, "http://"+rawupstream.Listen(t, func(conn net.Conn) {
				rawupstream.ReadHead(conn)
				requests.Add(1)
				reset(conn)
			}))
			out := b.invoke(t, b.call(request))
			if requests.Load() != 1 || len(out.Attempts) != 1 || out.Attempts[0].Error != retry.ConnectionTerminated {
				t.Errorf("%d requests were sent, and told are %+v", requests.Load(), out.Attempts)
			}
		})
	}
}

func TestAnswersThatAreNotHTTPEndTheAttemptAtOnce(t *testing.T) {
	for name, text := range map[string]string{
		"a switch of protocols":       "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
		"a status of 600":             "HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n",
		"a status of 999":             "HTTP/1.1 999 Request denied\r\nContent-Length: 0\r\n\r\n",
		"a status of 042":             "HTTP/1.1 042 X\r\nContent-Length: 0\r\n\r\n",
		"a status of 000":             "HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n",
		"a field name with a space":   "HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 0\r\n\r\n",
		"a field name in brackets":    "HTTP/1.1 200 OK\r\n(x): b\r\nContent-Length: 0\r\n\r\n",
		"a field name that is Latin1": "HTTP/1.1 200 OK\r\nX-\xe9: b\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "http://"+rawupstream.Listen(t, func(conn net.Conn) {
				answer(text)(conn)
				stall(conn) // the connection stays open
			}))
			in := b.call(message.Request{Method: "POST", Headers: map[string]string{"idempotency-key": "k"}})
			in.Call.Recorded = true
			out := b.invoke(t, in)
			if out.Outcome != retry.Again || out.StatusCode != 0 || out.Expiration != 0 || out.Attempts[0].Error != retry.HTTPProtocolError {
				t.Errorf("it goes on with %+v", out)
			}
			if out := b.invoke(t, b.call(message.Request{Method: "POST"})); out.Error != retry.UnsafeToRepeat {
				t.Errorf("a POST without a key ends with %s, %s", out.Outcome, out.Error)
			}
		})
	}
}

func TestAStatusLineAndHeaderSectionHoldAlthoughTheBodyWasCutOff(t *testing.T) {
	stalled := func(head string) func(net.Conn) {
		return func(conn net.Conn) {
			answer(head)(conn)
			stall(conn)
		}
	}
	for _, c := range []struct {
		name     string
		upstream func(net.Conn)
		kind     retry.Kind
		status   int
		error    retry.ErrorType
		floor    time.Duration
		post     retry.Outcome
	}{
		{"429, cut off", answer("HTTP/1.1 429 X\r\nRetry-After: 4\r\nContent-Length: 100\r\n\r\nhalf"), retry.RateLimit, 429, retry.HTTPResponseIncomplete, 4 * time.Second, retry.Again},
		{"503, cut off", answer("HTTP/1.1 503 X\r\nRetry-After: 4\r\nContent-Length: 100\r\n\r\nhalf"), retry.ServerError, 503, retry.HTTPResponseIncomplete, 4 * time.Second, retry.Again},
		{"503, cut off in a chunk", answer("HTTP/1.1 503 X\r\nRetry-After: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nha"), retry.ServerError, 503, retry.HTTPResponseIncomplete, 4 * time.Second, retry.Again},
		{"503, stalled", stalled("HTTP/1.1 503 X\r\nRetry-After: 30\r\nContent-Length: 100\r\n\r\n"), retry.ServerError, 503, retry.HTTPResponseTimeout, 30 * time.Second, retry.Again},
		{"500, cut off", answer("HTTP/1.1 500 X\r\nContent-Length: 100\r\n\r\n"), retry.ServerError, 500, retry.HTTPResponseIncomplete, 0, retry.Failed},
		{"200, cut off", answer("HTTP/1.1 200 X\r\nRetry-After: 4\r\nContent-Length: 100\r\n\r\n"), retry.NetworkFailure, 200, retry.HTTPResponseIncomplete, 0, retry.Failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "http://"+rawupstream.Listen(t, c.upstream))
			b.policy.AttemptTimeout, b.policy.Scope = impatience, retry.PerAccount
			out := b.invoke(t, b.call(message.Request{Method: "GET"}))
			a := out.Attempts[0]
			if a.Kind != c.kind || a.Status != c.status || a.Error != c.error || out.Outcome != retry.Again {
				t.Errorf("it is told as %+v, and goes on with %s", a, out.Outcome)
			}
			waited := time.Duration(out.WaitSeconds)*time.Second + time.Duration(out.SleepMilliseconds)*time.Millisecond
			if waited < c.floor {
				t.Errorf("%v are waited, of %v that were asked for", waited, c.floor)
			}
			// It ends, although nobody would be asked again after it: what the header section says is that somebody will.
			if out := b.invoke(t, b.call(message.Request{Method: "POST"})); out.Outcome != c.post {
				t.Errorf("a POST ends with %s, %s, want %s", out.Outcome, out.Error, c.post)
			}
		})
	}
}

func TestTheLastAnswerIsHandedBackWithoutABodyThatWasCutOff(t *testing.T) {
	b := newBench(t, "http://"+rawupstream.Listen(t, answer("HTTP/1.1 503 X\r\nX-Order: 7\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\nhalf")))
	out := b.invoke(t, b.call(message.Request{Method: "GET"}, failed, failed))
	if out.Outcome != retry.Failed || out.StatusCode != 503 || out.Headers["x-order"] != "7" || out.Body != "" || out.Headers["content-encoding"] != "" {
		t.Errorf("it ended with %+v", out)
	}
}

// frames is an upstream that speaks HTTP/2 and does with each stream what a test says. It counts the streams.
func frames(t *testing.T, react func(framer *http2.Framer, stream uint32)) (b *bench, streams *atomic.Int32) {
	t.Helper()
	streams = new(atomic.Int32)
	certified := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(certified.Close)
	b = newBench(t, "https://"+rawupstream.Listen(t, func(plain net.Conn) {
		conn := tls.Server(plain, &tls.Config{Certificates: certified.TLS.Certificates, NextProtos: []string{"h2"}})
		preface := make([]byte, len(http2.ClientPreface))
		if _, err := io.ReadFull(conn, preface); err != nil {
			return
		}
		framer := http2.NewFramer(conn, bufio.NewReader(conn))
		_ = framer.WriteSettings()
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			if headers, ok := frame.(*http2.HeadersFrame); ok {
				streams.Add(1)
				react(framer, headers.StreamID)
			}
		}
	}))
	b.policy.AttemptTimeout = 2 * time.Second
	b.trust(certified)
	b.transport.TLSClientConfig.ServerName = "example.com"
	return b, streams
}

func TestAnAttemptIsOneStreamAndARefusalOfItIsProof(t *testing.T) {
	goAway := func(last uint32, code http2.ErrCode) func(*http2.Framer, uint32) {
		return func(framer *http2.Framer, _ uint32) { _ = framer.WriteGoAway(last, code, nil) }
	}
	resetWith := func(code http2.ErrCode) func(*http2.Framer, uint32) {
		return func(framer *http2.Framer, stream uint32) { _ = framer.WriteRSTStream(stream, code) }
	}
	for _, c := range []struct {
		name  string
		react func(*http2.Framer, uint32)
		post  retry.Outcome
	}{
		{"GOAWAY before the stream", goAway(0, http2.ErrCodeNo), retry.Again},
		{"GOAWAY before the stream, with an error", goAway(0, http2.ErrCodeEnhanceYourCalm), retry.Again},
		{"REFUSED_STREAM", resetWith(http2.ErrCodeRefusedStream), retry.Again},
		{"CANCEL", resetWith(http2.ErrCodeCancel), retry.Failed},
		{"INTERNAL_ERROR", resetWith(http2.ErrCodeInternal), retry.Failed},
		{"PROTOCOL_ERROR", resetWith(http2.ErrCodeProtocol), retry.Failed}, // which net/http would repeat
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, request := range []message.Request{{Method: "POST", Body: "payload"}, {Method: "POST"}, {Method: "DELETE"}, {Method: "GET"}} {
				b, streams := frames(t, c.react)
				out := b.invoke(t, b.call(request))
				if streams.Load() != 1 || len(out.Attempts) != 1 {
					t.Errorf("%s: %d streams were opened, and told are %+v", request.Method, streams.Load(), out.Attempts)
				}
				want := retry.Again
				if request.Method == "POST" {
					want = c.post
				}
				if out.Outcome != want {
					t.Errorf("%s: it goes on with %s, %s, want %s", request.Method, out.Outcome, out.Error, want)
				}
			}
		})
	}
}

func TestAGOAWAYThatNamesTheStreamLetsItEnd(t *testing.T) {
	b, streams := frames(t, func(framer *http2.Framer, stream uint32) {
		_ = framer.WriteGoAway(stream, http2.ErrCodeNo, nil)
		var block bytes.Buffer
		_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "201"})
		_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
	})
	if out := b.invoke(t, b.call(message.Request{Method: "POST", Body: "payload"})); out.Outcome != retry.Succeeded || out.StatusCode != 201 || streams.Load() != 1 {
		t.Errorf("%d streams were opened, and it ended with %+v", streams.Load(), out)
	}
}

// The upstream accepts the connection and resets it before it reads anything: not a byte of the request has to have been
// written for the transport to fail, and if none was, that is proof.
func TestNoByteWrittenIsProofThatNothingWasDone(t *testing.T) {
	b := newBench(t, serve(t, func(http.ResponseWriter, *http.Request) { t.Error("it was sent") }))
	dial := b.transport.DialContext
	b.transport.DialContext = countingWrites(func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return unwritable{conn}, nil
	})
	out := b.invoke(t, b.call(message.Request{Method: "POST", Body: "payload"}))
	if out.Outcome != retry.Again || !strings.Contains(out.Attempts[0].Why, "backoff") {
		t.Errorf("it goes on with %s, %s: %+v", out.Outcome, out.Error, out.Attempts)
	}
}

// An unwritable connection takes no bytes.
type unwritable struct{ net.Conn }

func (unwritable) Write([]byte) (int, error) { return 0, net.ErrClosed }
