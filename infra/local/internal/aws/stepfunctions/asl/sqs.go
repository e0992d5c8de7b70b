package asl

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
)

// An SQS sends messages for the sqs:sendMessage integration. SendMessage must return when ctx is done.
//
// The input is the body of a SendMessage request and the output that of its answer, in the JSON of the SQS API. An error of
// the service is returned as a [*ServiceError]; Step Functions has one name for all of them, SQS.AmazonSQSException. Any other
// error is reported as SQS.SdkClientException.
type SQS interface {
	SendMessage(ctx context.Context, input json.RawMessage) (json.RawMessage, error)
}

// An SQSFunc is a function that serves as an [SQS].
type SQSFunc func(ctx context.Context, input json.RawMessage) (json.RawMessage, error)

// SendMessage calls f.
func (f SQSFunc) SendMessage(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
	return f(ctx, input)
}

type sqsSendMessage struct{}

func (sqsSendMessage) errorNames() serviceErrors {
	return serviceErrors{prefix: "SQS", service: "AmazonSQS", other: "AmazonSQSException"}
}

// check knows what a standard queue takes. Attributes of messages are not supported here.
func (sqsSendMessage) check(f *fields, parameters map[string]any) {
	checkNames(f, parameters, []string{"QueueUrl", "MessageBody"}, "DelaySeconds")
}

// call sends a message. A body that is not a string is sent as JSON text, which is what Step Functions adds to the API.
func (sqsSendMessage) call(ctx context.Context, e *execution, parameters map[string]any) (any, error) {
	if _, ok := parameters["QueueUrl"].(string); !ok {
		return nil, invalidParameters(parameters, "The value for the field 'QueueUrl' must be a STRING")
	}
	input := maps.Clone(parameters)
	if _, isText := input["MessageBody"].(string); !isText {
		input["MessageBody"] = encode(input["MessageBody"])
	}
	output, err := e.options.SQS.SendMessage(ctx, json.RawMessage(encode(input)))
	if err != nil {
		return nil, err
	}
	v, err := decode(output)
	result, ok := v.(map[string]any)
	if err != nil || !ok {
		return nil, fmt.Errorf("the answer to SendMessage is not a JSON object: %.100q", output)
	}
	addMetadata(result, e.clock.Now(), UUID(e.options.Random), "application/x-amz-json-1.0", len(output), nil)
	return result, nil
}
