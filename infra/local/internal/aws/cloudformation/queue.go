package cloudformation

import (
	"fmt"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/sqs"
)

// A Queue is an AWS::SQS::Queue. What the template does not say has its zero value, for which package sqs has the service's
// defaults.
type Queue struct {
	sqs.Queue

	ARN string
	URL string
}

// maxQueueName is how long the name of a queue can be.
const maxQueueName = 80

// queueName is the name that the property sets, or the one that is made from the logical id. Like CloudFormation, it shortens
// the latter.
func queueName(l *loader, r *resource) (any, error) {
	name, err := physicalName("QueueName")(l, r)
	if text, made := name.(string); made && r.Properties["QueueName"] == nil && len(text) > maxQueueName {
		return strings.TrimLeft(text[len(text)-maxQueueName:], "-"), err
	}
	return name, err
}

func queueARN(l *loader, r *resource) (any, error) {
	name, err := queueName(l, r)
	return sqs.ARN(Region, AccountID, fmt.Sprint(name)), err
}

func queueURL(l *loader, r *resource) (any, error) {
	name, err := queueName(l, r)
	return sqs.URL(l.options.QueueBaseURL, AccountID, fmt.Sprint(name)), err
}

func loadQueue(l *loader, r *resource, properties map[string]any) error {
	var p struct {
		QueueName                     string
		VisibilityTimeout             *int
		MessageRetentionPeriod        int
		DelaySeconds                  int
		ReceiveMessageWaitTimeSeconds int
		MaximumMessageSize            int
		RedrivePolicy                 *struct {
			DeadLetterTargetArn string `json:"deadLetterTargetArn"`
			MaxReceiveCount     int    `json:"maxReceiveCount"`
		}
		RedriveAllowPolicy *struct {
			RedrivePermission string   `json:"redrivePermission"`
			SourceQueueArns   []string `json:"sourceQueueArns"`
		}
	}
	if err := into(properties, &p); err != nil {
		return err
	}
	name, err := queueName(l, r)
	if err != nil {
		return err
	}
	queue := Queue{
		Queue: sqs.Queue{
			Name:           name.(string),
			Retention:      time.Duration(p.MessageRetentionPeriod) * time.Second,
			Delay:          time.Duration(p.DelaySeconds) * time.Second,
			ReceiveWait:    time.Duration(p.ReceiveMessageWaitTimeSeconds) * time.Second,
			MaxMessageSize: p.MaximumMessageSize,
		},
		ARN: sqs.ARN(Region, AccountID, name.(string)),
		URL: sqs.URL(l.options.QueueBaseURL, AccountID, name.(string)),
	}
	if p.VisibilityTimeout != nil {
		timeout := time.Duration(*p.VisibilityTimeout) * time.Second
		queue.VisibilityTimeout = &timeout
	}
	if policy := p.RedrivePolicy; policy != nil {
		queue.Redrive = &sqs.Redrive{DeadLetterTargetARN: policy.DeadLetterTargetArn, MaxReceiveCount: policy.MaxReceiveCount}
	}
	if policy := p.RedriveAllowPolicy; policy != nil {
		queue.RedriveAllow = &sqs.RedriveAllow{Permission: policy.RedrivePermission, SourceQueueARNs: policy.SourceQueueArns}
	}
	l.stack.Queues = append(l.stack.Queues, queue)
	return nil
}
