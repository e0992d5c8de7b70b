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
