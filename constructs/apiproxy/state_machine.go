package apiproxy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// maxLogGroupNameLength keeps the names of log groups well below CloudWatch's 512 characters.
const maxLogGroupNameLength = 128

// newStateMachine creates the Express state machine that goes round the proxies while the caller waits.
func newStateMachine(r *RetryingApiProxy, props RetryingApiProxyProps, aliases []awslambda.Alias) awsstepfunctions.StateMachine {
	return newMachine(r, r, props, newRing(r, props, aliases, r.Table, nil, nil), awsstepfunctions.StateMachineProps{
		StateMachineType: awsstepfunctions.StateMachineType_EXPRESS,
		Timeout:          seconds(props.machineTimeout()),
		Comment:          jsii.String("Attempts at the upstream, one proxy after the other"),
	})
}

// newAsyncStateMachine creates the Standard state machine that goes round them for asynchronous requests. Nothing of what is
// asked and answered is in its states.
func newAsyncStateMachine(r *RetryingApiProxy, props RetryingApiProxyProps, aliases []awslambda.Alias) awsstepfunctions.StateMachine {
	scope := constructs.NewConstruct(r, jsii.String("Async"))
	giveUp := newGiveUpState(scope, r.Table)
	return newMachine(r, scope, props, newRing(scope, props, aliases, r.Table, giveUp, r.DeadLetterQueue), awsstepfunctions.StateMachineProps{
		StateMachineType: awsstepfunctions.StateMachineType_STANDARD,
		Timeout:          seconds(props.asyncMachineTimeout()),
		Comment:          jsii.String("Attempts at the upstream for asynchronous requests, which are kept in the table"),
	})
}

// newMachine creates a state machine in a scope, with a role and a log group of its own.
func newMachine(r *RetryingApiProxy, scope constructs.Construct, props RetryingApiProxyProps, graph awsstepfunctions.IChainable, own awsstepfunctions.StateMachineProps) awsstepfunctions.StateMachine {
	logGroup, exists := props.LogGroups.StateMachines, props.LogGroups.StateMachines != nil
	if !exists {
		// Step Functions adds every log group to one resource policy of limited size, except those below this prefix.
		logGroup = newLogGroup(scope, "StateMachineLogs", props, jsii.String("/aws/vendedlogs/states/"+*awscdk.Names_UniqueResourceName(scope, &awscdk.UniqueResourceNameOptions{
			MaxLength: jsii.Number(maxLogGroupNameLength),
			Separator: jsii.String("-"),
		})+"-"+*deploymentID(r)))
	}
	if r.failed == nil || !exists { // in a group that exists, one filter counts what fails in both state machines
		r.failed = newStateFilter(r, logGroup, exists, "SucceedStateEntered", failedState, failedState)
		r.machineLogs = append(r.machineLogs, logGroup)
	}
	async := own.StateMachineType == awsstepfunctions.StateMachineType_STANDARD
	if states := untoldStates(props); async && len(states) > 0 {
		r.undelivered = newStateFilter(r, logGroup, exists, "PassStateEntered", undeliveredState, states...)
	}
	role := props.Roles.StateMachines
	if role == nil {
		role = newRole(r, scope, "state-machine-role", "states.amazonaws.com")
	}
	own.DefinitionBody = awsstepfunctions.DefinitionBody_FromChainable(graph)
	own.Role = role
	own.TracingEnabled = jsii.Bool(true)
	own.Logs = &awsstepfunctions.LogOptions{
		Destination: logGroup,
		Level:       awsstepfunctions.LogLevel_ALL,
		// Requests and answers stay out of the logs, unless somebody wants them there.
		IncludeExecutionData: &props.LogExecutionData,
	}
	own.EncryptionConfiguration = machineEncryption(props.EncryptionKey)
	machine := awsstepfunctions.NewStateMachine(scope, jsii.String("StateMachine"), &own)
	if props.EncryptionKey != nil {
		// The CDK's own grant is for the key's use with a state machine of a given name.
		grantUse(props.EncryptionKey, machine)
	}
	if async && r.DeadLetterQueue != nil && r.DeadLetterQueue.EncryptionMasterKey() != nil {
		grantUse(r.DeadLetterQueue.EncryptionMasterKey(), machine)
	}
	if async && props.Callback != nil {
		grantCallbackStarts(scope, machine, role)
	}
	grantKey(r.Table, machine) // the right to update records comes with the states
	denyOtherRecords(r.Table, machine, recordPrefix(r, props))
	grantFormerProxies(r, machine, props)
	acknowledgePolicy(role, tracesAndLogDeliveryHaveNoResource)
	return machine
}

// grantFormerProxies lets the state machine invoke the proxies that the ring may have had before it was made smaller. An
// execution that is under way then still calls them; with the right to do so it is told that there is no such function,
// which proves that nothing was done, and goes on.
func grantFormerProxies(r *RetryingApiProxy, machine awsstepfunctions.StateMachine, props RetryingApiProxyProps) {
	var former []*string
	for i := props.ProxyCount; i < MaxProxyCount; i++ {
		former = append(former, awscdk.Stack_Of(r).FormatArn(&awscdk.ArnComponents{
			Service:      jsii.String("lambda"),
			Resource:     jsii.String("function"),
			ResourceName: jsii.String(*functionName(r, message.ProxyName(i+1)) + ":" + liveAlias),
			ArnFormat:    awscdk.ArnFormat_COLON_RESOURCE_NAME,
		}))
	}
	if len(former) == 0 {
		return
	}
	machine.AddToRolePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:   jsii.Strings("lambda:InvokeFunction"),
		Resources: &former,
	}))
}

// definitionHashBytes is how many bytes of a hash tell one definition from another.
const definitionHashBytes = 8

// newStateMachineVersion publishes the definition as a version of the state machine, and returns its ARN. A version of the
// gateway starts the one that it was deployed with, so that a rollback of the one rolls back the other. Versions are kept
// for that when the next one is published; they go with the state machine.
//
// The id holds a hash of the definition. Whether a new version of the gateway is published depends on what the template
// says of it, and so on the name of what it refers to: a definition that changes has to have another name.
func newStateMachineVersion(scope constructs.Construct, machine awsstepfunctions.StateMachine) *string {
	definition, err := json.Marshal(awscdk.Stack_Of(scope).Resolve(machine.Node().DefaultChild().(awsstepfunctions.CfnStateMachine).DefinitionString()))
	if err != nil {
		panic(err) // what is resolved is made of maps, lists and strings
	}
	sum := sha256.Sum256(definition)
	id := "StateMachineVersion" + hex.EncodeToString(sum[:definitionHashBytes])
	version := awsstepfunctions.NewCfnStateMachineVersion(scope, &id, &awsstepfunctions.CfnStateMachineVersionProps{
		StateMachineArn:        machine.StateMachineArn(),
		StateMachineRevisionId: machine.StateMachineRevisionId(),
	})
	version.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN, nil)
	return version.Ref()
}

// deploymentID is a part of the stack's id that is new each time the stack is created: a log group that was retained
// does not stand in the way of the next deployment.
func deploymentID(r *RetryingApiProxy) *string {
	// arn:aws:cloudformation:us-east-1:123456789012:stack/Name/1b2c3d4e-5f60-11ee-a1b2-0a1b2c3d4e5f
	uuid := awscdk.Fn_Select(jsii.Number(2), awscdk.Fn_Split(jsii.String("/"), awscdk.Stack_Of(r).StackId(), nil))
	return awscdk.Fn_Select(jsii.Number(0), awscdk.Fn_Split(jsii.String("-"), uuid, nil))
}
