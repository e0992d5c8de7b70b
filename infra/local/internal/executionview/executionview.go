package executionview

import (
	"cmp"
	"context"
	"strconv"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

// A View reads what there is to tell, also of asynchronous requests, whose envelopes only say where it is kept. The zero value
// reads envelopes alone.
type View struct {
	// Kept has what is kept of asynchronous requests.
	Kept interface {
		Get(ctx context.Context, name string) (*execution.Execution, error)
		Request(ctx context.Context, name string) (*message.Request, error)
		Answer(ctx context.Context, part string) (*message.Envelope, error)
	}
}

// kept is what is kept of the asynchronous request that a call is of; nil if nothing is, or it is none.
func (v View) kept(call *message.Call) *execution.Execution {
	if v.Kept == nil || call == nil || call.Execution == "" {
		return nil
	}
	x, err := v.Kept.Get(context.Background(), call.Execution)
	if err != nil {
		return nil
	}
	return x
}

// Envelope reads an envelope from an input or output of a state.
func Envelope(text string) *message.Envelope {
	e, err := message.Unmarshal([]byte(text))
	if err != nil {
		return new(message.Envelope)
	}
	return e
}

// Request is the method and the path of the request that an execution with this input is about, or the URL that it tells of another
// one. ok is false if it is about none.
func (v View) Request(input string) (method, path string, ok bool) {
	call := Envelope(input).Call
	if call == nil {
		return "", "", false
	}
	if v.Kept != nil && call.Execution != "" {
		if request, err := v.Kept.Request(context.Background(), call.Execution); err == nil {
			return request.Method, request.Path, true
		}
		if x := v.kept(call); x != nil && x.IsCallback() { // proxies make its request
			return x.Method, x.Callback.URL, true
		}
	}
	return call.Request.Method, call.Request.Path, true
}

// Attempts lists the attempts that were made up to an event: to the exit of a state that called a proxy, or of one that
// took note of its loss. It is nil for other events, and for states that hand on no attempts.
func (v View) Attempts(execution stepfunctions.Execution, event asl.Event) []retry.Attempt {
	switch event.Type {
	case asl.TaskStateExited, asl.PassStateExited:
		if x := v.kept(Envelope(execution.Input).Call); x != nil {
			return x.Attempts
		}
		return Envelope(event.StateExited.Output).Made()
	}
	return nil
}

// Result is what came of an execution that has ended: the status of the answer that it ended with, if there was one,
// and why there was no final one, if there was none: because attempts or time ran out, or because the execution failed.
func (v View) Result(execution stepfunctions.Execution) (statusCode int, failure string) {
	if execution.Status != asl.Succeeded {
		return 0, cmp.Or(execution.Error, string(execution.Status))
	}
	end := v.end(execution)
	if end.Outcome == retry.Failed {
		failure = cmp.Or(string(end.Error), string(end.Outcome))
	}
	return end.StatusCode, failure
}

// RequestObject names the object in the bucket that has the body of the request that an execution with this input is about. Empty
// if the body is elsewhere, or there is none.
func (v View) RequestObject(input string) string {
	call := Envelope(input).Call
	if call == nil {
		return ""
	}
	if v.Kept != nil && call.Execution != "" {
		if request, err := v.Kept.Request(context.Background(), call.Execution); err == nil {
			return request.BodyObject
		}
	}
	return call.Request.BodyObject
}

// AnswerObject names the object in the bucket that has the body of the answer that an execution has ended with. Empty if the body
// is elsewhere, or there is none.
func (v View) AnswerObject(execution stepfunctions.Execution) string {
	return v.end(execution).BodyObject
}

// end is the envelope that an execution has ended with, with what is kept of it elsewhere.
func (v View) end(execution stepfunctions.Execution) *message.Envelope {
	end := Envelope(execution.Output)
	if v.Kept != nil && end.Stored != "" {
		if whole, err := v.Kept.Answer(context.Background(), end.Stored); err == nil {
			return whole
		}
	}
	return end
}

// AttemptResult is what came of an attempt, in few words: its status, the type of its failure, or both.
func AttemptResult(a retry.Attempt) string {
	switch {
	case a.Status == 0:
		return string(a.Error)
	case a.Error == "":
		return strconv.Itoa(a.Status)
	}
	return strconv.Itoa(a.Status) + " " + string(a.Error)
}
