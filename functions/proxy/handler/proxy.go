package handler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/proxy/credential"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// Dependencies are what a proxy has of the world around it.
type Dependencies struct {
	// Log takes a line for each attempt, without what was sent and received. Required.
	Log *slog.Logger

	// Dial opens connections to the upstream, in the place of a dialer that refuses addresses which are not public.
	// Default: that dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Secrets are those that the upstream asks for, and Role gives the credentials that requests are signed with. Neither is
	// used before that is needed. Without them, an environment that says how to authenticate is refused.
	Secrets credential.Secrets
	Role    func(context.Context) (aws.Credentials, error)

	// Executions gives what keeps asynchronous requests in a table, in items whose ids begin with prefix. Without it, an
	// environment that names a table is refused.
	Executions func(table, prefix string) Executions

	// Gate gives what keeps the gate in a table. Without it, an environment with a gate is refused.
	Gate func(table string) gate.Store

	// Bodies gives what keeps large bodies in a bucket, in objects whose keys begin with prefix. Without it, an environment that
	// names a bucket is refused.
	Bodies func(bucket, prefix string) Bodies

	// Clock is the time. Default: the system's. Timeouts of attempts pass by the system's clock in any case.
	Clock Clock

	// GateOptions change how the gate works, which has the Clock of the others. Default: none.
	GateOptions []gate.Option

	// Random gives numbers in [0, 1), for jitter. Default: math/rand/v2.
	Random func() float64
}

// A Clock tells the time and passes it.
type Clock interface {
	Now() time.Time

	// Sleep waits for d, or until ctx is done, and returns ctx's error then.
	Sleep(ctx context.Context, d time.Duration) error
}

// A Proxy makes one attempt per invocation. It is safe for concurrent use.
type Proxy struct {
	settings
	transport   *http.Transport
	credentials *credential.Source // nil if the upstream asks for none
	log         *slog.Logger
	clock       Clock
	random      func() float64
	findings    retry.Findings
	executions  Executions // nil if there are none
	bodies      Bodies     // nil if none is kept in a bucket
	callbacks   *Proxy     // makes callbacks; nil if there are none
	gate        *gate.Gate // nil if there is none
	address     *ownAddress
}

// New makes the proxy that the environment describes. The error lists all that is wrong with the environment.
func New(getenv func(string) string, d Dependencies) (*Proxy, error) {
	s, err := settingsFrom(getenv)
	if err != nil {
		return nil, err
	}
	if !s.auth.IsZero() && (d.Secrets == nil || d.Role == nil) {
		return nil, fmt.Errorf("proxy: %s says how to authenticate, %w", message.UpstreamAuthVariable, errNoSDK)
	}
	if s.forwarding.Async() && d.Executions == nil {
		return nil, fmt.Errorf("proxy: %s is true, %w", message.AsyncVariable, errNoSDK)
	}
	if s.gate != nil && d.Gate == nil {
		return nil, fmt.Errorf("proxy: %s says how the gate is set, %w", message.GateVariable, errNoSDK)
	}
	if s.bodiesBucket != "" && d.Bodies == nil {
		return nil, fmt.Errorf("proxy: %s names a bucket, %w", message.BodiesVariable, errNoSDK)
	}
	if s.callbackSecret != "" && (d.Secrets == nil || !s.forwarding.Async()) {
		return nil, fmt.Errorf("proxy: %s names a secret, %w, and %s", message.CallbackSecretVariable, errNoSDK, message.AsyncVariable)
	}
	p := newProxy(s, d)
	if s.callbackSecret != "" {
		p.callbacks = newProxy(s.ofCallbacks(), d)
	}
	if s.forwarding.Async() {
		p.executions = d.Executions(s.table, s.recordPrefix)
	}
	if s.gate != nil {
		options := append([]gate.Option{gate.WithPrefix(s.recordPrefix), gate.WithClock(p.clock)}, d.GateOptions...)
		if p.gate, err = gate.New(d.Gate(s.table), s.gate.Settings, options...); err != nil {
			return nil, fmt.Errorf("proxy: %w", err)
		}
	}
	if s.bodiesBucket != "" {
		p.bodies = d.Bodies(s.bodiesBucket, s.recordPrefix)
	}
	return p, nil
}

