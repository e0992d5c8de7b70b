//go:build !race

package apiproxy_test

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

// tableType is the type of the resource that a TableV2 becomes.
const tableType = "AWS::DynamoDB::GlobalTable"

func TestTheTableHasTheKeyAndTheTimeToLiveOfIdempotencyRecords(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		for _, table := range template.ofType(tableType) {
			if got, want := flat(table.at("KeySchema")), `[{"AttributeName":"id","KeyType":"HASH"}]`; got != want {
				t.Errorf("the key is %s; want %s", got, want)
			}
			if got, want := flat(table.at("AttributeDefinitions")), `[{"AttributeName":"id","AttributeType":"S"}]`; got != want {
				t.Errorf("the attributes are %s; want %s", got, want)
			}
			if got, want := flat(table.at("TimeToLiveSpecification")), `{"AttributeName":"expiration","Enabled":true}`; got != want {
				t.Errorf("the time to live is %s; want %s", got, want)
			}
		}
	})
}

func TestTheTableIsPaidByRequestAndCanBeRestoredToAnyPointInTime(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		for _, table := range template.ofType(tableType) {
			if got := table.at("BillingMode"); got != "PAY_PER_REQUEST" {
				t.Errorf("the billing mode is %v", got)
			}
			replicas, _ := table.at("Replicas").([]any)
			if len(replicas) != 1 {
				t.Fatalf("%d replicas; want one", len(replicas))
			}
			if got := at(replicas[0], "PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled"); got != true {
				t.Errorf("point-in-time recovery is %v", got)
			}
		}
	})
}

func TestATableIsKeptWhenItsStackIsDestroyedUnlessToldOtherwise(t *testing.T) {
	for name, want := range map[string]string{"Minimal": "Retain", "NoFlags": "Retain", "Everything": "Delete"} {
		if got := variants()[name].the(tableType).DeletionPolicy; got != want {
			t.Errorf("%s: %s; want %s", name, got, want)
		}
	}
}

func TestAnExistingTableIsUsedAndNoneIsCreated(t *testing.T) {
	template := variants()["ExistingTable"]
	if tables := template.ofType(tableType); len(tables) != 0 {
		t.Errorf("%d tables are created", len(tables))
	}
	if got := template.gateway().at("Environment", "Variables", "TABLE_NAME"); got != "records" {
		t.Errorf("the gateway is told of the table %v", got)
	}
	definition := template.definition()
	for _, name := range definition.names(func(s state) bool { return s.Parameters["TableName"] != nil }) {
		if got := definition.States[name].Parameters["TableName"]; got != "records" {
			t.Errorf("%s writes to the table %v", name, got)
		}
	}
}

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
	for _, action := range []string{"kms:Decrypt", "kms:GenerateDataKey"} {
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
