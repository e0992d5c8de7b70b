package retryhttp_test

import (
	"errors"
	"net"
	"net/http"
	"syscall"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/rawupstream"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry/retryhttp"
)

// quick is a policy whose waits are too short to notice, for tests of real connections.
var quick = retry.Policy{NetworkFailures: retry.Budget{Base: 1, Max: 1}}

func over(t *testing.T, policy retry.Policy) (*retryhttp.Transport, *[]retryhttp.Attempt) {
	t.Helper()
	told := new([]retryhttp.Attempt)
	transport := &retryhttp.Transport{
		Base: &http.Transport{}, Policy: policy,
		OnAttempt: func(_ *http.Request, a retryhttp.Attempt) { *told = append(*told, a) },
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport, told
}

func TestAConnectionThatIsResetIsForRepeatableRequests(t *testing.T) {
	t.Parallel()
	address := rawupstream.Listen(t, func(conn net.Conn) {
		rawupstream.ReadHead(conn)
		conn.(*net.TCPConn).SetLinger(0)
	})
	for method, attempts := range map[string]int{"GET": 3, "PUT": 3, "POST": 1} {
		transport, told := over(t, quick)
		request := newRequest(t, method, "")
		request.URL.Host = address
		r, err := transport.RoundTrip(request)
		if err == nil {
			r.Body.Close()
			t.Fatalf("%s: the answer is %s", method, r.Status)
		}
		if !errors.Is(err, syscall.ECONNRESET) || len(*told) != attempts {
			t.Errorf("%s: %v after %d attempts, want %d", method, err, len(*told), attempts)
		}
	}
}

// staleUpstream answers one request on each connection, and closes it when the next one is there.
func staleUpstream(t *testing.T) string {
	return rawupstream.Listen(t, func(conn net.Conn) {
		rawupstream.ReadHead(conn)
		conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"))
		rawupstream.ReadHead(conn)
	})
}

func TestWhatTheBaseRepeatsOnAStaleConnectionIsOneAttemptOnTwoConnections(t *testing.T) {
	t.Parallel()
	transport, told := over(t, quick)
	address := staleUpstream(t)
	for range 2 {
		request := newRequest(t, "GET", "")
		request.URL.Host = address
		r, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		read(t, r)
	}
	if got := *told; len(got) != 2 || got[0].Connections != 1 || got[1].Connections != 2 || got[1].Number != 1 {
		t.Errorf("the hook was told %+v", got)
	}
}

func TestAPostThatWasWrittenToAStaleConnectionIsNotRepeated(t *testing.T) {
	t.Parallel()
	transport, told := over(t, quick)
	address := staleUpstream(t)
	for i, method := range []string{"GET", "POST"} {
		request := newRequest(t, method, "")
		request.URL.Host = address
		r, err := transport.RoundTrip(request)
		if i == 0 {
			if err != nil {
				t.Fatal(err)
			}
			read(t, r)
			continue
		}
		if e := failed(t, r, err, retry.UnsafeToRepeat); !e.MaybeProcessed() || len(*told) != 2 {
			t.Errorf("%+v, and the hook was told %+v", e, *told)
		}
	}
}

func TestAKeyedPostThatTheBaseRepeatedMayHaveBeenProcessedAlthoughItsLastConnectionFailed(t *testing.T) {
	t.Parallel()
	transport, told := over(t, retry.Policy{NetworkFailures: retry.Budget{Attempts: 1}})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		rawupstream.ReadHead(conn)
		conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"))
		rawupstream.ReadHead(conn)
		listener.Close() // and nothing listens when the base repeats it
	}()
	for i := range 2 {
		request := newRequest(t, "POST", "")
		request.URL.Host = listener.Addr().String()
		request.Header.Set("Idempotency-Key", "k-1")
		r, err := transport.RoundTrip(request)
		if i == 0 {
			if err != nil {
				t.Fatal(err)
			}
			read(t, r)
			continue
		}
		e := failed(t, r, err, retry.AttemptsExhausted)
		if !errors.Is(err, syscall.ECONNREFUSED) || !e.MaybeProcessed() {
			t.Errorf("%v, maybe processed: %v, the hook was told %+v", err, e.MaybeProcessed(), *told)
		}
	}
}
