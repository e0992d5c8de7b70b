package asl

import (
	"fmt"
	"strings"
	"time"
)

// MaxDefinition is the size of the largest definition, in bytes.
const MaxDefinition = 1 << 20

// maxStateName is the length of the longest name of a state, in characters.
const maxStateName = 80

// A Problem is something in a definition that is wrong, or that the interpreter does not know.
type Problem struct {
	// State is the name of the state, or empty if the problem is at the top of the definition.
	State string

	// Field is the place in the state or at the top, such as Retry[0].JitterStrategy. It may be empty.
	Field string

	// Message says what was found and what is allowed.
	Message string
}

func (p *Problem) Error() string {
	place := ""
	if p.State != "" {
		place = fmt.Sprintf("state %q: ", p.State)
	}
	if p.Field != "" {
		place += p.Field + ": "
	}
	return place + p.Message
}

// A DefinitionError lists all that keeps a definition from being run.
type DefinitionError struct {
	Problems []*Problem
}

func (e *DefinitionError) Error() string {
	if len(e.Problems) == 1 {
		return "state machine definition: " + e.Problems[0].Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "state machine definition: %d problems:", len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.Error())
	}
	return b.String()
}

// Unwrap returns the problems, each a [*Problem].
func (e *DefinitionError) Unwrap() []error {
	errs := make([]error, len(e.Problems))
	for i, p := range e.Problems {
		errs[i] = p
	}
	return errs
}

// Parse reads a state machine definition. It returns a [*DefinitionError] with all problems if the definition is not
// valid or holds anything that the interpreter does not know.
func Parse(definition []byte) (*Machine, error) {
	p := &parser{machine: &Machine{states: map[string]*state{}}}
	p.parse(definition)
	if len(p.problems) > 0 {
		return nil, &DefinitionError{Problems: p.problems}
	}
	return p.machine, nil
}

type parser struct {
	machine  *Machine
	problems []*Problem
}

func (p *parser) parse(definition []byte) {
	top := &fields{parser: p}
	if len(definition) > MaxDefinition {
		top.problem("", "it is %d bytes long; at most %d are allowed", len(definition), MaxDefinition)
		return
	}
	v, err := decode(definition)
	if err != nil {
		top.problem("", "it is not JSON: %v", err)
		return
	}
	object, ok := v.(map[string]any)
	if !ok {
		top.problem("", "it must be a JSON object, not %s", typeName(v))
		return
	}
	if err := repeatedNames(definition); err != nil {
		for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
			p.problems = append(p.problems, e.(*Problem))
		}
	}
	top = newFields(p, "", "", object)
	m := p.machine
	m.comment, _ = top.text("Comment")
	if version, given := top.text("Version"); given && version != "1.0" {
		top.problem("Version", "must be 1.0, not %q", version)
	}
	top.queryLanguage()
	if n, given := top.integer("TimeoutSeconds", 1, maxSeconds); given {
		m.timeout = time.Duration(n) * time.Second
	}
	m.startAt = top.requiredText("StartAt")
	states, _ := top.requiredObject("States")
	top.refuseRest()

	for _, name := range sortedNames(states) {
		p.parseState(name, states[name])
	}
	if len(p.problems) == 0 {
		p.checkTransitions()
	}
}

func (p *parser) parseState(name string, v any) {
	f := newFields(p, name, "", nil)
	if n := len([]rune(name)); n == 0 || n > maxStateName {
		f.problem("", "the name of a state must have 1 to %d characters, not %d", maxStateName, n)
	}
	object, ok := v.(map[string]any)
	if !ok {
		f.problem("", "must be an object, not %s", typeName(v))
		return
	}
	f.object = object
	s := &state{name: name, inputPath: rootPath, outputPath: rootPath, resultPath: rootPath}
	p.machine.states[name] = s
	s.kind = Kind(f.requiredText("Type"))
	s.comment, _ = f.text("Comment")
	f.queryLanguage()
	switch s.kind {
	case Task:
		parseTask(f, s)
	case Choice:
		parseChoice(f, s)
	case Wait:
		parseWait(f, s)
	case Pass:
		parsePass(f, s)
	case Succeed:
		parseInputOutput(f, s)
	case Fail:
		parseFail(f, s)
	case "":
		return
	case "Map", "Parallel":
		f.problem("Type", "%s states are not supported", s.kind)
		return
	default:
		f.problem("Type", "%q is none of Task, Choice, Wait, Pass, Succeed, Fail", s.kind)
		return
	}
	f.refuseRest()
}

// checkTransitions looks at the machine as a whole: whether all transitions lead somewhere, all states can be reached,
// and some state ends the execution.
func (p *parser) checkTransitions() {
	m := p.machine
	top := newFields(p, "", "", nil)
	if _, ok := m.states[m.startAt]; !ok {
		top.problem("StartAt", "there is no state %q", m.startAt)
	}
	terminal := false
	for _, name := range sortedNames(m.states) {
		s := m.states[name]
		terminal = terminal || s.kind == Succeed || s.kind == Fail || (s.next == "" && s.kind != Choice)
		for _, t := range s.describe().Transitions {
			if _, ok := m.states[t.To]; !ok {
				newFields(p, name, "", nil).problem(t.By, "there is no state %q", t.To)
			}
		}
	}
	if !terminal {
		top.problem("States", "none of them ends the execution: one must be Succeed or Fail, or have End")
	}
	if len(p.problems) > 0 {
		return
	}
	reached := map[string]bool{}
	for _, s := range m.States() {
		reached[s.Name] = true
	}
	for _, name := range sortedNames(m.states) {
		if !reached[name] {
			newFields(p, name, "", nil).problem("", "no way leads to it from StartAt")
		}
	}
}

