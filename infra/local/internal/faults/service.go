package faults

import (
	"encoding/json"
	"hash/crc32"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/s3"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/sqs"
)

// A Service is one of AWS, with the errors by which it refuses calls that are too many, and by which it fails.
type Service struct {
	name        string
	throttled   refusal
	failed      refusal
	contentType string // of errors in JSON
	checksum    bool   // SDKs verify that of DynamoDB's answers
	xml         bool   // errors are in XML, as S3 has them
}

// A refusal is an error as a service words it.
type refusal struct {
	status        int
	code, message string
	namespace     string            // before the code, in the body of the error
	body          map[string]string // members of that body beside the message, in the place of the code
}

// The services that calls go to.
var (
	// Lambda throttles by the rate of calls to its API, which is a limit beside that of concurrent invocations.
	Lambda = Service{
		name: "Lambda",
		throttled: refusal{
			status: http.StatusTooManyRequests, code: "TooManyRequestsException", message: "Rate exceeded",
			body: map[string]string{"Type": "User", "Reason": "CallerRateLimitExceeded"},
		},
		failed: refusal{
			status: http.StatusInternalServerError, code: "ServiceException",
			message: "An error occurred and the request cannot be processed.",
			body:    map[string]string{"Type": "Service"},
		},
		contentType: "application/json",
	}

	StepFunctions = Service{
		name:        "Step Functions",
		throttled:   refusal{status: http.StatusBadRequest, code: "ThrottlingException", message: "Rate exceeded"},
		failed:      refusal{status: http.StatusInternalServerError, code: "InternalFailure", message: "Internal error"},
		contentType: "application/x-amz-json-1.0",
	}

	DynamoDB = Service{
		name: "DynamoDB",
		throttled: refusal{
			status: http.StatusBadRequest, code: "ThrottlingException", message: "Rate of requests exceeds the allowed throughput.",
			namespace: "com.amazon.coral.availability#",
		},
		failed: refusal{
			status: http.StatusInternalServerError, code: "InternalServerError",
			message:   "The request processing has failed because of an unknown error, exception or failure.",
			namespace: "com.amazonaws.dynamodb.v20120810#",
		},
		contentType: "application/x-amz-json-1.0",
		checksum:    true,
	}

	SQS = Service{
		name: "SQS",
		throttled: refusal{
			status: http.StatusForbidden, code: "RequestThrottled", message: "Rate exceeded", namespace: "com.amazonaws.sqs#",
		},
		failed: refusal{
			status: http.StatusInternalServerError, code: sqs.CodeInternalFailure,
			message:   "The request processing has failed because of an unknown error, exception or failure.",
			namespace: "com.amazon.coral.service#",
		},
		contentType: "application/x-amz-json-1.0",
	}

	SecretsManager = Service{
		name:      "Secrets Manager",
		throttled: refusal{status: http.StatusBadRequest, code: "ThrottlingException", message: "Rate exceeded"},
		failed: refusal{
			status: http.StatusInternalServerError, code: "InternalServiceError", message: "An error occurred on the server side.",
		},
		contentType: "application/x-amz-json-1.1",
	}

	S3 = Service{
		name:      "S3",
		throttled: refusal{status: http.StatusServiceUnavailable, code: "SlowDown", message: "Please reduce your request rate."},
		failed: refusal{
			status: http.StatusInternalServerError, code: "InternalError", message: "We encountered an internal error. Please try again.",
		},
		xml: true,
	}
)

// key is the name of the service as [Parse] reads it.
func (s Service) key() string { return strings.ToLower(strings.ReplaceAll(s.name, " ", "")) }

// keys are those of all services.
func keys() []string {
	var all []string
	for _, s := range []Service{Lambda, StepFunctions, DynamoDB, SecretsManager, S3, SQS} {
		all = append(all, s.key())
	}
	return all
}

// refuse writes an error in the form of the service's API.
func (s Service) refuse(w http.ResponseWriter, r *http.Request, by refusal) {
	if s.xml {
		s3.WriteError(w, r.Method, by.status, by.code, by.message)
		return
	}
	document := map[string]string{"message": by.message}
	if by.body == nil {
		document["__type"] = by.namespace + by.code
	}
	maps.Copy(document, by.body)
	text, err := json.Marshal(document)
	if err != nil {
		panic(err) // strings can be written as JSON
	}
	header := w.Header()
	header.Set("Content-Type", s.contentType)
	header.Set("Content-Length", strconv.Itoa(len(text)))
	header.Set("X-Amzn-ErrorType", by.code)
	if s.checksum {
		header.Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(text)), 10))
	}
	w.WriteHeader(by.status)
	_, _ = w.Write(text) // a caller that is gone needs no answer
}
