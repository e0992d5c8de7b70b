package sqs

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// The error codes that this subset answers with. Those that the API describes are the names of the types that SDKs turn them
// into.
const (
	CodeBatchEntryIDsNotDistinct     = "BatchEntryIdsNotDistinct"
	CodeBatchRequestTooLong          = "BatchRequestTooLong"
	CodeEmptyBatchRequest            = "EmptyBatchRequest"
	CodeInternalFailure              = "InternalFailure"
	CodeInvalidAddress               = "InvalidAddress"
	CodeInvalidAttributeName         = "InvalidAttributeName"
	CodeInvalidBatchEntryID          = "InvalidBatchEntryId"
	CodeInvalidMessageContents       = "InvalidMessageContents"
	CodeInvalidParameterValue        = "InvalidParameterValueException"
	CodeMissingParameter             = "MissingRequiredParameterException"
	CodePurgeQueueInProgress         = "PurgeQueueInProgress"
	CodeQueueDoesNotExist            = "QueueDoesNotExist"
	CodeReceiptHandleIsInvalid       = "ReceiptHandleIsInvalid"
	CodeResourceNotFound             = "ResourceNotFoundException"
	CodeSerialization                = "SerializationException"
	CodeTooManyEntriesInBatchRequest = "TooManyEntriesInBatchRequest"
	CodeUnknownOperation             = "UnknownOperationException"
	CodeUnsupportedOperation         = "UnsupportedOperation"
)

// older are the codes of the query protocol, where they are others. SDKs report those, and entries of batches have them.
var older = map[string]string{
	CodeBatchEntryIDsNotDistinct:     "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
	CodeBatchRequestTooLong:          "AWS.SimpleQueueService.BatchRequestTooLong",
	CodeEmptyBatchRequest:            "AWS.SimpleQueueService.EmptyBatchRequest",
	CodeInvalidBatchEntryID:          "AWS.SimpleQueueService.InvalidBatchEntryId",
	CodeInvalidParameterValue:        "InvalidParameterValue",
	CodeMissingParameter:             "MissingParameter",
	CodePurgeQueueInProgress:         "AWS.SimpleQueueService.PurgeQueueInProgress",
	CodeQueueDoesNotExist:            "AWS.SimpleQueueService.NonExistentQueue",
	CodeTooManyEntriesInBatchRequest: "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
	CodeUnsupportedOperation:         "AWS.SimpleQueueService.UnsupportedOperation",
}

// An Error is a refusal as the service words it. Every error of a [Store]'s operations is one, but for that of a context;
// use errors.As.
type Error struct {
	// Code is one of the Code constants.
	Code string

	// Message is meant for whoever wrote the request.
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// StatusCode is the status of the HTTP answer that carries the error.
func (e *Error) StatusCode() int {
	switch e.Code {
	case CodeInternalFailure:
		return http.StatusInternalServerError
	case CodePurgeQueueInProgress:
		return http.StatusForbidden
	case CodeReceiptHandleIsInvalid, CodeResourceNotFound:
		return http.StatusNotFound
	}
	return http.StatusBadRequest
}

// QueryCode is the code that the query protocol, which came before the JSON protocol, has for the error.
func (e *Error) QueryCode() string {
	if code, differs := older[e.Code]; differs {
		return code
	}
	return e.Code
}

// fault says whose the error is.
func (e *Error) fault() string {
	if e.Code == CodeInternalFailure {
		return "Receiver"
	}
	return "Sender"
}

// MarshalJSON writes the body of the HTTP answer that carries the error.
func (e *Error) MarshalJSON() ([]byte, error) {
	namespace := "com.amazonaws.sqs#"
	switch e.Code {
	case CodeInternalFailure, CodeInvalidParameterValue, CodeMissingParameter, CodeSerialization, CodeUnknownOperation:
		namespace = "com.amazon.coral.service#"
	}
	return json.Marshal(map[string]string{"__type": namespace + e.Code, "message": e.Message})
}

func refusal(code, format string, arguments ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, arguments...)}
}

// invalid refuses the value of a parameter.
func invalid(parameter string, value any, reason string) *Error {
	return refusal(CodeInvalidParameterValue, "Value %v for parameter %s is invalid. Reason: %s", value, parameter, reason)
}

func missing(parameter string) *Error {
	return refusal(CodeMissingParameter, "The request must contain the parameter %s.", parameter)
}
