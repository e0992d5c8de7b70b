package sdkhttp_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/sdkhttp"
)

const (
	question = "What came of it?"
	answer   = 1 << 20 // bytes, more than net/http has read when the header section is there
)

// A sender says when the SDK has closed the body of a request. The body can do what it could before.
type sender struct {
	sdkhttp.Doer
	closed func()
}

func (s sender) Do(r *http.Request) (*http.Response, error) {
	said := body{r.Body, s.closed}
	r.Body = said
	if w, ok := said.ReadCloser.(io.WriterTo); ok {
		r.Body = struct {
			body
			io.WriterTo
		}{said, w}
	}
	return s.Doer.Do(r)
}

type body struct {
	io.ReadCloser
	closed func()
}

func (b body) Close() error {
	defer b.closed()
	return b.ReadCloser.Close()
}

// A lateConn has written the body of a request, and says so to net/http only when the SDK has closed it.
type lateConn struct {
	net.Conn
	closed <-chan struct{}
}

func (c lateConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if strings.HasSuffix(string(p), question) {
		<-c.closed
	}
	return n, err
}

// ask sends a question by the SDK's own handler of requests, and reads the answer.
func ask(t *testing.T, wrap func(sdkhttp.Doer) sdkhttp.Doer) ([]byte, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(make([]byte, answer))
	}))
	defer server.Close()
	closed := make(chan struct{})
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return lateConn{conn, closed}, err
	}}
	defer transport.CloseIdleConnections()

	request := smithyhttp.NewStackRequest().(*smithyhttp.Request)
	request.Method, request.URL.Scheme, request.URL.Host = http.MethodPost, "http", server.Listener.Addr().String()
	request.ContentLength = int64(len(question))
	request, err := request.SetStream(strings.NewReader(question))
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := smithyhttp.NewClientHandlerWithOptions(wrap(sender{&http.Client{Transport: transport}, sync.OnceFunc(func() { close(closed) })})).Handle(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	defer out.(*smithyhttp.Response).Body.Close()
	return io.ReadAll(out.(*smithyhttp.Response).Body)
}

func TestAnAnswerIsReadToItsEndAlthoughTheRequestWasClosedBeforeItCountedAsWritten(t *testing.T) {
	t.Parallel()
	for range 20 { // the connection would be closed a moment too late for some of them
		if got, err := ask(t, sdkhttp.Client); err != nil || len(got) != answer {
			t.Fatalf("%d bytes of %d were read, and then %v", len(got), answer, err)
		}
	}
}

// If this fails, the SDK has been mended, and this package can go.
func TestWithoutItTheConnectionIsClosedUnderTheAnswer(t *testing.T) {
	t.Parallel()
	for range 200 {
		if _, err := ask(t, func(d sdkhttp.Doer) sdkhttp.Doer { return d }); err != nil {
			return
		}
	}
	t.Error("200 answers were read to their end without package sdkhttp, so it is not needed any more")
}

func TestNoneStandsForTheClientOfTheSDK(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader(question))
	if err != nil {
		t.Fatal(err)
	}
	var config aws.Config // as it is loaded
	answered, err := sdkhttp.Client(config.HTTPClient).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answered.Body.Close()
	if got, err := io.ReadAll(answered.Body); err != nil || string(got) != question {
		t.Errorf("the answer is %q, %v", got, err)
	}
}

func TestARequestWithoutABodyHasNone(t *testing.T) {
	t.Parallel()
	for _, body := range []io.ReadCloser{nil, http.NoBody} {
		r := &http.Request{Body: body}
		sent := body
		_, _ = sdkhttp.Client(doer(func(r *http.Request) { sent = r.Body })).Do(r)
		if sent != body {
			t.Errorf("the body is %v, want %v", sent, body)
		}
	}
}

type doer func(*http.Request)

func (d doer) Do(r *http.Request) (*http.Response, error) {
	d(r)
	return nil, io.EOF
}
