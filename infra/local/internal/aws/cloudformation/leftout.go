package cloudformation

import (
	"fmt"
	"slices"
	"strings"
)

// A LeftOut is a resource of the template that is not run.
type LeftOut struct {
	ID   string // the logical id
	Type string
	Path string // of its construct below the stack's; empty if the assembly does not say

	// Asked says that [Options.Skip] names it, or what it is of.
	Asked bool

	// Reason says why it is left out, if it was not asked for and its type does not say it.
	Reason string

	// NeededBy are the logical ids of what is run and refers to it. They are told a name in the place of what AWS would have
	// said: an ARN for Arn, and otherwise a text with the logical id in it.
	NeededBy []string
}

// The one runtime whose functions can be run here, and their handler.
const (
	runtime = "provided.al2023"
	handler = "bootstrap"
)

// aside are the types that are left out unasked, since nothing runs for them here: they watch, connect, permit, scale or tell
// others. A * at the end stands for all that begin so. Those among kinds are not left out.
var aside = []string{
	"AWS::ApplicationAutoScaling::*",
	"AWS::CloudWatch::*",
	"AWS::EC2::*",
	"AWS::IAM::*",
	"AWS::Lambda::LayerVersion",
	"AWS::Lambda::LayerVersionPermission",
	"AWS::Logs::*",
	"AWS::SNS::*",
	"Custom::LogRetention",
	"Custom::S3AutoDeleteObjects",
	"Custom::VpcRestrictDefaultSG",
}

// leaveOut finds the resources that are not run. What is to be skipped and is not there is a problem.
func (l *loader) leaveOut(outputs []string) {
	used := map[string]bool{}
	for _, id := range sortedKeys(l.resources) {
		r := l.resources[id]
		reason, out := l.unasked(r)
		asked := false
		for _, name := range l.options.Skip {
			if r.named(name) {
				used[name], asked = true, true
			}
		}
		if asked || out {
			l.leftOut[id] = &LeftOut{ID: id, Type: r.Type, Path: r.path, Asked: asked, Reason: reason}
		}
	}
	// Versions, aliases and URLs go with their function, and an event source with its queue.
	for more := true; more; {
		more = false
		for _, id := range sortedKeys(l.resources) {
			r := l.resources[id]
			if l.leftOut[id] != nil {
				continue
			}
			for _, property := range kinds[r.Type].with {
				for _, of := range references(r.Properties[property]) {
					if out := l.leftOut[of]; out != nil {
						l.leftOut[id] = &LeftOut{ID: id, Type: r.Type, Path: r.path, Asked: out.Asked, Reason: "it is of " + of}
						more = true
					}
				}
			}
		}
	}
	for _, name := range l.options.Skip {
		if !used[name] && !slices.Contains(outputs, name) {
			l.problem("%s is to be skipped; no resource has this type, logical id or path, and no output this id", name)
		}
	}
}

// unasked says whether a resource is left out if nobody asks, and why, if its type does not say it.
func (l *loader) unasked(r *resource) (reason string, out bool) {
	if r.Type == "AWS::Lambda::Function" {
		if kind, _ := l.text(r.Properties["PackageType"]); kind == "Image" {
			return "it is a container image; functions of the runtime " + runtime + " can be run here", true
		}
		own, err := l.text(r.Properties["Runtime"])
		switch {
		case r.Properties["Runtime"] == nil || own == runtime:
			return "", false
		case err != nil: // as that of the CDK's own functions in Node.js
			return "its runtime depends on the region; functions of " + runtime + " can be run here", true
		}
		return "its runtime is " + own + "; functions of " + runtime + " can be run here", true
	}
	_, known := kinds[r.Type]
	return "", !known && slices.ContainsFunc(aside, func(pattern string) bool { return matches(pattern, r.Type) })
}

// named says whether a resource is one that a name in Options.Skip stands for.
func (r *resource) named(name string) bool {
	if strings.Contains(name, "::") {
		return matches(name, r.Type)
	}
	return name == r.id || r.path != "" && strings.HasPrefix(r.path+"/", name+"/")
}

// matches says whether a type is a pattern, or begins with what stands before the * at its end.
func matches(pattern, kind string) bool {
	beginning, several := strings.CutSuffix(pattern, "*")
	return pattern == kind || several && strings.HasPrefix(kind, beginning)
}

// withoutIt says how to do without a resource or an output that is not known here, by its name; empty if the caller cannot say it.
func (l *loader) withoutIt(name string) string {
	if l.options.SkipBy == "" {
		return ""
	}
	return fmt.Sprintf("; "+l.options.SkipBy+" leaves it out", name)
}

// placeholder is what stands in the place of a reference to a resource that is left out: to itself, or to an attribute. It is
// as AWS has it where that is known here.
func (l *loader) placeholder(r *resource, attribute string) (any, error) {
	if out := l.leftOut[r.id]; l.loading != nil && !slices.Contains(out.NeededBy, l.loading.id) {
		out.NeededBy = append(out.NeededBy, l.loading.id)
	}
	known := kinds[r.Type]
	if resolve := known.attributes[attribute]; resolve != nil {
		return resolve(l, r)
	}
	_, service, _ := strings.Cut(r.Type, "::")
	service, _, _ = strings.Cut(service, "::")
	switch {
	case attribute == "" && known.ref != nil:
		return known.ref(l, r)
	case attribute == "" && r.Type == "AWS::SNS::Topic", attribute == "Arn":
		return arn(strings.ToLower(service), l.stack.Name+"-"+r.id), nil
	case attribute == "":
		return l.stack.Name + "-" + r.id, nil
	}
	return l.stack.Name + "-" + r.id + "." + attribute, nil
}

// references lists the logical ids that a value refers to, by Ref, Fn::GetAtt or Fn::Sub.
func references(value any) []string {
	var ids []string
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			ids = append(ids, references(element)...)
		}
	case map[string]any:
		for name, argument := range v {
			switch name {
			case "Ref":
				if id, ok := argument.(string); ok {
					ids = append(ids, id)
				}
			case "Fn::GetAtt":
				if text, ok := argument.(string); ok {
					id, _, _ := strings.Cut(text, ".")
					ids = append(ids, id)
				} else if parts, ok := argument.([]any); ok && len(parts) == 2 {
					if id, ok := parts[0].(string); ok {
						ids = append(ids, id)
					}
				}
			default:
				ids = append(ids, references(argument)...)
			}
		}
	}
	return ids
}
