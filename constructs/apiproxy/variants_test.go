//go:build !race

package apiproxy_test

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// example is the upstream of the variants.
var example = apiproxy.Upstream{BaseURL: "https://api.example.com"}

// minimal is all that has to be said.
func minimal() *apiproxy.RetryingApiProxyProps {
	return &apiproxy.RetryingApiProxyProps{Upstream: example}
}

// everything says something in each of the props that does not refer to another resource.
func everything() *apiproxy.RetryingApiProxyProps {
	return &apiproxy.RetryingApiProxyProps{
		Upstream: apiproxy.Upstream{
			BaseURL:         "http://orders.internal:8080/v2",
			AllowPlainHTTP:  true,
			AllowedMethods:  []string{"GET", "POST", "DELETE"},
			AllowedPaths:    []string{"/orders", "/gift cards"},
			AllowedNetworks: []string{"10.1.0.0/16", "fd00::/8"},
			Auth:            apiproxy.SigV4("execute-api", "eu-central-1"),
			SecretCacheTime: time.Minute,
			Headers:         map[string]string{"Stripe-Version": "2026-05-04"},

			AllowAuthOverride:    true,
			CertificateAuthority: someAuthority,
		},
		ProxyCount: 5,
		Retry: retry.Policy{
			ServerErrors:   retry.Budget{Attempts: 4, Base: 500 * time.Millisecond, Max: 8 * time.Second, Jitter: retry.EqualJitter},
			Scope:          retry.PerAccount,
			Statuses:       map[int]retry.Verdict{520: retry.Erroneous},
			AttemptTimeout: 2500 * time.Millisecond,
			Deadline:       20 * time.Second,
			MaxDeadline:    40 * time.Second,
		},
		Idempotency: apiproxy.Idempotency{
			Required:       apiproxy.KeyRequiredForUnsafe,
			TTL:            time.Hour,
			Caller:         []string{"X-Tenant"},
			KeyFields:      []string{"PayPal-Request-Id", "X-Idempotency-Key"},
			Recorded:       map[int]bool{404: false, 409: true},
			OmitCookies:    true,
			CacheHeaders:   true,
			ServerCacheHit: true,
		},
		Async:       &apiproxy.Async{Deadline: 6 * time.Hour},
		DeadLetters: &apiproxy.DeadLetters{Retention: 4 * 24 * time.Hour},
		Callback:    &apiproxy.Callback{URL: "https://hooks.example.com/orders?shop=7", Hosts: []string{"hooks.example.com", "10.1.2.3:8443"}},
		LargeBodies: &apiproxy.LargeBodies{},
		FlowControl: apiproxy.FlowControl{
			Mode: apiproxy.Fixed, Rate: 3000, Period: time.Minute, Burst: 80, Key: apiproxy.ByUpstream, MaxWaiting: 200,
		},
		CircuitBreaker: apiproxy.CircuitBreaker{MinimumFailures: 20, FailureRate: 0.9, ProbeInterval: 2 * time.Second, RampUp: 2},
		RecordPrefix:   "orders",
		Egress:         apiproxy.Egress{Kind: apiproxy.StaticAddresses, ProbeURL: "https://checkip.amazonaws.com"},
		Alarms: &apiproxy.Alarms{
			Thresholds: map[apiproxy.AlarmName]float64{apiproxy.AlarmServerErrors: 2.5, apiproxy.AlarmProxyThrottles: 100},
			Omit:       []apiproxy.AlarmName{apiproxy.AlarmClientErrors, apiproxy.AlarmTableThrottles},
		},
		Dashboard:    &apiproxy.Dashboard{Name: "orders-proxy"},
		SavedQueries: true,
		UrlAuthType:  awslambda.FunctionUrlAuthType_NONE,
		Cors: &awslambda.FunctionUrlCorsOptions{
			AllowCredentials: jsii.Bool(true),
			AllowedOrigins:   jsii.Strings("https://shop.example", "http://localhost:3000"),
			AllowedMethods:   &[]awslambda.HttpMethod{awslambda.HttpMethod_GET, awslambda.HttpMethod_POST, awslambda.HttpMethod_DELETE},
			AllowedHeaders:   jsii.Strings("Content-Type", "Idempotency-Key"),
			ExposedHeaders:   jsii.Strings("ETag", "retry-after"),
			MaxAge:           awscdk.Duration_Minutes(jsii.Number(10)),
		},
		Architecture:  awslambda.Architecture_X86_64(),
		MemorySizeMiB: 512,
		LogRetention:  awslogs.RetentionDays_ONE_WEEK,
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,

		GatewayMemorySizeMiB:   384,
		Environment:            map[string]string{"AWS_USE_FIPS_ENDPOINT": "true"},
		ReservedConcurrency:    apiproxy.ReservedConcurrency{Gateway: 200, EachProxy: 50},
		ProvisionedConcurrency: apiproxy.ProvisionedConcurrency{Gateway: 20, EachProxy: 5},
	}
}

