package asl

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A scope is what expressions can see.
type scope struct {
	data   any // $
	run    *execution
	object map[string]any // $$, made when first asked for
}

func (s *scope) contextObject() any {
	if s.object == nil {
		s.object = s.run.contextObject()
	}
	return s.object
}

// An expression is a path, a call of an intrinsic function, or a fixed value.
type expression interface {
	eval(s *scope) (any, error)
	String() string
}

func (p *path) eval(s *scope) (any, error) { return p.find(s) }
func (p *path) String() string             { return p.text }

type literal struct{ value any }

func (l literal) eval(*scope) (any, error) { return l.value, nil }
func (l literal) String() string           { return encode(l.value) }

// A template is a payload template: the value of Parameters or ResultSelector, in which the members whose names end in
// .$ are replaced by what their expressions yield.
type template interface {
	fill(s *scope) (any, error)
}

type fixedTemplate struct{ value any }

type objectTemplate struct {
	names   []string // sorted, so that the first of several failures is always the same
	members map[string]template
}

type arrayTemplate []template

type expressionTemplate struct {
	field string // with its .$
	expression
}

func (t fixedTemplate) fill(*scope) (any, error) { return t.value, nil }

func (t objectTemplate) fill(s *scope) (any, error) {
	object := make(map[string]any, len(t.members))
	for _, name := range t.names {
		v, err := t.members[name].fill(s)
		if err != nil {
			return nil, err
		}
		object[name] = v
	}
	return object, nil
}

func (t arrayTemplate) fill(s *scope) (any, error) {
	array := make([]any, len(t))
	for i := range t {
		v, err := t[i].fill(s)
		if err != nil {
			return nil, err
		}
		array[i] = v
	}
	return array, nil
}

func (t expressionTemplate) fill(s *scope) (any, error) {
	v, err := t.eval(s)
	var missing *noSuchPath
	if errors.As(err, &missing) {
		return nil, failure(Runtime, "The JSONPath '%s' specified for the field '%s' could not be found in the input '%s'",
			missing.path.text, t.field, encode(missing.data))
	}
	return v, err
}

// parseTemplate reads a payload template. It returns all that is wrong with it, each error prefixed with its place.
func parseTemplate(place string, v any) (template, []error) {
	switch v := v.(type) {
	case map[string]any:
		return parseObjectTemplate(place, v)
	case []any:
		t := make(arrayTemplate, len(v))
		var problems []error
		fixed := true
		for i := range v {
			element, errs := parseTemplate(indexed(place, i), v[i])
			t[i] = element
			problems = append(problems, errs...)
			fixed = fixed && isFixed(element)
		}
		if fixed {
			return fixedTemplate{v}, problems
		}
		return t, problems
	}
	return fixedTemplate{v}, nil
}

func parseObjectTemplate(place string, object map[string]any) (template, []error) {
	t := objectTemplate{members: make(map[string]template, len(object))}
	var problems []error
	fixed := true
	for _, field := range sortedNames(object) {
		member := place + "." + field
		name, dynamic := strings.CutSuffix(field, ".$")
		if !dynamic {
			inner, errs := parseTemplate(member, object[field])
			t.members[field] = inner
			problems = append(problems, errs...)
			fixed = fixed && isFixed(inner)
			continue
		}
		fixed = false
		if _, twice := object[name]; twice {
			problems = append(problems, fmt.Errorf("%s: %q is there too; only one of them can be", member, name))
		}
		text, ok := object[field].(string)
		if !ok {
			problems = append(problems, fmt.Errorf("%s: must be a string that holds a path or an intrinsic function", member))
			continue
		}
		e, err := parseExpression(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", member, err))
			continue
		}
		t.members[name] = expressionTemplate{field: field, expression: e}
	}
	if fixed {
		return fixedTemplate{object}, problems
	}
	t.names = sortedNames(t.members)
	return t, problems
}

func isFixed(t template) bool {
	_, fixed := t.(fixedTemplate)
	return fixed
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func indexed(place string, i int) string { return fmt.Sprintf("%s[%d]", place, i) }
