package stack

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/dynamodb"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/stepfunctions/asl"
)

// An invoker lets state machines invoke functions.
type invoker struct {
	host  *lambda.Host
	speed float64
}

// Invoke has the form of [asl.Lambda].
func (i *invoker) Invoke(ctx context.Context, functionName string, payload []byte) (asl.Invocation, error) {
	result, err := i.host.Invoke(ctx, functionName, hasten(payload, i.speed))
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

// sleepField holds the part of a wait that a Wait state cannot hold, because it knows whole seconds only. The function
// that is handed an envelope sleeps it.
const sleepField = "sleepMilliseconds"

// hasten shortens that part as the Wait states are shortened.
func hasten(payload []byte, speed float64) []byte {
	if speed == 1 {
		return payload
	}
	var envelope map[string]json.RawMessage
	var sleep float64
	if json.Unmarshal(payload, &envelope) != nil || json.Unmarshal(envelope[sleepField], &sleep) != nil {
		return payload
	}
	envelope[sleepField], _ = json.Marshal(int64(sleep / speed))
	hastened, err := json.Marshal(envelope)
	if err != nil {
		return payload
	}
	return hastened
}

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
