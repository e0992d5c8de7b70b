package stack

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/sqs"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

// Integrations returns what the Task states of the stack's state machines call: its functions, its tables and its
// queues. It is for those who run other definitions against them. Calls of them fail as Config.Faults says.
func (s *Stack) Integrations() (asl.Lambda, asl.DynamoDB, asl.SQS) {
	return s.faults.Lambda(&invoker{host: s.Lambda}), s.faults.DynamoDB(Tables(s.DynamoDB)), s.faults.SQS(Queues(s.SQS))
}

// An invoker lets state machines invoke functions.
type invoker struct {
	host *lambda.Host
}

// Invoke has the form of [asl.Lambda].
func (i *invoker) Invoke(ctx context.Context, functionName string, payload []byte) (asl.Invocation, error) {
	result, err := i.host.Invoke(ctx, functionName, payload)
	var refused *lambda.Error
	if errors.As(err, &refused) {
		return asl.Invocation{}, &asl.ServiceError{Code: refused.Code, Message: refused.Message, StatusCode: refused.StatusCode}
	}
	if err != nil {
		return asl.Invocation{}, err
	}
	return asl.Invocation{
		Payload:         result.Payload,
		FunctionError:   result.FunctionError,
		ExecutedVersion: result.ExecutedVersion,
		RequestID:       result.RequestID,
	}, nil
}

// Tables lets state machines write to the tables of a store.
func Tables(store *dynamodb.Store) asl.DynamoDB { return writer{store} }

// A writer lets state machines write to tables.
type writer struct {
	store *dynamodb.Store
}

// UpdateItem has the form of [asl.DynamoDB].
func (w writer) UpdateItem(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
	output, err := w.store.UpdateItem(ctx, input)
	var refused *dynamodb.Error
	if errors.As(err, &refused) {
		return nil, &asl.ServiceError{Code: refused.Code, Message: refused.Message, StatusCode: refused.StatusCode()}
	}
	return output, err
}

// Queues lets state machines send messages to the queues of a store.
func Queues(store *sqs.Store) asl.SQS { return sender{store} }

// A sender lets state machines send messages.
type sender struct {
	store *sqs.Store
}

// SendMessage has the form of [asl.SQS].
func (s sender) SendMessage(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
	output, err := s.store.Call(ctx, "SendMessage", input)
	var refused *sqs.Error
	if errors.As(err, &refused) {
		return nil, &asl.ServiceError{Code: refused.QueryCode(), Message: refused.Message, StatusCode: refused.StatusCode()}
	}
	return output, err
}
