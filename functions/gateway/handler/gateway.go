package handler

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution/executionstore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate/gatestore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/dynamostore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// answerGrace is how long after the deadline the gateway still waits for the state machine, which ends by itself: the
// request and the reply take time, and the last proxy has to say how it ended.
const answerGrace = 2 * time.Second

// An Engine is the part of Step Functions that the gateway needs. It must not repeat a start by itself: a second
// execution is perhaps a second call of the upstream.
type Engine interface {
	StartSyncExecution(context.Context, *sfn.StartSyncExecutionInput, ...func(*sfn.Options)) (*sfn.StartSyncExecutionOutput, error)
}

// An AsyncEngine is the part of Step Functions that asynchronous requests need beside that. An execution of a Standard workflow
// has a name, by which a start that is repeated starts nothing more.
type AsyncEngine interface {
	StartExecution(context.Context, *sfn.StartExecutionInput, ...func(*sfn.Options)) (*sfn.StartExecutionOutput, error)
	StopExecution(context.Context, *sfn.StopExecutionInput, ...func(*sfn.Options)) (*sfn.StopExecutionOutput, error)
}

// Dependencies are what a gateway has of the world around it.
type Dependencies struct {
	// Engine runs the state machine. Required.
	Engine Engine

	// AsyncEngine runs the state machine of asynchronous requests. Required if the environment has one.
	AsyncEngine AsyncEngine

	// DynamoDB holds the idempotency records, and what is known of asynchronous requests. Required.
	DynamoDB dynamostore.Client

	// Bodies gives what keeps large bodies in a bucket, in objects whose keys begin with prefix. Required if the environment names
	// a bucket.
	Bodies func(bucket, prefix string) Bodies

	// Log takes a line for each request, without what was sent and received. Required.
	Log *slog.Logger

	// Clock is the time. Default: the system's.
	Clock idempotency.Clock

	// GateOptions change how the gate works, which has the Clock of the others. Default: none.
	GateOptions []gate.Option

	// Random gives numbers in [0, 1). Default: math/rand/v2.
	Random func() float64
}

// A Gateway answers the requests of a function URL, and those that come as events by Invoke. It is safe for concurrent use.
type Gateway struct {
	settings
	pseudonym string
	engine    Engine
	records   *idempotency.Manager
	tokens    *tokenVerifier // nil if tokens are not verified
	log       *slog.Logger

	asyncEngine AsyncEngine // nil if requests cannot be asynchronous
	executions  executions
	bodies      Bodies // nil if none is kept in a bucket

	gate *gate.Gate // nil if there is none

	addresses addresses

	now    func() time.Time
	sleep  func(context.Context, time.Duration) error
	random func() float64
}

// New makes the gateway that the environment describes. The error lists all that is wrong with the environment.
func New(getenv func(string) string, d Dependencies) (*Gateway, error) {
	s, err := settingsFrom(getenv)
	if err != nil {
		return nil, err
	}
	if s.asyncMachineARN != "" && d.AsyncEngine == nil {
		return nil, fmt.Errorf("gateway: %s names a state machine, and nothing runs it", message.AsyncMachineVariable)
	}
	if s.bodiesBucket != "" && d.Bodies == nil {
		return nil, fmt.Errorf("gateway: %s names a bucket, and nothing reads it", message.BodiesVariable)
	}
	return newGateway(s, dynamostore.New(d.DynamoDB, s.table), d)
}

