package apiproxy_test

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/gofunction"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// An endpoint in front of an API, which one role may call.
func ExampleNewRetryingApiProxy() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Shop"), nil)

	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), &apiproxy.RetryingApiProxyProps{
		Upstream: apiproxy.Upstream{BaseURL: "https://api.example.com"},
	})
	proxy.GrantInvoke(awsiam.NewRole(stack, jsii.String("Caller"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewAccountRootPrincipal(),
	}))

	app.Synth(nil)
}

// An upstream that counts requests by address, is slow, and must not be asked twice for the same thing.
func ExampleNewRetryingApiProxy_policy() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Shop"), nil)

	apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), &apiproxy.RetryingApiProxyProps{
		Upstream:   apiproxy.Upstream{BaseURL: "https://api.example.com/v1"},
		ProxyCount: 5,
		Retry: retry.Policy{
			RateLimits:     retry.Budget{Attempts: 10},
			Scope:          retry.PerAddress,
			AttemptTimeout: 30 * time.Second,
			Deadline:       2 * time.Minute,
		},
		Idempotency: apiproxy.Idempotency{
			Required: apiproxy.KeyRequiredForUnsafe,
			TTL:      7 * 24 * time.Hour,
		},
	})

	app.Synth(nil)
}

// One table of idempotency records for a proxy and for a function that uses package idempotency itself.
func ExampleNewIdempotencyTable() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Shop"), nil)

	table := apiproxy.NewIdempotencyTable(stack, jsii.String("Records"), nil)
	apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), &apiproxy.RetryingApiProxyProps{
		Upstream: apiproxy.Upstream{BaseURL: "https://api.example.com"},
		Table:    table,
	})
	payments := gofunction.NewFunction(stack, jsii.String("Payments"), "example.com/shop/payments", &awslambda.FunctionProps{
		Environment: &map[string]*string{"TABLE_NAME": table.TableName()},
	})
	apiproxy.GrantRecords(table, payments)

	app.Synth(nil)
}

// In an account where roles and log groups are given out, three with one table, and what no prop says changed by a hook.
func ExampleNewRetryingApiProxy_platform() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Shop"), nil)
	awsiam.PermissionsBoundary_Of(stack).Apply(awsiam.ManagedPolicy_FromManagedPolicyName(stack, jsii.String("Boundary"), jsii.String("platform")))

	records := apiproxy.NewIdempotencyTable(stack, jsii.String("Records"), &apiproxy.IdempotencyTableProps{DeletionProtection: true})
	for _, name := range []string{"Orders", "Payments", "Refunds"} {
		role := func(of string) awsiam.IRole {
			return awsiam.Role_FromRoleName(stack, jsii.String(name+of), jsii.String(name+"-"+of), nil)
		}
		apiproxy.NewRetryingApiProxy(stack, &name, &apiproxy.RetryingApiProxyProps{
			Upstream:             apiproxy.Upstream{BaseURL: "https://api.example.com"},
			Table:                records,
			Roles:                apiproxy.Roles{Gateway: role("gateway"), Proxies: role("proxies"), StateMachines: role("machine")},
			GatewayMemorySizeMiB: 128,
			Customize: func(_ string, function *awslambda.FunctionProps) {
				function.EphemeralStorageSize = awscdk.Size_Gibibytes(jsii.Number(1))
			},
		})
	}

	app.Synth(nil)
}

// A worker of another app, and perhaps of another account, may call what this stack only refers to.
func ExampleIRetryingApiProxy() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Worker"), nil)

	orders := apiproxy.RetryingApiProxy_FromUrlAttributes(stack, jsii.String("Orders"), &apiproxy.UrlAttributes{
		Url:        "https://abc123.lambda-url.eu-central-1.on.aws/",
		GatewayArn: "arn:aws:lambda:eu-central-1:123456789012:function:Shop-Orders-1A2B3C4D-gateway:live",
	})
	worker := gofunction.NewFunction(stack, jsii.String("Worker"), "example.com/shop/worker", &awslambda.FunctionProps{
		Environment: &map[string]*string{"ORDERS_URL": orders.Endpoint()},
	})
	orders.GrantInvoke(worker)

	app.Synth(nil)
}

// An upstream on whose allow-list the proxies are, and one with a private address that lets them in.
func ExampleNewRetryingApiProxy_egress() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Shop"), nil)

	// The output EgressCidrs has the addresses. They cost $36.50 a month each.
	apiproxy.NewRetryingApiProxy(stack, jsii.String("Payments"), &apiproxy.RetryingApiProxyProps{
		Upstream: apiproxy.Upstream{BaseURL: "https://payments.example.com"},
		Egress:   apiproxy.Egress{Kind: apiproxy.StaticAddresses},
	})

	vpc := awsec2.NewVpc(stack, jsii.String("Vpc"), nil)
	orders := awsec2.NewSecurityGroup(stack, jsii.String("OrdersGroup"), &awsec2.SecurityGroupProps{Vpc: vpc})
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), &apiproxy.RetryingApiProxyProps{
		Upstream: apiproxy.Upstream{BaseURL: "https://orders.internal:8443", AllowedNetworks: []string{*vpc.VpcCidrBlock()}},
		Vpc:      vpc,
	})
	orders.Connections().AllowFrom(proxy, awsec2.Port_Tcp(jsii.Number(8443)), nil)

	app.Synth(nil)
}
