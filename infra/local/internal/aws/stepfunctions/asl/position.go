package asl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Position is where an execution stands: all that is needed, with its events so far, to go on from there in another
// process. See [Machine.Resume].
type Position struct {
	// EnteredID is the id of the event in which the execution entered the state that it is in.
	EnteredID int64 `json:"enteredId"`

	Phase Phase `json:"phase"`

	// Until is when the wait ends that it is in, by its clock. Zero if it is in none.
	Until time.Time `json:"until,omitzero"`

	// Retries is how often each of the state's retriers has been used. Nil if it has none.
	Retries []int `json:"retries,omitempty"`

	// Lead is the execution's lead, see [clock.WithLead], as it is when Until has come.
	Lead time.Duration `json:"lead,omitempty"`
}

// A Phase is what an execution does in the state that it is in.
type Phase string

const (
	// Entered is the phase of an execution that has entered a state and done nothing there that would show outside.
	Entered Phase = "entered"

	// Waiting is the phase in a Wait state.
	Waiting Phase = "waiting"

	// Calling is the phase of a Task whose call is made next, or is under way.
	Calling Phase = "calling"

	// Retrying is the phase of a Task that waits before it calls again.
	Retrying Phase = "retrying"
)

// ErrSuspended is what a context is cancelled with, as its cause, to leave an execution where it is: Run and Resume return a
// Result with the status Running, and no end is recorded. A call that is under way is left alone, and its outcome not known.
var ErrSuspended = errors.New("the execution is suspended")

// LostCause is the cause of the States.Timeout of a Task whose process ended while it called.
const LostCause = "The process that ran the execution ended during the call. Whether the call was carried out is not known."

// Resume goes on with an execution that another process ran, from one of the positions that OnPosition was told there, and
// the events up to it, which are all in the result again. It is otherwise like Run; the limits of time count from
// options.Execution.Started, which must be given.
//
// A wait goes on until its moment. A call that was under way is not made again: it may have been carried out, and what came
// of it is not known any more. So the Task fails as one whose result does not come in time, with States.Timeout, and its
// Retry and Catch decide what is next. AWS keeps such a call and its result; this error is what it has for one whose
// outcome stays unknown.
func (m *Machine) Resume(ctx context.Context, events []Event, at Position, options Options) (*Result, error) {
	if at.EnteredID < 2 || at.EnteredID > int64(len(events)) || events[0].ExecutionStarted == nil || events[at.EnteredID-1].StateEntered == nil {
		return nil, fmt.Errorf("the execution cannot go on: event %d of %d is not the entry of a state", at.EnteredID, len(events))
	}
	entry := events[at.EnteredID-1]
	s, known := m.states[entry.State()]
	if !known {
		return nil, fmt.Errorf("the execution cannot go on: it is in the state %q, which its machine does not have", entry.State())
	}
	data, err := decode([]byte(entry.StateEntered.Input))
	if err != nil {
		return nil, fmt.Errorf("the execution cannot go on: the input of the state %q is not JSON: %w", s.name, err)
	}
	e, cancel, err := m.prepare(ctx, events[0].ExecutionStarted.Input, options)
	if err != nil {
		return nil, err
	}
	defer cancel()

	e.lead = at.Lead
	e.events = slices.Clone(events)
	e.previous = int64(len(events))
	return e.run(s.name, newDocument(data), &at), nil
}

// stand tells where the execution is. It fails the execution if that cannot be kept, since what it did next would be done
// again by whoever resumed it from an earlier position.
func (e *execution) stand(at Position) error {
	if e.options.OnPosition == nil || e.full {
		return nil
	}
	at.EnteredID = e.enteredID
	at.Lead += e.lead
	if e.retries != nil {
		at.Retries = slices.Clone(e.retries.used)
	}
	if err := e.options.OnPosition(at); err != nil {
		return failure(Runtime, "The position of the execution could not be kept: %v", err)
	}
	return nil
}

// pause waits for d, unless the wait is the one that the execution resumes in.
func (e *execution) pause(phase Phase, d time.Duration, resumed *Position) error {
	var err error
	if resumed != nil && resumed.Phase == phase {
		err = e.clock.WaitUntil(e.ctx, resumed.Until)
	} else {
		now, until := e.clock.Now(), e.clock.After(d)
		if err := e.stand(Position{Phase: phase, Until: until, Lead: max(d, 0) - until.Sub(now)}); err != nil {
			return err
		}
		err = e.clock.Wait(e.ctx, d)
	}
	if err != nil {
		return errInterrupted
	}
	return nil
}

// lost records that the outcome of the call that was under way is not known.
func (e *execution) lost(s *state) *Failure {
	f := &Failure{Name: Timeout, Cause: LostCause}
	e.add(Event{Type: TaskTimedOut, TaskTimedOut: &TaskFailureDetails{
		TaskDetails: s.resource.details(), FailureDetails: FailureDetails{Error: f.Name, Cause: f.Cause},
	}})
	return f
}

func (e *execution) suspended() bool { return context.Cause(e.outer) == ErrSuspended }
