package stacktest

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Request is what a caller sends to the stack's endpoint. Its methods return changed copies.
type Request struct {
	method, target string
	header         http.Header
	body           string
	instance       string
}

// Get is a GET request. The target is a path, with a query if there is one.
func Get(target string) Request { return NewRequest(http.MethodGet, target) }

// Post is a POST request with a body.
func Post(target, body string) Request { return NewRequest(http.MethodPost, target).Body(body) }

// NewRequest is a request with any method.
func NewRequest(method, target string) Request {
	return Request{method: method, target: target, header: http.Header{}}
}

// Header adds a header field.
func (r Request) Header(name, value string) Request {
	r.header = r.header.Clone()
	r.header.Add(name, value)
	return r
}

// Body sets the body.
func (r Request) Body(text string) Request {
	r.body = text
	return r
}

// IdempotencyKey sets the Idempotency-Key.
func (r Request) IdempotencyKey(key string) Request {
	return r.Header("Idempotency-Key", strconv.Quote(key))
}

// Wait sets how long the caller waits for the final answer: Prefer: wait=N, in whole seconds, rounded up. The policy
// limits it by its MaxDeadline; without it the policy's Deadline counts.
func (r Request) Wait(d time.Duration) Request {
	seconds := int64((d + time.Second - 1) / time.Second)
	return r.Header("Prefer", "wait="+strconv.FormatInt(seconds, 10))
}

// Attempts sets how many attempts the caller wants at most: Prefer: attempts=N.
func (r Request) Attempts(n int) Request { return r.Header("Prefer", "attempts="+strconv.Itoa(n)) }

// To names the RetryingApiProxy that it is sent to, as [Instance] would. Default: the one that Instance chose, or the only one.
func (r Request) To(instance string) Request {
	r.instance = instance
	return r
}

// String is the method and the target.
func (r Request) String() string { return r.method + " " + r.target }

func (r Request) to(base string) (*http.Request, error) {
	request, err := http.NewRequest(r.method, base+r.target, strings.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	request.Header = r.header.Clone()
	return request, nil
}

// withBody gives a request whose body has been read a body again.
func withBody(r *http.Request, body []byte) *http.Request {
	r.Body = io.NopCloser(bytes.NewReader(body))
	return r
}
