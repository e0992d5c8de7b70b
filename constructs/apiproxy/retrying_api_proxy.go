package apiproxy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// A RetryingApiProxy is an HTTPS endpoint in front of an API that fails. It is a construct: it can be a scope, be
// tagged, and have dependencies.
type RetryingApiProxy struct {
	constructs.Construct

	// Gateway is the function behind the URL. The URL is that of its alias live, so that its code, its environment and the
	// version of the state machine that it starts change together, and can be rolled back together.
	Gateway awslambda.Function

	// Live is that alias. Whoever invokes the gateway, rather than call the URL, invokes it by this alias: docs/triggers.md.
	Live awslambda.Alias

	// Proxies are the functions that make the attempts, proxy-1 first.
	Proxies []awslambda.Function

	// StateMachine is the Express state machine that carries requests out while the caller waits.
	StateMachine awsstepfunctions.StateMachine

	// AsyncStateMachine is the Standard state machine that carries asynchronous requests out. Nil without the prop Async.
	AsyncStateMachine awsstepfunctions.StateMachine

	// DeadLetterQueue takes the asynchronous requests that failed. Nil without the prop DeadLetters.
	DeadLetterQueue awssqs.IQueue

	// CallbackSecret is what callbacks are signed with. Nil without the prop Callback.
	CallbackSecret awssecretsmanager.ISecret

	// Table holds the idempotency records, and with the prop Async what is known of asynchronous requests.
	Table awsdynamodb.ITableV2

	// Bucket holds the bodies that do not fit into a state. Nil without the prop LargeBodies.
	Bucket awss3.IBucket

	// Vpc is where the proxies are. Nil if they are in none.
	Vpc awsec2.IVpc

	// EgressCidrs are the networks that the proxies call from, that of proxy-1 first, such as 203.0.113.7/32, for the upstream's
	// allow-list. Nil unless the prop Egress had addresses or networks created.
	EgressCidrs []*string

	// Url is the endpoint.
	Url awslambda.FunctionUrl

	// Alarms are the alarms by their names, so that actions can be added, or alarms be put together. Empty without the prop Alarms.
	Alarms map[AlarmName]awscloudwatch.Alarm

	// Dashboard is the page that shows what is done. Nil without the prop Dashboard.
	Dashboard awscloudwatch.Dashboard

	connections awsec2.Connections // nil in no VPC
	prefix      string             // begins the ids of its records
	granted     map[string]string  // the conditions under which each principal was first let in
	gate        message.Gate
	failed      awslogs.MetricFilter
	undelivered awslogs.MetricFilter // nil if there are neither dead letters nor callbacks
	omitMetrics bool
	machineLogs []awslogs.ILogGroup // of the state machines, which may share one
}

// NewRetryingApiProxy creates a RetryingApiProxy in scope. It panics, as every construct does, with one message that
// lists every problem of the props; see [RetryingApiProxyProps.Validate]. The props are not changed.
func NewRetryingApiProxy(scope constructs.Construct, id *string, props *RetryingApiProxyProps) *RetryingApiProxy {
	if props == nil {
		props = &RetryingApiProxyProps{}
	}
	if err := props.Validate(); err != nil {
		panic(fmt.Sprintf("RetryingApiProxy %q cannot be built:\n%v", *id, err))
	}
	settled := props.withDefaults()

	r := &RetryingApiProxy{granted: map[string]string{}}
	constructs.NewConstruct_Override(r, scope, id)
	if r.prefix = recordPrefix(r, settled); r.prefix == gatePrefix {
		panic(fmt.Sprintf("RetryingApiProxy %q cannot be built:\nRecordPrefix is by default its id, %q, with which the ids of what FlowControl and "+
			"CircuitBreaker keep in the table begin; set RecordPrefix, or give it another id", *id, r.prefix))
	}

	if r.Table = settled.Table; r.Table == nil {
		r.Table = NewIdempotencyTable(r, jsii.String("Table"), &IdempotencyTableProps{
			RemovalPolicy: settled.RemovalPolicy, EncryptionKey: settled.EncryptionKey,
		})
	}
	if settled.Table != nil {
		warnOfSamePrefix(r, settled)
	}
	takeRoles(r, *id, settled.Roles)
	if settled.LargeBodies != nil {
		if r.Bucket = settled.LargeBodies.Bucket; r.Bucket == nil {
			r.Bucket = newBucket(r, settled)
		}
	}
	if settled.Callback != nil {
		if r.CallbackSecret = settled.Callback.Secret; r.CallbackSecret == nil {
			r.CallbackSecret = newCallbackSecret(r, settled)
		}
	}
	if settled.EncryptionKey != nil {
		grantLogs(r, settled.EncryptionKey)
	}
	if warning := settled.starvation(); warning != "" {
		awscdk.Annotations_Of(r).AddWarningV2(jsii.String(starvationID), &warning)
	}
	r.gate, r.omitMetrics = settled.gate(), settled.OmitMetrics
	r.Proxies = newProxies(r, settled)
	aliases := make([]awslambda.Alias, len(r.Proxies))
	for i, proxy := range r.Proxies {
		aliases[i] = newLiveAlias(proxy, settled.ProvisionedConcurrency.EachProxy)
	}
	r.StateMachine = newStateMachine(r, settled, aliases)
	if settled.DeadLetters != nil {
		if r.DeadLetterQueue = settled.DeadLetters.Queue; r.DeadLetterQueue == nil {
			r.DeadLetterQueue = newDeadLetterQueue(r, settled)
		}
	}
	if settled.Async != nil {
		r.AsyncStateMachine = newAsyncStateMachine(r, settled, aliases)
	}
	r.Gateway = newGateway(r, settled)
	r.Live = newLiveAlias(r.Gateway, settled.ProvisionedConcurrency.Gateway)
	r.Url = r.Live.AddFunctionUrl(&awslambda.FunctionUrlOptions{
		AuthType: settled.UrlAuthType,
		Cors:     settled.cors(),
	})
	if settled.Alarms != nil {
		r.Alarms = newAlarms(r, settled)
	}
	if settled.Dashboard != nil {
		r.Dashboard = newDashboard(r, settled)
	}
	if settled.SavedQueries {
		newSavedQueries(r)
	}

	awscdk.NewCfnOutput(r, jsii.String("Url"), &awscdk.CfnOutputProps{
		Value:       r.Url.Url(),
		Description: jsii.String("The endpoint that takes the requests of the upstream API"),
	})
	awscdk.NewCfnOutput(r, jsii.String("GatewayArn"), &awscdk.CfnOutputProps{
		Value:       r.Live.FunctionArn(),
		Description: jsii.String("What a policy names that lets somebody call the endpoint"),
	})
	awscdk.NewCfnOutput(r, jsii.String("StateMachineArn"), &awscdk.CfnOutputProps{
		Value:       r.StateMachine.StateMachineArn(),
		Description: jsii.String("The state machine whose executions show every attempt"),
	})
	if r.AsyncStateMachine != nil {
		awscdk.NewCfnOutput(r, jsii.String("AsyncStateMachineArn"), &awscdk.CfnOutputProps{
			Value:       r.AsyncStateMachine.StateMachineArn(),
			Description: jsii.String("The state machine whose executions show every attempt of asynchronous requests"),
		})
	}
	if r.DeadLetterQueue != nil {
		newDeadLetterOutput(r)
	}
	awscdk.NewCfnOutput(r, jsii.String("TableName"), &awscdk.CfnOutputProps{
		Value:       r.Table.TableName(),
		Description: jsii.String("The table of idempotency records" + settled.fate(settled.Table == nil)),
	})
	if r.Bucket != nil {
		awscdk.NewCfnOutput(r, jsii.String("BucketName"), &awscdk.CfnOutputProps{
			Value:       r.Bucket.BucketName(),
			Description: jsii.String("The bucket of large bodies" + settled.fate(settled.LargeBodies.Bucket == nil)),
		})
	}
	return r
}

