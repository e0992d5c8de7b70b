package sqs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// An operation runs with its parameters in JSON.
type operation func(context.Context, *Store, []byte) (any, error)

// operations are the supported operations by name.
var operations = map[string]operation{
	"ChangeMessageVisibility":      at((*Store).changeVisibility),
	"ChangeMessageVisibilityBatch": at((*Store).changeVisibilityBatch),
	"DeleteMessage":                at((*Store).deleteMessage),
	"DeleteMessageBatch":           at((*Store).deleteMessageBatch),
	"GetQueueAttributes":           at((*Store).getQueueAttributes),
	"GetQueueUrl":                  at((*Store).getQueueURL),
	"ListMessageMoveTasks":         at((*Store).listMoveTasks),
	"ListQueues":                   at((*Store).listQueues),
	"PurgeQueue":                   at((*Store).purgeQueue),
	"ReceiveMessage":               receiving,
	"SendMessage":                  at((*Store).sendMessage),
	"SendMessageBatch":             at((*Store).sendMessageBatch),
	"StartMessageMoveTask":         at((*Store).startMoveTask),
}

// at makes an operation of a function that does its work at a moment. The store is locked meanwhile.
func at[In any](run func(*Store, *In, time.Time) (any, error)) operation {
	return func(_ context.Context, s *Store, input []byte) (any, error) {
		in, err := read[In](input)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return run(s, in, s.config.Clock.Now())
	}
}

// receiving is ReceiveMessage, which may wait.
func receiving(ctx context.Context, s *Store, input []byte) (any, error) {
	in, err := read[receiveInput](input)
	if err != nil {
		return nil, err
	}
	return s.receiveMessage(ctx, in)
}

// read reads parameters. Those that the operation does not have here are refused by name, so that none is ignored.
func read[In any](input []byte) (*In, error) {
	var in In
	decoder := json.NewDecoder(bytes.NewReader(input))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return nil, malformed(err)
	}
	return &in, nil
}

// malformed refuses a request that cannot be read. What encoding/json says may quote a value, so it is not passed on.
func malformed(err error) *Error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return refusal(CodeSerialization, "The parameter %s has the wrong type", wrong.Field)
	}
	// encoding/json has no type for this error.
	if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		return refusal(CodeUnsupportedOperation, "The local SQS does not support the parameter %s here", strings.Trim(name, `"`))
	}
	return refusal(CodeSerialization, "The request is not what the operation takes, as JSON")
}

// seconds is a parameter in whole seconds: the default if it is not given.
func seconds(parameter string, given *int, otherwise time.Duration, longest int) (time.Duration, error) {
	if given == nil {
		return otherwise, nil
	}
	if *given < 0 || *given > longest {
		return 0, invalid(parameter, *given, fmt.Sprintf("Must be >= 0 and <= %d, if provided.", longest))
	}
	return time.Duration(*given) * time.Second, nil
}
