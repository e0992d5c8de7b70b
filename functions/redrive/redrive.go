// Package redrive has asynchronous requests that failed sent again: it reads their dead letters, has the gateway start each of
// them again, with the same key and for the same caller, and deletes the letter once that is done.
//
//	result, err := redrive.Run(ctx, redrive.Options{
//		Queue: sqs.NewFromConfig(config), QueueURL: url,
//		Functions: lambda.NewFromConfig(config), Gateway: "Shop-Orders-gateway:live",
//	})
//
// Whoever calls it needs sqs:ReceiveMessage, sqs:DeleteMessage and sqs:ChangeMessageVisibility on the queue, and
// lambda:InvokeFunction on the alias of the gateway. docs/async.md says what a redrive does.
package redrive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// A Queue is what Run needs of *sqs.Client.
type Queue interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessage(context.Context, *sqs.DeleteMessageInput, ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error)
	ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error)
}

// Functions is what Run needs of *lambda.Client.
type Functions interface {
	Invoke(context.Context, *lambda.InvokeInput, ...func(*lambda.Options)) (*lambda.InvokeOutput, error)
}

// Options say which letters are redriven, and by whom.
type Options struct {
	// Queue and QueueURL are the queue of the letters, and Functions runs the Gateway, a function with the alias that the stack
	// invokes: its output GatewayName. Required.
	Queue     Queue
	QueueURL  string
	Functions Functions
	Gateway   string

	// Execution redrives the letters of one execution only, by the member execution of a letter. Default: all.
	Execution string

	// Resend has requests sent again even though the upstream may have acted on them before, and they have no key that makes
	// them safe to repeat. Look there before you say so. Default: such letters stay in the queue.
	Resend bool

	// Now is the time, by which letters are left alone that were sent after Run had begun. Default: time.Now.
	Now func() time.Time

	// Told, if it is set, is told what became of each letter. The error is nil if the letter was deleted.
	Told func(letter message.DeadLetter, outcome string, err error)
}

// A Result counts letters: those whose requests were started again, those of which nothing was left to do, and those that are
// still in the queue, others than the Execution that was asked for not among them.
type Result struct {
	Started, Settled, Left int
}

// How letters are received. While Run has one, nobody else does.
const (
	receiveMax        = 10
	receiveWait       = 2 // seconds
	visibilitySeconds = 15 * 60

	// idleReceives is how often only letters are received that are not to be redriven, before there are taken to be no others:
	// a queue hands its messages out in no order.
	idleReceives = 5
)

// An UnreadableLetterError says that a message of the queue is no letter.
type UnreadableLetterError struct{ MessageID string }

func (e *UnreadableLetterError) Error() string {
	return fmt.Sprintf("redrive: the message %s is no dead letter of an asynchronous request; it stays in the queue", e.MessageID)
}

// What is left alone, so that a redrive ends although the upstream still fails.
var (
	// ErrFailedAgain is of a request that was started again by the same Run, and has failed since.
	ErrFailedAgain = errors.New("redrive: it has failed again")

	// ErrNewer is of a letter that was sent after Run had begun.
	ErrNewer = errors.New("redrive: the letter has come since the redrive began")
)

// A RefusedError says why a gateway did not start a request again.
type RefusedError struct {
	// Type is the name of the error, such as RedriveError, and Message says more.
	Type, Message string
}

func (e *RefusedError) Error() string { return "redrive: " + e.Type + ": " + e.Message }

