package apiproxy

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
)

// customized has the importer change the props of a function, and panics with all that it must not have changed.
func customized(r *RetryingApiProxy, name string, props RetryingApiProxyProps, settled *awslambda.FunctionProps) {
	if props.Customize == nil {
		return
	}
	before := *settled
	told := maps.Clone(*settled.Environment)
	least := props.leastTimeout(name)
	props.Customize(name, settled)

	var problems []string
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if settled.Code != nil || settled.Runtime != nil || settled.Handler != nil {
		problem("Code, Runtime and Handler are those of the handler that is compiled; leave them out")
	}
	if settled.Role != before.Role {
		problem("Role is another one, which was granted nothing; give it by the prop Roles")
	}
	if settled.LogGroup != before.LogGroup {
		problem("LogGroup is another one, which the role may not write to; give it by the prop LogGroups")
	}
	if settled.LoggingFormat != before.LoggingFormat {
		problem("LoggingFormat must stay JSON, in which queries and metrics read the logs")
	}
	if settled.Timeout == nil || *settled.Timeout.ToMilliseconds(nil) < float64(least.Milliseconds()) {
		problem("Timeout must be %v or more: it follows from the deadlines of Retry, which can be shortened", least)
	}
	var variables map[string]*string
	if settled.Environment != nil {
		variables = *settled.Environment
	}
	if names := changed(told, variables); len(names) > 0 {
		problem("Environment has other values of, or none for, %s; add variables only", strings.Join(names, ", "))
	}
	added := map[string]string{}
	var size int
	for variable, value := range variables {
		if value == nil {
			continue
		}
		size += len(variable) + len(*value)
		if told[variable] == nil {
			added[variable] = *value
		}
	}
	for _, err := range (RetryingApiProxyProps{Environment: added}).validateEnvironment() {
		problem("%v", err)
	}
	if size > environmentLimit {
		problem("Environment takes %d bytes, names and values; Lambda has room for %d", size, environmentLimit)
	}
	if len(problems) > 0 {
		panic(fmt.Sprintf("RetryingApiProxy %q cannot be built: Customize has changed of the function %s what must stay:\n%s",
			*r.Node().Id(), name, strings.Join(problems, "\n")))
	}
}

// leastTimeout is the time that a function needs.
func (p RetryingApiProxyProps) leastTimeout(name string) time.Duration {
	if name == gatewayName {
		return p.gatewayTimeout()
	}
	return p.proxyTimeout()
}
