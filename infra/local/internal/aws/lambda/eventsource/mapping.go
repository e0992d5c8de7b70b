package eventsource

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

// Defaults and limits of a [Mapping].
// https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
const (
	// DefaultBatchSize and MaxBatchSize are for the messages of a batch.
	DefaultBatchSize = 10
	MaxBatchSize     = 10_000

	// MaxBatchingWindow is how long messages can be gathered.
	MaxBatchingWindow = 5 * time.Minute

	// DefaultConcurrency is how many batches are processed at once, MinConcurrency and MaxConcurrency what can be asked for.
	DefaultConcurrency = 5
	MinConcurrency     = 2
	MaxConcurrency     = 1000

	// receiveSize is how many messages SQS gives at once, and the largest batch without a window.
	receiveSize = 10
)

// A Mapping says which function processes the messages of which queue.
type Mapping struct {
	// QueueARN and QueueURL are those of the queue, and VisibilityTimeout is the queue's.
	QueueARN, QueueURL string
	VisibilityTimeout  time.Duration

	// Function names the function, as [lambda.Request] does, and FunctionTimeout is its timeout.
	Function        string
	FunctionTimeout time.Duration

	// BatchSize is how many messages a batch has at most. Default: [DefaultBatchSize].
	BatchSize int

	// BatchingWindow is for how long messages are gathered, from the first one on, in whole seconds. Without it a batch is
	// what one ReceiveMessage gives. A BatchSize over 10 needs it.
	BatchingWindow time.Duration

	// ReportBatchItemFailures lets the function's answer name the messages that failed.
	ReportBatchItemFailures bool

	// MaximumConcurrency is how many batches are processed at once. Default: [DefaultConcurrency].
	MaximumConcurrency int
}

// Validate lists all that is wrong with the mapping in one error. It is made of *[lambda.Error] of the code
// InvalidParameterValueException, as Lambda refuses it.
func (m Mapping) Validate() error {
	m.setDefaults()
	var problems []error
	problem := func(format string, args ...any) {
		problems = append(problems, &lambda.Error{
			Code: "InvalidParameterValueException", StatusCode: http.StatusBadRequest,
			Message: fmt.Sprintf("the event source %s of the function %s: ", m.QueueARN, m.Function) + fmt.Sprintf(format, args...),
		})
	}
	if m.VisibilityTimeout < m.FunctionTimeout {
		problem("Queue visibility timeout: %v seconds is less than Function timeout: %v seconds", m.VisibilityTimeout.Seconds(), m.FunctionTimeout.Seconds())
	}
	if m.BatchSize < 1 || m.BatchSize > MaxBatchSize {
		problem("its BatchSize is %d; give 1 to %d", m.BatchSize, MaxBatchSize)
	}
	if m.BatchingWindow < 0 || m.BatchingWindow > MaxBatchingWindow || m.BatchingWindow%time.Second != 0 {
		problem("its BatchingWindow is %v; give whole seconds from 0s to %v", m.BatchingWindow, MaxBatchingWindow)
	}
	if m.BatchSize > receiveSize && m.BatchingWindow == 0 {
		problem("its BatchSize is %d, and it has no BatchingWindow; give 1s or more, or a BatchSize of at most %d", m.BatchSize, receiveSize)
	}
	if m.MaximumConcurrency < MinConcurrency || m.MaximumConcurrency > MaxConcurrency {
		problem("its MaximumConcurrency is %d; give %d to %d", m.MaximumConcurrency, MinConcurrency, MaxConcurrency)
	}
	return errors.Join(problems...)
}

func (m *Mapping) setDefaults() {
	if m.BatchSize == 0 {
		m.BatchSize = DefaultBatchSize
	}
	if m.MaximumConcurrency == 0 {
		m.MaximumConcurrency = DefaultConcurrency
	}
}
