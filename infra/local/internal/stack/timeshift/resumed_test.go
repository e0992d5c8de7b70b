package timeshift_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack/timeshift"
)

// interrupted runs the ring until it waits for the second time, and gives how far off the deadline is for the function
// that is called when another process has gone on with it.
func interrupted(t *testing.T, now func() time.Time, first, second func() clock.Clock) time.Duration {
	t.Helper()
	machine, err := asl.Parse([]byte(ring))
	if err != nil {
		t.Fatal(err)
	}
	began := now()
	// The envelope of an answer has the deadline that it was sent with.
	again := func(payload []byte) asl.Invocation {
		return asl.Invocation{Payload: slices.Concat(payload[:len(payload)-1], []byte(`,"waitSeconds":1800}`))}
	}
	options := func(beneath clock.Clock, invoke func([]byte) asl.Invocation) asl.Options {
		shifting := timeshift.New(beneath, now)
		return asl.Options{
			Clock: shifting, MaxDuration: 24 * time.Hour, Execution: asl.ExecutionContext{Started: began},
			Lambda: shifting.Lambda(asl.LambdaFunc(func(_ context.Context, _ string, payload []byte) (asl.Invocation, error) {
				return invoke(payload), nil
			})),
		}
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	waits := 0
	var position asl.Position
	run := options(first(), again)
	run.OnPosition = func(p asl.Position) error {
		if p.Phase == asl.Waiting {
			if waits++; waits == 2 {
				position = p
				cancel(asl.ErrSuspended)
			}
		}
		return nil
	}
	result, err := machine.Run(ctx, []byte(toProxy(0, 2*time.Hour)), run)
	if err != nil || result.Status != asl.Running {
		t.Fatalf("the execution was to be suspended: %+v %v", result, err)
	}
	text, err := json.Marshal(position) // as it is kept
	if err == nil {
		err = json.Unmarshal(text, &position)
	}
	if err != nil {
		t.Fatal(err)
	}

	var left time.Duration
	resumed, err := machine.Resume(t.Context(), result.Events, position, options(second(), func(payload []byte) asl.Invocation {
		left = deadline(t, string(payload))
		return asl.Invocation{Payload: []byte(succeeded.answer)}
	}))
	if err != nil || resumed.Status != asl.Succeeded {
		t.Fatalf("%+v %v", resumed, err)
	}
	return left
}

func TestAnotherProcessGoesOnWithTheMomentsThatTheWaitsBeforeHaveMoved(t *testing.T) {
	beneath := clock.NewVirtual(functionsClock())
	same := func() clock.Clock { return beneath }
	if left := interrupted(t, functionsClock, same, same); left != time.Hour {
		t.Errorf("after two waits of half an hour the deadline is %v off, want an hour", left)
	}
}

// anHourOff checks a deadline after two waits of half an hour that passed faster. It is later by the time that they took in truth,
// which is some of what the test took, and by less than a millisecond: moments are whole ones, rounded so that nobody is early.
func anHourOff(t *testing.T, left, took time.Duration) {
	t.Helper()
	if left < time.Hour || left >= time.Hour+took+time.Millisecond {
		t.Errorf("after two waits of half an hour the deadline is %v off, want an hour and at most the %v that the test took, and a millisecond", left, took)
	}
}

// Half an hour passes in 1.8 ms. The deadline is nearer by what was skipped of the hour: all but the real time of the waits.
func TestAnotherProcessGoesOnWithMomentsThatPassedFaster(t *testing.T) {
	began := time.Now()
	faster := func() clock.Clock { return clock.Faster(1e6) }
	left := interrupted(t, time.Now, faster, faster)
	anHourOff(t, left, time.Since(began))
}

// The wait that was planned at one speed ends at its moment at another one.
func TestAWaitThatWasPlannedAtASpeedKeepsItAtAnother(t *testing.T) {
	began := time.Now()
	left := interrupted(t, time.Now, func() clock.Clock { return clock.Faster(1e6) }, func() clock.Clock { return clock.Faster(1) })
	anHourOff(t, left, time.Since(began))
}
