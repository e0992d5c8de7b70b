package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// Invoke answers an event of Lambda, and has the form of [lambda.Handler]. It tells four kinds of events apart by their
// shape: that of a function URL, a request (see plainEvent), messages of a queue, each of which is a request, and a [Redrive].
//
// The error is an [*UnknownEventError] for any other event, and a [*RedriveError] of a redrive that was not possible. Of a request whose failOn asks for it, it is a
// [*NoFinalAnswerError] or a [*StatusError]. Lambda tells the name of the type to whoever invoked.
func (g *Gateway) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	// Most events are of the URL, and are read once. Of an event of another kind this reads what happens to be alike.
	var event events.LambdaFunctionURLRequest
	err := json.Unmarshal(payload, &event)
	if event.RequestContext.HTTP.Method != "" {
		if err != nil {
			return nil, new(UnknownEventError)
		}
		response, err := g.Handle(ctx, event)
		return written(response, err)
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(payload, &members) != nil {
		return nil, new(UnknownEventError) // it is no object
	}
	if members["method"] != nil {
		response, err := g.answerPlain(withRequestID(ctx), readPlainEvent(members))
		return written(response, err)
	}
	if member := members["redrive"]; member != nil {
		asked, err := readRedrive(member)
		if err != nil {
			return nil, err
		}
		redriven, err := g.redrive(withRequestID(ctx), asked)
		return written(redriven, err)
	}
	if messages, ok := messagesIn(members); ok {
		return written(g.consume(ctx, messages), nil)
	}
	return nil, new(UnknownEventError)
}

// answerPlain answers a plain event, or fails if the event wants that.
func (g *Gateway) answerPlain(ctx context.Context, event plainEvent) (events.LambdaFunctionURLResponse, error) {
	response, out := g.answer(ctx, event.arrival)
	return response, failure(event.failOn, out, response.StatusCode, requestID(ctx))
}

// written is a result as JSON text, without escapes for HTML, which would only make it longer.
func written(result any, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(result); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// An UnknownEventError says that an event is of none of the kinds that the gateway answers.
type UnknownEventError struct{}

func (*UnknownEventError) Error() string {
	return "the event is none that the gateway answers. It takes the event of a function URL, with requestContext.http; " +
		"a request, with method and path; messages of a queue, with Records whose eventSource is aws:sqs; and a redrive. See docs/triggers.md"
}

// A NoFinalAnswerError says that a request has no final answer: attempts or time ran out, or it could not be sent.
type NoFinalAnswerError struct {
	// Status is that of the answer that a caller of the URL would have had.
	Status int

	// Reason is the name of the problem that it would have been, or empty if it was the upstream's last answer.
	Reason string

	// RequestID leads through the logs.
	RequestID string
}

func (e *NoFinalAnswerError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("the upstream's last answer was %d, and is not final (request %s)", e.Status, e.RequestID)
	}
	return fmt.Sprintf("there is no final answer: %d %s (request %s)", e.Status, e.Reason, e.RequestID)
}

// A StatusError says that the upstream's final answer is an error.
type StatusError struct {
	Status    int
	RequestID string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("the upstream's final answer was %d (request %s)", e.Status, e.RequestID)
}

// failure is the error that an invocation ends with if its event says so, or nil.
func failure(on message.FailOn, out outcome, status int, requestID string) error {
	switch {
	case on == "" || on == message.FailNever:
		return nil
	case !out.final:
		reason := ""
		if out.problem != nil {
			reason = strings.TrimPrefix(out.problem.Type, idempotencyhttp.ProblemTypeBase)
		}
		return &NoFinalAnswerError{Status: status, Reason: reason, RequestID: requestID}
	case on == message.FailOnError && status >= http.StatusBadRequest:
		return &StatusError{Status: status, RequestID: requestID}
	}
	return nil
}
