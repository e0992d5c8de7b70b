package handler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/rawupstream"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// answer reads a request and writes bytes, whatever they are.
func answer(text string) func(net.Conn) {
	return func(conn net.Conn) {
		rawupstream.ReadHead(conn)
		io.WriteString(conn, text)
	}
}

// stall answers nothing more until the other side gives up.
func stall(conn net.Conn) { io.Copy(io.Discard, conn) }

func reset(conn net.Conn) {
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

// impatience is how long an attempt gets at an upstream that stalls.
const impatience = 50 * time.Millisecond

func TestEveryKindOfNetworkFailureIsNamedAndJudged(t *testing.T) {
	over := func(scheme string, serve func(net.Conn)) func(*testing.T) *bench {
		return func(t *testing.T) *bench { return newBench(t, scheme+"://"+rawupstream.Listen(t, serve)) }
	}
	dialing := func(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(*testing.T) *bench {
		return func(t *testing.T) *bench {
			b := newBench(t, "http://api.invalid")
			b.transport.DialContext = dial
			return b
		}
	}

	// next and unsafe are what comes of it for a request that may be repeated, and for one that may not be if it may
	// have been processed.
	type fate struct {
		outcome retry.Outcome
		reason  retry.Reason
	}
	again := fate{retry.Again, ""}
	unsafe := fate{retry.Failed, retry.UnsafeToRepeat}
	lasting := fate{retry.Failed, retry.NotRetryable}

	for _, c := range []struct {
		when      string
		upstream  func(*testing.T) *bench
		want      retry.ErrorType
		get, post fate
	}{
		{"the name does not resolve", dialing((&net.Dialer{Resolver: &net.Resolver{
			PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no name server") },
		}}).DialContext), retry.DNSError, again, again},
		{"the address has no route", dialing(func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.EHOSTUNREACH}
		}), retry.DestinationIPUnroutable, again, again},
		{"the connection is not accepted in time", dialing(func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}), retry.ConnectionTimeout, again, again},
		{"the port is closed", func(t *testing.T) *bench { return newBench(t, "http://"+rawupstream.Closed(t)) }, retry.ConnectionRefused, again, again},
		{"nobody vouches for the certificate", func(t *testing.T) *bench {
			server := httptest.NewUnstartedServer(http.NotFoundHandler())
			server.Config.ErrorLog = log.New(io.Discard, "", 0) // which would tell of the failed handshake
			server.StartTLS()
			t.Cleanup(server.Close)
			return newBench(t, server.URL)
		}, retry.TLSCertificateError, lasting, lasting},
		{"the server does not speak TLS", over("https", func(conn net.Conn) {
			io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			stall(conn)
		}), retry.TLSProtocolError, again, again},
		{"the connection is reset during the handshake", over("https", func(conn net.Conn) {
			conn.Read(make([]byte, 1))
			reset(conn)
		}), retry.ConnectionTerminated, again, again},
		{"the connection is reset after the request", over("http", func(conn net.Conn) { rawupstream.ReadHead(conn); reset(conn) }),
			retry.ConnectionTerminated, again, unsafe},
		{"the connection is closed without an answer", over("http", rawupstream.ReadHead), retry.ConnectionTerminated, again, unsafe},
		{"no answer comes", over("http", stall), retry.ConnectionReadTimeout, again, unsafe},
		{"the answer stalls in its body", over("http", func(conn net.Conn) {
			answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")(conn)
			stall(conn)
		}), retry.HTTPResponseTimeout, again, unsafe},
		{"the body is shorter than announced", over("http", answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")),
			retry.HTTPResponseIncomplete, again, unsafe},
		{"the last chunk is missing", over("http", answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")),
			retry.HTTPResponseIncomplete, again, unsafe},
		{"the header is larger than allowed", over("http", answer("HTTP/1.1 200 OK\r\nX-Large: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")),
			retry.HTTPResponseHeaderSectionSize, lasting, unsafe},
		{"the answer is not HTTP", over("http", answer("220 mail.example\r\n\r\n")), retry.HTTPProtocolError, again, unsafe},
		{"the address is prohibited", func(t *testing.T) *bench {
			b := newBench(t, "http://"+rawupstream.Listen(t, func(net.Conn) { t.Error("it was called all the same") }))
			b.Proxy = newProxy(settings{name: b.name, proxies: b.proxies, baseURL: b.baseURL, policy: b.policy}, Dependencies{Log: b.log, Clock: b})
			return b
		}, retry.DestinationIPProhibited, lasting, lasting},
	} {
		t.Run(c.when, func(t *testing.T) {
			t.Parallel()
			b := c.upstream(t)
			switch c.want {
			case retry.ConnectionTimeout, retry.ConnectionReadTimeout, retry.HTTPResponseTimeout:
				b.policy.AttemptTimeout = impatience
			}
			for method, want := range map[string]fate{"GET": c.get, "POST": c.post} {
				in := b.call(message.Request{Method: method, Query: "token=secret"})
				if method == "POST" && b.policy.AttemptTimeout == impatience {
					// Nothing can follow once it is sent, so it gets all that is left.
					in.Call.Deadline = morning.Add(2 * impatience).UnixMilli()
				}
				out := b.invoke(t, in)
				if got := (fate{out.Outcome, out.Error}); got != want {
					t.Errorf("%s: it goes on with %s %s, want %s %s", method, got.outcome, got.reason, want.outcome, want.reason)
				}
				if len(out.Attempts) != 1 {
					t.Fatalf("%s: the attempts are %+v", method, out.Attempts)
				}
				a := out.Attempts[0]
				status := 0
				if c.want == retry.HTTPResponseIncomplete || c.want == retry.HTTPResponseTimeout {
					status = 200 // the header section came
				}
				if a.Error != c.want || a.Status != status || a.Kind != retry.NetworkFailure || a.Details == "" || a.Start != morning.UnixMilli() {
					t.Errorf("%s: the attempt is told as %+v, want %s", method, a, c.want)
				}
				if out.StatusCode != 0 || strings.Contains(fmt.Sprint(a), "secret") {
					t.Errorf("%s: the status is %d, the attempt is told as %+v", method, out.StatusCode, a)
				}
			}
		})
	}
}

func TestABodyThatIsNotTheBase64ThatItClaimsToBeIsNotSent(t *testing.T) {
	b := newBench(t, serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }))
	out := b.invoke(t, b.call(message.Request{Method: "PUT", Body: "no base64!", IsBase64Encoded: true}))
	if out.Outcome != retry.Failed || out.Error != retry.NotRetryable || out.Attempts[0].Error != retry.HTTPRequestError {
		t.Errorf("got %+v", out)
	}
}

