package asl

import (
	"time"
)

// A Machine is a parsed state machine definition. It never changes and may run many executions at once.
type Machine struct {
	comment string
	startAt string
	timeout time.Duration // zero: none
	states  map[string]*state
}

// A Kind is the type of a state.
type Kind string

// The types of states that the interpreter knows.
const (
	Task    Kind = "Task"
	Choice  Kind = "Choice"
	Wait    Kind = "Wait"
	Pass    Kind = "Pass"
	Succeed Kind = "Succeed"
	Fail    Kind = "Fail"
)

// Comment is the comment at the top of the definition.
func (m *Machine) Comment() string { return m.comment }

// StartAt is the name of the state that executions start with.
func (m *Machine) StartAt() string { return m.startAt }

// Timeout is the machine's TimeoutSeconds, or zero if it has none.
func (m *Machine) Timeout() time.Duration { return m.timeout }

// A Transition is a way from one state to another.
type Transition struct {
	From, To string

	// By is what leads that way: Next, Default, Choices[0], Catch[0].
	By string
}

// A State describes one state of a machine, for those who draw or inspect it.
type State struct {
	Name    string
	Kind    Kind
	Comment string

	// Resource is the ARN of a Task's resource; empty for other states.
	Resource string

	// Transitions are the ways out of the state, in the order in which they are tried.
	Transitions []Transition
}

// State returns the state of that name.
func (m *Machine) State(name string) (State, bool) {
	s, ok := m.states[name]
	if !ok {
		return State{}, false
	}
	return s.describe(), true
}

// States returns all states, those nearest to the start first, in the order in which their transitions are tried.
func (m *Machine) States() []State {
	all := make([]State, 0, len(m.states))
	seen := map[string]bool{m.startAt: true}
	queue := []string{m.startAt}
	for len(queue) > 0 {
		s := m.states[queue[0]].describe()
		queue = queue[1:]
		all = append(all, s)
		for _, t := range s.Transitions {
			if !seen[t.To] {
				seen[t.To] = true
				queue = append(queue, t.To)
			}
		}
	}
	return all
}

// state is a state as it is run. Which of the fields are used depends on its kind.
type state struct {
	name    string
	kind    Kind
	comment string
	next    string // empty: the execution ends here

	inputPath, outputPath *path // nil: an empty object is taken instead
	parameters            template
	resultSelector        template
	resultPath            *path // nil: the result is dropped

	result    any // Pass
	hasResult bool

	resource    resource // Task
	timeout     time.Duration
	timeoutPath *path
	retriers    []retrier
	catchers    []catcher

	choices       []choice // Choice
	defaultChoice string

	wait waitUntil // Wait

	failError, failCause expression // Fail; nil: none
}

func (s *state) describe() State {
	d := State{Name: s.name, Kind: s.kind, Comment: s.comment, Resource: s.resource.arn}
	add := func(to, by string) { d.Transitions = append(d.Transitions, Transition{From: s.name, To: to, By: by}) }
	for i, c := range s.choices {
		add(c.next, indexed("Choices", i))
	}
	if s.defaultChoice != "" {
		add(s.defaultChoice, "Default")
	}
	if s.next != "" {
		add(s.next, "Next")
	}
	for i, c := range s.catchers {
		add(c.next, indexed("Catch", i))
	}
	return d
}
