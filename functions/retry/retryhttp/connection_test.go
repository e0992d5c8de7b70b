package retryhttp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

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

// serveStale starts an upstream in memory that answers one request on each connection, and closes it when the next one is
// there. In virtual time net/http always keeps the connection; on a busy machine it may give it up.
func serveStale(t *testing.T) (*network, *retryhttp.Transport, *[]retryhttp.Attempt) {
	t.Helper()
	n := newNetwork()
	go func() {
		for {
			conn, err := n.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				rawupstream.ReadHead(conn)
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
				rawupstream.ReadHead(conn)
			}()
		}
	}()
	transport, told := over(t, quick)
	transport.Base = &http.Transport{DialContext: n.DialContext}
	t.Cleanup(func() { n.Close() })
	return n, transport, told
}

func TestWhatTheBaseRepeatsOnAStaleConnectionIsOneAttemptOnTwoConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, transport, told := serveStale(t)
		for range 2 {
			r, err := transport.RoundTrip(newRequest(t, "GET", ""))
			if err != nil {
				t.Fatal(err)
			}
			read(t, r)
		}
		if got := *told; len(got) != 2 || got[0].Connections != 1 || got[1].Connections != 2 || got[1].Number != 1 {
			t.Errorf("the hook was told %+v", got)
		}
	})
}

func TestAPostThatWasWrittenToAStaleConnectionIsNotRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, transport, told := serveStale(t)
		r, err := transport.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		read(t, r)
		r, err = transport.RoundTrip(newRequest(t, "POST", ""))
		if e := failed(t, r, err, retry.UnsafeToRepeat); !e.MaybeProcessed() || len(*told) != 2 {
			t.Errorf("%+v, and the hook was told %+v", e, *told)
		}
	})
}

func TestAKeyedPostThatTheBaseRepeatedMayHaveBeenProcessedAlthoughItsLastConnectionFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, transport, told := serveStale(t)
		transport.Policy.NetworkFailures.Attempts = 1
		r, err := transport.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		read(t, r)
		n.refusals.Store(1) // there is no connection when the base repeats it
		request := newRequest(t, "POST", "")
		request.Header.Set("Idempotency-Key", "k-1")
		r, err = transport.RoundTrip(request)
		e := failed(t, r, err, retry.AttemptsExhausted)
		if !errors.Is(err, errRefused) || !e.MaybeProcessed() {
			t.Errorf("%v, maybe processed: %v, the hook was told %+v", err, e.MaybeProcessed(), *told)
		}
	})
}

func TestAConnectionThatDoesNotComeAboutIsTriedAgainByEveryMethod(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t)
		base := transport.Base.(*http.Transport)
		var tries atomic.Int64
		base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if tries.Add(1) == 1 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return u.DialContext(ctx, network, address)
		}
		start := time.Now()
		r, err := transport.RoundTrip(newRequest(t, "POST", "order"))
		if err != nil {
			t.Fatal(err)
		}
		if text, took := read(t, r), time.Since(start); text != "done" || took != 10500*time.Millisecond {
			t.Errorf("%q after %v, want the answer after 10.5 s", text, took)
		}
	})
}
