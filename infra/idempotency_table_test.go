//go:build !race

package main

import (
	"slices"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// records synthesises a stack with an idempotency table and a role that may use its records, and nothing else.
func records(props func(awscdk.Stack) *apiproxy.IdempotencyTableProps) template {
	app := newApp(deployed(), nothingBundled)
	stack := awscdk.NewStack(app, jsii.String("Shop"), &awscdk.StackProps{Env: &awscdk.Environment{Region: jsii.String("eu-central-1")}})
	table := apiproxy.NewIdempotencyTable(stack, jsii.String("Records"), props(stack))
	apiproxy.GrantRecords(table, awsiam.NewRole(stack, jsii.String("Payments"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
	}))
	return synthesise(app)["Shop"]
}

// single are the rights that package idempotency needs.
var single = []string{"dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"}

func TestAnIdempotencyTableStandsOnItsOwn(t *testing.T) {
	template := records(func(awscdk.Stack) *apiproxy.IdempotencyTableProps { return nil })
	table := template.the(tableType)
	if got, want := flat(table.at("KeySchema")), `[{"AttributeName":"id","KeyType":"HASH"}]`; got != want {
		t.Errorf("the key is %s; want %s", got, want)
	}
	if got, want := flat(table.at("TimeToLiveSpecification")), `{"AttributeName":"expiration","Enabled":true}`; got != want {
		t.Errorf("the time to live is %s; want %s", got, want)
	}
	if name := table.at("TableName"); name != nil || table.DeletionPolicy != "Retain" {
		t.Errorf("by default the table is called %v and its deletion policy is %s", name, table.DeletionPolicy)
	}
	if difference := cmp.Diff(single, template.actionsOf(template.the("AWS::IAM::Role"))); difference != "" {
		t.Errorf("whoever is granted records may (-want +got):\n%s", difference)
	}
	for _, action := range single {
		if got := template.resourcesOf(template.the("AWS::IAM::Role"), action); !slices.Equal(got, []string{"${" + table.id + ".Arn}"}) {
			t.Errorf("%s is granted on %v; want the table alone", action, got)
		}
	}
}

func TestAnIdempotencyTableIsNamedEncryptedAndDestroyedAsTold(t *testing.T) {
	template := records(func(stack awscdk.Stack) *apiproxy.IdempotencyTableProps {
		return &apiproxy.IdempotencyTableProps{
			TableName:     "payments",
			EncryptionKey: awskms.NewKey(stack, jsii.String("Key"), nil),
			RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
		}
	})
	table, key, role := template.the(tableType), template.the("AWS::KMS::Key"), template.the("AWS::IAM::Role")
	if table.at("TableName") != "payments" || table.DeletionPolicy != "Delete" {
		t.Errorf("the table is called %v and its deletion policy is %s", table.at("TableName"), table.DeletionPolicy)
	}
	if got := table.at("SSESpecification", "SSEType"); got != "KMS" {
		t.Errorf("the table is encrypted with %v", got)
	}
	for _, action := range []string{"kms:Decrypt", "kms:GenerateDataKey*"} {
		if got := template.resourcesOf(role, action); !slices.Equal(got, []string{"${" + key.id + ".Arn}"}) {
			t.Errorf("%s is granted on %v; want the key", action, got)
		}
	}
	for _, action := range single {
		if got := template.resourcesOf(role, action); len(got) != 1 {
			t.Errorf("%s is granted on %v; want the table", action, got)
		}
	}
}
