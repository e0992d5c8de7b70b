//go:build !race

// The tests are under this build tag because the kernel is not for goroutines, and the race detector finds races within
// it.

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

// assemblies is the directory that the cloud assemblies of this run are written to.
var assemblies string

// runMain makes the test binary the program itself, with its arguments and its environment.
const runMain = "INFRA_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "infra-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	defer jsii.Close()
	assemblies = dir
	return m.Run()
}

// newApp creates an app as cdk.json has it, with a context beside. No handler is compiled for it.
func newApp(context map[string]any) awscdk.App {
	whole := deployed()
	whole["aws:cdk:bundling-stacks"] = []string{}
	maps.Copy(whole, context)
	dir, err := os.MkdirTemp(assemblies, "")
	if err != nil {
		panic(err)
	}
	return awscdk.NewApp(&awscdk.AppProps{
		Context:      &whole,
		Outdir:       &dir,
		TreeMetadata: jsii.Bool(false),
	})
}

// deployed is the context of cdk.json: the feature flags that deployments of this repository have.
func deployed() map[string]any {
	text, err := os.ReadFile(filepath.Join("..", "cdk.json"))
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

// synthesise writes the app's cloud assembly and reads the template of its stack.
func synthesise(app awscdk.App) template {
	text, err := os.ReadFile(*app.Synth(nil).GetStackByName(jsii.String("RetryingApiProxy")).TemplateFullPath())
	if err != nil {
		panic(err)
	}
	return readTemplate(text)
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
