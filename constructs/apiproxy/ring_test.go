//go:build !race

package apiproxy_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// taskOf is the name of the Task of the i-th proxy, counted from zero.
func (d definition) taskOf(i int) string { return fmt.Sprintf("Proxy-%d", i+1) }

func TestTheDefinitionIsInJSONPath(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		definition := template.definition()
		if definition.QueryLanguage != "" || strings.Contains(definition.text, "{%") {
			t.Error("it is in JSONata")
		}
	})
}

func TestEveryStateCanBeReached(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		definition := template.definition()
		order := definition.walk()
		for name := range definition.States {
			if !slices.Contains(order, name) {
				t.Errorf("no execution comes to %s", name)
			}
		}
		for _, name := range order {
			if _, found := definition.States[name]; !found {
				t.Errorf("a state leads to %s, which does not exist", name)
			}
		}
	})
}

func TestStatesHaveNamesThatCloudWatchTakesAsDimensions(t *testing.T) {
	allowed := regexp.MustCompile(`^[A-Za-z0-9-]{1,80}$`)
	forEachVariant(t, func(t *testing.T, template template) {
		for name := range template.definition().States {
			if !allowed.MatchString(name) {
				t.Errorf("%q", name)
			}
		}
	})
}

// Each transition of a Standard workflow costs, and each takes time.
func TestAnExecutionThatLosesNoProxyHasNoStateThatOnlyPassesOn(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		definition := template.definition()
		for _, name := range definition.walkWithoutFaults() {
			// A Check state leads there if proxies were lost, and only then.
			if definition.States[name].Type == "Pass" && name != "AllLost" {
				t.Errorf("%s is a Pass state on the way of every execution", name)
			}
		}
	})
}

func TestEachProxyHasOneTaskOneChoiceAndOneWait(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		definition := template.definition()
		proxies := template.proxies()
		for i, proxy := range proxies {
			n, next := i+1, definition.taskOf((i+1)%len(proxies))
			task, check, wait := definition.States[definition.taskOf(i)], definition.States[fmt.Sprintf("Check-%d", n)], definition.States[fmt.Sprintf("Wait-%d", n)]
			if task.Type != "Task" || check.Type != "Choice" || wait.Type != "Wait" {
				t.Errorf("Proxy-%d is a %s, Check-%d a %s, Wait-%d a %s", n, task.Type, n, check.Type, n, wait.Type)
			}
			if want := "${" + template.aliasOf(t, proxy).id + "}"; task.Parameters["FunctionName"] != want {
				t.Errorf("Proxy-%d calls %v; want the live alias of %s", n, task.Parameters["FunctionName"], proxy.name())
			}
			if task.Next != fmt.Sprintf("Check-%d", n) || wait.Next != next || check.Default != next {
				t.Errorf("Proxy-%d leads to %s, Wait-%d to %s, Check-%d to %s", n, task.Next, n, wait.Next, n, check.Default)
			}
		}
		for kind, want := range map[string]int{"Wait": len(proxies), "Choice": len(proxies) + 2 + min(len(proxies)-1, 1), "Pass": len(proxies) + 1} { // one each for AllLost and Release, and Enter
			if got := len(definition.names(func(s state) bool { return s.Type == kind })); got != want {
				t.Errorf("%d states of type %s for %d proxies", got, kind, len(proxies))
			}
		}
		if got := len(definition.tasks()); got != len(proxies) {
			t.Errorf("%d Tasks call functions, for %d proxies", got, len(proxies))
		}
	})
}

func TestAWaitIsForOneSecondAtLeastAndForAsLongAsIsSaid(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		definition := template.definition()
		ways := map[string]int{}
		for name, state := range definition.States {
			if state.Type == "Wait" && state.SecondsPath != "$.waitSeconds" {
				t.Errorf("%s waits for %q seconds; want as many as the proxy said", name, state.SecondsPath)
			}
			for _, choice := range state.Choices {
				if definition.States[choice.Next].Type != "Wait" {
					continue
				}
				ways[choice.Next]++
				if !strings.HasSuffix(choice.Variable, ".waitSeconds") {
					t.Errorf("whether %s leads to %s depends on %q; want the seconds that the proxy said", name, choice.Next, choice.Variable)
				}
				if from := choice.NumericGreaterThanEquals; from == nil || *from != 1 {
					t.Errorf("%s does not lead to %s from 1 second on: a delay of 1 s would be skipped, or one of 0 s cost a transition", name, choice.Next)
				}
			}
		}
		for _, wait := range definition.names(func(s state) bool { return s.Type == "Wait" }) {
			if ways[wait] == 0 {
				t.Errorf("no Choice leads to %s", wait)
			}
		}
	})
}

