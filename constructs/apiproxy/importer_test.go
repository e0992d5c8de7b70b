//go:build !race

package apiproxy_test

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// importersProgram is the CDK app of somebody who imports the construct.
const importersProgram = `package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Shop"), nil)
	apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), &apiproxy.RetryingApiProxyProps{
		Upstream: apiproxy.Upstream{BaseURL: "https://api.example.com"},
	})
	app.Synth(nil)
}
`

// An importer's module has what go mod tidy writes into it, and no more. The handlers are not imported by anything that
// is compiled there; that they can be compiled all the same is due to the file in package apiproxy that only
// go mod tidy reads.
func TestAnImporterWhoRunsGoModTidyGetsTheHandlersCompiled(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short; it links a CDK app, which takes seconds")
	}
	t.Parallel() // the kernel is that of the importer's program
	repository, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	module := importersModule(t, repository)
	goCache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"go.mod": module, "main.go": importersProgram} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	inModule := func(name string, arguments ...string) *exec.Cmd {
		command := exec.Command(name, arguments...)
		command.Dir = directory
		// What the repository needs is in the module cache; nothing else is looked for, so no network is needed.
		command.Env = append(os.Environ(), "PWD="+directory, "GOWORK=off", "GOFLAGS=-buildvcs=false", "GOPROXY=off", "GOSUMDB=off",
			// The handlers of an app that lasts for one test are not for the user's cache.
			"XDG_CACHE_HOME="+filepath.Join(directory, "cache"), "GOCACHE="+strings.TrimSpace(string(goCache)))
		return command
	}

	// With -e, because the tests of dependencies import modules that nobody needs here.
	if output, err := inModule("go", "mod", "tidy", "-e").CombinedOutput(); err != nil {
		t.Fatalf("go mod tidy: %v\n%s", err, output)
	}
	sums, err := os.ReadFile(filepath.Join(directory, "go.sum"))
	if err != nil {
		t.Fatalf("go mod tidy wrote no go.sum: %v", err)
	}
	if handlersNeed := "github.com/aws/aws-sdk-go-v2/service/sfn "; !strings.Contains(string(sums), handlersNeed) {
		t.Fatalf("go.sum lacks %s, which only a handler imports", handlersNeed)
	}

	assembly := t.TempDir()
	program := filepath.Join(t.TempDir(), "app")
	if output, err := inModule("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	synth := inModule(program)
	synth.Env = append(synth.Env, "CDK_OUTDIR="+assembly, "CDK_VALIDATION=false")
	if output, err := synth.CombinedOutput(); err != nil {
		t.Fatalf("synthesis: %v\n%s", err, output)
	}

	text, err := os.ReadFile(filepath.Join(assembly, "Shop.template.json"))
	if err != nil {
		t.Fatal(err)
	}
	template := readTemplate(text)
	keys := map[string]bool{}
	for _, function := range template.functions() {
		key, _ := strings.CutSuffix(flat(function.at("Code", "S3Key")), ".zip")
		keys[key] = true
		checkBinary(t, filepath.Join(assembly, "asset."+key, "bootstrap"), elf.EM_AARCH64)
	}
	if len(keys) != 2 {
		t.Errorf("%d assets; want the gateway's and the proxies'", len(keys))
	}
}

// importersModule is a go.mod as a person would begin it, with the versions that this repository has.
func importersModule(t *testing.T, repository string) string {
	t.Helper()
	version := func(module string) string {
		command := exec.Command("go", "list", "-m", "-f", "{{.Version}}", module)
		command.Dir = repository
		output, err := command.Output()
		if err != nil {
			t.Fatalf("go list -m %s: %v", module, err)
		}
		return strings.TrimSpace(string(output))
	}
	const cdk, jsii, own = "github.com/aws/aws-cdk-go/awscdk/v2", "github.com/aws/jsii-runtime-go", "github.com/retrying-api-proxy/retrying-api-proxy"
	return fmt.Sprintf("module example.com/shop\n\ngo 1.26.0\n\nrequire (\n\t%s %s\n\t%s %s\n\t%s v0.0.0\n)\n\nreplace %s => %s\n",
		cdk, version(cdk), jsii, version(jsii), own, own, repository)
}