// errNoSDK is the error of a command that starts without the AWS SDK.
var errNoSDK = errors.New("which takes the AWS SDK, and so the command functions/proxy/withsdk")

func newProxy(s settings, d Dependencies) *Proxy {
	if d.Dial == nil {
		d.Dial = (&net.Dialer{ControlContext: fence{allowed: s.allowedNetworks}.control}).DialContext
	}
	if d.Clock == nil {
		d.Clock = systemClock{}
	}
	if d.Random == nil {
		d.Random = rand.Float64
	}
	return &Proxy{
		settings:    s,
		transport:   newTransport(d.Dial, s.authorities),
		credentials: newCredentials(s, d),
		log:         d.Log,
		clock:       d.Clock,
		random:      d.Random,
		address:     newOwnAddress(s, d),
	}
}

// errNoCall is the error of an invocation that is not one of the state machine's.
var errNoCall = errors.New("proxy: the event holds no call; a proxy is invoked by the state machine, with an envelope")

// maxSleep is the longest sleep that an envelope may ask for. What is longer is for the state machine to wait, and whoever
// asks for it wants to hold the proxy.
const maxSleep = message.MaxLossSleep

// errSleep is the error of an invocation that asks for a longer sleep.
var errSleep = fmt.Errorf("proxy: the envelope's sleepMilliseconds is more than %d; longer waits are the state machine's", maxSleep.Milliseconds())

// Handle makes one attempt and says what comes next. An error means that the proxy was used wrongly; what goes wrong
// with the attempt is part of the envelope that it returns.
func (p *Proxy) Handle(ctx context.Context, in message.Envelope) (*message.Envelope, error) {
	switch {
	case in.Call == nil:
		return nil, errNoCall
	case in.Call.Execution != "":
		return p.handleExecution(ctx, in)
	}
	return p.handle(ctx, in, nil)
}

// handle makes an attempt with the request and the history that an envelope holds. begin, if there is one, is called when it
// is about to be made, with the attempts before it; its error is the proxy's.
func (p *Proxy) handle(ctx context.Context, in message.Envelope, begin func([]retry.Attempt) error) (*message.Envelope, error) {
	call := in.Call
	v := p.visit(call)
	out, err := p.visited(ctx, v, in, begin)
	if err == nil && out.Call == nil {
		if out.Gate == nil {
			out.Gate = v.report()
		}
		p.measure(ctx, v, call)
	}
	if p.gate != nil {
		p.gate.Settle() // what runs on would be frozen
	}
	return out, err
}

