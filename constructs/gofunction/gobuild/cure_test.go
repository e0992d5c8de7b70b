package gobuild_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/gofunction/gobuild"
)

func TestTheCureIsThatOfTheFault(t *testing.T) {
	ownCache(t)
	t.Setenv("GOWORK", "")
	for name, c := range map[string]struct {
		files      map[string]string
		importPath string
		says, not  []string
	}{
		"a mistyped path": {
			importPath: "example.com/shop/greter",
			says:       []string{"There is no directory", "/greter. The main packages of example.com/shop are example.com/shop/greeter."},
			not:        []string{"go mod tidy"},
		},
		"a directory without Go files": {
			files:      map[string]string{"empty/README": "soon"},
			importPath: "example.com/shop/empty",
			says:       []string{"/empty has no Go files", "example.com/shop/greeter"},
			not:        []string{"go mod tidy"},
		},
		"a handler that is a module of its own": {
			files: map[string]string{
				"functions/own/go.mod": "module example.com/shop/functions/own\n\ngo 1.26.0\n", "functions/own/main.go": "package main\n\nfunc main() {}\n",
			},
			importPath: "example.com/shop/functions/own",
			says:       []string{"functions/own/go.mod makes the handler a module of its own", "replace MODULE => ./functions/own"},
			not:        []string{"go mod tidy"},
		},
		"a workspace without the app": {
			files:      map[string]string{"other/go.mod": "module example.com/other\n\ngo 1.26.0\n", "go.work": "go 1.26.0\n\nuse ./other\n"},
			importPath: "example.com/shop/greeter",
			says:       []string{"go.work does not list the CDK app's module, example.com/shop: run 'go work use ", "GOWORK=off"},
			not:        []string{"go mod tidy"},
		},
		"a module that is not required": {
			importPath: "example.com/else/handler",
			says:       []string{"Run 'go mod tidy' in the CDK app's module"},
		},
		"a package that a handler needs": {
			files:      map[string]string{"needy/main.go": "package main\n\nimport _ \"example.com/else\"\n\nfunc main() {}\n"},
			importPath: "example.com/shop/needy",
			says:       []string{"no required module provides package example.com/else", "Run 'go mod tidy' in the CDK app's module"},
		},
		"a fault of the code": {
			files:      map[string]string{"wrong/main.go": "package main\n\nfunc main() { return 1 }\n"},
			importPath: "example.com/shop/wrong",
			says:       []string{"too many return values"},
			not:        []string{"go mod tidy", "main packages"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			files := greeter("hello")
			for file, text := range c.files {
				files[file] = text
			}
			inModule(t, files)
			_, err := gobuild.ForLambda(context.Background(), c.importPath, gobuild.ARM64)
			var failed *gobuild.BuildError
			if !errors.As(err, &failed) {
				t.Fatalf("the error is %v", err)
			}
			for _, text := range c.says {
				if !strings.Contains(filepath.ToSlash(err.Error()), text) {
					t.Errorf("the error does not say %q:\n%v", text, err)
				}
			}
			for _, text := range c.not {
				if strings.Contains(err.Error(), text) {
					t.Errorf("the error says %q:\n%v", text, err)
				}
			}
		})
	}
}