// newGateway makes a gateway with another store than DynamoDB.
func newGateway(s settings, store idempotency.Store, d Dependencies) (*Gateway, error) {
	records, err := idempotency.New(store, idempotency.Config{Prefix: s.recordPrefix, Clock: d.Clock, Random: d.Random})
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	g := &Gateway{
		settings: s, pseudonym: s.pseudonym(), engine: d.Engine, records: records, log: d.Log, random: mathrand.Float64,
		asyncEngine: d.AsyncEngine, executions: executionstore.New(d.DynamoDB, s.table, s.recordPrefix),
	}
	if s.bodiesBucket != "" {
		g.bodies = d.Bodies(s.bodiesBucket, s.recordPrefix)
	}
	if d.Clock == nil {
		d.Clock = idempotency.SystemClock()
	}
	g.now, g.sleep = d.Clock.Now, d.Clock.Sleep
	if d.Random != nil {
		g.random = d.Random
	}
	if s.gate != nil {
		options := append([]gate.Option{gate.WithPrefix(s.recordPrefix), gate.WithClock(d.Clock)}, d.GateOptions...)
		if g.gate, err = gate.New(gatestore.New(d.DynamoDB, s.table), s.gate.Settings, options...); err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
	}
	if s.tokenIssuer != "" {
		g.tokens = newTokenVerifier(s.tokenIssuer, s.tokenKeys, s.tokenAudience, g.now)
	}
	return g, nil
}

// Handle answers one request of the function URL. It never returns an error: whatever goes wrong is an HTTP answer.
func (g *Gateway) Handle(ctx context.Context, event events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
	response, _ := g.answer(withRequestID(ctx), arrival{event: &event, endpoint: endpoint(&event)})
	return response, nil
}

// An arrival is a request, whichever way it came.
type arrival struct {
	// event is the request in the form of a function URL's event.
	event *events.LambdaFunctionURLRequest

	// refused is why it cannot be read. The event then holds what could be.
	refused *problem

	// caller is who sends it, where that is not for the event to say. Empty for a request of the URL.
	caller string

	// endpoint is where links in the answer are made to lead, scheme and host. Empty leaves them as they are.
	endpoint string

	// accept has it answered before it is carried out, unless it says itself how long it waits.
	accept bool

	// lastDeadline is the latest deadline that it may have. The zero time bounds nothing.
	lastDeadline time.Time
}

// answer answers a request, and says how it ended.
func (g *Gateway) answer(ctx context.Context, a arrival) (events.LambdaFunctionURLResponse, outcome) {
	started := g.now()
	event := a.event
	ctx, seen := withTrail(ctx)
	out := g.respond(ctx, a, started)
	if g.gate != nil {
		g.gate.Settle() // what runs on would be frozen
	}
	response := out.response
	if out.problem != nil {
		if g.hideAttempts {
			out.problem.attempts = nil
		}
		response = out.problem.response(requestID(ctx), field(event, "accept"))
	}
	if out.gate != "" {
		response.Headers["proxy-status"] = joinFields(response.Headers["proxy-status"], out.gate)
	}
	if out.gaveUp && !g.omitRetryAdvice {
		adviseAgainstRetry(response.Headers)
	}
	g.links.rewrite(response.Headers, a.endpoint)
	g.withoutCrossOrigin(response.Headers)
	if out.applied != "" {
		response.Headers["preference-applied"] = joinFields(response.Headers["preference-applied"], out.applied)
	}
	// A trace that the caller began goes upstream with the request, and comes back with the answer. What is no trace could
	// not stand in an answer.
	if parent := field(event, "traceparent"); message.IsToken(parent) && response.Headers["traceparent"] == "" {
		response.Headers["traceparent"] = parent
	}
	response, instead := g.carried(ctx, event, out, response)
	final := urlResponse(response)
	g.tellRequest(ctx, a, out, cmp.Or(out.problem, instead), final, seen, g.now().Sub(started))
	return final, out
}

// adviseAgainstRetry tells the clients that look for it that it would be of no use to send the request again at once: that
// was done. The fields are those of Stripe, and of OpenAI and Anthropic. What the upstream itself says stands.
func adviseAgainstRetry(headers map[string]string) {
	for _, name := range []string{"stripe-should-retry", "x-should-retry"} {
		if headers[name] == "" {
			headers[name] = "false"
		}
	}
}

