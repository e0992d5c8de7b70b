//go:build !race

package apiproxy_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// policyOf reads the policy that a function is told.
func policyOf(t *testing.T, function *resource) retry.Policy {
	t.Helper()
	var policy retry.Policy
	if err := json.Unmarshal([]byte(flat(function.at("Environment", "Variables", "RETRY_POLICY"))), &policy); err != nil {
		t.Fatalf("%s: RETRY_POLICY: %v", function.name(), err)
	}
	return policy.WithDefaults()
}

func diffPolicies(want, got retry.Policy) string { return cmp.Diff(want, got) }

func TestTimeoutsNest(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		machine := template.definition()
		gateway := template.gateway().number("Timeout")
		for i, proxy := range template.proxies() {
			policy := policyOf(t, proxy)
			attempt := policy.AttemptTimeout.Seconds()
			function := proxy.number("Timeout")
			task := machine.States[machine.taskOf(i)].TimeoutSeconds
			if !(0 < attempt && attempt < function && function < task && task < machine.TimeoutSeconds && machine.TimeoutSeconds < gateway) {
				t.Errorf("%s: attempt %v s, function %v s, Task %v s, state machine %v s, gateway %v s: each must be shorter than the next",
					proxy.name(), attempt, function, task, machine.TimeoutSeconds, gateway)
			}
			// Up to a second of sleep before the attempt, and a second to write the answer.
			if most := function - 2; attempt > most {
				t.Errorf("%s: an attempt of %v s does not fit a function of %v s with the sleep before it", proxy.name(), attempt, function)
			}
			if deadline := policy.MaxDeadline.Seconds(); deadline >= machine.TimeoutSeconds {
				t.Errorf("the longest deadline is %v s, and the state machine ends after %v s", deadline, machine.TimeoutSeconds)
			}
		}
		if most := 300.0; machine.TimeoutSeconds > most {
			t.Errorf("the state machine ends after %v s; Express ends it after %v s", machine.TimeoutSeconds, most)
		}
		if most := 900.0; gateway > most {
			t.Errorf("the gateway ends after %v s; Lambda takes %v s", gateway, most)
		}
	})
}

func TestTimeoutsInSeconds(t *testing.T) {
	type timeouts struct{ Function, Task, StateMachine, Gateway float64 }
	for name, want := range map[string]timeouts{
		"Minimal":       {294, 297, 300, 310}, // deadlines of up to 290 s
		"Everything":    {44, 47, 50, 60},     // of up to 40 s
		"ShortDeadline": {5, 8, 11, 21},       // of up to 1 s
		"LongAttempts":  {294, 297, 300, 310},
	} {
		template := variants()[name]
		machine := template.definition()
		for i, proxy := range template.proxies() {
			got := timeouts{
				Function:     proxy.number("Timeout"),
				Task:         machine.States[machine.taskOf(i)].TimeoutSeconds,
				StateMachine: machine.TimeoutSeconds,
				Gateway:      template.gateway().number("Timeout"),
			}
			if got != want {
				t.Errorf("%s: proxy %d has %+v; want %+v", name, i+1, got, want)
			}
		}
	}
}
