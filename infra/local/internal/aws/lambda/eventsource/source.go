package eventsource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// Queues runs operations of SQS, with the parameters and the result as the API has them in JSON.
type Queues interface {
	Call(ctx context.Context, operation string, input json.RawMessage) (json.RawMessage, error)
}

// Functions invokes functions, as [lambda.Host] does.
type Functions interface {
	Invoke(ctx context.Context, name string, payload []byte) (lambda.Result, error)
}

// A QueuesFunc is a function that runs operations of SQS.
type QueuesFunc func(ctx context.Context, operation string, input json.RawMessage) (json.RawMessage, error)

// Call calls f.
func (f QueuesFunc) Call(ctx context.Context, operation string, input json.RawMessage) (json.RawMessage, error) {
	return f(ctx, operation, input)
}

// A FunctionsFunc is a function that invokes functions.
type FunctionsFunc func(ctx context.Context, name string, payload []byte) (lambda.Result, error)

// Invoke calls f.
func (f FunctionsFunc) Invoke(ctx context.Context, name string, payload []byte) (lambda.Result, error) {
	return f(ctx, name, payload)
}

// Config says what a source works with.
type Config struct {
	Queues    Queues
	Functions Functions

	// Clock is that of the queues. Default: the real one. An invocation, which takes real time, takes none on a virtual one. If
	// nobody else has entered that, it jumps from one long poll to the next: enter it to have time pass only when you wait.
	Clock clock.Clock

	// Log receives why a whole batch has failed, without anything of its messages. Default: nobody is told.
	Log func(reason string)
}

// A Source polls a queue until it is closed.
type Source struct {
	config  Config
	mapping Mapping
	cancel  context.CancelFunc
	running sync.WaitGroup

	// slots has as many elements as batches are being processed.
	slots chan struct{}
}

