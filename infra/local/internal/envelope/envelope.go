// Package envelope reads what there is to tell of a request from the envelopes that travel between the states of its
// execution: what was asked, which attempts were made, and what came of it. Header fields, query and bodies stay where
// they are, since they may hold secrets.
package envelope

import (
	"cmp"
	"encoding/json"
	"strconv"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

// An Attempt is one try at the upstream and what came of it.
type Attempt struct {
	// Proxy is the name of the proxy that made the attempt.
	Proxy string `json:"proxy"`

	// Start is when it began, in milliseconds since the Unix epoch. Zero if that is not known, because the proxy was
	// lost.
	Start int64 `json:"start,omitempty"`

	// Duration is how long it took, in milliseconds.
	Duration int64 `json:"duration,omitempty"`

	// Status is the upstream's HTTP status, or zero if there was none.
	Status int `json:"status,omitempty"`

	// Error is the RFC 9209 type of the failure, and Details says more about it, if there was one.
	Error   string `json:"error,omitempty"`
	Details string `json:"details,omitempty"`

	// Wait is the delay that was decided on after the attempt, in milliseconds, and Why says by which rule.
	Wait int64  `json:"wait,omitempty"`
	Why  string `json:"why,omitempty"`
}

// An Envelope is what is read of one.
type Envelope struct {
	Outcome     string
	StatusCode  int
	WaitSeconds int64
	Attempts    []Attempt
	Call        *struct {
		Request struct{ Method, Path string }
	}
	Record *struct{ ID string }
	Answer *Envelope
	Fault  *struct{ Error string }
}

// Read reads an envelope from its JSON text. It is nil if the text is something else.
func Read(text string) *Envelope {
	var e *Envelope
	if json.Unmarshal([]byte(text), &e) != nil {
		return nil
	}
	return e
}

// Answered reads the envelope that a Task state which calls a proxy hands on: what the proxy answered or, if it was
// lost, what the state machine goes on with. It is nil for other output.
func Answered(output string) *Envelope {
	var o struct{ Answer *Envelope }
	if json.Unmarshal([]byte(output), &o) != nil {
		return nil
	}
	return o.Answer
}

// again is the outcome of an envelope that leads to another proxy. It holds, one in the other, what the state machine
// goes on with if that proxy is lost, and the one after it, down to an envelope that leads to none.
const again = "retry"

// Made lists the attempts that were made before an envelope was written. Behind them its last envelope lists those that
// are still ahead, as if their proxies were all lost: one for each envelope that leads to a proxy. How the proxy just
// before was lost, if it was, stands in its attempt's Details.
func (e *Envelope) Made() []Attempt {
	if e == nil {
		return nil
	}
	ahead, last := 0, e
	for last.Outcome == again && last.Answer != nil {
		ahead, last = ahead+1, last.Answer
	}
	made := last.Attempts[:max(0, len(last.Attempts)-ahead)]
	if e.Fault != nil && len(made) > 0 {
		made[len(made)-1].Details = e.Fault.Error // known only now
	}
	return made
}

// Request is the method and the path of the request that an envelope on its way to a proxy is about.
func (e *Envelope) Request() (method, path string, ok bool) {
	for ; e != nil; e = e.Answer {
		if e.Call != nil {
			return e.Call.Request.Method, e.Call.Request.Path, true
		}
	}
	return "", "", false
}

// Result is what came of an execution that has ended: the status of the answer that it ended with, if there was one,
// and why it did not succeed, if it did not.
func Result(execution stepfunctions.Execution) (statusCode int, failure string) {
	text := execution.Output
	if execution.Status != asl.Succeeded {
		text, failure = execution.Cause, cmp.Or(execution.Error, string(execution.Status))
	}
	if last := Read(text); last != nil {
		statusCode = last.StatusCode
	}
	return statusCode, failure
}

// Result is what came of an attempt, in few words: its status, the type of its failure, or both.
func (a Attempt) Result() string {
	switch {
	case a.Status == 0:
		return a.Error
	case a.Error == "":
		return strconv.Itoa(a.Status)
	}
	return strconv.Itoa(a.Status) + " " + a.Error
}
