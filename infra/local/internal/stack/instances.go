package stack

import (
	"slices"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
)

// An Instance is a RetryingApiProxy of the stack: a gateway, and the functions that its state machines call.
type Instance struct {
	// Name is the path of its construct below the stack's, such as Orders. Where the assembly does not say it, it is what the
	// name of the gateway begins with.
	Name string

	// Gateway is the name of the gateway's function, and Proxies are those of the other functions, in their order.
	Gateway string
	Proxies []string

	// Environment is what the template tells the gateway.
	Environment map[string]string

	prefix string // of the functions' names
}

// Instances lists the RetryingApiProxy of the stack, in the order of the logical ids of their gateways.
func (s *Stack) Instances() []*Instance { return s.instances }

// instancesOf finds the instances of a template. A gateway is known by its environment.
func instancesOf(template *cloudformation.Stack) []*Instance {
	var instances []*Instance
	for _, gateway := range template.Functions {
		if gateway.Environment[message.StateMachineVariable] == "" {
			continue
		}
		instance := &Instance{Name: nameOf(gateway), Gateway: gateway.Name, Environment: gateway.Environment}
		var definitions strings.Builder
		for _, m := range template.StateMachines {
			for _, variable := range []string{message.StateMachineVariable, message.AsyncMachineVariable} {
				if started := gateway.Environment[variable]; started == m.ARN || strings.HasPrefix(started, m.ARN+":") { // with a version
					definitions.WriteString(m.Definition)
				}
			}
		}
		own := []cloudformation.Function{gateway}
		for _, f := range template.Functions {
			if f.Name != gateway.Name && calls(definitions.String(), f.ARN) {
				instance.Proxies = append(instance.Proxies, f.Name)
				own = append(own, f)
			}
		}
		instance.prefix = sharedPrefix(own)
		instances = append(instances, instance)
	}
	return instances
}

// calls says whether a definition names a function, with or without an alias.
func calls(definition, arn string) bool {
	return strings.Contains(definition, arn+`"`) || strings.Contains(definition, arn+":")
}

// nameOf is the name of the instance that a gateway is of.
func nameOf(gateway cloudformation.Function) string {
	if at := strings.LastIndex(gateway.Path, "/"); at > 0 {
		return gateway.Path[:at]
	}
	return strings.TrimSuffix(upToHyphen(gateway.Name), "-")
}

// instanceOf is the instance that a function is of, by its name; nil if it is of none.
func (s *Stack) instanceOf(function string) *Instance {
	for _, instance := range s.instances {
		if instance.Gateway == function || slices.Contains(instance.Proxies, function) {
			return instance
		}
	}
	return nil
}

// ShortName is the name of a function less what the names of all functions of its instance begin with: gateway, proxy-1. So
// functions of several instances share one. Of a function that is of none it is the name less what those of all functions
// begin with.
func (s *Stack) ShortName(function string) string {
	if instance := s.instanceOf(function); instance != nil {
		return strings.TrimPrefix(function, instance.prefix)
	}
	return strings.TrimPrefix(function, s.prefix)
}

// sharedPrefix is what the names of all functions begin with, up to a hyphen.
func sharedPrefix(functions []cloudformation.Function) string {
	if len(functions) == 0 {
		return ""
	}
	prefix := upToHyphen(functions[0].Name)
	for _, f := range functions {
		for !strings.HasPrefix(f.Name, prefix) {
			prefix = upToHyphen(strings.TrimSuffix(prefix, "-"))
		}
	}
	return prefix
}

// upToHyphen is a name up to its last hyphen, with it.
func upToHyphen(name string) string { return name[:strings.LastIndex(name, "-")+1] }