func TestAnExecutionStartsWithTheProxyThatTheInputNames(t *testing.T) {
	present := true
	forEachVariant(t, func(t *testing.T, template template) {
		definition := template.definition()
		proxies := len(template.proxies())
		if proxies == 1 {
			if definition.StartAt != "Proxy-1" {
				t.Errorf("with one proxy an execution starts at %s", definition.StartAt)
			}
			return
		}
		enter := definition.States["Enter"]
		if definition.StartAt != "Enter" || enter.Type != "Choice" || enter.Default != "Proxy-1" || len(enter.Choices) != proxies-1 {
			t.Fatalf("an execution starts at %s, which is %+v", definition.StartAt, enter)
		}
		for i, rule := range enter.Choices {
			number := float64(i + 2)
			want := choice{Next: fmt.Sprintf("Proxy-%d", i+2), And: []condition{
				{Variable: "$.start", IsPresent: &present}, {Variable: "$.start", NumericEquals: &number},
			}}
			if difference := cmp.Diff(want, rule, cmp.AllowUnexported(choice{}, condition{})); difference != "" {
				t.Errorf("rule %d of Enter (-want +got):\n%s", i+1, difference)
			}
		}
	})
}

func TestATaskRepeatsAnInvocationOnlyIfItDidNotReachTheFunction(t *testing.T) {
	want := []retrier{{
		ErrorEquals:     []string{"Lambda.TooManyRequestsException"},
		IntervalSeconds: 1, MaxAttempts: 3, MaxDelaySeconds: 5, BackoffRate: 2, JitterStrategy: "FULL",
	}}
	forEachVariant(t, func(t *testing.T, template template) {
		definition := template.definition()
		for _, name := range definition.tasks() {
			if difference := cmp.Diff(want, definition.States[name].Retry); difference != "" {
				t.Errorf("%s (-want +got):\n%s", name, difference)
			}
		}
	})
}

func TestNoStateRepeatsACallThatMayHaveHappened(t *testing.T) {
	unknown := []string{"Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.ClientExecutionTimeoutException", "Lambda.SdkClientException", "Lambda.Unknown", "States.ALL"}
	ofAFunction := []string{"States.Timeout", "States.TaskFailed", "States.HeartbeatTimeout"}
	forEachVariant(t, func(t *testing.T, template template) {
		definition := template.definition()
		for name, state := range definition.States {
			forbidden := unknown
			if slices.Contains(definition.tasks(), name) {
				forbidden = append(slices.Clone(unknown), ofAFunction...)
			}
			for _, retrier := range state.Retry {
				for _, err := range retrier.ErrorEquals {
					if slices.Contains(forbidden, err) {
						t.Errorf("%s retries %s", name, err)
					}
				}
			}
		}
	})
}

func TestEveryRetryIsJitteredAndCapped(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		for name, state := range template.definition().States {
			for _, r := range state.Retry {
				if r.JitterStrategy != "FULL" || r.MaxDelaySeconds < 1 || r.MaxAttempts < 1 || r.IntervalSeconds < 1 {
					t.Errorf("%s: %+v", name, r)
				}
			}
		}
	})
}

func TestWhateverHappensToAProxyIsCaught(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		definition := template.definition()
		for _, name := range definition.tasks() {
			var caught []string
			for _, catcher := range definition.States[name].Catch {
				caught = append(caught, catcher.ErrorEquals...)
			}
			// States.TaskFailed would not stand for States.Timeout, and a proxy that hangs would end the execution.
			if !slices.Equal(caught, []string{"States.ALL"}) {
				t.Errorf("%s catches %v; want States.ALL alone", name, caught)
			}
		}
	})
}

