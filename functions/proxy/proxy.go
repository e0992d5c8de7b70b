package main

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"slices"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A proxy makes one attempt per invocation. It is safe for concurrent use.
type proxy struct {
	config
	client *http.Client
	log    *slog.Logger

	now    func() time.Time
	sleep  func(context.Context, time.Duration) error
	random func() float64
}

func newProxy(c config, logger *slog.Logger) *proxy {
	return &proxy{
		config: c,
		client: &http.Client{
			Transport:     newTransport(fence{allowed: c.allowedNetworks}),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		log:    logger,
		now:    time.Now,
		sleep:  sleep,
		random: rand.Float64,
	}
}

// errNoCall is the error of an invocation that is not one of the state machine's.
var errNoCall = errors.New("proxy: the event holds no call; a proxy is invoked by the state machine, with an envelope")

// handle makes one attempt and says what comes next. An error means that the proxy was used wrongly; what goes wrong
// with the attempt is part of the answer.
func (p *proxy) handle(ctx context.Context, in message.Envelope) (*message.Envelope, error) {
	call := in.TheCall()
	if call == nil {
		return nil, errNoCall
	}
	history := in.History()
	if err := p.sleep(ctx, time.Duration(in.SleepMilliseconds)*time.Millisecond); err != nil {
		return nil, err
	}

	start := p.now()
	timeout := min(p.policy.AttemptTimeout, call.DeadlineTime().Sub(start))
	if timeout < p.leastTime() {
		// Losing a proxy, or waiting for another request with the same key, took longer than was left.
		return message.Failure(retry.DeadlineExceeded, history), nil
	}
	result, response := p.attempt(ctx, &call.Request, timeout)
	decision := p.policy.Next(call.ForPolicy(p.ring), history, result, p.random)
	attempt := result.Attempt(p.name, start, decision)
	attempts := append(slices.Clone(history), attempt)
	p.logAttempt(ctx, len(attempts), attempt, decision)

	if decision.Outcome == retry.Again {
		next := *call
		next.To = p.ring.After(p.name)
		dispatch := message.Dispatch{
			Policy: p.policy, Ring: p.ring, Call: &next, History: attempts,
			Delay: decision.Delay, Now: result.Received, Random: p.random,
		}
		out := dispatch.Envelope()
		out.StatusCode = result.Status
		return out, nil
	}
	return p.answer(call, response, decision, result, attempts)
}

// leastTime is the least time that an attempt is begun with. A policy with a very short deadline gets its attempt too.
func (p *proxy) leastTime() time.Duration {
	return max(1, min(retry.MinimumAttemptTime, p.policy.AttemptTimeout, p.policy.Deadline/2))
}

// attempt sends the request once and reads the whole answer. Where the answer has a body that is larger than can be
// carried, there is a result and no response: the upstream has answered, whatever becomes of it.
func (p *proxy) attempt(ctx context.Context, r *message.Request, timeout time.Duration) (retry.Result, *message.Response) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	trace := new(retry.Trace)
	fail := func(err error) (retry.Result, *message.Response) {
		return retry.Result{Failure: retry.ClassifyFailure(err, trace), Received: p.now()}, nil
	}

	request, err := newRequest(httptrace.WithClientTrace(ctx, trace.ClientTrace()), p.baseURL, r)
	if err != nil {
		return fail(err)
	}
	received, err := p.client.Do(request)
	if err != nil {
		return fail(err)
	}
	defer received.Body.Close()
	body, err := readBody(received.Body)
	result := retry.Result{Status: received.StatusCode, Header: received.Header, Received: p.now()}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return result, nil
	case err != nil:
		return fail(err)
	}
	response := newResponse(received, body)
	return result, &response
}

// answer hands back the upstream's answer, or says that there is none. An answer that is too large to be carried is
// replaced by an envelope without one. It has the same outcome: if the upstream has done what was asked, the record of
// the request must say so, or the next request with the same key would have it done again.
func (p *proxy) answer(call *message.Call, response *message.Response, decision retry.Decision, result retry.Result, attempts []retry.Attempt) (*message.Envelope, error) {
	out := &message.Envelope{Outcome: decision.Outcome, Error: decision.Reason, Attempts: attempts}
	fits := func(text []byte) bool { return len(text) <= message.MaxStateBytes }
	switch {
	case decision.Outcome == retry.Failed:
		fits = func(text []byte) bool { return len(text) <= message.MaxCauseBytes }
		if decision.RetryAfter > 0 {
			// Rounded up: a caller who comes a moment early comes in vain.
			out.NotBefore = result.Received.Add(decision.RetryAfter + time.Millisecond - time.Nanosecond).UnixMilli()
		}
	case call.Recorded:
		fits = func(text []byte) bool { return message.RecordBytes(text) <= message.MaxRecordBytes }
		out.Expiration = result.Received.Add(p.recordTTL).Unix()
	}
	if response != nil {
		out.Response = *response
	}
	text, err := message.Marshal(out)
	if err != nil {
		return nil, err
	}
	unread := response == nil && result.Failure == nil
	if unread || !fits(text) {
		last := &attempts[len(attempts)-1]
		last.Error, last.Details = retry.HTTPResponseBodySize, "the answer is larger than the state machine can carry"
		out.Response, out.Error = message.Response{}, message.AnswerTooLarge
		out.ShortenAttempts()
	}
	return out, nil
}

// logAttempt tells of an attempt, without anything of what was sent or received.
func (p *proxy) logAttempt(ctx context.Context, number int, a retry.Attempt, d retry.Decision) {
	p.log.LogAttrs(ctx, slog.LevelInfo, "attempt",
		slog.Int("attempt", number),
		slog.String("proxy", a.Proxy),
		slog.Int("status", a.Status),
		slog.String("error", string(a.Error)),
		slog.String("details", a.Details),
		slog.Int64("durationMs", a.Duration),
		slog.String("outcome", string(d.Outcome)),
		slog.Int64("waitMs", a.Wait),
		slog.String("why", a.Why))
}

// sleep waits for a duration or until the context ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