// Run redrives the letters that are in the queue, each once. What has failed again since, and what has come since, it leaves for
// the next run: at an upstream that is still down it does not go round in circles. The error is that of the queue; what becomes of
// a single letter is counted, and told to Options.Told. A letter that was redriven and could not be deleted is redriven
// again in the next run, which does nothing more.
func Run(ctx context.Context, o Options) (Result, error) {
	var result Result
	if o.Now == nil {
		o.Now = time.Now
	}
	begun := o.Now()
	started := map[string]bool{} // executions
	seen := map[string]bool{}
	var kept []string // receipt handles
	defer func() {
		for _, handle := range kept { // what is left can be seen at once
			_, _ = o.Queue.ChangeMessageVisibility(context.WithoutCancel(ctx), &sqs.ChangeMessageVisibilityInput{QueueUrl: &o.QueueURL, ReceiptHandle: &handle})
		}
	}()
	for idle := 0; idle < idleReceives; idle++ {
		received, err := o.Queue.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &o.QueueURL, MaxNumberOfMessages: receiveMax, WaitTimeSeconds: receiveWait, VisibilityTimeout: visibilitySeconds,
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameSentTimestamp},
		})
		if err != nil {
			return result, fmt.Errorf("redrive: the letters could not be received: %w", err)
		}
		if len(received.Messages) == 0 {
			break
		}
		for _, m := range received.Messages {
			id := aws.ToString(m.MessageId)
			if seen[id] {
				kept = append(kept, aws.ToString(m.ReceiptHandle))
				continue
			}
			seen[id] = true
			if !sentAt(m).After(begun) {
				idle = -1 // there may be more of them
			}
			letter, wanted := o.read(aws.ToString(m.Body))
			if !wanted && letter.Execution != "" {
				kept = append(kept, aws.ToString(m.ReceiptHandle))
				continue
			}
			var outcome, execution string
			switch {
			case !wanted:
				err = &UnreadableLetterError{id}
			case started[letter.Execution]:
				err = ErrFailedAgain
			case sentAt(m).After(begun):
				err = ErrNewer
			default:
				outcome, execution, err = o.redrive(ctx, letter)
				started[execution] = true
			}
			if err == nil {
				_, err = o.Queue.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &o.QueueURL, ReceiptHandle: m.ReceiptHandle})
			}
			switch {
			case err != nil:
				result.Left++
				kept = append(kept, aws.ToString(m.ReceiptHandle))
			case outcome == "started":
				result.Started++
			default:
				result.Settled++
			}
			if o.Told != nil {
				o.Told(letter, outcome, err)
			}
		}
	}
	return result, nil
}

// sentAt is when a message was sent; the zero time if that is not known.
func sentAt(m types.Message) time.Time {
	milliseconds, err := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(milliseconds)
}

// read reads a letter, and says whether it is to be redriven. One without an execution is none.
func (o *Options) read(body string) (letter message.DeadLetter, wanted bool) {
	if json.Unmarshal([]byte(body), &letter) != nil || letter.Execution == "" || letter.Item == "" {
		return message.DeadLetter{}, false
	}
	return letter, o.Execution == "" || o.Execution == letter.Execution
}

// redrive hands a letter to the gateway. outcome is the status that it answers with, and execution what it
// has started.
func (o *Options) redrive(ctx context.Context, letter message.DeadLetter) (outcome, execution string, err error) {
	event, err := json.Marshal(map[string]any{"redrive": map[string]any{"execution": letter.Execution, "item": letter.Item, "resend": o.Resend}})
	if err != nil {
		return "", "", fmt.Errorf("redrive: %w", err)
	}
	name, alias, _ := strings.Cut(o.Gateway, ":")
	in := &lambda.InvokeInput{FunctionName: &name, Payload: event}
	if alias != "" {
		in.Qualifier = &alias
	}
	if strings.HasPrefix(o.Gateway, "arn:") {
		in.FunctionName, in.Qualifier = &o.Gateway, nil
	}
	out, err := o.Functions.Invoke(ctx, in)
	if err != nil {
		return "", "", fmt.Errorf("redrive: the gateway could not be invoked: %w", err)
	}
	if out.FunctionError != nil {
		var refused struct{ ErrorType, ErrorMessage string }
		_ = json.Unmarshal(out.Payload, &refused)
		return "", "", &RefusedError{refused.ErrorType, refused.ErrorMessage}
	}
	var redriven struct{ Status, Execution string }
	if err := json.Unmarshal(out.Payload, &redriven); err != nil {
		return "", "", fmt.Errorf("redrive: the gateway answered with no JSON: %w", err)
	}
	if redriven.Status == "" {
		return "", "", errors.New("redrive: the function does not answer as a gateway does; give the output GatewayName of the stack")
	}
	return redriven.Status, redriven.Execution, nil
}
