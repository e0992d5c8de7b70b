package handler

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

const (
	// maxResponseBody is the most that is read of a body, in bytes. What does not fit into a state is refused later, by
	// its size as JSON; reading stops here so that an endless body ends.
	maxResponseBody = message.MaxStateBytes

	// maxResponseHeader is the most that a header section may take, in bytes.
	maxResponseHeader = 64 << 10

	// idleConnTimeout is how long an unused connection is kept. Load balancers close theirs after 60 s; a sandbox that
	// was frozen for longer must not start with a dead one.
	idleConnTimeout = 55 * time.Second

	// maxIdleConns is small because a sandbox makes one call at a time.
	maxIdleConns = 4
)

// newTransport makes the transport that one sandbox keeps for its life. Proxy variables of the environment are not
// looked at: they are for calls to AWS.
func newTransport(dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            dial,
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		DisableCompression:     true, // the bytes pass through as they are
		MaxIdleConns:           maxIdleConns,
		MaxIdleConnsPerHost:    maxIdleConns,
		IdleConnTimeout:        idleConnTimeout,
		MaxResponseHeaderBytes: maxResponseHeader,
	}
}

// newRequest writes the request that goes upstream.
func newRequest(ctx context.Context, base *url.URL, r *message.Request) (*http.Request, error) {
	body, err := r.BodyBytes()
	if err != nil {
		return nil, err
	}
	target, err := joinURL(base, r.Path, r.Query)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		request.Body, request.ContentLength = http.NoBody, 0
	}
	// net/http would send a request with a body a second time by itself, on a connection that was closed while idle,
	// if it knew how to read the body again. Whether a request is repeated is for the policy to say.
	request.GetBody = nil
	request.Header = make(http.Header, len(r.Headers))
	for name, value := range r.Headers {
		request.Header.Set(name, value)
	}
	if _, found := r.Headers["user-agent"]; !found {
		request.Header["User-Agent"] = nil // none was sent, so none is made up
	}
	return request, nil
}

// joinURL puts an escaped path and a raw query below a base URL, escapes as they are.
func joinURL(base *url.URL, path, query string) (*url.URL, error) {
	target := *base
	escaped := strings.TrimSuffix(base.EscapedPath(), "/") + path
	unescaped, err := url.PathUnescape(escaped)
	if err != nil {
		return nil, fmt.Errorf("the path %q is not well escaped: %w", path, err)
	}
	target.Path, target.RawPath = unescaped, escaped
	switch {
	case base.RawQuery == "":
		target.RawQuery = query
	case query != "":
		target.RawQuery = base.RawQuery + "&" + query
	}
	target.ForceQuery = false
	return &target, nil
}

// readBody reads a whole body, up to maxResponseBody; [retry.ClassifyFailure] knows the error of a larger one.
func readBody(body io.ReadCloser) ([]byte, error) {
	return io.ReadAll(http.MaxBytesReader(nil, body, maxResponseBody))
}

// hopByHop are the fields that concern one connection only, RFC 9110 section 7.6.1, and those that whoever sends the
// answer on writes anew.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "Content-Length",
}

// newResponse turns an upstream's answer into the words of API Gateway. The fields that Connection names are left out as
// far as net/http shows them: where close is one of the names, it keeps the whole field to itself.
func newResponse(r *http.Response, body []byte) message.Response {
	header := r.Header.Clone()
	for _, field := range header.Values("Connection") {
		for _, name := range strings.Split(field, ",") {
			header.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopByHop {
		header.Del(name)
	}
	response := message.Response{
		StatusCode: r.StatusCode,
		Headers:    make(map[string]string, len(header)),
		Cookies:    header.Values("Set-Cookie"),
	}
	header.Del("Set-Cookie")
	for name, values := range header {
		response.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	response.SetBody(body)
	return response
}
