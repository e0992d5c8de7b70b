package handler

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/largebody"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

const (
	// stopAttempts is how often an execution that goes on in the meantime is tried to be stopped.
	stopAttempts = 5

	// whileRunning is how long whoever looks at an execution is asked to wait while an attempt is under way.
	whileRunning = 2 * time.Second

	// comeAgainMax is the longest that they are asked to wait otherwise.
	comeAgainMax = 5 * time.Minute
)

// executions is what the gateway needs of whoever keeps asynchronous requests, see package executionstore.
type executions interface {
	Create(context.Context, *execution.Execution) error
	Get(ctx context.Context, name string) (*execution.Execution, error)
	Save(context.Context, *execution.Execution) error
	Restart(context.Context, *execution.Execution) error
	PutRequest(ctx context.Context, name string, request *message.Request, expiration int64) error
	Request(ctx context.Context, name string) (*message.Request, error)
	Answer(ctx context.Context, part string) (*message.Envelope, error)
}

func executionNotFound() *problem {
	return newProblem("execution-not-found", http.StatusNotFound, "There is no such execution",
		"No asynchronous request has this id, or what is known of it has expired, or somebody else has started it.")
}

func executionRunning(wait time.Duration) *problem {
	p := newProblem("execution-running", http.StatusConflict, "There is no answer yet", "The request has been accepted, and has not been answered.")
	p.RetryAfter = max(wait, time.Second)
	return p
}

func executionStopped(sent bool) *problem {
	p := newProblem("execution-stopped", http.StatusGone, "The execution was stopped", "The upstream got nothing of the request.")
	if p.processed = processedNo; sent {
		p.processed, p.Detail = processedUnknown, "The upstream may have got the request before."
	}
	return p
}

func executionEnded() *problem {
	return newProblem("execution-ended", http.StatusConflict, "The execution has ended", "What has ended cannot be stopped. Its answer is kept for as long as the answers to requests with an Idempotency-Key.")
}

// atExecutions answers a request for what is known of an asynchronous one. Not everything is one, nor is there anything where
// requests cannot be asynchronous.
func (g *Gateway) atExecutions(ctx context.Context, a arrival) (outcome, bool) {
	event := a.event
	rest, below := strings.CutPrefix(event.RawPath, execution.Path)
	if !below || g.asyncMachineARN == "" {
		return outcome{}, false
	}
	id, response := strings.CutSuffix(rest, execution.ResponsePath)
	method := event.RequestContext.HTTP.Method
	allowed := "GET, HEAD"
	if !response {
		allowed += ", DELETE"
	}
	if !slices.Contains(strings.Split(allowed, ", "), method) {
		p := newProblem("method-not-allowed", http.StatusMethodNotAllowed, "The method is not allowed", fmt.Sprintf("The method %+q does nothing here.", method))
		p.allow = allowed
		return outcome{problem: p}, true
	}
	caller := cmp.Or(a.caller, idempotencyhttp.FromFunctionURL(*event).Caller)
	x, failed := g.lookUp(ctx, id, caller)
	if failed != nil {
		return outcome{problem: failed}, true
	}
	g.trace(ctx, x)
	if method == http.MethodDelete {
		return g.stop(ctx, id, x), true
	}

	wanted, _ := parsePreferences(field(event, "prefer"), g.forwarding)
	applied := ""
	if wanted.wait > 0 {
		wait := g.patience(&message.Request{}, preferences{wait: wanted.wait}, caller != "")
		applied = preferences{wait: wanted.wait}.applied(wait)
		if x, failed = g.awaitEnd(ctx, x, g.now().Add(wait)); failed != nil {
			return outcome{problem: failed}, true
		}
	}
	out := outcome{response: g.statusDocument(x, id), made: x.Attempts, final: true}
	if response {
		out = g.responseOf(ctx, x)
	}
	out.as = asTold
	out.applied = applied
	return out, true
}

// lookUp reads an execution for a caller. Nobody is told that somebody else's is there.
func (g *Gateway) lookUp(ctx context.Context, id, caller string) (*execution.Execution, *problem) {
	if !execution.IsID(id) {
		return nil, executionNotFound()
	}
	x, err := g.executions.Get(ctx, execution.Name(id))
	switch {
	case errors.Is(err, execution.ErrNotFound), err == nil && x.Expiration < g.now().Unix(), err == nil && x.Caller != "" && x.Caller != digestOf(caller):
		return nil, executionNotFound()
	case err != nil:
		return nil, g.unreadable(ctx, err)
	}
	return x, nil
}

// stateOf is the state of an execution, for whoever asks.
func (g *Gateway) stateOf(x *execution.Execution) execution.State { return x.StateAt(g.now()) }

// comeAgain is how long to wait before it makes sense to look at an execution again.
func (g *Gateway) comeAgain(x *execution.Execution) time.Duration {
	if x.State != execution.Waiting {
		return whileRunning
	}
	return min(max(time.UnixMilli(x.WaitingUntil).Sub(g.now()), time.Second), comeAgainMax)
}

