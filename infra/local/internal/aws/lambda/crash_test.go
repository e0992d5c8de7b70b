package lambda_test

import (
	"context"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

func TestAnExitDuringTheInvocationIsARuntimeExitError(t *testing.T) {
	for status, text := range map[int]string{
		1: "Runtime exited with error: exit status 1",
		7: "Runtime exited with error: exit status 7",
		0: "Runtime exited without providing a reason",
	} {
		host := newHost(t, lambda.Config{}, echo())
		before := invokeReport(t, host, `{}`)
		result := invoke(t, host, `{"exit":`+strconv.Itoa(status)+`}`)
		want := errorDocument{"Runtime.ExitError", "RequestId: " + result.RequestID + " Error: " + text}
		if got := parseError(t, result); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		after := invoke(t, host, `{}`)
		if r := parseReport(t, after); !after.Cold || r.PID == before.PID || r.Count != 1 {
			t.Errorf("after the exit process %d served invocation %d, want a new process", r.PID, r.Count)
		}
	}
}

func TestAKilledProcessIsARuntimeExitError(t *testing.T) {
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add}, echo())
	pid := invokeReport(t, host, `{}`).PID
	path, _ := hold(t)
	results := make(chan lambda.Result)
	go func() {
		result, _ := host.Invoke(context.Background(), "echo", []byte(`{"log":["running"],"hold":"`+path+`"}`))
		results <- result
	}()
	eventually(t, "the function runs", func() bool { return len(logged.of(lambda.LogFunction)) == 1 })
	syscall.Kill(pid, syscall.SIGKILL)
	if got := parseError(t, <-results); got.ErrorType != "Runtime.ExitError" || !strings.HasSuffix(got.ErrorMessage, "Error: Runtime exited with error: signal: killed") {
		t.Errorf("%+v", got)
	}
	invokeReport(t, host, `{}`)
}

func TestAProcessThatDiesWhileIdleIsReplaced(t *testing.T) {
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add}, echo())
	pid := invokeReport(t, host, `{}`).PID
	syscall.Kill(pid, syscall.SIGKILL)
	eventually(t, "the host has noticed", func() bool { return len(logged.of(lambda.LogFault)) == 1 })
	if fault := logged.of(lambda.LogFault)[0]; fault.Message != "Error: Runtime exited with error: signal: killed" || fault.RequestID != "" {
		t.Errorf("%+v", fault)
	}
	if r := invokeReport(t, host, `{}`); r.PID == pid || r.Count != 1 {
		t.Errorf("process %d served invocation %d", r.PID, r.Count)
	}
}

func TestAPanicReachesTheInvokerAndEndsTheProcess(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	result := invoke(t, host, `{"panic":"out of cheese"}`)
	if got := parseError(t, result); got != (errorDocument{"string", "out of cheese"}) {
		t.Errorf("%+v", got)
	}
	if !strings.Contains(string(result.Payload), "stackTrace") {
		t.Errorf("the runtime's document was changed: %s", result.Payload)
	}
	if r := invokeReport(t, host, `{}`); r.Count != 1 {
		t.Errorf("the process that panicked served invocation %d", r.Count)
	}
}

func TestAnErrorOfTheHandlerKeepsTheProcess(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	if got := parseError(t, invoke(t, host, `{"error":"not today"}`)); got != (errorDocument{"errorString", "not today"}) {
		t.Errorf("%+v", got)
	}
	if r := invokeReport(t, host, `{}`); r.Count != 2 {
		t.Errorf("invocation %d of its process, want 2", r.Count)
	}
}

