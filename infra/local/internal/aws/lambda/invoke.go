package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Limits of payloads, in bytes.
const (
	// MaxRequestPayload is the largest payload of a synchronous invocation: 6 MB.
	MaxRequestPayload = 6 * 1024 * 1024

	// MaxEventPayload is the largest payload of an asynchronous invocation: 1 MB.
	MaxEventPayload = 1024 * 1024

	// MaxResponsePayload is the largest response: 6 MB and 100 bytes, as Lambda's own message about it says.
	MaxResponsePayload = MaxRequestPayload + 100
)

// Request is an invocation of a function.
type Request struct {
	// Function names the function: NAME, NAME:QUALIFIER, ACCOUNT:function:NAME or an ARN, the last two with or without
	// a qualifier. A qualifier is a version or an alias.
	Function string

	// Payload is JSON, at most MaxRequestPayload bytes. Empty means {}. It must not be changed afterwards.
	Payload []byte

	// ClientContext is JSON that the function finds in its context; optional.
	ClientContext []byte

	// TraceID is the caller's X-Amzn-Trace-Id; without a root in it a new trace begins.
	TraceID string

	// id is the request id, where one was given out before.
	id string
}

// Result is the outcome of an invocation that reached the function.
type Result struct {
	// Payload is the response of the function, or, with FunctionError, the error document {"errorType": …,
	// "errorMessage": …}.
	Payload []byte

	// FunctionError is empty, or Unhandled when the function failed, exited or timed out.
	FunctionError string

	// ErrorType is the error's type, such as Sandbox.Timedout; empty for a response.
	ErrorType string
	RequestID string

	// TraceID is the trace header that the function was given.
	TraceID string

	// ExecutedVersion is the version that ran.
	ExecutedVersion string

	// Cold says that a process was started for this invocation.
	Cold bool

	// InitDuration is the time from starting that process to its first request for work. It is 0 where none was
	// started, and where the initialisation failed and was repeated, which is part of Duration then.
	InitDuration time.Duration

	// Duration is the time from handing the invocation over to its end.
	Duration time.Duration

	// LogTail is the end of what was logged, at most MaxLogTail bytes.
	LogTail []byte
}

// invocation is a request on its way.
type invocation struct {
	id, arn, version string
	traceID          string
	payload          []byte
	clientContext    []byte

	// began is when the function's time started to run, deadline when it ends.
	began, deadline time.Time
	cold            bool

	// done is closed when the process, having answered, asks for more work.
	done chan struct{}

	// tail is guarded by the host's logMu.
	tail []byte

	// The sandbox's lock guards the answer.
	answered bool
	response []byte
	failure  *functionError
}

func (inv *invocation) sampled() bool { return strings.Contains(inv.traceID, "Sampled=1") }

// Invoke calls a function with a payload and waits for its end. See [Host.InvokeRequest].
func (h *Host) Invoke(ctx context.Context, name string, payload []byte) (Result, error) {
	return h.InvokeRequest(ctx, Request{Function: name, Payload: payload})
}