// statusDocument tells of an execution.
func (g *Gateway) statusDocument(x *execution.Execution, id string) idempotencyhttp.Response {
	text, err := json.Marshal(x.StatusAt(g.now(), "", id, g.hideAttempts))
	if err != nil {
		panic(err) // it is made of texts and numbers
	}
	return idempotencyhttp.Response{
		StatusCode: http.StatusOK,
		Headers:    map[string]string{"content-type": "application/json", "cache-control": "no-store"},
		Body:       string(text),
	}
}

// responseOf is the answer to an asynchronous request, as its caller would have got it had they waited.
func (g *Gateway) responseOf(ctx context.Context, x *execution.Execution) outcome {
	switch g.stateOf(x) {
	case execution.Running, execution.Waiting:
		return outcome{problem: executionRunning(g.comeAgain(x)), made: x.Attempts}
	case execution.Stopped:
		return outcome{problem: executionStopped(x.Sent()), made: x.Attempts}
	}
	if !x.Ended() {
		return g.asCounted(g.lost(ctx, x), x.Method)
	}
	envelope, err := g.executions.Answer(ctx, x.Answer)
	switch {
	case errors.Is(err, execution.ErrNotFound):
		return outcome{problem: executionNotFound()}
	case err != nil:
		return outcome{problem: g.unreadable(ctx, err)}
	}
	switch err := g.loadBody(ctx, envelope); {
	case errors.Is(err, largebody.ErrNotFound):
		return outcome{problem: executionNotFound()}
	case err != nil:
		return outcome{problem: bodiesUnavailable("The answer could not be read from the bucket of large bodies. It is there, and can be asked for again.")}
	}
	return g.asCounted(envelope, x.Method)
}

// asCounted is answered for an asynchronous request.
func (g *Gateway) asCounted(envelope *message.Envelope, method string) outcome {
	out := g.answered(envelope, method)
	out.counted = true
	return out
}

// lost is what an execution would have ended with that no proxy has ended.
func (g *Gateway) lost(ctx context.Context, x *execution.Execution) *message.Envelope {
	attempts := x.Attempts
	if x.Lost == nil {
		if x.UnderWay() {
			attempts = append(attempts, retry.Attempt{
				Start: x.Begun.At, Error: retry.ProxyInternalError, Details: "the execution ended meanwhile", Kind: retry.NetworkFailure, MaybeProcessed: true,
			})
		}
		return message.Failure(x.RequestID, retry.DeadlineExceeded, attempts)
	}
	call := &message.Call{Request: message.Request{Method: x.Method}, Deadline: x.Deadline, Execution: x.Name}
	made := 0
	if x.Lost.Call != nil {
		call.MaxAttempts, call.Keyed, made = x.Lost.Call.MaxAttempts, x.Lost.Call.Keyed, x.Lost.Call.Made
	}
	if request, err := g.executions.Request(ctx, x.Name); err == nil {
		call.Request = *request
	}
	envelope := message.Failure(x.RequestID, message.ProxiesLost, attempts)
	envelope.Losses = x.Unjudged(x.Lost.Losses, made)
	g.judgeLosses(call, envelope)
	return envelope
}

// stop stops an execution. An attempt that is under way cannot be called back: the state machine goes on until it is over, so
// that what came of it reaches the idempotency record.
func (g *Gateway) stop(ctx context.Context, id string, x *execution.Execution) outcome {
	for n := 1; ; n++ {
		switch g.stateOf(x) {
		case execution.Stopped:
			return outcome{problem: executionStopped(x.Sent()), made: x.Attempts}
		case execution.Succeeded, execution.Failed:
			return outcome{problem: executionEnded(), made: x.Attempts}
		}
		waited := *x
		x.State, x.WaitingUntil = execution.Stopped, 0
		err := g.executions.Save(ctx, x)
		if err == nil {
			break
		}
		if !errors.Is(err, execution.ErrChanged) || n == stopAttempts {
			return outcome{problem: g.unreadable(ctx, err)}
		}
		if x, err = g.executions.Get(ctx, waited.Name); err != nil {
			return outcome{problem: g.unreadable(ctx, err)}
		}
	}
	if !x.UnderWay() {
		_, err := g.asyncEngine.StopExecution(ctx, &sfn.StopExecutionInput{
			ExecutionArn: aws.String(executionARN(g.asyncMachineARN, x.Run())),
			Error:        aws.String(string(message.Stopped)),
			Cause:        aws.String("Whoever started the execution has stopped it"),
		}, func(o *sfn.Options) { o.RetryMaxAttempts = startAttempts })
		if err != nil { // then the proxy that comes next ends it
			g.tell(ctx, slog.LevelError, "StopExecution failed", slog.String("error", err.Error()))
		} else {
			g.releaseRecord(ctx, x.Record)
		}
	}
	return outcome{response: g.statusDocument(x, id), made: x.Attempts, final: true, as: asTold}
}

// executionARN is the ARN of an execution of a state machine, or of a version of one.
func executionARN(machine, name string) string {
	parts := strings.Split(machine, ":")
	parts = append(parts[:min(len(parts), 7)], name)
	parts[5] = "execution"
	return strings.Join(parts, ":")
}