// GrantInvoke lets a principal call the function URL. It gives both permissions that a call needs,
// lambda:InvokeFunctionUrl and lambda:InvokeFunction, on the alias live of the gateway.
//
// A principal of another account, or of an organization, has to be given both by its own account, too:
// [RetryingApiProxy_FromUrlAttributes] does that in a CDK app there, and docs/platform.md shows the policy.
func (r *RetryingApiProxy) GrantInvoke(grantee awsiam.IGrantable) awsiam.Grant {
	principal := grantee.GrantPrincipal().PolicyFragment()
	who := resolvedJSON(r, principal.PrincipalJson())
	conditions := resolvedJSON(r, principal.Conditions())
	if before, granted := r.granted[who]; granted && before != conditions && strings.HasPrefix(who, `{"Service":`) {
		// The CDK tells services apart by their names alone, and would drop this grant.
		r.grantService(grantee.GrantPrincipal(), conditions)
	} else {
		r.granted[who] = conditions
	}
	return r.Url.GrantInvokeUrl(grantee)
}

// grantService lets a service that has been let in under other conditions call the function URL under these, too.
func (r *RetryingApiProxy) grantService(service awsiam.IPrincipal, conditions string) {
	sum := sha256.Sum256([]byte(conditions))
	id := "InvokeUrl" + hex.EncodeToString(sum[:conditionsHashBytes])
	if r.Live.Node().TryFindChild(&id) != nil {
		return
	}
	r.Live.AddPermission(&id, &awslambda.Permission{
		Principal: service, Action: jsii.String("lambda:InvokeFunctionUrl"), FunctionUrlAuthType: awslambda.FunctionUrlAuthType_AWS_IAM,
	})
	r.Live.AddPermission(jsii.String(id+"-DualAuth"), &awslambda.Permission{
		Principal: service, Action: jsii.String("lambda:InvokeFunction"), InvokedViaFunctionUrl: jsii.Bool(true),
	})
}

// fate is what becomes of a table or a bucket when the stack is deleted, for whoever reads its outputs.
func (p RetryingApiProxyProps) fate(own bool) string {
	switch {
	case !own:
		return ", which is not of this construct"
	case p.RemovalPolicy == awscdk.RemovalPolicy_DESTROY:
		return ", which is deleted with the stack"
	default:
		return ", which stays when the stack is deleted"
	}
}

// conditionsHashBytes is how many bytes of a hash tell the conditions of one grant from those of another.
const conditionsHashBytes = 8

// policyJSON writes the policy for the functions' environment.
func policyJSON(props RetryingApiProxyProps) *string {
	text, err := message.WritePolicy(props.Retry)
	if err != nil {
		panic(err) // a policy that has been validated is made of strings and numbers
	}
	return jsii.String(text)
}

// recordedJSON writes which answers are recorded for the proxies' environment.
func recordedJSON(props RetryingApiProxyProps) *string {
	text, err := json.Marshal(props.Idempotency.Recorded)
	if err != nil {
		panic(err) // it is made of numbers and booleans
	}
	return jsii.String(string(text))
}
