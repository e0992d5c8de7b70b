package retryhttp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry/retryhttp"
)

// A network is one in memory, so that it can be used in virtual time.
type network struct {
	accepted chan net.Conn
	closed   chan struct{}
	close    sync.Once
	dialled  atomic.Int64

	refusals atomic.Int64 // so many connections are refused first
}

func newNetwork() *network {
	return &network{accepted: make(chan net.Conn), closed: make(chan struct{})}
}

var errRefused = &net.OpError{Op: "dial", Net: "pipe", Err: errors.New("connection refused")}

func (n *network) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	if n.refusals.Add(-1) >= 0 {
		return nil, errRefused
	}
	here, there := net.Pipe()
	select {
	case n.accepted <- there:
		n.dialled.Add(1)
		return here, nil
	case <-n.closed:
		return nil, errRefused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case conn := <-n.accepted:
		return conn, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *network) Close() error {
	n.close.Do(func() { close(n.closed) })
	return nil
}

func (n *network) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "pipe"} }

// An upstream answers the calls that it gets, one after the other, as it is told, and then with 200.
type upstream struct {
	*network
	mu      sync.Mutex
	calls   []call
	answers []http.HandlerFunc
}

type call struct {
	method, path, body string
	at                 time.Time
}

// serve starts an upstream in memory that answers so, and returns a transport over it. Everything ends with the test.
func serve(t *testing.T, answers ...http.HandlerFunc) (*upstream, *retryhttp.Transport) {
	t.Helper()
	u := &upstream{network: newNetwork(), answers: answers}
	server := &http.Server{Handler: u}
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(u) }()
	base := &http.Transport{DialContext: u.DialContext}
	transport := &retryhttp.Transport{Base: base, Random: func() float64 { return 0.5 }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		<-done
	})
	return u, transport
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	u.mu.Lock()
	u.calls = append(u.calls, call{r.Method, r.URL.Path, string(body), time.Now()})
	answer := ok
	if len(u.answers) > 0 {
		answer, u.answers = u.answers[0], u.answers[1:]
	}
	u.mu.Unlock()
	answer(w, r)
}

// got returns the calls so far.
func (u *upstream) got() []call {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]call(nil), u.calls...)
}

func ok(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "done") }

// status answers with a status, and with fields given as names and values.
func status(code int, fields ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(fields); i += 2 {
			w.Header().Set(fields[i], fields[i+1])
		}
		w.WriteHeader(code)
		io.WriteString(w, http.StatusText(code))
	}
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }

// hang answers only when the caller has gone.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// cutOff announces more than it sends.
func cutOff(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(code)
		io.WriteString(w, "half")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

func newRequest(t *testing.T, method, body string) *http.Request {
	t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://upstream.test/things", content)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A body is a request's body of which nothing is known but how to read it. It notes when it is closed.
type body struct {
	io.Reader
	closed atomic.Int64
}

func newBody(text string) *body { return &body{Reader: strings.NewReader(text)} }

func (b *body) Close() error { b.closed.Add(1); return nil }

// read reads an answer to its end.
func read(t *testing.T, r *http.Response) string {
	t.Helper()
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// failed returns the error of a request that should have failed for a reason.
func failed(t *testing.T, r *http.Response, err error, reason retry.Reason) *retryhttp.Error {
	t.Helper()
	if err == nil {
		r.Body.Close()
		t.Fatalf("the answer is %s, want an error", r.Status)
	}
	var e *retryhttp.Error
	if !errors.As(err, &e) {
		t.Fatalf("the error is a %T, want a *retryhttp.Error: %v", err, err)
	}
	if e.Reason != reason {
		t.Fatalf("the reason is %q, want %q: %v", e.Reason, reason, err)
	}
	return e
}
