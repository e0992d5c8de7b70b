package apiproxy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// environmentLimit is what Lambda gives to the variables of a function, in bytes: names and values.
const environmentLimit = 4096

// ownVariables are the variables by which the functions are told what to do, whether or not a function is told them.
var ownVariables = []string{
	message.ProxyCountVariable, message.RetryPolicyVariable, message.AllowedMethodsVariable, message.AllowedPathsVariable,
	message.AWSFieldsVariable, message.TableVariable, message.RecordPrefixVariable, message.BodiesVariable, message.AsyncVariable,
	message.MetricsVariable, message.GateVariable,
	message.StateMachineVariable, message.RingStartVariable, message.KeyRequiredVariable, message.CacheHeadersVariable,
	message.ServerCacheHitVariable, message.AsyncMachineVariable, message.AsyncDeadlineVariable, message.AnswerTTLVariable,
	message.LetterRetentionVariable, message.TokenIssuerVariable, message.TokenKeysVariable, message.TokenAudienceVariable,
	message.CallerVariable, message.KeyFieldsVariable, message.MaxAnonymousWaitVariable, message.HideAttemptsVariable,
	message.LinksVariable, message.OmitRetryAdviceVariable, message.CrossOriginVariable, message.AuthReplacesVariable,
	message.CallbackURLVariable, message.CallbackHostsVariable,
	message.ProxyNameVariable, message.UpstreamVariable, message.AllowedNetworksVariable, message.KeyTTLVariable,
	message.RecordedVariable, message.UpstreamAuthVariable, message.SecretCacheVariable, message.FixedFieldsVariable,
	message.AuthorityVariable, message.AddressProbeVariable, message.CallbackSecretVariable,
}

// reservedVariables are those that Lambda sets itself, and refuses of others (Developer Guide, "Defined runtime environment
// variables"). Others that begin with AWS_ are for the SDK, such as AWS_USE_FIPS_ENDPOINT.
var reservedVariables = []string{
	"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME",
	"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME",
	"AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
	"AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
}

// variableName is what Lambda takes as the name of a variable.
var variableName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]+$`)

// validateEnvironment lists what is wrong with the names of Environment.
func (p RetryingApiProxyProps) validateEnvironment() []error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	for _, name := range slices.Sorted(maps.Keys(p.Environment)) {
		switch {
		case slices.Contains(ownVariables, name):
			problem("Environment has %s, by which the functions are told of other props; leave it out", name)
		case slices.Contains(reservedVariables, name):
			problem("Environment has %s, which Lambda sets itself; leave it out", name)
		case !variableName.MatchString(name):
			problem("Environment has %q; give a name of two or more letters, digits and underscores that begins with a letter", name)
		}
	}
	return problems
}

// environmentRoom is what Environment takes of the room for variables, in bytes.
func (p RetryingApiProxyProps) environmentRoom() int {
	var n int
	for name, value := range p.Environment {
		n += len(name) + len(value)
	}
	return n
}

// withEnvironment adds Environment to the variables of a function.
func (p RetryingApiProxyProps) withEnvironment(own map[string]*string) map[string]*string {
	all := maps.Clone(own)
	for name, value := range p.Environment {
		all[name] = &value
	}
	return all
}

// changed lists, in order, what has another value in variables than in before, or none.
func changed(before, variables map[string]*string) []string {
	var names []string
	for name, value := range before {
		if now := variables[name]; now == nil || *now != *value {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
