package assembly

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// app is the import path of the CDK app.
const app = "github.com/retrying-api-proxy/retrying-api-proxy/infra"

// killDelay is how long the CDK app may take to end after it is interrupted.
const killDelay = 5 * time.Second

// Synthesise runs the CDK app and leaves its cloud assembly in dir. The context is that of cdk.json, found in the
// module's root, and extra.
func Synthesise(ctx context.Context, dir string, extra map[string]any) error {
	if _, err := exec.LookPath("node"); err != nil {
		return errors.New("node is not on the PATH; the CDK needs Node.js, 22 or later (20 still works), from https://nodejs.org or your package manager")
	}
	settings, err := contextOf(ctx)
	if err != nil {
		return err
	}
	maps.Copy(settings, extra)
	contextJSON, err := json.Marshal(settings)
	if err != nil {
		return fmt.Errorf("assembly: %w", err)
	}
	// What the CDK leaves in its temporary directory when it is interrupted is removed with the directory.
	temporary, err := os.MkdirTemp("", "retrying-api-proxy-cdk-")
	if err != nil {
		return fmt.Errorf("assembly: %w", err)
	}
	defer os.RemoveAll(temporary)
	command := exec.CommandContext(ctx, "go", "run", app)
	command.Env = append(os.Environ(),
		"TMPDIR="+temporary,
		"CDK_OUTDIR="+dir,
		"CDK_CONTEXT_JSON="+string(contextJSON),
		"CDK_VALIDATION=false", // the validation of the template takes seconds; cdk synth does it
		"JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=18,20",
	)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	// go run starts the app, which starts Node.js. They are a process group of their own, so that all of them end.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGTERM) }
	command.WaitDelay = killDelay
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("the CDK app failed: %w\n%s", err, strings.TrimSpace(output.String()))
	}
	return nil
}

// contextOf reads the context in cdk.json.
func contextOf(ctx context.Context) (map[string]any, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return nil, fmt.Errorf("assembly: finding the module's root: %w", err)
	}
	file := filepath.Join(strings.TrimSpace(string(root)), "cdk.json")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("assembly: %w", err)
	}
	var document struct{ Context map[string]any }
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("assembly: %s: %w", file, err)
	}
	if document.Context == nil {
		document.Context = map[string]any{}
	}
	return document.Context, nil
}
