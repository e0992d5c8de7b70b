package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/largebody"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// redriveAttempts is how often an execution that somebody else changes meanwhile is looked at again.
const redriveAttempts = 3

// A Redrive is the event that has an asynchronous request started again that failed: the member redrive of the event, which may
// be a message.DeadLetter as it is. Whatever else stands in a letter is not looked at.
type Redrive struct {
	// Execution is that of the letter. Required.
	Execution string `json:"execution"`

	// Item is that of the letter. If it is given, it must be an item of this RetryingApiProxy.
	Item string `json:"item"`

	// Resend has the request sent even though the upstream may have acted on it before, and the request has no key that makes
	// it safe to repeat.
	Resend bool `json:"resend"`
}

// A RedriveStatus says what has come of a redrive.
type RedriveStatus string

const (
	// RedriveStarted means that the request has been started again, by this event or by one before it.
	RedriveStarted RedriveStatus = "started"

	// RedriveSettled means that there is nothing left to do: the request has a final answer, or was stopped, or another request
	// with its key has been answered, or it was started again before and has ended since.
	RedriveSettled RedriveStatus = "settled"
)

// A Redriven is the answer to a Redrive. After it, the letter may be deleted.
type Redriven struct {
	Status RedriveStatus `json:"status"`

	// Execution is the name of the execution that was started. Empty if none was.
	Execution string `json:"execution,omitempty"`

	// Detail says more, for people.
	Detail string `json:"detail"`
}

// The reasons of a RedriveError.
const (
	RedriveMalformed   = "malformed"   // the event is none, or is for another RetryingApiProxy
	RedriveNotFound    = "not-found"   // there is no such execution, or what is known of it has expired
	RedriveRunning     = "running"     // the execution has not ended yet
	RedriveUnsafe      = "unsafe"      // the upstream may have acted on the request, which has no key
	RedriveKeyBusy     = "key-busy"    // another request with its key is being carried out, or was just about to be
	RedriveKeyUsed     = "key-used"    // its key was used for another request since
	RedriveUnavailable = "unavailable" // DynamoDB or Step Functions failed; come again
)

// A RedriveError says why a request was not started again. The letter is still of use.
type RedriveError struct {
	// Reason is one of the Redrive constants that begin so.
	Reason string

	// Detail says more, for people.
	Detail string
}

func (e *RedriveError) Error() string { return e.Reason + ": " + e.Detail }

func unredriven(reason, format string, args ...any) (Redriven, error) {
	return Redriven{}, &RedriveError{reason, fmt.Sprintf(format, args...)}
}

// readRedrive reads the member redrive of an event.
func readRedrive(member json.RawMessage) (asked Redrive, err error) {
	if json.Unmarshal(member, &asked) != nil || asked.Execution == "" {
		return asked, &RedriveError{RedriveMalformed, "redrive must be an object with the member execution, such as a dead letter"}
	}
	return asked, nil
}

// redrive starts an asynchronous request again that failed, with its key, for its caller, and under its id: whoever started it
// finds there how far it is now.
//
// However often an event comes, also at the same time, it is one execution: a redrive is counted at the item, and the state
// machine knows the execution by that count. A start of which nobody knows whether it worked is one that the next event for the
// same letter makes, under the same name.
func (g *Gateway) redrive(ctx context.Context, asked Redrive) (Redriven, error) {
	if g.asyncMachineARN == "" {
		return unredriven(RedriveMalformed, "requests cannot be asynchronous here, so there is none to start again")
	}
	name, before, ok := execution.ParseRun(asked.Execution)
	if !ok {
		return unredriven(RedriveMalformed, "%+q is not the name of an execution, which a letter has in its member execution", asked.Execution)
	}
	if asked.Item != "" && asked.Item != execution.ItemID(g.recordPrefix, name) {
		return unredriven(RedriveMalformed, "the letter is of another RetryingApiProxy: its item is %+q, and items here begin with %+q", asked.Item, g.recordPrefix+"#execution:")
	}
	for n := 1; ; n++ {
		x, err := g.executions.Get(ctx, name)
		switch {
		case errors.Is(err, execution.ErrNotFound), err == nil && x.Expiration < g.now().Unix(), err == nil && x.Redrives < before:
			return unredriven(RedriveNotFound, "there is no such execution, or what is known of it has expired")
		case err != nil:
			return unredriven(RedriveUnavailable, "%v", err)
		}
		out, err := g.redriveOnce(ctx, asked, x, before)
		if !errors.Is(err, execution.ErrChanged) {
			return out, err
		}
		if n == redriveAttempts {
			return unredriven(RedriveUnavailable, "the execution changed each time that it was looked at")
		}
	}
}

