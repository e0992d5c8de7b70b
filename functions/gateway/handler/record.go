package handler

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// leaseMargin is how long after the deadline of its request a record stays locked, if neither the state machine nor the
// gateway releases it. Nothing is sent upstream after the deadline; the margin is for writing the record, with retries,
// and for clocks that differ.
const leaseMargin = 30 * time.Second

// keyFor reads the Idempotency-Key of a request. It is empty if there is none and none is needed.
func (g *Gateway) keyFor(request idempotencyhttp.Request) (string, *problem) {
	field, given := request.Headers[idempotencyhttp.KeyField]
	if !given {
		if g.keyRequirement.Requires(request) {
			return "", &problem{Problem: idempotencyhttp.MissingKey()}
		}
		return "", nil
	}
	key, err := idempotencyhttp.ParseKey(field)
	if err != nil {
		refused, _ := idempotencyhttp.ProblemFor(err, g.now())
		return "", &problem{Problem: refused}
	}
	return key, nil
}

// acquire asks for the record of a request with a key, and waits, within the request's own deadline, for another one
// that has it.
func (g *Gateway) acquire(ctx context.Context, request idempotencyhttp.Request, key string, deadline time.Time) (idempotency.Acquisition, *problem) {
	acquired, err := g.records.Acquire(ctx, idempotency.Claim{
		ID:          idempotencyhttp.RecordID(g.recordPrefix, request, key),
		Fingerprint: idempotencyhttp.Fingerprint(request),
		LeaseEnd:    deadline.Add(leaseMargin),
		Wait:        deadline.Sub(g.now()),
	})
	if err == nil {
		return acquired, nil
	}
	if errors.Is(err, idempotency.ErrStoreFailed) {
		g.tell(ctx, slog.LevelError, "the idempotency table could not be asked", slog.String("error", err.Error()))
	}
	if known, ok := idempotencyhttp.ProblemFor(err, g.now()); ok {
		return idempotency.Acquisition{}, &problem{Problem: known}
	}
	return idempotency.Acquisition{}, engineUnavailable("The idempotency record could not be acquired.")
}

// replay answers a request with what was recorded for an earlier one.
func (g *Gateway) replay(request idempotencyhttp.Request, record idempotency.Record) (events.LambdaFunctionURLResponse, *problem) {
	var envelope message.Envelope
	data, err := record.Result()
	if err == nil {
		if invalid := json.Unmarshal(data, &envelope); invalid != nil || envelope.StatusCode == 0 {
			err = &idempotency.UnreadableResultError{Record: record, Err: invalid}
		}
	}
	if err != nil {
		unavailable, _ := idempotencyhttp.ProblemFor(err, g.now())
		return events.LambdaFunctionURLResponse{}, &problem{Problem: unavailable}
	}
	envelope.Headers = lowerCase(envelope.Headers)
	response := g.decorate(&envelope, record.Expiration)
	response = idempotencyhttp.Replayed(response, g.serverCacheHit)
	if notModified, matches := idempotencyhttp.NotModified(request, response); matches {
		response = notModified
	}
	return urlResponse(response), nil
}

// lowerCase spells the names of header fields as the proxies do. Other programs that write records need not.
func lowerCase(headers map[string]string) map[string]string {
	lower := make(map[string]string, len(headers))
	for name, value := range headers {
		lower[strings.ToLower(name)] = value
	}
	return lower
}

// release frees the key of a request that was not carried out. The error only keeps the key locked until its lease ends.
func (g *Gateway) release(ctx context.Context, record *idempotency.Record) {
	if record == nil {
		return
	}
	if err := g.records.Release(ctx, *record); err != nil {
		g.tell(ctx, slog.LevelError, "the idempotency record could not be released", slog.String("error", err.Error()))
	}
}
