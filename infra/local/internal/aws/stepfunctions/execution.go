package stepfunctions

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

// An Execution is what is known of an execution at one moment.
type Execution struct {
	ARN             string
	Name            string
	StateMachineARN string

	// VersionARN is the version of the state machine that it was started by. Empty if it was started by none.
	VersionARN string

	Type   Type
	Status asl.Status

	// Input and Output are JSON texts. Output is empty unless the execution succeeded.
	Input, Output string

	// Error and Cause say why the execution did not succeed.
	Error, Cause string

	// Started and Stopped are when it began and ended. Stopped is zero while it runs.
	Started, Stopped time.Time
}

// execution is an execution with its history. The service's lock guards it.
type execution struct {
	Execution
	machine *machine
	events  []asl.Event
	bytes   int             // of the texts in it
	ctx     context.Context // ends it
	cancel  context.CancelCauseFunc
	done    chan struct{} // closed once it goes on no more

	// What is in the file: under which key, and how many of the events.
	key   []byte
	saved int

	left     bool          // another process left it, and it does not go on yet
	position *asl.Position // where that left it; nil if it had only been started
}

// StartExecution starts an execution and returns at once. An empty name is replaced by a random one, and an empty input
// by {}. For a Standard workflow, starting an execution again under the same name with the same input, while it runs,
// returns the one that runs; with another input, and for [Retention] after its end, it is refused. Express workflows do not
// look at names. The ARN is that of the state machine or of its version.
//
// Its errors are InvalidArn, StateMachineDoesNotExist, InvalidName, InvalidExecutionInput, ValidationException,
// ExecutionAlreadyExists, ServiceUnavailable, and InternalFailure if there is a file and it cannot be written.
func (s *Service) StartExecution(stateMachineARN, name, input string) (Execution, error) {
	e, err := s.start(stateMachineARN, name, input)
	if err != nil {
		return Execution{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return e.Execution, nil
}

// StartSyncExecution runs an execution of an Express workflow and returns it when it has ended, in whatever way: that
// the execution fails is no error. The execution goes on when ctx is done before, as in AWS.
//
// Its errors are those of StartExecution, StateMachineTypeNotSupported for a Standard workflow, and ctx's.
func (s *Service) StartSyncExecution(ctx context.Context, stateMachineARN, name, input string) (Execution, error) {
	m, err := s.machine(stateMachineARN)
	if err != nil {
		return Execution{}, err
	}
	if m.Type != Express {
		return Execution{}, apiError(StateMachineTypeNotSupported, "This operation is not supported by this type of state machine")
	}
	e, err := s.start(stateMachineARN, name, input)
	if err != nil {
		return Execution{}, err
	}
	select {
	case <-e.done:
		s.mu.Lock()
		defer s.mu.Unlock()
		return e.Execution, nil
	case <-ctx.Done():
		return Execution{}, ctx.Err()
	}
}

func (s *Service) start(stateMachineARN, name, input string) (*execution, error) {
	m, err := s.machine(stateMachineARN)
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = asl.UUID(s.config.Random)
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	if input == "" {
		input = "{}"
	}
	if len(input) > asl.MaxPayload {
		return nil, apiError(ValidationException, "1 validation error detected: Value at 'input' failed to satisfy constraint: "+
			"Member must have length less than or equal to %d", asl.MaxPayload)
	}
	if !json.Valid([]byte(input)) {
		return nil, apiError(InvalidExecutionInput, "Invalid State Machine Execution Input: it is not JSON")
	}

	arn := executionARN(m, name, s.config.Random)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, apiError(ServiceUnavailable, "The service has been closed")
	}
	defer s.config.Clock.Enter()() // time must not move on between the moment of the start and the first state
	s.expire()
	if earlier, exists := s.executions[arn]; exists {
		if earlier.Status == asl.Running && earlier.Input == input {
			return earlier, nil
		}
		return nil, apiError(ExecutionAlreadyExists, "Execution Already Exists: '%s'", arn)
	}
	if _, taken := s.taken[arn]; taken {
		return nil, apiError(ExecutionAlreadyExists, "Execution Already Exists: '%s'", arn)
	}
	e := &execution{
		Execution: Execution{
			ARN: arn, Name: name, StateMachineARN: m.ARN, Type: m.Type, Status: asl.Running, Input: input,
			Started: s.config.Clock.Now(),
		},
		machine: m,
	}
	if stateMachineARN != m.ARN {
		e.VersionARN = stateMachineARN
	}
	if s.durable(e) {
		if err := s.keep(e, nil); err != nil {
			return nil, apiError(InternalFailure, "%v", err)
		}
	}
	s.prepare(e)
	s.executions[arn] = e
	s.order = append(s.order, e)
	s.goOn(e)
	return e, nil
}

// prepare makes what ends an execution.
func (s *Service) prepare(e *execution) {
	e.done = make(chan struct{})
	e.ctx, e.cancel = context.WithCancelCause(s.ctx)
}

// goOn runs an execution.
func (s *Service) goOn(e *execution) {
	leave := s.config.Clock.Enter()
	s.runs.Go(func() {
		defer leave()
		s.run(e)
	})
}

// Resume goes on with the executions in the file that had not ended. It is called once, when the observers are there that are
// to be told of them; before, these executions stand still. A wait goes on until its moment; for what becomes of a Task whose
// call was under way see [asl.Machine.Resume].
func (s *Service) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.config.Clock.Enter()() // they go on at one moment
	if s.closed {
		return
	}
	for _, e := range s.order {
		if e.left {
			e.left = false
			s.goOn(e)
		}
	}
}

