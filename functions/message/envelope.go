// Package message holds the envelopes that travel between the gateway, the state machine and the proxies.
//
// There is one form, [Envelope]. On its way to a proxy it carries the request; on its way back it carries the answer.
// It never carries both, so that each may fill the 256 KiB that a state can hold.
package message

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

const (
	// MaxStateBytes is the most that an envelope may take as JSON. Step Functions holds 256 KiB per state; the rest is
	// left to what the service wraps around a function's answer.
	MaxStateBytes = 256<<10 - 4<<10

	// MaxCauseBytes is the most that the envelope of a failed outcome may take as JSON. It travels in the Cause of the
	// execution, which the StartSyncExecution API limits to 32,768 characters.
	MaxCauseBytes = 32_000
)

// MaxRecordBytes is the most that an answer which goes into an idempotency record may take as JSON in a JSON string,
// which is how the state machine hands it to DynamoDB. The rest of a state's 256 KiB is left to the other parameters.
const MaxRecordBytes = 256<<10 - 8<<10

// RecordBytes is how long an envelope's JSON is inside a JSON string.
func RecordBytes(text []byte) int {
	n := len(text)
	for _, b := range text {
		if b == '"' || b == '\\' {
			n++
		}
	}
	return n
}

// attemptBytes is the most that an attempt takes as JSON: its texts are of limited length.
const attemptBytes = 700

// MaxCallBytes is the most that the envelope of a call may take as JSON when it starts out, so that it still fits into a
// state when all attempts that the policy allows are listed in it.
func MaxCallBytes(p retry.Policy) int {
	attempts := p.RateLimits.Attempts + p.ServerErrors.Attempts + p.NetworkFailures.Attempts
	return MaxStateBytes - attempts*attemptBytes
}

// An Envelope is what a proxy is handed and what it answers. The top of an answer is the HTTP response, in the words
// of API Gateway.
//
// A proxy that crashes answers nothing, and a state machine in JSONPath cannot count how often that happened. So the
// envelope that goes to a proxy holds, in Answer, what the state machine is to go on with if that proxy is lost: again
// an envelope with an outcome, down to one that says failed. All of it is judged by the policy, as every other answer
// is. What they share is there once: the call sits in the innermost envelope that still leads to a proxy, see
// [Envelope.TheCall], and the one that says failed lists the attempts, see [Envelope.History].
type Envelope struct {
	Response

	// Outcome says where the state machine goes with this envelope. It and WaitSeconds are all that the state machine
	// looks at.
	Outcome retry.Outcome `json:"outcome"`

	// Error names the reason of a failed outcome; it becomes the Error of the execution.
	Error retry.Reason `json:"error,omitempty"`

	// NotBefore is when the upstream wants to be asked again, in milliseconds since the Unix epoch, if it said so with
	// the answer that this envelope hands back.
	NotBefore int64 `json:"notBefore,omitempty"`

	// WaitSeconds is how long the Wait state waits before the next proxy is called, in whole seconds.
	WaitSeconds int64 `json:"waitSeconds"`

	// SleepMilliseconds is the rest of the wait, below a second, which the next proxy sleeps before it sends.
	SleepMilliseconds int64 `json:"sleepMilliseconds,omitempty"`

	// Record is the idempotency record of the request, if there is one. It stands in the envelope that an execution
	// starts with, where the state machine finds it at the end.
	Record *Record `json:"record,omitempty"`

	// Expiration is until when the answer is replayed, in seconds since the Unix epoch, if it is recorded.
	Expiration int64 `json:"expiration,omitempty"`

	// Attempts lists every attempt, if the outcome is not retry. Of those of proxies that are assumed to be lost, it
	// tells what will be decided after them.
	Attempts []retry.Attempt `json:"attempts,omitempty"`

	// Call is what is asked of the proxy. Nil once there is an answer to hand back.
	Call *Call `json:"call,omitempty"`

	// Answer is what the state machine goes on with if the proxy that is handed this envelope is lost.
	Answer *Envelope `json:"answer,omitempty"`

	// Fault says how the proxy before this one was lost. The state machine puts it there.
	Fault *Fault `json:"fault,omitempty"`
}

// AnswerTooLarge is the Error of an envelope whose upstream answered, but with more than can be carried. The outcome is
// what it would have been with the answer.
const AnswerTooLarge retry.Reason = "AnswerTooLarge"

