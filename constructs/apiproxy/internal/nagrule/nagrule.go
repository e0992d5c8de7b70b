// Package nagrule acknowledges what cdk-nag finds of the constructs, and what stands all the same.
package nagrule

import (
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
		resource.AddMetadata(jsii.String("cdk_nag"), map[string]any{"rules_to_suppress": rules})
	}
}
