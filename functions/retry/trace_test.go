package retry_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"syscall"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/rawupstream"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestARequestThatCannotBeWrittenInTimeMayHaveBeenProcessed(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	url := "http://" + rawupstream.Listen(t, func(net.Conn) { <-done }) // reads nothing

	trace := new(retry.Trace)
	ctx, cancel := context.WithTimeout(httptrace.WithClientTrace(context.Background(), trace.ClientTrace()), impatient)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, rand.Reader) // a body without an end
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err == nil {
		response.Body.Close()
		t.Fatal("the request succeeded")
	}
	f := retry.ClassifyFailure(err, trace)
	if f.Type != retry.ConnectionWriteTimeout || f.Processed != retry.MaybeProcessed {
		t.Errorf("got %s, may have been processed: %v (%v)", f.Type, f.Processed, err)
	}
}

func TestAConnectionThatIsStillBeingOpenedDoesNotTakeTheRequestBack(t *testing.T) {
	t.Parallel()
	trace := new(retry.Trace)
	hooks := trace.ClientTrace()
	hooks.GetConn("127.0.0.1:80")
	hooks.GotConn(httptrace.GotConnInfo{Reused: true}) // an idle one became free first
	hooks.ConnectStart("tcp", "127.0.0.1:80")
	f := retry.ClassifyFailure(syscall.ECONNRESET, trace)
	if f.Type != retry.ConnectionTerminated || f.Processed != retry.MaybeProcessed {
		t.Errorf("got %s, may have been processed: %v", f.Type, f.Processed)
	}
}

func TestWhatWasSeenOnAConnectionThatTheTransportGaveUpDoesNotCount(t *testing.T) {
	t.Parallel()
	trace := new(retry.Trace)
	hooks := trace.ClientTrace()
	hooks.GetConn("127.0.0.1:80")
	hooks.GotConn(httptrace.GotConnInfo{Reused: true, WasIdle: true, IdleTime: time.Minute})
	hooks.GetConn("127.0.0.1:80") // it was closed, and the transport begins again
	hooks.ConnectStart("tcp", "127.0.0.1:80")
	f := retry.ClassifyFailure(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, trace)
	if f.Type != retry.ConnectionRefused || f.Processed != retry.NotProcessed {
		t.Errorf("got %s, may have been processed: %v", f.Type, f.Processed)
	}
}

func TestAnAttemptThatIsCancelledIsAFailureOfOurOwn(t *testing.T) {
	t.Parallel()
	for reached, trace := range map[string]*retry.Trace{"before a connection": new(retry.Trace), "after it": new(retry.Trace)} {
		hooks := trace.ClientTrace()
		hooks.GetConn("127.0.0.1:80")
		want := retry.NotProcessed
		if reached == "after it" {
			hooks.GotConn(httptrace.GotConnInfo{})
			want = retry.MaybeProcessed
		}
		f := retry.ClassifyFailure(errors.Join(context.Canceled), trace)
		if f.Type != retry.ProxyInternalError || f.Processed != want {
			t.Errorf("%s: got %s, may have been processed: %v", reached, f.Type, f.Processed)
		}
	}
}
