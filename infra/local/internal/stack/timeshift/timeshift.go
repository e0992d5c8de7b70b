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
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// A Clock is the clock of state machines. It knows of each execution how far it is ahead of real time.
type Clock struct {
	clock.Clock
	now func() time.Time
}

// New returns a clock that passes as c does. The functions' clock is now, [time.Now] for those that really run.
func New(c clock.Clock, now func() time.Time) *Clock { return &Clock{Clock: c, now: now} }

// leadKey is the key of an execution's lead in its context: a *time.Duration. An execution waits, and calls functions,
// from one goroutine.
type leadKey struct{}

// WithTimeout is that of the clock beneath. An execution, whose time is always limited, begins with it; so it is here
// that it gets its lead.
func (c *Clock) WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if parent.Value(leadKey{}) == nil {
		parent = context.WithValue(parent, leadKey{}, new(time.Duration))
	}
	return c.Clock.WithTimeout(parent, d)
}

// Wait is that of the clock beneath.
func (c *Clock) Wait(ctx context.Context, d time.Duration) error {
	began := c.now()
	err := c.Clock.Wait(ctx, d)
	if lead, ok := ctx.Value(leadKey{}).(*time.Duration); ok && err == nil {
		*lead += max(d, 0) - c.now().Sub(began)
	}
	return err
}

// Lambda returns what state machines on this clock call functions by. The functions are those of next.
func (c *Clock) Lambda(next asl.Lambda) asl.Lambda {
	return asl.LambdaFunc(func(ctx context.Context, functionName string, payload []byte) (asl.Invocation, error) {
		lead, ok := ctx.Value(leadKey{}).(*time.Duration)
		if !ok {
			return next.Invoke(ctx, functionName, payload)
		}
		envelope := decode(payload)
		if rest := takeSleep(envelope); rest > 0 {
			if err := c.Wait(ctx, rest); err != nil {
				return asl.Invocation{}, err
			}
		}
		shift(envelope, -*lead)
		invocation, err := next.Invoke(ctx, functionName, encode(envelope, payload))
		if err == nil && invocation.FunctionError == "" {
			answer := decode(invocation.Payload)
			shift(answer, *lead)
			invocation.Payload = encode(answer, invocation.Payload)
		}
		return invocation, err
	})
}

// sleepField is the part of a wait that a Wait state cannot hold, because it knows whole seconds only. The function that
// is handed an envelope would sleep it, in real time.
const sleepField = "sleepMilliseconds"

// takeSleep takes that part out of an envelope.
func takeSleep(envelope map[string]any) time.Duration {
	number, _ := envelope[sleepField].(json.Number)
	milliseconds, err := number.Int64()
	if err != nil {
		return 0
	}
	delete(envelope, sleepField)
	return time.Duration(milliseconds) * time.Millisecond
}

// shift moves the moments in an envelope that are for functions which state machines call: the deadline of the call, and
// until when the upstream wanted to be left alone after each attempt. Both are in milliseconds since the Unix epoch, and
// may stand in the envelope or in those inside it. What is for the function that started the execution (notBefore and
// expiration of the envelope itself) stays: no wait lies between.
func shift(envelope map[string]any, by time.Duration) {
	for ; envelope != nil; envelope, _ = envelope["answer"].(map[string]any) {
		if call, ok := envelope["call"].(map[string]any); ok {
			move(call, "deadline", by)
		}
		attempts, _ := envelope["attempts"].([]any)
		for _, attempt := range attempts {
			if attempt, ok := attempt.(map[string]any); ok {
				move(attempt, "notBefore", by)
			}
		}
	}
}

func move(fields map[string]any, name string, by time.Duration) {
	number, _ := fields[name].(json.Number)
	if at, err := number.Int64(); err == nil {
		fields[name] = at + by.Milliseconds()
	}
}

// decode reads a JSON object. It is nil if the text is something else.
func decode(text []byte) map[string]any {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var object map[string]any
	if decoder.Decode(&object) != nil {
		return nil
	}
	return object
}

// encode writes an object that decode read from text. What was no object stays as it was.
func encode(object map[string]any, text []byte) []byte {
	if object == nil {
		return text
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // escapes would make it longer, and its length is limited
	if encoder.Encode(object) != nil {
		return text
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
