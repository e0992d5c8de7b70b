//go:build !race

// All tests of what a RetryingApiProxy synthesises are in this package, so that one kernel serves them, and under this
// build tag: the kernel is not for goroutines, and the race detector finds races within it.

package apiproxy_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

// assemblies is the directory that the cloud assemblies of this run are written to.
var assemblies string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "apiproxy-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	defer jsii.Close()
	assemblies = dir
	return m.Run()
}

// nothingBundled is the context of an app whose assets nobody needs, so that no handler is compiled.
var nothingBundled = map[string]any{"aws:cdk:bundling-stacks": []string{}}

// newApp creates an app with the given contexts; the later ones win. A new app does not read cdk.json.
func newApp(contexts ...map[string]any) awscdk.App {
	context := map[string]any{}
	for _, c := range contexts {
		for key, value := range c {
			context[key] = value
		}
	}
	dir, err := os.MkdirTemp(assemblies, "")
	if err != nil {
		panic(err)
	}
	return awscdk.NewApp(&awscdk.AppProps{
		Context:      &context,
		Outdir:       &dir,
		TreeMetadata: jsii.Bool(false),
	})
}

// deployed is the context of cdk.json: the feature flags that deployments of this repository have.
func deployed() map[string]any {
	text, err := os.ReadFile(filepath.Join("..", "..", "cdk.json"))
	if err != nil {
		panic(err)
	}
	var document struct{ Context map[string]any }
	if err := json.Unmarshal(text, &document); err != nil {
		panic(fmt.Sprintf("cdk.json: %v", err))
	}
	if len(document.Context) == 0 {
		panic("cdk.json has no context, so the tests would see other feature flags than deployments")
	}
	return document.Context
}

// synthesise writes the app's cloud assembly and reads its templates, by the names of the stacks.
func synthesise(app awscdk.App) map[string]template {
	assembly := app.Synth(nil)
	templates := map[string]template{}
	for _, stack := range *assembly.StacksRecursively() {
		text, err := os.ReadFile(*stack.TemplateFullPath())
		if err != nil {
			panic(err)
		}
		template := readTemplate(text)
		told, err := os.ReadFile(strings.TrimSuffix(*stack.TemplateFullPath(), ".template.json") + ".metadata.json")
		if err != nil {
			panic(err)
		}
		must(json.Unmarshal(told, &template.told))
		templates[*stack.StackName()] = template
	}
	return templates
}

// panicOf is what f panics with, as text.
func panicOf(t *testing.T, f func()) (message string) {
	t.Helper()
	defer func() {
		problem := recover()
		if problem == nil {
			t.Fatal("there was no panic")
		}
		message = fmt.Sprint(problem)
	}()
	f()
	return ""
}
