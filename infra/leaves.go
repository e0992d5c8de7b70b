package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/aws/aws-cdk-go/awscdk/v2"
)

// deletion is the command by which a resource of a type is deleted that was left, with what is in it.
var deletion = map[string]string{
	"AWS::DynamoDB::GlobalTable":  "aws dynamodb delete-table --table-name NAME",
	"AWS::Logs::LogGroup":         "aws logs delete-log-group --log-group-name NAME",
	"AWS::S3::Bucket":             "aws s3 rb --force s3://NAME",
	"AWS::SecretsManager::Secret": "aws secretsmanager delete-secret --secret-id NAME",
}

// holdsData are the types of resources that hold what nothing else does.
var holdsData = []string{
	"AWS::DynamoDB::GlobalTable", "AWS::Logs::LogGroup", "AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SecretsManager::Secret",
}

// goesAlong is a type whose resources are kept for rollbacks, and deleted with what they belong to.
const goesAlong = "AWS::StepFunctions::StateMachineVersion"

// leaves prints what cdk destroy leaves in the account of the stack that the context asks for, and what it deletes that holds data.
// It reads that in the template.
func leaves(app awscdk.App, out io.Writer) {
	stack, _ := newProxyStack(app, "RetryingApiProxy")
	template := app.Synth(nil).GetStackByName(stack.StackName()).Template().(map[string]any)
	resources := template["Resources"].(map[string]any)

	var left []string
	deleted := map[string]int{}
	for _, id := range slices.Sorted(maps.Keys(resources)) {
		resource := resources[id].(map[string]any)
		kind := resource["Type"].(string)
		policy, _ := resource["DeletionPolicy"].(string)
		switch {
		case strings.HasPrefix(policy, "Retain") && kind != goesAlong:
			left = append(left, id)
		case slices.Contains(holdsData, kind):
			deleted[kind]++
		}
	}

	if len(left) == 0 {
		fmt.Fprintln(out, "make destroy leaves nothing.")
	} else {
		fmt.Fprint(out, "make destroy leaves these in the account, with what is in them:\n\n")
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, id := range left {
			kind := resources[id].(map[string]any)["Type"].(string)
			fmt.Fprintf(w, "  %s\t%s\t%s\n", kind, id, deletion[kind])
		}
		w.Flush()
		fmt.Fprintf(out, "\nTheir names, as long as the stack is there:\n\n  aws cloudformation describe-stack-resources --stack-name %s --output text \\\n"+
			"    --query \"StackResources[?contains(['%s'], LogicalResourceId)].[LogicalResourceId,PhysicalResourceId]\"\n",
			*stack.StackName(), strings.Join(left, "','"))
	}
	if slices.ContainsFunc(left, func(id string) bool { return resources[id].(map[string]any)["Type"] == "AWS::DynamoDB::GlobalTable" }) {
		fmt.Fprint(out, "\nA stack that is deployed later has a new table, which knows none of the keys: a request that is repeated is carried out\n"+
			"again. make deploy TABLE=NAME has it use the old table.\n")
	}
	if len(deleted) > 0 {
		fmt.Fprint(out, "\nIt deletes these, with what is in them:\n\n")
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, kind := range slices.Sorted(maps.Keys(deleted)) {
			fmt.Fprintf(w, "  %s\t%d\n", kind, deleted[kind])
		}
		w.Flush()
	}
}
