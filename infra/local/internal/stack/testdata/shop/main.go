// Command shop is a CDK app with a stack such as others have: three RetryingApiProxy, of which two share a table, and what
// stands around them. Its argument is the architecture, arm64 or x86_64.
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskinesis"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/gofunction"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

func main() {
	defer jsii.Close()
	architecture := awslambda.Architecture_ARM_64()
	if os.Args[1] == "x86_64" {
		architecture = awslambda.Architecture_X86_64()
	}
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Shop"), nil)
	props := func() *apiproxy.RetryingApiProxyProps {
		return &apiproxy.RetryingApiProxyProps{
			Upstream:     apiproxy.Upstream{BaseURL: "https://api.example.com"},
			ProxyCount:   2,
			Architecture: architecture,
			UrlAuthType:  awslambda.FunctionUrlAuthType_NONE,
			Idempotency:  apiproxy.Idempotency{CacheHeaders: true},
			Async:        &apiproxy.Async{},
		}
	}

	orders := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props())
	sharing := props()
	sharing.Table = orders.Table
	payments := apiproxy.NewRetryingApiProxy(stack, jsii.String("Payments"), sharing)

	// One whose upstream is in the stack, too.
	echo := gofunction.NewFunction(stack, jsii.String("Echo"), "github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack/testdata/shop/upstream",
		&awslambda.FunctionProps{Architecture: architecture})
	echoURL := echo.AddFunctionUrl(&awslambda.FunctionUrlOptions{AuthType: awslambda.FunctionUrlAuthType_NONE})
	search := apiproxy.NewRetryingApiProxy(constructs.NewConstruct(stack, jsii.String("Eu")), jsii.String("Search"), props())
	for _, proxy := range search.Proxies {
		proxy.AddEnvironment(jsii.String(message.UpstreamVariable), echoURL.Url(), nil)
	}

	topic := awssns.NewTopic(stack, jsii.String("Topic"), nil)
	bucket := awss3.NewBucket(stack, jsii.String("Bucket"), &awss3.BucketProps{Versioned: jsii.Bool(true)}) // which is not known here
	awscloudwatch.NewAlarm(stack, jsii.String("Alarm"), &awscloudwatch.AlarmProps{
		Metric: orders.MetricFailed(nil), Threshold: jsii.Number(1), EvaluationPeriods: jsii.Number(1),
	})
	awskinesis.NewStream(stack, jsii.String("Stream"), nil)
	report := awslambda.NewFunction(stack, jsii.String("Report"), &awslambda.FunctionProps{
		Runtime: awslambda.Runtime_PYTHON_3_13(), Handler: jsii.String("index.handler"), Code: awslambda.Code_FromInline(jsii.String("def handler(event, context): pass")),
		Environment: &map[string]*string{"TOPIC": topic.TopicArn(), "BUCKET": bucket.BucketName(), "ORDERS": orders.Url.Url(), "PAYMENTS": payments.Url.Url()},
	})
	report.AddFunctionUrl(nil)
	echo.AddEnvironment(jsii.String("TOPIC"), topic.TopicArn(), nil)
	echo.AddEnvironment(jsii.String("BUCKET"), bucket.BucketName(), nil)

	app.Synth(nil)
	fmt.Println("done")
}
