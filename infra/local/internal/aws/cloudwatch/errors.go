package cloudwatch

import (
	"fmt"
	"net/http"
)

// The error codes that this subset answers with. Those that end in Exception are the names of types that SDKs turn them into.
const (
	CodeInternalFailure             = "InternalServiceFault"
	CodeInvalidParameterCombination = "InvalidParameterCombinationException"
	CodeInvalidParameterValue       = "InvalidParameterValueException"
	CodeMissingParameter            = "MissingRequiredParameterException"
	CodeSerialization               = "SerializationException"
	CodeUnknownOperation            = "UnknownOperationException"
	CodeUnsupported                 = "UnsupportedOperation"
	CodeValidation                  = "ValidationError"
)

// older are the codes of the query protocol, where they are others. SDKs report those.
var older = map[string]string{
	CodeInternalFailure:             "InternalServiceError",
	CodeInvalidParameterCombination: "InvalidParameterCombination",
	CodeInvalidParameterValue:       "InvalidParameterValue",
	CodeMissingParameter:            "MissingParameter",
}

// An Error is a refusal as the service words it. Every error of [Store.Call] is one; use errors.As.
type Error struct {
	// Code is one of the Code constants.
	Code string

	// Message is meant for whoever wrote the request.
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// QueryCode is the code that SDKs report: that of the query protocol.
func (e *Error) QueryCode() string {
	if code, other := older[e.Code]; other {
		return code
	}
	return e.Code
}

// StatusCode is the status of the HTTP answer that carries the error.
func (e *Error) StatusCode() int {
	switch e.Code {
	case CodeInternalFailure:
		return http.StatusInternalServerError
	case CodeUnknownOperation, CodeUnsupported:
		return http.StatusNotImplemented
	}
	return http.StatusBadRequest
}

// fault is the side that the error is of, as the query protocol has it.
func (e *Error) fault() string {
	if e.StatusCode() >= http.StatusInternalServerError {
		return "Receiver"
	}
	return "Sender"
}

func refusal(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
