package stacktest

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/terminal"
)

// A Reply is what the upstream does with one request.
type Reply struct {
	respond http.HandlerFunc
	refuse  bool
	frames  func(framer *http2.Framer, stream uint32) // over HTTP/2

	// What respond writes, if it is nil.
	status int
	header http.Header
	body   string
	delay  time.Duration
}

// Answer replies with a status and header fields, in pairs of name and value. It panics if a value is missing.
func Answer(status int, fields ...string) Reply {
	if len(fields)%2 != 0 {
		panic(fmt.Sprintf("stacktest: Answer(%d, %q): header fields are pairs of name and value", status, fields))
	}
	r := Reply{status: status, header: http.Header{}}
	for i := 0; i < len(fields); i += 2 {
		r.header.Add(fields[i], fields[i+1])
	}
	return r
}

// Body returns an Answer with a body. Default: an empty one.
func (r Reply) Body(text string) Reply {
	r.body = text
	return r
}

// DelayedBy returns a reply that begins after a time. It is real time, since the proxy that waits for it is a process.
func (r Reply) DelayedBy(d time.Duration) Reply {
	r.delay = d
	return r
}

// Hang reads the request and does not reply until whoever asked has gone away. An attempt that meets it lasts until its
// timeout, in real time.
func Hang() Reply {
	return Handle(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
}

// Reset reads the request and resets the connection.
func Reset() Reply {
	return Handle(func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		_ = connection.(*net.TCPConn).SetLinger(0)
		connection.Close()
	})
}

// Refuse has the port closed while the attempt is made, so that its connection is refused. The port is closed for all: do
// not use it while another request of the same bench is on its way.
func Refuse() Reply { return Reply{refuse: true} }

// Handle replies with what an [http.HandlerFunc] writes. The body of the request has been read; it can be read again.
func Handle(respond http.HandlerFunc) Reply { return Reply{respond: respond} }

// A Received is a request as the upstream got it.
type Received struct {
	Method string

	// Target is the request target, as it stood in the request line: path and query.
	Target string

	Header http.Header
	Body   string
}

// upstream plays replies, in their order, and keeps what it was sent.
type upstream struct {
	t       testing.TB
	server  *http.Server
	address string
	tls     *tls.Config // set if HTTP/2 is spoken

	mu       sync.Mutex
	listener net.Listener // nil while connections are refused
	closed   bool
	given    int // replies that were given to play
	replies  []Reply
	always   http.Handler // in the place of replies, if it is set
	received []Received
}

func newUpstream(t testing.TB, certified *tls.Certificate) *upstream {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("stacktest: %v", err)
	}
	u := &upstream{t: t, address: listener.Addr().String()}
	u.server = &http.Server{Handler: u, ReadHeaderTimeout: readHeaderTimeout}
	// Each attempt connects anew, so that one that is to be refused is.
	u.server.SetKeepAlivesEnabled(false)
	if certified != nil {
		u.tls = &tls.Config{Certificates: []tls.Certificate{*certified}, NextProtos: []string{"h2"}}
	}
	u.listen(listener)
	return u
}

// url is the upstream's base URL.
func (u *upstream) url() string {
	if u.tls != nil {
		return "https://" + u.address
	}
	return "http://" + u.address
}

// readHeaderTimeout ends connections on which no request comes.
const readHeaderTimeout = 30 * time.Second

func (u *upstream) listen(listener net.Listener) {
	u.listener = listener
	if u.tls != nil {
		go u.serveHTTP2(tls.NewListener(listener, u.tls))
		return
	}
	go func() { _ = u.server.Serve(listener) }()
}

// play adds replies.
func (u *upstream) play(replies []Reply) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.given += len(replies)
	u.replies = append(u.replies, replies...)
}

// prepare is called before an attempt is made. It closes the port if the attempt is to be refused.
func (u *upstream) prepare() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return
	}
	refuse := u.always == nil && len(u.replies) > 0 && u.replies[0].refuse
	if refuse {
		u.replies = u.replies[1:]
	}
	switch {
	case refuse && u.listener != nil:
		u.listener.Close()
		u.listener = nil
	case !refuse && u.listener == nil:
		listener, err := net.Listen("tcp", u.address)
		if err != nil {
			u.t.Errorf("stacktest: the upstream's port could not be opened again after Refuse: %v", err)
			return
		}
		u.listen(listener)
	}
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // whoever asked has gone away
	}
	u.next(r, string(body)).ServeHTTP(w, withBody(r, body))
}

// next takes note of a request and says what becomes of it.
func (u *upstream) next(r *http.Request, body string) http.Handler {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.received = append(u.received, Received{Method: r.Method, Target: r.RequestURI, Header: r.Header.Clone(), Body: body})
	switch {
	case u.always != nil:
		return u.always
	case len(u.replies) > 0:
		reply := u.replies[0]
		u.replies = u.replies[1:]
		return reply
	case u.closed: // the test is over
	case u.given == 0:
		u.t.Errorf("stacktest: the upstream was sent %s %s, but has no replies: give it some with Bench.Upstream", r.Method, terminal.Line(r.RequestURI))
	default:
		u.t.Errorf("stacktest: the upstream was sent %s %s after the last of its replies (%d)", r.Method, terminal.Line(r.RequestURI), u.given)
	}
	// Not one that is asked for again.
	return Answer(http.StatusNotImplemented).Body("stacktest: no reply is left")
}

// ServeHTTP writes the reply.
func (r Reply) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if r.delay > 0 {
		timer := time.NewTimer(r.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-request.Context().Done():
			return
		}
	}
	if r.frames != nil {
		panic("stacktest: the reply is made of HTTP/2 frames; give the bench the option HTTP2")
	}
	if r.respond != nil {
		r.respond(w, request)
		return
	}
	for name, values := range r.header {
		w.Header()[name] = slices.Clone(values)
	}
	w.WriteHeader(r.status)
	_, _ = io.WriteString(w, r.body)
}

// close ends the upstream and says how many replies were not asked for.
func (u *upstream) close() (left int) {
	u.mu.Lock()
	u.closed = true
	left = len(u.replies)
	if u.listener != nil {
		u.listener.Close()
	}
	u.mu.Unlock()
	u.server.Close()
	return left
}
