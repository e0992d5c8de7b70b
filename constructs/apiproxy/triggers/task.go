package triggers

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctionstasks"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// The names of the errors that a task ends with, for AddCatch and AddRetry.
const (
	// NoFinalAnswerError is that of a request without a final answer, if FailOn is not FailNever.
	NoFinalAnswerError = "NoFinalAnswerError"

	// StatusError is that of a final answer with a status from 400, if FailOn is FailOnError.
	StatusError = "StatusError"
)

// How a task is retried after faults of Lambda, with full jitter.
const (
	taskRetries       = 6
	taskRetryInterval = 2 * time.Second
	taskRetryRate     = 2
)

// neverRun is the error of an invocation for which Lambda had no room: nothing was done.
const neverRun = "Lambda.TooManyRequestsException"

// perhapsRun are errors of Lambda after which nobody knows whether the function ran
// (https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception).
var perhapsRun = []string{
	"Lambda.ClientExecutionTimeoutException", "Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException",
}

// TaskProps says which request a state of a state machine sends.
type TaskProps struct {
	// Proxy is what the request goes through. Required.
	Proxy *apiproxy.RetryingApiProxy

	// Request is what is sent. Its strings may hold parts of the state's input, as awsstepfunctions.JsonPath_StringAt gives them,
	// and its Body may be one of JsonPath_ObjectAt. Required.
	//
	// Without an IdempotencyKey, a request that is not safe is not repeated by Step Functions after a fault of Lambda, because
	// the upstream may have acted on it. A key must be new for each operation: an id from the input, not the name of the
	// execution, if the state can be entered twice.
	Request Request

	// Task are the settings of the state, such as ResultPath. LambdaFunction, Payload, and the others that say how the
	// function is invoked are not given. Default: none; the answer becomes the output of the state.
	Task *awsstepfunctionstasks.LambdaInvokeProps
}

// NewTask creates a state that sends a request through a RetryingApiProxy. Its result is the answer, with statusCode, headers,
// cookies, body and isBase64Encoded, so that a Choice can look at $.statusCode. Without a final answer it fails with
// [NoFinalAnswerError]; an answer that refuses the request, such as 404, is a result, unless FailOn says something else.
//
// The state machine is granted to invoke the gateway. It panics with one message that lists every problem of the props.
func NewTask(scope constructs.Construct, id *string, props *TaskProps) awsstepfunctionstasks.LambdaInvoke {
	if props == nil {
		props = &TaskProps{}
	}
	settings := awsstepfunctionstasks.LambdaInvokeProps{}
	if props.Task != nil {
		settings = *props.Task
	}
	wrong := props.Request.validate()
	if s := settings; s.LambdaFunction != nil || s.Payload != nil || s.PayloadResponseOnly != nil || s.RetryOnServiceExceptions != nil ||
		s.InvocationType != "" || s.IntegrationPattern != "" || s.ClientContext != nil {
		wrong.add("Task has one of LambdaFunction, Payload, PayloadResponseOnly, RetryOnServiceExceptions, InvocationType, " +
			"IntegrationPattern and ClientContext; leave them out, they follow from Proxy and Request")
	}
	wrong.check("Task", id, props.Proxy)

	event := props.Request.event("")
	settings.LambdaFunction = props.Proxy.Live
	settings.Payload = awsstepfunctions.TaskInput_FromObject(&event)
	settings.PayloadResponseOnly = jsii.Bool(true)
	settings.RetryOnServiceExceptions = jsii.Bool(false)
	task := awsstepfunctionstasks.NewLambdaInvoke(scope, id, &settings)
	faults := []string{neverRun}
	if props.Request.IdempotencyKey != "" || retry.Safe(props.Request.Method) {
		faults = append(faults, perhapsRun...)
	}
	task.AddRetry(&awsstepfunctions.RetryProps{
		Errors:         jsii.Strings(faults...),
		MaxAttempts:    jsii.Number(taskRetries),
		Interval:       awscdk.Duration_Seconds(jsii.Number(taskRetryInterval.Seconds())),
		BackoffRate:    jsii.Number(taskRetryRate),
		JitterStrategy: awsstepfunctions.JitterType_FULL,
	})
	return task
}
