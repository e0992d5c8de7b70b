package handler

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestTheLimitsOfTheTransport(t *testing.T) {
	transport := newTransport(nil, nil)
	if transport.MaxResponseHeaderBytes != 65_536 {
		t.Errorf("a header section may take %d bytes, want 65,536", transport.MaxResponseHeaderBytes)
	}
	if transport.TLSClientConfig.MinVersion != tls.VersionTLS12 || !transport.DisableCompression || !transport.ForceAttemptHTTP2 {
		t.Errorf("TLS from %x, compression off: %v, HTTP/2: %v", transport.TLSClientConfig.MinVersion, transport.DisableCompression, transport.ForceAttemptHTTP2)
	}
}

func TestALargeHeaderSectionIsRead(t *testing.T) {
	large := strings.Repeat("x", 60_000)
	b := newBench(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Large", large) }))
	if out := b.invoke(t, b.call(message.Request{Method: "GET"})); out.Outcome != retry.Succeeded || out.Headers["x-large"] != large {
		t.Errorf("it ended with %s, %s", out.Outcome, out.Error)
	}
}
