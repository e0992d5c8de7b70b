package apiproxy

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// DefaultFlowControlMode is what is done about rates where FlowControl.Mode says nothing.
const DefaultFlowControlMode = Off

// Modes of FlowControl.
const (
	// Off has nobody wait for a rate. Only the circuit breaker holds requests back.
	Off = gate.Off

	// Fixed has every request take its turn, at the Rate and Burst that are typed in.
	Fixed = gate.Fixed

	// Adaptive has requests take turns once the upstream has limited one of them, at the rate that it is seen to let through,
	// until a minute after the last 429.
	Adaptive = gate.Adaptive

	// Observe has nobody wait, and measures and logs what Adaptive would have done.
	Observe = gate.Observe
)

// Unbounded is a FlowControl.MaxWaiting that lets as many requests wait as come.
const Unbounded = gate.Unbounded

// FlowControl has requests that share a limit of the upstream come one after the other, at the rate that it allows, in place
// of each finding out by a 429. They share an item of the table: docs/gate.md says how, and what was measured.
//
// A request waits in the gateway, and after a 429 in the state machine, up to its deadline and no longer. One whose turn does
// not come in time, or for whom there is no place, is answered with 429, or 503 while the circuit is open, and a Retry-After
// of the moment at which its turn would have come; nothing was sent. Where the table fails, or does not answer within 50 ms, it
// is as if there were no flow control.
//
// While nothing is wrong, nothing is written and nobody waits, but for Fixed. Where requests take turns, each writes the item
// about once (list price: $0.625 for a million writes), and reads it now and then.
type FlowControl struct {
	// Mode says where rates come from: Off, Fixed, Adaptive or Observe. Default: [DefaultFlowControlMode].
	Mode gate.Mode

	// Rate is how many calls the upstream allows per Period, of one caller or route as Key has it. Take 2% less than it says,
	// since calls take their time to arrive. At most 100,000 a second. Required for Fixed; other modes have none.
	Rate int

	// Period is the time that Rate is for, from 1 second to 24 hours. Default: 1 second.
	Period time.Duration

	// Burst is how many calls are made at once after a time without any, up to 1,000,000. Take a fifth less than the upstream
	// says. Default: 1.
	Burst int

	// Key says what the upstream counts its limits by, and what calls share the circuit breaker: ByCredential, ByRoute,
	// ByCredential | ByRoute, or ByUpstream. A key that is too narrow costs a few calls more. One that is too wide holds back
	// callers who are not limited: where 200 tenants have a limit each, one key for all of them has 13% of the requests succeed in
	// place of 81% (docs/gate.md, worlds 11 and 13). Default: ByCredential | ByRoute.
	Key LimitKey

	// MaxWaiting is how many requests with the same key may wait at the same time; those that come when all places are taken are
	// turned away. Each that waits holds a concurrent execution of the gateway, of which an account has 1,000 until its quota
	// is raised, and costs $3.33 per million seconds (list price, 256 MB), or $4.38 while an Express execution waits with it:
	// [RetryingApiProxyProps.Explain] says what that comes to. Asynchronous requests wait in neither, and for nothing.
	//
	// Without Async it must not be more than ReservedConcurrency.Gateway, where that is set: more cannot wait. Unbounded lets as
	// many wait as come. Default: 500, or ReservedConcurrency.Gateway if that is less.
	MaxWaiting int
}

// A LimitKey is what the upstream counts limits by.
type LimitKey int

// What limits can be counted by. ByCredential and ByRoute can be put together by |.
const (
	// ByCredential has a limit for each caller, as the upstream knows them: by the credentials that go upstream with their requests.
	ByCredential LimitKey = 1 << iota

	// ByRoute has a limit for each route of the policy, and for each first segment of the paths that are on none.
	ByRoute

	// ByUpstream has one limit for all requests, whoever sends them. Give it only if that is known to be so, such as of an
	// upstream that counts by an Upstream.Auth: a limit of one caller or route would hold back all others.
	ByUpstream
)

// gate is the key as package gate has it.
func (k LimitKey) gate() gate.Key {
	switch k {
	case 0:
		return gate.DefaultKey
	case ByUpstream:
		return 0
	}
	var key gate.Key
	if k&ByCredential != 0 {
		key |= gate.ByCredential
	}
	if k&ByRoute != 0 {
		key |= gate.ByRoute
	}
	return key
}

