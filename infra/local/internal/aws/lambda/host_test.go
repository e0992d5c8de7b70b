package lambda_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

// echoBinary is testdata/echo, built once.
var echoBinary string

func TestMain(m *testing.M) {
	if os.Getenv(hostProcess) != "" {
		runHostProcess()
		return
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	directory, err := os.MkdirTemp("", "lambda-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(directory)
	echoBinary = filepath.Join(directory, "bootstrap")
	build := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", echoBinary, "./testdata/echo")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build ./testdata/echo: %v\n%s", err, output)
		return 1
	}
	return m.Run()
}

// report is what the echo function answers.
type report struct {
	PID         int
	Count       int
	RequestID   string
	ARN         string
	Trace       string
	Custom      map[string]string
	RemainingMS int64
	Args        []string
	Directory   string
	Environment []string
	Child       int
}

// inRealTime skips a test that waits for a timeout, where there is no time for it.
func inRealTime(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: it waits for a timeout, in real time")
	}
}

// newHost returns a host that is closed with the test.
func newHost(t testing.TB, config lambda.Config, functions ...lambda.Function) *lambda.Host {
	t.Helper()
	host, err := lambda.NewHost(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	for _, fn := range functions {
		if err := host.Add(fn); err != nil {
			t.Fatal(err)
		}
	}
	return host
}

// echo returns the definition of the echo function with a timeout that no test reaches by accident.
func echo(change ...func(*lambda.Function)) lambda.Function {
	fn := lambda.Function{Name: "echo", Path: echoBinary, Timeout: time.Minute}
	for _, c := range change {
		c(&fn)
	}
	return fn
}

func invoke(t testing.TB, host *lambda.Host, payload string) lambda.Result {
	t.Helper()
	result, err := host.Invoke(context.Background(), "echo", []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func invokeReport(t testing.TB, host *lambda.Host, payload string) report {
	t.Helper()
	return parseReport(t, invoke(t, host, payload))
}

func parseReport(t testing.TB, result lambda.Result) report {
	t.Helper()
	if result.FunctionError != "" {
		t.Fatalf("the function failed: %s", result.Payload)
	}
	var r report
	if err := json.Unmarshal(result.Payload, &r); err != nil {
		t.Fatalf("%v: %s", err, result.Payload)
	}
	return r
}

// errorDocument is the payload of a function error.
type errorDocument struct{ ErrorType, ErrorMessage string }

func parseError(t testing.TB, result lambda.Result) errorDocument {
	t.Helper()
	if result.FunctionError != lambda.Unhandled {
		t.Fatalf("FunctionError is %q, want %q: %s", result.FunctionError, lambda.Unhandled, result.Payload)
	}
	var document errorDocument
	if err := json.Unmarshal(result.Payload, &document); err != nil {
		t.Fatalf("%v: %s", err, result.Payload)
	}
	if document.ErrorType != result.ErrorType {
		t.Errorf("Result.ErrorType is %q, the document says %q", result.ErrorType, document.ErrorType)
	}
	return document
}

// eventually fails the test unless the condition comes true in time.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting until %s", what)
		}
	}
}

// hold returns the path of a file that the function waits on, and how to let it go.
func hold(t testing.TB) (path string, release func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "hold")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, sync.OnceFunc(func() { os.Remove(path) })
}

// logs collects log events.
type logs struct {
	mu     sync.Mutex
	events []lambda.LogEvent
}

func (l *logs) add(e lambda.LogEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

func (l *logs) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = nil
}

// of returns the events of one type.
func (l *logs) of(kind lambda.LogEventType) []lambda.LogEvent {
	l.mu.Lock()
	defer l.mu.Unlock()
	var matching []lambda.LogEvent
	for _, e := range l.events {
		if e.Type == kind {
			matching = append(matching, e)
		}
	}
	return matching
}

// types returns the types of all events in their order.
func (l *logs) types() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var types []string
	for _, e := range l.events {
		types = append(types, strings.TrimPrefix(string(e.Type), "platform."))
	}
	return types
}

func reserve(n int) *int { return &n }
