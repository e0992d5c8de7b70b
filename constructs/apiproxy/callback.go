package apiproxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy/internal/nagrule"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// Callback says who is told of the end of asynchronous requests, by a POST with the status document and the answer, which is
// signed as Standard Webhooks has it; docs/async.md shows one. At least one of URL and Hosts must be given.
//
// A callback is itself a request of the RetryingApiProxy: it is repeated as Retry says, but for its routes and signals, and
// with DeadLetters, one that cannot be delivered is among these. It goes to public addresses, and those that
// Upstream.AllowedNetworks names, and no redirect is followed.
type Callback struct {
	// URL is told of every asynchronous request that names no other, with https and without user information and fragment. It
	// stands in the template and in the environment of the gateway in the clear. Default: none; only requests with the field
	// Callback-Url have a callback.
	URL string

	// Hosts are the hosts that the field Callback-Url of a request may name, in lower case, each as a whole:
	// hooks.example.com, or hooks.example.com:8443 for a port other than 443. A request that names another one is answered with
	// 400. Whoever may send requests can have the proxies send signed requests to any path there. Default: none; the field
	// goes upstream like any other.
	Hosts []string

	// Secret is what callbacks are signed with: 24 to 64 bytes in base64, with or without whsec_ before it, or two such with a
	// space between while one takes the place of the other, so that both sign. A key that it is encrypted with must be known of it
	// here. Default: one is created, of 44 characters that are drawn, which costs $0.40 a month (list price). It is encrypted with
	// EncryptionKey, or else with a key of AWS, and the output CallbackSecretArn names it, so that receivers can be given it.
	Secret awssecretsmanager.ISecret
}

// callbackSecretLength is the length of the secret that is created, in characters: letters and digits, which are 33 bytes in base64
// whichever they are.
const callbackSecretLength = 44

// receiversKnowTheSecret acknowledges that the secret is not rotated.
var receiversKnowTheSecret = nagrule.Acknowledgement{
	Rule: "AwsSolutions-SMG4",
	Reason: "Those who receive callbacks verify them with it, and would refuse them until they know another one. It takes two values at a " +
		"time, so that it can be replaced together with them.",
}

// newCallbackSecret creates the secret that callbacks are signed with, and tells of it.
func newCallbackSecret(r *RetryingApiProxy, props RetryingApiProxyProps) awssecretsmanager.ISecret {
	secret := awssecretsmanager.NewSecret(r, jsii.String("CallbackSecret"), &awssecretsmanager.SecretProps{
		Description: jsii.String("Signs the callbacks of asynchronous requests; receivers verify them with it"),
		GenerateSecretString: &awssecretsmanager.SecretStringGenerator{
			PasswordLength:     jsii.Number(callbackSecretLength),
			ExcludePunctuation: jsii.Bool(true),
		},
		EncryptionKey: props.EncryptionKey,
		RemovalPolicy: props.RemovalPolicy,
	})
	nagrule.Acknowledge(secret, receiversKnowTheSecret)
	awscdk.NewCfnOutput(r, jsii.String("CallbackSecretArn"), &awscdk.CfnOutputProps{
		Value:       secret.SecretArn(),
		Description: jsii.String("The secret in AWS Secrets Manager by which receivers verify callbacks"),
	})
	return secret
}

// tellGateway adds who is told to the environment of the gateway.
func (c *Callback) tellGateway(environment map[string]*string) {
	if c.URL != "" {
		environment[message.CallbackURLVariable] = &c.URL
	}
	if len(c.Hosts) > 0 {
		environment[message.CallbackHostsVariable] = jsii.String(strings.Join(c.Hosts, " "))
	}
}

// grantCallbacks lets a proxy read the secret that it signs callbacks with.
func grantCallbacks(r *RetryingApiProxy, proxy awslambda.Function) {
	r.CallbackSecret.GrantRead(proxy, nil)
	if key := r.CallbackSecret.EncryptionKey(); key != nil {
		grantUse(key, proxy) // the policy of a key that is imported cannot be added to
	}
}

// grantCallbackStarts lets a state machine start itself. It is a policy of its own: the state machine is created after the one that
// its role has, which therefore cannot name it.
func grantCallbackStarts(scope constructs.Construct, machine awsstepfunctions.StateMachine, role awsiam.IRole) {
	role.AttachInlinePolicy(awsiam.NewPolicy(scope, jsii.String("StartCallbacks"), &awsiam.PolicyProps{
		Statements: &[]awsiam.PolicyStatement{awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Actions:   jsii.Strings("states:StartExecution"),
			Resources: jsii.Strings(*machine.StateMachineArn()),
		})},
	}))
}

// How the start of a callback is repeated that failed: for two minutes on average, and four at most. To start it again does no
// harm, since it has a name.
const (
	callbackStartTimeout  = 10 * time.Second
	callbackStartRetries  = 9
	callbackRetryMaxDelay = 1 * time.Minute
)

// startedAlready is the error of a start of an execution that has the same name as another one, which has ended or has another
// input. Step Functions adds Exception to the codes of its own API.
const startedAlready = "StepFunctions.ExecutionAlreadyExistsException"

// untoldState begins the names of the states of executions of whose end nobody is told, although somebody should be.
// [RetryingApiProxy.MetricUndelivered] counts by them.
const untoldState = "Untold-"

