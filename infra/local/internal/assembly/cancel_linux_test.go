package assembly_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/assembly"
)

// started maps the processes that have a variable in their environment to their names.
func started(t *testing.T, variable string) map[string]string {
	t.Helper()
	found := map[string]string{}
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		environment, err := os.ReadFile(file)
		if err != nil || !strings.Contains("\x00"+string(environment), "\x00"+variable+"\x00") {
			continue // it has ended, or belongs to somebody else
		}
		name, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "comm"))
		found[filepath.Base(filepath.Dir(file))] = strings.TrimSpace(string(name))
	}
	return found
}

func TestASynthesisThatIsInterruptedLeavesNoProcess(t *testing.T) {
	withCDK(t)
	dir, temporary := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temporary)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- assembly.Synthesise(ctx, dir, nil) }()

	// The app is at work once it has started the CDK's own process, in which Node.js runs.
	working := func() bool {
		for _, name := range started(t, "CDK_OUTDIR="+dir) {
			if strings.HasPrefix(name, "node") || strings.HasPrefix(name, "MainThread") {
				return true
			}
		}
		return false
	}
	for !working() {
		select {
		case err := <-ended:
			t.Fatalf("it ended before it could be interrupted: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v, want context.Canceled", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "manifest.json")); err == nil {
		t.Error("the app was left to finish its work")
	}
	deadline := time.Now().Add(2 * time.Second)
	left := started(t, "CDK_OUTDIR="+dir)
	for len(left) > 0 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
		left = started(t, "CDK_OUTDIR="+dir)
	}
	if len(left) > 0 {
		t.Errorf("the processes %v are left", left)
	}
	if files, err := os.ReadDir(temporary); err != nil || len(files) > 0 {
		t.Errorf("the temporary files %v are left, %v", files, err)
	}
}
