//go:build !race

package apiproxy_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// A platform puts a boundary on all roles of its account, and refuses to create others.
func TestAPermissionsBoundaryReachesEveryRole(t *testing.T) {
	app := newApp(nothingBundled)
	stack := awscdk.NewStack(app, jsii.String("Shop"), nil)
	awsiam.PermissionsBoundary_Of(stack).Apply(awsiam.ManagedPolicy_FromManagedPolicyName(stack, jsii.String("Boundary"), jsii.String("platform")))
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), everything())
	proxy.GrantInvoke(awsiam.NewAccountPrincipal(jsii.String("210987654321")))
	template := synthesise(app)["Shop"]
	roles := template.roles()
	if want := len(template.functions()) + len(template.machines()); len(roles) != want {
		t.Errorf("%d roles; want %d, those of functions and state machines", len(roles), want)
	}
	for _, role := range roles {
		if got, want := flat(role.at("PermissionsBoundary")), "arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/platform"; got != want {
			t.Errorf("%s has the boundary %q; want %s", role.id, got, want)
		}
	}
	for _, resource := range template.Resources {
		if strings.HasPrefix(resource.Type, "Custom::") || resource.Type == "AWS::CloudFormation::CustomResource" {
			t.Errorf("%s is a custom resource, whose role a boundary has to reach, too", resource.id)
		}
	}
}

// untaggable are the types of resources that have no tags, of those that a RetryingApiProxy creates.
var untaggable = []string{
	"AWS::EC2::Route", "AWS::EC2::SubnetRouteTableAssociation", "AWS::EC2::VPCGatewayAttachment",
	"AWS::IAM::Policy", "AWS::Lambda::Alias", "AWS::Lambda::Permission", "AWS::Lambda::Url", "AWS::Lambda::Version",
	"AWS::Logs::MetricFilter", "AWS::Logs::QueryDefinition", "AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::StepFunctions::StateMachineVersion",
}

func TestTagsReachEveryResourceThatCanHaveThem(t *testing.T) {
	app := newApp(nothingBundled)
	stack := awscdk.NewStack(app, jsii.String("Shop"), &awscdk.StackProps{Env: &awscdk.Environment{Region: jsii.String("eu-central-1")}})
	props := everything()
	props.EncryptionKey = awskms.NewKey(stack, jsii.String("Key"), nil)
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props)
	awscdk.Tags_Of(proxy).Add(jsii.String("cost-centre"), jsii.String("4711"), nil)
	template := synthesise(app)["Shop"]
	tagged := map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(template.Resources)) {
		resource := template.Resources[id]
		if slices.Contains(untaggable, resource.Type) || resource.Type == "AWS::KMS::Key" { // which is not the construct's
			continue
		}
		tags := flat(resource.at("Tags"))
		if resource.Type == tableType {
			replicas, _ := resource.at("Replicas").([]any)
			tags = flat(at(replicas[0], "Tags"))
		}
		if !strings.Contains(tags, `{"Key":"cost-centre","Value":"4711"}`) {
			t.Errorf("%s, of type %s, has the tags %s", id, resource.Type, tags)
		}
		tagged[resource.Type] = true
	}
	// Functions, roles, log groups, state machines, the table, the bucket, the queue, the secret, alarms and the dashboard, and of the
	// network VPC, subnets, route tables, gateways of two kinds, addresses, endpoints and the security group.
	if len(tagged) != 18 {
		t.Errorf("these types are tagged: %v", slices.Sorted(maps.Keys(tagged)))
	}
}
