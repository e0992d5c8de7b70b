package retry_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestFailuresOverHTTP2AreNamedAsOverHTTP1(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		when  string
		serve http.HandlerFunc
		want  retry.ErrorType
	}{
		{"the stream is reset before an answer", func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}, retry.ConnectionTerminated},
		{"the stream is reset in the body", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, retry.HTTPResponseIncomplete},
		{"the body is shorter than announced", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "half")
		}, retry.HTTPResponseIncomplete},
		{"the header is too large", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Large", strings.Repeat("x", 64<<10))
		}, retry.ConnectionTerminated}, // the transport gives up the connection, and does not say why
		{"the body is too large", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, strings.Repeat("x", largeBody+1))
		}, retry.HTTPResponseBodySize},
		{"no answer comes", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, retry.ConnectionReadTimeout},
	} {
		t.Run(c.when, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(c.serve)
			server.EnableHTTP2 = true
			server.StartTLS()
			defer server.Close()
			transport := &http.Transport{
				ForceAttemptHTTP2:      true,
				MaxResponseHeaderBytes: 4 << 10,
				TLSClientConfig:        &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs},
			}
			timeout := patience
			if c.want == retry.ConnectionReadTimeout {
				timeout = impatient
			}
			trace, err := attempt(transport, server.URL, timeout, largeBody)
			if err == nil {
				t.Fatal("the request succeeded")
			}
			f := retry.ClassifyFailure(err, trace)
			if f.Type != c.want || f.Processed != retry.MaybeProcessed {
				t.Errorf("got %s, may have been processed: %v; want %s\nerror: %v", f.Type, f.Processed, c.want, err)
			}
		})
	}
}
