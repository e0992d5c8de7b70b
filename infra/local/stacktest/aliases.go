package stacktest

import "github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"

// A Status is how an execution ended.
type Status = asl.Status

// The statuses of executions that have ended.
const (
	Succeeded = asl.Succeeded
	Failed    = asl.Failed
	TimedOut  = asl.TimedOut
	Aborted   = asl.Aborted
)

// A ServiceError is a refusal of the Lambda service, for a [Task] to return: Code is the service's name of the error, such
// as TooManyRequestsException, and StatusCode the HTTP status.
type ServiceError = asl.ServiceError