var executionARNs = regexp.MustCompile(`^arn:aws[a-z-]*:states:[a-z0-9-]+:[0-9]{12}:(execution:[^:]+:[^:]+|express:[^:]+:[^:]+:[^:]+)$`)

func executionARN(m *machine, name string, random func() float64) string {
	kind, suffix := ":execution:", ""
	if m.Type == Express { // several executions may have one name
		kind, suffix = ":express:", ":"+asl.UUID(random)
	}
	return strings.Replace(m.ARN, ":stateMachine:", kind, 1) + ":" + name + suffix
}

func (s *Service) run(e *execution) {
	defer e.cancel(nil)
	options := asl.Options{
		Lambda:       s.config.Lambda,
		DynamoDB:     s.config.DynamoDB,
		SQS:          s.config.SQS,
		Clock:        s.config.Clock,
		Random:       s.config.Random,
		Execution:    asl.ExecutionContext{ID: e.ARN, Name: e.Name, RoleARN: e.machine.RoleARN, Started: e.Started, Standard: e.Type == Standard},
		StateMachine: asl.StateMachineContext{ID: e.machine.ARN, Name: e.machine.Name, VersionARN: e.VersionARN},
		Region:       strings.Split(e.machine.ARN, ":")[3],
		MaxDuration:  MaxStandardDuration,
		OnEvent:      func(event asl.Event) { s.record(e, event) },
	}
	if e.Type == Express {
		options.MaxDuration = MaxExpressDuration
	}
	if s.durable(e) {
		options.OnPosition = func(position asl.Position) error { return s.keep(e, &position) }
	}
	var err error
	if e.position == nil {
		_, err = e.machine.program.Run(e.ctx, []byte(e.Input), options)
	} else {
		_, err = e.machine.program.Resume(e.ctx, e.events, *e.position, options)
	}
	if err != nil { // no integration for a Task, for instance
		s.record(e, asl.Event{
			ID: int64(len(e.events)) + 1, Type: asl.ExecutionFailed, Timestamp: s.config.Clock.Now(),
			ExecutionFailed: &asl.FailureDetails{Error: asl.Runtime, Cause: err.Error()},
		})
	}
	s.finish(e)
}

// record adds an event to the history and tells the observers.
func (s *Service) record(e *execution, event asl.Event) {
	s.mu.Lock()
	e.events = append(e.events, event)
	e.bytes += textBytes(event)
	ended := func(status asl.Status, d *asl.FailureDetails) {
		e.Status, e.Stopped = status, event.Timestamp
		if d != nil {
			e.Error, e.Cause = d.Error, d.Cause
		}
	}
	switch event.Type {
	case asl.ExecutionSucceeded:
		ended(asl.Succeeded, nil)
		e.Output = event.ExecutionSucceeded.Output
	case asl.ExecutionFailed:
		ended(asl.Failed, event.ExecutionFailed)
	case asl.ExecutionTimedOut:
		ended(asl.TimedOut, event.ExecutionTimedOut)
	case asl.ExecutionAborted:
		ended(asl.Aborted, event.ExecutionAborted)
	}
	if e.Status != asl.Running && s.file != nil {
		// Nobody can be told that it could not be written. The next process will go on from the last position that was.
		_ = s.keep(e, nil)
	}
	snapshot := e.Execution
	ids := make([]int, 0, len(s.observers))
	for id := range s.observers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	observers := make([]func(Execution, asl.Event), len(ids))
	for i, id := range ids {
		observers[i] = s.observers[id]
	}
	s.mu.Unlock()
	for _, f := range observers {
		f(snapshot, event)
	}
}

// finish counts an execution among the finished ones, unless it is only suspended, and drops those for which there is no
// more room.
func (s *Service) finish(e *execution) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Status != asl.Running {
		ended := s.finished[e.Type]
		ended.add(e)
		for ended.full() {
			s.drop(ended, true)
		}
	}
	close(e.done)
}

