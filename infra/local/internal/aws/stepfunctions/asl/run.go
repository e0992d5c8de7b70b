package asl

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// A Status is the state of an execution as a whole, under the service's name.
type Status string

const (
	Running   Status = "RUNNING"
	Succeeded Status = "SUCCEEDED"
	Failed    Status = "FAILED"
	TimedOut  Status = "TIMED_OUT"
	Aborted   Status = "ABORTED"
)

// DefaultRegion is the region that events name if Options has none.
const DefaultRegion = "us-east-1"

// Options says how a machine is run. The zero value runs machines that have no Task states.
type Options struct {
	// Lambda, DynamoDB and SQS serve the integrations. They may be nil if the machine has no Task that calls them.
	Lambda   Lambda
	DynamoDB DynamoDB
	SQS      SQS

	// Clock is the clock that waits, retries and timeouts go by. Nil means the real one. Goroutines that run machines on
	// one virtual clock at the same time must have entered it.
	Clock clock.Clock

	// Random yields numbers from 0 up to 1, for jitter and for the functions that need them. It must be safe for
	// concurrent use if the options are shared. Nil means math/rand/v2.
	Random func() float64

	// Execution and StateMachine are what the context object says of the execution.
	Execution    ExecutionContext
	StateMachine StateMachineContext

	// Region is the region that events name. Empty means DefaultRegion.
	Region string

	// MaxDuration bounds the execution as the machine's own TimeoutSeconds does; the shorter one counts. Zero means no
	// bound.
	MaxDuration time.Duration

	// OnEvent, if set, is called with every event of the history as it happens, one after the other, from the goroutine
	// that runs the machine.
	OnEvent func(Event)

	// OnPosition, if set, is called with where the execution is, from the same goroutine, before it waits, before it makes a
	// call and whenever it enters a state that does neither; what it did until then is in the events before. Resume goes on
	// from the last one. An error fails the execution.
	OnPosition func(Position) error
}

// ExecutionContext is the part of the context object that describes the execution.
type ExecutionContext struct {
	ID, Name, RoleARN string

	// Started is when the execution was started. Zero means when Run is called. The limits of time count from it.
	Started time.Time

	// Standard says that the workflow is a Standard one. The context object then has a RedriveCount, which is always 0.
	Standard bool
}

// StateMachineContext is the part of the context object that describes the state machine.
type StateMachineContext struct {
	ID, Name string

	// VersionARN is the version that the execution was started by. Empty if it was started by none. The context object does
	// not have it, the history does.
	VersionARN string
}

// A Result is what came of an execution.
type Result struct {
	Status Status

	// Output is the output, as JSON. Empty unless the execution succeeded.
	Output string

	// Error and Cause say why the execution did not succeed. Both may be empty.
	Error, Cause string

	// Started and Stopped are when the execution began and ended, by its clock.
	Started, Stopped time.Time

	// Events is the history.
	Events []Event
}

// Run executes the machine with a JSON input and returns when the execution has ended, in whatever way: that an
// execution fails is a result and no error. The error says why it could not be started.
//
// If ctx is done before, the execution ends with status Aborted; its error and cause are those of the context's cause if
// that is a [*Failure].
func (m *Machine) Run(ctx context.Context, input []byte, options Options) (*Result, error) {
	e, cancel, err := m.prepare(ctx, string(input), options)
	if err != nil {
		return nil, err
	}
	defer cancel()
	e.add(Event{Type: ExecutionStarted, ExecutionStarted: &ExecutionStartedDetails{
		Input: string(input), RoleARN: options.Execution.RoleARN, StateMachineVersionARN: options.StateMachine.VersionARN,
	}})
	e.previous = 0 // the first state follows no event, as the service has it
	return e.run(m.startAt, e.input, nil), nil
}

