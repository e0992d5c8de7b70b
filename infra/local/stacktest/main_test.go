package stacktest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/assembly"
)

// directory holds the cloud assembly that the tests share.
var directory string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if directory, err = os.MkdirTemp("", "stacktest-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(directory)
		return m.Run()
	}())
}

// architecture is what Lambda calls this machine's.
func architecture(goarch string) string {
	if goarch == "arm64" {
		return "arm64"
	}
	return "x86_64"
}

// synthesised is the stack of this repository, synthesised when the first test asks for it.
var synthesised = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(directory, "cdk.out")
	return dir, assembly.Synthesise(context.Background(), dir, map[string]any{"architecture": architecture(runtime.GOARCH), "auth": "NONE"})
})

// cdkOut is the directory of its cloud assembly.
func cdkOut(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: the CDK app is not run")
	}
	dir, err := synthesised()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// edited is a copy of it with changes in the text of its template, in pairs of a regular expression and what takes the
// place of its matches.
func edited(t testing.TB, changes ...string) string {
	t.Helper()
	original, dir := cdkOut(t), t.TempDir()
	entries, err := os.ReadDir(original)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		from, to := filepath.Join(original, entry.Name()), filepath.Join(dir, entry.Name())
		if !strings.HasSuffix(entry.Name(), ".template.json") {
			if err := os.Symlink(from, to); err != nil {
				t.Fatal(err)
			}
			continue
		}
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(changes); i += 2 {
			old := regexp.MustCompile(changes[i])
			if !old.Match(text) {
				t.Fatalf("%s does not hold %s", from, old)
			}
			text = old.ReplaceAll(text, []byte(changes[i+1]))
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
