package console

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/executionview"
)

// MaxExecutions is how many executions are shown. Of more, those that started first are forgotten.
const MaxExecutions = 200

// An Execution is what is shown of the execution of a state machine for one request.
type Execution struct {
	// Name is the execution's name: the id of the request at the function URL, which its answer has in X-Amzn-Requestid.
	Name string `json:"name"`

	// StateMachine is the name of the state machine.
	StateMachine string `json:"stateMachine"`

	// Method and Path are those of the request. Empty if the execution is about no request.
	Method string `json:"method,omitempty"`
	Path   string `json:"path,omitempty"`

	// Record is the id of the request's idempotency record, if it has one.
	Record string `json:"record,omitempty"`

	// RequestObject and AnswerObject name the objects in the bucket that have the bodies, if they are too large for a state.
	RequestObject string `json:"requestObject,omitempty"`
	AnswerObject  string `json:"answerObject,omitempty"`

	// Status is the status of the execution, such as RUNNING.
	Status asl.Status `json:"status"`

	// StatusCode is the HTTP status that the execution ended with, or zero. Failure says why it did not succeed.
	StatusCode int    `json:"statusCode,omitempty"`
	Failure    string `json:"failure,omitempty"`

	// Started and Stopped are when the execution began and ended. Stopped is zero while it runs.
	Started time.Time `json:"started"`
	Stopped time.Time `json:"stopped,omitzero"`

	// Attempts are those made so far. Of an attempt whose proxy was lost, Start and Duration are those of the visit to
	// its state.
	Attempts []retry.Attempt `json:"attempts"`

	// Visits is the path that the execution has taken through the state machine.
	Visits []Visit `json:"visits"`

	arn string
}

// A Visit is one stay of an execution in a state.
type Visit struct {
	State string `json:"state"`

	// Type is the type of the state: Task, Choice, Wait, Pass, Succeed or Fail.
	Type string `json:"type"`

	// Entered and Exited are when it began and ended. Exited is zero while the execution is in the state, and in a Fail
	// state, which is never left.
	Entered time.Time `json:"entered"`
	Exited  time.Time `json:"exited,omitzero"`

	// WaitSeconds is how long a Wait state was told to wait, and Until is when that ends.
	WaitSeconds int64     `json:"waitSeconds,omitempty"`
	Until       time.Time `json:"until,omitzero"`

	// Attempt is the number, counted from 1, of the attempt that was made during the visit, if one was.
	Attempt int `json:"attempt,omitempty"`

	// Failures are the errors of the state's task, those that were tried again among them.
	Failures []string `json:"failures,omitempty"`
}

// executions holds what is shown. The console's lock guards it.
type executions struct {
	byARN    map[string]*Execution
	order    []*Execution // as they started
	attempts int64        // that were ever made
	view     executionview.View
}

// take takes in an event.
func (all *executions) take(of stepfunctions.Execution, event asl.Event, speed float64) {
	e := all.byARN[of.ARN]
	if e == nil {
		if event.Type != asl.ExecutionStarted {
			return // it started before anybody watched, or is forgotten
		}
		e = all.add(of)
	}
	e.Status = of.Status
	switch event.Type {
	case asl.ExecutionSucceeded, asl.ExecutionFailed, asl.ExecutionTimedOut, asl.ExecutionAborted:
		e.Stopped = of.Stopped
		e.StatusCode, e.Failure = all.view.Result(of)
		e.AnswerObject = all.view.AnswerObject(of)
	}
	switch {
	case event.StateEntered != nil:
		e.Visits = append(e.Visits, newVisit(event, speed))
	case len(e.Visits) == 0:
	case event.StateExited != nil:
		e.Visits[len(e.Visits)-1].Exited = event.Timestamp
		all.attempts += e.takeAttempts(all.view.Attempts(of, event))
	case event.TaskFailed != nil:
		e.Visits[len(e.Visits)-1].fail(event.TaskFailed.Error)
	case event.TaskTimedOut != nil:
		e.Visits[len(e.Visits)-1].fail(event.TaskTimedOut.Error)
	}
}

// add makes room for an execution that has started.
func (all *executions) add(of stepfunctions.Execution) *Execution {
	e := &Execution{
		Name: of.Name, StateMachine: of.StateMachineARN[strings.LastIndex(of.StateMachineARN, ":")+1:], Started: of.Started,
		Attempts: []retry.Attempt{}, Visits: []Visit{}, arn: of.ARN,
	}
	e.Method, e.Path, _ = all.view.Request(of.Input)
	e.RequestObject = all.view.RequestObject(of.Input)
	if record := executionview.Envelope(of.Input).Record; record != nil {
		e.Record = record.ID
	}
	all.byARN[of.ARN] = e
	all.order = append(all.order, e)
	if len(all.order) > MaxExecutions {
		delete(all.byARN, all.order[0].arn)
		all.order = slices.Delete(all.order, 0, 1)
	}
	return e
}