// visited is handle for a call that is at the gate.
func (p *Proxy) visited(ctx context.Context, v *visit, in message.Envelope, begin func([]retry.Attempt) error) (*message.Envelope, error) {
	call := in.Call
	if in.SleepMilliseconds > maxSleep.Milliseconds() {
		return nil, errSleep
	}
	if err := p.clock.Sleep(ctx, time.Duration(in.SleepMilliseconds)*time.Millisecond); err != nil {
		return nil, err
	}
	request := p.judged(call, p.clock.Now())
	history, loss := in.JudgeLosses(p.policy, request, p.clock.Now(), p.random)
	p.logLosses(ctx, call, history, len(in.Attempts), loss)
	switch {
	case loss.Outcome == retry.Failed:
		return p.withoutAnswer(call, loss, history, p.clock.Now()), nil
	case loss.Delay > message.MaxLossSleep:
		// The state machine waits, and the proxy after this one makes the attempt.
		return message.ToProxy(v.carry(call), p.policy, history, loss.Delay), nil
	}
	if err := p.clock.Sleep(ctx, loss.Delay); err != nil {
		return nil, err
	}
	if out, err := p.enter(ctx, v, call, history); out != nil || err != nil {
		return out, err
	}

	whole, err := p.withBody(ctx, call)
	if err != nil {
		return nil, err
	}
	start := p.clock.Now()
	if call.DeadlineTime().Sub(start) < p.leastTime(call) {
		// Losing a proxy, or waiting for another request with the same key, took longer than was left.
		return p.late(call, history), nil
	}
	if begin != nil {
		if err := begin(history); err != nil {
			return nil, err
		}
	}
	p.address.look()
	t, err := p.try(ctx, whole, request, history, start, p.credential)
	if err != nil {
		return p.unauthenticated(ctx, call, history, start, err), nil
	}
	history, t = p.repeatRefused(ctx, whole, request, history, t)
	result := t.result
	decision, change := p.tell(ctx, v, call, t, p.policy.Next(request, history, result, p.random), func() retry.Decision {
		byAccount := request
		byAccount.LimitedBy = retry.PerAccount
		return p.policy.Next(byAccount, history, result, p.random)
	})
	attempt := result.Attempt(p.name, t.start, decision)
	attempt.Address = p.address.known()
	attempts := append(history, attempt)
	p.logAttempt(ctx, call, len(attempts), attempt, decision.Outcome)
	p.learn(call, attempts)

	if decision.Outcome == retry.Again {
		out := message.ToProxy(v.carry(call, change), p.policy, attempts, decision.Delay)
		if decision.Kind != retry.NetworkFailure {
			out.StatusCode = result.Status
		}
		return out, nil
	}
	return p.finish(ctx, v, call, t.answer, decision, result, attempts)
}

// A tried is an attempt that was made, and what came of it.
type tried struct {
	start  time.Time
	result retry.Result
	answer upstreamAnswer

	// cutShort says that its time was up before the AttemptTimeout of its policy: the caller's deadline had come, or that of the
	// invocation.
	cutShort bool
}

// try makes an attempt. The time that it takes to have the credential is part of the attempt's; the error is that there is
// none, so that nothing was sent.
func (p *Proxy) try(
	ctx context.Context, call *message.Call, request retry.Request, history []retry.Attempt, start time.Time,
	authenticate func(context.Context) (*credential.Credential, error),
) (tried, error) {
	connect, whole := p.policy.Timeouts(request, history, start)
	whole = min(whole, timeLeft(ctx))
	ctx, cancel := context.WithTimeout(ctx, whole)
	defer cancel()
	own, err := authenticate(ctx)
	if err != nil {
		return tried{}, err
	}
	again := func(r retry.Result) bool { return p.policy.Next(request, history, r, p.random).Outcome == retry.Again }
	result, answer := p.attempt(ctx, connect, again, request, &call.Request, own)
	cutShort := result.Failure != nil && ctx.Err() != nil && whole < p.policy.For(request.Method, request.Path).AttemptTimeout
	return tried{start, result, answer, cutShort}, nil
}

// leastTime is the least time that an attempt of a call is begun with.
func (p *Proxy) leastTime(call *message.Call) time.Duration {
	return message.LeastAttemptTime(p.policy.For(call.Request.Method, call.Request.Path))
}

// late says that there was no time for an attempt, and what the attempts before it have found out about the time after the
// deadline.
func (p *Proxy) late(call *message.Call, history []retry.Attempt) *message.Envelope {
	out := message.Failure(call.RequestID, retry.DeadlineExceeded, history)
	for _, attempt := range history {
		out.NotBefore = max(out.NotBefore, attempt.NotBefore)
	}
	return out
}

// withoutAnswer says that no attempt reached an answer, and when it makes sense to ask again.
func (p *Proxy) withoutAnswer(call *message.Call, decision retry.Decision, attempts []retry.Attempt, now time.Time) *message.Envelope {
	out := message.Failure(call.RequestID, decision.Reason, attempts)
	out.NotBefore = notBefore(decision, now)
	return out
}

// notBefore is when it makes sense to ask the upstream again, in milliseconds since the Unix epoch, or zero if nobody
// knows. It is rounded up: a caller who comes a moment early is turned away.
func notBefore(decision retry.Decision, now time.Time) int64 {
	if decision.RetryAfter <= 0 {
		return 0
	}
	return now.Add(decision.RetryAfter + time.Millisecond - time.Nanosecond).UnixMilli()
}

