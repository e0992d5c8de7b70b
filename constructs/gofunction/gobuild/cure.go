package gobuild

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// tidy is the cure where the handler needs a module that go.mod or go.sum does not know.
const tidy = "Run 'go mod tidy' in the CDK app's module: it adds what the handler needs to go.mod and go.sum."

// maxNamedPackages is how many main packages are named to somebody who has named none.
const maxNamedPackages = 10

// cure says what to do about what the go command printed, or nothing if its own words say it. Of a package of the app's own
// module that it does not find, the command says that a module is missing, whatever the reason.
func (t target) cure(ctx context.Context, environment []string, output string) string {
	missing := "no required module provides package " + t.importPath
	switch {
	case strings.Contains(output, missing+";"), strings.Contains(output, missing+"\n"), strings.HasSuffix(output, missing):
		if cure := t.cureOfMissing(ctx, environment); cure != "" {
			return cure
		}
		return tidy
	case strings.Contains(output, "missing go.sum entry"), strings.Contains(output, "no required module provides package"):
		return tidy
	}
	return ""
}

// cureOfMissing is the cure where the package itself is not found. Empty if it is none of the app's module.
func (t target) cureOfMissing(ctx context.Context, environment []string) string {
	module, root, found := strings.Cut(t.ask(ctx, append(environment, "GOWORK=off"), "list", "-m", "-f", "{{.Path}}\n{{.Dir}}"), "\n")
	below, inModule := strings.CutPrefix(t.importPath+"/", module+"/")
	if !found || !inModule {
		return ""
	}
	directory := filepath.Join(root, filepath.FromSlash(below))
	if work := t.ask(ctx, environment, "env", "GOWORK"); work != "" && work != "off" && !t.listed(ctx, environment, module) {
		return fmt.Sprintf("%s does not list the CDK app's module, %s: run 'go work use %s', or set GOWORK=off.", work, module, root)
	}
	if own := goModBetween(root, directory); own != "" {
		return fmt.Sprintf("%s makes the handler a module of its own, which %s does not require: add the two lines 'require MODULE v0.0.0' and "+
			"'replace MODULE => ./%s' to the go.mod of %s, with the name that the handler's go.mod has in the place of MODULE, or delete the handler's go.mod.",
			own, module, strings.TrimSuffix(below, "/"), module)
	}
	if _, err := os.Stat(directory); err != nil {
		return fmt.Sprintf("There is no directory %s. %s", directory, t.mainPackages(ctx, environment, module))
	}
	return fmt.Sprintf("The directory %s has no Go files that are built for Linux. %s", directory, t.mainPackages(ctx, environment, module))
}

// listed says whether the workspace has a module.
func (t target) listed(ctx context.Context, environment []string, module string) bool {
	return strings.Contains("\n"+t.ask(ctx, environment, "list", "-m")+"\n", "\n"+module+"\n")
}

// goModBetween is a go.mod below the root of a module, in a directory or above it. Empty if there is none.
func goModBetween(root, directory string) string {
	for ; len(directory) > len(root); directory = filepath.Dir(directory) {
		if file := filepath.Join(directory, "go.mod"); fileExists(file) {
			return file
		}
	}
	return ""
}

func fileExists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// mainPackages names those that could have been meant.
func (t target) mainPackages(ctx context.Context, environment []string, module string) string {
	names := strings.Fields(t.ask(ctx, environment, "list", "-f", `{{if eq .Name "main"}}{{.ImportPath}}{{end}}`, module+"/..."))
	switch {
	case len(names) == 0:
		return module + " has no main package yet."
	case len(names) > maxNamedPackages:
		names = append(names[:maxNamedPackages], "…")
	}
	return "The main packages of " + module + " are " + strings.Join(names, ", ") + "."
}

// ask runs the go command for what it prints. Empty if it fails.
func (t target) ask(ctx context.Context, environment []string, arguments ...string) string {
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir, command.Env = t.app, environment
	output, err := command.Output()
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(output))
}
