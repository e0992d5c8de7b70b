//go:build !race

package apiproxy_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

func TestLogsAreKeptWithTheTableIfThePropsSaySo(t *testing.T) {
	app := newApp(nothingBundled)
	props := minimal()
	props.ProxyCount, props.RemovalPolicy = 1, awscdk.RemovalPolicy_RETAIN
	apiproxy.NewRetryingApiProxy(awscdk.NewStack(app, jsii.String("Kept"), nil), jsii.String("Orders"), props)
	template := synthesise(app)["Kept"]
	groups := template.ofType("AWS::Logs::LogGroup")
	if len(groups) != 3 {
		t.Errorf("%d log groups; want those of the proxy, the gateway and the state machine", len(groups))
	}
	for _, kept := range append(groups, template.the(tableType)) {
		if kept.DeletionPolicy != "Retain" {
			t.Errorf("%s has the deletion policy %s; want Retain", kept.id, kept.DeletionPolicy)
		}
	}
}

// Whoever deletes a stack and deploys it again has a new table, which knows none of the keys.
func TestTheOutputsSayWhatStaysWhenTheStackIsDeleted(t *testing.T) {
	for name, want := range map[string]map[string]string{
		"LargeBodies":    {"TableName": "stays when the stack is deleted", "BucketName": "stays when the stack is deleted"},
		"Everything":     {"TableName": "is deleted with the stack", "BucketName": "is deleted with the stack"},
		"ExistingTable":  {"TableName": "is not of this construct"},
		"ExistingBucket": {"TableName": "stays when the stack is deleted", "BucketName": "is not of this construct"},
	} {
		template := variants()[name]
		got := map[string]string{}
		for id, output := range template.Outputs {
			for _, kept := range []string{"TableName", "BucketName"} {
				if strings.Contains(id, kept) {
					_, got[kept], _ = strings.Cut(output.Description, ", which ")
				}
			}
		}
		if difference := cmp.Diff(want, got); difference != "" {
			t.Errorf("%s (-want +got):\n%s", name, difference)
		}
	}
	for name, want := range map[string]string{"LargeBodies": "Retain", "Everything": "Delete"} {
		for _, kind := range []string{tableType, bucketType} {
			if got := variants()[name].the(kind).DeletionPolicy; got != want {
				t.Errorf("%s: the policy of %s is %s, want %s", name, kind, got, want)
			}
		}
	}
}

// The table of docs/platform.md, "What stays".
func TestWhatHoldsDataStaysOrGoesAsDocumented(t *testing.T) {
	const secret, queue, logs = "AWS::SecretsManager::Secret", "AWS::SQS::Queue", "AWS::Logs::LogGroup"
	for name, want := range map[string]map[string]string{
		"CallbackLetters": {tableType: "Retain", secret: "Delete", queue: "Delete", logs: "Delete"},
		"LargeBodies":     {tableType: "Retain", bucketType: "Retain", logs: "Delete"},
		"Everything":      {tableType: "Delete", bucketType: "Delete", secret: "Delete", queue: "Delete", logs: "Delete"}, // with DESTROY
	} {
		for kind, policy := range want {
			found := variants()[name].ofType(kind)
			if len(found) == 0 {
				t.Errorf("%s has no %s", name, kind)
			}
			for _, resource := range found {
				got := resource.DeletionPolicy
				if got == "" {
					got = "Delete" // as CloudFormation has it
				}
				if got != policy {
					t.Errorf("%s: the policy of %s is %s, want %s", name, resource.id, got, policy)
				}
			}
		}
	}
}
