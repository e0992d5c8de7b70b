// Package timeshift brings two times together: that of state machines, whose waits may pass faster than they are long, or
// in no time at all, and that of the functions that they call, which run in real time.
//
// A wait that was cut short would show. The functions tell one another moments, not durations: the deadline of a call,
// and when the upstream wants to be asked again. After a wait of an hour that took no time the deadline would be as far
// off as before, and the upstream's hour would still lie ahead. So a [Clock] keeps, for each execution, how much longer
// its waits were than they took, and moves the moments in what goes to a function back by as much, and forward again in
// what comes from it. To the functions it looks as if the whole wait had passed.
package timeshift

import (
	"context"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// A Clock is the clock of state machines. How far an execution is ahead of real time is its lead; see [clock.WithLead].
type Clock struct {
	clock.Clock
	now func() time.Time
}

// New returns a clock that passes as c does. The functions' clock is now, [time.Now] for those that really run. If c is
// [clock.Real], there is nothing to bring together, but for executions that were left by a process in which waits passed
// faster: their lead stays.
func New(c clock.Clock, now func() time.Time) *Clock { return &Clock{Clock: c, now: now} }

// gain adds to an execution's lead what a wait was longer than it took.
func (c *Clock) gain(ctx context.Context, wait, took time.Duration) {
	if lead := clock.LeadOf(ctx); lead != nil && c.Clock != clock.Real {
		*lead += wait - took
	}
}

// Wait is that of the clock beneath.
func (c *Clock) Wait(ctx context.Context, d time.Duration) error {
	began := c.now()
	err := c.Clock.Wait(ctx, d)
	if err == nil {
		c.gain(ctx, max(d, 0), c.now().Sub(began))
	}
	return err
}

// WaitUntil is that of the clock beneath. What the wait was shortened by at its beginning is in the lead that the execution
// goes on with.
func (c *Clock) WaitUntil(ctx context.Context, moment time.Time) error {
	rest, began := max(moment.Sub(c.Now()), 0), c.now()
	err := c.Clock.WaitUntil(ctx, moment)
	if err == nil {
		c.gain(ctx, rest, c.now().Sub(began))
	}
	return err
}

// Lambda returns what state machines on this clock call functions by. The functions are those of next.
func (c *Clock) Lambda(next asl.Lambda) asl.Lambda {
	return asl.LambdaFunc(func(ctx context.Context, functionName string, payload []byte) (asl.Invocation, error) {
		lead := clock.LeadOf(ctx)
		if lead == nil || *lead == 0 && c.Clock == clock.Real {
			return next.Invoke(ctx, functionName, payload)
		}
		envelope := decode(payload)
		rest := time.Duration(envelope.SleepMilliseconds) * time.Millisecond
		if rest > 0 {
			// The function would sleep it, in real time.
			if err := c.Wait(ctx, rest); err != nil {
				return asl.Invocation{}, err
			}
			envelope.SleepMilliseconds = 0
		}
		if move(envelope, -*lead) || rest > 0 {
			payload = encode(envelope, payload)
		}
		invocation, err := next.Invoke(ctx, functionName, payload)
		if err == nil && invocation.FunctionError == "" {
			if answer := decode(invocation.Payload); move(answer, *lead) {
				invocation.Payload = encode(answer, invocation.Payload)
			}
		}
		return invocation, err
	})
}

// decode reads an envelope. What is something else is read as an empty one.
func decode(text []byte) *message.Envelope {
	envelope, err := message.Unmarshal(text)
	if err != nil || envelope.Outcome == "" {
		return new(message.Envelope)
	}
	return envelope
}

// move moves the moments in an envelope, and says whether there were any.
func move(envelope *message.Envelope, by time.Duration) (moved bool) {
	envelope.Moments(func(milliseconds *int64) {
		*milliseconds += by.Milliseconds()
		moved = by != 0
	})
	return moved
}

// encode writes an envelope that was read from text.
func encode(envelope *message.Envelope, text []byte) []byte {
	written, err := message.Marshal(envelope)
	if err != nil {
		return text
	}
	return written
}
