package lambda_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

// failing returns the echo function with an initialisation that fails, and a count of how often it was tried.
func failing(t *testing.T, how string) (lambda.Function, func() int) {
	path := filepath.Join(t.TempDir(), "init")
	fn := echo(func(f *lambda.Function) {
		f.Env = map[string]string{"INIT": how, "INIT_LOG": path, "INIT_ONCE": path + "-once"}
	})
	return fn, func() int {
		content, _ := os.ReadFile(path)
		return strings.Count(string(content), "\n")
	}
}

func TestAnInitialisationThatExitsIsRepeatedOnceAndReported(t *testing.T) {
	var logged logs
	fn, inits := failing(t, "exit")
	host := newHost(t, lambda.Config{Log: logged.add}, fn)
	result := invoke(t, host, `{}`)
	want := errorDocument{"Runtime.ExitError", "RequestId: " + result.RequestID + " Error: Runtime exited with error: exit status 3"}
	if got := parseError(t, result); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if n := inits(); n != 2 {
		t.Errorf("%d initialisations, want 2", n)
	}
	order := []string{"initStart", "function", "initReport", "start", "function", "initReport", "fault", "end", "report"}
	if diff := cmp.Diff(order, logged.types()); diff != "" {
		t.Errorf("log events (-want +got):\n%s", diff)
	}
	reports := logged.of(lambda.LogInitReport)
	if a, b := reports[0].Report, reports[1].Report; a.Phase != lambda.PhaseInit || b.Phase != lambda.PhaseInvoke || a.ErrorType != "Runtime.ExitError" {
		t.Errorf("init reports %+v, %+v", a, b)
	}
	if !strings.HasSuffix(reports[0].Message, "\tPhase: init\tStatus: error\tError Type: Runtime.ExitError") {
		t.Errorf("%q", reports[0].Message)
	}

	// There is no restart without an invocation, and the next one tries again.
	parseError(t, invoke(t, host, `{}`))
	if n := inits(); n != 4 {
		t.Errorf("%d initialisations after two invocations, want 4", n)
	}
}

func TestAnInitialisationThatSucceedsTheSecondTimeServesTheInvocation(t *testing.T) {
	fn, inits := failing(t, "exit-once")
	host := newHost(t, lambda.Config{}, fn)
	result := invoke(t, host, `{}`)
	parseReport(t, result)
	if n := inits(); n != 2 || !result.Cold || result.InitDuration != 0 {
		t.Errorf("%d initialisations, cold %v, init duration %v; want 2, true, 0", n, result.Cold, result.InitDuration)
	}
}

func TestAReportedInitialisationErrorReachesTheInvoker(t *testing.T) {
	fn, inits := failing(t, "report")
	host := newHost(t, lambda.Config{}, fn)
	if got := parseError(t, invoke(t, host, `{}`)); got != (errorDocument{"Config.Missing", "TABLE is not set"}) {
		t.Errorf("%+v", got)
	}
	if n := inits(); n != 2 {
		t.Errorf("%d initialisations, want 2", n)
	}
}

func TestAnInitialisationThatHangsTimesOut(t *testing.T) {
	inRealTime(t)
	var logged logs
	fn, inits := failing(t, "hang")
	fn.Timeout = 300 * time.Millisecond
	host := newHost(t, lambda.Config{Log: logged.add, InitTimeout: 200 * time.Millisecond}, fn)
	got := parseError(t, invoke(t, host, `{}`))
	if got.ErrorType != "Sandbox.Timedout" || !strings.HasSuffix(got.ErrorMessage, "Task timed out after 0.30 seconds") {
		t.Errorf("%+v", got)
	}
	if n := inits(); n != 2 {
		t.Errorf("%d initialisations, want 2", n)
	}
	if reports := logged.of(lambda.LogInitReport); len(reports) != 2 || reports[0].Report.Status != lambda.StatusTimeout {
		t.Errorf("%+v", reports)
	}
}

func TestABinaryThatCannotRunIsAnInvalidEntrypoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bootstrap")
	if err := os.WriteFile(path, []byte("no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	host := newHost(t, lambda.Config{}, echo(func(f *lambda.Function) { f.Path = path }))
	got := parseError(t, invoke(t, host, `{}`))
	if got.ErrorType != "Runtime.InvalidEntrypoint" || !strings.Contains(got.ErrorMessage, path) || !strings.Contains(got.ErrorMessage, "exec format error") {
		t.Errorf("%+v", got)
	}
}