// redriveOnce is redrive for an execution as it was read. The error is execution.ErrChanged if somebody else has changed it.
func (g *Gateway) redriveOnce(ctx context.Context, asked Redrive, x *execution.Execution, before int) (Redriven, error) {
	state := g.stateOf(x)
	switch {
	case x.Redrives == before+1 && !x.Ended():
		return g.launchAgain(ctx, x) // it was counted, and perhaps not started
	case x.Redrives > before:
		return Redriven{Status: RedriveSettled, Detail: "it was started again before"}, nil
	case state == execution.Running || state == execution.Waiting:
		return unredriven(RedriveRunning, "the execution has not ended yet")
	case state != execution.Failed:
		return Redriven{Status: RedriveSettled, Detail: "the execution has " + string(state)}, nil
	}
	request, err := g.requestOf(ctx, x)
	switch {
	case errors.Is(err, execution.ErrNotFound):
		return unredriven(RedriveNotFound, "the request of the execution has expired")
	case err != nil:
		return unredriven(RedriveUnavailable, "%v", err)
	}
	attempts := x.Attempts
	if !x.Ended() {
		attempts = g.lost(ctx, x).Attempts
	}
	maybeProcessed := slices.ContainsFunc(slices.Concat(x.Earlier, attempts), func(a retry.Attempt) bool { return a.MaybeProcessed })
	repeatable := x.Keyed || slices.Contains(g.policy.For(request.Method, request.Path).RepeatableMethods, request.Method)
	if !asked.Resend && !repeatable && maybeProcessed {
		return unredriven(RedriveUnsafe, "the upstream may have acted on the request, which is a %s without an Idempotency-Key: look there first, and then say resend", request.Method)
	}

	x.Restart(g.now(), g.asyncDeadline, attempts)
	x.Expiration = g.keptUntil(x)
	if x.Record != nil {
		settled, err := g.acquireAgain(ctx, x)
		if settled || err != nil {
			return Redriven{Status: RedriveSettled, Detail: "another request with its key has been answered"}, err
		}
	}
	if err = g.renewBody(ctx, request); err == nil && !x.IsCallback() {
		err = g.executions.PutRequest(ctx, x.Name, request, x.Expiration)
	}
	if err != nil {
		g.releaseRecord(ctx, x.Record)
		if errors.Is(err, largebody.ErrNotFound) {
			return unredriven(RedriveNotFound, "the body of the request, which was in the bucket of large bodies, is no longer there")
		}
		return unredriven(RedriveUnavailable, "%v", err)
	}
	if err := g.executions.Restart(ctx, x); err != nil {
		return Redriven{}, g.uncounted(ctx, x, err)
	}
	return g.launchAgain(ctx, x)
}

// uncounted is the error of a redrive that could not be counted. Its key is freed only if it is certain that it was not: where the
// reply was lost, another event may have started the execution by now, which has the key then. If nobody has, the key is free
// when its lease ends.
func (g *Gateway) uncounted(ctx context.Context, x *execution.Execution, err error) error {
	if !errors.Is(err, execution.ErrChanged) {
		_, err = unredriven(RedriveUnavailable, "%v", err)
		return err
	}
	now, failed := g.executions.Get(ctx, x.Name)
	if failed == nil && x.Record != nil && (now.Record == nil || now.Record.Owner != x.Record.Owner) {
		g.releaseRecord(ctx, x.Record)
	}
	return err
}

// acquireAgain locks the idempotency record of a request that is started again. It says whether another request with the key
// has been answered meanwhile.
func (g *Gateway) acquireAgain(ctx context.Context, x *execution.Execution) (settled bool, err error) {
	acquired, err := g.records.Acquire(ctx, idempotency.Claim{
		ID: x.Record.ID, Fingerprint: x.Fingerprint, Reference: x.ID, LeaseEnd: g.now().Add(startLease), Wait: -1,
	})
	switch {
	case errors.Is(err, idempotency.ErrInProgress):
		if now, failed := g.executions.Get(ctx, x.Name); failed == nil && now.Revision != x.Revision {
			return false, execution.ErrChanged // by a redrive at the same time
		}
		_, err = unredriven(RedriveKeyBusy, "another request with its key is being carried out")
		return false, err
	case errors.Is(err, idempotency.ErrPayloadMismatch):
		_, err = unredriven(RedriveKeyUsed, "its key was used for another request since")
		return false, err
	case err != nil:
		_, err = unredriven(RedriveUnavailable, "%v", err)
		return false, err
	}
	x.Record = &message.Record{ID: acquired.Record.ID, Owner: acquired.Record.Owner}
	return acquired.Replay, nil
}

// launchAgain starts an execution whose redrive was counted.
func (g *Gateway) launchAgain(ctx context.Context, x *execution.Execution) (Redriven, error) {
	request, err := g.requestOf(ctx, x)
	if err != nil {
		return unredriven(RedriveUnavailable, "%v", err)
	}
	call := &message.Call{
		Request: *request, Execution: x.Name, Redrive: x.Redrives, RequestID: x.RequestID, Deadline: x.Deadline,
		MaxAttempts: x.MaxAttempts, Keyed: x.Keyed, Recorded: x.Record != nil,
	}
	if err := g.launch(ctx, call, x); err != nil {
		return unredriven(RedriveUnavailable, "Step Functions did not start the execution: %s", withoutInput(err))
	}
	g.tell(ctx, slog.LevelInfo, "an execution was started again", slog.String("execution", executionARN(g.asyncMachineARN, x.Run())), slog.String("startedBy", x.RequestID))
	return Redriven{Status: RedriveStarted, Execution: x.Run(), Detail: "it has until " + execution.Moment(x.Deadline)}, nil
}

// keptUntil is until when what is known of an execution is kept, in seconds since the Unix epoch. Where there are dead letters,
// it outlives the letter, and where somebody is told of its end, that, too.
func (g *Gateway) keptUntil(x *execution.Execution) int64 {
	kept := g.answerTTL
	if g.letterRetention > 0 {
		kept = max(kept, g.letterRetention+execution.LetterMargin)
	}
	if x.CallsBack() {
		kept += 2 * execution.CallbackTime // for the callback, and for one that is sent again
	}
	return time.UnixMilli(x.Deadline).Add(kept).Unix() + 1
}

// requestOf is the request of an execution. A callback has none: proxies make it.
func (g *Gateway) requestOf(ctx context.Context, x *execution.Execution) (*message.Request, error) {
	if x.IsCallback() {
		return execution.CallbackRequest(), nil
	}
	return g.executions.Request(ctx, x.Name)
}
