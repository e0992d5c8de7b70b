package faults

import (
	"encoding/json"
	"hash/crc32"
	"maps"
	"net/http"
	"strconv"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

// A Service is one of AWS, with the error by which it refuses calls that are too many.
type Service struct {
	name          string
	status        int
	code, message string
	namespace     string            // before the code, in the body of the error
	body          map[string]string // members of that body beside the message
	contentType   string
	checksum      bool // SDKs verify that of DynamoDB's answers
}

// The services that calls go to.
var (
	// Lambda throttles by the rate of calls to its API, which is a limit beside that of concurrent invocations.
	Lambda = Service{
		name: "Lambda", status: http.StatusTooManyRequests, code: "TooManyRequestsException", message: "Rate exceeded",
		body:        map[string]string{"Type": "User", "Reason": "CallerRateLimitExceeded"},
		contentType: "application/json",
	}

	StepFunctions = Service{
		name: "Step Functions", status: http.StatusBadRequest, code: "ThrottlingException", message: "Rate exceeded",
		contentType: "application/x-amz-json-1.0",
	}

	DynamoDB = Service{
		name: "DynamoDB", status: http.StatusBadRequest, code: "ThrottlingException",
		message:     "Rate of requests exceeds the allowed throughput.",
		namespace:   "com.amazon.coral.availability#",
		contentType: "application/x-amz-json-1.0",
		checksum:    true,
	}

	SQS = Service{
		name: "SQS", status: http.StatusForbidden, code: "RequestThrottled", message: "Rate exceeded",
		namespace:   "com.amazonaws.sqs#",
		contentType: "application/x-amz-json-1.0",
	}

	SecretsManager = Service{
		name: "Secrets Manager", status: http.StatusBadRequest, code: "ThrottlingException", message: "Rate exceeded",
		contentType: "application/x-amz-json-1.1",
	}
)

// refusedTask is the error of a call of a state machine's that is throttled.
func (s Service) refusedTask() error {
	return &asl.ServiceError{Code: s.code, Message: s.message, StatusCode: s.status}
}

// throttle writes the error in the form of the service's API.
func (s Service) throttle(w http.ResponseWriter) {
	document := map[string]string{"message": s.message}
	if s.body == nil {
		document["__type"] = s.namespace + s.code
	}
	maps.Copy(document, s.body)
	text, err := json.Marshal(document)
	if err != nil {
		panic(err) // strings can be written as JSON
	}
	header := w.Header()
	header.Set("Content-Type", s.contentType)
	header.Set("Content-Length", strconv.Itoa(len(text)))
	header.Set("X-Amzn-ErrorType", s.code)
	if s.checksum {
		header.Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(text)), 10))
	}
	w.WriteHeader(s.status)
	_, _ = w.Write(text) // a caller that is gone needs no answer
}
