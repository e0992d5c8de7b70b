package dynamodb

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// The error codes that this subset answers with, in the service's spelling. An SDK turns each of them into its own
// error type; Step Functions puts "DynamoDB." before it.
const (
	CodeConditionalCheckFailed = "ConditionalCheckFailedException"
	CodeInternalServerError    = "InternalServerError"
	CodeResourceInUse          = "ResourceInUseException"
	CodeResourceNotFound       = "ResourceNotFoundException"
	CodeSerialization          = "SerializationException"
	CodeUnknownOperation       = "UnknownOperationException"
	CodeValidation             = "ValidationException"
)

// An Error is a refusal as the service words it. Every error of a [Store]'s operations is one; use errors.As.
type Error struct {
	// Code is one of the Code constants.
	Code string

	// Message is meant for whoever wrote the request.
	Message string

	// Item is the stored item that failed the condition, as DynamoDB JSON. It is there only with
	// [CodeConditionalCheckFailed], and only if the request asked for it with ReturnValuesOnConditionCheckFailure.
	Item json.RawMessage
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// StatusCode is the status of the HTTP answer that carries the error.
func (e *Error) StatusCode() int {
	if e.Code == CodeInternalServerError {
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// MarshalJSON writes the body of the HTTP answer that carries the error. The code goes with the namespace that the
// service puts before it; SDKs cut it off again.
func (e *Error) MarshalJSON() ([]byte, error) {
	namespace := "com.amazonaws.dynamodb.v20120810#"
	switch e.Code {
	case CodeValidation:
		namespace = "com.amazon.coral.validate#"
	case CodeSerialization, CodeUnknownOperation:
		namespace = "com.amazon.coral.service#"
	}
	return json.Marshal(struct {
		Type    string          `json:"__type"`
		Message string          `json:"message"`
		Item    json.RawMessage `json:",omitempty"`
	}{namespace + e.Code, e.Message, e.Item})
}

func invalid(format string, arguments ...any) *Error {
	return &Error{Code: CodeValidation, Message: fmt.Sprintf(format, arguments...)}
}

// firstError is the first of the errors that is one.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
