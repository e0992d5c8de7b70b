// Package nagrule acknowledges what cdk-nag finds of the constructs, and what stands all the same.
package nagrule

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// An Acknowledgement is a finding of cdk-nag, which checks CDK apps for security, with the reason why it stands. What can
// be cured is not acknowledged.
type Acknowledgement struct {
	Rule string

	// Finding is what the rule finds, if it tells several things of a resource.
	Finding string

	Reason string
}

// Acknowledge acknowledges all findings of a construct that stand, in both ways that there are. Version 3 of cdk-nag looks for
// what the CDK was told of a construct. Version 2, and whoever checks templates, looks at the metadata of the resource.
func Acknowledge(scope constructs.IConstruct, all ...Acknowledgement) {
	var rules []any
	for _, a := range all {
		id, rule := a.Rule, map[string]any{"id": a.Rule, "reason": a.Reason}
		if a.Finding != "" {
			id += "[" + a.Finding + "]"
			rule["applies_to"] = []string{a.Finding}
		}
		awscdk.Validations_Of(scope).Acknowledge(&awscdk.Acknowledgment{Id: &id, Reason: &a.Reason})
		rules = append(rules, rule)
	}
	if resource, ok := scope.Node().DefaultChild().(awscdk.CfnResource); ok {
		if before, ok := resource.GetMetadata(jsii.String("cdk_nag")).(map[string]any); ok {
			rules = append(before["rules_to_suppress"].([]any), rules...)
		}
		resource.AddMetadata(jsii.String("cdk_nag"), map[string]any{"rules_to_suppress": rules})
	}
}

// Resource is the finding of a rule about a resource with an asterisk, as cdk-nag writes it: with references in angle brackets.
func Resource(scope constructs.Construct, arn *string) string {
	return "Resource::" + flat(awscdk.Stack_Of(scope).Resolve(arn))
}

// flat writes a value of a template as text.
func flat(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case map[string]any:
		if joined, ok := v["Fn::Join"].([]any); ok {
			var text strings.Builder
			for _, part := range joined[1].([]any) {
				text.WriteString(flat(part))
			}
			return text.String()
		}
		if got, ok := v["Fn::GetAtt"].([]any); ok {
			return fmt.Sprintf("<%v.%v>", got[0], got[1])
		}
		return fmt.Sprintf("<%v>", v["Ref"])
	}
	return fmt.Sprint(value)
}
