package retryhttp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// An exchange is one attempt and what it brought: an answer, an error, or the beginning of an answer and the error that it
// ended with.
type exchange struct {
	response    *http.Response
	err         error
	result      retry.Result
	connections int
	cancel      context.CancelFunc // ends the attempt's context; an answer's body is read under it
}

// exchange sends the request once. It has to have a connection, and the beginning of an answer, within times of their own. If
// the policy looks at the body, that has to be whole within the second one, too.
func (o *operation) exchange(body io.ReadCloser, start time.Time) *exchange {
	connect, whole := o.timeouts(start)
	ctx, cancel := context.WithCancelCause(o.req.Context())
	limit := time.AfterFunc(whole, func() { cancel(timeout(whole)) })
	connecting := time.AfterFunc(min(connect, whole), func() { cancel(timeout(min(connect, whole))) })
	var looked, connections atomic.Int64
	trace := new(retry.Trace)
	hooks := trace.ClientTrace()
	traced := httptrace.WithClientTrace(ctx, hooks)
	traced = httptrace.WithClientTrace(traced, &httptrace.ClientTrace{
		GetConn: func(string) { looked.Add(1) },
		GotConn: func(httptrace.GotConnInfo) {
			connections.Add(1)
			connecting.Stop()
		},
	})

	sent := o.req.WithContext(traced)
	sent.Body = body
	if o.policy.ReadsBodies(o.request) {
		sent.Header = sent.Header.Clone()
		retry.RestrictCodings(sent.Header)
	}
	response, err := o.base().RoundTrip(sent)
	x := &exchange{cancel: func() { cancel(context.Canceled) }}
	switch {
	case err != nil:
	case response == nil:
		err = fmt.Errorf("the http.RoundTripper %T returned neither an answer nor an error", o.base())
	default:
		hooks.GotFirstResponseByte()
		x.response = response
		x.result.Status, x.result.Header = response.StatusCode, response.Header
		if o.policy.ReadsBody(o.request, response.StatusCode) {
			x.result.Body, err = look(response)
		}
	}
	x.result.Received = time.Now()
	if !limit.Stop() && err == nil {
		err = timeout(whole) // the rest of the answer can no longer be read
	}
	connecting.Stop()
	x.connections = int(connections.Load())
	if err == nil {
		return x
	}

	if ended, ok := context.Cause(ctx).(timeout); ok {
		err = ended // whatever the base calls it
	}
	if _, traces := o.base().(*http.Transport); looked.Load() == 0 && (!traces || ctx.Err() != nil) {
		trace.Connected() // it may have been sent, by a base that does not tell
	}
	x.cancel()
	failure := retry.ClassifyFailure(err, trace)
	if x.connections > 0 && looked.Load() > 1 && (hasKey(o.req) || retry.Safe(o.request.Method)) {
		failure.Processed = retry.MaybeProcessed // it may have been written to a connection before the last one
	}
	x.err, x.result.Failure = err, failure
	return x
}

// handOn returns the answer to the request, for the caller to read and to close.
func (x *exchange) handOn(req *http.Request) *http.Response {
	x.response.Request = req
	switch body := x.response.Body.(type) {
	case nil:
		x.response.Body = http.NoBody
		x.cancel()
	case io.ReadWriteCloser: // of a switch of protocols
		x.response.Body = connection{body, x.cancel}
	default:
		if body == http.NoBody {
			x.cancel()
			break
		}
		x.response.Body = answerBody{body, x.cancel}
	}
	return x.response
}

// discard gives up an answer, if there is one.
func (x *exchange) discard() {
	if x.response != nil {
		drain(x.response, x.cancel)
	}
	x.cancel()
}
