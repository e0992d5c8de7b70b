package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution/executionstore"
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
		settings: s, pseudonym: s.pseudonym(), engine: d.Engine, records: records, log: d.Log, now: time.Now, sleep: sleep, random: mathrand.Float64,
		asyncEngine: d.AsyncEngine, executions: executionstore.New(d.DynamoDB, s.table, s.recordPrefix),
	}
	if s.bodiesBucket != "" {
		g.bodies = d.Bodies(s.bodiesBucket, s.recordPrefix)
	}
	if d.Clock != nil {
		g.now, g.sleep = d.Clock.Now, d.Clock.Sleep
	}
	if d.Random != nil {
		g.random = d.Random
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

	// lastDeadline is the latest deadline that it may have. The zero time bounds nothing.
	lastDeadline time.Time
}

// answer answers a request, and says how it ended.
func (g *Gateway) answer(ctx context.Context, a arrival) (events.LambdaFunctionURLResponse, outcome) {
	started := g.now()
	event := a.event
	out := g.respond(ctx, a, started)
	response := out.response
	if out.problem != nil {
		if g.hideAttempts {
			out.problem.attempts = nil
		}
		response = out.problem.response(requestID(ctx), field(event, "accept"))
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
	response = g.carried(ctx, event, out, response)
	g.tell(ctx, out.level(response.StatusCode), "request",
		slog.String("method", event.RequestContext.HTTP.Method),
		slog.Int("status", response.StatusCode),
		slog.Int("attempts", out.attempts),
		slog.Int64("durationMs", g.now().Sub(started).Milliseconds()))
	return urlResponse(response), out
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

// sleep passes time by the system's clock.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
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

	// attempts is how many were made.
	attempts int

	// applied is what Preference-Applied says.
	applied string
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
		return outcome{response: response, final: true}
	}
	asked := idempotencyhttp.FromFunctionURL(*a.event, g.authReplaces...)
	if a.caller != "" {
		asked.Caller = a.caller
	}
	key, refused := g.keyFor(asked)
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
		return g.accept(ctx, call, asked, key, wanted, started, a.lastDeadline)
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
	input, refused := g.input(ctx, call, record)
	if refused != nil {
		g.release(ctx, record)
		return outcome{problem: refused}
	}
	envelope, failed := g.execute(ctx, call, input)
	if failed != nil {
		if failed.Status == http.StatusServiceUnavailable {
			g.release(ctx, record) // nothing was started that would do it
		}
		return outcome{problem: failed}
	}
	if err := g.loadBody(ctx, envelope); err != nil {
		return outcome{problem: answerUnread(envelope, call.Request.Method), attempts: len(envelope.Attempts)}
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

// input writes what the state machine starts with: the envelope that leads to the first proxy. The body of a request that is too
// large for a state goes into the bucket, if there is one.
func (g *Gateway) input(ctx context.Context, call *message.Call, record *idempotency.Record) ([]byte, *problem) {
	start := g.start()
	write := func() ([]byte, error) {
		envelope := message.ToProxy(call, g.policy, nil, 0)
		envelope.Start = start
		if record != nil {
			envelope.Record = &message.Record{ID: record.ID, Owner: record.Owner}
		}
		return message.Marshal(envelope)
	}
	limit := message.MaxCallBytes(g.policy.For(call.Request.Method, call.Request.Path))
	input, err := write()
	if err == nil && len(input) > limit && g.bodies != nil {
		if failed := g.keepBody(ctx, call); failed != nil {
			return nil, failed
		}
		input, err = write()
	}
	if err != nil {
		return nil, engineUnavailable("The request cannot be written as JSON: " + err.Error() + ".")
	}
	if len(input) > limit {
		return nil, requestTooLarge(fmt.Sprintf(
			"The request takes %d bytes as JSON; the state machine can carry %d. In JSON text a quote takes two bytes and a control character up to six, and a body that is not text takes a third more than its size.", len(input), limit))
	}
	return input, nil
}

// start draws the number of the proxy that makes the first attempt. Callers spread over the proxies in this way, and so
// over their addresses: a limit by address is met N times later.
func (g *Gateway) start() int {
	if g.ringStart > 0 {
		return g.ringStart
	}
	return 1 + int(g.random()*float64(g.proxies))
}

// execute runs the state machine and returns the envelope that it ended with.
func (g *Gateway) execute(ctx context.Context, call *message.Call, input []byte) (*message.Envelope, *problem) {
	ctx, cancel := context.WithDeadline(ctx, call.DeadlineTime().Add(answerGrace))
	defer cancel()

	// A request that never got a connection was not sent.
	unsent := new(atomic.Bool)
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { unsent.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { unsent.Store(false) },
	})
	execution, err := g.engine.StartSyncExecution(traced, &sfn.StartSyncExecutionInput{
		StateMachineArn: aws.String(g.stateMachineARN),
		Name:            aws.String(requestID(ctx)),
		Input:           aws.String(string(input)),
	})
	method := call.Request.Method
	if err != nil {
		g.tell(ctx, slog.LevelError, "StartSyncExecution failed", slog.String("error", withoutInput(err)))
		return nil, startProblem(err, unsent.Load(), method)
	}
	switch execution.Status {
	case types.SyncExecutionStatusSucceeded:
		envelope := new(message.Envelope)
		err := json.Unmarshal([]byte(aws.ToString(execution.Output)), envelope)
		if err != nil || envelope.Outcome != retry.Succeeded && envelope.Outcome != retry.Failed {
			return nil, engineFailed(method, "The output of the execution is not an envelope.")
		}
		g.judgeLosses(call, envelope)
		return envelope, nil
	case types.SyncExecutionStatusTimedOut:
		return nil, withoutAnswer(http.StatusGatewayTimeout, method, true, "The execution of the state machine timed out.")
	}
	g.tell(ctx, slog.LevelError, "the state machine failed",
		slog.String("execution", aws.ToString(execution.ExecutionArn)), slog.String("error", aws.ToString(execution.Error)))
	return nil, engineFailed(method, fmt.Sprintf("The execution %s ended with %s.", aws.ToString(execution.ExecutionArn), aws.ToString(execution.Error)))
}

// judgeLosses completes the envelope of an execution that ended because its proxies were lost, so that no proxy was left
// to judge what that means.
func (g *Gateway) judgeLosses(call *message.Call, envelope *message.Envelope) {
	if envelope.Error != message.ProxiesLost {
		return
	}
	attempts, decision := envelope.JudgeLosses(g.policy, call.ForPolicy(g.proxies), g.now(), g.random)
	envelope.Attempts, envelope.Losses, envelope.Error = attempts, nil, retry.AttemptsExhausted
	if decision.Outcome == retry.Failed {
		envelope.Error = decision.Reason
	}
	if decision.RetryAfter > 0 {
		envelope.NotBefore = g.now().Add(decision.RetryAfter).UnixMilli()
	}
}

// withoutInput is the text of an error of StartSyncExecution. The errors about the input may quote it, so of those it is
// the code alone.
func withoutInput(err error) string {
	var answered smithy.APIError
	if errors.As(err, &answered) {
		switch code := answered.ErrorCode(); code {
		case "ValidationException", "InvalidExecutionInput":
			return code
		}
	}
	return err.Error()
}

// startProblem says what an error of StartSyncExecution means to the caller. Only where the execution cannot have been
// started is the request free to be sent again: where the service refused it, or where it was not sent, for want of a
// connection. Of a 5xx nobody knows who says it, and when: a load balancer may answer 503 while the execution runs.
func startProblem(err error, unsent bool, method string) *problem {
	var served *smithyhttp.ResponseError
	var answered smithy.APIError
	switch {
	case unsent:
		return engineUnavailable("Step Functions could not be reached. The upstream was not called.")
	case errors.Is(err, context.DeadlineExceeded):
		return withoutAnswer(http.StatusGatewayTimeout, method, true, "The state machine did not end in time.")
	case errors.As(err, &served) && served.HTTPStatusCode() >= 500:
		return engineFailed(method, "Step Functions failed, perhaps while the execution ran. Whether the upstream was called is not known.")
	case errors.As(err, &answered):
		return engineUnavailable("Step Functions refused to start the execution: " + answered.ErrorCode() + ". The upstream was not called.")
	}
	return engineFailed(method, "The connection to Step Functions broke while the execution ran. Whether the upstream was called is not known.")
}

// answered turns the envelope that an execution ended with into HTTP: the upstream's answer, or a problem if there is none.
func (g *Gateway) answered(envelope *message.Envelope, method string) outcome {
	out := outcome{attempts: len(envelope.Attempts), gaveUp: envelope.Outcome == retry.Failed}
	retryAfter, known := g.retryAfter(envelope)
	if envelope.StatusCode == 0 {
		out.problem = unanswered(envelope, method)
		if out.gaveUp = out.problem.Status != http.StatusServiceUnavailable; out.gaveUp && known {
			out.problem.RetryAfter = max(retryAfter, time.Second)
		}
		return out
	}
	expiration := time.Unix(envelope.Expiration, 0)
	if envelope.Release {
		expiration = time.Unix(0, 0)
	}
	out.response = g.decorate(envelope, expiration)
	if envelope.Bodiless {
		out.bodiless = answerTooLarge(envelope, method)
	}
	out.final = envelope.Outcome == retry.Succeeded
	// Of a request that was not repeated, because that is not safe, whoever sends it knows more than we do.
	out.gaveUp = out.gaveUp && envelope.Error != retry.UnsafeToRepeat
	if known {
		out.response.Headers["retry-after"] = retryAfterSeconds(retryAfter)
	}
	return out
}

// retryAfter is how long whoever comes again should wait, if the request failed and that is known: until the moment that
// the upstream named, in the last answer or before, or else until after a backoff.
func (g *Gateway) retryAfter(envelope *message.Envelope) (wait time.Duration, known bool) {
	told := false
	for _, attempt := range envelope.Attempts {
		told = told || attempt.NotBefore != 0
	}
	if envelope.NotBefore == 0 || !told && (g.omitRetryAdvice || envelope.Error == retry.UnsafeToRepeat) {
		return 0, false
	}
	return max(0, time.UnixMilli(envelope.NotBefore).Sub(g.now())), true
}

// decorate adds what the gateway says of an upstream's answer: through whom it came, and if it is recorded, how long it
// lives. An answer that is not recorded expires at the Unix epoch.
func (g *Gateway) decorate(envelope *message.Envelope, expiration time.Time) idempotencyhttp.Response {
	response := idempotencyhttp.Response(envelope.Response)
	if response.Headers == nil {
		response.Headers = make(map[string]string)
	}
	g.forwarding.RemoveForged(response.Headers)
	// An upstream that is itself behind proxies tells of those first: they are nearer to the origin, RFC 9209 section 2.
	// A record that another program wrote tells of no attempts.
	if len(envelope.Attempts) > 0 && !g.hideAttempts {
		response.Headers["proxy-status"] = joinFields(response.Headers["proxy-status"], proxyStatus(envelope.Attempts))
	}
	protocol := "1.1"
	if message.IsToken(envelope.Protocol) {
		protocol = envelope.Protocol
	}
	response.Headers["via"] = joinFields(response.Headers["via"], protocol+" "+g.pseudonym)
	if expiration.Unix() > 0 && !envelope.Bodiless {
		response = g.cache.Decorate(response, expiration.Sub(g.now()))
	}
	return response
}

// retryAfterSeconds writes a delay as RFC 9110 section 10.2.3 has it, rounded up so that nobody comes too early. The delay is
// up to a moment that was rounded up to a millisecond before, which must not become a second more.
func retryAfterSeconds(delay time.Duration) string {
	return strconv.FormatInt(int64(math.Ceil(max(0, delay-time.Millisecond+time.Nanosecond).Seconds())), 10)
}

// unanswered says that no attempt reached an answer that can be handed back.
func unanswered(envelope *message.Envelope, method string) *problem {
	attempts := envelope.Attempts
	if neverCalled(attempts) && attempts[len(attempts)-1].Details == message.RequestBodyUnread {
		p := bodiesUnavailable("The proxies could not read the body of the request from the bucket of large bodies. The upstream was not called.")
		p.attempts = attempts
		return p
	}
	if neverCalled(attempts) {
		return proxiesUnavailable("Lambda ran none of the proxies: "+attempts[len(attempts)-1].Details+". The upstream was not called.", attempts)
	}
	status, detail := http.StatusBadGateway, "The attempts that the policy allows were used up."
	switch envelope.Error {
	case retry.DeadlineExceeded:
		status, detail = http.StatusGatewayTimeout, "The deadline came before the upstream gave a final answer."
	case retry.UnsafeToRepeat:
		detail = "The upstream may have processed the request, and the request is not safe to repeat: its method is not idempotent (RFC 9110 section 9.2.2) and it carries no Idempotency-Key."
	case retry.NotRetryable:
		detail = "The attempt failed in a way that another one would have met as well."
	case message.CredentialsUnavailable:
		detail = "The credential with which the upstream is called could not be had for another attempt."
	case message.Superseded:
		detail = "Another request has the Idempotency-Key by now, since this one was not started in time. Nothing was sent."
	case message.AnswerTooLarge:
		detail = "The upstream's answer is larger than a state of the state machine can hold."
	case message.AnswerNotKept:
		detail = "The upstream has answered, and its answer could not be written to the bucket of large bodies."
	}
	if len(attempts) > 0 && timedOut(attempts[len(attempts)-1]) {
		status = http.StatusGatewayTimeout
	}
	if envelope.Error == message.CredentialsUnavailable && (!maybeProcessed(envelope) || retry.Safe(method)) {
		return credentialsUnavailable(attempts)
	}
	p := withoutAnswer(status, method, maybeProcessed(envelope), detail)
	p.attempts = attempts
	return p
}

// timeouts are the failures of attempts that took too long. RFC 9209 section 2.3 recommends 504 for them.
var timeouts = map[retry.ErrorType]bool{
	retry.DNSTimeout:             true,
	retry.ConnectionTimeout:      true,
	retry.ConnectionReadTimeout:  true,
	retry.ConnectionWriteTimeout: true,
	retry.HTTPResponseTimeout:    true,
}

// timedOut says whether an attempt ended because it took too long, by its own time or by that of its proxy.
func timedOut(a retry.Attempt) bool {
	return timeouts[a.Error] || message.Lost(a) && (a.Details == "States.Timeout" || a.Details == "Sandbox.Timedout")
}

// neverCalled says whether no attempt came as far as the upstream, because Lambda did not run its proxy.
func neverCalled(attempts []retry.Attempt) bool {
	for _, attempt := range attempts {
		if !message.NeverRan(attempt) {
			return false
		}
	}
	return len(attempts) > 0
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