// newCallbackState creates the state that starts the callback of an execution, as another execution of the same state machine, and
// then goes on to the end, also if that was in vain. Letters take those that could not be started; nil for none.
func newCallbackState(scope constructs.Construct, letters letterStates, end awsstepfunctions.State) awsstepfunctions.CustomState {
	// The CDK has a state for this, which wants the state machine: it would be in a policy that it depends on itself.
	start := awsstepfunctions.NewCustomState(scope, jsii.String("Callback-"+*end.Id()), &awsstepfunctions.CustomStateProps{
		StateJson: &map[string]any{
			"Comment":  "Another execution tells of the end of this one",
			"Type":     "Task",
			"Resource": "arn:" + *awscdk.Stack_Of(scope).Partition() + ":states:::states:startExecution",
			"Parameters": map[string]any{
				"StateMachineArn.$": "$$.StateMachine.Id",
				"Name.$":            message.CallbackNamePath,
				"Input.$":           message.CallbackInputPath,
			},
			"ResultPath":     awsstepfunctions.JsonPath_DISCARD(),
			"TimeoutSeconds": callbackStartTimeout.Seconds(),
		},
	})
	start.AddRetry(&awsstepfunctions.RetryProps{Errors: jsii.Strings(startedAlready), MaxAttempts: jsii.Number(0)})
	retry := faultRetry([]string{"States.ALL"}, callbackRetryMaxDelay)
	retry.MaxAttempts = jsii.Number(callbackStartRetries)
	start.AddRetry(retry)

	untold := awsstepfunctions.NewPass(scope, jsii.String(untoldState+*end.Id()), &awsstepfunctions.PassProps{
		Comment: jsii.String("Nobody is told of the end of the request"),
	})
	untold.Next(end)
	var failed awsstepfunctions.IChainable = untold
	if letters != nil {
		failed = letters("CallbackLetter-"+*end.Id(), "Somebody has to tell of the end of the request", message.CallbackLetterBody(), untold, end)
	}
	// That is this callback: the reply to an earlier start was lost.
	start.AddCatch(end, &awsstepfunctions.CatchProps{Errors: jsii.Strings(startedAlready), ResultPath: awsstepfunctions.JsonPath_DISCARD()})
	start.AddCatch(failed, &awsstepfunctions.CatchProps{Errors: jsii.Strings("States.ALL"), ResultPath: awsstepfunctions.JsonPath_DISCARD()})
	start.Next(end)
	return start
}

// hasCallback says that somebody is to be told of the end of the execution.
func hasCallback() awsstepfunctions.Condition {
	return awsstepfunctions.Condition_IsPresent(jsii.String(message.CallbackPath))
}

// An ending is how executions get to one of their ends, with or without a callback on the way.
type ending struct {
	end      awsstepfunctions.State
	callback awsstepfunctions.IChainable // nil if there are none
	choice   awsstepfunctions.IChainable // where a state goes that cannot choose: the end, or a choice between it and the callback
}

// newEnding creates what there is before an end.
func newEnding(scope constructs.Construct, props RetryingApiProxyProps, async bool, letters letterStates, end awsstepfunctions.State) ending {
	if !async || props.Callback == nil {
		return ending{end: end, choice: end}
	}
	callback := newCallbackState(scope, letters, end)
	choice := awsstepfunctions.NewChoice(scope, jsii.String("CheckCallback-"+*end.Id()), nil)
	choice.When(hasCallback(), callback, nil)
	choice.Otherwise(end)
	return ending{end, callback, choice}
}

// when has a Choice lead to the end if all conditions hold.
func (e ending) when(choice awsstepfunctions.Choice, conditions ...awsstepfunctions.Condition) {
	if e.callback != nil {
		choice.When(awsstepfunctions.Condition_And(append(slices.Clone(conditions), hasCallback())...), e.callback, nil)
	}
	if len(conditions) == 1 {
		choice.When(conditions[0], e.end, nil)
	} else {
		choice.When(awsstepfunctions.Condition_And(conditions...), e.end, nil)
	}
}

// otherwise has a Choice lead to the end if no other condition holds.
func (e ending) otherwise(choice awsstepfunctions.Choice) {
	if e.callback != nil {
		choice.When(hasCallback(), e.callback, nil)
	}
	choice.Otherwise(e.end)
}

// validateCallback checks who is told.
func (p RetryingApiProxyProps) validateCallback() error {
	c := p.Callback
	if c == nil {
		return nil
	}
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if p.Async == nil {
		problem("Callback is set, and Async is not; set Async too, since only asynchronous requests have callbacks")
	}
	if c.URL == "" && len(c.Hosts) == 0 {
		problem("Callback names nobody; give the URL that is told of requests, or the Hosts that Callback-Url may name, or both")
	}
	if c.URL != "" && !isToken(c.URL) {
		// The text is not quoted: it may hold a secret.
		if err := message.CheckCallbackURL(c.URL); err != nil {
			problem("Callback.URL is not usable: %w; give an https URL such as https://hooks.example.com/orders", err)
		} else if !strings.HasPrefix(strings.ToLower(c.URL), "https:") {
			problem("Callback.URL is one of http; give an https URL such as https://hooks.example.com/orders")
		}
	}
	for _, host := range c.Hosts {
		if isToken(host) {
			continue
		}
		if err := message.CheckCallbackHost(host); err != nil {
			problem("Callback.Hosts: %w", err)
		}
	}
	return errors.Join(problems...)
}

// room is about what the environment takes for callbacks, in bytes.
func (c *Callback) room() int {
	if c == nil {
		return 0
	}
	return len(c.URL) + len(strings.Join(c.Hosts, " ")) + maxARN
}
