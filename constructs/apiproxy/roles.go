package apiproxy

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
)

// Roles are roles that exist. What the functions and the state machines need is granted to them, by policies of the stack. To a role
// that is imported as immutable, nothing is granted; docs/platform.md says what it needs.
//
// The three must differ, because each is denied what the others do with the table. For the same reason, several RetryingApiProxy
// with one table need roles each.
type Roles struct {
	// Gateway is the role of the gateway, which lambda.amazonaws.com may assume. Default: one is created.
	Gateway awsiam.IRole

	// Proxies is the role of all proxies, which lambda.amazonaws.com may assume. Default: one is created for each.
	Proxies awsiam.IRole

	// StateMachines is the role of the state machine, and of the other one with Async; states.amazonaws.com may assume it.
	// Default: one is created for each.
	StateMachines awsiam.IRole
}

// ofFunction is the role of a function, if it exists.
func (r Roles) ofFunction(name string) awsiam.IRole {
	if name == gatewayName {
		return r.Gateway
	}
	return r.Proxies
}

// named are the roles that exist, with the names of their fields.
func (r Roles) named() []namedRole {
	var given []namedRole
	for _, role := range []namedRole{{"Gateway", r.Gateway}, {"Proxies", r.Proxies}, {"StateMachines", r.StateMachines}} {
		if role.IRole != nil {
			given = append(given, role)
		}
	}
	return given
}

type namedRole struct {
	name string
	awsiam.IRole
}

// validate lists the roles that are given for two things.
func (r Roles) validate() []error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	given := r.named()
	for i, role := range given {
		for _, other := range given[:i] {
			if *role.RoleArn() == *other.RoleArn() {
				problem("Roles.%s and Roles.%s are the same role; give different ones, because each is denied what the other does with the table",
					other.name, role.name)
			}
		}
	}
	return problems
}

// takenRole is the type of the metadata of a stack that tells whose a role is that exists.
const takenRole = "retrying-api-proxy:role"

// takeRoles marks the roles that exist as those of a RetryingApiProxy. It panics if one is that of another with the same table, whose
// records it is denied: with the rights of both it could touch nothing.
func takeRoles(r *RetryingApiProxy, id string, roles Roles) {
	stack := awscdk.Stack_Of(r)
	for _, role := range roles.named() {
		taken := resolvedJSON(r, role.RoleArn()) + " for " + resolvedJSON(r, r.Table.TableArn()) + " by "
		for _, other := range marks(stack, takenRole) {
			if prefix, same := strings.CutPrefix(other, taken); same && prefix != r.prefix {
				panic(fmt.Sprintf("RetryingApiProxy %q cannot be built:\nRoles.%s is a role that the RetryingApiProxy with the RecordPrefix %q has too, and "+
					"both have the same table; give each roles of its own, because a role is denied the records of the others", id, role.name, prefix))
			}
		}
		mark(stack, takenRole, taken+r.prefix)
	}
}

// mark leaves a text at a construct, in its metadata, for what is created later.
func mark(scope constructs.IConstruct, kind, text string) {
	scope.Node().AddMetadata(&kind, text, nil)
}

// marks are the texts of a kind that were left at a construct.
func marks(scope constructs.IConstruct, kind string) []string {
	var texts []string
	for _, entry := range *scope.Node().Metadata() {
		if text, ok := entry.Data.(string); ok && *entry.Type == kind {
			texts = append(texts, text)
		}
	}
	return texts
}

// newRole creates the role of a function or a state machine.
func newRole(r *RetryingApiProxy, scope constructs.Construct, id, service string) awsiam.IRole {
	return awsiam.NewRole(scope, &id, &awsiam.RoleProps{AssumedBy: servicePrincipal(r, service)})
}

// resolvedJSON is how a template of the stack says a value.
func resolvedJSON(scope constructs.IConstruct, value any) string {
	text, err := json.Marshal(awscdk.Stack_Of(scope).Resolve(value))
	if err != nil {
		panic(err) // what is resolved is made of maps, lists, numbers and strings
	}
	return string(text)
}
