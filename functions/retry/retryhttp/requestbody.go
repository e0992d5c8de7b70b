package retryhttp

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// A requestBody hands out the body of a request, once for each attempt.
type requestBody struct {
	// first is the body of the first attempt, and may be nil. getBody, if it is not nil, makes those of the others.
	first   io.ReadCloser
	getBody func() (io.ReadCloser, error)

	// once is the body that cannot be made again, if it is one.
	once *onceBody

	begun bool
}

// newRequestBody takes the body of a request. Of one that cannot be made again, up to buffer bytes are kept in memory. If
// there is an error, the body is closed.
func newRequestBody(req *http.Request, buffer int64) (*requestBody, error) {
	body := req.Body
	if body == nil || body == http.NoBody {
		return &requestBody{first: body, getBody: func() (io.ReadCloser, error) { return body, nil }}, nil
	}
	if req.GetBody != nil {
		return &requestBody{first: body, getBody: req.GetBody}, nil
	}
	if buffer > 0 {
		content, err := io.ReadAll(io.LimitReader(body, buffer))
		if err != nil {
			body.Close()
			return nil, fmt.Errorf("reading the body of the request: %w", err)
		}
		var next [1]byte
		if n, err := io.ReadFull(body, next[:]); n == 0 && err == io.EOF {
			body.Close()
			reader := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
			first, _ := reader()
			return &requestBody{first: first, getBody: reader}, nil
		} else if n == 0 {
			body.Close()
			return nil, fmt.Errorf("reading the body of the request: %w", err)
		}
		body = joined{io.MultiReader(bytes.NewReader(content), bytes.NewReader(next[:]), body), body}
	}
	return &requestBody{once: &onceBody{body: body}}, nil
}

// rewinds says whether the body can be sent again after it was read.
func (b *requestBody) rewinds() bool { return b.once == nil }

// available says whether there is a body for another attempt.
func (b *requestBody) available() bool { return b.once == nil || b.once.unread() }

// next returns the body of the next attempt.
func (b *requestBody) next() (io.ReadCloser, error) {
	if b.once != nil {
		return b.once.handOut(), nil
	}
	if !b.begun {
		b.begun = true
		return b.first, nil
	}
	body, err := b.getBody()
	if err != nil {
		return nil, fmt.Errorf("the request's GetBody: %w", err)
	}
	return body, nil
}

// finish says that there is no further attempt. The last one may still be sending.
func (b *requestBody) finish() {
	if b.once != nil {
		b.once.finish()
	}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// joined is a body of which something was read before.
type joined struct {
	io.Reader
	io.Closer
}

// A onceBody is a body that can be read once. Every attempt closes what it got, also if it did not read it, so it is closed
// only when it was read or when there is no further attempt.
type onceBody struct {
	mu   sync.Mutex
	body io.ReadCloser

	last  *handle
	read  bool // at least in part
	ended bool // there is no further attempt
}

// A handle is what one attempt has of the body.
type handle struct {
	of     *onceBody
	closed bool
}

func (b *onceBody) handOut() *handle {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = &handle{of: b}
	return b.last
}

// unread says whether the last attempt is done with the body, and has not read it.
func (b *onceBody) unread() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last.closed && !b.read
}

func (b *onceBody) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	if b.last.closed && !b.read {
		b.body.Close()
	}
}

func (h *handle) Read(p []byte) (int, error) {
	h.of.mu.Lock()
	if h.closed {
		h.of.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
	}
	h.of.read = true
	h.of.mu.Unlock()
	return h.of.body.Read(p)
}

func (h *handle) Close() error {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	first := !h.closed
	h.closed = true
	if first && (h.of.read || h.of.ended) {
		return h.of.body.Close()
	}
	return nil
}