// expire drops what ended too long ago, and frees its names. The lock must be held.
func (s *Service) expire() {
	now := s.config.Clock.Now()
	for _, ended := range s.finished {
		for len(ended.executions) > 0 && !now.Before(ended.executions[0].Stopped.Add(Retention)) {
			s.drop(ended, false)
		}
	}
	maps.DeleteFunc(s.taken, func(_ string, until time.Time) bool { return !now.Before(until) })
}

// drop forgets the execution of a type that ended first. Its name may stay taken. The lock must be held.
func (s *Service) drop(ended *finished, taken bool) {
	oldest := ended.executions[0]
	ended.executions = slices.Delete(ended.executions, 0, 1)
	ended.bytes -= oldest.bytes
	delete(s.executions, oldest.ARN)
	s.order = slices.DeleteFunc(s.order, func(other *execution) bool { return other == oldest })
	var until time.Time
	if taken && oldest.Type == Standard {
		until = oldest.Stopped.Add(Retention)
		s.taken[oldest.ARN] = until
	}
	if oldest.key != nil {
		_ = s.erase(oldest, until) // what could not be deleted is dropped by the next process
	}
}

// textBytes is the size of the texts that an event holds.
func textBytes(event asl.Event) int {
	n := 0
	if d := event.ExecutionStarted; d != nil {
		n += len(d.Input)
	}
	if d := event.ExecutionSucceeded; d != nil {
		n += len(d.Output)
	}
	if d := event.StateEntered; d != nil {
		n += len(d.Input)
	}
	if d := event.StateExited; d != nil {
		n += len(d.Output)
	}
	if d := event.TaskScheduled; d != nil {
		n += len(d.Parameters)
	}
	if d := event.TaskSucceeded; d != nil {
		n += len(d.Output)
	}
	if d := event.TaskFailed; d != nil {
		n += len(d.Cause)
	}
	if d := event.ExecutionFailed; d != nil {
		n += len(d.Cause)
	}
	return n
}

// Execution returns the execution with an ARN. Its errors are InvalidArn and ExecutionDoesNotExist.
func (s *Service) Execution(arn string) (Execution, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(arn)
	if err != nil {
		return Execution{}, err
	}
	return e.Execution, nil
}

// find looks an execution up. The lock must be held.
func (s *Service) find(arn string) (*execution, error) {
	if !executionARNs.MatchString(arn) {
		return nil, apiError(InvalidArn, "Invalid Arn: '%s' is not that of an execution", arn)
	}
	e, ok := s.executions[arn]
	if !ok {
		return nil, apiError(ExecutionDoesNotExist, "Execution Does Not Exist: '%s'", arn)
	}
	return e, nil
}

// History returns the events of an execution so far. Its errors are those of Execution.
func (s *Service) History(arn string) ([]asl.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(arn)
	if err != nil {
		return nil, err
	}
	return slices.Clone(e.events), nil
}

// Executions returns the executions of a state machine, or of all if the ARN is empty, those that started last first. With
// the ARN of a version it returns those that were started by it. Only those with a status are returned if one is given. Its
// errors are those of StateMachine.
func (s *Service) Executions(stateMachineARN string, status asl.Status) ([]Execution, error) {
	if stateMachineARN != "" {
		if _, err := s.machine(stateMachineARN); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Execution
	for _, e := range slices.Backward(s.order) {
		if (stateMachineARN == "" || e.StateMachineARN == stateMachineARN || e.VersionARN == stateMachineARN) && (status == "" || e.Status == status) {
			all = append(all, e.Execution)
		}
	}
	return all, nil
}

// What a caller may say of why an execution is stopped, in characters.
const (
	maxStopError = 256
	maxStopCause = 32768
)

// StopExecution aborts an execution, with an error and a cause that may be empty, and returns it when it has ended. A
// function that the execution has called goes on; what it answers is thrown away. Nothing happens to an execution that has
// ended already. Its errors are those of Execution, ValidationException, and ServiceUnavailable.
func (s *Service) StopExecution(arn, name, cause string) (Execution, error) {
	for _, text := range []struct {
		field, value string
		limit        int
	}{{"error", name, maxStopError}, {"cause", cause, maxStopCause}} {
		if utf8.RuneCountInString(text.value) > text.limit {
			return Execution{}, apiError(ValidationException, "1 validation error detected: Value at '%s' failed to satisfy constraint: "+
				"Member must have length less than or equal to %d", text.field, text.limit)
		}
	}
	s.mu.Lock()
	e, err := s.find(arn)
	s.mu.Unlock()
	if err != nil {
		return Execution{}, err
	}
	e.cancel(&asl.Failure{Name: name, Cause: cause})
	<-e.done
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Status == asl.Running {
		return Execution{}, apiError(ServiceUnavailable, "The service has been closed")
	}
	return e.Execution, nil
}
