package triggers

import (
	"fmt"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy/internal/nagrule"
)

const (
	// DefaultBatchSize is how many messages the gateway is handed at once. It carries them out at the same time. SQS hands
	// over 10 at most without a batching window.
	DefaultBatchSize = 10

	// DefaultMaxReceiveCount is how often a message is delivered before it goes to the dead letters. AWS advises 5 at least,
	// since a delivery also counts if Lambda had no room for it
	// (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html).
	DefaultMaxReceiveCount = 5

	// visibilityFactor is how many times the timeout of the function a message stays invisible, as AWS advises (on the same
	// page), so that there is time to invoke the function again if it was throttled.
	visibilityFactor = 6

	// defaultVisibility is the visibility timeout of a queue that names none.
	defaultVisibility = 30 * time.Second

	// maxVisibility is the longest that SQS allows.
	maxVisibility = 12 * time.Hour

	// Limits of ScalingConfig.MaximumConcurrency of an event source.
	minMaxConcurrency = 2
	maxMaxConcurrency = 1000
)

// withoutDeadLettersID names the warning of a queue that has no dead letter queue.
const withoutDeadLettersID = "retrying-api-proxy:queue-without-dead-letters"

// failuresStayInTheQueue acknowledges that an event source has no destination.
var failuresStayInTheQueue = nagrule.Acknowledgement{
	Rule:   "Serverless-LambdaEventSourceMappingDestination",
	Reason: "A destination is for streams. What failed of a queue goes back to it, and to its dead letter queue in the end.",
}

// QueueProps says what a Queue is.
type QueueProps struct {
	// Proxy is what the requests go through. Required.
	Proxy *apiproxy.RetryingApiProxy

	// Queue holds the messages, if it is not to be created. It must be a standard queue; its visibility timeout must not be
	// shorter than the timeout of the gateway, which is checked if the queue is in the app, and by Lambda in any case. It
	// should have a dead letter queue, and if it is encrypted with a key of yours, the gateway may use that if the queue is in
	// the app. Default: a queue that SQS encrypts.
	Queue awssqs.IQueue

	// VisibilityTimeout is how long a message that was delivered is not delivered again; in whole seconds, from the timeout of
	// the gateway to 12 hours. A message without a final answer is tried again after so long. Default: 6 times the
	// timeout of the gateway.
	VisibilityTimeout time.Duration

	// MaxReceiveCount is how often a message is delivered before it goes to the dead letters, 1 to 1000. Default: 5.
	MaxReceiveCount int

	// DeadLetterQueue takes the messages that were delivered so often. Default: a queue that keeps them for 14 days.
	DeadLetterQueue awssqs.IQueue

	// BatchSize is how many messages the gateway is handed at once, 1 to 10. It carries them out at the same time, and each
	// holds a proxy while it is attempted. Default: 10.
	BatchSize int

	// MaxConcurrency is how many batches may be under way at once, 2 to 1000, so that a full queue leaves room for callers of
	// the URL. Default: as many as Lambda has room for.
	MaxConcurrency int
}

// A Queue is a queue whose messages are requests: JSON objects as docs/triggers.md has them. A message that ends with a final
// answer of the upstream, a refusal such as 404 included, is done. Any other is delivered again, and goes to the dead letters
// in the end. The key of a message is its own idempotencyKey or Idempotency-Key, or else its id.
type Queue struct {
	constructs.Construct

	// Queue holds the messages.
	Queue awssqs.IQueue

	// DeadLetterQueue takes those that could not be done. It is nil if the queue was given.
	DeadLetterQueue awssqs.IQueue
}

