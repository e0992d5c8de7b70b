package gofunction

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// The processor architectures of Lambda, by their names in GOARCH.
const (
	ARM64 = "arm64"
	X8664 = "amd64"
)

// bootstrap is the name under which the provided runtimes look for the program.
const bootstrap = "bootstrap"

// cacheFolder is the folder in the user's cache directory that binaries are built into.
const cacheFolder = "retrying-api-proxy"

// A BuildError says that the go command could not compile a handler. Its message holds all that the command printed.
type BuildError struct {
	// ImportPath is the main package that was to be compiled.
	ImportPath string

	// Output is all that the go command printed.
	Output string

	// Err is how the command ended.
	Err error
}

// Error shows the compiler's messages whole, and the cure where it is known.
func (e *BuildError) Error() string {
	message := fmt.Sprintf("gofunction: cannot compile %s: %v\n%s", e.ImportPath, e.Err, strings.TrimRight(e.Output, "\n"))
	if strings.Contains(e.Output, "missing go.sum entry") || strings.Contains(e.Output, "no required module provides package") {
		message += "\nRun 'go mod tidy' in the CDK app's module: it adds what the handler needs to go.mod and go.sum."
	}
	return message
}

// Unwrap gives access to the error of the command.
func (e *BuildError) Unwrap() error { return e.Err }

// A handlerOf is a handler of one app: what a directory is compiled for.
type handlerOf struct {
	app        string // the directory that the import path is resolved from
	importPath string
	goarch     string
}

// building keeps the results of this process: a handler that several functions share is compiled once.
var building sync.Map // of handlerOf to func() (string, error)

// Build compiles the main package with the given import path for Linux on goarch (arm64 or amd64) and returns the
// directory that holds the binary, under the name bootstrap, and nothing else. The import path is resolved from the
// current directory, as the go command does it.
//
// The same sources give the same bytes, whatever directory they lie in and whatever the user's environment says; only a
// GOEXPERIMENT that was stored with go env -w has a say. The error is a [*BuildError] if the compiler had something to
// say.
func Build(importPath, goarch string) (dir string, err error) {
	app, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("gofunction: %w", err)
	}
	handler := handlerOf{app: app, importPath: importPath, goarch: goarch}
	build, _ := building.LoadOrStore(handler, sync.OnceValues(handler.compile))
	return build.(func() (string, error))()
}

func (h handlerOf) compile() (string, error) {
	importPath, goarch := h.importPath, h.goarch
	if goarch != ARM64 && goarch != X8664 {
		return "", fmt.Errorf("gofunction: architecture %q is not one that Lambda has; use arm64 or amd64", goarch)
	}
	goCommand, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf("gofunction: the go command is needed to compile %s and is not on the PATH; install Go from https://go.dev/dl: %w", importPath, err)
	}
	dir, err := h.cacheDir()
	if err != nil {
		return "", err
	}
	// Another process may read the directory, or build the same handler, at this moment: the binary appears in it whole.
	scratch, err := os.CreateTemp(filepath.Dir(dir), bootstrap+"-*")
	if err != nil {
		return "", fmt.Errorf("gofunction: %w", err)
	}
	scratch.Close()
	defer os.Remove(scratch.Name())

	command := exec.Command(goCommand, "build", "-trimpath", "-buildvcs=false", "-tags=lambda.norpc", "-ldflags=-s -w", "-o", scratch.Name(), importPath)
	command.Dir = h.app
	command.Env = buildEnvironment(os.Environ(), goarch)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		return "", &BuildError{ImportPath: importPath, Output: output.String(), Err: err}
	}
	if program, err := isProgram(scratch.Name()); err != nil {
		return "", fmt.Errorf("gofunction: %w", err)
	} else if !program {
		return "", fmt.Errorf("gofunction: %s is a library; give the import path of a main package", importPath)
	}
	if err := install(scratch.Name(), filepath.Join(dir, bootstrap)); err != nil {
		return "", fmt.Errorf("gofunction: %w", err)
	}
	return dir, nil
}

// cacheDir makes the directory of one handler of one app. Apps have directories of their own, so that two of them with
// different versions of a handler do not change each other's.
func (h handlerOf) cacheDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("gofunction: no cache directory to build %s in: %w", h.importPath, err)
	}
	sum := sha256.Sum256([]byte(h.app + "\x00" + h.importPath))
	dir := filepath.Join(cache, cacheFolder, h.goarch, path.Base(h.importPath)+"-"+hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("gofunction: %w", err)
	}
	return dir, nil
}

// isProgram says whether the go command wrote a program for Linux. Of a package that is not a main package it writes an
// archive, and says nothing.
func isProgram(file string) (bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	start := make([]byte, len(elf.ELFMAG))
	if _, err := io.ReadFull(f, start); err != nil {
		return false, err
	}
	return string(start) == elf.ELFMAG, nil
}

// install puts a binary in its place, unless the same one is there.
func install(built, place string) error {
	if err := os.Chmod(built, 0o755); err != nil {
		return err
	}
	same, err := sameContent(built, place)
	if err != nil || same {
		return err
	}
	return os.Rename(built, place)
}

func sameContent(a, b string) (bool, error) {
	first, err := digest(a)
	if err != nil {
		return false, err
	}
	second, err := digest(b)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return first == second, err
}

func digest(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	return string(hash.Sum(nil)), nil
}

// pinned are the settings that have a say in the bytes of a binary. They are set to fixed values, because leaving one
// out would let the user's own go env in. GOEXPERIMENT is left out for want of a value that means none in particular.
var pinned = map[string]string{
	"CGO_ENABLED": "0",
	"GOOS":        "linux",
	"GOAMD64":     "v1",
	"GOARM64":     "v8.0",
	"GOFIPS140":   "off",
	"GOFLAGS":     "-trimpath", // not empty: an empty one is taken from go env
}

// buildEnvironment is the user's environment less what would change the binary.
func buildEnvironment(environment []string, goarch string) []string {
	result := slices.DeleteFunc(slices.Clone(environment), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		_, found := pinned[name]
		return found || name == "GOARCH" || name == "GOEXPERIMENT" || name == "GODEBUG"
	})
	result = append(result, "GOARCH="+goarch)
	for name, value := range pinned {
		result = append(result, name+"="+value)
	}
	return result
}
