package stack_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// A reply answers a request on a connection, as no HTTP server would.
type reply func(net.Conn)

// writes gives an answer, and keeps the connection for a next request.
func writes(answer string) reply {
	return func(connection net.Conn) { _, _ = io.WriteString(connection, answer) }
}

// cut writes the beginning of an answer and closes the connection.
func cut(head string) reply {
	return func(connection net.Conn) {
		_, _ = io.WriteString(connection, head+"\r\nContent-Length: 100\r\n\r\nthe beginn")
		connection.Close()
	}
}

// stall writes the beginning of an answer and nothing more.
func stall(head string) reply {
	return func(connection net.Conn) {
		_, _ = io.WriteString(connection, head+"\r\nContent-Length: 100\r\n\r\nthe beginn")
		_, _ = io.Copy(io.Discard, connection)
	}
}

// reset resets the connection.
func reset(connection net.Conn) {
	_ = connection.(*net.TCPConn).SetLinger(0)
	connection.Close()
}

// allRight is a success.
const allRight = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// wire serves an upstream that gives each request a reply, and goes on with the last, until the test ends. It counts
// requests where they arrive, whatever connection they come over.
func wire(t *testing.T, replies ...reply) (url string, requests *atomic.Int32) {
	t.Helper()
	listener := listen(t)
	t.Cleanup(func() { listener.Close() })
	requests = new(atomic.Int32)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				for reader := bufio.NewReader(connection); ; {
					request, err := http.ReadRequest(reader)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, request.Body)
					replies[min(int(requests.Add(1)), len(replies))-1](connection)
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String(), requests
}

// Attack H2: net/http repeated by itself what it had sent over a connection that was used before.
func TestEachRequestOnTheWireIsAnAttemptThatIsTold(t *testing.T) {
	t.Parallel()
	t.Run("GET", func(t *testing.T) {
		t.Parallel()
		url, requests := wire(t, writes(allRight), reset)
		s := start(t, url)
		get(t, s, "/") // after which there would be a connection to use again
		p := get(t, s, "/", "Prefer", "attempts=1").problem(t, http.StatusBadGateway, "no-answer")
		if len(p.Attempts) != 1 || requests.Load() != 2 {
			t.Errorf("told are %d attempts, and %d requests arrived behind the first; want one of each", len(p.Attempts), requests.Load()-1)
		}
	})
	t.Run("POST with a key and no body", func(t *testing.T) {
		t.Parallel()
		url, requests := wire(t, writes(allRight), reset)
		s := start(t, url)
		get(t, s, "/")
		p := send(t, s, http.MethodPost, "/", "", "Idempotency-Key", "a").problem(t, http.StatusBadGateway, "outcome-unknown")
		if len(p.Attempts) != 3 || requests.Load() != 4 {
			t.Errorf("told are %d attempts, and %d requests arrived behind the first; want three of each", len(p.Attempts), requests.Load()-1)
		}
	})
	t.Run("many failures", func(t *testing.T) {
		t.Parallel()
		url, requests := wire(t,
			writes("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
			writes("HTTP/1.1 429 Slow Down\r\nContent-Length: 0\r\n\r\n"),
			reset,
			writes("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
			writes(allRight))
		s := start(t, url, policy(`{"serverErrors":{"attempts":6},"networkFailures":{"attempts":6}}`))
		get(t, s, "/").expect(t, http.StatusOK, "ok", "proxy-1; received-status=503, proxy-2; received-status=429, "+
			`proxy-3; error=connection_terminated; details="the connection was closed before an answer came", `+
			"proxy-1; received-status=503, proxy-2; received-status=200")
		if requests.Load() != 5 {
			t.Errorf("%d requests arrived, want five", requests.Load())
		}
	})
}

// Attack H4: Retry-After was forgotten where the body behind it did not come.
func TestWhatAHeaderSectionAsksForHoldsAlthoughTheBodyDoesNotCome(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]reply{
		"503 cut off":     cut("HTTP/1.1 503 Busy\r\nRetry-After: 4"),
		"503 that stalls": stall("HTTP/1.1 503 Busy\r\nRetry-After: 4"),
		"429 cut off":     cut("HTTP/1.1 429 Slow Down\r\nRetry-After: 4"),
		"429 that stalls": stall("HTTP/1.1 429 Slow Down\r\nRetry-After: 4"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, requests := wire(t, broken, broken, writes(allRight))
			s := start(t, url, policy(`{"attemptTimeout":"1s"}`))
			// It is proof, too, that nothing was done, so that a POST without a key goes on.
			if a := send(t, s, http.MethodPost, "/", "tea"); a.Status != http.StatusOK || requests.Load() != 3 {
				t.Fatalf("the answer is %d %s after %d requests, want 200 after three", a.Status, a.Body, requests.Load())
			}
			// By a limit the next proxy may go on, whose address is another one. The second one is everybody's.
			told := attempts(t, s)
			if status, wait := told[1].Status, told[1].Wait; status == 0 || wait < 4000 {
				t.Errorf("after the second answer, of status %d, the wait is %d ms, want 4,000 at least: %+v", status, wait, told)
			}
		})
	}
}

// Attack M4: a status that ends no request, or a field that has no name, became a bare 502, and was recorded for a day.
func TestAnAnswerThatIsNoHTTPIsSaidToBeNoneAndNeverRecorded(t *testing.T) {
	t.Parallel()
	for name, odd := range map[string]reply{
		"999":                     writes("HTTP/1.1 999 Request Denied\r\nContent-Length: 0\r\n\r\n"),
		"600":                     writes("HTTP/1.1 600 Unparseable\r\nContent-Length: 0\r\n\r\n"),
		"101":                     writes("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
		"a field name with blank": writes("HTTP/1.1 200 OK\r\nX Order: 7\r\nContent-Length: 0\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, requests := wire(t, odd, writes(allRight))
			s := start(t, url)
			p := send(t, s, http.MethodPost, "/", "tea", "Idempotency-Key", "a", "Prefer", "attempts=1").problem(t, http.StatusBadGateway, "outcome-unknown")
			if len(p.Attempts) != 1 || p.Attempts[0].Error != "http_protocol_error" || p.Attempts[0].Duration > 5000 {
				t.Errorf("the attempts are %+v, want one http_protocol_error at once", p.Attempts)
			}
			again := send(t, s, http.MethodPost, "/", "tea", "Idempotency-Key", "a")
			if again.Status != http.StatusOK || again.Header.Get("Idempotent-Replayed") != "" || requests.Load() != 2 {
				t.Errorf("the same key again is answered with %d %v after %d requests, want 200 of the upstream's", again.Status, again.Header, requests.Load())
			}
		})
	}
}

// The bytes that arrive before a reset say nothing about what was done: only that none was written does.
func TestAConnectionThatIsResetAfterTheRequestIsNoProof(t *testing.T) {
	t.Parallel()
	url, requests := wire(t, reset)
	s := start(t, url)
	p := send(t, s, http.MethodPost, "/", strings.Repeat("tea", 1000)).problem(t, http.StatusBadGateway, "outcome-unknown")
	if len(p.Attempts) != 1 || requests.Load() != 1 {
		t.Errorf("told are %+v, and %d requests arrived; want one of each", p.Attempts, requests.Load())
	}
}
