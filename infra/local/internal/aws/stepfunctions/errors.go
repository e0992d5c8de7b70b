package stepfunctions

import "fmt"

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

// Unwrap returns what lies behind the error, such as a *asl.DefinitionError behind InvalidDefinition.
func (e *Error) Unwrap() error { return e.cause }

func apiError(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
