package gofunction_test

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/gofunction"
)

// A function whose handler is a package of the CDK app's own module.
func ExampleNewFunction() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Shop"), nil)

	gofunction.NewFunction(stack, jsii.String("Payments"), "example.com/shop/payments", &awslambda.FunctionProps{
		MemorySize: jsii.Number(256),
		Timeout:    awscdk.Duration_Seconds(jsii.Number(10)),
	})

	app.Synth(nil)
}