// sized lets the upstream answer with a body of as many letters as make the envelope of the answer take so many bytes,
// if the state machine carries it.
func sized(t *testing.T, size, status int, history ...retry.Attempt) *message.Envelope {
	t.Helper()
	length := 0
	b := newBench(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(status)
		io.WriteString(w, strings.Repeat("x", length))
	}))
	in := b.call(message.Request{Method: "GET"}, history...)
	empty, err := message.Marshal(b.invoke(t, in))
	if err != nil {
		t.Fatal(err)
	}
	length = size - len(empty)
	return b.invoke(t, in)
}

func TestAnAnswerMayBeAsLargeAsAStateAndNoLarger(t *testing.T) {
	for _, c := range []struct {
		name    string
		status  int
		history []retry.Attempt
		limit   int
		outcome retry.Outcome
	}{
		{"final", 200, nil, 258_048, retry.Succeeded},
		{"redirect", 302, nil, 258_048, retry.Succeeded},
		{"final error", 404, nil, 258_048, retry.Succeeded},
		{"last of all", 503, []retry.Attempt{failed, failed}, 258_048, retry.Failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := sized(t, c.limit, c.status, c.history...)
			text, err := message.Marshal(out)
			if err != nil {
				t.Fatal(err)
			}
			if out.Outcome != c.outcome || out.StatusCode != c.status || len(text) != c.limit {
				t.Errorf("the largest answer became %s, %s, %d, of %d bytes", out.Outcome, out.Error, out.StatusCode, len(text))
			}

			out = sized(t, c.limit+1, c.status, c.history...)
			if out.Outcome != c.outcome || out.Body != "" {
				t.Errorf("a larger one became %s, with %d bytes", out.Outcome, len(out.Body))
			}
			if success := c.status < 300; success && (out.StatusCode != 0 || out.Error != message.AnswerTooLarge) ||
				!success && (out.StatusCode != c.status || out.Headers["content-type"] != "text/plain" || out.Error == message.AnswerTooLarge) {
				t.Errorf("a larger one became %s, %d %v; a success is not handed back without its body, and another answer is", out.Error, out.StatusCode, out.Headers)
			}
			last := out.Attempts[len(out.Attempts)-1]
			if len(out.Attempts) != len(c.history)+1 || last.Status != c.status || last.Error != retry.HTTPResponseBodySize || last.Details == "" {
				t.Errorf("the attempts are told as %+v", out.Attempts)
			}
		})
	}
}

