package asl

import (
	"context"
	"errors"
	"fmt"
	"time"
)

func (e *execution) scope(data any) *scope { return &scope{data: data, run: e} }

// find follows an InputPath or OutputPath. A nil path, null in the definition, stands for an empty object.
func (e *execution) find(p *path, data any) (any, error) {
	if p == nil {
		return map[string]any{}, nil
	}
	v, err := p.find(e.scope(data))
	if err != nil {
		return nil, failure(Runtime, "Invalid path '%s' : %s", p.text, p.missing(e.scope(data)))
	}
	return v, nil
}

// missing says where a path that leads nowhere ends.
func (p *path) missing(s *scope) string {
	v := s.data
	if p.context {
		v = s.contextObject()
	}
	place := "$"
	for i, step := range p.steps {
		next, ok := step.into(v)
		if !ok && i < len(p.steps)-1 {
			if place == "$" {
				place = step.append(place)
			}
			return "Missing property in path " + place
		}
		place = step.append(place)
		v = next
	}
	return "No results for path: " + place
}

func (s step) append(place string) string {
	if s.isIndex {
		return indexed(place, s.index)
	}
	return fmt.Sprintf("%s['%s']", place, s.name)
}

// limited checks the size of what a state hands on.
func limited(v any, origin string) (document, error) {
	d := newDocument(v)
	if len(d.text) > MaxPayload {
		return document{}, failure(DataLimitExceeded,
			"The state/task '%s' returned a result with a size exceeding the maximum number of bytes service limit.", origin)
	}
	return d, nil
}

// output puts a result into the state's input, and takes of that what OutputPath asks for.
func (e *execution) output(s *state, input document, result any) (document, error) {
	combined := input.value
	if s.resultPath != nil {
		var ok bool
		if combined, ok = s.resultPath.put(input.value, result); !ok {
			return document{}, failure(ResultPathMatchFailure, "Unable to apply ReferencePath %s to input %s", s.resultPath.text, input.text)
		}
	}
	v, err := e.find(s.outputPath, combined)
	if err != nil {
		return document{}, err
	}
	return limited(v, s.name)
}

// leave is the output of states without a result of their own: what InputPath took of the input, seen through OutputPath.
func (e *execution) leave(s *state, input document, taken any) (document, error) {
	if s.inputPath == rootPath && s.outputPath == rootPath {
		return input, nil
	}
	v, err := e.find(s.outputPath, taken)
	if err != nil {
		return document{}, err
	}
	return limited(v, s.name)
}

func (e *execution) succeed(s *state, input document) (document, error) {
	v, err := e.find(s.inputPath, input.value)
	if err != nil {
		return document{}, err
	}
	return e.leave(s, input, v)
}

func (e *execution) choose(s *state, input document) (document, string, error) {
	v, err := e.find(s.inputPath, input.value)
	if err != nil {
		return document{}, "", err
	}
	next := s.defaultChoice
	scope := e.scope(v)
	for _, c := range s.choices {
		ok, err := c.condition.holds(scope)
		if err != nil {
			return document{}, "", err
		}
		if ok {
			next = c.next
			break
		}
	}
	if next == "" {
		return document{}, "", failure(NoChoiceMatched, "Failed to transition out of the state. The state does not point to a next state.")
	}
	output, err := e.leave(s, input, v)
	return output, next, err
}

func (e *execution) wait(s *state, input document, at *Position) (document, string, error) {
	v, err := e.find(s.inputPath, input.value)
	if err != nil {
		return document{}, "", err
	}
	d, err := s.wait.duration(e.scope(v), e.clock.Now())
	if err != nil {
		return document{}, "", err
	}
	if d > maxWait {
		return document{}, "", failure(Runtime, "Wait state delay is too long.")
	}
	if err := e.pause(Waiting, d, at); err != nil {
		return document{}, "", err
	}
	output, err := e.leave(s, input, v)
	return output, s.next, err
}

func (e *execution) pass(s *state, input document) (document, string, error) {
	result, err := e.effectiveInput(s, input)
	if err != nil {
		return document{}, "", err
	}
	if s.hasResult {
		result = s.result
	}
	output, err := e.output(s, input, result)
	return output, s.next, err
}

// effectiveInput is what InputPath and Parameters make of the state's input.
func (e *execution) effectiveInput(s *state, input document) (any, error) {
	v, err := e.find(s.inputPath, input.value)
	if err != nil || s.parameters == nil {
		return v, err
	}
	return s.parameters.fill(e.scope(v))
}

func (e *execution) fail(s *state, input document) error {
	name, err := e.failText("Error", s.failError, input)
	if err != nil {
		return err
	}
	cause, err := e.failText("Cause", s.failCause, input)
	if err != nil {
		return err
	}
	return &Failure{Name: name, Cause: cause}
}

// failText is the error or the cause that a Fail state names.
func (e *execution) failText(field string, x expression, input document) (string, error) {
	if x == nil {
		return "", nil
	}
	v, err := x.eval(e.scope(input.value))
	var missing *noSuchPath
	switch {
	case errors.As(err, &missing):
		err = failure(Runtime, "The JSONPath '%s' specified for the field '%sPath' could not be found in the input '%s'",
			missing.path.text, field, input.text)
	case err == nil:
		text, ok := v.(string)
		if ok {
			return text, nil
		}
		err = failure(Runtime, "The value of '%s' specified for the field '%sPath' must be a string, not %s", x, field, typeName(v))
	}
	return "", e.explained(err)
}

