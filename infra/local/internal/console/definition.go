package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
)

// A StateMachine is what is drawn of a state machine.
type StateMachine struct {
	Name string `json:"name"`

	// Type is EXPRESS or STANDARD.
	Type stepfunctions.Type `json:"type"`

	// StartAt is the name of the state in which executions begin.
	StartAt string `json:"startAt"`

	// States are in the order of the definition.
	States []State `json:"states"`
}

// A State is a state and where it leads.
type State struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Comment string `json:"comment,omitempty"`

	// Resource is what a Task calls, such as lambda:invoke.
	Resource string `json:"resource,omitempty"`

	// Transitions are in the order in which they are tried. A state without any ends the execution.
	Transitions []Transition `json:"transitions"`
}

// A Transition leads to another state.
type Transition struct {
	To string `json:"to"`

	// When says under which condition a Choice goes this way, or after which errors a Catch does. Empty is the way that
	// is gone otherwise.
	When string `json:"when,omitempty"`

	// Catch says that this way is for errors.
	Catch bool `json:"catch,omitempty"`
}

// definedState is what is read of a state in a definition.
type definedState struct {
	Type, Comment, Resource, Next, Default string
	Choices                                []json.RawMessage
	Catch                                  []struct {
		ErrorEquals []string
		Next        string
	}
}

// newStateMachine reads a definition that the interpreter has accepted.
func newStateMachine(m stepfunctions.StateMachine) (StateMachine, error) {
	drawn := StateMachine{Name: m.Name, Type: m.Type}
	var definition struct {
		StartAt string
		States  json.RawMessage
	}
	if err := json.Unmarshal([]byte(m.Definition), &definition); err != nil {
		return drawn, fmt.Errorf("console: the definition of %s: %w", m.Name, err)
	}
	drawn.StartAt = definition.StartAt
	names, states, err := inOrder[definedState](definition.States)
	if err != nil {
		return drawn, fmt.Errorf("console: the definition of %s: %w", m.Name, err)
	}
	for i, name := range names {
		drawn.States = append(drawn.States, newState(name, states[i]))
	}
	return drawn, nil
}

func newState(name string, defined definedState) State {
	state := State{Name: name, Type: defined.Type, Comment: defined.Comment, Transitions: []Transition{}}
	if _, resource, found := strings.Cut(defined.Resource, ":states:::"); found {
		state.Resource = resource
	}
	for _, choice := range defined.Choices {
		var next struct{ Next string }
		_ = json.Unmarshal(choice, &next) // it was an object for the interpreter
		state.Transitions = append(state.Transitions, Transition{To: next.Next, When: condition(choice)})
	}
	for _, next := range []string{defined.Default, defined.Next} {
		if next != "" {
			state.Transitions = append(state.Transitions, Transition{To: next})
		}
	}
	for _, caught := range defined.Catch {
		state.Transitions = append(state.Transitions, Transition{To: caught.Next, When: strings.Join(caught.ErrorEquals, ", "), Catch: true})
	}
	return state
}

// condition writes a rule of a Choice state in a line.
func condition(rule json.RawMessage) string {
	names, values, err := inOrder[json.RawMessage](rule)
	if err != nil {
		return string(rule)
	}
	variable, comparison := "", ""
	for i, name := range names {
		switch name {
		case "Next", "Comment":
		case "Variable":
			_ = json.Unmarshal(values[i], &variable)
		case "And", "Or":
			var rules []json.RawMessage
			_ = json.Unmarshal(values[i], &rules)
			parts := make([]string, len(rules))
			for j, r := range rules {
				parts[j] = condition(r)
			}
			return strings.Join(parts, " "+strings.ToLower(name)+" ")
		case "Not":
			return "not (" + condition(values[i]) + ")"
		default:
			comparison = name + " " + string(values[i])
		}
	}
	return variable + " " + comparison
}

// inOrder reads an object's members in their order.
func inOrder[V any](object json.RawMessage) (names []string, values []V, err error) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	opening, err := decoder.Token()
	if err != nil {
		return nil, nil, err
	}
	if opening != json.Delim('{') {
		return nil, nil, fmt.Errorf("%v stands where an object is expected", opening)
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, nil, err
		}
		var value V
		if err := decoder.Decode(&value); err != nil {
			return nil, nil, err
		}
		names, values = append(names, name.(string)), append(values, value)
	}
	return names, values, nil
}

// getDefinition answers with the state machines, the Express one that requests are waited for in first, and how much
// faster their waits pass.
func (c *Console) getDefinition(rw http.ResponseWriter, _ *http.Request) {
	service, _ := c.watched()
	machines := []StateMachine{}
	if service != nil {
		for _, m := range service.StateMachines() {
			drawn, err := newStateMachine(m)
			if err != nil {
				writeProblem(rw, http.StatusInternalServerError, err.Error())
				return
			}
			machines = append(machines, drawn)
		}
	}
	slices.SortStableFunc(machines, func(a, b StateMachine) int { return strings.Compare(string(a.Type), string(b.Type)) })
	writeJSON(rw, http.StatusOK, map[string]any{"stateMachines": machines, "speed": c.config.Speed})
}