// tell writes a line to the log. Every line names the request.
func (g *Gateway) tell(ctx context.Context, level slog.Level, text string, attributes ...slog.Attr) {
	g.log.LogAttrs(ctx, level, text, append([]slog.Attr{slog.String("requestId", requestID(ctx))}, attributes...)...)
}

// An outcome is how a request ended: with a response, or with a problem in its place.
type outcome struct {
	response idempotencyhttp.Response
	problem  *problem

	// gaveUp says that the request was tried for as long as it could be, without a final answer.
	gaveUp bool

	// bodiless is the problem that takes the place of the body of the response, which was too large. Nil if it has its body.
	bodiless *problem

	// final says that the response is the last word: the upstream's final answer, from now or from a record.
	final bool

	// made are the attempts of the request itself, of which a replay has none.
	made []retry.Attempt

	// as is how the request ended, where the response was not made by an execution of its own. Empty otherwise.
	as ending

	// late says that the request was given up on because its time was up.
	late bool

	// counted says that the proxies count how the request ended.
	counted bool

	// applied is what Preference-Applied says.
	applied string

	// gate is the member of Proxy-Status for the gate. Empty if it neither held the request back nor turned it away.
	gate string
}

// level is how much an outcome matters to whoever runs this. What the upstream could not do is a warning, what we could
// not do is an error.
func (o outcome) level(status int) slog.Level {
	switch {
	case status < 500:
		return slog.LevelInfo
	case o.problem == nil:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// respond is the way of a request through the gateway.
func (g *Gateway) respond(ctx context.Context, a arrival, started time.Time) outcome {
	if a.refused != nil {
		return outcome{problem: a.refused}
	}
	if out, here := g.atExecutions(ctx, a); here {
		return out
	}
	request, refused := readRequest(a.event, g.pseudonym, g.forwarding)
	if refused != nil {
		return outcome{problem: refused}
	}
	if response, here := maxForwards(request); here {
		return outcome{response: response, final: true, as: asTold}
	}
	asked := idempotencyhttp.FromFunctionURL(*a.event, g.authReplaces...)
	if a.caller != "" {
		asked.Caller = a.caller
	}
	key, refused := g.keyFor(asked)
	if key != "" {
		trailOf(ctx).keyDigest = digestOfKey(key)
	}
	if refused == nil && key != "" {
		refused = g.identify(ctx, &asked)
	}
	if refused != nil {
		return outcome{problem: refused}
	}
	wanted, others := parsePreferences(request.Headers["prefer"], g.forwarding)
	if request.Headers["prefer"] = others; others == "" {
		delete(request.Headers, "prefer")
	}
	wanted.async = wanted.async || a.accept && wanted.wait == 0
	callback, refused := g.callbackURLOf(request, wanted.async)
	if refused != nil {
		return outcome{problem: refused}
	}
	patience := g.patience(request, wanted, asked.Caller != "")
	if !a.lastDeadline.IsZero() && !wanted.async && started.Add(patience).After(a.lastDeadline) {
		return outcome{problem: engineUnavailable("The function's time is up before the request could wait for as long as it may. The upstream was not called.")}
	}
	call := &message.Call{
		Request:     *request,
		RequestID:   requestID(ctx),
		Deadline:    started.Add(patience).UnixMilli(),
		MaxAttempts: wanted.attempts,
		Keyed:       key != "",
		Recorded:    key != "" && g.records.Enabled(),
	}
	if call.Recorded && (request.Method == http.MethodGet || request.Method == http.MethodHead) {
		// The condition is about what is replayed. Upstream it could make a 304 of the answer that everybody is to get.
		// With other methods it decides whether anything is done, so it goes with the request.
		delete(call.Request.Headers, "if-none-match")
	}
	if wanted.async {
		var told *execution.Callback
		if callback != "" {
			told = &execution.Callback{URL: callback, Origin: a.endpoint, HideAttempts: g.hideAttempts}
		}
		return g.accept(ctx, call, asked, key, wanted, told, started, a.lastDeadline)
	}
	out := g.carryOut(ctx, call, asked, key)
	out.applied = wanted.applied(patience)
	return out
}

// carryOut answers a call: with what was recorded for an earlier one with its key, or by the state machine.
func (g *Gateway) carryOut(ctx context.Context, call *message.Call, asked idempotencyhttp.Request, key string) outcome {
	var record *idempotency.Record
	if call.Recorded {
		acquired, err := g.acquire(ctx, asked, key, call.DeadlineTime())
		if err != nil {
			return g.refusedKey(ctx, err)
		}
		if acquired.Replay {
			return g.replay(ctx, asked, acquired.Record)
		}
		record = &acquired.Record
	}
	v, refused := g.enter(ctx, call)
	if refused != nil {
		g.release(ctx, record) // nothing was sent
		return outcome{problem: refused}
	}
	input, refused := g.input(ctx, call, record)
	if refused != nil {
		g.release(ctx, record)
		return outcome{problem: refused, gate: g.leave(ctx, v, nil)}
	}
	envelope, failed := g.execute(ctx, call, input)
	passed := g.leave(ctx, v, envelope)
	if failed != nil {
		if failed.Status == http.StatusServiceUnavailable {
			g.release(ctx, record) // nothing was started that would do it
		}
		return outcome{problem: failed, gate: passed}
	}
	out := g.outcomeOf(ctx, call, envelope)
	out.gate = passed
	return out
}

// outcomeOf is how a request ended, by the envelope that its execution ended with.
func (g *Gateway) outcomeOf(ctx context.Context, call *message.Call, envelope *message.Envelope) outcome {
	if r := envelope.Gate; r != nil && r.Refused != "" && len(envelope.Attempts) == 0 {
		wait := time.UnixMilli(envelope.NotBefore).Sub(g.now())
		return outcome{problem: turnedAway(&gate.Refusal{Reason: r.Refused, RetryAfter: max(wait, time.Millisecond)})}
	}
	if err := g.loadBody(ctx, envelope); err != nil {
		return outcome{problem: answerUnread(envelope, call.Request.Method), made: envelope.Attempts}
	}
	return g.answered(envelope, call.Request.Method)
}

// field reads a header field of an event, whose names come in lower case from Lambda and in any case from tests.
func field(event *events.LambdaFunctionURLRequest, name string) string {
	for given, value := range event.Headers {
		if strings.EqualFold(given, name) {
			return value
		}
	}
	return ""
}

// patience is how long the caller waits: as long as they say, but not longer than the engine can hold. A caller whom nobody
// knows gets less: each that waits holds a function and an execution.
func (g *Gateway) patience(r *message.Request, wanted preferences, known bool) time.Duration {
	policy := g.policy.For(r.Method, r.Path)
	if wanted.wait == 0 {
		return policy.Deadline
	}
	longest := policy.MaxDeadline
	if !known && g.maxAnonymousWait > 0 {
		longest = min(longest, max(g.maxAnonymousWait, policy.Deadline))
	}
	return min(wanted.wait, longest)
}

// joinFields appends to a header field that is a list.
func joinFields(before, more string) string {
	if before == "" {
		return more
	}
	return before + ", " + more
}

// urlResponse writes a response in the form that the function URL takes. The URL would say application/json of content whose
// type is not given; RFC 9110 section 8.3 has application/octet-stream for it.
func urlResponse(r idempotencyhttp.Response) events.LambdaFunctionURLResponse {
	if r.Headers["content-type"] == "" && r.StatusCode != http.StatusNoContent && r.StatusCode != http.StatusNotModified {
		r.Headers["content-type"] = "application/octet-stream"
	}
	return events.LambdaFunctionURLResponse{
		StatusCode: r.StatusCode, Headers: r.Headers, Cookies: r.Cookies, Body: r.Body, IsBase64Encoded: r.IsBase64Encoded,
	}
}
