package handler

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// attempt sends the request once, over a connection of its own, and reads the whole answer.
//
// A connection that is used once cannot be one that the upstream has closed while the sandbox was frozen, and net/http
// does not repeat anything on it: what it does by itself where it manages the connections, on one that was closed while
// idle and on HTTP/2's GOAWAY and REFUSED_STREAM. So an attempt is one request at the most.
//
// There is a result and no response if the answer has a body that is larger than can be carried: the upstream has
// answered, whatever becomes of it. If the body was cut off, the response has none.
func (p *Proxy) attempt(ctx context.Context, r *message.Request) (retry.Result, *message.Response) {
	trace := new(retry.Trace)
	written := new(atomic.Int64)
	ctx = context.WithValue(httptrace.WithClientTrace(ctx, trace.ClientTrace()), writtenKey{}, written)
	failed := func(failure *retry.Failure) (retry.Result, *message.Response) {
		return retry.Result{Failure: failure, Received: p.clock.Now()}, nil
	}

	request, err := newRequest(ctx, p.baseURL, r)
	if err != nil {
		return failed(retry.ClassifyFailure(err, trace))
	}
	trace.Connecting()
	connection, err := p.transport.NewClientConn(ctx, request.URL.Scheme, authority(request.URL))
	if err != nil {
		return failed(retry.ClassifyFailure(err, trace))
	}
	defer connection.Close()
	trace.Connected()
	before := written.Load()
	received, err := connection.RoundTrip(request)
	if err != nil {
		failure := retry.ClassifyFailure(err, trace)
		if written.Load() == before {
			failure.Processed = retry.NotProcessed // not one byte of it was sent
		}
		return failed(failure)
	}
	defer received.Body.Close()
	if problem := notHTTP(received); problem != "" {
		return failed(&retry.Failure{Type: retry.HTTPProtocolError, Processed: retry.MaybeProcessed, Details: problem})
	}

	body, err := readBody(received.Body)
	result := retry.Result{Status: received.StatusCode, Header: received.Header, Received: p.clock.Now()}
	switch {
	case isTooLarge(err):
		return result, nil
	case err != nil:
		result.Failure = retry.ClassifyFailure(err, trace)
		response := newResponse(received, nil)
		// They speak about a body that is not there.
		delete(response.Headers, "content-encoding")
		delete(response.Headers, "content-range")
		return result, &response
	}
	response := newResponse(received, body)
	return result, &response
}

// notHTTP says what is wrong with an answer that net/http takes and that no caller could be handed, or nothing: a status
// that is none of those that end a request (RFC 9110 section 15), such as a switch of protocols that nobody asked for, or
// a field whose name is not a token (section 5.6.2).
func notHTTP(r *http.Response) string {
	if r.StatusCode < 200 || r.StatusCode > 599 {
		return fmt.Sprintf("the upstream answered with the status %d; statuses that end a request are 200 to 599", r.StatusCode)
	}
	for name := range r.Header {
		if !message.IsToken(name) {
			return "the upstream answered with a header field whose name is not a token"
		}
	}
	return ""
}

// writtenKey is the key, in the context of an attempt, of a count of the bytes that are written to its connection: an
// *atomic.Int64.
type writtenKey struct{}

// A dialFunc opens connections.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// counting counts what is written to the connections that dial opens.
func counting(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		written, counted := ctx.Value(writtenKey{}).(*atomic.Int64)
		if err != nil || !counted {
			return conn, err
		}
		return &countingConn{Conn: conn, written: written}, nil
	}
}

// A countingConn counts the bytes that are written to a connection.
type countingConn struct {
	net.Conn
	written *atomic.Int64
}

func (c *countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	return n, err
}
