// Package message holds the envelopes that travel between the gateway, the state machine and the proxies.
//
// There is one form, [Envelope]. On its way to a proxy it carries the request and what happened so far; on its way
// back it carries the answer. It never carries both, so that each may fill the 256 KiB that a state can hold.
package message

import (
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// An Envelope is what a proxy is handed and what it answers. The top of an answer is the HTTP response, in the words
// of API Gateway.
//
// A proxy that crashes answers nothing, and a state machine in JSONPath cannot count how often that happened. So the
// envelope that goes to a proxy holds in Answer what the state machine is to go on with if that proxy is lost: again
// an envelope with an outcome, and so on, down to one that says failed. All of it is judged by the policy, in Go, as
// every other answer is. The call itself sits in the innermost envelope that still leads to a proxy.
type Envelope struct {
	Response

	// Outcome says where the state machine goes with this envelope. It and WaitSeconds are all that the state machine
	// looks at.
	Outcome retry.Outcome `json:"outcome"`

	// Error names the reason of a failed outcome; it becomes the Error of the execution.
	Error retry.Reason `json:"error,omitempty"`

	// WaitSeconds is how long the Wait state waits before the next proxy is called, in whole seconds.
	WaitSeconds int `json:"waitSeconds"`

	// SleepMilliseconds is the rest of the wait, below a second, which the next proxy sleeps before it sends.
	SleepMilliseconds int `json:"sleepMilliseconds,omitempty"`

	// Attempts lists the attempts made so far. On the way to a proxy it counts a proxy that was lost as an attempt.
	Attempts []retry.Attempt `json:"attempts,omitempty"`

	// Call is what is asked of the proxy. Nil once there is an answer to hand back.
	Call *Call `json:"call,omitempty"`

	// Answer is what the state machine goes on with if the proxy that is handed this envelope is lost.
	Answer *Envelope `json:"answer,omitempty"`

	// Fault says how the proxy before this one was lost. The state machine puts it there.
	Fault *Fault `json:"fault,omitempty"`
}

// A Call is what is asked of a proxy: the request, and how long somebody waits for its answer.
type Call struct {
	Request Request `json:"request"`

	// Deadline is when the caller stops waiting, in milliseconds since the Unix epoch.
	Deadline int64 `json:"deadline"`

	// MaxAttempts is the caller's own limit on attempts. Zero means the policy's.
	MaxAttempts int `json:"maxAttempts,omitempty"`
}

// DeadlineTime is the call's deadline as a time.
func (c *Call) DeadlineTime() time.Time { return time.UnixMilli(c.Deadline) }

// A Request is the HTTP request that goes upstream, the same on every attempt.
type Request struct {
	Method string `json:"method"`

	// Path is the escaped path below the base URL, with its leading slash.
	Path string `json:"path"`

	// Query is the raw query, without the question mark.
	Query string `json:"query,omitempty"`

	// Headers holds the header fields by lower-case name. A function URL joins repeated fields with commas.
	Headers map[string]string `json:"headers,omitempty"`

	Body            string `json:"body,omitempty"`
	IsBase64Encoded bool   `json:"isBase64Encoded,omitempty"`
}

// A Response is an HTTP response in the words of API Gateway's payload format 2.0.
type Response struct {
	StatusCode int `json:"statusCode,omitempty"`

	// Headers holds the header fields by lower-case name; repeated fields are joined with commas, except Set-Cookie.
	Headers map[string]string `json:"headers,omitempty"`

	// Cookies holds the values of the Set-Cookie fields, which cannot be joined.
	Cookies []string `json:"cookies,omitempty"`

	Body            string `json:"body"`
	IsBase64Encoded bool   `json:"isBase64Encoded"`
}

// A Fault is the error output of a Task state whose proxy was lost.
type Fault struct {
	Error string `json:"Error"`
	Cause string `json:"Cause"`
}
