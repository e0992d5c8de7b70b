//go:build !race

package apiproxy_test

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTheStateMachineIsExpressAndThatOfAsynchronousRequestsStandard(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		want := 1
		if strings.HasSuffix(t.Name(), "Everything") || strings.HasSuffix(t.Name(), "Async") || strings.HasSuffix(t.Name(), "Letters") || strings.HasSuffix(t.Name(), "Callback") || strings.HasSuffix(t.Name(), "Monitored") {
			want = 2
		}
		if template.machine() == nil || len(template.machines()) != want || (template.asyncMachine() != nil) != (want == 2) {
			t.Errorf("there are %d state machines, want %d", len(template.machines()), want)
		}
	})
}

// asyncDefinition reads the definition of the state machine of asynchronous requests.
func (t template) asyncDefinition() definition {
	d := definition{text: flat(t.asyncMachine().at("DefinitionString"))}
	must(json.Unmarshal([]byte(d.text), &d))
	return d
}

func TestTheStateMachineOfAsynchronousRequestsIsTheOtherOneAndAStateThatGivesUp(t *testing.T) {
	template := variants()["Async"]
	sync, async := template.definition(), template.asyncDefinition()
	for name := range sync.States {
		if _, found := async.States[name]; !found {
			t.Errorf("it lacks the state %s", name)
		}
	}
	if len(async.States) != len(sync.States)+1 || async.States["GiveUp"].Next != "AllLost" {
		t.Errorf("it has %d states, and the one that gives up leads to %q", len(async.States), async.States["GiveUp"].Next)
	}
	if got := template.asyncMachine().at("DefinitionString"); !strings.Contains(flat(got), `"TimeoutSeconds":86410`) {
		t.Error("it does not end ten seconds after 24 hours")
	}
}

// transitions counts the states on the way of a request that makes a number of attempts, each after a wait, and succeeds. The
// input of its execution has what is present.
func (d definition) transitions(t *testing.T, attempts int, present ...string) int {
	t.Helper()
	n := 0
	has := map[string]bool{}
	for _, path := range present {
		has[path] = true
	}
	enter := func(name string) state {
		n++
		s, found := d.States[name]
		if !found {
			t.Fatalf("there is no state %q", name)
		}
		return s
	}
	name := enter(d.StartAt).Default
	for i := range attempts {
		check := enter(enter(name).Next)
		if i == attempts-1 {
			name = check.leads(map[string]string{"$.outcome": "succeeded"}, has)
			break
		}
		for _, choice := range check.Choices {
			if strings.HasPrefix(choice.Next, "Wait-") {
				name = choice.Next
			}
		}
		name = enter(name).Next
	}
	for name != "Succeeded" {
		s := enter(name)
		if name = s.Next; s.Type == "Choice" {
			name = s.leads(nil, has)
		}
		if n > 100 {
			t.Fatalf("an execution goes through %s again and again", name)
		}
	}
	enter("Succeeded")
	return n
}

const (
	recordPath   = "$$.Execution.Input.record.id"
	callbackPath = "$$.Execution.Input.callback"
)

func TestAnAsynchronousRequestTakesTwoTransitionsAndThreeForEachAttempt(t *testing.T) {
	d := variants()["DeadLetters"].asyncDefinition()
	for attempts, most := range map[int]int{1: 5, 2: 8, 6: 20} {
		if got := d.transitions(t, attempts, recordPath); got > most {
			t.Errorf("%d attempts take %d transitions, want %d at most", attempts, got, most)
		}
	}
}

func TestTheStateMachineLogsEverythingButRequestsAndAnswersUnlessThePropSaysSo(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		for _, machine := range template.machines() {
			if got := machine.at("LoggingConfiguration", "Level"); got != "ALL" {
				t.Errorf("the level is %v; want ALL", got)
			}
			if got := machine.at("LoggingConfiguration", "IncludeExecutionData"); got != strings.HasSuffix(t.Name(), "/LoggedData") {
				t.Errorf("IncludeExecutionData is %v", got)
			}
			destinations, _ := machine.at("LoggingConfiguration", "Destinations").([]any)
			if len(destinations) != 1 {
				t.Fatalf("%d destinations; want one", len(destinations))
			}
			group := template.referred(at(destinations[0], "CloudWatchLogsLogGroup", "LogGroupArn"))
			if name := flat(group.at("LogGroupName")); !strings.HasPrefix(name, "/aws/vendedlogs/states/") {
				t.Errorf("the log group is called %q; only names below /aws/vendedlogs/ are not added to the account's one resource policy", name)
			}
		}
	})
}

func TestTheStateMachineIsTraced(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		for _, machine := range template.machines() {
			if got := machine.at("TracingConfiguration", "Enabled"); got != true {
				t.Errorf("tracing of %s is %v", machine.id, got)
			}
		}
	})
}