// Start polls a queue. The error is that of [Mapping.Validate].
func Start(config Config, mapping Mapping) (*Source, error) {
	if err := mapping.Validate(); err != nil {
		return nil, err
	}
	mapping.setDefaults()
	if config.Clock == nil {
		config.Clock = clock.Real
	}
	if config.Log == nil {
		config.Log = func(string) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Source{config: config, mapping: mapping, cancel: cancel, slots: make(chan struct{}, mapping.MaximumConcurrency)}
	leave := config.Clock.Enter()
	s.running.Go(func() { s.poll(ctx, leave) })
	return s, nil
}

// Close ends the polling, and returns when it has ended. Functions that run go on, and their messages come again.
func (s *Source) Close() {
	s.cancel()
	s.running.Wait()
}

const (
	// longPoll is how long a ReceiveMessage waits for messages.
	longPoll = 20 * time.Second

	// pollPause is the pause after one that failed.
	pollPause = time.Second
)

// poll gathers batches, and has them processed, as many at once as may be. It works by the clock until it calls leave.
func (s *Source) poll(ctx context.Context, leave func()) {
	defer func() { leave() }()
	for {
		select {
		case s.slots <- struct{}{}:
		default:
			// Those who process batches may wait on the clock, which would stand still meanwhile.
			leave()
			select {
			case s.slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			leave = s.config.Clock.Enter()
		}
		batch, received, err := s.gather(ctx)
		for len(batch) == 0 {
			if err != nil {
				_ = s.config.Clock.Wait(ctx, pollPause)
			}
			if ctx.Err() != nil {
				return
			}
			batch, received, err = s.gather(ctx)
		}
		done := s.config.Clock.Enter()
		s.running.Go(func() {
			defer done()
			s.process(ctx, batch, received)
			<-s.slots
		})
	}
}

// gather receives a batch. It says when the first of its messages was received. With an error the batch is what was received
// before that.
func (s *Source) gather(ctx context.Context) (batch []message, received time.Time, err error) {
	batch, err = s.receive(ctx, s.mapping.BatchSize, longPoll)
	received = s.config.Clock.Now()
	end := received.Add(s.mapping.BatchingWindow)
	for len(batch) > 0 && len(batch) < s.mapping.BatchSize && err == nil {
		left := end.Sub(s.config.Clock.Now())
		if left <= 0 {
			break
		}
		if left < time.Second { // less than ReceiveMessage can wait
			_ = s.config.Clock.Wait(ctx, left)
			left = 0
		}
		var more []message
		more, err = s.receive(ctx, s.mapping.BatchSize-len(batch), min(left.Truncate(time.Second), longPoll))
		batch = append(batch, more...)
	}
	return batch, received, err
}

// receive receives messages once.
func (s *Source) receive(ctx context.Context, most int, wait time.Duration) ([]message, error) {
	var output struct{ Messages []message }
	err := s.call(ctx, "ReceiveMessage", map[string]any{
		"QueueUrl": s.mapping.QueueURL, "MaxNumberOfMessages": min(most, receiveSize), "WaitTimeSeconds": int(wait.Seconds()),
		"MessageSystemAttributeNames": []string{"All"}, "MessageAttributeNames": []string{"All"},
	}, &output)
	return output.Messages, err
}

// call runs an operation of SQS.
func (s *Source) call(ctx context.Context, operation string, input map[string]any, output any) error {
	encoded, err := json.Marshal(input)
	if err != nil {
		return err
	}
	answer, err := s.config.Queues.Call(ctx, operation, encoded)
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, output)
}

// process has the function process a batch. One that is too large for an event is processed in parts.
func (s *Source) process(ctx context.Context, batch []message, received time.Time) {
	records := make([]json.RawMessage, len(batch))
	for i, m := range batch {
		var err error
		if records[i], err = newRecord(s.mapping.QueueARN, m); err != nil {
			s.config.Log(fmt.Sprintf("a message cannot be written as JSON: %v", err))
			return
		}
	}
	for len(batch) > 0 && ctx.Err() == nil {
		event, n := newEvent(records, lambda.MaxRequestPayload)
		s.processPart(ctx, event, batch[:n], received)
		batch, records = batch[n:], records[n:]
	}
}

func (s *Source) processPart(ctx context.Context, event []byte, part []message, received time.Time) {
	fail := func(reason string) {
		if ctx.Err() == nil {
			s.config.Log(fmt.Sprintf("event source %s: a batch of %d failed: %s", s.mapping.QueueARN, len(part), reason))
		}
	}
	result, err := s.invoke(ctx, event, received.Add(s.mapping.VisibilityTimeout-s.mapping.FunctionTimeout))
	if err != nil {
		fail(err.Error())
		return
	}
	if result.FunctionError != "" {
		fail("the function ended with " + result.ErrorType)
		return
	}
	var failed map[string]bool
	if s.mapping.ReportBatchItemFailures {
		if failed, err = failures(result.Payload, part); err != nil {
			fail(err.Error())
			return
		}
	}
	var done []message
	for _, m := range part {
		if !failed[m.MessageId] {
			done = append(done, m)
		}
	}
	for len(done) > 0 {
		n := min(len(done), receiveSize)
		s.delete(ctx, done[:n])
		done = done[n:]
	}
}

// The pauses between attempts to invoke a function that is throttled.
const (
	firstThrottlePause = 250 * time.Millisecond
	maxThrottlePause   = 8 * time.Second
)

// invoke invokes the function, again and again while it is throttled, and not after the moment at which it is too late for
// it to end before the messages come again.
func (s *Source) invoke(ctx context.Context, event []byte, last time.Time) (lambda.Result, error) {
	pause := firstThrottlePause
	for {
		result, err := s.config.Functions.Invoke(ctx, s.mapping.Function, event)
		var refused *lambda.Error
		if !errors.As(err, &refused) || refused.StatusCode != http.StatusTooManyRequests || s.config.Clock.Now().Add(pause).After(last) {
			return result, err
		}
		if err := s.config.Clock.Wait(ctx, pause); err != nil {
			return result, err
		}
		pause = min(2*pause, maxThrottlePause)
	}
}

// deleteAttempts is how often messages are deleted that could not be. After that they come again.
const deleteAttempts = 3

func (s *Source) delete(ctx context.Context, messages []message) {
	entries := make([]map[string]string, len(messages))
	for i, m := range messages {
		entries[i] = map[string]string{"Id": strconv.Itoa(i), "ReceiptHandle": m.ReceiptHandle}
	}
	for attempt := 1; ; attempt++ {
		var output struct{ Failed []struct{ Id, Code string } }
		err := s.call(ctx, "DeleteMessageBatch", map[string]any{"QueueUrl": s.mapping.QueueURL, "Entries": entries}, &output)
		if err == nil && len(output.Failed) == 0 {
			return
		}
		if err == nil {
			err = errors.New(output.Failed[0].Code)
		}
		if attempt == deleteAttempts || ctx.Err() != nil {
			s.config.Log(fmt.Sprintf("event source %s: messages that were processed could not be deleted, and will come again: %v", s.mapping.QueueARN, err))
			return
		}
		_ = s.config.Clock.Wait(ctx, pollPause)
	}
}
