package cloudformation

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// An EventSource is an AWS::Lambda::EventSourceMapping of a queue. What the template does not say has its zero value.
type EventSource struct {
	QueueARN string

	// Function is the name or the ARN of the function, with or without an alias.
	Function string

	BatchSize               int
	BatchingWindow          time.Duration
	ReportBatchItemFailures bool
	MaximumConcurrency      int
}

// reportBatchItemFailures is the one type of answer that there is.
const reportBatchItemFailures = "ReportBatchItemFailures"

func loadEventSource(l *loader, _ *resource, properties map[string]any) error {
	var p struct {
		EventSourceArn, FunctionName   string
		BatchSize                      int
		MaximumBatchingWindowInSeconds int
		FunctionResponseTypes          []string
		ScalingConfig                  struct{ MaximumConcurrency int }
		Enabled                        *bool
	}
	if err := into(properties, &p); err != nil {
		return err
	}
	if !strings.HasPrefix(p.EventSourceArn, "arn:aws:sqs:") {
		return fmt.Errorf("its event source %s is no SQS queue; only those can be run here", p.EventSourceArn)
	}
	for _, answer := range p.FunctionResponseTypes {
		if answer != reportBatchItemFailures {
			return fmt.Errorf("its FunctionResponseTypes has %s; Lambda knows %s", answer, reportBatchItemFailures)
		}
	}
	if p.Enabled != nil && !*p.Enabled {
		return nil // it is there, and does nothing
	}
	l.stack.EventSources = append(l.stack.EventSources, EventSource{
		QueueARN: p.EventSourceArn, Function: p.FunctionName, BatchSize: p.BatchSize,
		BatchingWindow:          time.Duration(p.MaximumBatchingWindowInSeconds) * time.Second,
		ReportBatchItemFailures: slices.Contains(p.FunctionResponseTypes, reportBatchItemFailures),
		MaximumConcurrency:      p.ScalingConfig.MaximumConcurrency,
	})
	return nil
}