// finish hands back the upstream's answer, or says that there is none.
//
// The body of an answer that is too large for a state goes into the bucket, if there is one. What is larger than the function URL
// can carry goes without its body then, and the gateway puts a problem in its place.
func (p *Proxy) finish(
	ctx context.Context, v *visit, call *message.Call, a upstreamAnswer, decision retry.Decision, result retry.Result, attempts []retry.Attempt,
) (*message.Envelope, error) {
	if decision.Kind == retry.NetworkFailure {
		return p.withoutAnswer(call, decision, attempts, result.Received), nil
	}
	out := message.Answer(call.RequestID, decision.Outcome, decision.Reason, a.Response, attempts)
	out.Protocol, out.Gate = a.protocol, v.report()
	switch {
	case decision.Outcome == retry.Failed:
		out.NotBefore = notBefore(decision, result.Received)
	case call.Recorded:
		out.Expiration = result.Received.Add(p.recordTTL).Unix()
		out.Release = !p.settles(&call.Request, &a.Response, decision.Recorded)
	}
	if !a.tooLarge {
		if fits, err := canCarry(call, out); fits || err != nil {
			return out, err
		}
	}
	if p.bodies == nil {
		return withoutItsBody(call, out, retry.HTTPResponseBodySize, "the answer is larger than the state machine can carry", message.AnswerTooLarge)
	}
	if !a.tooLarge {
		kept, err := p.keepBody(ctx, call, out)
		if errors.Is(err, errNotKept) {
			return withoutItsBody(call, out, retry.ProxyInternalError, "the answer could not be written to the bucket", message.AnswerNotKept)
		}
		if kept != nil || err != nil {
			return kept, err
		}
	}
	bodiless := out.WithoutBody()
	last := &bodiless.Attempts[len(attempts)-1]
	last.Error, last.Details = retry.HTTPResponseBodySize, "the answer is larger than the function URL can carry"
	if fits, err := canCarry(call, bodiless); fits || err != nil {
		return bodiless, err
	}
	return withoutItsBody(call, out, last.Error, last.Details, message.AnswerTooLarge)
}

// withoutItsBody hands back an answer whose body cannot be, if it is a redirect or an error: what clients act on is
// the status and the fields. A success without its body would be a false one, so there is an envelope without an answer in
// its place. It has the same outcome: if the upstream has done what was asked, the record of the request must say so, or
// the next request with the same key would have it done again.
func withoutItsBody(call *message.Call, out *message.Envelope, kind retry.ErrorType, details string, reason retry.Reason) (*message.Envelope, error) {
	last := &out.Attempts[len(out.Attempts)-1]
	last.Error, last.Details = kind, details
	answer := out.Response
	if answer.StatusCode >= http.StatusMultipleChoices {
		out.Response = answer.WithoutBody()
		if fits, err := canCarry(call, out); fits || err != nil {
			return out, err
		}
	}
	out.Response, out.Error = message.Response{}, reason
	return out, nil
}

// canCarry says whether the state machine can carry an envelope to its end, and into the record if it goes there.
func canCarry(call *message.Call, out *message.Envelope) (bool, error) {
	if len(out.Body) > execution.MaxPartBytes {
		return false, nil // the largest of the limits; a body takes its length at least
	}
	text, err := message.Marshal(out)
	if err != nil {
		return false, err
	}
	if call.Execution != "" {
		return len(text) <= execution.MaxPartBytes, nil
	}
	if call.Recorded && out.Outcome == retry.Succeeded && !out.Release {
		return message.RecordBytes(text) <= message.MaxRecordBytes, nil
	}
	return len(text) <= message.MaxStateBytes, nil
}

// systemClock is the time as it passes.
type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

// Sleep waits for a duration or until the context ends.
func (systemClock) Sleep(ctx context.Context, d time.Duration) error {
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
