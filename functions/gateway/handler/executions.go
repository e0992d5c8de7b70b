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
	// executionsPath begins the paths at which asynchronous requests are looked at. Where there are such requests, it does not
	// go upstream.
	executionsPath = "/-/executions/"

	// responsePath ends the path of the answer to one.
	responsePath = "/response"

	// executionGrace is how long after its deadline an execution is waited for to say how it ended. After that it has been
	// ended from outside.
	executionGrace = 1 * time.Minute

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
	rest, below := strings.CutPrefix(event.RawPath, executionsPath)
	if !below || g.asyncMachineARN == "" {
		return outcome{}, false
	}
	id, response := strings.CutSuffix(rest, responsePath)
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
	out := outcome{response: g.statusDocument(x, id), attempts: len(x.Attempts), final: true}
	if response {
		out = g.responseOf(ctx, x)
	}
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

// stateOf is the state of an execution, for whoever asks. One that the state machine has ended, or that somebody has ended
// there, has failed.
func (g *Gateway) stateOf(x *execution.Execution) execution.State {
	if !x.Ended() && (x.Lost != nil || g.overdue(x)) {
		return execution.Failed
	}
	return x.State
}

func (g *Gateway) overdue(x *execution.Execution) bool {
	return g.now().After(time.UnixMilli(x.Deadline).Add(executionGrace))
}

// comeAgain is how long to wait before it makes sense to look at an execution again.
func (g *Gateway) comeAgain(x *execution.Execution) time.Duration {
	if x.State != execution.Waiting {
		return whileRunning
	}
	return min(max(time.UnixMilli(x.WaitingUntil).Sub(g.now()), time.Second), comeAgainMax)
}

// A status is what is told of an execution.
type status struct {
	Status       execution.State   `json:"status"`
	WaitingUntil string            `json:"waitingUntil,omitempty"`
	Attempts     []retry.Attempt   `json:"attempts"`
	Created      string            `json:"created"`
	Deadline     string            `json:"deadline"`
	Sent         *bool             `json:"sent,omitempty"` // of one that was stopped: whether the upstream may have got anything
	Links        map[string]string `json:"links"`
}

// statusDocument tells of an execution.
func (g *Gateway) statusDocument(x *execution.Execution, id string) idempotencyhttp.Response {
	told := status{
		Status:   g.stateOf(x),
		Attempts: x.AllAttempts(),
		Created:  moment(x.Created),
		Deadline: moment(x.Deadline),
		Links:    map[string]string{"self": executionsPath + id, "response": executionsPath + id + responsePath},
	}
	if told.Status == execution.Waiting {
		told.WaitingUntil = moment(x.WaitingUntil)
	}
	if told.Attempts == nil || g.hideAttempts {
		told.Attempts = []retry.Attempt{}
	}
	if told.Status == execution.Stopped {
		sent := x.Sent()
		told.Sent = &sent
	}
	text, err := json.Marshal(told)
	if err != nil {
		panic(err) // it is made of texts and numbers
	}
	return idempotencyhttp.Response{
		StatusCode: http.StatusOK,
		Headers:    map[string]string{"content-type": "application/json", "cache-control": "no-store"},
		Body:       string(text),
	}
}

// moment writes milliseconds since the Unix epoch as RFC 3339 has it.
func moment(milliseconds int64) string {
	return time.UnixMilli(milliseconds).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// responseOf is the answer to an asynchronous request, as its caller would have got it had they waited.
func (g *Gateway) responseOf(ctx context.Context, x *execution.Execution) outcome {
	switch g.stateOf(x) {
	case execution.Running, execution.Waiting:
		return outcome{problem: executionRunning(g.comeAgain(x)), attempts: len(x.Attempts)}
	case execution.Stopped:
		return outcome{problem: executionStopped(x.Sent()), attempts: len(x.Attempts)}
	}
	if !x.Ended() {
		return g.answered(g.lost(ctx, x), x.Method)
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
	return g.answered(envelope, x.Method)
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
			return outcome{problem: executionStopped(x.Sent()), attempts: len(x.Attempts)}
		case execution.Succeeded, execution.Failed:
			return outcome{problem: executionEnded(), attempts: len(x.Attempts)}
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
	return outcome{response: g.statusDocument(x, id), attempts: len(x.Attempts), final: true}
}

// executionARN is the ARN of an execution of a state machine, or of a version of one.
func executionARN(machine, name string) string {
	parts := strings.Split(machine, ":")
	parts = append(parts[:min(len(parts), 7)], name)
	parts[5] = "execution"
	return strings.Join(parts, ":")
}
