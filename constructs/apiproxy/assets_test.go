//go:build !race

package apiproxy_test

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/gofunction"
)

// gatewayPath is the import path of a handler.
const gatewayPath = "github.com/retrying-api-proxy/retrying-api-proxy/functions/gateway"

func TestTheProxiesShareOneAssetAndEachAssetIsABinaryForLambda(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short; it compiles the handlers, which takes seconds")
	}
	for _, architecture := range []struct {
		of      awslambda.Architecture
		machine elf.Machine
	}{
		{awslambda.Architecture_ARM_64(), elf.EM_AARCH64},
		{awslambda.Architecture_X86_64(), elf.EM_X86_64},
	} {
		app := newApp()
		props := minimal()
		props.Architecture = architecture.of
		apiproxy.NewRetryingApiProxy(awscdk.NewStack(app, jsii.String("Shop"), nil), jsii.String("Orders"), props)
		template := synthesise(app)["Shop"]

		assets := map[string]bool{}
		for _, function := range template.functions() {
			if got := flat(function.at("Handler")) + " " + flat(function.at("Runtime")); got != "bootstrap provided.al2023" {
				t.Errorf("%s runs as %s", function.name(), got)
			}
			key, _ := strings.CutSuffix(flat(function.at("Code", "S3Key")), ".zip")
			assets[key] = true
			directory := filepath.Join(*app.Outdir(), "asset."+key)
			entries, err := os.ReadDir(directory)
			if err != nil {
				t.Fatal(err)
			}
			if len(entries) != 1 || entries[0].Name() != "bootstrap" {
				t.Errorf("the asset of %s holds %v; want bootstrap and nothing else", function.name(), entries)
			}
			checkBinary(t, filepath.Join(directory, "bootstrap"), architecture.machine)
		}
		if len(assets) != 2 {
			t.Errorf("%d assets; want one for the gateway and one for all proxies", len(assets))
		}
	}
}

func checkBinary(t *testing.T, file string, machine elf.Machine) {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode()&0o555 != 0o555 {
		t.Errorf("%s has the mode %v; Lambda could not run it", file, info.Mode())
	}
	binary, err := elf.Open(file)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	defer binary.Close()
	if binary.Machine != machine {
		t.Errorf("%s is for %v; want %v", file, binary.Machine, machine)
	}
	if libraries, err := binary.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("%s needs the libraries %v (%v); the runtime promises none", file, libraries, err)
	}
}

func TestNothingIsCompiledForAStackThatIsNotBundled(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // without a go command
	app, stack := newStack()
	apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), minimal())
	gofunction.NewFunction(stack, jsii.String("Handler"), "example.com/there/is/no/such/handler", nil)
	synthesise(app)
}

func TestOnlyTheStacksThatAreAskedForAreCompiled(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	app := newApp(map[string]any{"aws:cdk:bundling-stacks": []string{"Wanted"}})
	missing := "example.com/handler/for/no/go/command"
	gofunction.NewFunction(awscdk.NewStack(app, jsii.String("Other"), nil), jsii.String("Handler"), missing, nil)
	message := panicOf(t, func() {
		gofunction.NewFunction(awscdk.NewStack(app, jsii.String("Wanted"), nil), jsii.String("Handler"), missing, nil)
	})
	if !strings.Contains(message, "go command") {
		t.Errorf("the message is:\n%s", message)
	}
}

func TestCodeThatWasNotCompiledIsNotTakenForAnotherHandlers(t *testing.T) {
	template := variants()["Minimal"]
	gateway, proxy := template.gateway().at("Code", "S3Key"), template.proxies()[0].at("Code", "S3Key")
	if gateway == proxy {
		t.Errorf("the gateway and the proxies have the same asset: %v", gateway)
	}
}

func TestAFunctionSaysWhatItWasCompiledFrom(t *testing.T) {
	if got := variants()["Minimal"].gateway().Metadata[gofunction.ImportPathMetadata]; got != gatewayPath {
		t.Errorf("the gateway says %v", got)
	}
}

func TestAFunctionCannotBeGivenWhatItsHandlerDecides(t *testing.T) {
	_, stack := newStack()
	for name, props := range map[string]*awslambda.FunctionProps{
		"Code":    {Code: awslambda.Code_FromInline(jsii.String("x"))},
		"Runtime": {Runtime: awslambda.Runtime_NODEJS_LATEST()},
		"Handler": {Handler: jsii.String("main")},
	} {
		message := panicOf(t, func() { gofunction.NewFunction(stack, jsii.String("Handler"), gatewayPath, props) })
		for _, want := range []string{`"Handler"`, "Code, Runtime and Handler", "leave them out"} {
			if !strings.Contains(message, want) {
				t.Errorf("%s: the message does not say %q:\n%s", name, want, message)
			}
		}
	}
}

func TestTheFunctionPropsAreNotChanged(t *testing.T) {
	_, stack := newStack()
	props := &awslambda.FunctionProps{MemorySize: jsii.Number(512)}
	gofunction.NewFunction(stack, jsii.String("Handler"), gatewayPath, props)
	if props.Code != nil || props.Runtime != nil || props.Handler != nil || props.Architecture != nil {
		t.Errorf("they are %+v", props)
	}
}

func TestAHandlerThatDoesNotCompilePanicsWithWhatTheCompilerSaid(t *testing.T) {
	app := newApp()
	stack := awscdk.NewStack(app, jsii.String("Shop"), nil)
	broken := "github.com/retrying-api-proxy/retrying-api-proxy/constructs/gofunction/gobuild/testdata/broken"
	message := panicOf(t, func() { gofunction.NewFunction(stack, jsii.String("Handler"), broken, nil) })
	if !strings.Contains(message, "undefined: absent") || !strings.Contains(message, broken) {
		t.Errorf("the message is:\n%s", message)
	}
}

func TestNoTemplateNamesAPathOfThisMachine(t *testing.T) {
	repository, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	forEachVariant(t, func(t *testing.T, template template) {
		for _, path := range []string{repository, cache, os.TempDir() + "/"} {
			if bytes.Contains(template.text, []byte(path)) {
				t.Errorf("it names %s, so it differs from machine to machine", path)
			}
		}
	})
}
