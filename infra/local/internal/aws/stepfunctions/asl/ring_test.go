package asl_test

import (
	"fmt"
	"strings"
)

// ring is a definition of the kind that the construct writes: n proxies in a ring, each with a Task, a Choice and a
// Wait.
func ring(n int) string {
	var all []string
	for i := 1; i <= n; i++ {
		next := i%n + 1
		all = append(all,
			fmt.Sprintf(`"Proxy-%d": {
				"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "TimeoutSeconds": 25,
				"Parameters": {"FunctionName": "arn:aws:lambda:us-east-1:123456789012:function:proxy-%d:live", "Payload.$": "$"},
				"ResultSelector": {"answer.$": "$.Payload"},
				"Retry": [{
					"ErrorEquals": ["Lambda.TooManyRequestsException", "Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException"],
					"IntervalSeconds": 1, "BackoffRate": 2, "MaxAttempts": 3, "MaxDelaySeconds": 5, "JitterStrategy": "FULL"
				}],
				"Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.answer.fault", "Next": "Check-%d"}],
				"Next": "Check-%d"
			}`, i, i, i, i),
			fmt.Sprintf(`"Check-%d": {
				"Type": "Choice", "OutputPath": "$.answer", "Default": "Failed",
				"Choices": [
					{"Variable": "$.answer.outcome", "StringEquals": "succeeded", "Next": "Succeeded"},
					{"And": [
						{"Variable": "$.answer.outcome", "StringEquals": "retry"},
						{"Variable": "$.answer.waitSeconds", "NumericGreaterThanEquals": 1}
					], "Next": "Wait-%d"},
					{"Variable": "$.answer.outcome", "StringEquals": "retry", "Next": "Proxy-%d"}
				]
			}`, i, i, next),
			fmt.Sprintf(`"Wait-%d": {"Type": "Wait", "SecondsPath": "$.waitSeconds", "Next": "Proxy-%d"}`, i, next),
		)
	}
	all = append(all,
		`"Succeeded": {"Type": "Succeed"}`,
		`"Failed": {"Type": "Fail", "ErrorPath": "$.error", "CausePath": "States.JsonToString($)"}`)
	return fmt.Sprintf(`{"Comment": "a ring of %d proxies", "StartAt": "Proxy-1", "TimeoutSeconds": 290, "States": {%s}}`,
		n, strings.Join(all, ",\n"))
}

// proxyARN is the function that the Task of that number calls.
func proxyARN(i int) string {
	return fmt.Sprintf("arn:aws:lambda:us-east-1:123456789012:function:proxy-%d:live", i)
}
