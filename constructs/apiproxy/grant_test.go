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

// Permissions of the alias are what this side gives. The other account, or the organization's, gives both actions in policies of its own.
func TestGrantInvokeLetsPrincipalsOfOtherAccountsInByBothPermissions(t *testing.T) {
	app := newApp(nothingBundled)
	principals := map[string]func(awscdk.Stack) awsiam.IGrantable{
		"Role": func(stack awscdk.Stack) awsiam.IGrantable {
			return awsiam.Role_FromRoleArn(stack, jsii.String("Worker"), jsii.String("arn:aws:iam::210987654321:role/worker"), nil)
		},
		"Account": func(awscdk.Stack) awsiam.IGrantable {
			return awsiam.NewAccountPrincipal(jsii.String("210987654321"))
		},
		"Arn": func(awscdk.Stack) awsiam.IGrantable {
			return awsiam.NewArnPrincipal(jsii.String("arn:aws:iam::210987654321:role/worker"))
		},
		"Organization": func(awscdk.Stack) awsiam.IGrantable {
			return awsiam.NewOrganizationPrincipal(jsii.String("o-a1b2c3d4e5"))
		},
	}
	for name, principal := range principals {
		stack := awscdk.NewStack(app, jsii.String(name), &awscdk.StackProps{Env: &awscdk.Environment{
			Account: jsii.String("123456789012"), Region: jsii.String("eu-central-1"),
		}})
		props := minimal()
		props.ProxyCount = 1
		apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props).GrantInvoke(principal(stack)).AssertSuccess()
	}
	templates := synthesise(app)
	for name, who := range map[string]string{
		"Role": "arn:aws:iam::210987654321:role/worker", "Account": "210987654321", "Arn": "arn:aws:iam::210987654321:role/worker", "Organization": "*",
	} {
		template := templates[name]
		within := ""
		if name == "Organization" {
			within = " and PrincipalOrgID o-a1b2c3d4e5"
		}
		alias := "${" + template.aliasOf(t, template.gateway()).id + "}"
		want := []string{
			alias + ": Allow " + who + " lambda:InvokeFunction if InvokedViaFunctionUrl true" + within,
			alias + ": Allow " + who + " lambda:InvokeFunctionUrl if FunctionUrlAuthType AWS_IAM" + within,
		}
		var got []string
		for _, line := range template.statements() {
			if strings.HasPrefix(line, alias+": ") {
				got = append(got, line)
			}
		}
		if difference := cmp.Diff(want, got); difference != "" {
			t.Errorf("%s (-want +got):\n%s", name, difference)
		}
	}
}

// Two distributions are the same service, and differ in a condition only.
func TestGrantInvokeTellsDistributionsApart(t *testing.T) {
	app, stack := newStack()
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), minimal())
	want := map[string]int{}
	for _, id := range []string{"E1EXAMPLE", "E2EXAMPLE"} {
		arn := "arn:aws:cloudfront::123456789012:distribution/" + id
		want[arn] = 2
		for range 2 { // to grant it once more changes nothing
			proxy.GrantInvoke(awsiam.NewServicePrincipal(jsii.String("cloudfront.amazonaws.com"), &awsiam.ServicePrincipalOpts{
				Conditions: &map[string]any{"ArnLike": map[string]any{"aws:SourceArn": arn}},
			}))
		}
	}
	got := map[string]int{}
	for _, permission := range synthesise(app)["Shop"].ofType("AWS::Lambda::Permission") {
		got[flat(permission.at("SourceArn"))]++
	}
	if difference := cmp.Diff(want, got); difference != "" {
		t.Errorf("permissions by distribution (-want +got):\n%s", difference)
	}
}
