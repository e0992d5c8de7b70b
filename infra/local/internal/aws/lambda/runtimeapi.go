package lambda

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/localonly"
)

// Headers of the Runtime API, version 2018-06-01.
const (
	headerRuntimeRequestID     = "Lambda-Runtime-Aws-Request-Id"
	headerRuntimeDeadline      = "Lambda-Runtime-Deadline-Ms"
	headerRuntimeFunctionARN   = "Lambda-Runtime-Invoked-Function-Arn"
	headerRuntimeTraceID       = "Lambda-Runtime-Trace-Id"
	headerRuntimeClientContext = "Lambda-Runtime-Client-Context"
	headerRuntimeErrorType     = "Lambda-Runtime-Function-Error-Type"
	trailerRuntimeErrorBody    = "Lambda-Runtime-Function-Error-Body"
)

// sentFrozen is how much of an event is sent to a process that is frozen, in bytes. The connection's buffers hold it.
const sentFrozen = 16 * 1024

// runtimeAPI returns the API that this sandbox's process, and no other, talks to: nor does a page in a browser, which
// could take an invocation from it.
func (s *sandbox) runtimeAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", s.serveNext)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", s.serveResponse)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", s.serveError)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", s.serveInitError)
	return localonly.Guard{
		What: "The Runtime APIs",
		Refuse: func(w http.ResponseWriter, status int, detail string) {
			runtimeAPIError(w, status, "AccessDenied", detail)
		},
	}.Handler(mux)
}

// serveNext ends the invocation that was answered and waits for another.
func (s *sandbox) serveNext(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	busy := s.current != nil && !s.current.answered
	s.mu.Unlock()
	if busy {
		runtimeAPIError(w, http.StatusForbidden, "InvalidStateTransition",
			"Transition from Running to Ready is not allowed: the invocation has not been answered")
		return
	}
	s.output.drain()
	initialised := false
	s.readyOnce.Do(func() {
		close(s.ready)
		initialised = true
	})
	// What has just been initialised has an invocation waiting for it.
	frozen := !initialised && !s.fn.host.config.KeepRunning
	if frozen {
		// Before the invoker hears of the answer: whatever it does next, the process is frozen by then.
		s.process.stop()
	}
	s.mu.Lock()
	if s.current != nil {
		close(s.current.done)
		s.current = nil
	}
	s.mu.Unlock()

	var inv *invocation
	select {
	case inv = <-s.invocations:
	case <-r.Context().Done(): // the process is gone, or will ask again
	}
	resume := sync.OnceFunc(func() {
		if frozen {
			s.process.resume()
		}
	})
	defer resume()
	if inv == nil {
		return
	}
	// What the process writes once it goes on, such as when a timer fires that was due, belongs to the invocation.
	s.mu.Lock()
	s.current = inv
	s.mu.Unlock()
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(inv.payload)))
	header.Set(headerRuntimeRequestID, inv.id)
	header.Set(headerRuntimeDeadline, strconv.FormatInt(inv.deadline.UnixMilli(), 10))
	header.Set(headerRuntimeFunctionARN, inv.arn)
	header.Set(headerRuntimeTraceID, inv.traceID)
	if len(inv.clientContext) > 0 {
		header.Set(headerRuntimeClientContext, string(inv.clientContext))
	}
	// A process that goes on finds the event there, beside whatever else came while it was frozen, such as the end of a
	// connection. Only so much of it is there as a process that does not read can be sent.
	begin := min(len(inv.payload), sentFrozen)
	w.Write(inv.payload[:begin]) // should it not arrive, the process is gone
	http.NewResponseController(w).Flush()
	resume()
	w.Write(inv.payload[begin:])
}

func (s *sandbox) serveResponse(w http.ResponseWriter, r *http.Request) {
	payload, err := readPayload(w, r)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		if s.answer(w, r.PathValue("id"), nil, newResponseTooLarge()) {
			runtimeAPIError(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge",
				"Exceeded maximum allowed payload size ("+strconv.Itoa(MaxResponsePayload)+" bytes).")
		}
		return
	case err != nil: // the connection broke: the process is gone
		return
	}
	var failure *functionError
	if errorType := r.Trailer.Get(headerRuntimeErrorType); errorType != "" {
		// The function failed while it produced the response.
		body, _ := base64.StdEncoding.DecodeString(r.Trailer.Get(trailerRuntimeErrorBody))
		failure = &functionError{errorType: errorType, payload: body}
	}
	if s.answer(w, r.PathValue("id"), payload, failure) {
		runtimeAPIAccepted(w)
	}
}

func (s *sandbox) serveError(w http.ResponseWriter, r *http.Request) {
	payload, err := readPayload(w, r)
	if err != nil {
		runtimeAPIError(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", err.Error())
		return
	}
	if s.answer(w, r.PathValue("id"), nil, reportedError(r, payload)) {
		runtimeAPIAccepted(w)
	}
}

func (s *sandbox) serveInitError(w http.ResponseWriter, r *http.Request) {
	payload, err := readPayload(w, r)
	if err != nil {
		runtimeAPIError(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", err.Error())
		return
	}
	select {
	case <-s.ready:
		runtimeAPIError(w, http.StatusForbidden, "InvalidStateTransition",
			"Transition from Ready to InitError is not allowed")
		return
	default:
	}
	s.mu.Lock()
	s.initError = reportedError(r, payload)
	s.mu.Unlock()
	runtimeAPIAccepted(w)
}

// answer records the outcome of the invocation and reports whether it was taken; if not, it has told the process why.
func (s *sandbox) answer(w http.ResponseWriter, id string, payload []byte, failure *functionError) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	inv := s.current
	switch {
	case inv == nil || inv.id != id:
		runtimeAPIError(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return false
	case inv.answered:
		runtimeAPIError(w, http.StatusForbidden, "InvalidStateTransition",
			"Transition from Answered to Answered is not allowed: the invocation has been answered")
		return false
	}
	inv.answered, inv.response, inv.failure = true, payload, failure
	return true
}

// reportedError returns the error that a process reports: its document as it is, and its type from the header or,
// without one, from the document.
func reportedError(r *http.Request, payload []byte) *functionError {
	errorType := r.Header.Get(headerRuntimeErrorType)
	if errorType == "" {
		var document struct {
			ErrorType string `json:"errorType"`
		}
		json.Unmarshal(payload, &document) // what is no JSON has no type
		errorType = document.ErrorType
	}
	if errorType == "" {
		errorType = "Runtime.Unknown"
	}
	if len(payload) == 0 {
		return newFunctionError(errorType, "Unknown application error occurred")
	}
	return &functionError{errorType: errorType, payload: payload}
}

func readPayload(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	return io.ReadAll(http.MaxBytesReader(w, r.Body, MaxResponsePayload))
}

func runtimeAPIAccepted(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	io.WriteString(w, `{"status":"OK"}`)
}

func runtimeAPIError(w http.ResponseWriter, status int, errorType, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"errorType": errorType, "errorMessage": message})
}
