package handler

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

const (
	// startLease is how long the record of an asynchronous request is locked until its first attempt begins. The proxy that
	// makes it locks the record for the rest. If nothing was started, for whatever reason, the key is free after that.
	startLease = 2 * time.Minute

	// startAttempts is how often the start of an execution is tried. It has a name, so that it is one execution in any case.
	startAttempts = 3

	// firstPoll and lastPoll are the pauses between looks at an execution whose end is waited for. They grow from the one to
	// the other.
	firstPoll = 100 * time.Millisecond
	lastPoll  = 2 * time.Second
)

// accept begins a request whose answer is fetched later. What is known of it is written first, then it is started: a caller who
// is told that it was accepted finds it. callback says who is told of its end; nil for nobody.
func (g *Gateway) accept(
	ctx context.Context, call *message.Call, asked idempotencyhttp.Request, key string, wanted preferences, callback *execution.Callback, started, lastDeadline time.Time,
) outcome {
	applied := []string{"respond-async"}
	limit := g.asyncDeadline
	if wanted.deadline > 0 {
		limit = min(limit, wanted.deadline)
		applied = append(applied, "deadline="+strconv.FormatInt(int64(limit/time.Second), 10))
	}
	wait := time.Duration(0)
	if wanted.wait > 0 {
		wait = g.patience(&call.Request, wanted, asked.Caller != "")
	}
	if others := wanted.applied(wait); others != "" {
		applied = append(applied, others)
	}
	if left := lastDeadline.Sub(started); !lastDeadline.IsZero() && left < wait {
		wait = max(left, 0)
	}
	out := g.begin(ctx, call, asked, key, callback, started, started.Add(limit), started.Add(wait))
	out.applied = strings.Join(applied, ", ")
	return out
}

// begin begins a request, and waits until a moment for its end.
func (g *Gateway) begin(
	ctx context.Context, call *message.Call, asked idempotencyhttp.Request, key string, callback *execution.Callback, started, deadline, until time.Time,
) outcome {
	id := execution.ID()
	if callback != nil {
		callback.ID = id
	}
	x := &execution.Execution{
		Name: execution.Name(id), State: execution.Running, Caller: digestOf(asked.Caller), RequestID: requestID(ctx), Method: call.Request.Method,
		Created: started.UnixMilli(), Deadline: deadline.UnixMilli(),
		Limit: deadline.Sub(started).Milliseconds(), MaxAttempts: call.MaxAttempts, Keyed: call.Keyed, Callback: callback,
	}
	x.Expiration = g.keptUntil(x)
	call.Deadline, call.Execution = x.Deadline, x.Name
	if call.Recorded {
		claim := g.claim(asked, key, started)
		claim.LeaseEnd, claim.Reference = started.Add(startLease), id
		if claim.Wait = until.Sub(g.now()); claim.Wait <= 0 {
			claim.Wait = -1 // not at all
		}
		acquired, err := g.records.Acquire(ctx, claim)
		var busy *idempotency.InProgressError
		switch {
		case errors.As(err, &busy) && busy.Record.Reference != "":
			return g.join(ctx, busy, until)
		case err != nil:
			return outcome{problem: g.unacquired(ctx, err)}
		case acquired.Replay:
			return g.replay(ctx, asked, acquired.Record)
		}
		x.Record = &message.Record{ID: acquired.Record.ID, Owner: acquired.Record.Owner}
		x.ID, x.Fingerprint = id, claim.Fingerprint
	}
	if refused := g.startExecution(ctx, call, x); refused != nil {
		if refused.Status != http.StatusBadGateway { // else it may have been started, and has the key then
			g.releaseRecord(ctx, x.Record)
		}
		return outcome{problem: refused}
	}
	return g.told(ctx, id, x, until)
}

// join answers a request whose key another one has that is under way, with where that one is.
func (g *Gateway) join(ctx context.Context, busy *idempotency.InProgressError, until time.Time) outcome {
	id := busy.Record.Reference
	x, err := g.executions.Get(ctx, execution.Name(id))
	switch {
	case errors.Is(err, execution.ErrNotFound):
		return outcome{problem: g.unacquired(ctx, busy)} // it has not been started yet, and perhaps never is
	case err != nil:
		return outcome{problem: g.unreadable(ctx, err)}
	}
	if x.State == execution.Stopped {
		return outcome{problem: g.unacquired(ctx, busy)} // its last attempt is still under way
	}
	g.trace(ctx, x)
	trailOf(ctx).replays(x.RequestID)
	out := g.told(ctx, id, x, until)
	if out.response.StatusCode != http.StatusAccepted {
		out = g.replayed(out)
	}
	return out
}

