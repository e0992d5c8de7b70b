package apiproxy

import (
	"maps"
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy/internal/nagrule"
	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/gofunction"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/largebody"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// The main packages of the handlers.
const (
	gatewayImportPath = "github.com/retrying-api-proxy/retrying-api-proxy/functions/gateway"
	proxyImportPath   = "github.com/retrying-api-proxy/retrying-api-proxy/functions/proxy"

	// withSDKImportPath is of the proxies that ask AWS for something. They take longer to start.
	withSDKImportPath = "github.com/retrying-api-proxy/retrying-api-proxy/functions/proxy/withsdk"
)

// maxFunctionNameLength is Lambda's limit.
const maxFunctionNameLength = 64

// gatewayName is the name of the function behind the URL; those of the proxies are made by [message.ProxyName].
const gatewayName = "gateway"

// liveAlias is the alias of each function that is invoked. Lambda changes code and environment of a function one after the
// other; an alias moves from one version to the next at once. A grant on an alias names one ARN; a grant on a function
// would need a wildcard for its versions.
const liveAlias = "live"

// newProxies creates the functions proxy-1 to proxy-N.
func newProxies(r *RetryingApiProxy, props RetryingApiProxyProps) []awslambda.Function {
	network := newNetwork(r, props)
	proxies := make([]awslambda.Function, props.ProxyCount)
	for i := range proxies {
		environment := map[string]*string{
			message.ProxyNameVariable:   jsii.String(message.ProxyName(i + 1)),
			message.ProxyCountVariable:  jsii.String(strconv.Itoa(props.ProxyCount)),
			message.UpstreamVariable:    jsii.String(props.Upstream.BaseURL),
			message.RetryPolicyVariable: policyJSON(props),
			message.KeyTTLVariable:      jsii.String(props.Idempotency.TTL.String()),

			// Metrics have them as dimensions.
			message.TableVariable:        r.Table.TableName(),
			message.RecordPrefixVariable: jsii.String(recordPrefix(r, props)),
		}
		if len(props.Idempotency.Recorded) > 0 {
			environment[message.RecordedVariable] = recordedJSON(props)
		}
		for name, value := range props.Upstream.fence() {
			environment[name] = jsii.String(value)
		}
		importPath := proxyImportPath
		if !props.Upstream.Auth.isZero() {
			importPath = withSDKImportPath
			environment[message.UpstreamAuthVariable] = props.Upstream.Auth.environment(props.Upstream.AllowAuthOverride)
			environment[message.SecretCacheVariable] = jsii.String(props.Upstream.SecretCacheTime.String())
		}
		if props.Async != nil {
			importPath = withSDKImportPath
			environment[message.AsyncVariable] = jsii.String("true")
		}
		if r.CallbackSecret != nil {
			environment[message.CallbackSecretVariable] = r.CallbackSecret.SecretArn()
		}
		if r.Bucket != nil {
			importPath = withSDKImportPath
			environment[message.BodiesVariable] = r.Bucket.BucketName()
		}
		sharing := tellOfGate(r, props, environment)
		if sharing {
			importPath = withSDKImportPath
		}
		if len(props.Upstream.Headers) > 0 {
			environment[message.FixedFieldsVariable] = props.Upstream.headersJSON()
		}
		if props.Upstream.CertificateAuthority != "" {
			environment[message.AuthorityVariable] = jsii.String(props.Upstream.CertificateAuthority)
		}
		if props.Egress.ProbeURL != "" {
			environment[message.AddressProbeVariable] = jsii.String(props.Egress.ProbeURL)
		}
		own := &awslambda.FunctionProps{
			Description: jsii.String("Makes single attempts at the upstream API"),
			Timeout:     seconds(props.proxyTimeout()),
			Environment: &environment,

			ReservedConcurrentExecutions: slotsOrNone(props.ReservedConcurrency.EachProxy),
		}
		network.place(i, own, r.Vpc)
		proxies[i] = newFunction(r, message.ProxyName(i+1), importPath, props, own)
		props.Upstream.Auth.grantRead(proxies[i])
		if props.Async != nil {
			grantKey(r.Table, proxies[i])
			r.Table.Grant(proxies[i], jsii.String("dynamodb:GetItem"), jsii.String("dynamodb:PutItem"), jsii.String("dynamodb:UpdateItem"))
			denyOtherItems(r, proxies[i], props)
		}
		if sharing && props.Async == nil {
			grantGate(r.Table, proxies[i], recordPrefix(r, props))
		}
		if r.CallbackSecret != nil {
			grantCallbacks(r, proxies[i])
		}
		if r.Bucket != nil {
			grantBodies(r, proxies[i], props, largebody.Requests, "s3:GetObject")
			grantBodies(r, proxies[i], props, largebody.Answers, "s3:PutObject")
		}
	}
	return proxies
}

// fence is what says where requests may go, by the variables that the functions read. What is not set is left out.
func (u Upstream) fence() map[string]string {
	paths := make([]string, len(u.AllowedPaths))
	for i, path := range u.AllowedPaths {
		paths[i] = path
		if !isToken(path) {
			paths[i] = message.EscapedPath(path) // without spaces, which separate them
		}
	}
	fence := map[string]string{
		message.AllowedNetworksVariable: strings.Join(u.AllowedNetworks, ","),
		message.AllowedMethodsVariable:  strings.Join(u.AllowedMethods, ","),
		message.AllowedPathsVariable:    strings.Join(paths, " "),
	}
	if u.Auth.form.Kind == message.AuthSigV4 {
		fence[message.AWSFieldsVariable] = "true"
	}
	maps.DeleteFunc(fence, func(_, value string) bool { return value == "" })
	return fence
}

// newGateway creates the function behind the URL.
func newGateway(r *RetryingApiProxy, props RetryingApiProxyProps) awslambda.Function {
	environment := map[string]*string{
		message.StateMachineVariable:    newStateMachineVersion(r, r.StateMachine),
		message.ProxyCountVariable:      jsii.String(strconv.Itoa(props.ProxyCount)),
		message.RetryPolicyVariable:     policyJSON(props),
		message.TableVariable:           r.Table.TableName(),
		message.KeyRequiredVariable:     jsii.String(string(props.Idempotency.Required)),
		message.CacheHeadersVariable:    jsii.String(strconv.FormatBool(props.Idempotency.CacheHeaders)),
		message.ServerCacheHitVariable:  jsii.String(strconv.FormatBool(props.Idempotency.ServerCacheHit)),
		message.OmitRetryAdviceVariable: jsii.String(strconv.FormatBool(props.OmitRetryAdvice)),
		message.HideAttemptsVariable:    jsii.String(strconv.FormatBool(props.HideAttempts)),
	}
	if props.UrlAuthType == awslambda.FunctionUrlAuthType_NONE {
		environment[message.MaxAnonymousWaitVariable] = jsii.String(props.MaxAnonymousWait.String())
	}
	environment[message.RecordPrefixVariable] = jsii.String(recordPrefix(r, props))
	if props.Async != nil {
		environment[message.AsyncVariable] = jsii.String("true")
		environment[message.AsyncMachineVariable] = newStateMachineVersion(r.AsyncStateMachine, r.AsyncStateMachine)
		environment[message.AsyncDeadlineVariable] = jsii.String(props.Async.Deadline.String())
		environment[message.AnswerTTLVariable] = jsii.String(props.Idempotency.TTL.String())
	}
	if props.DeadLetters != nil {
		environment[message.LetterRetentionVariable] = jsii.String(props.DeadLetters.Retention.String())
	}
	if props.Callback != nil {
		props.Callback.tellGateway(environment)
	}
	if r.Bucket != nil {
		environment[message.BodiesVariable] = r.Bucket.BucketName()
	}
	if names := props.Idempotency.Caller; len(names) > 0 {
		environment[message.CallerVariable] = jsii.String(strings.Join(names, ","))
	}
	if tokens := props.Idempotency.Tokens; tokens.Issuer != "" {
		environment[message.TokenIssuerVariable] = &tokens.Issuer
		environment[message.TokenKeysVariable] = &tokens.Keys
		environment[message.TokenAudienceVariable] = &tokens.Audience
	}
	if replaces := props.Upstream.replaces(); replaces != "" {
		environment[message.AuthReplacesVariable] = jsii.String(replaces)
	}
	if names := props.Idempotency.KeyFields; len(names) > 0 {
		environment[message.KeyFieldsVariable] = jsii.String(strings.Join(names, ","))
	}
	if !props.Upstream.KeepLinks {
		environment[message.LinksVariable] = jsii.String(props.Upstream.BaseURL)
	}
	fence := props.Upstream.fence()
	delete(fence, message.AllowedNetworksVariable) // the gateway does not call the upstream
	for name, value := range fence {
		environment[name] = jsii.String(value)
	}
	if props.Cors != nil {
		environment[message.CrossOriginVariable] = jsii.String("true")
	}
	tellOfGate(r, props, environment)
	gateway := newFunction(r, gatewayName, gatewayImportPath, props, &awslambda.FunctionProps{
		Description: jsii.String("Answers the function URL in front of the upstream API"),
		Timeout:     seconds(props.gatewayTimeout()),
		Environment: &environment,

		ReservedConcurrentExecutions: slotsOrNone(props.ReservedConcurrency.Gateway),
	})
	// Step Functions goes by the ARN of a state machine, also for its versions: after a rollback, the gateway starts an older one.
	r.StateMachine.GrantStartSyncExecution(gateway)
	if r.AsyncStateMachine != nil {
		r.AsyncStateMachine.GrantStartExecution(gateway)
		grantStop(r, gateway)
	}
	GrantRecords(r.Table, gateway)
	denyOtherItems(r, gateway, props)
	if r.Bucket != nil {
		requests := []string{"s3:PutObject"}
		if props.DeadLetters != nil { // what is sent again is written anew, so that it lives on
			requests = append(requests, "s3:GetObject")
		}
		grantBodies(r, gateway, props, largebody.Requests, requests...)
		grantBodies(r, gateway, props, largebody.Answers, "s3:GetObject")
	}
	if props.EncryptionKey != nil {
		grantUse(props.EncryptionKey, gateway) // who starts a synchronous execution sends and receives its data
	}
	return gateway
}

// grantStop lets the gateway stop executions of asynchronous requests. They have names that are drawn.
func grantStop(r *RetryingApiProxy, gateway awslambda.Function) {
	executions := awscdk.Stack_Of(r).FormatArn(&awscdk.ArnComponents{
		Service:      jsii.String("states"),
		Resource:     jsii.String("execution"),
		ResourceName: jsii.String(*r.AsyncStateMachine.StateMachineName() + ":*"),
		ArnFormat:    awscdk.ArnFormat_COLON_RESOURCE_NAME,
	})
	gateway.AddToRolePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:   jsii.Strings("states:StopExecution"),
		Resources: jsii.Strings(*executions),
	}))
	acknowledgePolicy(gateway.Role(), nagrule.Acknowledgement{
		Rule:    "AwsSolutions-IAM5",
		Finding: nagrule.Resource(r, executions),
		Reason:  "An execution has a name that is drawn when it starts. The gateway stops those whose ids it is shown.",
	})
}

