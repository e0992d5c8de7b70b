package handler

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/proxy/credential"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// attempt sends the request once, over a connection of its own, and reads the whole answer.
//
// A connection that is used once cannot be one that the upstream has closed while the sandbox was frozen, and net/http
// does not repeat anything on it: what it does by itself where it manages the connections, on one that was closed while
// idle and on HTTP/2's GOAWAY and REFUSED_STREAM. So an attempt is one request at the most.
//
// The connection has to come about within a time of its own. So has the rest of an answer after whose header section another
// attempt follows, as again says: the timeout of attempts that can be repeated.
//
// judged is the request as the policy sees it. own is the credential that the request gets; nil for none.
func (p *Proxy) attempt(
	ctx context.Context, connect time.Duration, again func(retry.Result) bool, judged retry.Request, r *message.Request, own *credential.Credential,
) (retry.Result, upstreamAnswer) {
	begun := time.Now()
	trace := new(retry.Trace)
	seen := new(wire)
	ctx = own.Connecting(ctx)
	ctx = context.WithValue(httptrace.WithClientTrace(ctx, trace.ClientTrace()), wireKey{}, seen)
	failed := func(failure *retry.Failure) (retry.Result, upstreamAnswer) {
		return retry.Result{Failure: failure, Received: p.clock.Now()}, upstreamAnswer{}
	}

	if refusal := p.forwarding.Refuse(r); refusal != nil {
		return failed(refused(refusal))
	}
	request, err := p.newRequest(ctx, r)
	if err != nil {
		return failed(retry.ClassifyFailure(err, trace))
	}
	for name, value := range p.fixedFields {
		credential.SetField(request.Header, name, value)
	}
	if p.policy.ReadsBodies(judged) {
		retry.RestrictCodings(request.Header)
	}
	body, err := r.BodyBytes()
	if err != nil {
		return failed(retry.ClassifyFailure(err, trace))
	}
	if own, err = own.Put(request, body); err != nil {
		return failed(retry.ClassifyFailure(err, trace))
	}
	trace.Connecting()
	connectCtx, cancel := context.WithTimeout(ctx, connect)
	defer cancel()
	connection, err := p.transport.NewClientConn(connectCtx, request.URL.Scheme, authority(request.URL))
	if err != nil {
		return failed(retry.ClassifyFailure(err, trace))
	}
	defer connection.Close()
	trace.Connected()
	before := seen.written.Load()
	received, err := connection.RoundTrip(request)
	if err != nil {
		failure := retry.ClassifyFailure(err, trace)
		if seen.written.Load() == before {
			failure.Processed = retry.NotProcessed // not one byte of it was sent
		}
		return failed(failure)
	}
	defer received.Body.Close()
	if problem := notHTTP(received); problem != "" {
		return failed(&retry.Failure{Type: retry.HTTPProtocolError, Processed: retry.MaybeProcessed, Details: problem})
	}

	if named := seen.connectionField(); named != "" && received.ProtoMajor == 1 {
		received.Header.Set("Connection", named)
	}
	result := retry.Result{Status: received.StatusCode, Header: received.Header, Received: p.clock.Now()}
	answered := func(response message.Response, tooLarge bool) upstreamAnswer {
		own.Remove(response.Headers)
		return upstreamAnswer{response, protocol(received), tooLarge, own}
	}
	var stalled atomic.Bool
	if again(result) {
		timer := time.AfterFunc(p.policy.For(judged.Method, judged.Path).AttemptTimeout-time.Since(begun), func() {
			stalled.Store(true)
			received.Body.Close()
		})
		defer timer.Stop()
	}
	content, err := readBody(received.Body, p.maxResponseBody())
	result.Received = p.clock.Now()
	if err != nil && stalled.Load() {
		err = context.DeadlineExceeded
	}
	switch {
	case isTooLarge(err):
		return result, answered(p.newResponse(received, nil).WithoutBody(), true)
	case err != nil:
		result.Failure = retry.ClassifyFailure(err, trace)
		return result, answered(p.newResponse(received, nil).WithoutBody(), false)
	}
	if p.policy.ReadsBody(judged, result.Status) {
		result.Body = content
	}
	return result, answered(p.newResponse(received, content), false)
}

// refused is the failure of an attempt whose request may not go upstream. The gateway refuses such a request itself, so that
// its envelope was written by somebody else.
func refused(r *message.Refusal) *retry.Failure {
	kind := retry.HTTPRequestDenied
	if r.Status == http.StatusBadRequest {
		kind = retry.HTTPRequestError
	}
	return &retry.Failure{Type: kind, Processed: retry.NotProcessed, Details: r.Detail}
}

// An upstreamAnswer is what the upstream answered. It has no body if that was cut off.
type upstreamAnswer struct {
	message.Response

	// protocol is the version of HTTP that it came in, if that is not 1.1.
	protocol string

	// tooLarge says that the body is larger than can be carried. The answer is without it then.
	tooLarge bool

	// credential is what the request went upstream with, if that was ours.
	credential *credential.Credential
}

// protocol is the version of HTTP that an answer came in, as Via has it (RFC 9110 section 7.6.3), if that is not 1.1.
func protocol(r *http.Response) string {
	if r.ProtoMajor == 1 && r.ProtoMinor == 1 {
		return ""
	}
	return fmt.Sprintf("%d.%d", r.ProtoMajor, r.ProtoMinor)
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
