package message

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// Version is the newest version of envelopes that this code reads. Envelopes without a version are older than all others;
// they are the records that programs other than this one write.
const Version = 2

// The versions of the envelopes that this code writes: those that refer to what is kept elsewhere are newer, since code that
// does not know of that would take them for empty. All others stay readable for a deployment that is rolled back.
const (
	selfContained = 1
	byReference   = 2
)

// A RequestBodyError is the error of a proxy that could not read the body of a request from where it is kept, so that it sent
// nothing. Its name is the proof of that, see [NeverRan].
type RequestBodyError struct {
	// Err says why. Its text tells of keys of objects, and nothing of what is in them.
	Err error
}

// RequestBodyUnread is the error of a Task whose proxy failed with a [RequestBodyError].
const RequestBodyUnread = "RequestBodyError"

// Error says why the body could not be read.
func (e *RequestBodyError) Error() string {
	return "message: the body of the request could not be read, and nothing was sent: " + e.Err.Error()
}

func (e *RequestBodyError) Unwrap() error { return e.Err }

// A VersionError is the error of reading an envelope that is newer than the code that reads it. That happens while a
// deployment is under way, or after one was rolled back.
type VersionError struct {
	// Version is the version that the envelope has.
	Version int
}

// Error says which versions can be read.
func (e *VersionError) Error() string {
	return fmt.Sprintf("message: the envelope has version %d; this code reads version %d and older ones", e.Version, Version)
}

// An Envelope is what a proxy is handed and what it answers. The top of an answer is the HTTP response, in the words
// of API Gateway.
//
// The state machine looks at three things in it: the outcome, the seconds to wait, and how many proxies were lost.
type Envelope struct {
	Response

	// Version is the version of the envelope, see [Version].
	Version int `json:"version"`

	// RequestID is the id of the request that an answer is to. On the way to a proxy it is in the call.
	RequestID string `json:"requestId,omitempty"`

	// Start is the number of the proxy that makes the first attempt, from 1. It stands in the envelope that an execution
	// starts with; without it the first proxy is meant.
	Start int `json:"start,omitempty"`

	// Outcome says where the state machine goes with this envelope.
	Outcome retry.Outcome `json:"outcome"`

	// Error names the reason of a failed outcome.
	Error retry.Reason `json:"error,omitempty"`

	// NotBefore is when it makes sense to ask the upstream again, in milliseconds since the Unix epoch, with a failed
	// outcome: when it said so itself, or after a backoff. Zero if nothing is known to change.
	NotBefore int64 `json:"notBefore,omitempty"`

	// WaitSeconds is how long the Wait state waits before the next proxy is called, in whole seconds.
	WaitSeconds int64 `json:"waitSeconds"`

	// SleepMilliseconds is the rest of the wait, below a second, which the next proxy sleeps before it sends.
	SleepMilliseconds int64 `json:"sleepMilliseconds,omitempty"`

	// Record is the idempotency record of the request, if there is one. It stands in the envelope that an execution
	// starts with, where the state machine finds it at the end.
	Record *Record `json:"record,omitempty"`

	// Item is the id of the item with what is known of an asynchronous request. It stands in the envelope that an execution
	// starts with, where the state machine finds it if no proxy is left to write there.
	Item string `json:"item,omitempty"`

	// Protocol is the version of HTTP that the upstream answered in, as Via has it, if that is not 1.1.
	Protocol string `json:"protocol,omitempty"`

	// Expiration is until when the answer is replayed, in seconds since the Unix epoch, if it is recorded.
	Expiration int64 `json:"expiration,omitempty"`

	// Release says that the answer, although final, does not settle the operation: it is not recorded, and the key is
	// free.
	Release bool `json:"release,omitempty"`

	// Attempts lists the attempts that were made, oldest first. Those of proxies that were lost since the last one are
	// in Losses.
	Attempts []retry.Attempt `json:"attempts,omitzero"`

	// Stored names what is kept elsewhere of the answer, see package execution: all of the envelope but what the state
	// machine needs. Empty if the envelope has it itself.
	Stored string `json:"stored,omitempty"`

	// Summary says in short why an asynchronous request failed, for its dead letter, if it is to have one.
	Summary *Summary `json:"summary,omitempty"`

	// Callback says who is to be told of an asynchronous request. It stands in the envelope that an execution starts with, where
	// the state machine finds it at the end.
	Callback *Callback `json:"callback,omitempty"`

	// BodyObject names the object that the body of the answer is kept in, see package largebody. Body is empty then.
	BodyObject string `json:"bodyObject,omitempty"`

	// Bodiless says that the answer was larger than the function URL can carry, so that the gateway puts a problem in the place of
	// the body. Only where bodies can be kept in a bucket; without one, an answer that is too large for a state is dealt with by
	// the proxy, see [AnswerTooLarge].
	Bodiless bool `json:"bodiless,omitempty"`

	// Gate is what comes back of the request's visit at the gate. Nil where there is none, or nothing was seen of it.
	Gate *GateReport `json:"gate,omitempty"`

	// Call is what is asked of the proxy. Nil once there is an answer to hand back.
	Call *Call `json:"call,omitempty"`

	// Losses lists the proxies that were lost on the way. Nil once there is an answer to hand back.
	Losses *Losses `json:"losses,omitempty"`
}

