package handler

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/largebody"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// Bodies is what the gateway needs of whoever keeps large bodies, see package bucketstore.
type Bodies interface {
	Put(ctx context.Context, kind largebody.Kind, name string, body []byte) error
	Get(ctx context.Context, kind largebody.Kind, name string) ([]byte, error)
}

const (
	// bodyTime is the longest that the body of an answer is read. The function has more time than that left when the state machine
	// has ended.
	bodyTime = 8 * time.Second

	// smallBody is the size up to which a body is known to fit into what the URL carries, however it is written as JSON, in bytes.
	smallBody = 1 << 20
)

// errNoBodies is the error of an answer whose body is in a bucket, where the environment knows of none.
var errNoBodies = errors.New("gateway: the envelope names an object, and the environment names no bucket with it")

// keepBody writes the body of a request to the bucket, and has the call name it. After an error nothing was started.
func (g *Gateway) keepBody(ctx context.Context, call *message.Call) *problem {
	body, err := call.Request.BodyBytes()
	if err != nil {
		return invalidRequest("The body is marked as base64 and is not.")
	}
	ctx, cancel := context.WithTimeout(ctx, call.DeadlineTime().Sub(g.now()))
	defer cancel()
	name := largebody.Name()
	if err := g.bodies.Put(ctx, largebody.Requests, name, body); err != nil {
		g.tell(ctx, slog.LevelError, "the body of the request could not be written to the bucket", slog.String("error", err.Error()))
		return bodiesUnavailable("The body of the request could not be written to the bucket of large bodies. The upstream was not called.")
	}
	call.Request = call.Request.WithBodyIn(name)
	return nil
}

// loadBody puts the body of an answer in the place of its object. The error is [largebody.ErrNotFound] if that is not there any
// more.
func (g *Gateway) loadBody(ctx context.Context, envelope *message.Envelope) error {
	if envelope.BodyObject == "" {
		return nil
	}
	if g.bodies == nil {
		return errNoBodies
	}
	ctx, cancel := context.WithTimeout(ctx, bodyTime)
	defer cancel()
	body, err := g.bodies.Get(ctx, largebody.Answers, envelope.BodyObject)
	if err != nil {
		g.tell(ctx, slog.LevelError, "the body of an answer could not be read from the bucket", slog.String("error", err.Error()))
		return err
	}
	envelope.SetLargeBody(body)
	envelope.BodyObject = ""
	return nil
}

// renewBody writes the body of a request that is started again anew, if it lies in the bucket: there, an object lives from when it
// was written. The error is [largebody.ErrNotFound] if it has gone already.
func (g *Gateway) renewBody(ctx context.Context, request *message.Request) error {
	if request.BodyObject == "" {
		return nil
	}
	if g.bodies == nil {
		return errNoBodies
	}
	ctx, cancel := context.WithTimeout(ctx, bodyTime)
	defer cancel()
	body, err := g.bodies.Get(ctx, largebody.Requests, request.BodyObject)
	if err != nil {
		return err
	}
	return g.bodies.Put(ctx, largebody.Requests, request.BodyObject, body)
}

// carried is a response as the function URL can carry it. In the place of a body that is too large stands a problem, where bodies
// can be large; without it, Lambda would tell the caller of an error of the function. The problem is nil if there is none.
func (g *Gateway) carried(ctx context.Context, event *events.LambdaFunctionURLRequest, out outcome, response idempotencyhttp.Response) (idempotencyhttp.Response, *problem) {
	if out.bodiless == nil && (g.bodies == nil || fitsURL(response)) {
		return response, nil
	}
	p := out.bodiless
	if p == nil {
		p = answerTooLarge(&message.Envelope{Outcome: retry.Succeeded, Response: message.Response{StatusCode: response.StatusCode}}, event.RequestContext.HTTP.Method)
	}
	if g.hideAttempts {
		p.attempts = nil
	}
	instead := p.response(requestID(ctx), field(event, "accept"))
	headers := message.Response(response).WithoutBody().Headers
	delete(instead.Headers, "proxy-status") // is there already
	maps.Copy(headers, instead.Headers)
	response.Headers, response.Body, response.IsBase64Encoded = headers, instead.Body, instead.IsBase64Encoded
	return response, p
}

// fitsURL says whether the function URL can carry a response.
func fitsURL(response idempotencyhttp.Response) bool {
	if len(response.Body) <= smallBody {
		return true
	}
	n, err := message.JSONBytes(urlResponse(response))
	return err == nil && n <= maxAnswerBytes
}
