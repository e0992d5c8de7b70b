package main

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
)

// newEngine makes the client of Step Functions. It sends each request once.
func newEngine(config aws.Config) *sfn.Client {
	return sfn.NewFromConfig(config, func(o *sfn.Options) {
		// A repeated StartSyncExecution is a second execution, and so perhaps a second call of the upstream.
		o.RetryMaxAttempts = 1
	})
}
