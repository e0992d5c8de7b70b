//go:build !race

package apiproxy_test

import (
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// A function URL wants two permissions of whoever calls it, lambda:InvokeFunctionUrl and lambda:InvokeFunction.
func TestGrantInvokeGivesBothPermissionsToADistributionAndToAnotherAccount(t *testing.T) {
	const distribution = "arn:aws:cloudfront::123456789012:distribution/E2EXAMPLE"
	app := newApp(nothingBundled)
	for name, principal := range map[string]awsiam.IGrantable{
		"Distribution": awsiam.NewServicePrincipal(jsii.String("cloudfront.amazonaws.com"), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{"ArnLike": map[string]any{"aws:SourceArn": distribution}},
		}),
		"Account": awsiam.NewAccountPrincipal(jsii.String("210987654321")),
	} {
		stack := awscdk.NewStack(app, jsii.String(name), nil)
		apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), minimal()).GrantInvoke(principal)
	}
	templates := synthesise(app)
	for name, want := range map[string]struct{ principal, source string }{
		"Distribution": {"cloudfront.amazonaws.com", distribution}, "Account": {"210987654321", ""},
	} {
		template := templates[name]
		given := map[string]bool{}
		for _, permission := range template.ofType("AWS::Lambda::Permission") {
			action := flat(permission.at("Action"))
			given[action] = true
			if template.referred(permission.at("FunctionName")) != template.aliasOf(t, template.gateway()) {
				t.Errorf("%s: %s is for %v", name, action, permission.at("FunctionName"))
			}
			source, _ := permission.at("SourceArn").(string)
			if got := flat(permission.at("Principal")); got != want.principal || source != want.source {
				t.Errorf("%s: %s is for %s from %q, want %s from %q", name, action, got, source, want.principal, want.source)
			}
		}
		if !given["lambda:InvokeFunctionUrl"] || !given["lambda:InvokeFunction"] || len(given) != 2 {
			t.Errorf("%s: the permissions are %v", name, given)
		}
	}
}
