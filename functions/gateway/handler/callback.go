package handler

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// callbackField is the field in which callers name who is told of the end of an asynchronous request.
const callbackField = "callback-url"

func callbackRefused(detail string) *problem {
	return newProblem("callback-url-refused", http.StatusBadRequest, "The callback is not possible", detail+" The upstream was not called.")
}

// callbackURLOf is who is told of the end of a request: whom its caller names, or else whom all are told to. Empty for nobody. The
// caller's field does not go upstream, unless nobody may be named.
func (g *Gateway) callbackURLOf(request *message.Request, async bool) (string, *problem) {
	named, given := request.Headers[callbackField]
	if len(g.callbackHosts) == 0 || !given {
		if async {
			return g.callbackURL, nil
		}
		return "", nil
	}
	delete(request.Headers, callbackField)
	if err := message.CheckCallbackURL(named); err != nil {
		return "", callbackRefused(fmt.Sprintf("Callback-Url is not usable: %v.", err))
	}
	if host := message.CallbackHost(named); !slices.Contains(g.callbackHosts, host) {
		return "", callbackRefused(fmt.Sprintf("Callback-Url names the host %+q, which is not one of those that may be called.", host))
	}
	if !async {
		return "", callbackRefused("Only an asynchronous request has a callback: send Prefer: respond-async with it.")
	}
	return named, nil
}

// writeCallback writes down the callback of an execution, and is what the state machine starts it with. Once it is written, it
// stays as it is.
func (g *Gateway) writeCallback(ctx context.Context, x *execution.Execution) (*message.Callback, error) {
	callback := x.NewCallback(g.now())
	callback.Expiration = g.keptUntil(callback)
	if err := g.executions.Create(ctx, callback); err != nil && !errors.Is(err, execution.ErrChanged) {
		return nil, err
	}
	call := &message.Call{
		Request: *execution.CallbackRequest(), Execution: callback.Name, RequestID: callback.RequestID, Deadline: callback.Deadline, Keyed: callback.Keyed,
	}
	return &message.Callback{Name: callback.Name, Input: g.launching(call, callback)}, nil
}
