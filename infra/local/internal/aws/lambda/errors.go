package lambda

import (
	"errors"
	"fmt"
	"net/http"
)

// The reasons for which an invocation is refused before the function sees it. They are found with errors.Is; errors.As
// to [*Error] gives Lambda's own code, status and message. A failure inside the function is not an error: it is a
// [Result] whose FunctionError is set.
var (
	// ErrResourceNotFound: there is no function, version or alias of that name.
	ErrResourceNotFound = errors.New("resource not found")

	// ErrTooManyRequests: the reserved concurrency of the function, or the concurrency of the whole host, is used up.
	ErrTooManyRequests = errors.New("too many requests")

	// ErrRequestTooLarge: the payload is larger than Lambda takes.
	ErrRequestTooLarge = errors.New("request too large")

	// ErrInvalidRequestContent: the payload is not JSON.
	ErrInvalidRequestContent = errors.New("invalid request content")

	// ErrInvalidParameterValue: a name or a qualifier is malformed.
	ErrInvalidParameterValue = errors.New("invalid parameter value")

	// ErrClosed: the host was closed before the invocation ended.
	ErrClosed = errors.New("lambda: the host is closed")
)

// Throttling reasons, as the Reason member of a TooManyRequestsException.
const (
	ReasonReservedConcurrency = "ReservedFunctionConcurrentInvocationLimitExceeded"
	ReasonConcurrency         = "ConcurrentInvocationLimitExceeded"
)

// Error is an error of the Lambda Invoke API.
type Error struct {
	// Code is the exception's name, such as "TooManyRequestsException".
	Code string

	// StatusCode is the HTTP status that carries it.
	StatusCode int

	// Message is Lambda's text.
	Message string

	// Reason says which limit throttled; empty for other errors.
	Reason string

	kind error
}

// Error returns code and message.
func (e *Error) Error() string { return fmt.Sprintf("lambda: %s: %s", e.Code, e.Message) }

// ErrorCode returns Code. A Task state of Step Functions names the error "Lambda." followed by this code.
func (e *Error) ErrorCode() string { return e.Code }

// Unwrap returns one of the package's sentinel errors.
func (e *Error) Unwrap() error { return e.kind }

func notFound(arn string) error {
	return &Error{
		Code: "ResourceNotFoundException", StatusCode: http.StatusNotFound,
		Message: "Function not found: " + arn, kind: ErrResourceNotFound,
	}
}

func throttled(reason string) error {
	return &Error{
		Code: "TooManyRequestsException", StatusCode: http.StatusTooManyRequests,
		Message: "Rate Exceeded.", Reason: reason, kind: ErrTooManyRequests,
	}
}

func requestTooLarge(limit int) error {
	return &Error{
		Code: "RequestTooLargeException", StatusCode: http.StatusRequestEntityTooLarge,
		Message: fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation", limit),
		kind:    ErrRequestTooLarge,
	}
}

func invalidContent(detail string) error {
	return &Error{
		Code: "InvalidRequestContentException", StatusCode: http.StatusBadRequest,
		Message: "Could not parse request body into json: " + detail, kind: ErrInvalidRequestContent,
	}
}

func invalidParameter(format string, args ...any) error {
	return &Error{
		Code: "InvalidParameterValueException", StatusCode: http.StatusBadRequest,
		Message: fmt.Sprintf(format, args...), kind: ErrInvalidParameterValue,
	}
}
