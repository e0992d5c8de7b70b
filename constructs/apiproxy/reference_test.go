//go:build !race

package apiproxy_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// deployedOrders are the outputs of a stack.
var deployedOrders = &apiproxy.UrlAttributes{
	Url:        "https://abc123.lambda-url.eu-central-1.on.aws/",
	GatewayArn: "arn:aws:lambda:eu-central-1:123456789012:function:Shop-Orders-1A2B3C4D-gateway:live",
}

// rightsOfTheUrl are what a caller needs, as GrantInvoke of the construct itself gives it.
func rightsOfTheUrl(holder, resource string) []string {
	return []string{
		holder + ": Allow lambda:InvokeFunction on " + resource + " if Bool lambda:InvokedViaFunctionUrl true",
		holder + ": Allow lambda:InvokeFunctionUrl on " + resource + " if StringEquals lambda:FunctionUrlAuthType AWS_IAM",
	}
}

func TestAReferenceGrantsWhatTheConstructItselfGrants(t *testing.T) {
	app, stack := newStack()
	orders := apiproxy.RetryingApiProxy_FromUrlAttributes(stack, jsii.String("Orders"), deployedOrders)
	if got := *orders.Endpoint(); got != "https://abc123.lambda-url.eu-central-1.on.aws/" {
		t.Errorf("the endpoint is %s", got)
	}
	orders.GrantInvoke(newWorker(stack)).AssertSuccess()
	template := synthesise(app)["Shop"]
	var got []string
	for _, line := range template.statements() {
		if !strings.Contains(line, "sts:AssumeRole") {
			got = append(got, line)
		}
	}
	if difference := cmp.Diff(rightsOfTheUrl("${"+template.roles()[0].id+"}", deployedOrders.GatewayArn), got); difference != "" {
		t.Errorf("(-want +got):\n%s", difference)
	}

	granted := variants()["Granted"]
	own := 0
	for _, want := range rightsOfTheUrl("", "${"+granted.aliasOf(t, granted.gateway()).id+"}") {
		for _, line := range granted.statements() {
			if strings.HasSuffix(line, want) {
				own++
			}
		}
	}
	if own != 2 {
		t.Errorf("GrantInvoke of the construct gives %d of the two rights that a reference gives", own)
	}
}

func TestAReferenceDoesNotPretendToGrantWhatOnlyTheOwnerCan(t *testing.T) {
	_, stack := newStack()
	orders := apiproxy.RetryingApiProxy_FromUrlAttributes(stack, jsii.String("Orders"), deployedOrders)
	message := panicOf(t, func() { orders.GrantInvoke(awsiam.NewAccountPrincipal(jsii.String("210987654321"))) })
	for _, want := range []string{"GrantInvoke of Shop/Orders", "210987654321", "call GrantInvoke of the RetryingApiProxy itself"} {
		if !strings.Contains(message, want) {
			t.Errorf("the message does not say %q:\n%s", want, message)
		}
	}
}

func TestAReferenceSaysAllThatIsWrongWithItsAttributes(t *testing.T) {
	_, stack := newStack()
	for name, c := range map[string]struct {
		attributes *apiproxy.UrlAttributes
		says       []string
	}{
		"nothing": {nil, []string{`Url is ""; give the https URL`, `GatewayArn is ""; give the ARN`}},
		"the function": {&apiproxy.UrlAttributes{Url: "http://abc123.lambda-url.eu-central-1.on.aws/",
			GatewayArn: "arn:aws:lambda:eu-central-1:123456789012:function:Shop-gateway"}, []string{`Url is "http://`, "which ends with :live"}},
	} {
		message := panicOf(t, func() { apiproxy.RetryingApiProxy_FromUrlAttributes(stack, jsii.String("Orders"), c.attributes) })
		for _, want := range c.says {
			if !strings.Contains(message, want) {
				t.Errorf("%s: the message does not say %q:\n%s", name, want, message)
			}
		}
	}
	// Known at deployment only.
	apiproxy.RetryingApiProxy_FromUrlAttributes(stack, jsii.String("Imported"), &apiproxy.UrlAttributes{
		Url: *awscdk.Fn_ImportValue(jsii.String("OrdersUrl")), GatewayArn: *awscdk.Fn_ImportValue(jsii.String("OrdersGateway")),
	})
}

func TestTheGatewaysAliasIsAnOutputForReferences(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		want := "${" + template.aliasOf(t, template.gateway()).id + "}"
		for name, output := range template.Outputs {
			if strings.Contains(name, "GatewayArn") && flat(output.Value) == want {
				return
			}
		}
		t.Errorf("no output GatewayArn is %s", want)
	})
}

// newWorker is a role that a function could have.
func newWorker(scope awscdk.Stack) awsiam.Role {
	return awsiam.NewRole(scope, jsii.String("Worker"), &awsiam.RoleProps{AssumedBy: awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil)})
}

func TestSupportMayReadTheRecordsOfOneRetryingApiProxyAndNothingElse(t *testing.T) {
	app := newApp(nothingBundled)
	stack := awscdk.NewStack(app, jsii.String("Shop"), &awscdk.StackProps{Env: &awscdk.Environment{Region: jsii.String("eu-central-1")}})
	newShared(stack).proxy(stack, "Orders").GrantReadRecords(newWorker(stack)).AssertSuccess()
	template := synthesise(app)["Shop"]
	var got []string
	for _, line := range template.statements() {
		if strings.HasPrefix(line, "${Worker") && !strings.Contains(line, "sts:AssumeRole") {
			got = append(got, line[strings.Index(line, ": ")+2:])
		}
	}
	want := []string{
		"Allow dynamodb:GetItem, dynamodb:Query on ${" + template.the(tableType).id + ".Arn} if ForAllValues:StringLike dynamodb:LeadingKeys Orders#*",
		"Allow kms:Decrypt, kms:DescribeKey on ${" + template.the("AWS::KMS::Key").id + ".Arn}",
	}
	if difference := cmp.Diff(want, got); difference != "" {
		t.Errorf("(-want +got):\n%s", difference)
	}
}
