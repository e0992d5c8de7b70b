package triggers

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambdadestinations"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy/internal/nagrule"
)

// deadLettersID is the id of a dead letter queue: that of a RetryingApiProxy, which DeadLetters returns, and that of a Queue.
const deadLettersID = "DeadLetters"

// maxRetentionDays is how long SQS can keep a message: 14 days.
const maxRetentionDays = 14

// DeadLetters is the queue of what the schedules and rules of a RetryingApiProxy could not do. It is created when it is first
// asked for, by the first of them at the latest. There is one for all, because Lambda has one place for the failures of an
// alias. It keeps messages for 14 days.
//
// EventBridge hands an invocation to Lambda and asks no more. Lambda repeats one that has failed, after one minute and after
// two more, and puts it here then, or when it is 6 hours old, as a record with the event in requestPayload and the error in
// responsePayload. What EventBridge could not hand over within 24 hours comes here too, as the event itself.
func DeadLetters(proxy *apiproxy.RetryingApiProxy) awssqs.IQueue {
	if existing := proxy.Node().TryFindChild(jsii.String(deadLettersID)); existing != nil {
		return existing.(awssqs.Queue)
	}
	queue := newDeadLetterQueue(proxy, deadLettersID)
	nagrule.Acknowledge(queue, isADeadLetterQueue, takesFailedInvocations)
	proxy.Live.ConfigureAsyncInvoke(&awslambda.EventInvokeConfigOptions{
		OnFailure: awslambdadestinations.NewSqsDestination(queue),
	})
	return queue
}

// takesFailedInvocations acknowledges that such a queue has no dead letter queue of its own. cdk-nag knows a dead letter queue
// only by other queues.
var takesFailedInvocations = nagrule.Acknowledgement{
	Rule:   "AwsSolutions-SQS3",
	Reason: "It is itself the dead letter queue: of schedules, of rules, and of invocations that failed.",
}

// isADeadLetterQueue acknowledges that a queue has no redrive policy.
var isADeadLetterQueue = nagrule.Acknowledgement{
	Rule:   "Serverless-SQSRedrivePolicy",
	Reason: "It is itself a dead letter queue, which nothing reads but whoever looks into what failed.",
}

// newDeadLetterQueue makes a queue that keeps messages for as long as it can.
func newDeadLetterQueue(scope constructs.Construct, id string) awssqs.Queue {
	return awssqs.NewQueue(scope, &id, &awssqs.QueueProps{
		EnforceSSL:      jsii.Bool(true),
		RetentionPeriod: awscdk.Duration_Days(jsii.Number(maxRetentionDays)),
	})
}
