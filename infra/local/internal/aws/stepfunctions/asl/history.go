package asl

import "time"

// MaxEvents is how many events a history can hold. An execution that reaches it fails. AWS sets this for Standard
// workflows; here it bounds every execution.
const MaxEvents = 25000

// An EventType is the type of an event in the history of an execution, under the service's name.
type EventType string

// The types of events that the interpreter records. Each kind of state has an Entered and an Exited of its own, except
// Fail, which is never exited.
const (
	ExecutionStarted   EventType = "ExecutionStarted"
	ExecutionSucceeded EventType = "ExecutionSucceeded"
	ExecutionFailed    EventType = "ExecutionFailed"
	ExecutionTimedOut  EventType = "ExecutionTimedOut"
	ExecutionAborted   EventType = "ExecutionAborted"

	TaskScheduled       EventType = "TaskScheduled"
	TaskStarted         EventType = "TaskStarted"
	TaskSucceeded       EventType = "TaskSucceeded"
	TaskFailedEvent     EventType = "TaskFailed"
	TaskTimedOut        EventType = "TaskTimedOut"
	TaskStateEntered    EventType = "TaskStateEntered"
	TaskStateExited     EventType = "TaskStateExited"
	ChoiceStateEntered  EventType = "ChoiceStateEntered"
	ChoiceStateExited   EventType = "ChoiceStateExited"
	WaitStateEntered    EventType = "WaitStateEntered"
	WaitStateExited     EventType = "WaitStateExited"
	PassStateEntered    EventType = "PassStateEntered"
	PassStateExited     EventType = "PassStateExited"
	SucceedStateEntered EventType = "SucceedStateEntered"
	SucceedStateExited  EventType = "SucceedStateExited"
	FailStateEntered    EventType = "FailStateEntered"
)

// An Event is one entry of a history. Exactly one of its details is set, the one that belongs to its type. Written as
// JSON it has the fields of the service's HistoryEvent, except that the time is a text.
type Event struct {
	ID              int64     `json:"id"`
	PreviousEventID int64     `json:"previousEventId"`
	Timestamp       time.Time `json:"timestamp"`
	Type            EventType `json:"type"`

	ExecutionStarted   *ExecutionStartedDetails   `json:"executionStartedEventDetails,omitempty"`
	ExecutionSucceeded *ExecutionSucceededDetails `json:"executionSucceededEventDetails,omitempty"`
	ExecutionFailed    *FailureDetails            `json:"executionFailedEventDetails,omitempty"`
	ExecutionTimedOut  *FailureDetails            `json:"executionTimedOutEventDetails,omitempty"`
	ExecutionAborted   *FailureDetails            `json:"executionAbortedEventDetails,omitempty"`
	StateEntered       *StateEnteredDetails       `json:"stateEnteredEventDetails,omitempty"`
	StateExited        *StateExitedDetails        `json:"stateExitedEventDetails,omitempty"`
	TaskScheduled      *TaskScheduledDetails      `json:"taskScheduledEventDetails,omitempty"`
	TaskStarted        *TaskDetails               `json:"taskStartedEventDetails,omitempty"`
	TaskSucceeded      *TaskSucceededDetails      `json:"taskSucceededEventDetails,omitempty"`
	TaskFailed         *TaskFailureDetails        `json:"taskFailedEventDetails,omitempty"`
	TaskTimedOut       *TaskFailureDetails        `json:"taskTimedOutEventDetails,omitempty"`
}

// DataDetails says whether an input or output is cut off. It never is.
type DataDetails struct {
	Truncated bool `json:"truncated"`
}

// ExecutionStartedDetails belongs to ExecutionStarted.
type ExecutionStartedDetails struct {
	Input        string      `json:"input"`
	InputDetails DataDetails `json:"inputDetails"`
	RoleARN      string      `json:"roleArn,omitempty"`

	// StateMachineVersionARN is the version that the execution was started by. Empty if it was started by none.
	StateMachineVersionARN string `json:"stateMachineVersionArn,omitempty"`
}

// ExecutionSucceededDetails belongs to ExecutionSucceeded.
type ExecutionSucceededDetails struct {
	Output        string      `json:"output"`
	OutputDetails DataDetails `json:"outputDetails"`
}

// FailureDetails belongs to ExecutionFailed, ExecutionTimedOut and ExecutionAborted.
type FailureDetails struct {
	Error string `json:"error,omitempty"`
	Cause string `json:"cause,omitempty"`
}

// StateEnteredDetails belongs to the events in which a state is entered.
type StateEnteredDetails struct {
	Name         string      `json:"name"`
	Input        string      `json:"input"`
	InputDetails DataDetails `json:"inputDetails"`
}

// StateExitedDetails belongs to the events in which a state is left.
type StateExitedDetails struct {
	Name          string      `json:"name"`
	Output        string      `json:"output"`
	OutputDetails DataDetails `json:"outputDetails"`
}

// TaskDetails names what a task calls, such as lambda and invoke.
type TaskDetails struct {
	ResourceType string `json:"resourceType"`
	Resource     string `json:"resource"`
}

// TaskScheduledDetails belongs to TaskScheduled.
type TaskScheduledDetails struct {
	TaskDetails
	Region           string `json:"region"`
	Parameters       string `json:"parameters"`
	TimeoutInSeconds int64  `json:"timeoutInSeconds,omitempty"`
}

// TaskSucceededDetails belongs to TaskSucceeded.
type TaskSucceededDetails struct {
	TaskDetails
	Output        string      `json:"output"`
	OutputDetails DataDetails `json:"outputDetails"`
}

// TaskFailureDetails belongs to TaskFailed and TaskTimedOut.
type TaskFailureDetails struct {
	TaskDetails
	FailureDetails
}

func (k Kind) entered() EventType { return EventType(string(k) + "StateEntered") }
func (k Kind) exited() EventType  { return EventType(string(k) + "StateExited") }

// State is the name of the state that the event is the entry or the exit of, or empty.
func (e Event) State() string {
	switch {
	case e.StateEntered != nil:
		return e.StateEntered.Name
	case e.StateExited != nil:
		return e.StateExited.Name
	}
	return ""
}
