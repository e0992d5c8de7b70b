package handler

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

const (
	// maxMessagesAtOnce is how many messages of a batch are carried out at the same time. It is the most that SQS hands
	// over in one batch, unless a batching window is set.
	maxMessagesAtOnce = 10

	// batchMargin is the time between the last deadline of a message and the end of the function: for the state machine to
	// end, and for the answer. A function that runs into its timeout fails the whole batch.
	batchMargin = answerGrace + 3*time.Second

	// messageKeyPrefix begins the keys of messages that have none of their own; the message's id follows.
	messageKeyPrefix = "sqs:"
)

// messagesIn reads the messages of a queue from an event. It says false if the event is none of SQS.
func messagesIn(members map[string]json.RawMessage) ([]events.SQSMessage, bool) {
	var messages []events.SQSMessage
	if json.Unmarshal(members["Records"], &messages) != nil || len(messages) == 0 {
		return nil, false
	}
	for _, m := range messages {
		if m.EventSource != "aws:sqs" {
			return nil, false
		}
	}
	return messages, true
}

// consume carries out the messages of a batch, and lists those that SQS is to deliver again: those without a final answer.
//
// A message that can never be carried out is among them too, since only there its way leads to the dead letters.
func (g *Gateway) consume(ctx context.Context, messages []events.SQSMessage) events.SQSEventResponse {
	failed := make([]bool, len(messages))
	var running sync.WaitGroup
	room := make(chan struct{}, maxMessagesAtOnce)
	for i := range messages {
		room <- struct{}{}
		running.Go(func() {
			defer func() { <-room }()
			failed[i] = !g.carriedOut(ctx, &messages[i])
		})
	}
	running.Wait()
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for i, m := range messages {
		if failed[i] {
			response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	return response
}

// carriedOut carries out a message, and says whether it is done with. Its request has an id of its own, since an execution is
// named by it.
func (g *Gateway) carriedOut(ctx context.Context, m *events.SQSMessage) bool {
	ctx = context.WithValue(ctx, requestIDKey{}, newUUID())
	var members map[string]json.RawMessage
	_ = json.Unmarshal([]byte(m.Body), &members) // what is no object has no members, and so no method
	event := readPlainEvent(members)
	if !g.hasKey(event.event.Headers) {
		event.event.Headers[idempotencyhttp.KeyField] = messageKeyPrefix + m.MessageId
	}
	if end, bounded := ctx.Deadline(); bounded {
		event.lastDeadline = end.Add(-batchMargin)
	}
	event.accept = g.letterRetention > 0 // somebody is told if it fails
	response, out := g.answer(ctx, event.arrival)
	err := failure(cmp.Or(event.failOn, message.FailWithoutFinalAnswer), out, response.StatusCode, requestID(ctx))
	if event.refused != nil {
		err = new(UnknownEventError) // whatever it says of failures
	}
	if out.problem != nil && out.problem.Type == idempotencyhttp.ProblemTypeBase+idempotencyhttp.ResultUnavailable {
		err = nil // it was carried out before, and nobody waits for its answer
	}
	level, text := slog.LevelInfo, "a message is done"
	if err != nil {
		level, text = slog.LevelWarn, "a message goes back to its queue"
	}
	g.tell(ctx, level, text,
		slog.String("messageId", m.MessageId),
		slog.String("receiveCount", m.Attributes["ApproximateReceiveCount"]),
		slog.Int("status", response.StatusCode))
	return err == nil
}

// hasKey says whether a request has a key, in Idempotency-Key or in another field that may hold it.
func (g *Gateway) hasKey(headers map[string]string) bool {
	for _, name := range append([]string{idempotencyhttp.KeyField}, g.keyFields...) {
		if _, given := headers[name]; given {
			return true
		}
	}
	return false
}
