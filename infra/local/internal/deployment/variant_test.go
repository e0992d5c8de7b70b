package deployment_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/assembly"
)

// native is the architecture of this machine, and foreign the other one, as the context has them.
var (
	native  = map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	foreign = map[string]string{"amd64": "arm64", "arm64": "x86_64"}[runtime.GOARCH]
)

// A variant of the stack, by its context, for this machine's architecture if that does not say another.
type variant struct {
	context   map[string]any
	directory string     // the cloud assembly
	ready     chan error // gives the error once, and nil from then on
}

// synthesise runs the CDK app for one variant after the other, while what is there already is deployed.
func synthesise(t *testing.T, variants ...*variant) {
	t.Helper()
	directory := t.TempDir()
	for i, v := range variants {
		v.directory, v.ready = filepath.Join(directory, fmt.Sprint("cdk.out.", i)), make(chan error, 1)
	}
	finished := make(chan struct{})
	t.Cleanup(func() { <-finished })
	go func() {
		defer close(finished)
		for _, v := range variants {
			settings := map[string]any{"architecture": native}
			maps.Copy(settings, v.context)
			v.ready <- assembly.Synthesise(t.Context(), v.directory, settings)
			close(v.ready)
		}
	}()
}

// assembly waits for the variant's cloud assembly.
func (v *variant) assembly(t *testing.T) string {
	t.Helper()
	if err := <-v.ready; err != nil {
		t.Fatal(err)
	}
	return v.directory
}

// withFault copies a cloud assembly and has the metric filter, which comes late, count in a way that there is none of.
func withFault(t *testing.T, v *variant) string {
	t.Helper()
	faulty := filepath.Join(t.TempDir(), "cdk.out")
	if err := os.CopyFS(faulty, os.DirFS(v.assembly(t))); err != nil {
		t.Fatal(err)
	}
	// The CLI publishes a template once, under its hash.
	manifest, err := os.ReadFile(filepath.Join(faulty, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	hash := regexp.MustCompile(`[0-9a-f]{64}\.json`).FindString(string(manifest))
	for _, file := range []string{"manifest.json", stackName + ".assets.json", stackName + ".template.json"} {
		text, err := os.ReadFile(filepath.Join(faulty, file))
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.ReplaceAll(string(text), strings.TrimSuffix(hash, ".json"), strings.Repeat("f", 64))
		changed = strings.ReplaceAll(changed, `"Unit": "Count"`, `"Unit": 1`)
		if changed == string(text) {
			t.Fatalf("there is nothing to change in %s", file)
		}
		if err := os.WriteFile(filepath.Join(faulty, file), []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return faulty
}
