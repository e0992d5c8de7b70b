//go:build !race

package apiproxy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A template is a CloudFormation template as far as the tests look into it.
type template struct {
	Resources map[string]*resource
	Outputs   map[string]output

	text []byte

	// told is what the CDK was told of the constructs, by their paths.
	told map[string][]metadataEntry
}

type output struct {
	Description string
	Value       any
}

// A metadataEntry is something that the CDK was told of a construct.
type metadataEntry struct {
	Type string
	Data json.RawMessage
}

type resource struct {
	id string

	Type           string
	Properties     map[string]any
	Metadata       map[string]any
	DependsOn      any
	DeletionPolicy string
}

func readTemplate(text []byte) template {
	t := template{text: text}
	if err := json.Unmarshal(text, &t); err != nil {
		panic(err)
	}
	for id, r := range t.Resources {
		r.id = id
	}
	return t
}

// ofType lists the resources of a type, in the order of their ids.
func (t template) ofType(name string) []*resource {
	var found []*resource
	for _, id := range slices.Sorted(maps.Keys(t.Resources)) {
		if t.Resources[id].Type == name {
			found = append(found, t.Resources[id])
		}
	}
	return found
}

// the returns the only resource of a type.
func (t template) the(name string) *resource {
	found := t.ofType(name)
	if len(found) != 1 {
		panic(fmt.Sprintf("%d resources of type %s; want one", len(found), name))
	}
	return found[0]
}

// functions lists the functions.
func (t template) functions() []*resource { return t.ofType("AWS::Lambda::Function") }

// gateway is the function behind the URL.
func (t template) gateway() *resource {
	return t.referred(t.the("AWS::Lambda::Url").Properties["TargetFunctionArn"])
}

// proxies lists the functions that are not the gateway, in the order of their numbers.
func (t template) proxies() []*resource {
	gateway := t.gateway()
	proxies := slices.DeleteFunc(t.functions(), func(r *resource) bool { return r == gateway })
	slices.SortFunc(proxies, func(a, b *resource) int { return number(a.name()) - number(b.name()) })
	return proxies
}

// number is the one at the end of a name.
func number(name string) int {
	var n int
	fmt.Sscanf(name[strings.LastIndex(name, "-")+1:], "%d", &n)
	return n
}

// machine is the state machine of requests whose callers wait.
func (t template) machine() *resource { return t.machineOf("EXPRESS") }

// asyncMachine is that of asynchronous requests, or nil.
func (t template) asyncMachine() *resource { return t.machineOf("STANDARD") }

func (t template) machineOf(kind string) *resource {
	for _, r := range t.machines() {
		if r.at("StateMachineType") == kind {
			return r
		}
	}
	return nil
}

// machines lists the state machines.
func (t template) machines() []*resource { return t.ofType("AWS::StepFunctions::StateMachine") }

// referred finds the resource that a Ref or Fn::GetAtt refers to.
func (t template) referred(value any) *resource {
	id, _, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(flat(value), "${"), "}"), ".")
	found := t.Resources[id]
	if found == nil {
		panic(fmt.Sprintf("%v refers to no resource", value))
	}
	return found
}

// name is a function's physical name.
func (r *resource) name() string { return flat(r.Properties["FunctionName"]) }

// at finds a value in the properties by its path.
func (r *resource) at(path ...string) any { return at(r.Properties, path...) }

// number finds a number in the properties by its path, or -1 if there is none.
func (r *resource) number(path ...string) float64 {
	if n, ok := r.at(path...).(float64); ok {
		return n
	}
	return -1
}

func at(value any, path ...string) any {
	for _, name := range path {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

// flat writes a value with its intrinsic functions resolved as far as a template allows: a Ref is ${Id}, an attribute
// ${Id.Name}, and a join is one string.
func flat(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		return value
	case map[string]any:
		if id, ok := value["Ref"].(string); ok {
			return "${" + id + "}"
		}
		if parts, ok := value["Fn::GetAtt"].([]any); ok {
			return "${" + list(parts, ".") + "}"
		}
		if join, ok := value["Fn::Join"].([]any); ok {
			return list(join[1].([]any), join[0].(string))
		}
		if text, ok := value["Fn::Sub"].(string); ok {
			return text
		}
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func list(parts []any, separator string) string {
	texts := make([]string, len(parts))
	for i, part := range parts {
		texts[i] = flat(part)
	}
	return strings.Join(texts, separator)
}

// A statement of a role's policies, which allows something.
type statement struct {
	Actions   []string
	Resources []string
}

// rights lists the statements of all policies of a role that allow something.
func (t template) rights(role *resource) []statement {
	var statements []statement
	for _, s := range t.statementsOf(role) {
		if at(s, "Effect") == "Allow" {
			statements = append(statements, statement{
				Actions:   each(at(s, "Action")),
				Resources: each(at(s, "Resource")),
			})
		}
	}
	return statements
}

// statementsOf lists the statements of all policies of a role, its own and those attached to it.
func (t template) statementsOf(role *resource) []any {
	var statements []any
	inline, _ := role.at("Policies").([]any)
	for _, policy := range inline {
		statements = append(statements, at(policy, "PolicyDocument", "Statement").([]any)...)
	}
	for _, policy := range t.ofType("AWS::IAM::Policy") {
		roles, _ := policy.at("Roles").([]any)
		for _, attached := range roles {
			if t.referred(attached) == role {
				statements = append(statements, policy.at("PolicyDocument", "Statement").([]any)...)
			}
		}
	}
	return statements
}

// resourcesOf lists what a role may do an action on, in order.
func (t template) resourcesOf(role *resource, action string) []string {
	var resources []string
	for _, s := range t.rights(role) {
		if slices.Contains(s.Actions, action) {
			resources = append(resources, s.Resources...)
		}
	}
	slices.Sort(resources)
	return resources
}

// actionsOf lists what a role may do, in order.
func (t template) actionsOf(role *resource) []string {
	var actions []string
	for _, s := range t.rights(role) {
		actions = append(actions, s.Actions...)
	}
	slices.Sort(actions)
	return slices.Compact(actions)
}

// each lists what a policy writes as one string or as a list of strings.
func each(value any) []string {
	values, ok := value.([]any)
	if !ok {
		return []string{flat(value)}
	}
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = flat(v)
	}
	return texts
}
