package apiproxy

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/jsii-runtime-go"
)

// How a Task is retried after a fault of the service that it calls.
const (
	faultRetries       = 3
	faultRetryInterval = 1 * time.Second
	faultRetryRate     = 2
)

// faultRetry retries a Task after some errors, with full jitter. The delays double from a second up to maxDelay.
func faultRetry(errors []string, maxDelay time.Duration) *awsstepfunctions.RetryProps {
	return &awsstepfunctions.RetryProps{
		Errors:         jsii.Strings(errors...),
		MaxAttempts:    jsii.Number(faultRetries),
		Interval:       seconds(faultRetryInterval),
		MaxDelay:       seconds(maxDelay),
		BackoffRate:    jsii.Number(faultRetryRate),
		JitterStrategy: awsstepfunctions.JitterType_FULL,
	}
}
