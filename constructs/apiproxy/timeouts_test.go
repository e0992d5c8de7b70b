package apiproxy

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestTimeoutsNestForAllPropsThatAreValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		duration := func(name string) time.Duration {
			return time.Duration(rapid.Int64Range(1, int64(6*time.Minute/time.Millisecond)).Draw(t, name)) * time.Millisecond
		}
		maxDeadline := duration("max deadline")
		props := RetryingApiProxyProps{
			Upstream:   Upstream{BaseURL: "https://api.example.com"},
			ProxyCount: rapid.IntRange(1, MaxProxyCount).Draw(t, "proxies"),
			Retry: retry.Policy{
				AttemptTimeout: duration("attempt"),
				Deadline:       min(maxDeadline, duration("deadline")),
				MaxDeadline:    maxDeadline,
				Routes: []retry.Route{
					{Path: "/", Policy: retry.Policy{MaxDeadline: duration("max deadline of a route"), Deadline: time.Millisecond}},
				},
			},
		}.withDefaults()
		if err := props.Validate(); err != nil {
			t.Skip(err)
		}
		deadline := max(props.Retry.MaxDeadline, props.Retry.Routes[0].Policy.MaxDeadline)
		function, task := props.proxyTimeout(), props.taskTimeout()
		machine, gateway := props.machineTimeout(), props.gatewayTimeout()
		if !(deadline < function && function < task && task < machine && machine < gateway) {
			t.Fatalf("deadline %v, function %v, Task %v, state machine %v, gateway %v", deadline, function, task, machine, gateway)
		}
		if machine > 5*time.Minute {
			t.Fatalf("the state machine may take %v", machine)
		}
		for _, timeout := range []time.Duration{function, task, machine, gateway} {
			if timeout%time.Second != 0 {
				t.Fatalf("a timeout of %v cannot be written in whole seconds", timeout)
			}
		}
	})
}
