package handler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// Executions is what a proxy needs of whoever keeps asynchronous requests, see package executionstore.
type Executions interface {
	Get(ctx context.Context, name string) (*execution.Execution, error)
	Save(context.Context, *execution.Execution) error
	Request(ctx context.Context, name string) (*message.Request, error)
	HoldRecord(ctx context.Context, record message.Record, until time.Time) error
	PutAnswer(ctx context.Context, name string, number int, answer *message.Envelope, expiration int64) (string, error)
	Answer(ctx context.Context, part string) (*message.Envelope, error)
}

const (
	// saveReserve is the time that a proxy keeps for writing down what came of an attempt, of the time that Lambda gives it.
	saveReserve = 3 * time.Second

	// saveAttempts is how often a proxy tries to write down what came of an attempt, each time with the retries of the SDK. If
	// nothing could be written, what came of it is lost, and the next proxy takes it for an attempt of unknown outcome.
	saveAttempts = 4

	// savePause is the pause before the second try. It doubles with each.
	savePause = 100 * time.Millisecond
)

// errNoExecutions is the error of an invocation with an asynchronous request, where the environment knows of none.
var errNoExecutions = errors.New("proxy: the envelope names an execution, and the environment names no table with it")

// errOvertaken is the error of a proxy that finds, when it is about to make an attempt or has made one, that another one has
// gone on in its place, or that the execution has been stopped.
var errOvertaken = errors.New("proxy: the execution has gone on without this proxy")

// errSuperseded is the error of beginning an attempt whose idempotency key another request has by now.
var errSuperseded = errors.New("proxy: another request has the idempotency key")

// handleExecution makes an attempt for an asynchronous request. What the envelope only names is in the table. It is written
// there that an attempt begins, and what came of it, before anything is sent and before the state machine is told.
func (p *Proxy) handleExecution(ctx context.Context, in message.Envelope) (*message.Envelope, error) {
	if p.executions == nil {
		return nil, errNoExecutions
	}
	x, err := p.executions.Get(ctx, in.Call.Execution)
	if err != nil {
		return nil, fmt.Errorf("proxy: what is known of the execution could not be read: %w", err)
	}
	if in.Call.Redrive != x.Redrives {
		return nil, errOvertaken // it was started again, and this is of before
	}
	x.MoveTo(in.Call.Deadline)
	if x.Ended() {
		return p.ended(ctx, x)
	}
	if out, waits := p.stillWaiting(x, in.Call); waits {
		return out, nil
	}
	maker := p
	var request *message.Request
	if x.IsCallback() {
		if maker = p.callbacks; maker == nil {
			return nil, errNoCallbacks
		}
		request, err = p.callbackOf(ctx, x)
	} else if request, err = p.executions.Request(ctx, x.Name); err != nil {
		err = fmt.Errorf("proxy: the request of the execution could not be read: %w", err)
	}
	if errors.Is(err, errNothingToTell) {
		return p.settleExecution(ctx, x, message.Failure(x.RequestID, message.Superseded, x.Attempts))
	}
	if err != nil {
		return nil, err
	}

	call := *in.Call
	call.Request = *request
	whole := in
	whole.Call, whole.Attempts, whole.Losses = &call, x.Attempts, x.Unjudged(in.Losses, in.Call.Made)
	out, err := maker.handle(ctx, whole, func(history []retry.Attempt) error {
		losses := 0
		if in.Losses != nil {
			losses = in.Losses.Count
		}
		if x.Begun == nil && x.Record != nil {
			// The gateway has locked the record for as long as it takes to come here. Whoever has taken over the key since then
			// makes the attempts now.
			err := p.persist(ctx, x, func() error { return p.executions.HoldRecord(ctx, *x.Record, x.LeaseEnd()) })
			if errors.Is(err, execution.ErrChanged) {
				return errSuperseded
			}
			if err != nil {
				return err
			}
		}
		x.State, x.WaitingUntil, x.Attempts = execution.Running, 0, history
		x.Begun = &execution.Begun{Made: in.Call.Made, Losses: losses, At: p.clock.Now().UnixMilli()}
		return p.save(ctx, x)
	})
	switch {
	case errors.Is(err, execution.ErrChanged):
		return p.overtaken(ctx, in.Call)
	case errors.Is(err, errSuperseded):
		out = message.Failure(x.RequestID, message.Superseded, whole.Attempts)
	case err != nil:
		return nil, err
	}
	if out.Outcome == retry.Again && x.Begun == nil && x.Record != nil {
		// It waits at the gate, perhaps for longer than the gateway has locked the record.
		err := p.persist(ctx, x, func() error { return p.executions.HoldRecord(ctx, *x.Record, x.LeaseEnd()) })
		if errors.Is(err, execution.ErrChanged) {
			out = message.Failure(x.RequestID, message.Superseded, whole.Attempts)
		} else if err != nil {
			return nil, err
		}
	}
	if x.IsCallback() {
		out = delivered(out)
	}
	return p.settleExecution(ctx, x, out)
}

// stillWaiting says that it is too early for an attempt: a proxy before this one has said how long to wait, and its answer to
// the state machine was lost. What is shorter than a proxy may sleep is left to the state machine, too, which wakes it up
// for less than a second more.
func (p *Proxy) stillWaiting(x *execution.Execution, call *message.Call) (*message.Envelope, bool) {
	left := time.UnixMilli(x.WaitingUntil).Sub(p.clock.Now())
	if x.State != execution.Waiting || len(x.Attempts) == call.Made || left <= 0 {
		return nil, false
	}
	return p.toProxy(x, call, left), true
}