// unsupported says why fields that the language has are refused.
var unsupported = map[string]string{
	"Arguments":            "belongs to JSONata, which is not supported; use Parameters",
	"Output":               "belongs to JSONata, which is not supported; use OutputPath and ResultPath",
	"Condition":            "belongs to JSONata, which is not supported; use Variable and a comparison",
	"Assign":               "variables are not supported",
	"Credentials":          "roles of tasks are not supported",
	"HeartbeatSeconds":     "heartbeats belong to activities and callbacks, which are not supported",
	"HeartbeatSecondsPath": "heartbeats belong to activities and callbacks, which are not supported",
}

// fields reads the members of an object in a definition and notes which have been read, so that none is passed over.
type fields struct {
	parser *parser
	state  string
	place  string // of the object in the state, with a dot behind it; empty for the state itself
	object map[string]any
	read   map[string]bool
}

func newFields(p *parser, state, place string, object map[string]any) *fields {
	return &fields{parser: p, state: state, place: place, object: object, read: map[string]bool{}}
}

func (f *fields) inner(place string, v any) (*fields, bool) {
	object, ok := v.(map[string]any)
	if !ok {
		f.problem(place, "must be an object, not %s", typeName(v))
	}
	return newFields(f.parser, f.state, f.place+place+".", object), ok
}

func (f *fields) problem(field, format string, args ...any) {
	f.parser.problems = append(f.parser.problems, &Problem{
		State: f.state, Field: strings.TrimSuffix(f.place+field, "."), Message: fmt.Sprintf(format, args...),
	})
}

func (f *fields) get(name string) (any, bool) {
	f.read[name] = true
	v, ok := f.object[name]
	return v, ok
}

func (f *fields) has(name string) bool {
	_, ok := f.object[name]
	return ok
}

func (f *fields) refuseRest() {
	for _, name := range sortedNames(f.object) {
		if f.read[name] {
			continue
		}
		if why, known := unsupported[name]; known {
			f.problem(name, "%s", why)
		} else {
			f.problem(name, "there is no such field here")
		}
	}
}

func (f *fields) text(name string) (string, bool) {
	v, ok := f.get(name)
	if !ok {
		return "", false
	}
	text, ok := v.(string)
	if !ok {
		f.problem(name, "must be a string, not %s", typeName(v))
	}
	return text, ok
}

func (f *fields) requiredText(name string) string {
	text, ok := f.text(name)
	switch {
	case !f.has(name):
		f.problem(name, "is missing")
	case ok && text == "":
		f.problem(name, "must not be empty")
	}
	return text
}

func (f *fields) requiredObject(name string) (map[string]any, bool) {
	v, ok := f.get(name)
	if !ok {
		f.problem(name, "is missing")
		return nil, false
	}
	object, ok := v.(map[string]any)
	if !ok {
		f.problem(name, "must be an object, not %s", typeName(v))
	} else if len(object) == 0 {
		f.problem(name, "must not be empty")
	}
	return object, ok
}

func (f *fields) array(name string) []any {
	v, ok := f.get(name)
	if !ok {
		return nil
	}
	array, ok := v.([]any)
	if !ok {
		f.problem(name, "must be an array, not %s", typeName(v))
	}
	return array
}

func (f *fields) integer(name string, least, most int64) (int64, bool) {
	v, ok := f.get(name)
	if !ok {
		return 0, false
	}
	n, whole := wholeSeconds(v)
	if !whole || n < least || n > most {
		f.problem(name, "must be a whole number from %d to %d, not %s", least, most, encode(v))
		return 0, false
	}
	return n, true
}

// nullablePath reads a path in a field that may hold null, for which it returns nil.
func (f *fields) nullablePath(name string, otherwise *path) *path {
	v, ok := f.get(name)
	switch {
	case !ok:
		return otherwise
	case v == nil:
		return nil
	}
	if p, ok := f.path(name); ok {
		return p
	}
	return otherwise
}

func (f *fields) path(name string) (*path, bool) {
	text, ok := f.text(name)
	if !ok {
		return nil, false
	}
	p, err := parsePath(text)
	if err != nil {
		f.problem(name, "%v", err)
		return nil, false
	}
	if !p.context && len(p.steps) == 0 {
		p = rootPath
	}
	return p, true
}

// resultPath reads a path that something is put at, which cannot lie in the context object.
func (f *fields) resultPath() *path {
	p := f.nullablePath("ResultPath", rootPath)
	if p != nil && p.context {
		f.problem("ResultPath", "%q lies in the context object, which cannot be changed", p.text)
	}
	return p
}

func (f *fields) queryLanguage() {
	if language, given := f.text("QueryLanguage"); given && language != "JSONPath" {
		f.problem("QueryLanguage", "must be JSONPath, not %q", language)
	}
}

// template reads a payload template, or returns nil if there is none.
func (f *fields) template(name string) (template, map[string]any) {
	v, ok := f.get(name)
	if !ok {
		return nil, nil
	}
	object, ok := v.(map[string]any)
	if !ok {
		f.problem(name, "must be an object, not %s", typeName(v))
		return nil, nil
	}
	t, problems := parseTemplate(name, object)
	for _, err := range problems {
		place, message, _ := strings.Cut(err.Error(), ": ")
		f.problem(place, "%s", message)
	}
	return t, object
}

// exclusive reports the fields of which only one may be given, and returns it.
func (f *fields) exclusive(names ...string) string {
	given := ""
	for _, name := range names {
		if !f.has(name) {
			continue
		}
		if given != "" {
			f.problem(name, "cannot be there together with %s", given)
			f.read[name] = true
			continue
		}
		given = name
	}
	return given
}