// task calls the state's resource, again and again as Retry says, and hands errors to Catch.
func (e *execution) task(s *state, input document, at *Position) (document, string, error) {
	e.retries = newRetries(s)
	if at != nil {
		copy(e.retries.used, at.Retries)
	}
	var output document
	var err error
	switch {
	case at != nil && at.Phase == Calling:
		e.retryCount = e.retries.total()
		err = e.lost(s)
	case at != nil && at.Phase == Retrying:
		output, err = e.retry(s, input, 0, at)
	default:
		e.retryCount = e.retries.total()
		output, err = e.attempt(s, input)
	}
	for {
		if err == nil {
			return output, s.next, nil
		}
		var f *Failure
		if !errors.As(err, &f) {
			return document{}, "", err
		}
		delay, again := e.retries.next(f, e.options.Random)
		if !again {
			return e.catch(s, input, f)
		}
		output, err = e.retry(s, input, delay, nil)
	}
}

// retry calls the resource once more, after a delay or the rest of the one that the execution resumes in.
func (e *execution) retry(s *state, input document, delay time.Duration, at *Position) (document, error) {
	if err := e.pause(Retrying, delay, at); err != nil {
		return document{}, err
	}
	e.retryCount = e.retries.total()
	return e.attempt(s, input)
}

// catch looks for the first catcher that matches. Its output is not subject to OutputPath.
func (e *execution) catch(s *state, input document, f *Failure) (document, string, error) {
	for _, c := range s.catchers {
		if !matches(c.errorEquals, f.Name) {
			continue
		}
		v := input.value
		if c.resultPath != nil {
			var ok bool
			if v, ok = c.resultPath.put(v, f.output()); !ok {
				return document{}, "", failure(ResultPathMatchFailure, "Unable to apply ReferencePath %s to input %s", c.resultPath.text, input.text)
			}
		}
		output, err := limited(v, s.name)
		return output, c.next, err
	}
	return document{}, "", f
}

// attempt calls the resource once.
func (e *execution) attempt(s *state, input document) (document, error) {
	if err := e.interrupted(); err != nil {
		if e.suspended() { // nothing has been told since the state was entered
			if err := e.stand(Position{Phase: Entered}); err != nil {
				return document{}, err
			}
		}
		return document{}, err
	}
	result, err := e.call(s, input)
	if e.full {
		return document{}, errHistoryFull
	}
	if err != nil {
		return document{}, err
	}
	if s.resultSelector != nil {
		if result, err = s.resultSelector.fill(e.scope(result)); err != nil {
			return document{}, err
		}
	}
	return e.output(s, input, result)
}

// call makes the call, with its events.
func (e *execution) call(s *state, input document) (any, error) {
	v, err := e.effectiveInput(s, input)
	if err != nil {
		return nil, err
	}
	parameters, ok := v.(map[string]any)
	if !ok {
		return nil, invalidParameters(v, "The value must be an object")
	}
	text, err := limited(parameters, s.resource.service)
	if err != nil {
		return nil, err
	}
	timeout, err := e.taskTimeout(s, input)
	if err != nil {
		return nil, err
	}
	details := s.resource.details()
	e.add(Event{Type: TaskScheduled, TaskScheduled: &TaskScheduledDetails{
		TaskDetails: details, Region: e.options.Region, Parameters: text.text, TimeoutInSeconds: int64(timeout / time.Second),
	}})
	e.add(Event{Type: TaskStarted, TaskStarted: &details})
	if e.full {
		return nil, errHistoryFull
	}

	if err := e.stand(Position{Phase: Calling}); err != nil {
		return nil, err
	}
	ctx, cancel := e.ctx, context.CancelFunc(func() {})
	if timeout > 0 {
		ctx, cancel = e.clock.WithTimeout(e.ctx, timeout)
	}
	defer cancel()
	result, err := s.resource.integration.call(ctx, e, parameters)

	switch {
	case err == nil && e.suspended(): // what came in time is kept
	case e.interrupted() != nil:
		return nil, errInterrupted
	case ctx.Err() != nil:
		f := &Failure{Name: Timeout}
		e.add(Event{Type: TaskTimedOut, TaskTimedOut: &TaskFailureDetails{TaskDetails: details, FailureDetails: FailureDetails{Error: Timeout}}})
		return nil, f
	}
	var document document
	if err == nil {
		document, err = limited(result, s.resource.service)
	}
	if err != nil {
		f := e.callFailure(s.resource.integration, err)
		e.add(Event{Type: TaskFailedEvent, TaskFailed: &TaskFailureDetails{
			TaskDetails: details, FailureDetails: FailureDetails{Error: f.Name, Cause: f.Cause},
		}})
		return nil, f
	}
	e.add(Event{Type: TaskSucceeded, TaskSucceeded: &TaskSucceededDetails{
		TaskDetails: details, Output: document.text,
	}})
	return result, nil
}

// taskTimeout is the state's timeout, or zero if it has none.
func (e *execution) taskTimeout(s *state, input document) (time.Duration, error) {
	if s.timeoutPath == nil {
		return s.timeout, nil
	}
	v, err := e.find(s.timeoutPath, input.value)
	if err != nil {
		return 0, err
	}
	n, ok := wholeSeconds(v)
	if !ok || n < 1 || n > maxSeconds {
		return 0, failure(Runtime, "The TimeoutSecondsPath parameter must reference a whole number from 1 to %d: %s == %s",
			maxSeconds, s.timeoutPath.text, plain(v))
	}
	return time.Duration(n) * time.Second, nil
}
