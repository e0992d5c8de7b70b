package gobuild

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// absolute finds a module in go.mod that is replaced by a directory with an absolute path.
var absolute = regexp.MustCompile(`=>\s*"?(?:/|[A-Za-z]:[\\/])`)

// withRelativeReplacements gives the go command a go.mod in which such directories have paths that are relative to the module: the
// command writes them into the binary, which would be another one on each machine. It returns the flag to give it, and what removes
// the file. There is none where no directory has an absolute path, and where the command reads another file than go.mod: in a workspace,
// and with a vendor directory.
func (t target) withRelativeReplacements(ctx context.Context, environment []string) (flags []string, remove func(), err error) {
	nothing := func() {}
	goMod := t.ask(ctx, environment, "env", "GOMOD")
	text, err := os.ReadFile(goMod)
	if err != nil || !absolute.Match(text) { // without a go.mod, the build says so
		return nil, nothing, nil
	}
	root := filepath.Dir(goMod)
	if work := t.ask(ctx, environment, "env", "GOWORK"); work != "" && work != "off" || fileExists(filepath.Join(root, "vendor", "modules.txt")) {
		return nil, nothing, nil
	}
	directory, err := os.MkdirTemp("", "gofunction-")
	if err != nil {
		return nil, nil, err
	}
	remove = func() { os.RemoveAll(directory) }
	defer func() {
		if err != nil {
			remove()
		}
	}()
	copied := filepath.Join(directory, "go.mod")
	if err := os.WriteFile(copied, text, 0o600); err != nil {
		return nil, nil, err
	}
	if sums, err := os.ReadFile(filepath.Join(root, "go.sum")); err == nil {
		if err := os.WriteFile(filepath.Join(directory, "go.sum"), sums, 0o600); err != nil {
			return nil, nil, err
		}
	}
	edits, err := t.relative(ctx, environment, root, copied)
	if err != nil {
		return nil, nil, err
	}
	command := exec.CommandContext(ctx, "go", append(append([]string{"mod", "edit"}, edits...), copied)...)
	command.Dir, command.Env = t.app, environment
	if output, err := command.CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("go mod edit: %w\n%s", err, output)
	}
	return []string{"-modfile=" + copied}, remove, nil
}

// relative are the edits of a go.mod by which absolute paths become relative to a directory.
func (t target) relative(ctx context.Context, environment []string, root, goMod string) (edits []string, err error) {
	type module struct{ Path, Version string }
	var read struct{ Replace []struct{ Old, New module } }
	if err := json.Unmarshal([]byte(t.ask(ctx, environment, "mod", "edit", "-json", goMod)), &read); err != nil {
		return nil, fmt.Errorf("go mod edit -json: %w", err)
	}
	for _, r := range read.Replace {
		if r.New.Version != "" || !filepath.IsAbs(r.New.Path) {
			continue
		}
		path, err := filepath.Rel(root, r.New.Path)
		if err != nil {
			continue // on another drive
		}
		if path = filepath.ToSlash(path); !strings.HasPrefix(path, ".") {
			path = "./" + path
		}
		old := r.Old.Path
		if r.Old.Version != "" {
			old += "@" + r.Old.Version
		}
		edits = append(edits, "-replace="+old+"="+path)
	}
	return edits, nil
}