// variants are stacks with one RetryingApiProxy each, which differ in what the props and the app say. What is to hold
// of every RetryingApiProxy is asserted of each.
var variants = sync.OnceValue(func() map[string]template {
	app := newApp(deployed(), nothingBundled)
	build := func(name string, props func(awscdk.Stack) *apiproxy.RetryingApiProxyProps) *apiproxy.RetryingApiProxy {
		settings := &awscdk.StackProps{}
		if name == "EncryptedTable" || name == "Encrypted" || name == "EncryptedBodies" || name == "EncryptedDeadLetters" || name == "EncryptedCallback" { // a table with a key of one's own wants to know its region
			settings.Env = &awscdk.Environment{Region: jsii.String("eu-central-1")}
		}
		stack := awscdk.NewStack(app, &name, settings)
		return apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props(stack))
	}
	with := func(change func(*apiproxy.RetryingApiProxyProps)) func(awscdk.Stack) *apiproxy.RetryingApiProxyProps {
		return func(awscdk.Stack) *apiproxy.RetryingApiProxyProps {
			props := minimal()
			change(props)
			return props
		}
	}

	build("Minimal", with(func(*apiproxy.RetryingApiProxyProps) {}))
	build("Everything", func(awscdk.Stack) *apiproxy.RetryingApiProxyProps { return everything() })
	build("OneProxy", with(func(p *apiproxy.RetryingApiProxyProps) { p.ProxyCount = 1 }))
	build("TwentyProxies", with(func(p *apiproxy.RetryingApiProxyProps) { p.ProxyCount = 20 }))
	build("Open", with(func(p *apiproxy.RetryingApiProxyProps) { p.UrlAuthType = awslambda.FunctionUrlAuthType_NONE }))
	build("Pages", with(func(p *apiproxy.RetryingApiProxyProps) {
		p.ProxyCount = 1
		p.Cors = &awslambda.FunctionUrlCorsOptions{AllowedOrigins: jsii.Strings("https://shop.example")}
	}))
	build("PagesThatReadAll", with(func(p *apiproxy.RetryingApiProxyProps) {
		p.ProxyCount = 1
		p.Cors = &awslambda.FunctionUrlCorsOptions{
			AllowedOrigins: jsii.Strings("*"), AllowedHeaders: jsii.Strings("*"), ExposedHeaders: jsii.Strings("*"),
			MaxAge: awscdk.Duration_Seconds(jsii.Number(0)),
		}
	}))
	build("ShortDeadline", with(func(p *apiproxy.RetryingApiProxyProps) {
		p.Retry = retry.Policy{AttemptTimeout: time.Second, Deadline: time.Second, MaxDeadline: time.Second}
	}))
	build("Async", with(func(p *apiproxy.RetryingApiProxyProps) { p.Async = &apiproxy.Async{} }))
	build("DeadLetters", with(func(p *apiproxy.RetryingApiProxyProps) {
		p.Async, p.DeadLetters = &apiproxy.Async{}, &apiproxy.DeadLetters{}
	}))
	build("Callback", with(func(p *apiproxy.RetryingApiProxyProps) {
		p.Async, p.Callback = &apiproxy.Async{}, &apiproxy.Callback{URL: "https://hooks.example.com/orders"}
	}))
	build("CallbackLetters", with(func(p *apiproxy.RetryingApiProxyProps) {
		p.Async, p.DeadLetters = &apiproxy.Async{}, &apiproxy.DeadLetters{}
		p.Callback = &apiproxy.Callback{Hosts: []string{"hooks.example.com"}}
	}))
	build("EncryptedCallback", func(stack awscdk.Stack) *apiproxy.RetryingApiProxyProps {
		props := minimal()
		props.EncryptionKey = awskms.NewKey(stack, jsii.String("Key"), &awskms.KeyProps{EnableKeyRotation: jsii.Bool(true)})
		props.Async, props.Callback = &apiproxy.Async{}, &apiproxy.Callback{Hosts: []string{"hooks.example.com"}}
		return props
	})
	build("LongAttempts", with(func(p *apiproxy.RetryingApiProxyProps) {
		p.Retry = retry.Policy{AttemptTimeout: 289 * time.Second}
	}))
	build("ParameterAsUpstream", func(stack awscdk.Stack) *apiproxy.RetryingApiProxyProps {
		host := awscdk.NewCfnParameter(stack, jsii.String("Host"), nil)
		return &apiproxy.RetryingApiProxyProps{Upstream: apiproxy.Upstream{
			BaseURL:         "https://" + *host.ValueAsString() + "/v1",
			AllowedNetworks: []string{*awscdk.Fn_ImportValue(jsii.String("Network"))},
		}}
	})
	build("LongBaseURL", with(func(p *apiproxy.RetryingApiProxyProps) {
		p.Upstream.BaseURL += "/" + strings.Repeat("a", 500)
	}))
	build("ExistingTable", func(stack awscdk.Stack) *apiproxy.RetryingApiProxyProps {
		props := minimal()
		props.Table = awsdynamodb.TableV2_FromTableName(stack, jsii.String("Records"), jsii.String("records"))
		return props
	})
	build("EncryptedTable", func(stack awscdk.Stack) *apiproxy.RetryingApiProxyProps {
		props := minimal()
		props.Table = apiproxy.NewIdempotencyTable(stack, jsii.String("Records"), &apiproxy.IdempotencyTableProps{
			EncryptionKey: awskms.NewKey(stack, jsii.String("Key"), &awskms.KeyProps{EnableKeyRotation: jsii.Bool(true)}),
		})
		return props
	})
	build("Encrypted", func(stack awscdk.Stack) *apiproxy.RetryingApiProxyProps {
		props := minimal()
		props.EncryptionKey = awskms.NewKey(stack, jsii.String("Key"), &awskms.KeyProps{EnableKeyRotation: jsii.Bool(true)})
		return props
	})
	build("EncryptedDeadLetters", func(stack awscdk.Stack) *apiproxy.RetryingApiProxyProps {
		props := minimal()
		props.EncryptionKey = awskms.NewKey(stack, jsii.String("Key"), &awskms.KeyProps{EnableKeyRotation: jsii.Bool(true)})
		props.Async, props.DeadLetters = &apiproxy.Async{}, &apiproxy.DeadLetters{}
		return props
	})
	build("EncryptedExistingTable", func(stack awscdk.Stack) *apiproxy.RetryingApiProxyProps {
		props := minimal()
		props.Table = awsdynamodb.TableV2_FromTableName(stack, jsii.String("Records"), jsii.String("records"))
		props.EncryptionKey = awskms.NewKey(stack, jsii.String("Key"), &awskms.KeyProps{EnableKeyRotation: jsii.Bool(true)})
		return props
	})
	build("LargeBodies", with(func(p *apiproxy.RetryingApiProxyProps) { p.LargeBodies = &apiproxy.LargeBodies{} }))
	build("EncryptedBodies", func(stack awscdk.Stack) *apiproxy.RetryingApiProxyProps {
		props := minimal()
		props.LargeBodies = &apiproxy.LargeBodies{}
		props.EncryptionKey = awskms.NewKey(stack, jsii.String("Key"), &awskms.KeyProps{EnableKeyRotation: jsii.Bool(true)})
		return props
	})
	build("ExistingBucket", func(stack awscdk.Stack) *apiproxy.RetryingApiProxyProps {
		props := minimal()
		props.LargeBodies = &apiproxy.LargeBodies{Bucket: awss3.Bucket_FromBucketAttributes(stack, jsii.String("Bodies"), &awss3.BucketAttributes{
			BucketName:    jsii.String("bodies"),
			EncryptionKey: awskms.Key_FromKeyArn(stack, jsii.String("Key"), jsii.String("arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000")),
		})}
		return props
	})
	build("Unshared", with(func(p *apiproxy.RetryingApiProxyProps) {
		p.FlowControl.Mode, p.CircuitBreaker.Disabled = apiproxy.Off, true
	}))
	build("Off", with(func(p *apiproxy.RetryingApiProxyProps) {
		p.FlowControl.Mode, p.CircuitBreaker.Disabled, p.OmitMetrics, p.OmitRetryAdvice, p.Upstream.KeepLinks = apiproxy.Off, true, true, true, true
	}))
	build("UnsharedAsync", with(func(p *apiproxy.RetryingApiProxyProps) {
		p.FlowControl.Mode, p.CircuitBreaker.Disabled, p.Async = apiproxy.Off, true, &apiproxy.Async{}
	}))
	build("InVpc", func(stack awscdk.Stack) *apiproxy.RetryingApiProxyProps {
		props := minimal()
		props.Vpc = awsec2.NewVpc(stack, jsii.String("Network"), &awsec2.VpcProps{
			MaxAzs: jsii.Number(2), RestrictDefaultSecurityGroup: jsii.Bool(false), // by a function, which is not ours
		})
		props.Upstream.BaseURL, props.Upstream.AllowedNetworks = "https://orders.internal:8443", []string{"10.0.0.0/16"}
		return props
	})
	build("StaticAddresses", with(func(p *apiproxy.RetryingApiProxyProps) { p.Egress.Kind = apiproxy.StaticAddresses }))
	build("StaticAddressesInVpc", func(stack awscdk.Stack) *apiproxy.RetryingApiProxyProps {
		props := minimal()
		props.Vpc = awsec2.NewVpc(stack, jsii.String("Network"), &awsec2.VpcProps{
			MaxAzs: jsii.Number(2), RestrictDefaultSecurityGroup: jsii.Bool(false), SubnetConfiguration: &[]*awsec2.SubnetConfiguration{ // which leave room
				{Name: jsii.String("public"), SubnetType: awsec2.SubnetType_PUBLIC, CidrMask: jsii.Number(24)},
			},
		})
		props.Egress = apiproxy.Egress{
			Kind: apiproxy.StaticAddresses, SubnetCIDRs: []string{"10.0.250.0/28", "10.0.250.16/28", "10.0.250.32/28"}, ElasticIPs: []string{"eipalloc-1", "eipalloc-2", "eipalloc-3"},
		}
		return props
	})
	build("IPv6", with(func(p *apiproxy.RetryingApiProxyProps) { p.Egress.Kind = apiproxy.IPv6 }))
	build("IPv6Callback", with(func(p *apiproxy.RetryingApiProxyProps) {
		p.Egress = apiproxy.Egress{Kind: apiproxy.IPv6, ProbeURL: "https://address.example.com:8443/"}
		p.LargeBodies, p.Async, p.Callback = &apiproxy.LargeBodies{}, &apiproxy.Async{}, &apiproxy.Callback{Hosts: []string{"hooks.example.com"}}
	}))
	build("Customized", with(func(p *apiproxy.RetryingApiProxyProps) {
		p.ProxyCount, p.Customize = 1, func(_ string, function *awslambda.FunctionProps) {
			function.EphemeralStorageSize = awscdk.Size_Gibibytes(jsii.Number(1))
		}
	}))
	build("Monitored", func(stack awscdk.Stack) *apiproxy.RetryingApiProxyProps {
		props := minimal()
		props.ProxyCount = 20
		props.Async, props.DeadLetters, props.Callback = &apiproxy.Async{}, &apiproxy.DeadLetters{}, &apiproxy.Callback{Hosts: []string{"hooks.example.com"}}
		props.Alarms = &apiproxy.Alarms{Topic: awssns.NewTopic(stack, jsii.String("Topic"), nil)}
		props.Dashboard, props.SavedQueries = &apiproxy.Dashboard{}, true
		return props
	})
	build("WithoutMetrics", with(func(p *apiproxy.RetryingApiProxyProps) { p.OmitMetrics = true }))
	build("LoggedData", with(func(p *apiproxy.RetryingApiProxyProps) { p.ProxyCount, p.LogExecutionData = 1, true }))
	granted := build("Granted", with(func(*apiproxy.RetryingApiProxyProps) {}))
	granted.GrantInvoke(awsiam.NewRole(awscdk.Stack_Of(granted), jsii.String("Caller"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewAccountRootPrincipal(),
	}))
	build(strings.Repeat("Long", 30), with(func(p *apiproxy.RetryingApiProxyProps) { p.ProxyCount = 11 }))

	templates := synthesise(app)

	importer := newApp(nothingBundled)
	for name, props := range map[string]*apiproxy.RetryingApiProxyProps{"NoFlags": minimal(), "NoFlagsEverything": everything()} {
		apiproxy.NewRetryingApiProxy(awscdk.NewStack(importer, &name, nil), jsii.String("Orders"), props)
	}
	maps.Copy(templates, synthesise(importer))
	return templates
})

// forEachVariant runs an assertion on every variant.
func forEachVariant(t *testing.T, assert func(t *testing.T, template template)) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(variants())) {
		t.Run(name, func(t *testing.T) { assert(t, variants()[name]) })
	}
}
