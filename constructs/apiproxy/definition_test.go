//go:build !race

package apiproxy_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// A definition is a state machine in the Amazon States Language as far as the tests look into it.
type definition struct {
	StartAt        string
	TimeoutSeconds float64
	QueryLanguage  string
	States         map[string]state

	text string
}

type state struct {
	Type           string
	Resource       string
	Parameters     map[string]any
	ResultSelector map[string]any
	ResultPath     json.RawMessage // null discards the result
	OutputPath     string
	TimeoutSeconds float64
	SecondsPath    string
	Retry          []retrier
	Catch          []catcher
	Choices        []choice
	Default        string
	Next           string
}

type retrier struct {
	ErrorEquals     []string
	IntervalSeconds float64
	MaxAttempts     float64
	MaxDelaySeconds float64
	BackoffRate     float64
	JitterStrategy  string
}

type catcher struct {
	ErrorEquals []string
	ResultPath  string
	Next        string
}

type choice struct {
	condition
	And  []condition
	Or   []condition
	Next string
}

type condition struct {
	Not                      *condition
	Variable                 string
	StringEquals             string
	IsPresent                *bool
	NumericGreaterThanEquals *float64
	NumericGreaterThanPath   string
	NumericEquals            *float64
}

// definition reads the definition of the state machine.
func (t template) definition() definition {
	d := definition{text: flat(t.machine().at("DefinitionString"))}
	if err := json.Unmarshal([]byte(d.text), &d); err != nil {
		panic(err)
	}
	return d
}

// tasks are the names of the Task states that call functions.
func (d definition) tasks() []string {
	return d.names(func(s state) bool { return strings.HasSuffix(s.Resource, ":states:::lambda:invoke") })
}

func (d definition) names(which func(state) bool) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(d.States)) {
		if which(d.States[name]) {
			names = append(names, name)
		}
	}
	return names
}

// leads is where a Choice leads to, for strings at some paths and with others present or not. Comparisons of numbers are
// false.
func (s state) leads(texts map[string]string, present map[string]bool) string {
	for _, choice := range s.Choices {
		if choice.holds(texts, present) {
			return choice.Next
		}
	}
	return s.Default
}

func (c choice) holds(texts map[string]string, present map[string]bool) bool {
	switch {
	case c.And != nil:
		return !slices.ContainsFunc(c.And, func(c condition) bool { return !c.holds(texts, present) })
	case c.Or != nil:
		return slices.ContainsFunc(c.Or, func(c condition) bool { return c.holds(texts, present) })
	}
	return c.condition.holds(texts, present)
}

func (c condition) holds(texts map[string]string, present map[string]bool) bool {
	switch {
	case c.Not != nil:
		return !c.Not.holds(texts, present)
	case c.StringEquals != "":
		return texts[c.Variable] == c.StringEquals
	case c.IsPresent != nil:
		return present[c.Variable] == *c.IsPresent
	}
	return false
}

// successors lists where an execution can go from a state: first where it goes if all is well.
func (s state) successors() []string {
	var next []string
	for _, choice := range s.Choices {
		next = append(next, choice.Next)
	}
	next = append(next, s.Default, s.Next)
	for _, catcher := range s.Catch {
		next = append(next, catcher.Next)
	}
	return slices.DeleteFunc(next, func(name string) bool { return name == "" })
}

// walk lists the states in the order in which an execution can come to them.
func (d definition) walk() []string { return d.walkBy(state.successors) }

// walkWithoutFaults lists the states that an execution can come to in which no Task fails.
func (d definition) walkWithoutFaults() []string {
	return d.walkBy(func(s state) []string {
		s.Catch = nil
		return s.successors()
	})
}

func (d definition) walkBy(successors func(state) []string) []string {
	var order []string
	var visit func(name string)
	visit = func(name string) {
		if slices.Contains(order, name) {
			return
		}
		order = append(order, name)
		for _, next := range successors(d.States[name]) {
			visit(next)
		}
	}
	visit(d.StartAt)
	return order
}

// readable writes the definition to be read by people: states in the order of an execution, and in each state first
// what it is and last where it leads.
func (d definition) readable() []byte {
	var document map[string]json.RawMessage
	must(json.Unmarshal([]byte(d.text), &document))
	var states map[string]json.RawMessage
	must(json.Unmarshal(document["States"], &states))
	order := d.walk()
	for _, name := range slices.Sorted(maps.Keys(states)) {
		if !slices.Contains(order, name) {
			order = append(order, name) // out of reach; the golden file shows it
		}
	}
	for name, text := range states {
		var fields map[string]json.RawMessage
		must(json.Unmarshal(text, &fields))
		states[name] = object(fields, fieldOrder(fields))
	}
	document["States"] = object(states, order)

	var b bytes.Buffer
	must(json.Indent(&b, object(document, fieldOrder(document)), "", "  "))
	b.WriteByte('\n')
	return b.Bytes()
}

// fieldOrder is the order in which a person reads the fields of a state or of a definition.
func fieldOrder(fields map[string]json.RawMessage) []string {
	rank := func(name string) int {
		return 1 + slices.Index([]string{"Comment", "Type", "StartAt", "TimeoutSeconds", "Resource", "", "Retry", "Catch", "Choices", "Default", "Next", "States"}, name)
	}
	const others = 6 // where the empty name stands
	return slices.SortedFunc(maps.Keys(fields), func(a, b string) int {
		first, second := rank(a), rank(b)
		if first == 0 {
			first = others
		}
		if second == 0 {
			second = others
		}
		if first != second {
			return first - second
		}
		return strings.Compare(a, b)
	})
}

func object(fields map[string]json.RawMessage, order []string) json.RawMessage {
	var b bytes.Buffer
	for i, name := range order {
		b.WriteByte("{,"[min(i, 1)])
		key, err := json.Marshal(name)
		must(err)
		b.Write(key)
		b.WriteByte(':')
		b.Write(fields[name])
	}
	b.WriteByte('}')
	return b.Bytes()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
