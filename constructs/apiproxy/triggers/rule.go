package triggers

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// maxRuleNameLength is how much of a key the name of a rule takes.
const maxRuleNameLength = 64

// RuleProps says after which events which request is sent.
type RuleProps struct {
	// Proxy is what the requests go through. Required.
	Proxy *apiproxy.RetryingApiProxy

	// Request is what is sent. Its strings may hold fields of the event, as awsevents.EventField_FromPath gives them, and its
	// Body may be one, such as $.detail. A field that an event does not have makes no request of it: name those that are needed
	// in the pattern. Required.
	Request Request

	// Rule says after which events of which bus; its Targets are not given. Required.
	Rule *awsevents.RuleProps
}

// NewRule creates a rule of EventBridge that sends a request through a RetryingApiProxy, once for each event that it matches.
// What has no final answer is tried again by Lambda, and then goes to [DeadLetters]. The scope must be in the stack of the
// RetryingApiProxy. It panics with one message that lists every problem of the props.
func NewRule(scope constructs.Construct, id *string, props *RuleProps) awsevents.Rule {
	if props == nil {
		props = &RuleProps{}
	}
	wrong := props.Request.validate()
	switch {
	case props.Rule == nil || props.Rule.EventPattern == nil:
		wrong.add("Rule has no EventPattern; give one, or use a Schedule for what is sent by time")
	case props.Rule.Targets != nil:
		wrong.add("Rule has Targets; leave them out, the target is the RetryingApiProxy")
	}
	if props.Proxy != nil && *awscdk.Stack_Of(scope).Node().Path() != *awscdk.Stack_Of(props.Proxy).Node().Path() {
		wrong.add("the scope is in another stack than Proxy, whose dead letters would need the rule, and the rule them; " +
			"give a scope in the stack of Proxy, such as Proxy itself. The bus may be in any stack")
	}
	wrong.check("Rule", id, props.Proxy)

	rule := awsevents.NewRule(scope, id, props.Rule)
	// Two rules may make two requests of one event.
	name := awscdk.Names_UniqueResourceName(rule, &awscdk.UniqueResourceNameOptions{MaxLength: jsii.Number(maxRuleNameLength)})
	rule.AddTarget(awseventstargets.NewLambdaFunction(props.Proxy.Live, &awseventstargets.LambdaFunctionProps{
		Event:           awsevents.RuleTargetInput_FromObject(props.Request.event(*name + " " + *awsevents.EventField_EventId())),
		DeadLetterQueue: DeadLetters(props.Proxy),
	}))
	return rule
}
