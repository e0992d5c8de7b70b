package assembly

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/gofunction/gobuild"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
)

// goarch is what the go command calls the architectures of Lambda.
var goarch = map[string]string{"arm64": gobuild.ARM64, "x86_64": gobuild.X8664}

// NativeBinaries compiles for this machine those functions of a stack whose own code it cannot run, because that is for
// Linux, or for another architecture. It gives the programs by the functions' names.
func NativeBinaries(ctx context.Context, stack *cloudformation.Stack) (map[string]string, error) {
	native := map[string]string{}
	for _, f := range stack.Functions {
		if runtime.GOOS == "linux" && goarch[f.Architecture] == runtime.GOARCH {
			continue
		}
		importPath, _ := f.Metadata[gobuild.ImportPathMetadata].(string)
		if importPath == "" {
			return nil, fmt.Errorf("assembly: function %s was compiled for Linux on %s, and the template does not say from what; this machine is %s on %s. Skip it, if nothing needs it",
				f.Name, f.Architecture, runtime.GOOS, runtime.GOARCH)
		}
		dir, err := gobuild.ForHost(ctx, importPath)
		if err != nil {
			return nil, fmt.Errorf("assembly: %w", err)
		}
		native[f.Name] = filepath.Join(dir, gobuild.Bootstrap)
	}
	return native, nil
}
