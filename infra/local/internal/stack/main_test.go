package stack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/assembly"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// directory holds what the tests share: the cloud assemblies and the crasher.
var directory string

func TestMain(m *testing.M) {
	if text := os.Getenv(runVariable); text != "" {
		runUntilKilled(text)
	}
	os.Exit(func() int {
		var err error
		if directory, err = os.MkdirTemp("", "stack-test-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(directory)
		return m.Run()
	}())
}

// An assembled stack is what the CDK app wrote, and the handlers that this machine can run where those in it are not.
type assembled struct {
	directory string
	binaries  map[string]string
}

// ring is the stack as it is in infra, and oneProxy the variant with a single proxy. Each is synthesised when the first
// test asks for it.
var (
	ring     = synthesised("ring", nil)
	oneProxy = synthesised("one-proxy", map[string]any{"proxies": 1})
)

// withCDK skips a test that needs the CDK app where there is no time for it.
func withCDK(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: the CDK app is not run")
	}
}

func synthesised(name string, extra map[string]any) func() (assembled, error) {
	return sync.OnceValues(func() (assembled, error) {
		context := map[string]any{"architecture": "x86_64", "auth": "NONE"}
		if runtime.GOARCH == "arm64" {
			context["architecture"] = "arm64"
		}
		maps.Copy(context, extra)
		return synthesise(filepath.Join(directory, name), context)
	})
}

func synthesise(dir string, settings map[string]any) (assembled, error) {
	if err := assembly.Synthesise(context.Background(), dir, settings); err != nil {
		return assembled{}, err
	}
	template, err := cloudformation.Load(dir, cloudformation.Options{})
	if err != nil {
		return assembled{}, err
	}
	binaries, err := assembly.NativeBinaries(context.Background(), template)
	return assembled{directory: dir, binaries: binaries}, err
}

// edited gives the stack with a change in its template.
func edited(t testing.TB, change func(template map[string]any)) func() (assembled, error) {
	t.Helper()
	withCDK(t)
	original, err := ring()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(original.directory)
	if err != nil {
		t.Fatal(err)
	}
	copied := assembled{directory: t.TempDir(), binaries: original.binaries}
	for _, entry := range entries {
		from, to := filepath.Join(original.directory, entry.Name()), filepath.Join(copied.directory, entry.Name())
		if !strings.HasSuffix(entry.Name(), ".template.json") {
			err = os.Symlink(from, to)
		} else {
			err = editJSON(from, to, change)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return func() (assembled, error) { return copied, nil }
}

func editJSON(from, to string, change func(map[string]any)) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var document map[string]any
	if err := json.Unmarshal(text, &document); err != nil {
		return err
	}
	change(document)
	if text, err = json.Marshal(document); err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}

// crasher is testdata/crasher, a handler that ends its process in every invocation.
var crasher = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(directory, "crasher")
	if output, err := exec.Command("go", "build", "-tags=lambda.norpc", "-o", binary, "./testdata/crasher").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./testdata/crasher: %w\n%s", err, output)
	}
	return binary, nil
})

// speed is how much faster than written the waits between attempts pass in the tests.
const speed = 50

// A config is how a test's stack is started, and the directory of its cloud assembly.
type config struct {
	stack.Config

	assembly string
}

// A setting changes how a test's stack is started.
type setting func(testing.TB, *config)

// start runs a stack in front of an upstream, until the test ends.
func start(t testing.TB, upstream string, settings ...setting) *stack.Stack {
	t.Helper()
	s, err := launch(t, config{Config: stack.Config{Upstream: upstream, Speed: speed}}, settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// launch starts a stack as it is in infra, but for the settings.
func launch(t testing.TB, c config, settings []setting) (*stack.Stack, error) {
	t.Helper()
	for _, set := range append([]setting{from(ring), environment("gateway", "RING_START", "1")}, settings...) {
		set(t, &c)
	}
	if c.Listener == nil {
		c.Listener = listen(t)
	}
	var err error
	if c.Template, err = stack.Load(c.assembly, c.Listener); err != nil {
		c.Listener.Close()
		return nil, err
	}
	return stack.Start(c.Config)
}

// listen listens on a free port.
func listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func from(source func() (assembled, error)) setting {
	return func(t testing.TB, c *config) {
		t.Helper()
		withCDK(t)
		a, err := source()
		if err != nil {
			t.Fatal(err)
		}
		c.assembly, c.Binaries = a.directory, maps.Clone(a.binaries)
	}
}

// crashing puts the crasher in the place of proxies.
func crashing(proxies ...string) setting {
	return func(t testing.TB, c *config) {
		t.Helper()
		binary, err := crasher()
		if err != nil {
			t.Fatal(err)
		}
		if c.Binaries == nil {
			c.Binaries = map[string]string{}
		}
		for _, proxy := range proxies {
			c.Binaries[proxy] = binary
		}
	}
}

// withoutBackoff is a policy whose backoff is no wait. The one after a loss is slept in real time.
var withoutBackoff = policy(`{"networkFailures":{"base":"1ms","max":"1ms"}}`)

// policy gives the functions another retry policy than the stack's.
func policy(json string) setting {
	return func(t testing.TB, c *config) {
		for _, function := range []string{"gateway", "proxy-1", "proxy-2", "proxy-3"} {
			environment(function, "RETRY_POLICY", json)(t, c)
		}
	}
}

// environment adds a variable to a function.
func environment(function, name, value string) setting {
	return func(_ testing.TB, c *config) {
		if c.Environment == nil {
			c.Environment = map[string]map[string]string{}
		}
		if c.Environment[function] == nil {
			c.Environment[function] = map[string]string{}
		}
		c.Environment[function][name] = value
	}
}

// logged hands what the functions log to f.
func logged(f func(lambda.LogEvent)) setting {
	return func(_ testing.TB, c *config) { c.Log = f }
}
