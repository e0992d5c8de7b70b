package asl

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// A Lambda invokes functions for the lambda:invoke integration. Invoke must return when ctx is done.
//
// An error of the service, such as throttling, is returned as a [*ServiceError]; an error of the function itself is no
// error here but an [Invocation] with a FunctionError. Any other error is reported as Lambda.SdkClientException.
type Lambda interface {
	Invoke(ctx context.Context, functionName string, payload []byte) (Invocation, error)
}

// An Invocation is what came of invoking a function.
type Invocation struct {
	// Payload is what the function answered, or, if it failed, the description of the error, in JSON.
	Payload []byte

	// FunctionError is empty, or Unhandled or Handled if the function failed.
	FunctionError string

	// ExecutedVersion is the version that ran. Empty means $LATEST.
	ExecutedVersion string

	// RequestID is the id of the invocation. If empty, one is made up.
	RequestID string
}

// A LambdaFunc is a function that serves as a [Lambda].
type LambdaFunc func(ctx context.Context, functionName string, payload []byte) (Invocation, error)

// Invoke calls f.
func (f LambdaFunc) Invoke(ctx context.Context, functionName string, payload []byte) (Invocation, error) {
	return f(ctx, functionName, payload)
}

type lambdaInvoke struct{}

// lambdaErrors are the errors of Invoke that Step Functions reports under their own names. Any other is an
// AWSLambdaException.
var lambdaErrors = map[string]bool{
	"EC2AccessDeniedException": true, "EC2ThrottledException": true, "EC2UnexpectedException": true, "EFSIOException": true,
	"EFSMountConnectivityException": true, "EFSMountFailureException": true, "EFSMountTimeoutException": true,
	"ENILimitReachedException": true, "InvalidParameterValueException": true, "InvalidRequestContentException": true,
	"InvalidRuntimeException": true, "InvalidSecurityGroupIDException": true, "InvalidSubnetIDException": true,
	"InvalidZipFileException": true, "KMSAccessDeniedException": true, "KMSDisabledException": true,
	"KMSInvalidStateException": true, "KMSNotFoundException": true, "NoPublishedVersionException": true,
	"RecursiveInvocationException": true, "RequestTooLargeException": true, "ResourceConflictException": true,
	"ResourceNotFoundException": true, "ResourceNotReadyException": true, "SerializedRequestEntityTooLargeException": true,
	"ServiceException": true, "SnapStartException": true, "SnapStartNotReadyException": true,
	"SnapStartTimeoutException": true, "SubnetIPAddressLimitReachedException": true, "TooManyRequestsException": true,
	"UnsupportedMediaTypeException": true,
}

func (lambdaInvoke) errorNames() serviceErrors {
	return serviceErrors{prefix: "Lambda", service: "AWSLambda", known: lambdaErrors, other: "AWSLambdaException"}
}

func (lambdaInvoke) check(f *fields, parameters map[string]any) {
	checkNames(f, parameters, []string{"FunctionName"}, "Payload")
	if name, fixed := parameters["FunctionName"]; fixed {
		if text, ok := name.(string); !ok || text == "" {
			f.problem("Parameters.FunctionName", "must be the name or ARN of a function, not %s", encode(name))
		}
	}
}

func (lambdaInvoke) call(ctx context.Context, e *execution, parameters map[string]any) (any, error) {
	name, ok := parameters["FunctionName"].(string)
	if !ok {
		return nil, invalidParameters(parameters, "The value for the field 'FunctionName' must be a STRING")
	}
	payload := lambdaPayload(parameters["Payload"])
	answer, err := e.options.Lambda.Invoke(ctx, name, []byte(payload))
	if err != nil {
		return nil, err
	}
	value, err := decode(answer.Payload)
	if answer.FunctionError != "" {
		return nil, functionFailure(value, answer.Payload)
	}
	if err != nil {
		value = string(answer.Payload) // a payload that is not JSON is handed on as text
	}
	if answer.ExecutedVersion == "" {
		answer.ExecutedVersion = "$LATEST"
	}
	if answer.RequestID == "" {
		answer.RequestID = UUID(e.options.Random)
	}
	result := map[string]any{
		"ExecutedVersion": answer.ExecutedVersion,
		"Payload":         value,
		"StatusCode":      integer(http.StatusOK),
	}
	addMetadata(result, e.clock.Now(), answer.RequestID, "application/json", len(answer.Payload), map[string]string{
		"X-Amz-Executed-Version":         answer.ExecutedVersion,
		"X-Amzn-Trace-Id":                e.traceID(),
		"x-amzn-Remapped-Content-Length": "0",
	})
	return result, nil
}

// lambdaPayload is what a function is sent for a Payload: its JSON, except that a string which holds JSON is sent as it
// is, and that there is always something to send.
func lambdaPayload(v any) string {
	switch v := v.(type) {
	case nil:
		return "{}"
	case string:
		if _, err := decode([]byte(v)); err == nil {
			return v
		}
	}
	return encode(v)
}

// functionFailure is the error of a function that failed: named by the errorType in its payload, with the payload as
// cause.
func functionFailure(value any, payload []byte) *Failure {
	object, _ := value.(map[string]any)
	if name, ok := object["errorType"].(string); ok && name != "" {
		return &Failure{Name: name, Cause: encode(value)}
	}
	return failure("Lambda.Unknown", "The cause could not be determined because Lambda did not return an error type. "+
		"Returned payload: %s", payload)
}

// traceID is the X-Ray header of an invocation that is not sampled.
func (e *execution) traceID() string {
	id := strings.ReplaceAll(UUID(e.options.Random), "-", "")
	return fmt.Sprintf("root=1-%08x-%s;parent=%s;sampled=0", e.clock.Now().Unix(), id[:24], id[16:])
}