// toProxy writes the envelope that leads to the next proxy after a delay.
func (p *Proxy) toProxy(x *execution.Execution, call *message.Call, delay time.Duration) *message.Envelope {
	return message.ToProxy(call, p.policy, x.Attempts, delay).ByReference()
}

// settleExecution writes down what came of an attempt, and says it to the state machine without the request and the answer.
func (p *Proxy) settleExecution(ctx context.Context, x *execution.Execution, out *message.Envelope) (*message.Envelope, error) {
	if x.Begun != nil {
		x.Begun.Done = true
	}
	x.Attempts = out.Attempts
	if out.Outcome == retry.Again {
		delay := time.Duration(out.WaitSeconds)*time.Second + time.Duration(out.SleepMilliseconds)*time.Millisecond
		x.State, x.WaitingUntil = execution.Waiting, p.clock.Now().Add(delay).UnixMilli()
		if err := p.save(ctx, x); err != nil {
			return p.unsaved(ctx, x, out, err)
		}
		return out.ByReference(), nil
	}
	x.Expiration = max(x.Expiration, out.Expiration+int64(execution.AnswerMargin/time.Second))
	part, err := p.putAnswer(ctx, x, out)
	if err != nil {
		return nil, err
	}
	x.State, x.WaitingUntil, x.EndedAt, x.Answer = execution.Failed, 0, p.clock.Now().UnixMilli(), part
	if out.Outcome == retry.Succeeded {
		x.State = execution.Succeeded
	}
	if err := p.save(ctx, x); err != nil {
		return p.unsaved(ctx, x, out, err)
	}
	p.logEnd(ctx, x, out)
	return out.StoredAs(part), nil
}

// unsaved is for what came of an attempt while somebody else wrote. If the execution was stopped meanwhile, an answer that
// settles the operation still goes into the idempotency record: the upstream has done it.
func (p *Proxy) unsaved(ctx context.Context, x *execution.Execution, out *message.Envelope, err error) (*message.Envelope, error) {
	if !errors.Is(err, execution.ErrChanged) {
		return nil, err
	}
	now, err := p.executions.Get(ctx, x.Name)
	if err != nil {
		return nil, fmt.Errorf("proxy: what is known of the execution could not be read: %w", err)
	}
	if now.State != execution.Stopped || now.Redrives != x.Redrives {
		return nil, errOvertaken
	}
	now.Attempts, now.Begun, now.Answer, now.Expiration = x.Attempts, x.Begun, x.Answer, max(x.Expiration, now.Expiration)
	if err := p.save(ctx, now); err != nil {
		return nil, err
	}
	if out.Outcome == retry.Succeeded {
		return out.StoredAs(x.Answer), nil
	}
	return message.Failure("", message.Stopped, nil).StoredAs(""), nil
}

// overtaken is for a proxy that was about to make an attempt.
func (p *Proxy) overtaken(ctx context.Context, call *message.Call) (*message.Envelope, error) {
	x, err := p.executions.Get(ctx, call.Execution)
	if err != nil {
		return nil, fmt.Errorf("proxy: what is known of the execution could not be read: %w", err)
	}
	if x.Ended() && x.Redrives == call.Redrive {
		return p.ended(ctx, x)
	}
	return nil, errOvertaken
}

// ended tells the state machine of an execution that has ended, although it has not been told so yet.
func (p *Proxy) ended(ctx context.Context, x *execution.Execution) (*message.Envelope, error) {
	if x.Answer == "" {
		return message.Failure("", message.Stopped, nil).StoredAs(""), nil
	}
	out, err := p.executions.Answer(ctx, x.Answer)
	if err != nil {
		return nil, fmt.Errorf("proxy: the answer of the execution could not be read: %w", err)
	}
	return out.StoredAs(x.Answer), nil
}

// save writes an execution, as often as it takes. Whoever gives up loses what came of an attempt.
func (p *Proxy) save(ctx context.Context, x *execution.Execution) error {
	return p.persist(ctx, x, func() error { return p.executions.Save(ctx, x) })
}

func (p *Proxy) putAnswer(ctx context.Context, x *execution.Execution, out *message.Envelope) (part string, err error) {
	err = p.persist(ctx, x, func() error {
		part, err = p.executions.PutAnswer(ctx, x.Name, x.AnswerNumber(len(out.Attempts)), out, x.Expiration)
		return err
	})
	return part, err
}

// persist repeats a write that may be repeated.
func (p *Proxy) persist(ctx context.Context, x *execution.Execution, write func() error) error {
	pause := savePause
	for n := 1; ; n++ {
		err := write()
		if err == nil || n == saveAttempts || errors.Is(err, execution.ErrChanged) || errors.Is(err, execution.ErrTooLarge) || ctx.Err() != nil {
			return err
		}
		p.log.LogAttrs(ctx, slog.LevelWarn, "what is known of the execution could not be written",
			slog.String("requestId", x.RequestID), slog.Int("try", n), slog.String("error", err.Error()))
		if err := p.clock.Sleep(ctx, pause); err != nil {
			return err
		}
		pause *= 2
	}
}

// timeLeft is how long an attempt may take by the time that Lambda gives the invocation.
func timeLeft(ctx context.Context) time.Duration { return timeBefore(ctx, saveReserve) }

// timeBefore is how long it is until so much is left of the time that Lambda gives the invocation.
func timeBefore(ctx context.Context, reserve time.Duration) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return math.MaxInt64
	}
	return max(0, time.Until(deadline)-reserve)
}
