package cloudformation

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// evaluate replaces the intrinsic functions in a value by what they come to.
func (l *loader) evaluate(value any) (any, error) {
	switch v := value.(type) {
	case []any:
		result := make([]any, len(v))
		for i, element := range v {
			var err error
			if result[i], err = l.evaluate(element); err != nil {
				return nil, err
			}
		}
		return result, nil
	case map[string]any:
		if len(v) == 1 {
			for name, argument := range v {
				if name == "Ref" || name == "Condition" || strings.HasPrefix(name, "Fn::") {
					return l.call(name, argument)
				}
			}
		}
		result := make(map[string]any, len(v))
		for key, element := range v {
			var err error
			if result[key], err = l.evaluate(element); err != nil {
				return nil, err
			}
		}
		return result, nil
	}
	return value, nil
}

// text evaluates a value that must come to a string; numbers and booleans are written out, as CloudFormation does.
func (l *loader) text(value any) (string, error) {
	result, err := l.evaluate(value)
	if err != nil {
		return "", err
	}
	switch v := result.(type) {
	case string:
		return v, nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case bool:
		return strconv.FormatBool(v), nil
	}
	return "", fmt.Errorf("%v is not a string", result)
}

func (l *loader) call(name string, argument any) (any, error) {
	switch name {
	case "Ref":
		id, ok := argument.(string)
		if !ok {
			return nil, fmt.Errorf("a Ref takes a name, not %v", argument)
		}
		return l.ref(id)
	case "Fn::GetAtt":
		return l.getAtt(argument)
	case "Fn::Join":
		separator, list, err := l.joinArguments(argument)
		if err != nil {
			return nil, err
		}
		return strings.Join(list, separator), nil
	case "Fn::Sub":
		return l.sub(argument)
	case "Fn::Select":
		return l.selectElement(argument)
	case "Fn::Split":
		return l.split(argument)
	}
	return nil, fmt.Errorf("intrinsic function %s is not known here", name)
}

func (l *loader) ref(id string) (any, error) {
	switch id {
	case "AWS::Partition":
		return Partition, nil
	case "AWS::Region":
		return Region, nil
	case "AWS::AccountId":
		return AccountID, nil
	case "AWS::URLSuffix":
		return URLSuffix, nil
	case "AWS::StackName":
		return l.stack.Name, nil
	case "AWS::StackId":
		return arn("cloudformation", "stack/"+l.stack.Name+"/local"), nil
	}
	r, found := l.resources[id]
	if !found {
		return nil, fmt.Errorf("a Ref to %s: there is no such resource", id)
	}
	if l.leftOut[id] != nil {
		return l.placeholder(r, "")
	}
	kind, err := kindOf(r)
	if err != nil {
		return nil, err
	}
	if kind.ref == nil {
		return nil, fmt.Errorf("a Ref to %s: a %s has no reference value here", id, r.Type)
	}
	return kind.ref(l, r)
}

func (l *loader) getAtt(argument any) (any, error) {
	var id, attribute string
	switch v := argument.(type) {
	case string:
		id, attribute, _ = strings.Cut(v, ".")
	case []any:
		if len(v) == 2 {
			id, _ = v[0].(string)
			attribute, _ = v[1].(string)
		}
	}
	r, found := l.resources[id]
	if !found {
		return nil, fmt.Errorf("Fn::GetAtt %v: there is no such resource", argument)
	}
	if l.leftOut[id] != nil {
		return l.placeholder(r, attribute)
	}
	kind, err := kindOf(r)
	if err != nil {
		return nil, err
	}
	resolve, found := kind.attributes[attribute]
	if !found {
		return nil, fmt.Errorf("Fn::GetAtt %s.%s: that attribute of %s is not known here", id, attribute, r.Type)
	}
	return resolve(l, r)
}

func (l *loader) joinArguments(argument any) (separator string, list []string, err error) {
	parts, ok := argument.([]any)
	if !ok || len(parts) != 2 {
		return "", nil, fmt.Errorf("Fn::Join takes a separator and a list, not %v", argument)
	}
	separator, ok = parts[0].(string)
	if !ok {
		return "", nil, fmt.Errorf("Fn::Join takes a separator and a list, not %v", argument)
	}
	elements, err := l.evaluate(parts[1])
	if err != nil {
		return "", nil, err
	}
	values, ok := elements.([]any)
	if !ok {
		return "", nil, fmt.Errorf("Fn::Join takes a separator and a list, not %v", argument)
	}
	for _, value := range values {
		text, err := l.text(value)
		if err != nil {
			return "", nil, fmt.Errorf("Fn::Join: %w", err)
		}
		list = append(list, text)
	}
	return separator, list, nil
}

// placeholder is ${Name}, ${Name.Attribute} or the escape ${!Literal}.
var placeholder = regexp.MustCompile(`\$\{(!?)([^}]*)\}`)

func (l *loader) sub(argument any) (any, error) {
	text, ok := argument.(string)
	variables := map[string]any{}
	if parts, isList := argument.([]any); isList && len(parts) == 2 {
		text, ok = parts[0].(string)
		variables, _ = parts[1].(map[string]any)
	}
	if !ok {
		return nil, fmt.Errorf("Fn::Sub takes a string, or a string and a map, not %v", argument)
	}
	var failed error
	result := placeholder.ReplaceAllStringFunc(text, func(match string) string {
		groups := placeholder.FindStringSubmatch(match)
		if groups[1] == "!" {
			return "${" + groups[2] + "}"
		}
		var value any
		var err error
		switch variable, found := variables[groups[2]]; {
		case found:
			value = variable
		case strings.Contains(groups[2], ".") && !strings.Contains(groups[2], "::"):
			value, err = l.getAtt(groups[2])
		default:
			value, err = l.ref(groups[2])
		}
		if err == nil {
			var replaced string
			if replaced, err = l.text(value); err == nil {
				return replaced
			}
		}
		failed = fmt.Errorf("Fn::Sub: %w", err)
		return match
	})
	return result, failed
}

func (l *loader) selectElement(argument any) (any, error) {
	parts, ok := argument.([]any)
	if !ok || len(parts) != 2 {
		return nil, fmt.Errorf("Fn::Select takes an index and a list, not %v", argument)
	}
	text, err := l.text(parts[0])
	if err != nil {
		return nil, fmt.Errorf("Fn::Select: %w", err)
	}
	value, err := l.evaluate(parts[1])
	if err != nil {
		return nil, err
	}
	list, ok := value.([]any)
	index, err := strconv.Atoi(text)
	if !ok || err != nil || index < 0 || index >= len(list) {
		return nil, fmt.Errorf("Fn::Select: there is no element %s in %v", text, value)
	}
	return list[index], nil
}

func (l *loader) split(argument any) (any, error) {
	parts, ok := argument.([]any)
	if !ok || len(parts) != 2 {
		return nil, fmt.Errorf("Fn::Split takes a separator and a string, not %v", argument)
	}
	separator, ok := parts[0].(string)
	if !ok || separator == "" {
		return nil, fmt.Errorf("Fn::Split takes a separator and a string, not %v", argument)
	}
	text, err := l.text(parts[1])
	if err != nil {
		return nil, fmt.Errorf("Fn::Split: %w", err)
	}
	var list []any
	for _, part := range strings.Split(text, separator) {
		list = append(list, part)
	}
	return list, nil
}