// gate is what the functions are told of flow control and circuit breaker. It assumes props that have their defaults.
func (p RetryingApiProxyProps) gate() message.Gate {
	f, b := p.FlowControl, p.CircuitBreaker
	return message.Gate{
		FlowControl: message.GateFlowControl{
			Mode: f.Mode, Rate: f.Rate, Period: message.TextDuration(f.Period), Burst: f.Burst, Key: f.Key.gate().String(), MaxWaiting: f.MaxWaiting,
		},
		CircuitBreaker: message.GateBreaker{
			Disabled: b.Disabled, MinimumFailures: b.MinimumFailures, FailureRate: b.FailureRate,
			ProbeInterval: message.TextDuration(b.ProbeInterval), RampUp: b.RampUp,
		},
	}
}

// defaultMaxWaiting is how many may wait where nothing is said of it.
func (p RetryingApiProxyProps) defaultMaxWaiting() int {
	if most := p.mostWaiting(); most > 0 {
		return min(gate.DefaultMaxWaiting, most)
	}
	return gate.DefaultMaxWaiting
}

// mostWaiting is how many can wait at the most, since all of them wait in the gateway. Zero: nothing is known of it.
func (p RetryingApiProxyProps) mostWaiting() int {
	if p.Async != nil { // those who wait for an answer of hours do so elsewhere
		return 0
	}
	return max(0, p.ReservedConcurrency.Gateway)
}

// validateGate checks flow control and circuit breaker. It assumes props that have their defaults.
func (p RetryingApiProxyProps) validateGate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	f := p.FlowControl
	if _, _, err := p.gate().Settings(retry.Policy{}); err != nil { // what the functions will say of it, but for the deadlines of the policy
		for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
			// It begins with the name of a field of gate.Settings, which the props have under other names.
			text, prop := strings.TrimPrefix(err.Error(), "gate: "), "FlowControl."
			if field, isOfBreaker := strings.CutPrefix(text, "Breaker."); isOfBreaker {
				text, prop = field, "CircuitBreaker."
			}
			problem("%s%s", prop, text)
		}
	}
	if f.Mode != Fixed {
		if f.Period != 0 {
			problem("FlowControl.Period is %v, and only Mode %q reads it; Mode is %q", f.Period, Fixed, f.Mode)
		}
		if f.Burst != 0 {
			problem("FlowControl.Burst is %d, and only Mode %q reads it; Mode is %q", f.Burst, Fixed, f.Mode)
		}
	}
	if f.Key < 0 || f.Key > ByUpstream {
		problem("FlowControl.Key is %d; give ByCredential, ByRoute, ByCredential | ByRoute, or ByUpstream alone", f.Key)
	}
	if most := p.mostWaiting(); most > 0 && f.MaxWaiting > most {
		problem("FlowControl.MaxWaiting is %d, and ReservedConcurrency.Gateway lets %d requests into the gateway, which is where they wait; "+
			"lower MaxWaiting to %d or raise ReservedConcurrency.Gateway", f.MaxWaiting, most, most)
	}
	return errors.Join(problems...)
}

// gateJSON writes flow control and circuit breaker for the functions' environment.
func gateJSON(props RetryingApiProxyProps) string {
	text, err := message.WriteGate(props.gate())
	if err != nil {
		panic(err) // what has been validated is made of strings and finite numbers
	}
	return text
}

// gateRoom is about what the environment takes for flow control and circuit breaker, in bytes.
func (p RetryingApiProxyProps) gateRoom() int {
	if p.gate().Idle() {
		return 0
	}
	text, _ := message.WriteGate(p.gate()) // what cannot be written is a problem of its own
	return len(text)
}

// tellOfGate adds flow control and circuit breaker to the environment of a function, and says whether there is any.
func tellOfGate(r *RetryingApiProxy, props RetryingApiProxyProps, environment map[string]*string) bool {
	if props.gate().Idle() {
		return false
	}
	environment[message.GateVariable] = jsii.String(gateJSON(props))
	return true
}

// gateKeys is what the ids of the items look like that the callers of a RetryingApiProxy share, in a policy.
func gateKeys(prefix string) string { return gate.ItemPrefix + prefix + "#*" }

// grantGate lets a function read and update the items that callers share, and nothing else of the table.
func grantGate(table awsdynamodb.ITableV2, grantee awsiam.IGrantable, prefix string) {
	grantKey(table, grantee)
	grantee.GrantPrincipal().AddToPrincipalPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:   jsii.Strings("dynamodb:GetItem", "dynamodb:UpdateItem"),
		Resources: jsii.Strings(*table.TableArn()),
		Conditions: &map[string]any{
			"ForAllValues:StringLike": map[string]any{"dynamodb:LeadingKeys": []string{gateKeys(prefix)}},
		},
	}))
}
