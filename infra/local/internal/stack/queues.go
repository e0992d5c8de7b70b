package stack

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda/eventsource"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/sqs"
)

func (s *Stack) createQueues(config Config) error {
	s.SQS = sqs.New(sqs.Config{
		Region: cloudformation.Region, AccountID: cloudformation.AccountID, BaseURL: queueBaseURL, Clock: config.QueueClock, File: s.file,
	})
	queues := make([]sqs.Queue, len(s.Template.Queues))
	for i, q := range s.Template.Queues {
		queues[i] = q.Queue
	}
	return s.SQS.Create(queues...)
}

// startEventSources has functions process the messages of queues. It is the last thing that a start does, since they may run
// at once, and need everything else.
func (s *Stack) startEventSources(config Config) error {
	mappings := map[*cloudformation.Function][]eventsource.Mapping{}
	var problems []error
	for _, source := range s.Template.EventSources {
		queue, f := s.queueOf(source), s.functionOf(source)
		if queue == nil {
			problems = append(problems, fmt.Errorf("stack: the function %s has the event source %s, which is no queue of the stack; it cannot be run here", source.Function, source.QueueARN))
		}
		if f == nil {
			problems = append(problems, fmt.Errorf("stack: the event source %s has the function %s, which is not in the stack; it cannot be run here", source.QueueARN, source.Function))
		}
		if queue == nil || f == nil {
			continue
		}
		m := eventsource.Mapping{
			QueueARN: queue.ARN, QueueURL: queue.URL, VisibilityTimeout: sqs.DefaultVisibilityTimeout,
			Function: source.Function, FunctionTimeout: f.Timeout,
			BatchSize: source.BatchSize, BatchingWindow: source.BatchingWindow,
			ReportBatchItemFailures: source.ReportBatchItemFailures, MaximumConcurrency: source.MaximumConcurrency,
		}
		if queue.VisibilityTimeout != nil {
			m.VisibilityTimeout = *queue.VisibilityTimeout
		}
		problems = append(problems, m.Validate())
		mappings[f] = append(mappings[f], m)
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	sources := eventsource.Config{Queues: s.faults.Queues(s.SQS), Functions: s.faults.Functions(s.Lambda), Clock: config.QueueClock}
	for f, all := range mappings {
		if config.Log != nil {
			sources.Log = func(reason string) {
				config.Log(lambda.LogEvent{Time: time.Now(), Type: lambda.LogFault, Function: f.Name, Message: reason})
			}
		}
		for _, m := range all {
			running, err := eventsource.Start(sources, m)
			if err != nil {
				return err
			}
			s.onClose(running.Close)
		}
	}
	return nil
}

// queueOf is the queue of an event source; nil if the stack does not have it.
func (s *Stack) queueOf(source cloudformation.EventSource) *cloudformation.Queue {
	for i := range s.Template.Queues {
		if s.Template.Queues[i].ARN == source.QueueARN {
			return &s.Template.Queues[i]
		}
	}
	return nil
}

// functionOf is the function of an event source; nil if the stack does not have it.
func (s *Stack) functionOf(source cloudformation.EventSource) *cloudformation.Function {
	for i := range s.Template.Functions {
		f := &s.Template.Functions[i]
		for _, name := range []string{f.Name, f.ARN} {
			if source.Function == name || strings.HasPrefix(source.Function, name+":") { // with an alias or a version
				return f
			}
		}
	}
	return nil
}
