package contract

import (
	"bufio"
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
)

// An answer is what a caller got.
type answer struct {
	status int
	fields []field
	body   []byte
}

// patience is how long an answer may take. The longest that the endpoint gives itself is 290 seconds.
const patience = 5 * time.Minute

// client follows no redirects and adds nothing to what is sent.
var client = &http.Client{
	Transport: &http.Transport{
		DisableCompression: true, MaxIdleConnsPerHost: 100, IdleConnTimeout: 10 * time.Second, ForceAttemptHTTP2: true,
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       patience,
}

// send sends a request to the endpoint.
func (e *execution) send(ctx context.Context, request Request) (answer, error) {
	if request.Raw != nil {
		return e.sendRaw(ctx, request)
	}
	made, body, err := e.request(ctx, request)
	if err != nil {
		return answer{}, err
	}
	if e.runner.Sign != nil {
		if err := e.runner.Sign(made, body); err != nil {
			return answer{}, err
		}
	}
	through := e.runner.Client
	if through == nil {
		through = client
	}
	response, err := through.Do(made)
	if err != nil {
		return answer{}, err
	}
	return read(response)
}

// request makes a request whose target is sent as it stands.
func (e *execution) request(ctx context.Context, request Request) (*http.Request, []byte, error) {
	method, target, body := request.Method, request.target(), request.Body.bytes(e.values)
	if method == "" {
		method = http.MethodGet
	}
	made, err := http.NewRequestWithContext(ctx, method, e.runner.Endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if len(body) == 0 {
		made.Body, made.ContentLength = http.NoBody, 0
	}
	path, query, asked := strings.Cut(e.values.expand(target), "?")
	made.URL.Opaque, made.URL.RawQuery, made.URL.ForceQuery = e.script.path()+path, query, asked
	made.Header["User-Agent"] = nil // none but what the case says
	for _, line := range request.Fields {
		f := fieldOf(e.values.text(line))
		made.Header[f.name] = append(made.Header[f.name], f.value)
	}
	return made, body, nil
}

func (r *Request) target() string {
	if r.Target == "" {
		return "/"
	}
	return r.Target
}

// sendRaw writes a request to a connection of its own.
func (e *execution) sendRaw(ctx context.Context, request Request) (answer, error) {
	endpoint, err := url.Parse(e.runner.Endpoint)
	if err != nil {
		return answer{}, err
	}
	dialer := &net.Dialer{}
	dial := dialer.DialContext
	port := endpoint.Port()
	if endpoint.Scheme == "https" {
		dial = (&tls.Dialer{Config: &tls.Config{NextProtos: []string{"http/1.1"}}}).DialContext
		if port == "" {
			port = "443"
		}
	} else if port == "" {
		port = "80"
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := dial(ctx, "tcp", net.JoinHostPort(endpoint.Hostname(), port))
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := io.WriteString(conn, e.values.lines(request.Raw)); err != nil {
		return answer{}, err
	}
	method, _, _ := strings.Cut(string(request.Raw[0]), " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	return read(response)
}

func read(response *http.Response) (answer, error) {
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, fmt.Errorf("the body of the answer: %w", err)
	}
	a := answer{status: response.StatusCode, body: body}
	for name, values := range response.Header {
		for _, value := range values {
			a.fields = append(a.fields, field{name, value})
		}
	}
	return a, nil
}
