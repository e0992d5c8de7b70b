package assembly

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
)

// goarch is what the go command calls the architectures of Lambda.
var goarch = map[string]string{"arm64": "arm64", "x86_64": "amd64"}

// NativeBinaries compiles for this machine those functions of the cloud assembly in dir whose own code it cannot run, because
// that is for Linux, or for another architecture. It gives the programs by the functions' names.
func NativeBinaries(ctx context.Context, dir string) (map[string]string, error) {
	loaded, err := cloudformation.Load(dir, cloudformation.Options{})
	if err != nil {
		return nil, err
	}
	native := map[string]string{}
	for _, f := range loaded.Functions {
		if runtime.GOOS == "linux" && goarch[f.Architecture] == runtime.GOARCH {
			continue
		}
		if f.ImportPath == "" {
			return nil, fmt.Errorf("assembly: function %s was compiled for Linux on %s, and the template does not say from what; this machine is %s on %s",
				f.Name, f.Architecture, runtime.GOOS, runtime.GOARCH)
		}
		program, err := compile(ctx, f.ImportPath)
		if err != nil {
			return nil, err
		}
		native[f.Name] = program
	}
	return native, nil
}

// compiled holds the programs that this process has compiled, by their import paths: sources do not change while it runs.
var compiled = struct {
	sync.Mutex
	programs map[string]string
}{programs: map[string]string{}}

// compile compiles a handler for this machine. The import path is resolved from the current directory, which for a test is
// that of its package. The program stays in the user's cache, so that the next process finds it up to date.
func compile(ctx context.Context, importPath string) (string, error) {
	compiled.Lock()
	defer compiled.Unlock()
	if program, done := compiled.programs[importPath]; done {
		return program, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	current, err := os.Getwd()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(current + "\n" + importPath))
	program := filepath.Join(cache, "retrying-api-proxy", "native", hex.EncodeToString(sum[:8]), filepath.Base(importPath))
	output, err := exec.CommandContext(ctx, "go", "build", "-tags=lambda.norpc", "-o", program, importPath).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("assembly: compiling %s for this machine: %w\n%s", importPath, err, output)
	}
	compiled.programs[importPath] = program
	return program, nil
}
