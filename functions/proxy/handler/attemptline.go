package handler

import (
	"context"
	"log/slog"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// logLosses tells of the proxies that were lost before this one: those in the history behind the first so many attempts.
func (p *Proxy) logLosses(ctx context.Context, call *message.Call, history []retry.Attempt, told int, last retry.Decision) {
	for i := told; i < len(history); i++ {
		outcome := retry.Again
		if i == len(history)-1 {
			outcome = last.Outcome
		}
		p.logAttempt(ctx, call, i+1, history[i], outcome)
	}
}

// logAttempt writes the line of an attempt, which is a promise: docs/logs.md.
func (p *Proxy) logAttempt(ctx context.Context, call *message.Call, number int, a retry.Attempt, outcome retry.Outcome) {
	level := slog.LevelInfo
	if outcome == retry.Failed || message.Lost(a) {
		level = slog.LevelWarn
	}
	attributes := []slog.Attr{slog.String("requestId", call.RequestID)}
	if lc, found := lambdacontext.FromContext(ctx); found {
		attributes = append(attributes, slog.String("invocationId", lc.AwsRequestID))
	}
	attributes = append(attributes, message.AttemptAttributes(call, number, a, outcome)...)
	m := p.metrics.At(p.clock.Now())
	m.Attempt(number, a, outcome)
	p.log.LogAttrs(ctx, level, message.AttemptText, append(attributes, m.Attributes()...)...)
}

// logEnd writes the line of an asynchronous request that has ended, and counts how: the gateway, which tells of it to whoever asks,
// counts only those whose callers wait. Of a callback it counts nothing.
func (p *Proxy) logEnd(ctx context.Context, x *execution.Execution, out *message.Envelope) {
	level := slog.LevelInfo
	attributes := []slog.Attr{
		slog.String("requestId", x.RequestID),
		slog.String("execution", x.Run()),
	}
	if x.IsCallback() {
		attributes = append(attributes, slog.Bool("callback", true))
	} else {
		attributes = append(attributes, slog.String("method", message.LoggedMethod(x.Method)))
	}
	attributes = append(attributes, slog.String("outcome", string(out.Outcome)))
	if out.Error != "" {
		attributes = append(attributes, slog.String("reason", string(out.Error)))
	}
	attributes = append(attributes, slog.Int("attempts", len(out.Attempts)))
	if n := len(out.Attempts); n > 0 && out.Attempts[n-1].Status != 0 {
		attributes = append(attributes, slog.Int("upstreamStatus", out.Attempts[n-1].Status))
	}
	now := p.clock.Now()
	attributes = append(attributes, slog.Int64("durationMs", max(0, now.UnixMilli()-x.Created)))
	m := p.metrics.At(now)
	if out.Outcome == retry.Failed {
		level = slog.LevelWarn
	}
	for _, name := range out.FailureMetrics(x.Method) {
		m.Count(name)
	}
	if x.IsCallback() {
		m = message.MetricSource{}.At(now)
	}
	p.log.LogAttrs(ctx, level, message.ExecutionText, append(attributes, m.Attributes()...)...)
}
