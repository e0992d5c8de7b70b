package cloudwatchlogs

import (
	"fmt"
	"net/http"
)

// The error codes that this subset answers with: the names of the types that SDKs turn them into.
const (
	CodeInvalidParameter = "InvalidParameterException"
	CodeNotFound         = "ResourceNotFoundException"
	CodeSerialization    = "SerializationException"
	CodeUnknownOperation = "UnknownOperationException"
)

// An Error is a refusal as the service words it. Every error of a [Store]'s operations is one.
type Error struct {
	// Code is one of the Code constants.
	Code string `json:"__type"`

	// Message is meant for whoever wrote the request.
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// StatusCode is the status of the HTTP answer that carries the error: 400.
func (e *Error) StatusCode() int { return http.StatusBadRequest }

func refusal(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
