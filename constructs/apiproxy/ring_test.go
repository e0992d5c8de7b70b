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

func TestNoStateOnlyPassesOn(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		if passes := template.definition().names(func(s state) bool { return s.Type == "Pass" }); len(passes) > 0 {
			t.Errorf("Pass states cost a transition each: %v", passes)
		}
	})
}

func TestEachProxyHasOneTaskOneChoiceAndOneWait(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		definition := template.definition()
		proxies := template.proxies()
		if definition.StartAt != "Proxy-1" {
			t.Errorf("an execution starts at %s", definition.StartAt)
		}
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
		for _, kind := range []string{"Choice", "Wait"} {
			if got := len(definition.names(func(s state) bool { return s.Type == kind })); got != len(proxies) {
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

func TestATaskRepeatsAnInvocationOnlyIfItDidNotReachTheFunction(t *testing.T) {
	want := []retrier{{
		ErrorEquals:     []string{"Lambda.TooManyRequestsException", "Lambda.ServiceException", "Lambda.AWSLambdaException"},
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
	unknown := []string{"Lambda.ClientExecutionTimeoutException", "Lambda.SdkClientException", "Lambda.Unknown", "States.ALL"}
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

func TestALostProxyIsAnAnswerThatTheSameChoiceLooksAt(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		definition := template.definition()
		for _, name := range definition.tasks() {
			task := definition.States[name]
			want := []catcher{{ErrorEquals: []string{"States.ALL"}, ResultPath: "$.answer.fault", Next: task.Next}}
			if difference := cmp.Diff(want, task.Catch); difference != "" {
				t.Errorf("%s (-want +got):\n%s", name, difference)
			}
			if difference := cmp.Diff(map[string]any{"answer.$": "$.Payload"}, task.ResultSelector); difference != "" {
				t.Errorf("%s: the answer is not where the fault is put (-want +got):\n%s", name, difference)
			}
			if check := definition.States[task.Next]; check.OutputPath != "$.answer" {
				t.Errorf("%s hands on %q; want the answer", task.Next, check.OutputPath)
			}
		}
	})
}

func TestAnExecutionEndsInSucceededOrInFailedWithTheAnswerInItsCause(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		definition := template.definition()
		ends := definition.names(func(s state) bool { return len(s.successors()) == 0 })
		if difference := cmp.Diff([]string{"Failed", "Succeeded"}, ends); difference != "" {
			t.Errorf("(-want +got):\n%s", difference)
		}
		if got := definition.States["Succeeded"].Type; got != "Succeed" {
			t.Errorf("Succeeded is a %s", got)
		}
		failed := definition.States["Failed"]
		if failed.Type != "Fail" || failed.ErrorPath != "$.error" || failed.CausePath != "States.JsonToString($)" {
			t.Errorf("Failed is %+v", failed)
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
