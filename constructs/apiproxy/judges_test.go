//go:build !race

package apiproxy_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// write puts texts into files of a new directory and gives their paths.
func write(t *testing.T, texts map[string]string) []string {
	t.Helper()
	directory := t.TempDir()
	var files []string
	for name, text := range texts {
		file := filepath.Join(directory, name+".json")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

func TestAslValidatorFindsNothingWrongWithAnyDefinition(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short; asl-validator takes seconds")
	}
	validator, err := filepath.Abs(filepath.Join("..", "..", "node_modules", ".bin", "asl-validator"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(validator); err != nil {
		t.Skip("asl-validator is not installed; npm ci installs it")
	}
	judge := func(definitions map[string]string) (output string, valid bool) {
		var arguments []string
		for _, file := range write(t, definitions) {
			arguments = append(arguments, "--json-path", file)
		}
		text, err := exec.Command(validator, arguments...).CombinedOutput()
		return string(text), err == nil
	}

	definitions := map[string]string{}
	for name, template := range variants() {
		// The judge wants whole ARNs.
		definitions[name] = strings.ReplaceAll(template.definition().text, "${AWS::Partition}", "aws")
	}
	t.Parallel() // no more is asked of the kernel
	if output, valid := judge(definitions); !valid {
		t.Errorf("asl-validator:\n%s", output)
	}

	// A judge that finds nothing in anything would be none.
	broken := strings.ReplaceAll(definitions["Minimal"], `"Next":"Check-1"`, `"Next":"Nowhere"`)
	if output, valid := judge(map[string]string{"Broken": broken}); valid {
		t.Errorf("asl-validator takes a definition that leads nowhere:\n%s", output)
	}
	t.Logf("asl-validator judged %d definitions", len(definitions))
}

func TestCfnLintFindsNothingWrongWithTheTemplates(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short; cfn-lint takes seconds")
	}
	lint, err := exec.LookPath("cfn-lint")
	if err != nil {
		t.Skip("cfn-lint is not installed; pip install cfn-lint installs it")
	}
	judge := func(templates map[string]string) (output string, valid bool) {
		// W3005: the CDK writes DependsOn beside references.
		arguments := append([]string{"--ignore-checks", "W3005", "--format", "parseable", "--template"}, write(t, templates)...)
		text, err := exec.Command(lint, arguments...).CombinedOutput()
		return string(text), err == nil
	}

	templates := map[string]string{}
	for _, name := range []string{"Minimal", "NoFlags", "Everything", "Granted", "EncryptedTable", "Monitored", "InVpc", "StaticAddressesInVpc", "IPv6Callback"} { // the others are more of the same
		templates[name] = string(variants()[name].text)
	}
	t.Parallel() // no more is asked of the kernel
	if output, valid := judge(templates); !valid {
		t.Errorf("cfn-lint:\n%s", output)
	}

	broken := strings.ReplaceAll(templates["Minimal"], `"provided.al2023"`, `"provided.al1066"`)
	if output, valid := judge(map[string]string{"Broken": broken}); valid {
		t.Errorf("cfn-lint takes a runtime that does not exist:\n%s", output)
	}
	t.Logf("cfn-lint judged %d templates", len(templates))
}

func TestThePinnedCLIReadsTheCloudAssembly(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short; the CLI takes seconds")
	}
	cli, err := filepath.Abs(filepath.Join("..", "..", "node_modules", ".bin", "cdk"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(cli); err != nil {
		t.Skip("the CDK CLI is not installed; npm ci installs it")
	}
	app, stack := newStack()
	apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), minimal())
	synthesise(app)
	t.Parallel() // no more is asked of the kernel
	command := exec.Command(cli, "--app", *app.Outdir(), "--no-notices", "--no-version-reporting", "list")
	command.Env = append(os.Environ(), "CDK_DISABLE_CLI_TELEMETRY=true")
	command.Dir = t.TempDir() // away from cdk.json
	output, err := command.Output()
	if err != nil || strings.TrimSpace(string(output)) != "Shop" {
		t.Errorf("cdk list says %q, %v; want Shop", output, err)
		if failed := new(exec.ExitError); errors.As(err, &failed) {
			t.Errorf("%s", failed.Stderr)
		}
	}
}
