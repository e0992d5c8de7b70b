package stacktest

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/template"
)

// goarch is what the go command calls the architectures of Lambda.
var goarch = map[string]string{"arm64": "arm64", "x86_64": "amd64"}

// binaries compiles the functions whose code this machine cannot run into dir. It gives their programs by the functions'
// names. Import paths are resolved from the current directory, which for a test is that of its package.
func binaries(ctx context.Context, loaded *template.Stack, dir string) (map[string]string, error) {
	native := map[string]string{}
	compiled := map[string]string{} // by import path
	for _, f := range loaded.Functions {
		if runtime.GOOS == "linux" && goarch[f.Architecture] == runtime.GOARCH {
			continue
		}
		if f.ImportPath == "" {
			return nil, fmt.Errorf("function %s was compiled for Linux on %s, and the template does not say from what; this machine is %s on %s",
				f.Name, f.Architecture, runtime.GOOS, runtime.GOARCH)
		}
		if compiled[f.ImportPath] == "" {
			binary := filepath.Join(dir, filepath.Base(f.ImportPath))
			command := exec.CommandContext(ctx, "go", "build", "-tags=lambda.norpc", "-o", binary, f.ImportPath)
			if output, err := command.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("compiling %s for this machine: %w\n%s", f.ImportPath, err, output)
			}
			compiled[f.ImportPath] = binary
		}
		native[f.Name] = compiled[f.ImportPath]
	}
	return native, nil
}