// InvokeRequest calls a function and waits for its end. The error is one of the package's, or that of ctx; a failure of
// the function itself is in the Result.
//
// When ctx ends, InvokeRequest returns at once and the function goes on, as functions of Lambda do when their caller
// leaves: to its end or its timeout, counted as running until then.
func (h *Host) InvokeRequest(ctx context.Context, request Request) (Result, error) {
	fn, inv, err := h.prepare(request, MaxRequestPayload)
	if err != nil {
		return Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	if err := fn.admit(); err != nil {
		return Result{}, err
	}
	type outcome struct {
		result Result
		err    error
	}
	ended := make(chan outcome, 1)
	go func() {
		var o outcome
		o.result, o.err = fn.run(inv)
		fn.measureEnd(o.result)
		fn.release()
		ended <- o
	}()
	select {
	case o := <-ended:
		return o.result, o.err
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

// invokeEvent accepts an asynchronous invocation. The function runs once, as soon as its concurrency allows; what
// becomes of it shows in the log alone.
func (h *Host) invokeEvent(request Request) (Result, error) {
	fn, inv, err := h.prepare(request, MaxEventPayload)
	if err != nil {
		return Result{}, err
	}
	go func() {
		if h.waitForRoom(fn) {
			result, _ := fn.run(inv)
			fn.measureEnd(result)
			fn.release()
		}
	}()
	return Result{RequestID: inv.id, TraceID: inv.traceID, ExecutedVersion: inv.version}, nil
}

// prepare checks a request.
func (h *Host) prepare(request Request, limit int) (*function, *invocation, error) {
	fn, qualifier, err := h.find(request.Function)
	if err != nil {
		return nil, nil, err
	}
	if len(request.Payload) > limit {
		return nil, nil, requestTooLarge(limit)
	}
	if len(request.Payload) == 0 {
		request.Payload = []byte("{}")
	}
	if !json.Valid(request.Payload) {
		var document any
		return nil, nil, invalidContent(json.Unmarshal(request.Payload, &document).Error())
	}
	inv := &invocation{
		id:            request.id,
		arn:           fn.ARN,
		traceID:       h.traceHeader(request.TraceID, fn.TracingActive),
		payload:       request.Payload,
		clientContext: request.ClientContext,
		done:          make(chan struct{}),
	}
	if inv.id == "" {
		inv.id = h.requestID()
	}
	inv.version, _ = fn.version(qualifier)
	if qualifier != "" {
		inv.arn += ":" + qualifier
	}
	return fn, inv, nil
}

// split separates a name into what names the function and its qualifier. What comes before the qualifier is
// arn:aws:lambda:REGION:ACCOUNT:function:NAME, ACCOUNT:function:NAME, function:NAME or NAME.
func split(name string) (function []string, qualifier string, err error) {
	parts := strings.Split(name, ":")
	length := 1
	switch {
	case parts[0] == "arn":
		length = 7
	case len(parts) >= 3 && parts[1] == "function":
		length = 3
	case len(parts) >= 2 && parts[0] == "function":
		length = 2
	}
	switch len(parts) {
	case length:
		return parts, "", nil
	case length + 1:
		return parts[:length], parts[length], nil
	}
	return nil, "", invalidParameter("%q is not the name or ARN of a function", name)
}

// qualify adds a qualifier to a name, which may have the same one already.
func qualify(name, qualifier string) (string, error) {
	_, given, err := split(name)
	switch {
	case err != nil || given == qualifier:
		return name, err
	case given != "":
		return "", invalidParameter("The qualifier %q differs from the one in %q", qualifier, name)
	}
	return name + ":" + qualifier, nil
}

// find returns the function of a name and the qualifier in it.
func (h *Host) find(name string) (*function, string, error) {
	parts, qualifier, err := split(name)
	if err != nil {
		return nil, "", err
	}
	short := parts[len(parts)-1]
	h.mu.Lock()
	fn, closed := h.functions[short], h.closed
	h.mu.Unlock()
	if closed {
		return nil, "", ErrClosed
	}
	// An ARN, whole or in part, has to be the end of the function's own.
	arn := strings.Join(parts, ":")
	if fn != nil && strings.HasSuffix(":"+fn.ARN, ":"+arn) {
		if _, ok := fn.version(qualifier); ok {
			return fn, qualifier, nil
		}
	}
	switch {
	case len(parts) == 7:
	case fn != nil && len(parts) < 3:
		arn = fn.ARN
	case len(parts) == 3:
		arn = "arn:aws:lambda:" + h.config.Region + ":" + arn
	default:
		arn = "arn:aws:lambda:" + h.config.Region + ":" + h.config.AccountID + ":function:" + short
	}
	if qualifier != "" {
		arn += ":" + qualifier
	}
	return nil, "", notFound(arn)
}

// admit counts an invocation in, or says why there is no room for it.
func (fn *function) admit() error {
	fn.host.mu.Lock()
	defer fn.host.mu.Unlock()
	return fn.admitLocked()
}

func (fn *function) admitLocked() error {
	h := fn.host
	switch {
	case h.closed:
		return ErrClosed
	case fn.ReservedConcurrency != nil && fn.active >= *fn.ReservedConcurrency:
		h.measure(fn.Name, "Throttles", unitCount, 1)
		return throttled(ReasonReservedConcurrency)
	case fn.ReservedConcurrency == nil && h.active >= h.config.Concurrency-h.reserved:
		h.measure(fn.Name, "Throttles", unitCount, 1)
		return throttled(ReasonConcurrency)
	}
	fn.count(1)
	fn.measureRoom()
	h.invocations.Add(1)
	return nil
}

// waitForRoom counts an invocation in as soon as there is room for it, and reports whether there was any before the
// host was closed.
func (h *Host) waitForRoom(fn *function) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		err := fn.admitLocked()
		if err == nil || errors.Is(err, ErrClosed) {
			return err == nil
		}
		h.room.Wait()
	}
}

// count adds to the invocations that run. The caller holds the host's lock.
func (fn *function) count(n int) {
	fn.active += n
	fn.host.running += n
	if fn.ReservedConcurrency == nil {
		fn.host.active += n
	}
}

func (fn *function) release() {
	h := fn.host
	h.mu.Lock()
	fn.count(-1)
	h.room.Broadcast()
	h.mu.Unlock()
	h.invocations.Done()
}
