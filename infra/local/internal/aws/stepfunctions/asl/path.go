package asl

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A path selects one value: $ is the root of the data, $$ the root of the context object, and every step goes down into
// a member of an object or an element of an array.
type path struct {
	text    string
	context bool
	steps   []step
}

type step struct {
	name    string
	index   int
	isIndex bool
}

// rootPath is the path $. Fields that hold $ share it.
var rootPath = &path{text: "$"}

// parsePath reads a path. What JSONPath knows beyond single values is refused by its name.
func parsePath(text string) (*path, error) {
	rest, ok := strings.CutPrefix(text, "$")
	if !ok {
		return nil, fmt.Errorf("%q is not a path: a path begins with $", text)
	}
	p := &path{text: text}
	if rest, ok = strings.CutPrefix(rest, "$"); ok {
		p.context = true
	}
	for rest != "" {
		s, after, err := parseStep(rest)
		if err != nil {
			return nil, fmt.Errorf("path %q: %w", text, err)
		}
		p.steps = append(p.steps, s)
		rest = after
	}
	return p, nil
}

func parseStep(rest string) (step, string, error) {
	if strings.HasPrefix(rest, "..") {
		return step{}, "", fmt.Errorf("the recursive descent .. is not supported")
	}
	if after, ok := strings.CutPrefix(rest, "."); ok {
		if strings.HasPrefix(after, "*") {
			return step{}, "", fmt.Errorf("the wildcard * is not supported")
		}
		if strings.HasPrefix(after, "[") {
			return parseBracket(after)
		}
		end := strings.IndexFunc(after, func(r rune) bool { return !isNameRune(r) })
		if end < 0 {
			end = len(after)
		}
		name, after := after[:end], after[end:]
		if name == "" {
			return step{}, "", fmt.Errorf("a name is missing after a dot")
		}
		if strings.HasPrefix(after, "(") {
			return step{}, "", fmt.Errorf("the function %s() is not supported", name)
		}
		return step{name: name}, after, nil
	}
	if strings.HasPrefix(rest, "[") {
		return parseBracket(rest)
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return step{}, "", fmt.Errorf("%q is not allowed there; put names with such characters as ['name']", r)
}

func parseBracket(rest string) (step, string, error) {
	inner := rest[1:]
	if inner != "" && (inner[0] == '\'' || inner[0] == '"') {
		return parseQuoted(inner)
	}
	content, after, ok := strings.Cut(inner, "]")
	if !ok {
		return step{}, "", fmt.Errorf("a closing ] is missing")
	}
	content = strings.TrimSpace(content)
	switch {
	case content == "*":
		return step{}, "", fmt.Errorf("the wildcard [*] is not supported")
	case strings.HasPrefix(content, "?"), strings.HasPrefix(content, "("):
		return step{}, "", fmt.Errorf("the filter [%s…] is not supported", content[:1])
	case strings.Contains(content, ":"):
		return step{}, "", fmt.Errorf("the slice [%s] is not supported", content)
	case strings.Contains(content, ","):
		return step{}, "", fmt.Errorf("the union [%s] is not supported", content)
	case strings.HasPrefix(content, "-"):
		return step{}, "", fmt.Errorf("the index [%s], which counts from the end, is not supported", content)
	}
	n, err := strconv.Atoi(content)
	if err != nil || !isDigit(content[0]) {
		return step{}, "", fmt.Errorf("[%s] is neither an index nor a quoted name", content)
	}
	return step{index: n, isIndex: true}, after, nil
}

// parseQuoted reads a quoted name and the bracket behind it. A backslash takes the next character as it is.
func parseQuoted(inner string) (step, string, error) {
	quote := inner[0]
	var name strings.Builder
	for i := 1; i < len(inner); i++ {
		switch c := inner[i]; {
		case c == '\\' && i+1 < len(inner):
			i++
			name.WriteByte(inner[i])
		case c == quote:
			after := strings.TrimLeft(inner[i+1:], " ")
			if strings.HasPrefix(after, ",") {
				return step{}, "", fmt.Errorf("the union of names is not supported")
			}
			if !strings.HasPrefix(after, "]") {
				return step{}, "", fmt.Errorf("a closing ] is missing after the name %q", name.String())
			}
			return step{name: name.String()}, after[1:], nil
		default:
			name.WriteByte(c)
		}
	}
	return step{}, "", fmt.Errorf("a closing %c is missing", quote)
}

func isNameRune(r rune) bool {
	return r == '_' || r == '-' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// A noSuchPath error says that a path leads nowhere in the data.
type noSuchPath struct {
	path *path
	data any
}

func (e *noSuchPath) Error() string {
	return fmt.Sprintf("The JSONPath '%s' could not be found in the input '%s'", e.path.text, encode(e.data))
}

// find selects the path's value.
func (p *path) find(s *scope) (any, error) {
	root := s.data
	if p.context {
		root = s.contextObject()
	}
	v := root
	for _, step := range p.steps {
		next, ok := step.into(v)
		if !ok {
			return nil, &noSuchPath{path: p, data: root}
		}
		v = next
	}
	return v, nil
}

func (s step) into(v any) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		member, ok := v[s.name]
		return member, ok && !s.isIndex
	case []any:
		if s.isIndex && s.index < len(v) {
			return v[s.index], true
		}
	}
	return nil, false
}

// put returns data with value at the place of the path. Objects that are missing on the way are made. It reports false
// if a step does not fit: a member of something that is not an object, or an element that an array does not have.
func (p *path) put(data, value any) (any, bool) {
	return putAt(p.steps, data, true, value)
}

func putAt(steps []step, data any, exists bool, value any) (any, bool) {
	if len(steps) == 0 {
		return value, true
	}
	s := steps[0]
	if s.isIndex {
		array, ok := data.([]any)
		if !ok || s.index >= len(array) {
			return nil, false
		}
		element, ok := putAt(steps[1:], array[s.index], true, value)
		if !ok {
			return nil, false
		}
		changed := append([]any(nil), array...)
		changed[s.index] = element
		return changed, true
	}
	object, ok := data.(map[string]any)
	if !ok && exists {
		return nil, false
	}
	inner, has := object[s.name]
	member, ok := putAt(steps[1:], inner, has, value)
	if !ok {
		return nil, false
	}
	changed := make(map[string]any, len(object)+1)
	for k, v := range object {
		changed[k] = v
	}
	changed[s.name] = member
	return changed, true
}
