package lambda_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

// state is that of a process, by /proc: T if it is stopped, and nothing if it is gone.
func state(pid string) string {
	status, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return ""
	}
	// The name stands in brackets, and may hold any character.
	return string(status[strings.LastIndexByte(string(status), ')')+2])
}

// awaitState waits until a process is in a state.
func awaitState(t *testing.T, pid int, want string) {
	t.Helper()
	eventually(t, fmt.Sprintf("the state of process %d is %s", pid, want), func() bool { return state(strconv.Itoa(pid)) == want })
}

func TestASandboxIsFrozenBetweenInvocations(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	r := invokeReport(t, host, `{"child":true}`)
	for i := range 100 {
		awaitState(t, r.PID, "T")
		awaitState(t, r.Child, "T")
		again := invokeReport(t, host, `{}`)
		if again.PID != r.PID || again.Count != i+2 {
			t.Fatalf("invocation %d ran in process %d as its %dth; want it in %d", i+2, again.PID, again.Count, r.PID)
		}
	}
}

func TestAFunctionAndItsChildrenRunDuringAnInvocation(t *testing.T) {
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add}, echo())
	r := invokeReport(t, host, `{"child":true}`)
	results, release := heldInvocations(t, host, &logged, 1)
	for _, pid := range []int{r.PID, r.Child} {
		if got := state(strconv.Itoa(pid)); got == "T" {
			t.Errorf("process %d is frozen during an invocation", pid)
		}
	}
	release()
	<-results
	awaitState(t, r.PID, "T")
}

func TestNothingOfAFrozenFunctionRuns(t *testing.T) {
	inRealTime(t)
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add}, echo())
	invoke(t, host, `{"log":["before the answer"],"later":"later"}`)
	time.Sleep(600 * time.Millisecond)
	if lines := logged.of(lambda.LogFunction); len(lines) != 1 || lines[0].Message != "before the answer" {
		t.Errorf("a frozen function wrote %v, want what it wrote before its answer", lines)
	}
	result := invoke(t, host, `{"sleepMs":600}`)
	lines := logged.of(lambda.LogFunction)
	if len(lines) != 2 || lines[1].Message != "later" || lines[1].RequestID != result.RequestID {
		t.Errorf("the timer of the first invocation wrote %v, want it in the second", lines[1:])
	}
}

func TestALargeEventReachesAFunctionThatWasFrozen(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	first := invokeReport(t, host, `{}`)
	for range 5 {
		awaitState(t, first.PID, "T")
		if r := invokeReport(t, host, `{"padding":"`+strings.Repeat("x", 5<<20)+`"}`); r.PID != first.PID {
			t.Errorf("the event went to process %d, want %d", r.PID, first.PID)
		}
	}
}

func TestASandboxRunsOnWhereFreezingIsOff(t *testing.T) {
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add, KeepRunning: true}, echo())
	r := invokeReport(t, host, `{"later":"later"}`)
	eventually(t, "its timer has fired", func() bool { return len(logged.of(lambda.LogFunction)) == 1 })
	if got := state(strconv.Itoa(r.PID)); got == "T" {
		t.Error("it is frozen")
	}
}

func TestClosingTheHostEndsFrozenProcessesAtOnce(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	r := invokeReport(t, host, `{"child":true}`)
	awaitState(t, r.PID, "T")
	began := time.Now()
	host.Close()
	// The limit is below the second for which the output of something that was left is read.
	if took := time.Since(began); took > 900*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	if alive(r.PID) {
		t.Error("the process is left")
	}
	eventually(t, "its child, which nobody waits for, is gone", func() bool { return !alive(r.Child) })
}

func TestAFrozenProcessThatIsKilledIsReplaced(t *testing.T) {
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add}, echo())
	first := invokeReport(t, host, `{}`)
	awaitState(t, first.PID, "T")
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the host has noticed", func() bool { return len(logged.of(lambda.LogFault)) == 1 })
	if r := invokeReport(t, host, `{}`); r.PID == first.PID || r.Count != 1 {
		t.Errorf("process %d took the invocation as its %dth, want a new process", r.PID, r.Count)
	}
}

func TestATimeoutEndsAFunctionThatWasFrozenBefore(t *testing.T) {
	inRealTime(t)
	host := newHost(t, lambda.Config{}, echo(func(f *lambda.Function) { f.Timeout = 300 * time.Millisecond }))
	r := invokeReport(t, host, `{}`)
	awaitState(t, r.PID, "T")
	time.Sleep(400 * time.Millisecond) // longer than the timeout, which does not run while the function is frozen
	if result := invoke(t, host, `{"sleepMs":20}`); result.Cold || parseReport(t, result).PID != r.PID {
		t.Errorf("the frozen process was not used again: %+v", result)
	}
	if document := parseError(t, invoke(t, host, `{"sleepMs":5000}`)); document.ErrorType != "Sandbox.Timedout" {
		t.Errorf("it ended with %+v, want Sandbox.Timedout", document)
	}
	if alive(r.PID) {
		t.Error("the process that was too slow is left")
	}
}
