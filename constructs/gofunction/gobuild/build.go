package gobuild

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// The processor architectures of Lambda, by their names in GOARCH.
const (
	ARM64 = "arm64"
	X8664 = "amd64"
)

// Bootstrap is the name of a binary in its directory, under which the provided runtimes look for it.
const Bootstrap = "bootstrap"

// CacheFolder is the folder in the user's cache directory that binaries are built into.
const CacheFolder = "retrying-api-proxy"

// ImportPathMetadata is the key of the resource metadata in a template that says which main package a function was
// compiled from. Tools that run a synthesised stack elsewhere find the program by it.
const ImportPathMetadata = "gofunction:importPath"

// A BuildError says that the go command could not compile a handler. Its message holds all that the command printed.
type BuildError struct {
	// ImportPath is the main package that was to be compiled.
	ImportPath string

	// Output is all that the go command printed.
	Output string

	// Cure says what to do about it, where that is known. Empty otherwise.
	Cure string

	// Err is how the command ended.
	Err error
}

// Error shows the compiler's messages whole, and the cure where it is known.
func (e *BuildError) Error() string {
	message := fmt.Sprintf("gofunction: cannot compile %s: %v\n%s", e.ImportPath, e.Err, strings.TrimRight(e.Output, "\n"))
	if e.Cure != "" {
		message += "\n" + e.Cure
	}
	return message
}

// Unwrap gives access to the error of the command.
func (e *BuildError) Unwrap() error { return e.Err }

// A target is what one app's handler is compiled for.
type target struct {
	app        string // the directory that the import path is resolved from
	importPath string
	goos       string
	goarch     string
}

// A result is what came of compiling a target.
type result struct {
	turn chan struct{} // held by whoever compiles
	done bool
	dir  string
	err  error
}

// results are those of this process: a handler that several functions share is compiled once.
var results sync.Map // of target to *result

// ForLambda compiles the main package with the given import path for Linux on goarch (arm64 or amd64) and returns the
// directory that holds the binary, under the name [Bootstrap], and nothing else. If ctx ends, so does the go command.
//
// The same sources give the same bytes, whatever directory they lie in and whatever the user's environment says, also where go.mod
// replaces a module by a directory with an absolute path, which counts as the relative one. What has a say is written into the binary: the version of Go, which the
// toolchain line of go.mod can pin; where modules come from, that is, the module cache, a vendor directory, a directory that replaces
// them, or a workspace (go.work), whose paths stay as they are; and a GOEXPERIMENT that was stored with go env -w. The error is a [*BuildError] if the compiler had something to
// say.
func ForLambda(ctx context.Context, importPath, goarch string) (dir string, err error) {
	if goarch != ARM64 && goarch != X8664 {
		return "", fmt.Errorf("gofunction: architecture %q is not one that Lambda has; use arm64 or amd64", goarch)
	}
	return build(ctx, importPath, "linux", goarch)
}

// ForHost is [ForLambda] for the machine that it runs on.
func ForHost(ctx context.Context, importPath string) (dir string, err error) {
	return build(ctx, importPath, runtime.GOOS, runtime.GOARCH)
}

func build(ctx context.Context, importPath, goos, goarch string) (string, error) {
	app, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("gofunction: %w", err)
	}
	t := target{app: app, importPath: importPath, goos: goos, goarch: goarch}
	stored, _ := results.LoadOrStore(t, &result{turn: make(chan struct{}, 1)})
	r := stored.(*result)
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if !r.done {
		r.dir, r.err = t.compile(ctx)
		r.done = ctx.Err() == nil // whoever comes after an interrupted compilation starts it again
	}
	return r.dir, r.err
}

// killDelay is how long the go command may take to end after it is interrupted.
const killDelay = 5 * time.Second

func (t target) compile(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	goCommand, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf("gofunction: the go command is needed to compile %s and is not on the PATH; install Go from https://go.dev/dl: %w", t.importPath, err)
	}
	dir, err := t.cacheDir()
	if err != nil {
		return "", err
	}
	// Another process may read the directory, or build the same handler, at this moment: the binary appears in it whole.
	scratch, err := os.CreateTemp(filepath.Dir(dir), Bootstrap+"-*")
	if err != nil {
		return "", fmt.Errorf("gofunction: %w", err)
	}
	scratch.Close()
	defer os.Remove(scratch.Name())

	environment := t.environment(os.Environ())
	flags, remove, err := t.withRelativeReplacements(ctx, environment)
	if err != nil {
		return "", fmt.Errorf("gofunction: %w", err)
	}
	defer remove()
	arguments := append([]string{"build", "-trimpath", "-buildvcs=false", "-tags=lambda.norpc", "-ldflags=-s -w"}, flags...)
	command := exec.CommandContext(ctx, goCommand, append(arguments, "-o", scratch.Name(), t.importPath)...)
	command.Dir, command.Env = t.app, environment
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) } // it removes its temporary files
	command.WaitDelay = killDelay
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", &BuildError{
			ImportPath: t.importPath, Output: output.String(), Cure: t.cure(ctx, environment, output.String()), Err: err,
		}
	}
	if library, err := isArchive(scratch.Name()); err != nil {
		return "", fmt.Errorf("gofunction: %w", err)
	} else if library {
		return "", fmt.Errorf("gofunction: %s is a library; give the import path of a main package", t.importPath)
	}
	if err := install(scratch.Name(), filepath.Join(dir, Bootstrap)); err != nil {
		return "", fmt.Errorf("gofunction: %w", err)
	}
	return dir, nil
}

// cacheDir makes the directory of one handler of one app. Apps have directories of their own, so that two of them with
// different versions of a handler do not change each other's.
func (t target) cacheDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("gofunction: no cache directory to build %s in: %w", t.importPath, err)
	}
	sum := sha256.Sum256([]byte(t.app + "\x00" + t.importPath))
	dir := filepath.Join(cache, CacheFolder, t.goos+"-"+t.goarch, path.Base(t.importPath)+"-"+hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("gofunction: %w", err)
	}
	return dir, nil
}

// archive is how an archive begins.
const archive = "!<arch>\n"

// isArchive says whether the go command wrote an archive, as it does of a package that is not a main package, without a
// word.
func isArchive(file string) (bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	start := make([]byte, len(archive))
	if _, err := io.ReadFull(f, start); err != nil {
		return false, err
	}
	return string(start) == archive, nil
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
	"GOAMD64":     "v1",
	"GOARM64":     "v8.0",
	"GOFIPS140":   "off",
	"GOFLAGS":     "-trimpath", // not empty: an empty one is taken from go env
}

// environment is the user's environment less what would change the binary.
func (t target) environment(user []string) []string {
	result := slices.DeleteFunc(slices.Clone(user), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		_, found := pinned[name]
		return found || name == "GOOS" || name == "GOARCH" || name == "GOEXPERIMENT" || name == "GODEBUG"
	})
	result = append(result, "GOOS="+t.goos, "GOARCH="+t.goarch)
	for name, value := range pinned {
		result = append(result, name+"="+value)
	}
	return result
}
