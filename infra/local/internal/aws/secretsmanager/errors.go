package secretsmanager

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// The error codes that this subset answers with, in the service's spelling. An SDK turns most of them into an error type
// of its own.
const (
	CodeInternalServiceError = "InternalServiceError"
	CodeInvalidNextToken     = "InvalidNextTokenException"
	CodeInvalidParameter     = "InvalidParameterException"
	CodeInvalidRequest       = "InvalidRequestException"
	CodeResourceExists       = "ResourceExistsException"
	CodeResourceNotFound     = "ResourceNotFoundException"
	CodeSerialization        = "SerializationException"
	CodeUnknownOperation     = "UnknownOperationException"
	CodeValidation           = "ValidationException"
)

// An Error is a refusal as the service words it. Every error of a [Store]'s operations is one; use errors.As.
type Error struct {
	// Code is one of the Code constants.
	Code string

	// Message is meant for whoever wrote the request.
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// StatusCode is the status of the HTTP answer that carries the error.
func (e *Error) StatusCode() int {
	if e.Code == CodeInternalServiceError {
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// MarshalJSON writes the body of the HTTP answer that carries the error. The errors that the API describes have a Message;
// those of the framework beneath it have a message.
func (e *Error) MarshalJSON() ([]byte, error) {
	body := map[string]string{"__type": e.Code}
	switch e.Code {
	case CodeSerialization, CodeUnknownOperation, CodeValidation:
		body["message"] = e.Message
	default:
		body["Message"] = e.Message
	}
	return json.Marshal(body)
}

func refusal(code, format string, arguments ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, arguments...)}
}

func invalid(format string, arguments ...any) *Error {
	return refusal(CodeValidation, format, arguments...)
}

var errNoSuchSecret = &Error{Code: CodeResourceNotFound, Message: "Secrets Manager can't find the specified secret."}

// firstError is the first of the errors that is one.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
