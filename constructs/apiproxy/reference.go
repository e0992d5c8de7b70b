package apiproxy

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// An IRetryingApiProxy is a RetryingApiProxy of this stack, or one that is deployed elsewhere.
type IRetryingApiProxy interface {
	constructs.IConstruct

	// Endpoint is the URL that takes the requests of the upstream API.
	Endpoint() *string

	// GrantInvoke lets a principal call it.
	GrantInvoke(grantee awsiam.IGrantable) awsiam.Grant
}

var _ IRetryingApiProxy = (*RetryingApiProxy)(nil)

// Endpoint is the URL that takes the requests of the upstream API.
func (r *RetryingApiProxy) Endpoint() *string { return r.Url.Url() }

// UrlAttributes say which RetryingApiProxy is meant. Both are outputs of its stack.
type UrlAttributes struct {
	// Url is the endpoint, the output Url. It must be one with AWS_IAM. Required.
	Url string

	// GatewayArn is the ARN of the alias live of its gateway, the output GatewayArn. Required.
	GatewayArn string
}

// RetryingApiProxy_FromUrlAttributes refers to a RetryingApiProxy that is deployed by another app, or for another account or region. Within an
// app, the construct itself can be handed to other stacks.
//
//	orders := apiproxy.RetryingApiProxy_FromUrlAttributes(stack, jsii.String("Orders"), &apiproxy.UrlAttributes{
//		Url:        "https://abc123.lambda-url.eu-central-1.on.aws/",
//		GatewayArn: "arn:aws:lambda:eu-central-1:123456789012:function:Shop-Orders-1A2B3C4D-gateway:live",
//	})
//	orders.GrantInvoke(worker)
//
// Its GrantInvoke gives both rights that a call needs to what is granted by a policy of its own, such as a role of this app. Whose
// account is not that of the RetryingApiProxy must be let in there, too, by the GrantInvoke of the construct.
//
// It panics, as every construct does, with all that is wrong with the attributes.
func RetryingApiProxy_FromUrlAttributes(scope constructs.Construct, id *string, attributes *UrlAttributes) IRetryingApiProxy {
	if attributes == nil {
		attributes = &UrlAttributes{}
	}
	if err := attributes.validate(); err != nil {
		panic(fmt.Sprintf("the RetryingApiProxy that %q refers to is not known:\n%v", *id, err))
	}
	r := &reference{attributes: *attributes}
	constructs.NewConstruct_Override(r, scope, id)
	return r
}

func (a UrlAttributes) validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if endpoint, err := url.Parse(a.Url); !isToken(a.Url) && (err != nil || endpoint.Scheme != "https" || endpoint.Hostname() == "") {
		problem("Url is %q; give the https URL that is the output Url of its stack", a.Url)
	}
	if !isToken(a.GatewayArn) && !liveFunction.MatchString(a.GatewayArn) {
		problem("GatewayArn is %q; give the ARN that is the output GatewayArn of its stack, which ends with :%s", a.GatewayArn, liveAlias)
	}
	return errors.Join(problems...)
}

// liveFunction is the ARN of the alias live of a function.
var liveFunction = regexp.MustCompile(`^arn:[^:]+:lambda:[^:]+:[^:]+:function:[^:]+:` + liveAlias + `$`)

// A reference is a RetryingApiProxy that is deployed elsewhere.
type reference struct {
	constructs.Construct
	attributes UrlAttributes
}

func (r *reference) Endpoint() *string { return &r.attributes.Url }

func (r *reference) GrantInvoke(grantee awsiam.IGrantable) awsiam.Grant {
	grant := func(action, operator, key string, value any) awsiam.Grant {
		return awsiam.Grant_AddToPrincipal(&awsiam.GrantOnPrincipalOptions{
			Grantee:      grantee,
			Actions:      jsii.Strings(action),
			ResourceArns: jsii.Strings(r.attributes.GatewayArn),
			Conditions:   &map[string]*map[string]any{operator: {key: value}},
		})
	}
	both := grant("lambda:InvokeFunctionUrl", "StringEquals", "lambda:FunctionUrlAuthType", "AWS_IAM").
		Combine(grant("lambda:InvokeFunction", "Bool", "lambda:InvokedViaFunctionUrl", true))
	if !*both.Success() {
		panic(fmt.Sprintf("GrantInvoke of %s: the principal %v has no policy of its own that the rights could stand in; call GrantInvoke of the RetryingApiProxy itself, "+
			"in the app that creates it", *r.Node().Path(), resolvedJSON(r, grantee.GrantPrincipal().PolicyFragment().PrincipalJson())))
	}
	return both
}
