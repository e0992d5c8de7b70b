package gobuild_test

import (
	"context"
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/gofunction/gobuild"
)

// The handlers in testdata.
const (
	handlers = "github.com/retrying-api-proxy/retrying-api-proxy/constructs/gofunction/gobuild/testdata/"
	hello    = handlers + "hello"
	broken   = handlers + "broken"
)

// buildAndExit makes the test binary a program that builds a handler and ends.
const buildAndExit = "GOBUILD_TEST_BUILD"

func TestMain(m *testing.M) {
	if importPath := os.Getenv(buildAndExit); importPath != "" {
		directory, err := gobuild.ForLambda(context.Background(), importPath, gobuild.ARM64)
		if err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Stdout.WriteString(directory)
		return
	}
	os.Exit(m.Run())
}

// ownCache gives the test a cache directory of its own, and the compiler the one it has.
func ownCache(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the cache directory is taken from XDG_CACHE_HOME on Linux only")
	}
	compilers, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOCACHE", strings.TrimSpace(string(compilers)))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
}

// inModule writes a module of files into a new directory and makes that the current one.
func inModule(t *testing.T, files map[string]string) (directory string) {
	t.Helper()
	directory = t.TempDir()
	for name, text := range files {
		file := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(directory)
	return directory
}

// greeter is a module with a handler in it, example.com/shop/greeter.
func greeter(greeting string) map[string]string {
	return map[string]string{
		"go.mod":          "module example.com/shop\n\ngo 1.26.0\n",
		"greeter/main.go": "package main\n\nfunc main() { println(\"" + greeting + "\") }\n",
	}
}

func build(t *testing.T, importPath, goarch string) (binary []byte) {
	t.Helper()
	directory, err := gobuild.ForLambda(context.Background(), importPath, goarch)
	if err != nil {
		t.Fatal(err)
	}
	binary, err = os.ReadFile(filepath.Join(directory, "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

func TestABinaryIsForTheArchitectureThatIsAskedForAndAloneInItsDirectory(t *testing.T) {
	ownCache(t)
	for goarch, machine := range map[string]elf.Machine{gobuild.ARM64: elf.EM_AARCH64, gobuild.X8664: elf.EM_X86_64} {
		directory, err := gobuild.ForLambda(context.Background(), hello, goarch)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(directory)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != 1 || entries[0].Name() != "bootstrap" {
			t.Errorf("%s: the directory holds %v", goarch, entries)
		}
		binary, err := elf.Open(filepath.Join(directory, "bootstrap"))
		if err != nil {
			t.Fatal(err)
		}
		defer binary.Close()
		if binary.Machine != machine {
			t.Errorf("%s: the binary is for %v", goarch, binary.Machine)
		}
		for _, name := range []string{".symtab", ".debug_info", ".zdebug_info"} {
			if binary.Section(name) != nil {
				t.Errorf("%s: the binary has a section %s, which nobody needs in Lambda", goarch, name)
			}
		}
	}
}

func TestTheSameSourcesGiveTheSameBytesInTwoDirectories(t *testing.T) {
	ownCache(t)
	inModule(t, greeter("hello"))
	first := build(t, "example.com/shop/greeter", gobuild.ARM64)
	inModule(t, greeter("hello"))
	second := build(t, "example.com/shop/greeter", gobuild.ARM64)
	if string(first) != string(second) {
		t.Errorf("%d and %d bytes that differ", len(first), len(second))
	}
}

// replacing is a module with a handler that needs another one, which lies beside it and is named by a path.
func replacing(t *testing.T, path func(library string) string) {
	t.Helper()
	directory := inModule(t, map[string]string{
		"library/go.mod": "module example.com/library\n\ngo 1.26.0\n", "library/library.go": "package library\n\nconst Greeting = \"hello\"\n",
		"shop/greeter/main.go": "package main\n\nimport \"example.com/library\"\n\nfunc main() { println(library.Greeting) }\n",
	})
	goMod := "module example.com/shop\n\ngo 1.26.0\n\nrequire example.com/library v0.0.0\n\nreplace example.com/library => " +
		path(filepath.Join(directory, "library")) + "\n"
	if err := os.WriteFile(filepath.Join(directory, "shop", "go.mod"), []byte(goMod), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(directory, "shop"))
}

func TestAnAbsolutePathInGoModDoesNotChangeTheBytes(t *testing.T) {
	ownCache(t)
	t.Setenv("GOWORK", "")
	absolute := func(library string) string { return library }
	replacing(t, absolute)
	before, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	first := build(t, "example.com/shop/greeter", gobuild.ARM64)
	if after, err := os.ReadFile("go.mod"); err != nil || string(after) != string(before) {
		t.Errorf("go.mod was changed (%v):\n%s", err, after)
	}
	replacing(t, absolute)
	second := build(t, "example.com/shop/greeter", gobuild.ARM64)
	replacing(t, func(string) string { return "../library" })
	relative := build(t, "example.com/shop/greeter", gobuild.ARM64)
	if string(first) != string(second) || string(first) != string(relative) {
		t.Errorf("in one directory there are %d bytes, in another one %d, and with a relative path %d, and they differ", len(first), len(second), len(relative))
	}
}

func TestAnImportPathIsResolvedFromTheCurrentDirectory(t *testing.T) {
	ownCache(t)
	inModule(t, greeter("hello"))
	first := build(t, "example.com/shop/greeter", gobuild.ARM64)
	inModule(t, greeter("good evening to all of you"))
	second := build(t, "example.com/shop/greeter", gobuild.ARM64)
	if string(first) == string(second) {
		t.Error("the second directory's handler is the first one's")
	}
}

func TestTheEnvironmentOfTheUserHasNoSayInTheBytes(t *testing.T) {
	ownCache(t)
	inModule(t, greeter("hello"))
	want := map[string]string{}
	for _, goarch := range []string{gobuild.ARM64, gobuild.X8664} {
		want[goarch] = string(build(t, "example.com/shop/greeter", goarch))
	}

	// A directory of its own, since the results of one directory are remembered.
	directory := inModule(t, greeter("hello"))
	for name, value := range map[string]string{
		"GOFLAGS":      "-race -tags=hostile -ldflags=-X=main.hostile=1",
		"GOOS":         "windows",
		"GOARCH":       "386",
		"GOAMD64":      "v3",
		"GOARM64":      "v9.0",
		"GO386":        "softfloat",
		"GOEXPERIMENT": "synctest,nosuchthing",
		"GODEBUG":      "http2client=0",
		"GOFIPS140":    "latest",
		"CGO_ENABLED":  "1",
		"CC":           "/no/compiler",
	} {
		t.Setenv(name, value)
	}
	// What is stored with go env -w.
	stored := filepath.Join(directory, "go.env")
	if err := os.WriteFile(stored, []byte("GOFLAGS=-race\nGOAMD64=v4\nGOARM64=v8.9\nGOFIPS140=latest\nCGO_ENABLED=1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOENV", stored)
	for goarch, binary := range want {
		if string(build(t, "example.com/shop/greeter", goarch)) != binary {
			t.Errorf("%s: the bytes differ", goarch)
		}
	}
}

func TestABinaryDoesNotNameTheDirectoriesThatItWasBuiltIn(t *testing.T) {
	ownCache(t)
	directory := inModule(t, greeter("hello"))
	if strings.Contains(string(build(t, "example.com/shop/greeter", gobuild.ARM64)), directory) {
		t.Errorf("it names %s", directory)
	}
}

func TestAHandlerThatHasNotChangedKeepsItsFile(t *testing.T) {
	ownCache(t)
	directory := inModule(t, greeter("hello"))
	built, err := gobuild.ForLambda(context.Background(), "example.com/shop/greeter", gobuild.ARM64)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(filepath.Join(built, "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	if output, err := inOtherProcess(directory, "example.com/shop/greeter"); err != nil || output != built {
		t.Fatalf("another process built into %q (%v); want %s", output, err, built)
	}
	after, err := os.Stat(filepath.Join(built, "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) {
		t.Error("the file was replaced, so a tool that looks at times would see a change")
	}
}

func TestAHandlerThatHasChangedIsCompiledAgainByTheNextProcess(t *testing.T) {
	ownCache(t)
	directory := inModule(t, greeter("hello"))
	first := build(t, "example.com/shop/greeter", gobuild.ARM64)
	source := filepath.Join(directory, "greeter", "main.go")
	if err := os.WriteFile(source, []byte(greeter("good evening to all of you")["greeter/main.go"]), 0o644); err != nil {
		t.Fatal(err)
	}
	built, err := inOtherProcess(directory, "example.com/shop/greeter")
	if err != nil {
		t.Fatalf("%v: %s", err, built)
	}
	second, err := os.ReadFile(filepath.Join(built, "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	if string(first) == string(second) {
		t.Error("the binary is the old one")
	}
}

// inOtherProcess builds a handler in a process of its own and gives the directory that it says.
func inOtherProcess(directory, importPath string) (output string, err error) {
	command := exec.Command(os.Args[0])
	command.Dir = directory
	command.Env = append(os.Environ(), buildAndExit+"="+importPath, "PWD="+directory)
	text, err := command.CombinedOutput()
	return string(text), err
}

func TestConcurrentBuildsOfOneHandlerShareOneCompilation(t *testing.T) {
	ownCache(t)
	inModule(t, greeter("hello"))
	const callers = 16
	directories := make([]string, callers)
	errs := make([]error, callers)
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() {
			directories[i], errs[i] = gobuild.ForLambda(context.Background(), "example.com/shop/greeter", gobuild.ARM64)
		})
	}
	group.Wait()
	for i := range callers {
		if errs[i] != nil || directories[i] != directories[0] {
			t.Errorf("caller %d got %q, %v; the first one %q", i, directories[i], errs[i], directories[0])
		}
	}
}

func TestConcurrentProcessesLeaveOneWholeBinary(t *testing.T) {
	ownCache(t)
	directory := inModule(t, greeter("hello"))
	want := string(build(t, "example.com/shop/greeter", gobuild.ARM64))
	const processes = 4
	built := make([]string, processes)
	var group sync.WaitGroup
	for i := range processes {
		group.Go(func() {
			output, err := inOtherProcess(directory, "example.com/shop/greeter")
			if err != nil {
				t.Errorf("%v: %s", err, output)
				return
			}
			built[i] = output
			// At once, while the others are still at it.
			if binary, err := os.ReadFile(filepath.Join(output, "bootstrap")); err != nil || string(binary) != want {
				t.Errorf("process %d found %d bytes (%v); want %d", i, len(binary), err, len(want))
			}
		})
	}
	group.Wait()
	// What they built into before they put it in its place is gone.
	leftovers, err := filepath.Glob(filepath.Join(filepath.Dir(built[0]), "bootstrap-*"))
	if err != nil || len(leftovers) > 0 {
		t.Errorf("they left %v (%v)", leftovers, err)
	}
}

func TestACompilerErrorIsShownWhole(t *testing.T) {
	ownCache(t)
	_, err := gobuild.ForLambda(context.Background(), broken, gobuild.ARM64)
	var failed *gobuild.BuildError
	if !errors.As(err, &failed) {
		t.Fatalf("the error is %v; want a BuildError", err)
	}
	for _, want := range []string{
		"cannot compile " + broken,
		"main.go:5:", "cannot use \"text\"",
		"main.go:6:", "undefined: absent",
		"second.go:3:", "undefined: nowhere",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message does not say %q:\n%v", want, err)
		}
	}
	if failed.ImportPath != broken || !strings.Contains(failed.Output, "undefined: absent") {
		t.Errorf("the error is of %q with %q", failed.ImportPath, failed.Output)
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Errorf("the command's own error is not to be had from %v", err)
	}
	if strings.Contains(err.Error(), "go mod tidy") {
		t.Errorf("the message names a cure that does not help:\n%v", err)
	}
}

func TestAHandlerThatNoRequiredModuleHasIsAnErrorThatNamesTheCure(t *testing.T) {
	ownCache(t)
	t.Setenv("GOPROXY", "off")
	inModule(t, greeter("hello"))
	_, err := gobuild.ForLambda(context.Background(), "example.com/absent/handler", gobuild.ARM64)
	var failed *gobuild.BuildError
	if !errors.As(err, &failed) {
		t.Fatalf("the error is %v; want a BuildError", err)
	}
	for _, want := range []string{"example.com/absent/handler", "no required module provides package", "go mod tidy"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message does not say %q:\n%v", want, err)
		}
	}
}

func TestADependencyThatIsNotInGoSumIsAnErrorThatNamesTheCure(t *testing.T) {
	ownCache(t)
	t.Setenv("GOPROXY", "off")
	files := greeter("hello")
	files["go.mod"] += "\nrequire github.com/aws/aws-lambda-go v1.54.0\n"
	files["greeter/main.go"] = "package main\n\nimport _ \"github.com/aws/aws-lambda-go/lambda\"\n\nfunc main() {}\n"
	inModule(t, files)
	_, err := gobuild.ForLambda(context.Background(), "example.com/shop/greeter", gobuild.ARM64)
	if err == nil {
		t.Fatal("there was no error")
	}
	for _, want := range []string{"missing go.sum entry", "go mod tidy"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message does not say %q:\n%v", want, err)
		}
	}
}

func TestAPackageThatIsNotAProgramIsAnError(t *testing.T) {
	ownCache(t)
	files := greeter("hello")
	files["library/library.go"] = "package library\n"
	inModule(t, files)
	directory, err := gobuild.ForLambda(context.Background(), "example.com/shop/library", gobuild.ARM64)
	if err == nil {
		t.Fatalf("it was built into %s", directory)
	}
	for _, want := range []string{"example.com/shop/library", "main package"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message does not say %q: %v", want, err)
		}
	}
}

func TestAnArchitectureThatLambdaDoesNotHaveIsRefused(t *testing.T) {
	for _, goarch := range []string{"", "386", "x86_64", "ARM64", "riscv64"} {
		_, err := gobuild.ForLambda(context.Background(), hello, goarch)
		if err == nil {
			t.Errorf("%q was built", goarch)
			continue
		}
		for _, want := range []string{`"` + goarch + `"`, "arm64", "amd64"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: the message does not say %s: %v", goarch, want, err)
			}
		}
	}
}

func TestWithoutAGoCommandTheMessageSaysWhereToGetOne(t *testing.T) {
	ownCache(t)
	inModule(t, greeter("hello"))
	t.Setenv("PATH", t.TempDir())
	_, err := gobuild.ForLambda(context.Background(), "example.com/shop/greeter", gobuild.ARM64)
	if !errors.Is(err, exec.ErrNotFound) {
		t.Fatalf("the error is %v; want one that is exec.ErrNotFound", err)
	}
	for _, want := range []string{"example.com/shop/greeter", "https://go.dev/dl"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message does not say %q: %v", want, err)
		}
	}
}

