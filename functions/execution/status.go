package execution

import (
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

const (
	// Path begins the paths at which callers look at executions; the id follows.
	Path = "/-/executions/"

	// ResponsePath ends the path of the answer to one.
	ResponsePath = "/response"

	// Grace is how long after its deadline an execution is waited for to say how it ended. After that it has been ended from
	// outside.
	Grace = 1 * time.Minute
)

// StateAt is the state of an execution at a time, for whoever asks. One that the state machine has ended, or that somebody has
// ended there, has failed.
func (x *Execution) StateAt(now time.Time) State {
	if !x.Ended() && (x.Lost != nil || now.After(time.UnixMilli(x.Deadline).Add(Grace))) {
		return Failed
	}
	return x.State
}

// A Status is what callers are told of an execution.
type Status struct {
	Status State `json:"status"`

	// WaitingUntil is before when no further attempt is made, as RFC 3339 has it. Empty while nothing is waited for.
	WaitingUntil string          `json:"waitingUntil,omitempty"`
	Attempts     []retry.Attempt `json:"attempts"`

	// Created and Deadline are moments, too.
	Created  string `json:"created"`
	Deadline string `json:"deadline"`

	// Sent says whether the upstream may have got anything, if the execution was stopped. Nil otherwise.
	Sent *bool `json:"sent,omitempty"`

	// Links holds self and response: where this is told, and the answer.
	Links map[string]string `json:"links"`
}

// StatusAt is what callers are told of an execution at a time. origin begins the links; empty leaves them relative. Whoever must
// not see the attempts is told of none.
func (x *Execution) StatusAt(now time.Time, origin, id string, hideAttempts bool) Status {
	self := origin + Path + id
	told := Status{
		Status:   x.StateAt(now),
		Attempts: retry.Told(x.AllAttempts()),
		Created:  Moment(x.Created),
		Deadline: Moment(x.Deadline),
		Links:    map[string]string{"self": self, "response": self + ResponsePath},
	}
	if told.Status == Waiting {
		told.WaitingUntil = Moment(x.WaitingUntil)
	}
	if told.Attempts == nil || hideAttempts {
		told.Attempts = []retry.Attempt{}
	}
	if told.Status == Stopped {
		sent := x.Sent()
		told.Sent = &sent
	}
	return told
}

// Moment writes milliseconds since the Unix epoch as RFC 3339 has it.
func Moment(milliseconds int64) string {
	return time.UnixMilli(milliseconds).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}
