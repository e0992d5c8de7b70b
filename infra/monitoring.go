package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// monitoringFrom reads what the context says of alarms, dashboard and queries. The topic of the alarms stands apart: it belongs to a
// stack.
func monitoringFrom(node constructs.Node, props *apiproxy.RetryingApiProxyProps) error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	switch text := context(node, "alarms", "false"); {
	case text == "false":
	case text == "true" || isTopic(text):
		props.Alarms = &apiproxy.Alarms{}
	default:
		problem("context alarms is %q; give true, false, or the ARN of the topic that is told, such as arn:aws:sns:eu-central-1:123456789012:alarms", text)
	}
	switch text := context(node, "dashboard", "false"); text {
	case "false":
	case "true":
		props.Dashboard = &apiproxy.Dashboard{}
	default:
		problem("context dashboard is %q; give true or false", text)
	}
	switch text := context(node, "savedqueries", "true"); text {
	case "false", "true":
		props.SavedQueries = text == "true"
	default:
		problem("context savedqueries is %q; give true or false", text)
	}
	return errors.Join(problems...)
}

// alarmTopic is the topic that is told by the alarms, or nil.
func alarmTopic(stack awscdk.Stack) awssns.ITopic {
	text := context(stack.Node(), "alarms", "false")
	if !isTopic(text) {
		return nil
	}
	return awssns.Topic_FromTopicArn(stack, jsii.String("AlarmTopic"), &text)
}

// isTopic says whether a text is the ARN of a topic.
func isTopic(text string) bool {
	parts := strings.Split(text, ":")
	return len(parts) == 6 && parts[0] == "arn" && parts[2] == "sns" && parts[5] != ""
}
