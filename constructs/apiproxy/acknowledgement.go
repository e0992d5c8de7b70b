package apiproxy

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// An acknowledgement is a finding of cdk-nag, which checks CDK apps for security, with the reason why it stands. What can
// be cured is not acknowledged.
type acknowledgement struct {
	rule string

	// finding is what the rule finds, if it tells several things of a resource.
	finding string

	reason string
}

// neverInvokedAsynchronously acknowledges that a function has no dead-letter queue.
var neverInvokedAsynchronously = acknowledgement{
	rule:   "Serverless-LambdaDLQ",
	reason: "Whoever invokes the function waits for its answer. A dead-letter queue takes asynchronous invocations only.",
}

// tracesHaveNoResource acknowledges what a function is granted for AWS X-Ray.
var tracesHaveNoResource = acknowledgement{
	rule:    "AwsSolutions-IAM5",
	finding: "Resource::*",
	reason:  "AWS X-Ray knows no resources for xray:PutTraceSegments and xray:PutTelemetryRecords.",
}

// tracesAndLogDeliveryHaveNoResource acknowledges what a state machine is granted for AWS X-Ray and CloudWatch Logs.
var tracesAndLogDeliveryHaveNoResource = acknowledgement{
	rule:    "AwsSolutions-IAM5",
	finding: "Resource::*",
	reason: "AWS X-Ray knows no resources for xray:Put* and xray:GetSampling*, nor CloudWatch Logs for the delivery of a " +
		"state machine's log.",
}

// accessIsNotLogged acknowledges that a bucket has no server access logs.
var accessIsNotLogged = acknowledgement{
	rule: "AwsSolutions-S1",
	reason: "Objects are written and read by the functions alone, which log each request. Access logs would need another bucket, and " +
		"are delivered without a guarantee; data events of AWS CloudTrail tell the same with one.",
}

// acknowledgeFunction acknowledges what is found of a function with a role of its own.
func acknowledgeFunction(function awslambda.Function, role awsiam.Role) {
	acknowledge(function, neverInvokedAsynchronously)
	acknowledgePolicy(role, tracesHaveNoResource)
}

// acknowledgePolicy acknowledges what is found of the policy that holds the rights of a role.
func acknowledgePolicy(role awsiam.Role, a acknowledgement) {
	// Whoever has the CDK use roles that others create (Role_CustomizeRoles) has no policy.
	if policy := role.Node().TryFindChild(jsii.String("DefaultPolicy")); policy != nil {
		acknowledge(policy, a)
	}
}

// acknowledge acknowledges a finding in both ways that there are. Version 3 of cdk-nag looks for what the CDK was told of a
// construct. Version 2, and whoever checks templates, looks at the metadata of the resource.
func acknowledge(scope constructs.IConstruct, a acknowledgement) {
	id, rule := a.rule, map[string]any{"id": a.rule, "reason": a.reason}
	if a.finding != "" {
		id += "[" + a.finding + "]"
		rule["applies_to"] = []string{a.finding}
	}
	awscdk.Validations_Of(scope).Acknowledge(&awscdk.Acknowledgment{Id: &id, Reason: &a.reason})
	if resource, ok := scope.Node().DefaultChild().(awscdk.CfnResource); ok {
		resource.AddMetadata(jsii.String("cdk_nag"), map[string]any{"rules_to_suppress": []any{rule}})
	}
}
