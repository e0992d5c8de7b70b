package apiproxy

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctionstasks"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy/internal/nagrule"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// How long SQS can keep messages.
const (
	minLetterRetention = 1 * time.Minute

	// DefaultLetterRetention is how long dead letters are kept: for as long as SQS can.
	DefaultLetterRetention = 14 * 24 * time.Hour
)

// DeadLetters says where asynchronous requests go that failed: whose attempts or time ran out. Each is a message that refers to
// what is kept of the request in the table, with a summary of its attempts; docs/async.md shows one. Requests that were stopped
// are not among them, nor those that another request has superseded.
//
// A letter comes once or, seldom, more often. Whoever has looked into it has the request sent again, with the same key, by
// package redrive or `make redrive`.
type DeadLetters struct {
	// Queue takes the letters. It must be a standard queue, and may be that of several RetryingApiProxy. Default: one is
	// created, which is encrypted with EncryptionKey, or else with a key of SQS.
	Queue awssqs.IQueue

	// Retention is how long the queue keeps them, in whole seconds from a minute to 14 days. For as long as that after its
	// deadline, every asynchronous request is kept in the table, with its credentials. Say what it is for a Queue of your own
	// that keeps them for less; the one that is created gets it. Default: 14 days.
	Retention time.Duration
}

// isForDeadLetters acknowledges that the queue has no dead letter queue of its own.
var isForDeadLetters = []nagrule.Acknowledgement{
	{Rule: "AwsSolutions-SQS3", Reason: "It is itself for the dead letters of asynchronous requests."},
	{Rule: "Serverless-SQSRedrivePolicy", Reason: "It is itself for dead letters, which nothing reads but whoever looks into what failed."},
}

// newDeadLetterQueue creates the queue of dead letters.
func newDeadLetterQueue(r *RetryingApiProxy, props RetryingApiProxyProps) awssqs.IQueue {
	own := &awssqs.QueueProps{
		EnforceSSL:      jsii.Bool(true),
		RetentionPeriod: seconds(props.DeadLetters.Retention),
	}
	if props.EncryptionKey != nil {
		own.Encryption, own.EncryptionMasterKey = awssqs.QueueEncryption_KMS, props.EncryptionKey
	}
	queue := awssqs.NewQueue(r, jsii.String("FailedRequests"), own)
	nagrule.Acknowledge(queue, isForDeadLetters...)
	return queue
}

// undeliveredState is the state of an execution whose dead letter could not be sent. [RetryingApiProxy.MetricUndelivered] counts
// by its name.
const undeliveredState = "Undelivered"

// How a dead letter is sent again that was refused. A letter that comes twice does no harm, one that does not come does: so
// it is sent again after whatever error, for twelve minutes on average, and 24 at most.
const (
	letterTimeout       = 10 * time.Second
	letterRetries       = 12
	letterRetryMaxDelay = 5 * time.Minute
)

// newDeadLetterState creates the state that sends the letter of an execution which failed, and then goes on to next, also if
// that was in vain: the execution has failed in any case.
func newDeadLetterState(scope constructs.Construct, queue awssqs.IQueue, next awsstepfunctions.IChainable) awsstepfunctionstasks.SqsSendMessage {
	// The CDK would let it use the queue's key with wildcards in the actions, if it knew that there is one.
	named := awssqs.Queue_FromQueueAttributes(scope, jsii.String("DeadLetterQueue"), &awssqs.QueueAttributes{
		QueueArn: queue.QueueArn(), QueueUrl: queue.QueueUrl(),
	})
	send := awsstepfunctionstasks.NewSqsSendMessage(scope, jsii.String("DeadLetter"), &awsstepfunctionstasks.SqsSendMessageProps{
		Comment:     jsii.String("Somebody has to see to the request"),
		Queue:       named,
		MessageBody: awsstepfunctions.TaskInput_FromObject(parameters(message.DeadLetterBody())),
		ResultPath:  awsstepfunctions.JsonPath_DISCARD(),
		TaskTimeout: awsstepfunctions.Timeout_Duration(seconds(letterTimeout)),
	})
	retry := faultRetry([]string{"States.ALL"}, letterRetryMaxDelay)
	retry.MaxAttempts = jsii.Number(letterRetries)
	send.AddRetry(retry)
	undelivered := awsstepfunctions.NewPass(scope, jsii.String(undeliveredState), &awsstepfunctions.PassProps{
		Comment: jsii.String("SQS has not taken the dead letter"),
	})
	send.AddCatch(undelivered, &awsstepfunctions.CatchProps{Errors: jsii.Strings("States.ALL"), ResultPath: jsii.String(message.FaultPath)})
	undelivered.Next(awsstepfunctions.Chain_Start(next))
	send.Next(next)
	return send
}

// newSettledState creates the state for an execution of which a proxy has written how it ended, before it was lost with all that
// came after it. Nobody tells the state machine whether it has failed. A redrive finds it out.
func newSettledState(scope constructs.Construct, next awsstepfunctions.IChainable) awsstepfunctions.Pass {
	settled := awsstepfunctions.NewPass(scope, jsii.String("Untold"), &awsstepfunctions.PassProps{
		Comment:    jsii.String("A proxy has written how it ended, and was lost before it could say so here"),
		Parameters: parameters(map[string]any{"outcome": "failed", "summary": message.SummaryOfLosses()}),
	})
	settled.Next(next)
	return settled
}

// hasSummary says that the request is to have a dead letter.
func hasSummary() awsstepfunctions.Condition {
	return awsstepfunctions.Condition_IsPresent(jsii.String(message.SummaryPath))
}

// newDeadLetterOutput tells of the queue.
func newDeadLetterOutput(r *RetryingApiProxy) {
	awscdk.NewCfnOutput(r, jsii.String("DeadLetterQueueUrl"), &awscdk.CfnOutputProps{
		Value:       r.DeadLetterQueue.QueueUrl(),
		Description: jsii.String("The queue of the asynchronous requests that failed; make redrive sends them again"),
	})
	awscdk.NewCfnOutput(r, jsii.String("GatewayName"), &awscdk.CfnOutputProps{
		Value:       jsii.String(*r.Gateway.FunctionName() + ":" + liveAlias),
		Description: jsii.String("The function that sends them again"),
	})
}
