package main

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/gofunction"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/verification/scripted"
)

// scriptedUpstream is the main package of the scripted upstream.
const scriptedUpstream = "github.com/retrying-api-proxy/retrying-api-proxy/infra/verification/upstream"

// stacks creates what the context asks for: the stack of this repository, or in its place the one that verifies a deployment.
func stacks(app awscdk.App) {
	switch text := context(app.Node(), "verification", "false"); text {
	case "false":
		newProxyStack(app, "RetryingApiProxy")
	case "true":
		newVerificationStack(app, "RetryingApiProxyVerification")
	default:
		panic(fmt.Sprintf("context verification is %q; give true or false", text))
	}
}

// newVerificationStack creates the stack that make verify runs the cases of the contract against: a RetryingApiProxy in the
// variant that the context asks for, in front of a scripted upstream. It calls nobody else, and nothing of it is left when it
// is destroyed.
//
// Some of the context is left out. Nobody's credential goes to the scripted upstream. Nobody is called back, and no alarm told. What
// costs while idle is not there. And there is no flow control, by which each case would depend on all others, which run at the same
// time. The circuit breaker is as the context has it, for each path by itself.
func newVerificationStack(scope constructs.Construct, id string) awscdk.Stack {
	stack := awscdk.NewStack(scope, &id, &awscdk.StackProps{
		Description: jsii.String("A RetryingApiProxy in front of an upstream that fails as it is told; can be destroyed at any time"),
	})
	props, _, err := propsFrom(stack.Node())
	if err != nil {
		panic(fmt.Sprintf("%s cannot be built with this context:\n%v", id, err))
	}
	upstream := newScriptedUpstream(stack, props.Architecture)
	props.Upstream = apiproxy.Upstream{BaseURL: upstream}
	props.Callback = nil
	props.FlowControl = apiproxy.FlowControl{}
	props.Alarms, props.Dashboard, props.SavedQueries, props.Egress = nil, nil, false, apiproxy.Egress{}
	props.RemovalPolicy = awscdk.RemovalPolicy_DESTROY
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Proxy"), props)

	awscdk.NewCfnOutput(stack, jsii.String("EndpointUrl"), &awscdk.CfnOutputProps{
		Value:       proxy.Url.Url(),
		Description: jsii.String("URL of make verify"),
	})
	awscdk.NewCfnOutput(stack, jsii.String("UpstreamUrl"), &awscdk.CfnOutputProps{
		Value:       &upstream,
		Description: jsii.String("UPSTREAM_URL of make verify: whoever knows it can say what the scripted upstream answers"),
	})
	return stack
}

// newScriptedUpstream creates the scripted upstream, and returns its URL. The URL takes unsigned requests, so that what callers
// send as Authorization arrives as it is; what keeps others out is the last part of the stack's id, as a secret in the path.
func newScriptedUpstream(stack awscdk.Stack, architecture awslambda.Architecture) string {
	scope := constructs.NewConstruct(stack, jsii.String("Upstream"))
	table := awsdynamodb.NewTableV2(scope, jsii.String("Scripts"), &awsdynamodb.TablePropsV2{
		PartitionKey:        &awsdynamodb.Attribute{Name: jsii.String("script"), Type: awsdynamodb.AttributeType_STRING},
		SortKey:             &awsdynamodb.Attribute{Name: jsii.String("item"), Type: awsdynamodb.AttributeType_STRING},
		TimeToLiveAttribute: jsii.String("expiration"),
		RemovalPolicy:       awscdk.RemovalPolicy_DESTROY,
	})
	secret := *awscdk.Fn_Select(jsii.Number(2), awscdk.Fn_Split(jsii.String("/"), stack.StackId(), nil))
	function := gofunction.NewFunction(scope, jsii.String("Function"), scriptedUpstream, &awslambda.FunctionProps{
		Description:  jsii.String("Answers as the cases of the contract say, and tells what arrived"),
		Architecture: architecture,
		MemorySize:   jsii.Number(256),
		Timeout:      awscdk.Duration_Seconds(jsii.Number(scripted.MaxHold.Seconds() + 5)),
		Environment:  &map[string]*string{"TABLE_NAME": table.TableName(), "SECRET_PATH": &secret},
		LogGroup: awslogs.NewLogGroup(scope, jsii.String("Logs"), &awslogs.LogGroupProps{
			Retention:     awslogs.RetentionDays_ONE_WEEK,
			RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
		}),
	})
	table.Grant(function, jsii.String("dynamodb:GetItem"), jsii.String("dynamodb:PutItem"), jsii.String("dynamodb:UpdateItem"),
		jsii.String("dynamodb:Query"))
	url := function.AddFunctionUrl(&awslambda.FunctionUrlOptions{AuthType: awslambda.FunctionUrlAuthType_NONE})
	return *url.Url() + secret // the URL ends with a slash
}