func TestWithoutACacheDirectoryTheMessageSaysWhatItIsFor(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the cache directory is taken from XDG_CACHE_HOME on Linux only")
	}
	inModule(t, greeter("hello"))
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	_, err := gobuild.ForLambda(context.Background(), "example.com/shop/greeter", gobuild.ARM64)
	if err == nil || !strings.Contains(err.Error(), "no cache directory to build example.com/shop/greeter in") {
		t.Errorf("the error is %v", err)
	}
}

func TestABinaryForThisMachineRunsOnIt(t *testing.T) {
	ownCache(t)
	inModule(t, greeter("good morning"))
	directory, err := gobuild.ForHost(context.Background(), "example.com/shop/greeter")
	if err != nil {
		t.Fatal(err)
	}
	output, err := exec.Command(filepath.Join(directory, "bootstrap")).CombinedOutput()
	if err != nil || string(output) != "good morning\n" {
		t.Errorf("it writes %q, %v", output, err)
	}
}

func TestACompilationThatIsInterruptedEndsTheGoCommandAndIsNotRemembered(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the go command of this test is a shell script")
	}
	ownCache(t)
	inModule(t, greeter("hello"))
	path := os.Getenv("PATH")
	slow := t.TempDir()
	script := "#!/bin/sh\n: >" + slow + "/started\nexec sleep 60\n"
	if err := os.WriteFile(filepath.Join(slow, "go"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", slow+string(os.PathListSeparator)+path)

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		_, err := gobuild.ForLambda(ctx, "example.com/shop/greeter", "arm64")
		ended <- err
	}()
	for started := false; !started; {
		_, err := os.Stat(filepath.Join(slow, "started"))
		started = err == nil
		time.Sleep(time.Millisecond)
	}
	// Whoever waits for the same handler need not wait for it longer than they want to.
	impatient, stop := context.WithCancel(context.Background())
	stop()
	if _, err := gobuild.ForLambda(impatient, "example.com/shop/greeter", "arm64"); !errors.Is(err, context.Canceled) {
		t.Errorf("the error of the second caller is %v, want context.Canceled", err)
	}
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v, want context.Canceled", err)
		}
	case <-time.After(4 * time.Second):
		t.Fatal("the go command was not interrupted")
	}

	t.Setenv("PATH", path)
	if _, err := gobuild.ForLambda(context.Background(), "example.com/shop/greeter", "arm64"); err != nil {
		t.Errorf("the next one fails: %v", err)
	}
}