// prepare makes an execution whose time is limited. Its clock and its context are released by cancel.
func (m *Machine) prepare(ctx context.Context, input string, options Options) (_ *execution, cancel context.CancelFunc, err error) {
	if err := m.checkIntegrations(options); err != nil {
		return nil, nil, err
	}
	value, err := decode([]byte(input))
	if err != nil {
		return nil, nil, fmt.Errorf("the input of the execution is not JSON: %w", err)
	}
	if len(input) > MaxPayload {
		return nil, nil, fmt.Errorf("the input of the execution is %d bytes long; at most %d are allowed", len(input), MaxPayload)
	}
	if options.Clock == nil {
		options.Clock = clock.Real
	}
	if options.Random == nil {
		options.Random = rand.Float64
	}
	if options.Region == "" {
		options.Region = DefaultRegion
	}
	e := &execution{machine: m, options: options, clock: options.Clock, outer: ctx, input: newDocument(value)}
	if e.started = options.Execution.Started; e.started.IsZero() {
		e.started = e.clock.Now()
	}
	e.ctx, cancel = clock.WithLead(ctx, &e.lead), func() {}
	if limit := e.limit(); limit > 0 {
		if left := limit - e.clock.Now().Sub(e.started); left > 0 {
			e.ctx, cancel = e.clock.WithTimeout(e.ctx, left)
		} else { // it ended while nobody ran it
			e.ctx, cancel = context.WithDeadline(e.ctx, time.Time{})
		}
	}
	return e, cancel, nil
}

func (m *Machine) checkIntegrations(options Options) error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	for _, name := range sortedNames(m.states) {
		switch m.states[name].resource.integration.(type) {
		case lambdaInvoke:
			if options.Lambda == nil {
				problem("state %q invokes a function, but Options.Lambda is nil", name)
			}
		case dynamodbUpdateItem:
			if options.DynamoDB == nil {
				problem("state %q updates an item, but Options.DynamoDB is nil", name)
			}
		case sqsSendMessage:
			if options.SQS == nil {
				problem("state %q sends a message, but Options.SQS is nil", name)
			}
		}
	}
	return errors.Join(problems...)
}

// execution is a run of a machine. It is used by one goroutine.
type execution struct {
	machine *Machine
	options Options
	clock   clock.Clock
	outer   context.Context // done: aborted
	ctx     context.Context // done while outer is not: timed out
	started time.Time
	input   document
	lead    time.Duration

	events   []Event
	previous int64 // id of the event that the next one follows
	full     bool  // the history can hold no more than the end

	// The state that is being run.
	state      *state
	entered    time.Time
	enteredID  int64
	retryCount int
	retries    *retries // nil unless the state is a Task
}

// limit is how long the execution may take, or zero.
func (e *execution) limit() time.Duration {
	own, outside := e.machine.timeout, e.options.MaxDuration
	if own == 0 || outside == 0 {
		return max(own, outside)
	}
	return min(own, outside)
}

var (
	errInterrupted = errors.New("the execution was interrupted")
	errHistoryFull = errors.New("the history is full")
)

// run goes on from a state. If that is where the execution resumes, at says what it did there.
func (e *execution) run(state string, data document, at *Position) *Result {
	var err error
	for state != "" && err == nil {
		data, state, err = e.visit(e.machine.states[state], data, at)
		at = nil
	}
	return e.end(data, err)
}

// visit runs one state. It returns the state's output and the name of the next state, which is empty at the end.
func (e *execution) visit(s *state, input document, at *Position) (document, string, error) {
	if err := e.enter(s, input, at); err != nil {
		return document{}, "", err
	}
	var output document
	var next string
	var err error
	switch s.kind {
	case Task:
		output, next, err = e.task(s, input, at)
	case Choice:
		output, next, err = e.choose(s, input)
	case Wait:
		output, next, err = e.wait(s, input, at)
	case Pass:
		output, next, err = e.pass(s, input)
	case Succeed:
		output, err = e.succeed(s, input)
	case Fail:
		err = e.fail(s, input)
	}
	if err != nil {
		if s.kind != Fail { // which reports the errors of others
			err = e.explained(err)
		}
		return document{}, "", err
	}
	e.add(Event{Type: s.kind.exited(), StateExited: &StateExitedDetails{Name: s.name, Output: output.text}})
	if e.full {
		return document{}, "", errHistoryFull
	}
	return output, next, nil
}

