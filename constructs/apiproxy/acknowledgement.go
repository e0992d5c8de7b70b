package apiproxy

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy/internal/nagrule"
)

// withoutDeadLetterQueue acknowledges that a function has no dead-letter queue.
var withoutDeadLetterQueue = nagrule.Acknowledgement{
	Rule:   "Serverless-LambdaDLQ",
	Reason: "Whoever invokes the function waits for its answer, or is of package triggers, which has a destination for what failed.",
}

// tracesHaveNoResource acknowledges what a function is granted for AWS X-Ray.
var tracesHaveNoResource = nagrule.Acknowledgement{
	Rule:    "AwsSolutions-IAM5",
	Finding: "Resource::*",
	Reason:  "AWS X-Ray knows no resources for xray:PutTraceSegments and xray:PutTelemetryRecords.",
}

// tracesAndLogDeliveryHaveNoResource acknowledges what a state machine is granted for AWS X-Ray and CloudWatch Logs.
var tracesAndLogDeliveryHaveNoResource = nagrule.Acknowledgement{
	Rule:    "AwsSolutions-IAM5",
	Finding: "Resource::*",
	Reason: "AWS X-Ray knows no resources for xray:Put* and xray:GetSampling*, nor CloudWatch Logs for the delivery of a " +
		"state machine's log.",
}

// tracesAndInterfacesHaveNoResource acknowledges what a function in a VPC is granted for AWS X-Ray and for its connection.
var tracesAndInterfacesHaveNoResource = nagrule.Acknowledgement{
	Rule:    "AwsSolutions-IAM5",
	Finding: "Resource::*",
	Reason: "AWS X-Ray knows no resources for xray:PutTraceSegments and xray:PutTelemetryRecords. Lambda connects a function to its VPC " +
		"by interfaces that have no names before; the function itself is denied the same.",
}

// withoutFlowLogs acknowledges that the VPC that is created has no flow logs.
var withoutFlowLogs = nagrule.Acknowledgement{
	Rule:   "AwsSolutions-VPC7",
	Reason: "Only the proxies are in the VPC, and they log each attempt. Flow logs would cost more than that for the same.",
}

// accessIsNotLogged acknowledges that a bucket has no server access logs.
var accessIsNotLogged = nagrule.Acknowledgement{
	Rule: "AwsSolutions-S1",
	Reason: "Objects are written and read by the functions alone, which log each request. Access logs would need another bucket, and " +
		"are delivered without a guarantee; data events of AWS CloudTrail tell the same with one.",
}

// acknowledgeFunction acknowledges what is found of a function with a role of its own.
func acknowledgeFunction(function awslambda.Function, role awsiam.IRole, inVpc bool) {
	nagrule.Acknowledge(function, withoutDeadLetterQueue)
	if inVpc {
		acknowledgePolicy(role, tracesAndInterfacesHaveNoResource)
		return
	}
	acknowledgePolicy(role, tracesHaveNoResource)
}

// acknowledgePolicy acknowledges what is found of the policy that holds the rights of a role.
func acknowledgePolicy(role awsiam.IRole, a nagrule.Acknowledgement) {
	// Whoever has the CDK use roles that others create (Role_CustomizeRoles) has no policy, nor has a role that is immutable. That of a
	// role that is imported is called Policy, with the id of the role behind it where the CDK has been told to make it unique.
	for _, child := range *role.Node().Children() {
		if id := *child.Node().Id(); id == "DefaultPolicy" || strings.HasPrefix(id, "Policy") {
			nagrule.Acknowledge(child, a)
		}
	}
}