// startExecution writes down a request and starts its execution. After a 503 it is certain that nothing is sent. After a 502 it
// is not, and its key stays locked: if it was started, its first proxy locks it for the rest, and if not, it is free when the lease
// ends.
func (g *Gateway) startExecution(ctx context.Context, call *message.Call, x *execution.Execution) *problem {
	err := g.executions.PutRequest(ctx, x.Name, &call.Request, x.Expiration)
	if errors.Is(err, execution.ErrTooLarge) && g.bodies != nil {
		if failed := g.keepBody(ctx, call); failed != nil {
			return failed
		}
		err = g.executions.PutRequest(ctx, x.Name, &call.Request, x.Expiration)
	}
	switch {
	case errors.Is(err, execution.ErrTooLarge):
		return requestTooLarge(fmt.Sprintf("An asynchronous request can take %d bytes as JSON, and this one takes more. In JSON text a quote takes two bytes and a control character up to six, and a body that is not text takes a third more than its size.", execution.MaxPartBytes))
	case err == nil:
		err = g.executions.Create(ctx, x)
	}
	if err != nil {
		return g.unreadable(ctx, err)
	}
	if err = g.launch(ctx, call, x); err == nil {
		return nil
	}
	g.tell(ctx, slog.LevelError, "StartExecution failed", slog.String("error", withoutInput(err)))
	// It may have been started nevertheless. A proxy that finds it stopped sends nothing.
	x.State = execution.Stopped
	err = g.executions.Save(ctx, x)
	if errors.Is(err, execution.ErrChanged) {
		x.State = execution.Running
		return nil // its first proxy has written there: only the reply was lost
	}
	if err != nil {
		g.tell(ctx, slog.LevelError, "the execution could not be stopped", slog.String("error", err.Error()))
		return engineFailed(call.Request.Method, "Step Functions failed when the execution was started. Whether it was is not known.")
	}
	return engineUnavailable("Step Functions did not start the execution. The upstream was not called.")
}

// launch has Step Functions start an execution that is written down. One that was started before is not started again.
func (g *Gateway) launch(ctx context.Context, call *message.Call, x *execution.Execution) error {
	if !x.IsCallback() { // which goes elsewhere
		call.Gate = g.pass(&call.Request)
	}
	envelope := g.launching(call, x)
	if x.CallsBack() {
		callback, err := g.writeCallback(ctx, x)
		if err != nil {
			return err
		}
		envelope.Callback = callback
	}
	input, err := message.Marshal(envelope)
	if err != nil {
		return err
	}
	g.trace(ctx, x)
	_, err = g.asyncEngine.StartExecution(ctx, &sfn.StartExecutionInput{
		StateMachineArn: aws.String(g.asyncMachineARN),
		Name:            aws.String(x.Run()),
		Input:           aws.String(string(input)),
	}, func(o *sfn.Options) { o.RetryMaxAttempts = startAttempts })
	if errors.As(err, new(*types.ExecutionAlreadyExists)) { // by a start whose reply was lost
		return nil
	}
	return err
}

// launching is the envelope that an execution starts with.
func (g *Gateway) launching(call *message.Call, x *execution.Execution) *message.Envelope {
	envelope := message.ToProxy(call, g.policy, nil, 0)
	envelope.Start, envelope.Record, envelope.Item = g.start(0), x.Record, execution.ItemID(g.recordPrefix, x.Name)
	return envelope.ByReference()
}

// unreadable is for a request of which nothing can be read or written in the table.
func (g *Gateway) unreadable(ctx context.Context, err error) *problem {
	g.tell(ctx, slog.LevelError, "the table of executions could not be asked", slog.String("error", err.Error()))
	return engineUnavailable("What is known of asynchronous requests could not be read or written.")
}

// releaseRecord frees the key of a request that was not started or has been stopped.
func (g *Gateway) releaseRecord(ctx context.Context, record *message.Record) {
	if record != nil {
		g.release(ctx, &idempotency.Record{ID: record.ID, Owner: record.Owner})
	}
}

// told tells a caller of a request that was accepted: its answer, if it comes until a moment, or else where to look.
func (g *Gateway) told(ctx context.Context, id string, x *execution.Execution, until time.Time) outcome {
	x, failed := g.awaitEnd(ctx, x, until)
	if failed != nil {
		return outcome{problem: failed}
	}
	if g.stateOf(x) == execution.Succeeded || g.stateOf(x) == execution.Failed {
		return g.responseOf(ctx, x)
	}
	response := g.statusDocument(x, id)
	response.StatusCode = http.StatusAccepted
	response.Headers["location"] = execution.Path + id
	response.Headers["retry-after"] = retryAfterSeconds(g.comeAgain(x))
	return outcome{response: response, made: x.Attempts, final: true, as: asAccepted} // nobody has to ask for it again
}

// trace notes which execution a request is about.
func (g *Gateway) trace(ctx context.Context, x *execution.Execution) {
	trailOf(ctx).execution = executionARN(g.asyncMachineARN, x.Run())
}

// awaitEnd looks at an execution until it has ended, or until a moment.
func (g *Gateway) awaitEnd(ctx context.Context, x *execution.Execution, until time.Time) (*execution.Execution, *problem) {
	for pause := firstPoll; ; pause = min(pause*3/2, lastPoll) {
		left := until.Sub(g.now())
		if state := g.stateOf(x); left <= 0 || state != execution.Running && state != execution.Waiting {
			return x, nil
		}
		if err := g.sleep(ctx, min(pause, left)); err != nil {
			return x, nil // as far as is known
		}
		fresh, err := g.executions.Get(ctx, x.Name)
		switch {
		case errors.Is(err, execution.ErrNotFound):
			return nil, executionNotFound()
		case err != nil:
			return nil, g.unreadable(ctx, err)
		}
		x = fresh
	}
}

// digestOf stands for a caller in what is kept of a request. It is empty for nobody.
func digestOf(caller string) string {
	if caller == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(caller))
	return hex.EncodeToString(sum[:])
}