func TestTheTimeoutKillsTheProcess(t *testing.T) {
	inRealTime(t)
	var logged logs
	now := time.Date(2026, 11, 21, 18, 0, 0, 123e6, time.UTC)
	host := newHost(t, lambda.Config{Log: logged.add, Now: func() time.Time { return now }},
		echo(func(f *lambda.Function) { f.Timeout = 500 * time.Millisecond }))
	pid := invokeReport(t, host, `{}`).PID
	path, _ := hold(t)
	result := invoke(t, host, `{"child":true,"hold":"`+path+`"}`)
	want := errorDocument{"Sandbox.Timedout", "2026-11-21T18:00:00.123Z " + result.RequestID + " Task timed out after 0.50 seconds"}
	if got := parseError(t, result); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if result.Duration < 250*time.Millisecond {
		t.Errorf("it was killed after %v, before its timeout", result.Duration)
	}
	if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
		t.Errorf("process %d is there after the timeout: %v", pid, err)
	}
	if fault := logged.of(lambda.LogFault); len(fault) != 1 || fault[0].Message != want.ErrorMessage {
		t.Errorf("the log's fault is %+v", fault)
	}
	reports := logged.of(lambda.LogReport)
	if report := reports[len(reports)-1].Report; report.Status != lambda.StatusTimeout {
		t.Errorf("the report is %+v", report)
	}
	if r := invokeReport(t, host, `{}`); r.Count != 1 {
		t.Errorf("after the timeout invocation %d of its process was served", r.Count)
	}
}

func TestAWholeNumberOfSecondsIsWrittenWithTwoDecimals(t *testing.T) {
	inRealTime(t)
	host := newHost(t, lambda.Config{}, echo(func(f *lambda.Function) { f.Timeout = time.Second }))
	path, _ := hold(t)
	got := parseError(t, invoke(t, host, `{"hold":"`+path+`"}`))
	if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [0-9a-f-]{36} Task timed out after 1\.00 seconds$`).MatchString(got.ErrorMessage) {
		t.Errorf("%q", got.ErrorMessage)
	}
}

func TestAnAnswerCountsEvenIfTheProcessLingersPastTheTimeout(t *testing.T) {
	inRealTime(t)
	host := newHost(t, lambda.Config{}, echo(func(f *lambda.Function) { f.Timeout = 500 * time.Millisecond }))
	result := invoke(t, host, `{"lingerMs":60000}`)
	if result.FunctionError != "" || string(result.Payload) != `"answered"` {
		t.Fatalf("%q %s", result.FunctionError, result.Payload)
	}
	if r := invokeReport(t, host, `{}`); r.Count != 1 {
		t.Errorf("the lingering process served invocation %d", r.Count)
	}
}

func TestChildrenOfAFunctionEndWithIt(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	if _, err := os.Stat("/bin/sleep"); err != nil {
		t.Skip("no /bin/sleep on this machine")
	}
	child := invokeReport(t, host, `{"child":true}`).Child
	if err := syscall.Kill(child, 0); err != nil {
		t.Fatalf("the child is not there: %v", err)
	}
	parseError(t, invoke(t, host, `{"exit":1}`))
	eventually(t, "the child is gone", func() bool { return !alive(child) })
}

func TestWrongCallsOfTheRuntimeAPIAreRefused(t *testing.T) {
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add}, echo(func(f *lambda.Function) { f.Env = map[string]string{"INIT": "misuse"} }))
	result := invoke(t, host, `{}`)
	if result.FunctionError != "" || string(result.Payload) != `"first"` {
		t.Errorf("the invocation ended with %q %s, want the first answer", result.FunctionError, result.Payload)
	}
	var got []string
	for _, e := range logged.of(lambda.LogFunction) {
		got = append(got, e.Message)
	}
	want := []string{
		"POST response 400 InvalidRequestID",
		"GET next 403 InvalidStateTransition",
		"POST error 403 InvalidStateTransition",
		"POST response 400 InvalidRequestID",
		"POST response 202 ",
		"POST response 403 InvalidStateTransition",
		"POST error 403 InvalidStateTransition",
		"GET nonsense 404 ",
		"GET next 421 AccessDenied",
		"GET next 403 AccessDenied",
		"GET next 403 AccessDenied",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// alive reports whether a process runs; one that has ended and was not waited for does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return !os.IsNotExist(err)
	}
	// The state follows the command's name in parentheses.
	fields := strings.Fields(string(status[strings.LastIndexByte(string(status), ')')+1:]))
	return fields[0] != "Z"
}
