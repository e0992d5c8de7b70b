package stack_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// An upstream plays a list of answers, one per request, and keeps what it was sent.
type upstream struct {
	URL string

	mu       sync.Mutex
	answers  []http.HandlerFunc
	requests []received
}

// received is a request as the upstream saw it.
type received struct {
	Method string
	Target string // as it stands in the request line
	Header http.Header
	Body   string
	Source string // the address that it came from
}

// play serves an upstream until the test ends. A request after the last answer fails the test.
func play(t testing.TB, answers ...http.HandlerFunc) *upstream {
	t.Helper()
	u := &upstream{answers: answers}
	u.URL = serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("the upstream could not read the request: %v", err)
		}
		source, _, _ := net.SplitHostPort(r.RemoteAddr)
		u.mu.Lock()
		u.requests = append(u.requests, received{Method: r.Method, Target: r.RequestURI, Header: r.Header, Body: string(body), Source: source})
		n := len(u.requests)
		u.mu.Unlock()
		if n > len(u.answers) {
			t.Errorf("the upstream was sent %s %s although all of its %d answers were given", r.Method, r.RequestURI, len(u.answers))
			w.WriteHeader(http.StatusTeapot)
			return
		}
		u.answers[n-1](w, r)
	})
	return u
}

// serve serves an upstream that needs no list, until the test ends.
func serve(t testing.TB, handler http.HandlerFunc) (url string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// received returns the requests so far.
func (u *upstream) received() []received {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.requests)
}

// status answers with a status, header fields in pairs of name and value, and a body that tells which answer it is.
func status(code int, fields ...string) http.HandlerFunc {
	return respond(code, http.StatusText(code), fields...)
}

// respond answers with a status, a body, and header fields in pairs of name and value.
func respond(code int, body string, fields ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(fields); i += 2 {
			w.Header().Add(fields[i], fields[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// hang does not answer until whoever asked has gone away, which a server notices once it has read the request.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// held gives the answer to one request when it is released, and tells when that has arrived. A second request panics.
func held(answer http.HandlerFunc) (handler http.HandlerFunc, called <-chan struct{}, release chan<- struct{}) {
	arrived, released := make(chan struct{}), make(chan struct{})
	return func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-released
		answer(w, r)
	}, arrived, released
}

// closedAddress is a URL at which nothing listens: at the port of a service that nobody runs, and that no system gives to others.
// Any other port may be given to a server of another test.
func closedAddress(t testing.TB) string {
	t.Helper()
	const address = "127.0.0.1:1"
	if connection, err := net.Dial("tcp", address); err == nil {
		connection.Close()
		t.Fatal("something listens at " + address + ", where these tests take for granted that nothing does")
	}
	return "http://" + address
}
