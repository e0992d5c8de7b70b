package apiproxy

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/jsii-runtime-go"
)

// maxLogGroupNameLength keeps the names of log groups well below CloudWatch's 512 characters.
const maxLogGroupNameLength = 128

// newStateMachine creates the Express state machine that goes round the proxies.
func newStateMachine(r *RetryingApiProxy, props RetryingApiProxyProps) awsstepfunctions.StateMachine {
	aliases := make([]awslambda.Alias, len(r.Proxies))
	for i, proxy := range r.Proxies {
		aliases[i] = proxy.AddAlias(jsii.String(liveAlias), nil)
	}
	logGroup := awslogs.NewLogGroup(r, jsii.String("StateMachineLogs"), &awslogs.LogGroupProps{
		// Step Functions adds every log group to one resource policy of limited size, except those below this prefix.
		LogGroupName: jsii.String("/aws/vendedlogs/states/" + *awscdk.Names_UniqueResourceName(r, &awscdk.UniqueResourceNameOptions{
			MaxLength: jsii.Number(maxLogGroupNameLength),
			Separator: jsii.String("-"),
		}) + "-" + *deploymentID(r)),
		Retention:     props.LogRetention,
		RemovalPolicy: logRemovalPolicy(props),
	})
	graph := newRing(r, props, aliases, r.Table)
	machine := awsstepfunctions.NewStateMachine(r, jsii.String("StateMachine"), &awsstepfunctions.StateMachineProps{
		StateMachineType: awsstepfunctions.StateMachineType_EXPRESS,
		DefinitionBody:   awsstepfunctions.DefinitionBody_FromChainable(graph),
		Timeout:          seconds(props.machineTimeout()),
		TracingEnabled:   jsii.Bool(true),
		Logs: &awsstepfunctions.LogOptions{
			Destination: logGroup,
			Level:       awsstepfunctions.LogLevel_ALL,
			// Requests and answers stay out of the logs.
			IncludeExecutionData: jsii.Bool(false),
		},
		Comment: jsii.String("Attempts at the upstream, one proxy after the other"),
	})
	grantKey(r.Table, machine) // the right to update records comes with the states
	return machine
}

// deploymentID is a part of the stack's id that is new each time the stack is created: a log group that was retained
// does not stand in the way of the next deployment.
func deploymentID(r *RetryingApiProxy) *string {
	// arn:aws:cloudformation:us-east-1:123456789012:stack/Name/1b2c3d4e-5f60-11ee-a1b2-0a1b2c3d4e5f
	uuid := awscdk.Fn_Select(jsii.Number(2), awscdk.Fn_Split(jsii.String("/"), awscdk.Stack_Of(r).StackId(), nil))
	return awscdk.Fn_Select(jsii.Number(0), awscdk.Fn_Split(jsii.String("-"), uuid, nil))
}
