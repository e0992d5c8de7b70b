//go:build !race

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// runProgram runs the program in a process of its own, with a context and arguments.
func runProgram(t *testing.T, context map[string]any, arguments ...string) (directory, stdout, stderr string, exit int) {
	t.Helper()
	text, err := json.Marshal(context)
	if err != nil {
		t.Fatal(err)
	}
	directory = t.TempDir()
	command := exec.Command(os.Args[0], arguments...)
	command.Env = append(os.Environ(), runMain+"=1", "CDK_VALIDATION=false", "CDK_OUTDIR="+directory, "CDK_CONTEXT_JSON="+string(text))
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	err = command.Run()
	if command.ProcessState == nil {
		t.Fatal(err)
	}
	return directory, out.String(), errs.String(), command.ProcessState.ExitCode()
}

func TestTheProgramWritesTheCloudAssemblyWhereTheCLIWantsIt(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short; the program starts a kernel of its own, which takes seconds")
	}
	t.Parallel()
	directory, _, stderr, exit := runProgram(t, map[string]any{"aws:cdk:bundling-stacks": []string{}, "proxies": "2"})
	if exit != 0 {
		t.Fatalf("it ended with %d:\n%s", exit, stderr)
	}
	text, err := os.ReadFile(filepath.Join(directory, "RetryingApiProxy.template.json"))
	if err != nil {
		t.Fatal(err)
	}
	if got := len(readTemplate(text).proxies()); got != 2 {
		t.Errorf("%d proxies; the context says 2", got)
	}
}

func TestABadContextEndsTheProgramWithAMessageAndNoStackTrace(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short; the program starts a kernel of its own, twice, which takes seconds")
	}
	t.Parallel()
	for _, arguments := range [][]string{nil, {"explain"}} {
		directory, _, stderr, exit := runProgram(t, map[string]any{"proxies": "99", "auth": "BASIC"}, arguments...)
		if exit != 1 {
			t.Errorf("%v: it ended with %d; want 1", arguments, exit)
		}
		for _, want := range []string{`proxies is "99"`, `auth is "BASIC"`} {
			if !strings.Contains(stderr, want) {
				t.Errorf("%v: the message does not say %s:\n%s", arguments, want, stderr)
			}
		}
		if strings.Contains(stderr, "goroutine ") || strings.Contains(stderr, ".go:") {
			t.Errorf("%v: it shows a stack trace:\n%s", arguments, stderr)
		}
		if templates, _ := filepath.Glob(filepath.Join(directory, "*.template.json")); len(templates) > 0 {
			t.Errorf("%v: it wrote %v all the same", arguments, templates)
		}
	}
}

func TestExplainPrintsThePolicyOfTheStackAndSynthesisesNothing(t *testing.T) {
	t.Parallel()
	directory, stdout, stderr, exit := runProgram(t, map[string]any{"proxies": "2"}, "explain")
	if exit != 0 {
		t.Fatalf("it ended with %d:\n%s", exit, stderr)
	}
	for _, want := range []string{"proxy-1", "proxy-2", "Worst case", "Express"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("it does not say %q:\n%s", want, stdout)
		}
	}
	if strings.Contains(stdout, "proxy-3") {
		t.Errorf("it explains a third proxy, and the context says 2:\n%s", stdout)
	}
	if templates, _ := filepath.Glob(filepath.Join(directory, "*.template.json")); len(templates) > 0 {
		t.Errorf("it wrote %v", templates)
	}
}

func TestAnUnknownArgumentIsRefused(t *testing.T) {
	t.Parallel()
	_, _, stderr, exit := runProgram(t, nil, "deploy")
	if exit != 2 || !strings.Contains(stderr, `"deploy"`) || !strings.Contains(stderr, "explain") {
		t.Errorf("it ended with %d and said %q", exit, stderr)
	}
}