// NewQueue creates a Queue in scope. It panics with one message that lists every problem of the props.
func NewQueue(scope constructs.Construct, id *string, props *QueueProps) *Queue {
	if props == nil {
		props = &QueueProps{}
	}
	props.validate().check("Queue", id, props.Proxy)

	q := &Queue{}
	constructs.NewConstruct_Override(q, scope, id)
	if q.Queue = props.Queue; q.Queue == nil {
		if q.DeadLetterQueue = props.DeadLetterQueue; q.DeadLetterQueue == nil {
			q.DeadLetterQueue = newDeadLetterQueue(q, deadLettersID)
			nagrule.Acknowledge(q.DeadLetterQueue, isADeadLetterQueue)
		}
		visibility := props.VisibilityTimeout
		if visibility == 0 {
			visibility = visibilityFactor * gatewayTimeout(props.Proxy)
		}
		q.Queue = awssqs.NewQueue(q, jsii.String("Queue"), &awssqs.QueueProps{
			EnforceSSL:        jsii.Bool(true),
			VisibilityTimeout: awscdk.Duration_Seconds(jsii.Number(visibility.Seconds())),
			DeadLetterQueue: &awssqs.DeadLetterQueue{
				Queue: q.DeadLetterQueue, MaxReceiveCount: jsii.Number(orDefault(props.MaxReceiveCount, DefaultMaxReceiveCount)),
			},
		})
	}
	if given, inApp := props.Queue.(awssqs.Queue); inApp && given.DeadLetterQueue() == nil {
		awscdk.Annotations_Of(q).AddWarningV2(jsii.String(withoutDeadLettersID), jsii.String(
			"The queue has no dead letter queue, so a message that cannot be done is delivered again until its retention period is over. Give the queue a DeadLetterQueue."))
	}
	source := &awslambda.EventSourceMappingOptions{
		EventSourceArn:          q.Queue.QueueArn(),
		BatchSize:               jsii.Number(orDefault(props.BatchSize, DefaultBatchSize)),
		ReportBatchItemFailures: jsii.Bool(true),
	}
	if props.MaxConcurrency > 0 {
		source.MaxConcurrency = jsii.Number(props.MaxConcurrency)
	}
	// It stands beside the alias, as the right to read the queue does, so that the queue may be in another stack.
	mapping := props.Proxy.Live.AddEventSourceMapping(awscdk.Names_UniqueId(q), source)
	nagrule.Acknowledge(mapping, failuresStayInTheQueue)
	q.Queue.GrantConsumeMessages(props.Proxy.Live)
	return q
}

// GrantSend lets somebody put messages into the queue, and thereby have requests sent.
func (q *Queue) GrantSend(grantee awsiam.IGrantable) awsiam.Grant {
	return q.Queue.GrantSendMessages(grantee)
}

// validate lists what is wrong with the props beside a missing Proxy.
func (p *QueueProps) validate() problems {
	var wrong problems
	between := func(name string, n, least, most, standard int) {
		if n != 0 && (n < least || n > most) {
			usual := fmt.Sprintf("the default of %d", standard)
			if standard == 0 {
				usual = "no limit"
			}
			wrong.add("%s is %d; give %d to %d, or 0 for %s", name, n, least, most, usual)
		}
	}
	between("BatchSize", p.BatchSize, 1, DefaultBatchSize, DefaultBatchSize)
	between("MaxConcurrency", p.MaxConcurrency, minMaxConcurrency, maxMaxConcurrency, 0)
	between("MaxReceiveCount", p.MaxReceiveCount, 1, 1000, DefaultMaxReceiveCount)
	if p.VisibilityTimeout < 0 || p.VisibilityTimeout > maxVisibility || p.VisibilityTimeout%time.Second != 0 {
		wrong.add("VisibilityTimeout is %v; give whole seconds up to %v, or 0 for %d times the timeout of the gateway", p.VisibilityTimeout, maxVisibility, visibilityFactor)
	}
	visibility, known, name := p.VisibilityTimeout, p.VisibilityTimeout > 0, "VisibilityTimeout"
	if p.Queue != nil {
		if p.VisibilityTimeout != 0 || p.MaxReceiveCount != 0 || p.DeadLetterQueue != nil {
			wrong.add("VisibilityTimeout, MaxReceiveCount and DeadLetterQueue are those of the queue that is created; with Queue, give them to that queue")
		}
		if fifo := p.Queue.Fifo(); fifo != nil && *fifo {
			wrong.add("Queue is a FIFO queue, whose order is lost where messages are carried out at the same time and tried again; give a standard queue")
		}
		visibility, known = visibilityOf(p.Queue)
		name = "the visibility timeout of Queue"
	}
	if p.Proxy != nil && known {
		if timeout := gatewayTimeout(p.Proxy); visibility < timeout {
			wrong.add("%s is %v, shorter than the timeout of the gateway, which Lambda refuses; give %v or more, better %d times as much, or a shorter Retry.MaxDeadline",
				name, visibility, timeout, visibilityFactor)
		}
	}
	return wrong
}

// visibilityOf is the visibility timeout of a queue, if it is in the app and says one that is known.
func visibilityOf(queue awssqs.IQueue) (visibility time.Duration, known bool) {
	resource, inApp := queue.Node().DefaultChild().(awssqs.CfnQueue)
	if !inApp {
		return 0, false
	}
	seconds := resource.VisibilityTimeout()
	switch {
	case seconds == nil:
		return defaultVisibility, true
	case *awscdk.Token_IsUnresolved(seconds):
		return 0, false
	}
	return time.Duration(*seconds) * time.Second, true
}

// gatewayTimeout is that of the function.
func gatewayTimeout(proxy *apiproxy.RetryingApiProxy) time.Duration {
	return time.Duration(*proxy.Gateway.Timeout().ToSeconds(nil)) * time.Second
}

func orDefault(n, standard int) int {
	if n == 0 {
		return standard
	}
	return n
}
