package handler

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A trail is what comes to light of a request on its way, for the line of the log that tells of it.
type trail struct {
	// keyDigest stands for its Idempotency-Key. Empty if it has none.
	keyDigest string

	// execution is the ARN of the execution that it started, or that it asks about. Empty if there is none.
	execution string

	// replayOf is the id of the request whose answer it gets.
	replayOf string
}

// trailKey is the key of a request's *trail in its context.
type trailKey struct{}

func withTrail(ctx context.Context) (context.Context, *trail) {
	t := new(trail)
	return context.WithValue(ctx, trailKey{}, t), t
}

// trailOf is the trail of the request that a context belongs to. It is never nil: what is no request has one that nobody reads.
func trailOf(ctx context.Context) *trail {
	if t, found := ctx.Value(trailKey{}).(*trail); found {
		return t
	}
	return new(trail)
}

// keyDigestDigits is how many digits of its SHA-256 stand for a key: 64 bits, by which it is found and told from others.
const keyDigestDigits = 16

// digestOfKey stands for a key in the log, where the key itself has no business: whoever knows it could be handed the answer.
func digestOfKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])[:keyDigestDigits]
}

// maxLoggedID is the longest id of another request that goes into the log, in bytes. It comes from a record, which others may have
// written.
const maxLoggedID = 64

// replays notes whose answer a request gets.
func (t *trail) replays(requestID string) {
	if message.IsToken(requestID) && len(requestID) <= maxLoggedID {
		t.replayOf = requestID
	}
}

// callerOf is the identity of a caller as IAM has it: the ARN of a user or of a session of a role. Empty for whoever has none.
func callerOf(a arrival) string {
	if a.caller != "" {
		return a.caller
	}
	if authorizer := a.event.RequestContext.Authorizer; authorizer != nil && authorizer.IAM != nil {
		if authorizer.IAM.UserARN != "" {
			return authorizer.IAM.UserARN
		}
		return authorizer.IAM.UserID
	}
	return ""
}

// loggedPath is a path as the log has it. Where asynchronous requests are asked for, their ids are left out: whoever knows the id
// of one without an identity gets its answer.
func (g *Gateway) loggedPath(path string) string {
	rest, below := strings.CutPrefix(path, execution.Path)
	if !below || g.asyncMachineARN == "" {
		return message.LoggedPath(path)
	}
	if strings.HasSuffix(rest, execution.ResponsePath) {
		return execution.Path + "{id}" + execution.ResponsePath
	}
	return execution.Path + "{id}"
}

// tellRequest writes the line of a request, which is a promise: docs/logs.md. shown is the problem that the answer is, or that
// takes the place of its body; nil if it is none.
func (g *Gateway) tellRequest(
	ctx context.Context, a arrival, out outcome, shown *problem, response events.LambdaFunctionURLResponse, seen *trail, took time.Duration,
) {
	attributes := make([]slog.Attr, 0, 32)
	text := func(name, value string) {
		if value != "" {
			attributes = append(attributes, slog.String(name, value))
		}
	}
	end := out.ending()
	text("method", message.LoggedMethod(a.event.RequestContext.HTTP.Method))
	text("path", g.loggedPath(a.event.RawPath))
	attributes = append(attributes, slog.Int("status", response.StatusCode))
	if shown != nil {
		text("problem", shown.Name())
	}
	text("outcome", string(end))
	attributes = append(attributes, slog.Int("attempts", len(out.made)))
	if n := len(out.made); n > 0 && out.made[n-1].Status != 0 {
		attributes = append(attributes, slog.Int("upstreamStatus", out.made[n-1].Status))
	}
	attributes = append(attributes, slog.Bool("replayed", end == asReplayed))
	text("replayOf", seen.replayOf)
	text("keyDigest", seen.keyDigest)
	text("execution", seen.execution)
	text("caller", callerOf(a))
	attributes = append(attributes, slog.Int64("durationMs", took.Milliseconds()))

	now := g.now()
	m := g.metrics.At(now)
	m.Count(message.MetricRequests)
	m.Milliseconds(message.MetricRequestTime, took)
	for _, name := range out.counts() {
		m.Count(name)
	}
	if n := g.addresses.see(out.made, g.proxies, now); n > 0 {
		m.Number(message.MetricAddresses, n)
	}
	g.tell(ctx, out.level(response.StatusCode), message.RequestText, append(attributes, m.Attributes()...)...)
}

// tellLosses writes the lines of attempts whose proxies were lost, and of which no proxy was left to tell: those behind the first
// so many of an execution's.
func (g *Gateway) tellLosses(ctx context.Context, call *message.Call, attempts []retry.Attempt, told int) {
	for i := told; i < len(attempts); i++ {
		outcome := retry.Again
		if i == len(attempts)-1 {
			outcome = retry.Failed
		}
		lost := attempts[i]
		lost.Wait = 0 // the state machine went on at once
		m := g.metrics.At(g.now())
		m.Attempt(i+1, lost, outcome)
		g.tell(ctx, slog.LevelWarn, message.AttemptText, append(message.AttemptAttributes(call, i+1, lost, outcome), m.Attributes()...)...)
	}
}
