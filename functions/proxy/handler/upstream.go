package handler

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/largebody"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

const (
	// maxResponseHeader is the most that a header section may take, in bytes.
	maxResponseHeader = 64 << 10

	// maxSessions is how many TLS sessions are kept, so that the handshakes of later attempts cost less. A sandbox calls
	// one host.
	maxSessions = 4
)

// newTransport makes what connections are made with. Proxy variables of the environment are not looked at: they are for
// calls to AWS.
func newTransport(dial dialFunc, authorities *x509.CertPool) *http.Transport {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		RootCAs:            authorities,
		ClientSessionCache: tls.NewLRUClientSessionCache(maxSessions),
		NextProtos:         []string{"h2", "http/1.1"},
	}
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            watchingReads(countingWrites(dial)),
		TLSClientConfig:        config,
		DialTLSContext:         watchingReads(encrypted(countingWrites(dial), config)),
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // the bytes pass through as they are
		MaxResponseHeaderBytes: maxResponseHeader,
	}
}

// newRequest writes the request that goes upstream, without the fields that do not.
func (p *Proxy) newRequest(ctx context.Context, r *message.Request) (*http.Request, error) {
	body, err := r.BodyBytes()
	if err != nil {
		return nil, err
	}
	base, query := p.baseURL, idempotencyhttp.WithoutSignature(r.Query)
	if r.Origin != "" {
		query = r.Query // nobody has signed it for the function URL
		if base, err = url.Parse(r.Origin); err != nil {
			return nil, err
		}
	}
	target, err := joinURL(base, r.Path, query)
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
	headers := maps.Clone(r.Headers)
	p.forwarding.RemoveFields(headers)
	request.Header = make(http.Header, len(headers))
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	if _, found := request.Header["User-Agent"]; !found {
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
	target.RawQuery = query
	target.ForceQuery = false
	return &target, nil
}

// authority is the host and the port that a URL leads to.
func authority(target *url.URL) string {
	port := target.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[target.Scheme]
	}
	return net.JoinHostPort(target.Hostname(), port)
}

// isTooLarge says whether an error is that of a body that is larger than is read.
func isTooLarge(err error) bool {
	var tooLarge *http.MaxBytesError
	return errors.As(err, &tooLarge)
}

// maxResponseBody is the most that is read of a body, in bytes. What cannot be carried is refused later, by its size as JSON;
// reading stops here so that an endless body ends.
func (p *Proxy) maxResponseBody() int64 {
	if p.bodies != nil {
		return largebody.MaxBytes
	}
	return message.MaxStateBytes
}

// readBody reads a whole body, up to limit.
func readBody(body io.ReadCloser, limit int64) ([]byte, error) {
	return io.ReadAll(http.MaxBytesReader(nil, body, limit))
}

// hopByHop are the fields that concern one connection only, RFC 9110 section 7.6.1, and those that whoever sends the
// answer on writes anew.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "Content-Length",
}

// newResponse turns an upstream's answer into the words of API Gateway, without what is not the upstream's to say.
func (p *Proxy) newResponse(r *http.Response, body []byte) message.Response {
	header := r.Header.Clone()
	for _, field := range header.Values("Connection") {
		for _, name := range strings.Split(field, ",") {
			header.Del(strings.TrimSpace(name))
		}
	}
	length := header.Get("Content-Length")
	for _, name := range hopByHop {
		header.Del(name)
	}
	if r.Request.Method == http.MethodHead && length != "" {
		header.Set("Content-Length", length) // of the answer to GET, RFC 9110 section 8.6
	}
	response := message.Response{
		StatusCode: r.StatusCode,
		Headers:    make(map[string]string, len(header)),
	}
	for _, cookie := range header.Values("Set-Cookie") {
		response.Cookies = append(response.Cookies, unicodeText(cookie))
	}
	header.Del("Set-Cookie")
	for name, values := range header {
		response.Headers[strings.ToLower(name)] = unicodeText(strings.Join(values, ", "))
	}
	p.forwarding.RemoveForged(response.Headers)
	response.SetBody(body)
	return response
}

// unicodeText reads the value of a field: as UTF-8 where it is that, and otherwise as ISO 8859-1, which it was in former
// days (RFC 9110 section 5.5).
func unicodeText(value string) string {
	if utf8.ValidString(value) {
		return value
	}
	text := make([]rune, 0, len(value))
	for _, b := range []byte(value) {
		text = append(text, rune(b))
	}
	return string(text)
}
