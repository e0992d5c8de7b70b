package stacktest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/stacktest"
)

// answers gives one answer after the other.
func answers(all ...func() (string, error)) stacktest.Task {
	return func(string) (string, error) {
		next := all[0]
		all = all[1:]
		return next()
	}
}

func answering(result string) func() (string, error) {
	return func() (string, error) { return result, nil }
}

func failing(err error) func() (string, error) {
	return func() (string, error) { return "", err }
}

const succeeded = `{"outcome":"succeeded","waitSeconds":0}`

// An input that says how many proxies may be lost, as the gateway's does.
const input = `{"version":1,"outcome":"retry","waitSeconds":0,"attempts":[],"call":{"request":{"method":"GET","path":"/"}},"losses":{"count":0,"allowed":1}}`

func TestATaskThatCrashesIsALostProxy(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t))
	execution := bench.Machine("ProxyStateMachine").Run(input, map[string]stacktest.Task{
		"proxy-1": answers(failing(stacktest.ErrCrashed)),
		"proxy-2": answers(failing(errors.New("no envelope"))),
	})
	if execution.Status != stacktest.Succeeded || execution.Error != "ProxiesLost" || execution.Elapsed != 0 {
		t.Errorf("the execution %s with %q after %v, want SUCCEEDED with ProxiesLost at once", execution.Status, execution.Error, execution.Elapsed)
	}
	if a := execution.Attempts; len(a) != 2 || a[0].Details != "Runtime.ExitError" || a[1].Details != "errorString" {
		t.Errorf("the attempts are %+v, want one that ended in Runtime.ExitError and one in errorString", a)
	}
}

func TestTheNextProxyJudgesALostOne(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t), policy(`{"networkFailures":{"attempts":3,"base":"5s","max":"5s","jitter":"none"}}`))
	bench.Upstream(stacktest.Answer(200))
	given := strings.Replace(input, `"call":{`, `"call":{"deadline":4102444800000,`, 1) // in 2100
	execution := bench.Machine("ProxyStateMachine").Run(given, map[string]stacktest.Task{
		"proxy-1": answers(failing(stacktest.ErrCrashed)),
	})
	if execution.Status != stacktest.Succeeded || execution.Elapsed != 5*time.Second {
		t.Errorf("the execution %s after %v, want SUCCEEDED after five seconds", execution.Status, execution.Elapsed)
	}
	a := execution.Attempts
	if len(a) != 2 || a[0].Proxy != "proxy-1" || a[0].Wait != 5*time.Second || a[1].Proxy != "proxy-3" || a[1].Status != 200 {
		t.Errorf("the attempts are %+v, want one of proxy-1 that is followed by a wait, and one of proxy-3", a)
	}
	if diff := cmp.Diff([]string{"Enter", "Proxy-1", "Lost-1", "Check-1", "Proxy-2", "Check-2", "Wait-2", "Proxy-3", "Check-3", "Succeeded"}, execution.States); diff != "" {
		t.Errorf("it went another way (-want +got):\n%s", diff)
	}
}

func TestAFaultOfTheServiceIsRepeatedByTheTask(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t))
	throttled := failing(&stacktest.ServiceError{Code: "TooManyRequestsException", Message: "Rate exceeded", StatusCode: 429})
	execution := bench.Machine("ProxyStateMachine").Run(`{}`, map[string]stacktest.Task{
		"proxy-1": answers(throttled, throttled, answering(succeeded)),
	})
	if execution.Status != stacktest.Succeeded || len(execution.States) != 4 {
		t.Errorf("the execution %s through %v, want SUCCEEDED through four states", execution.Status, execution.States)
	}
}
