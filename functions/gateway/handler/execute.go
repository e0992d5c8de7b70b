package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// input writes what the state machine starts with: the envelope that leads to the first proxy. The body of a request that is too
// large for a state goes into the bucket, if there is one.
func (g *Gateway) input(ctx context.Context, call *message.Call, record *idempotency.Record) ([]byte, *problem) {
	ticket := int64(0)
	if call.Gate != nil {
		ticket = call.Gate.Ticket
	}
	start := g.start(ticket)
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
// over their addresses: a limit by address is met N times later. Those with tickets spread evenly.
func (g *Gateway) start(ticket int64) int {
	if g.ringStart > 0 {
		return g.ringStart
	}
	if ticket > 0 {
		return 1 + int(ticket%int64(g.proxies))
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
	trailOf(ctx).execution = aws.ToString(execution.ExecutionArn)
	switch execution.Status {
	case types.SyncExecutionStatusSucceeded:
		envelope := new(message.Envelope)
		err := json.Unmarshal([]byte(aws.ToString(execution.Output)), envelope)
		if err != nil || envelope.Outcome != retry.Succeeded && envelope.Outcome != retry.Failed {
			return nil, engineFailed(method, "The output of the execution is not an envelope.")
		}
		made := len(envelope.Attempts)
		if g.judgeLosses(call, envelope) {
			g.tellLosses(ctx, call, envelope.Attempts, made)
		}
		return envelope, nil
	case types.SyncExecutionStatusTimedOut:
		return nil, timeUp(method, "The execution of the state machine timed out.")
	}
	g.tell(ctx, slog.LevelError, "the state machine failed",
		slog.String("execution", aws.ToString(execution.ExecutionArn)), slog.String("error", aws.ToString(execution.Error)))
	return nil, engineFailed(method, fmt.Sprintf("The execution %s ended with %s.", aws.ToString(execution.ExecutionArn), aws.ToString(execution.Error)))
}

// judgeLosses completes the envelope of an execution that ended because its proxies were lost, so that no proxy was left
// to judge what that means. It says whether that was so.
func (g *Gateway) judgeLosses(call *message.Call, envelope *message.Envelope) bool {
	if envelope.Error != message.ProxiesLost {
		return false
	}
	attempts, decision := envelope.JudgeLosses(g.policy, call.ForPolicy(g.proxies), g.now(), g.random)
	envelope.Attempts, envelope.Losses, envelope.Error = attempts, nil, retry.AttemptsExhausted
	if decision.Outcome == retry.Failed {
		envelope.Error = decision.Reason
	}
	if decision.RetryAfter > 0 {
		envelope.NotBefore = g.now().Add(decision.RetryAfter).UnixMilli()
	}
	return true
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
		return timeUp(method, "The state machine did not end in time.")
	case errors.As(err, &served) && served.HTTPStatusCode() >= 500:
		return engineFailed(method, "Step Functions failed, perhaps while the execution ran. Whether the upstream was called is not known.")
	case errors.As(err, &answered):
		return engineUnavailable("Step Functions refused to start the execution: " + answered.ErrorCode() + ". The upstream was not called.")
	}
	return engineFailed(method, "The connection to Step Functions broke while the execution ran. Whether the upstream was called is not known.")
}
