package assembly_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/assembly"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
)

// native is the architecture of this machine, as the context has it.
func native() string {
	if runtime.GOARCH == "arm64" {
		return "arm64"
	}
	return "x86_64"
}

// withCDK skips a test that runs the CDK app where there is no time for it.
func withCDK(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: the CDK app is not run")
	}
}

func TestWhatIsSynthesisedIsTheVariantThatTheContextAsksFor(t *testing.T) {
	t.Parallel()
	withCDK(t)
	dir := t.TempDir()
	err := assembly.Synthesise(context.Background(), dir, map[string]any{"architecture": native(), "auth": "NONE", "proxies": 2})
	if err != nil {
		t.Fatal(err)
	}
	stack, err := cloudformation.Load(dir, cloudformation.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(stack.Functions) != 3 || stack.URLs[0].AuthType != "NONE" {
		t.Errorf("there are %d functions and a URL of auth type %s, want 3 and NONE", len(stack.Functions), stack.URLs[0].AuthType)
	}
	for _, f := range stack.Functions {
		if f.Architecture != native() {
			t.Errorf("%s is for %s, want %s", f.Name, f.Architecture, native())
		}
		if info, err := os.Stat(filepath.Join(f.Code, "bootstrap")); err != nil || info.Mode()&0o100 == 0 {
			t.Errorf("the code of %s cannot be run: %v", f.Name, err)
		}
		if path, _ := f.Metadata["gofunction:importPath"].(string); !strings.Contains(path, "/functions/") {
			t.Errorf("%s says that it was compiled from %q", f.Name, path)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, stack.Name+".template.json"))
	if err != nil {
		t.Fatal(err)
	}
	// The flag @aws-cdk/aws-iam:minimizePolicies is in cdk.json. It sorts the actions of a statement.
	telemetry, segments := strings.Index(string(text), "xray:PutTelemetryRecords"), strings.Index(string(text), "xray:PutTraceSegments")
	if telemetry < 0 || segments < telemetry {
		t.Errorf("the actions for X-Ray are at %d and %d, want them sorted, as the feature flags of cdk.json have it", telemetry, segments)
	}

	binaries, err := assembly.NativeBinaries(context.Background(), stack)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" {
		if len(binaries) != 0 {
			t.Errorf("the binaries are %v, want none on Linux, which runs those of the assembly", binaries)
		}
		return
	}
	for _, f := range stack.Functions {
		if _, err := os.Stat(binaries[f.Name]); err != nil {
			t.Errorf("there is no binary of %s for this machine: %v", f.Name, err)
		}
	}
}

func TestAFunctionForAnotherMachineIsCompiledForThisOne(t *testing.T) {
	t.Parallel()
	foreign := map[string]string{"arm64": "x86_64", "x86_64": "arm64"}[native()]
	stack := &cloudformation.Stack{Functions: []cloudformation.Function{{Name: "hello", Architecture: foreign, Metadata: map[string]any{
		"gofunction:importPath": "github.com/retrying-api-proxy/retrying-api-proxy/constructs/gofunction/gobuild/testdata/hello",
	}}}}
	binaries, err := assembly.NativeBinaries(context.Background(), stack)
	if err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command(binaries["hello"]).CombinedOutput(); err != nil {
		t.Errorf("the binary %s does not run: %v\n%s", binaries["hello"], err, output)
	}
}

func TestWhatTheCDKAppSaysIsHandedOn(t *testing.T) {
	t.Parallel()
	withCDK(t)
	err := assembly.Synthesise(context.Background(), t.TempDir(), map[string]any{"proxies": "many", "auth": "COOKIE"})
	if err == nil {
		t.Fatal("there is no error")
	}
	for _, word := range []string{"the CDK app failed", `"many"`, `"COOKIE"`} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error is %q, want %q in it", err, word)
		}
	}
}

func TestNodeThatIsMissingIsSaidBeforeAnythingIsCompiled(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := assembly.Synthesise(context.Background(), t.TempDir(), nil)
	if err == nil || !strings.Contains(err.Error(), "Node.js") || !strings.Contains(err.Error(), "https://nodejs.org") {
		t.Errorf("the error is %v, want it to say that Node.js is needed and where it is", err)
	}
}

func TestASynthesisThatIsNotWantedAnyMoreDoesNotBegin(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := assembly.Synthesise(ctx, t.TempDir(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v, want context.Canceled", err)
	}
}

// BenchmarkSynthesis measures what `make local` does first, when nothing has to be compiled any more.
func BenchmarkSynthesis(b *testing.B) {
	settings := map[string]any{"architecture": native(), "auth": "NONE"}
	for b.Loop() {
		if err := assembly.Synthesise(context.Background(), b.TempDir(), settings); err != nil {
			b.Fatal(err)
		}
	}
}