// Failure writes the envelope of a failed outcome without an answer of the upstream.
func Failure(reason retry.Reason, attempts []retry.Attempt) *Envelope {
	e := &Envelope{Outcome: retry.Failed, Error: reason, Attempts: attempts}
	e.ShortenAttempts()
	return e
}

// ShortenAttempts takes the texts for people out of the attempts, if these alone would not fit into a Cause. That takes
// more than fifty attempts.
func (e *Envelope) ShortenAttempts() {
	if len(e.Attempts)*attemptBytes <= MaxCauseBytes {
		return
	}
	e.Attempts = slices.Clone(e.Attempts)
	for i := range e.Attempts {
		e.Attempts[i].Why, e.Attempts[i].Details = "", ""
	}
}

// TheCall finds the call in an envelope on its way to a proxy. It is nil if the envelope holds none.
func (e *Envelope) TheCall() *Call {
	for ; e != nil; e = e.Answer {
		if e.Call != nil {
			return e.Call
		}
	}
	return nil
}

// History lists the attempts that were made before an envelope reached a proxy, those of lost proxies among them. It is
// nil if the envelope does not lead to a proxy.
func (e *Envelope) History() []retry.Attempt {
	var end *Envelope
	ahead := 0
	for end = e; end != nil && end.Outcome == retry.Again; end = end.Answer {
		ahead++
	}
	if end == nil || ahead == 0 || len(end.Attempts) < ahead {
		return nil
	}
	history := slices.Clone(end.Attempts[:len(end.Attempts)-ahead])
	if e.Fault != nil && len(history) > 0 {
		history[len(history)-1].Details = e.Fault.Error
	}
	return history
}

// A Call is what is asked of a proxy: the request, and how long somebody waits for its answer.
type Call struct {
	Request Request `json:"request"`

	// To is the proxy that the call was written for. If it is lost, the next ones get the same call.
	To string `json:"to"`

	// Deadline is when the caller stops waiting, in milliseconds since the Unix epoch.
	Deadline int64 `json:"deadline"`

	// MaxAttempts is the caller's own limit on attempts. Zero means the policy's alone.
	MaxAttempts int `json:"maxAttempts,omitempty"`

	// Recorded says that the answer goes into an idempotency record.
	Recorded bool `json:"recorded,omitempty"`
}

// DeadlineTime is the call's deadline as a time.
func (c *Call) DeadlineTime() time.Time { return time.UnixMilli(c.Deadline) }

// ForPolicy tells a policy what it has to know of the call.
func (c *Call) ForPolicy(ring Ring) retry.Request {
	_, keyed := c.Request.Headers["idempotency-key"]
	return retry.Request{
		Method:         c.Request.Method,
		IdempotencyKey: keyed,
		Proxies:        int(ring),
		Deadline:       c.DeadlineTime(),
		MaxAttempts:    c.MaxAttempts,
	}
}

// A Record names the idempotency record that an execution completes or releases, as its owner.
type Record struct {
	ID    string `json:"id"`
	Owner string `json:"owner"`
}

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

// BodyBytes decodes the body.
func (r *Request) BodyBytes() ([]byte, error) { return decodeBody(r.Body, r.IsBase64Encoded) }

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

// SetBody stores a body, as text where it is text and in base64 where it is not.
func (r *Response) SetBody(body []byte) { r.Body, r.IsBase64Encoded = encodeBody(body) }

// BodyBytes decodes the body.
func (r *Response) BodyBytes() ([]byte, error) { return decodeBody(r.Body, r.IsBase64Encoded) }

// A Fault is the error output of a Task state whose proxy was lost.
type Fault struct {
	Error string `json:"Error"`
	Cause string `json:"Cause"`
}

func encodeBody(body []byte) (text string, isBase64 bool) {
	if isText(body) {
		return string(body), false
	}
	return base64.StdEncoding.EncodeToString(body), true
}

func decodeBody(text string, isBase64 bool) ([]byte, error) {
	if !isBase64 {
		return []byte(text), nil
	}
	body, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("message: body is marked as base64 but is not: %w", err)
	}
	return body, nil
}

// isText says whether bytes survive as a JSON string without growing much: valid UTF-8 whose only control characters
// are tab, newline and carriage return. Everything else is smaller in base64.
func isText(body []byte) bool {
	for _, b := range body {
		if b < ' ' && b != '\t' && b != '\n' && b != '\r' {
			return false
		}
	}
	return utf8.Valid(body)
}

// Marshal writes an envelope as JSON, as the functions hand it to the state machine: without escapes for HTML, which
// would only make it longer.
func Marshal(e *Envelope) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
