package lambda

import (
	"encoding/json"
	"fmt"
	"time"
)

// Unhandled is the FunctionError of a [Result] whose payload is an error document.
const Unhandled = "Unhandled"

// functionError is a failure of a function as its invoker sees it: an error document with its type.
type functionError struct {
	errorType string
	payload   []byte
}

func newFunctionError(errorType, format string, args ...any) *functionError {
	payload, _ := json.Marshal(struct { // two strings: it cannot fail
		ErrorType    string `json:"errorType"`
		ErrorMessage string `json:"errorMessage"`
	}{errorType, fmt.Sprintf(format, args...)})
	return &functionError{errorType: errorType, payload: payload}
}

func newExitError(requestID, exit string) *functionError {
	return newFunctionError("Runtime.ExitError", "RequestId: %s Error: %s", requestID, exit)
}

func newTimeout(now time.Time, requestID string, timeout time.Duration) *functionError {
	return newFunctionError("Sandbox.Timedout", "%s", timeoutMessage(now, requestID, timeout))
}

func timeoutMessage(now time.Time, requestID string, timeout time.Duration) string {
	return fmt.Sprintf("%s %s Task timed out after %.2f seconds",
		now.UTC().Format("2006-01-02T15:04:05.000Z"), requestID, timeout.Seconds())
}

func newResponseTooLarge() *functionError {
	return newFunctionError("Function.ResponseSizeTooLarge",
		"Response payload size exceeded maximum allowed payload size (%d bytes).", MaxResponsePayload)
}
