package stepfunctions

import (
	"fmt"
	"net/http"
)

// Codes of errors, as the service's API names them.
const (
	ExecutionAlreadyExists       = "ExecutionAlreadyExists"
	ExecutionDoesNotExist        = "ExecutionDoesNotExist"
	InternalFailure              = "InternalFailure"
	InvalidArn                   = "InvalidArn"
	InvalidDefinition            = "InvalidDefinition"
	InvalidExecutionInput        = "InvalidExecutionInput"
	InvalidName                  = "InvalidName"
	InvalidToken                 = "InvalidToken"
	StateMachineAlreadyExists    = "StateMachineAlreadyExists"
	StateMachineDoesNotExist     = "StateMachineDoesNotExist"
	StateMachineTypeNotSupported = "StateMachineTypeNotSupported"
	ValidationException          = "ValidationException"
	ServiceUnavailable           = "ServiceUnavailable" // after Close
)

// An Error is what an operation of the service answers instead of a result.
type Error struct {
	Code    string
	Message string
	cause   error
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// statusCode is the status of the answer with the error.
func (e *Error) statusCode() int {
	switch e.Code {
	case InternalFailure:
		return http.StatusInternalServerError
	case ServiceUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

// Unwrap returns what lies behind the error, such as a *asl.DefinitionError behind InvalidDefinition.
func (e *Error) Unwrap() error { return e.cause }

func apiError(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
