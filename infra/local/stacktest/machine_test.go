package stacktest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
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

// An input that says what to go on with if proxies are lost, as the gateway's does.
const input = `{"outcome":"retry","waitSeconds":0,"answer":{"outcome":"retry","waitSeconds":5,"answer":{"outcome":"failed","error":"AttemptsExhausted","waitSeconds":0,` +
	`"attempts":[{"proxy":"proxy-1","error":"proxy_internal_error","wait":5000},{"proxy":"proxy-2","error":"proxy_internal_error"}]}}}`

func TestATaskThatCrashesIsALostProxy(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t))
	execution := bench.Machine("ProxyStateMachine").Run(input, map[string]stacktest.Task{
		"proxy-1": answers(failing(stacktest.ErrCrashed)),
		"proxy-2": answers(failing(errors.New("no envelope"))),
	})
	if execution.Status != asl.Failed || execution.Error != "AttemptsExhausted" || execution.Elapsed != 5*time.Second {
		t.Errorf("the execution %s with %q after %v, want FAILED with AttemptsExhausted after 5 s", execution.Status, execution.Error, execution.Elapsed)
	}
	if a := execution.Attempts; len(a) != 2 || a[0].Details != "Runtime.ExitError" || a[1].Details != "errorString" || a[1].At != 5*time.Second {
		t.Errorf("the attempts are %+v, want one that ended in Runtime.ExitError and one in errorString", a)
	}
}

func TestAFaultOfTheServiceIsRepeatedByTheTask(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t))
	throttled := failing(&asl.ServiceError{Code: "TooManyRequestsException", Message: "Rate exceeded", StatusCode: 429})
	execution := bench.Machine("ProxyStateMachine").Run(`{}`, map[string]stacktest.Task{
		"proxy-1": answers(throttled, throttled, answering(succeeded)),
	})
	if execution.Status != asl.Succeeded || len(execution.States) != 3 {
		t.Errorf("the execution %s through %v, want SUCCEEDED through three states", execution.Status, execution.States)
	}
}