func TestAnAnswerWhoseBodyIsNotReadToItsEndIsJudgedByItsStatus(t *testing.T) {
	for name, body := range map[string]func(net.Conn){
		"larger than a state": func(conn net.Conn) { io.WriteString(conn, strings.Repeat("x", 258_049)) },
		"without an end": func(conn net.Conn) {
			for chunk := []byte(strings.Repeat("x", 4<<10)); ; {
				if _, err := conn.Write(chunk); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			with := func(status string) *bench {
				return newBench(t, "http://"+rawupstream.Listen(t, func(conn net.Conn) {
					answer("HTTP/1.1 " + status + "\r\n\r\n")(conn)
					body(conn)
				}))
			}
			b := with("200 OK")
			out := b.invoke(t, b.call(message.Request{Method: "POST"}))
			if out.Outcome != retry.Succeeded || out.Error != message.AnswerTooLarge || out.StatusCode != 0 || out.Body != "" {
				t.Errorf("a final answer became %+v", out)
			}
			if a := out.Attempts[0]; a.Status != 200 || a.Error != retry.HTTPResponseBodySize {
				t.Errorf("the attempt is told as %+v", a)
			}
			b = with("503 Service Unavailable")
			if out := b.invoke(t, b.call(message.Request{Method: "GET"})); out.Outcome != retry.Again {
				t.Errorf("an answer that is to be retried became %+v", out)
			}
		})
	}
}

func TestAnAnswerThatIsRecordedSaysUntilWhenAndFitsIntoTheRecord(t *testing.T) {
	body := ""
	b := newBench(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, body)
	}))
	b.recordTTL = 24 * time.Hour
	in := b.call(message.Request{Method: "PUT"})
	in.Call.Recorded = true
	out := b.invoke(t, in)
	if want := morning.Add(24 * time.Hour).Unix(); out.Outcome != retry.Succeeded || out.Expiration != want {
		t.Errorf("the outcome is %s, and it is replayed until %d, want %d", out.Outcome, out.Expiration, want)
	}

	// Quotes take three characters more where an answer is JSON in JSON in JSON: it fits into a state, not into a record.
	body = strings.Repeat(`"`, 258_048/3)
	// The record is completed all the same, without the answer: what was done is not done again.
	if out := b.invoke(t, in); out.Outcome != retry.Succeeded || out.Error != message.AnswerTooLarge || out.StatusCode != 0 || out.Expiration == 0 {
		t.Errorf("a larger one became %s, %s, replayed until %d", out.Outcome, out.Error, out.Expiration)
	}
	in.Call.Recorded = false
	if out := b.invoke(t, in); out.Outcome != retry.Succeeded || out.Expiration != 0 {
		t.Errorf("where nothing is recorded it became %s, %s, replayed until %d", out.Outcome, out.Error, out.Expiration)
	}
}