// enter records that a state is entered, unless that is where the execution resumes.
func (e *execution) enter(s *state, input document, at *Position) error {
	suspended := e.suspended()
	if err := e.interrupted(); err != nil && !suspended {
		return err
	}
	e.state, e.retryCount, e.retries = s, 0, nil
	if at != nil {
		e.entered, e.enteredID = e.events[at.EnteredID-1].Timestamp, at.EnteredID
	} else {
		e.entered = e.clock.Now()
		e.add(Event{Type: s.kind.entered(), StateEntered: &StateEnteredDetails{Name: s.name, Input: input.text}})
		e.enteredID = e.previous
	}
	switch {
	case suspended && at != nil: // it stands where it stood
		return errInterrupted
	case suspended:
		if err := e.stand(Position{Phase: Entered}); err != nil {
			return err
		}
		return errInterrupted
	case at == nil && s.kind != Task && s.kind != Wait: // which tell themselves where they are
		return e.stand(Position{Phase: Entered})
	}
	return nil
}

// end records how the execution ended. Nothing is recorded if it is suspended.
func (e *execution) end(output document, err error) *Result {
	r := &Result{Status: Succeeded, Output: output.text, Started: e.started}
	last := Event{Type: ExecutionSucceeded, ExecutionSucceeded: &ExecutionSucceededDetails{Output: output.text}}
	if errors.Is(err, errInterrupted) && e.suspended() {
		return &Result{Status: Running, Started: e.started, Events: e.events}
	}
	if err != nil {
		var f *Failure
		switch {
		case errors.As(err, &f):
			r.Status, r.Error, r.Cause = Failed, f.Name, f.Cause
		case errors.Is(err, errHistoryFull):
			r.Status, r.Error = Failed, Runtime
			r.Cause = fmt.Sprintf("The execution reached the maximum number of history events (%d).", MaxEvents)
		case e.outer.Err() != nil:
			r.Status = Aborted
			if errors.As(context.Cause(e.outer), &f) {
				r.Error, r.Cause = f.Name, f.Cause
			}
		default:
			r.Status = TimedOut // without an error, as the service has it
		}
		r.Output = ""
		details := &FailureDetails{Error: r.Error, Cause: r.Cause}
		switch r.Status {
		case Failed:
			last = Event{Type: ExecutionFailed, ExecutionFailed: details}
		case TimedOut:
			last = Event{Type: ExecutionTimedOut, ExecutionTimedOut: details}
		default:
			last = Event{Type: ExecutionAborted, ExecutionAborted: details}
			e.previous = 0 // nothing in the machine led to it
		}
	}
	e.full = false
	e.append(last)
	r.Stopped = e.clock.Now()
	r.Events = e.events
	return r
}

// explained puts before the cause of an error of the interpreter's own where it happened, as the service does.
func (e *execution) explained(err error) error {
	var f *Failure
	if !errors.As(err, &f) || (f.Name != Runtime && f.Name != IntrinsicFailure && f.Name != NoChoiceMatched) {
		return err
	}
	return failure(f.Name, "An error occurred while executing the state '%s' (entered at the event id #%d). %s",
		e.state.name, e.enteredID, f.Cause)
}

func (e *execution) interrupted() error {
	if e.ctx.Err() != nil {
		return errInterrupted
	}
	return nil
}

// add records an event, unless only the place for the last one is left.
func (e *execution) add(event Event) {
	if e.full = e.full || len(e.events) >= MaxEvents-1; e.full {
		return
	}
	e.append(event)
}

func (e *execution) append(event Event) {
	event.ID = int64(len(e.events)) + 1
	event.PreviousEventID = e.previous
	event.Timestamp = e.clock.Now()
	e.previous = event.ID
	e.events = append(e.events, event)
	if e.options.OnEvent != nil {
		e.options.OnEvent(event)
	}
}

// contextObject is what $$ stands for.
func (e *execution) contextObject() map[string]any {
	run := map[string]any{
		"Id": e.options.Execution.ID, "Name": e.options.Execution.Name, "RoleArn": e.options.Execution.RoleARN,
		"Input": e.input.value, "StartTime": contextTime(e.started),
	}
	if e.options.Execution.Standard {
		run["RedriveCount"] = integer(0)
	}
	state := map[string]any{"Name": e.state.name, "EnteredTime": contextTime(e.entered)}
	if e.state.kind == Task {
		state["RetryCount"] = integer(e.retryCount)
	}
	machine := map[string]any{"Id": e.options.StateMachine.ID, "Name": e.options.StateMachine.Name}
	return map[string]any{"Execution": run, "State": state, "StateMachine": machine}
}

func contextTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
