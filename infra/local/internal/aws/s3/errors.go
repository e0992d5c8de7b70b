package s3

import (
	"encoding/xml"
	"fmt"
	"net/http"
)

// The error codes that this subset answers with, in the service's spelling. An SDK turns some of them into an error type
// of its own.
const (
	CodeAccessDenied         = "AccessDenied"
	CodeACLNotSupported      = "AccessControlListNotSupported"
	CodeBadDigest            = "BadDigest"
	CodeContentSHA256        = "XAmzContentSHA256Mismatch"
	CodeEntityTooLarge       = "EntityTooLarge"
	CodeIncompleteBody       = "IncompleteBody"
	CodeInternalError        = "InternalError"
	CodeInvalidArgument      = "InvalidArgument"
	CodeInvalidBucketName    = "InvalidBucketName"
	CodeInvalidDigest        = "InvalidDigest"
	CodeInvalidRange         = "InvalidRange"
	CodeInvalidRequest       = "InvalidRequest"
	CodeInvalidURI           = "InvalidURI"
	CodeKeyTooLong           = "KeyTooLongError"
	CodeMalformedTrailer     = "MalformedTrailerError"
	CodeMetadataTooLarge     = "MetadataTooLarge"
	CodeMethodNotAllowed     = "MethodNotAllowed"
	CodeMissingContentLength = "MissingContentLength"
	CodeNoSuchBucket         = "NoSuchBucket"
	CodeNoSuchKey            = "NoSuchKey"
	CodeNotImplemented       = "NotImplemented"
	CodeNotModified          = "NotModified"
	CodePreconditionFailed   = "PreconditionFailed"
)

// statuses are those of the answers that carry errors, where they are not 400.
var statuses = map[string]int{
	CodeAccessDenied:         http.StatusForbidden,
	CodeInternalError:        http.StatusInternalServerError,
	CodeInvalidRange:         http.StatusRequestedRangeNotSatisfiable,
	CodeMethodNotAllowed:     http.StatusMethodNotAllowed,
	CodeMissingContentLength: http.StatusLengthRequired,
	CodeNoSuchBucket:         http.StatusNotFound,
	CodeNoSuchKey:            http.StatusNotFound,
	CodeNotImplemented:       http.StatusNotImplemented,
	CodeNotModified:          http.StatusNotModified,
	CodePreconditionFailed:   http.StatusPreconditionFailed,
}

// An Error is a refusal as the service words it.
type Error struct {
	// Code is one of the Code constants.
	Code string

	// Message is meant for whoever wrote the request.
	Message string

	// Details are more elements of the answer, such as the Key that is not there, by pairs of name and text.
	Details []string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// StatusCode is the status of the HTTP answer that carries the error.
func (e *Error) StatusCode() int {
	if status, other := statuses[e.Code]; other {
		return status
	}
	return http.StatusBadRequest
}

// MarshalXML writes the body of the HTTP answer that carries the error.
func (e *Error) MarshalXML(encoder *xml.Encoder, _ xml.StartElement) error {
	root := xml.StartElement{Name: xml.Name{Local: "Error"}}
	if err := encoder.EncodeToken(root); err != nil {
		return err
	}
	elements := append([]string{"Code", e.Code, "Message", e.Message}, e.Details...)
	for i := 0; i < len(elements); i += 2 {
		if err := encoder.EncodeElement(elements[i+1], xml.StartElement{Name: xml.Name{Local: elements[i]}}); err != nil {
			return err
		}
	}
	return encoder.EncodeToken(root.End())
}

// with adds an element to the error.
func (e *Error) with(name, text string) *Error {
	e.Details = append(e.Details, name, text)
	return e
}

func refusal(code, format string, arguments ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, arguments...)}
}

// unsupported refuses what S3 has and this package has not.
func unsupported(format string, arguments ...any) *Error {
	return refusal(CodeNotImplemented, "The local S3 does not support "+format, arguments...)
}

func noSuchKey(key string) *Error {
	return refusal(CodeNoSuchKey, "The specified key does not exist.").with("Key", key)
}

func preconditionFailed(condition string) *Error {
	return refusal(CodePreconditionFailed, "At least one of the pre-conditions you specified did not hold").with("Condition", condition)
}