// slotsOrNone has the form that the CDK takes concurrency in; nil is none.
func slotsOrNone(slots int) *float64 {
	if slots == 0 {
		return nil
	}
	return jsii.Number(slots)
}

// newFunction creates a function with a role and a log group of its own, unless the props have others, so that it may write its own
// logs and nothing else.
func newFunction(r *RetryingApiProxy, name, importPath string, props RetryingApiProxyProps, own *awslambda.FunctionProps) awslambda.Function {
	role := props.Roles.ofFunction(name)
	if role == nil {
		role = newRole(r, r, name+"-role", "lambda.amazonaws.com")
	}
	logGroup := props.LogGroups.ofFunction(name)
	if logGroup == nil {
		logGroup = newLogGroup(r, name+"-logs", props, nil)
	}
	logGroup.GrantWrite(role)

	if props.OmitMetrics {
		(*own.Environment)[message.MetricsVariable] = jsii.String("off")
	}
	memory := props.MemorySizeMiB
	if name == gatewayName {
		memory = props.GatewayMemorySizeMiB
	}
	environment := props.withEnvironment(*own.Environment)
	own.Environment = &environment
	own.FunctionName = functionName(r, name)
	own.Role = role
	own.LogGroup = logGroup
	own.LoggingFormat = awslambda.LoggingFormat_JSON
	own.Tracing = awslambda.Tracing_ACTIVE
	own.Architecture = props.Architecture
	own.EnvironmentEncryption = props.EncryptionKey
	own.MemorySize = jsii.Number(memory)
	customized(r, name, props, own)
	if own.Vpc != nil {
		grantInterfaces(r, role, own.FunctionName)
	}
	function := gofunction.NewFunction(r, jsii.String(name), importPath, own)
	acknowledgeFunction(function, role, own.Vpc != nil)
	return function
}

// servicePrincipal is a service of AWS that acts for the stack's own account. Without the condition it could be brought to
// act for another one.
func servicePrincipal(r *RetryingApiProxy, service string) awsiam.ServicePrincipal {
	return awsiam.NewServicePrincipal(&service, &awsiam.ServicePrincipalOpts{
		Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": *awscdk.Stack_Of(r).Account()}},
	})
}

// functionName makes the physical name of a function: that of the construct, unique in account and region, and the
// function's own, by which it is found in the console.
func functionName(r *RetryingApiProxy, name string) *string {
	unique := awscdk.Names_UniqueResourceName(r, &awscdk.UniqueResourceNameOptions{
		MaxLength: jsii.Number(maxFunctionNameLength - len(name) - 1),
		Separator: jsii.String("-"),
	})
	return jsii.String(*unique + "-" + name)
}

// logRemovalPolicy is that of the props, or DESTROY.
func logRemovalPolicy(props RetryingApiProxyProps) awscdk.RemovalPolicy {
	if props.RemovalPolicy != "" {
		return props.RemovalPolicy
	}
	return awscdk.RemovalPolicy_DESTROY
}