func TestWhatAProxyAnswersIsAllThatIsHandedOn(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		definition := template.definition()
		for _, name := range definition.tasks() {
			task := definition.States[name]
			if task.OutputPath != "$.Payload" || task.ResultSelector != nil || task.ResultPath != nil || task.Parameters["Payload.$"] != "$" {
				t.Errorf("%s is handed %v, and hands on %q", name, task.Parameters["Payload.$"], task.OutputPath)
			}
		}
	})
}

func TestALostProxyIsAddedToTheEnvelopeThatItWasHandedAndTheNextOneIsCalled(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		definition := template.definition()
		for i, name := range definition.tasks() {
			task := definition.States[name]
			number, isProxy := strings.CutPrefix(name, "Proxy-")
			if !isProxy {
				t.Errorf("task %d is called %s", i+1, name)
			}
			want := []catcher{{ErrorEquals: []string{"States.ALL"}, ResultPath: "$.fault", Next: "Lost-" + number}}
			if difference := cmp.Diff(want, task.Catch); difference != "" {
				t.Errorf("%s (-want +got):\n%s", name, difference)
			}
			lost := definition.States["Lost-"+number]
			if lost.Type != "Pass" || lost.Next != "Check-"+number || lost.ResultPath != nil || lost.OutputPath != "" {
				t.Errorf("Lost-%s is %+v", number, lost)
			}
			parameters := map[string]any{
				"version.$": "$.version", "outcome": "retry", "waitSeconds": 0.0, "call.$": "$.call", "attempts.$": "$.attempts",
				"losses": map[string]any{
					"count.$": "States.MathAdd($.losses.count, 1)", "allowed.$": "$.losses.allowed",
					"proxy": "proxy-" + number, "error.$": "$.fault.Error", "before.$": "$.losses",
				},
			}
			if difference := cmp.Diff(parameters, lost.Parameters); difference != "" {
				t.Errorf("Lost-%s (-want +got):\n%s", number, difference)
			}
		}
	})
}

func TestWithMoreLossesThanAreAllowedTheStateMachineGivesUp(t *testing.T) {
	present := true
	forEachVariant(t, func(t *testing.T, template template) {
		definition := template.definition()
		for name, check := range definition.States {
			if !strings.HasPrefix(name, "Check-") {
				continue
			}
			// Behind the outcomes, which answers have, and before the wait.
			want := choice{Next: "AllLost", And: []condition{
				{Variable: "$.losses.count", IsPresent: &present},
				{Variable: "$.losses.count", NumericGreaterThanPath: "$.losses.allowed"},
			}}
			if len(check.Choices) != 6 {
				t.Fatalf("%s has %d rules", name, len(check.Choices))
			}
			if difference := cmp.Diff(want, check.Choices[4], cmp.AllowUnexported(choice{}, condition{})); difference != "" {
				t.Errorf("%s (-want +got):\n%s", name, difference)
			}
		}
		if allLost := definition.States["AllLost"]; allLost.Next != "CheckAllLost" || strings.Contains(fmt.Sprint(allLost.Parameters), "call") {
			t.Errorf("AllLost is %+v; the request has no place in what an execution ends with", allLost)
		}
		check := definition.States["CheckAllLost"]
		want := []choice{{condition: condition{Variable: "$$.Execution.Input.record.id", IsPresent: &present}, Next: "Release"}}
		if difference := cmp.Diff(want, check.Choices, cmp.AllowUnexported(choice{}, condition{})); difference != "" || check.Default != "Failed" {
			t.Errorf("CheckAllLost leads to %s otherwise (-want +got):\n%s", check.Default, difference)
		}
	})
}

func TestAnExecutionEndsInSucceededOrInFailedWithTheAnswerInItsOutput(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		definition := template.definition()
		ends := definition.names(func(s state) bool { return len(s.successors()) == 0 })
		if difference := cmp.Diff([]string{"Failed", "Succeeded"}, ends); difference != "" {
			t.Errorf("(-want +got):\n%s", difference)
		}
		for _, end := range ends {
			if got := definition.States[end].Type; got != "Succeed" {
				t.Errorf("%s is a %s", end, got)
			}
		}
	})
}

func TestEveryTaskHasATimeout(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		for name, state := range template.definition().States {
			if state.Type == "Task" && state.TimeoutSeconds < 1 {
				t.Errorf("%s may hang for as long as the execution lasts", name)
			}
		}
	})
}