// A Record names the idempotency record that an execution completes or releases, as its owner.
type Record struct {
	ID    string `json:"id"`
	Owner string `json:"owner"`
}

// The JSONPaths by which the state machine reads envelopes: the one that a state is given, and, for the record, the one
// that the execution started with.
const (
	OutcomePath       = "$.outcome"
	StartPath         = "$.start"
	WaitSecondsPath   = "$.waitSeconds"
	ExpirationPath    = "$.expiration"
	ReleasePath       = "$.release"
	LossesCountPath   = "$.losses.count"
	LossesAllowedPath = "$.losses.allowed"
	ItemPath          = "$$.Execution.Input.item"
	RecordIDPath      = "$$.Execution.Input.record.id"
	RecordOwnerPath   = "$$.Execution.Input.record.owner"
)

// WithoutCookies is the JSON text that takes the cookies out of an envelope that it is merged into.
const WithoutCookies = `{"cookies":[]}`

// AnswerNotKept is the Error of an envelope whose upstream answered, but with more than a state can hold, and nothing could be
// written to the bucket. The outcome is what it would have been with the answer.
const AnswerNotKept retry.Reason = "AnswerNotKept"

// AnswerTooLarge is the Error of an envelope whose upstream answered, but with more than can be carried. The outcome is
// what it would have been with the answer.
const AnswerTooLarge retry.Reason = "AnswerTooLarge"

// CredentialsUnavailable is the Error of an envelope without an answer, because the credential for the upstream could not be
// had. Nothing was sent in its last attempt.
const CredentialsUnavailable retry.Reason = "CredentialsUnavailable"

// Stopped is the Error of an envelope without an answer, because whoever started the execution has stopped it.
const Stopped retry.Reason = "Stopped"

// Superseded is the Error of an envelope without an answer, because another request has the idempotency key by now. Nothing
// was sent.
const Superseded retry.Reason = "Superseded"

// judges is how many more proxies of an asynchronous request may be lost than the policy allows attempts after losses.
const judges = 3

// ToProxy writes the envelope that leads to the next proxy, after a delay. history lists the attempts made before.
func ToProxy(call *Call, policy retry.Policy, history []retry.Attempt, delay time.Duration) *Envelope {
	e := &Envelope{
		Version:  selfContained,
		Outcome:  retry.Again,
		Call:     call,
		Attempts: append([]retry.Attempt{}, history...), // never null: the Lost states copy it
		Losses:   &Losses{Allowed: lossesAllowed(policy.For(call.Request.Method, call.Request.Path), call.MaxAttempts, history)},
	}
	if call.Request.BodyObject != "" {
		e.Version = byReference
	}
	if call.Execution != "" {
		// Of a proxy that was lost, the next one knows how far it came. It judges, and only if nobody is left to do that does the
		// state machine give up.
		e.Losses.Allowed += judges
	}
	e.WaitSeconds, e.SleepMilliseconds = SplitDelay(delay)
	return e
}