// takeAttempts takes in the attempts that are known when a state is left, and returns how many are new. Of those that were
// known before, what was decided after them may be new: the loss of a proxy is judged by the next one.
func (e *Execution) takeAttempts(made []retry.Attempt) int64 {
	before := len(e.Attempts)
	for i, attempt := range made {
		if i == len(e.Attempts) {
			e.Attempts = append(e.Attempts, attempt)
			e.lastTask().took(i+1, &e.Attempts[i])
			continue
		}
		e.Attempts[i].Wait, e.Attempts[i].Why = attempt.Wait, attempt.Why
	}
	return int64(len(e.Attempts) - before)
}

// lastTask is the last visit to a state that calls something, or an empty one if there was none.
func (e *Execution) lastTask() *Visit {
	for i := len(e.Visits) - 1; i >= 0; i-- {
		if e.Visits[i].Type == "Task" {
			return &e.Visits[i]
		}
	}
	return &Visit{}
}

// took says that an attempt was made during the visit. If its proxy was lost, nobody told when, so it is said to have taken
// the whole visit.
func (v *Visit) took(number int, attempt *retry.Attempt) {
	v.Attempt = number
	if attempt.Start == 0 {
		attempt.Start, attempt.Duration = v.Entered.UnixMilli(), v.Exited.Sub(v.Entered).Milliseconds()
	}
}

func newVisit(event asl.Event, speed float64) Visit {
	visit := Visit{
		State: event.StateEntered.Name, Type: strings.TrimSuffix(string(event.Type), "StateEntered"), Entered: event.Timestamp,
	}
	if event.Type == asl.WaitStateEntered {
		visit.WaitSeconds = executionview.Envelope(event.StateEntered.Input).WaitSeconds
		visit.Until = event.Timestamp.Add(time.Duration(float64(visit.WaitSeconds) / speed * float64(time.Second)))
	}
	return visit
}

func (v *Visit) fail(name string) { v.Failures = append(v.Failures, name) }

// copied is an execution that later events do not change.
func (e *Execution) copied() Execution {
	c := *e
	c.Attempts = slices.Clone(e.Attempts)
	c.Visits = slices.Clone(e.Visits)
	for i := range c.Visits {
		c.Visits[i].Failures = slices.Clone(c.Visits[i].Failures)
	}
	return c
}

// newestFirst copies all executions, those that started last first.
func (all *executions) newestFirst() []Execution {
	list := make([]Execution, 0, len(all.order))
	for _, e := range slices.Backward(all.order) {
		list = append(list, e.copied())
	}
	return list
}

func (c *Console) getExecutions(rw http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	list := c.executions.newestFirst()
	c.mu.Unlock()
	writeJSON(rw, http.StatusOK, map[string]any{"executions": list})
}

// A HistoryEvent is an event in the history of an execution, without inputs, outputs and causes, which hold what was
// sent and answered. GetExecutionHistory at the AWS endpoint tells them.
type HistoryEvent struct {
	ID        int64         `json:"id"`
	Previous  int64         `json:"previousEventId"`
	Timestamp time.Time     `json:"timestamp"`
	Type      asl.EventType `json:"type"`
	State     string        `json:"state,omitempty"`
	Resource  string        `json:"resource,omitempty"`
	Error     string        `json:"error,omitempty"`
}

func newHistoryEvent(event asl.Event) HistoryEvent {
	h := HistoryEvent{ID: event.ID, Previous: event.PreviousEventID, Timestamp: event.Timestamp, Type: event.Type, State: event.State()}
	task := func(d asl.TaskDetails) { h.Resource = d.ResourceType + ":" + d.Resource }
	switch {
	case event.TaskScheduled != nil:
		task(event.TaskScheduled.TaskDetails)
	case event.TaskStarted != nil:
		task(*event.TaskStarted)
	case event.TaskSucceeded != nil:
		task(event.TaskSucceeded.TaskDetails)
	case event.TaskFailed != nil:
		task(event.TaskFailed.TaskDetails)
		h.Error = event.TaskFailed.Error
	case event.TaskTimedOut != nil:
		task(event.TaskTimedOut.TaskDetails)
		h.Error = event.TaskTimedOut.Error
	case event.ExecutionFailed != nil:
		h.Error = event.ExecutionFailed.Error
	case event.ExecutionTimedOut != nil:
		h.Error = event.ExecutionTimedOut.Error
	case event.ExecutionAborted != nil:
		h.Error = event.ExecutionAborted.Error
	}
	return h
}

// getExecution finds an execution by its name, the one that started last if several have it.
func (c *Console) getExecution(rw http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	var found *Execution
	for _, e := range slices.Backward(c.executions.order) {
		if e.Name == r.PathValue("name") {
			c := e.copied()
			found = &c
			break
		}
	}
	service := c.stepFunctions
	c.mu.Unlock()
	if found == nil {
		writeProblem(rw, http.StatusNotFound, "No execution of this name is shown; there may have been too many since.")
		return
	}
	var history []HistoryEvent
	events, _ := service.History(found.arn) // none if the service has no more room for them
	for _, event := range events {
		history = append(history, newHistoryEvent(event))
	}
	writeJSON(rw, http.StatusOK, struct {
		Execution
		History []HistoryEvent `json:"history,omitempty"`
	}{*found, history})
}
