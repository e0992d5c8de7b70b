package deployment_test

import (
	"cmp"
	"regexp"
	"slices"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
)

// What is different in each account: what CloudFormation adds to names, what stands before hosts, and the numbers of versions.
var (
	added   = regexp.MustCompile(`-[A-Z0-9]{12}\b`)
	bucket  = regexp.MustCompile(`\b(retryingapiproxy-[a-z0-9]+)-[a-z0-9]{12}\b`)
	secret  = regexp.MustCompile(`(:secret:)(?:` + stackName + `-)?([A-Za-z0-9]+)-[A-Za-z0-9]{6}\b`)
	host    = regexp.MustCompile(`https?://[^/\s"]+`)
	version = regexp.MustCompile(`(:stateMachine:[^:"]+):[0-9]+`)
)

// comparable is a text without what is different in each account.
func comparable(text string) string {
	text = bucket.ReplaceAllString(added.ReplaceAllString(text, ""), "$1")
	text = secret.ReplaceAllString(text, "$1$2")
	return version.ReplaceAllString(host.ReplaceAllString(text, ""), "$1:version")
}

// normal is a stack without what is different in each account and not in what it does: what CloudFormation adds to names, the
// numbers of versions, and where the code lies.
func normal(stack *cloudformation.Stack) *cloudformation.Stack {
	n := &cloudformation.Stack{Name: stack.Name, Outputs: map[string]string{}}
	for _, url := range stack.URLs {
		url.ID, url.Path, url.Address = "", "", "" // which the template has, and the service does not
		n.URLs = append(n.URLs, url)
	}
	for key, value := range stack.Outputs {
		n.Outputs[key] = comparable(value)
	}
	for _, f := range stack.Functions {
		f.Code, f.Path, f.Metadata, f.LogGroup = "", "", nil, comparable(f.LogGroup)
		environment, aliases := map[string]string{}, map[string]string{}
		for name, value := range f.Environment {
			environment[name] = comparable(value)
		}
		for name := range f.Aliases {
			aliases[name] = "a version"
		}
		f.Environment, f.Aliases = environment, aliases
		n.Functions = append(n.Functions, f)
	}
	for _, m := range stack.StateMachines {
		n.StateMachines = append(n.StateMachines, cloudformation.StateMachine{
			Name: comparable(m.Name), ARN: comparable(m.ARN), Type: m.Type, Definition: comparable(m.Definition),
		})
	}
	for _, table := range stack.Tables {
		table.Name, table.ARN = comparable(table.Name), comparable(table.ARN)
		n.Tables = append(n.Tables, table)
	}
	slices.SortFunc(n.Functions, func(a, b cloudformation.Function) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(n.StateMachines, func(a, b cloudformation.StateMachine) int { return cmp.Compare(a.Name, b.Name) })
	return n
}
