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

// An exchange is one attempt and what it brought: an answer, whose body is not read, or an error.
type exchange struct {
	response    *http.Response
	err         error
	result      retry.Result
	connections int
	cancel      context.CancelFunc // ends the attempt's context; an answer's body is read under it
}

// exchange sends the request once. It has to have a connection, and the beginning of an answer, within times of their own.
func (t *Transport) exchange(req *http.Request, body io.ReadCloser, connect, whole time.Duration) *exchange {
	ctx, cancel := context.WithCancelCause(req.Context())
	limit := time.AfterFunc(whole, func() { cancel(timeout(whole)) })
	connecting := time.AfterFunc(min(connect, whole), func() { cancel(timeout(min(connect, whole))) })
	var looked, connections atomic.Int64
	trace := new(retry.Trace)
	traced := httptrace.WithClientTrace(ctx, trace.ClientTrace())
	traced = httptrace.WithClientTrace(traced, &httptrace.ClientTrace{
		GetConn: func(string) { looked.Add(1) },
		GotConn: func(httptrace.GotConnInfo) {
			connections.Add(1)
			connecting.Stop()
		},
	})

	sent := req.WithContext(traced)
	sent.Body = body
	response, err := t.base().RoundTrip(sent)
	received := time.Now()
	inTime := limit.Stop()
	connecting.Stop()

	x := &exchange{connections: int(connections.Load()), cancel: func() { cancel(context.Canceled) }}
	switch {
	case err != nil:
	case response == nil:
		err = fmt.Errorf("the http.RoundTripper %T returned neither an answer nor an error", t.base())
	case !inTime:
		closeAnswer(response)
		err = timeout(whole) // the body can no longer be read
	}
	if err == nil {
		x.response = response
		x.result = retry.Result{Status: response.StatusCode, Header: response.Header, Received: received}
		return x
	}
	if ended, ok := context.Cause(ctx).(timeout); ok {
		err = ended // whatever the base calls it
	}
	x.cancel()
	failure := retry.ClassifyFailure(err, trace)
	if x.connections > 0 && looked.Load() > 1 && (hasKey(req) || retry.Safe(methodOf(req))) {
		failure.Processed = retry.MaybeProcessed // it may have been written to a connection before the last one
	}
	x.err, x.result = err, retry.Result{Failure: failure, Received: received}
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