// Answer writes the envelope that hands back an answer of the upstream to the request with an id.
func Answer(requestID string, outcome retry.Outcome, reason retry.Reason, response Response, attempts []retry.Attempt) *Envelope {
	return &Envelope{Version: selfContained, RequestID: requestID, Outcome: outcome, Error: reason, Response: response, Attempts: attempts}
}

// Failure writes the envelope of a failed outcome without an answer of the upstream.
func Failure(requestID string, reason retry.Reason, attempts []retry.Attempt) *Envelope {
	return Answer(requestID, retry.Failed, reason, Response{}, attempts)
}

// ByReference writes the envelope that leads to the next proxy as the state machine of an asynchronous request carries it:
// with the name of the execution in the place of the request and of the attempts.
func (e *Envelope) ByReference() *Envelope {
	without := *e
	without.Version = byReference
	without.Response = Response{}
	call := *e.Call
	call.Request, call.Made = Request{}, len(e.Attempts)
	without.Call = &call
	without.Attempts = []retry.Attempt{}
	return &without
}

// WithBodyIn writes the envelope of an answer with the name of an object in the place of the body.
func (e *Envelope) WithBodyIn(object string) *Envelope {
	without := *e
	without.Version, without.BodyObject = byReference, object
	without.Body, without.IsBase64Encoded = "", false
	return &without
}

// WithoutBody writes the envelope of an answer that is larger than the function URL can carry.
func (e *Envelope) WithoutBody() *Envelope {
	without := *e
	without.Version, without.Bodiless = byReference, true
	without.Response = e.Response.WithoutBody()
	return &without
}

// StoredAs writes the envelope that an execution ends with, and that its record holds, where the whole of it is kept under a
// name.
func (e *Envelope) StoredAs(name string) *Envelope {
	return &Envelope{
		Version: byReference, Outcome: e.Outcome, Error: e.Error, Expiration: e.Expiration, Release: e.Release, Stored: name, Summary: summarise(e),
	}
}

// Moments visits each moment in an envelope that a proxy reads: the deadline of the call, and until when the upstream
// wanted to be left alone after each attempt, in the attempts and at the gate, in milliseconds since the Unix epoch. Whoever lets the waits of an
// execution pass faster than they are long has to move them. The moments that the gateway reads, at the end, are not
// among them: no wait lies between.
func (e *Envelope) Moments(visit func(milliseconds *int64)) {
	if e.Call != nil {
		visit(&e.Call.Deadline)
		if pass := e.Call.Gate; pass != nil && pass.State.NotBefore != 0 {
			visit(&pass.State.NotBefore)
		}
	}
	for i := range e.Attempts {
		if e.Attempts[i].NotBefore != 0 {
			visit(&e.Attempts[i].NotBefore)
		}
	}
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

// Unmarshal reads an envelope from its JSON text. The error is a [*VersionError] if the envelope is newer than this code.
func Unmarshal(text []byte) (*Envelope, error) {
	e := new(Envelope)
	if err := json.Unmarshal(text, e); err != nil {
		return nil, fmt.Errorf("message: the text is not an envelope: %w", err)
	}
	return e, nil
}

// UnmarshalJSON reads an envelope. The error is a [*VersionError] if the envelope is newer than this code.
func (e *Envelope) UnmarshalJSON(text []byte) error {
	type fields Envelope // without this method
	var read fields
	err := json.Unmarshal(text, &read)
	if read.Version > Version {
		return &VersionError{Version: read.Version} // whatever else is new in it
	}
	if err != nil {
		return err
	}
	*e = Envelope(read)
	return nil
}

// SplitDelay splits a delay into the whole seconds that a Wait state can wait and the milliseconds that remain. The
// remainder is rounded up, so that the sum is never below the delay.
func SplitDelay(delay time.Duration) (seconds, milliseconds int64) {
	if delay <= 0 {
		return 0, 0
	}
	total := int64((delay + time.Millisecond - 1) / time.Millisecond)
	return total / 1000, total % 1000
}
