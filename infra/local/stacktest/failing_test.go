package stacktest_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/stacktest"
)

// A trial is a test that is expected to fail, and what it says.
type trial struct {
	testing.TB
	mu       sync.Mutex
	failed   bool
	said     strings.Builder
	cleanups []func()
}

// try runs a test to its end and returns what it said.
func try(t *testing.T, test func(t testing.TB)) *trial {
	tried := &trial{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for i := len(tried.cleanups) - 1; i >= 0; i-- {
				tried.cleanups[i]()
			}
		}()
		test(tried)
	}()
	<-done
	return tried
}

func (t *trial) say(failed bool, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = t.failed || failed
	fmt.Fprintf(&t.said, format+"\n", args...)
}

func (t *trial) Errorf(format string, args ...any) { t.say(true, format, args...) }
func (t *trial) Logf(format string, args ...any)   { t.say(false, format, args...) }
func (t *trial) Fatalf(format string, args ...any) { t.say(true, format, args...); runtime.Goexit() }
func (t *trial) Cleanup(f func())                  { t.cleanups = append(t.cleanups, f) }
func (t *trial) Context() context.Context          { return context.Background() }
func (t *trial) Helper()                           {}
func (t *trial) Failed() bool                      { t.mu.Lock(); defer t.mu.Unlock(); return t.failed }

// fails runs a test that has to fail, and checks what it says.
func fails(t *testing.T, test func(t testing.TB), words ...string) {
	t.Helper()
	tried := try(t, test)
	if !tried.failed {
		t.Error("the test passed")
	}
	for _, word := range words {
		if !strings.Contains(tried.said.String(), word) {
			t.Errorf("the test said\n%s\nwant %q in it", tried.said.String(), word)
		}
	}
}

func TestATestThatFailsShowsWhatWasDone(t *testing.T) {
	t.Parallel()
	dir := cdkOut(t)
	fails(t, func(t testing.TB) {
		bench := stacktest.Load(t, dir, policy(`{`+exact+`}`))
		bench.Upstream(stacktest.Answer(429, "Retry-After", "20"), stacktest.Answer(404).Body("not here"))
		bench.Run(stacktest.Get("/orders"))
		t.Errorf("this is not what was wanted")
	},
		"this is not what was wanted",
		"attempt 1  proxy-1  429", "waits 20s; 429: Retry-After asks for 20s",
		"attempt 2  proxy-2  404", "GET /orders -> 404 after 2 attempts in 20s",
		`GET /orders was answered with 404 Not Found "not here"`)
}

func TestATestThatPassesSaysNothing(t *testing.T) {
	t.Parallel()
	dir := cdkOut(t)
	tried := try(t, func(t testing.TB) {
		bench := stacktest.Load(t, dir)
		bench.Upstream(stacktest.Answer(200))
		bench.Run(stacktest.Get("/"))
	})
	if tried.failed || tried.said.Len() > 0 {
		t.Errorf("it said\n%s", tried.said.String())
	}
}

func TestARequestThatHasNoReplyFailsTheTest(t *testing.T) {
	t.Parallel()
	dir := cdkOut(t)
	fails(t, func(t testing.TB) {
		stacktest.Load(t, dir).Run(stacktest.Get("/orders?secret"))
	}, "has no replies", "Bench.Upstream")
	fails(t, func(t testing.TB) {
		bench := stacktest.Load(t, dir)
		bench.Upstream(stacktest.Answer(503))
		bench.Run(stacktest.Get("/orders"))
	}, "GET /orders after the last of its replies (1)", "attempt 1  proxy-1  503")
}

func TestRepliesThatAreNotAskedForFailTheTest(t *testing.T) {
	t.Parallel()
	dir := cdkOut(t)
	fails(t, func(t testing.TB) {
		bench := stacktest.Load(t, dir)
		bench.Upstream(stacktest.Answer(200), stacktest.Answer(200), stacktest.Refuse())
		bench.Run(stacktest.Get("/"))
	}, "2 of the upstream's 3 replies were not asked for")
}

func TestWhatCannotBeRunIsNamed(t *testing.T) {
	t.Parallel()
	load := func(dir string, options ...stacktest.Option) func(testing.TB) {
		return func(t testing.TB) { stacktest.Load(t, dir, options...) }
	}
	fails(t, load(t.TempDir()), "manifest.json")
	fails(t, load(edited(t, `"Type": "AWS::Lambda::Url"`, `"Type": "AWS::Kinesis::Stream"`)), "AWS::Kinesis::Stream, which is not known here", `stacktest.Skip("Proxy/gateway/`)
	fails(t, load(edited(t, `"RETRY_POLICY"`, `"OTHER_POLICY"`), policy(`{}`)), "RETRY_POLICY")
	fails(t, load(edited(t, `"gofunction:importPath"`, `"other"`, architecture(runtime.GOARCH), foreign())), foreign(), "does not say from what")
	fails(t, load(edited(t, `functions/gateway"`, `functions/nothing"`, architecture(runtime.GOARCH), foreign())), "cannot compile", "functions/nothing")
}

// foreign is the architecture that this machine's is not.
func foreign() string {
	if architecture(runtime.GOARCH) == "arm64" {
		return "x86_64"
	}
	return "arm64"
}

func TestAPolicyThatTheFunctionsRefuseIsShown(t *testing.T) {
	t.Parallel()
	dir := cdkOut(t)
	fails(t, func(t testing.TB) {
		run := stacktest.Load(t, dir, policy(`{"scope":"per-planet"}`)).Run(stacktest.Get("/"))
		t.Errorf("the answer is %d", run.StatusCode)
	}, "the answer is 502", `Scope is "per-planet"`)
}

func TestStateMachinesAndFunctionsThatAreNotThereAreNamed(t *testing.T) {
	t.Parallel()
	dir := cdkOut(t)
	fails(t, func(t testing.TB) { stacktest.Load(t, dir).Machine("Other") }, "0 state machines", `"Other" is in`, "ProxyStateMachine")
	fails(t, func(t testing.TB) {
		stacktest.Load(t, dir).Machine("ProxyStateMachine").Run(`{}`, map[string]stacktest.Task{"proxy-9": nil})
	}, `"proxy-9"`, "gateway, proxy-1, proxy-2, proxy-3")
	fails(t, func(t testing.TB) { stacktest.Load(t, dir).Machine("ProxyStateMachine").Run(`{`, nil) }, "InvalidExecutionInput")
}

func TestFunctionsForAnotherMachineAreCompiledForThisOne(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, edited(t, `"`+architecture(runtime.GOARCH)+`"`, `"`+foreign()+`"`))
	bench.Upstream(stacktest.Answer(200).Body("done"))
	if run := bench.Run(stacktest.Get("/")); run.StatusCode != 200 || run.Body != "done" {
		t.Errorf("the answer is %d %q", run.StatusCode, run.Body)
	}
}

func TestAnExecutionThatWasNotStartedFailsTheTest(t *testing.T) {
	t.Parallel()
	dir := cdkOut(t)
	fails(t, func(t testing.TB) {
		bench := stacktest.Load(t, dir)
		bench.Upstream(stacktest.Answer(200))
		bench.Run(stacktest.Get("/"))
		bench.Execution("nobody")
	}, `no execution is called "nobody"; 1 were started`)
}
