// Package npmpackages installs packages of npm that tests run other people's programs with.
package npmpackages

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Installed is a directory that has what a folder's package-lock.json lists in node_modules. It skips a test where the
// packages are not to be had.
func Installed(t *testing.T, folder string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: nothing is done with packages of npm")
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not on the PATH, and with it the packages of %s", program, folder)
		}
	}
	dir, err := install(folder)
	if errors.Is(err, errNotToBeHad) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	return dir
}

// errNotToBeHad is why packages are not installed if that is nobody's mistake.
var errNotToBeHad = errors.New("npm could not get the packages")

// installTimeout ends an npm that hangs.
const installTimeout = 3 * time.Minute

// installing lets one test at a time install, so that others find what it installed.
var installing sync.Mutex

// install installs what the lock file of a folder lists into the user's cache directory, once for each lock file: into the
// repository it would bring code that the go command and others could trip over.
func install(folder string) (string, error) {
	lists, hash := map[string][]byte{}, sha256.New()
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return "", err
		}
		lists[name] = text
		hash.Write(text)
	}
	if err := checkOrigins(lists["package-lock.json"]); err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Join(folder, "package-lock.json"), err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	cache = filepath.Join(cache, "retrying-api-proxy")
	installed := filepath.Join(cache, filepath.Base(folder)+"-"+hex.EncodeToString(hash.Sum(nil))[:16])

	installing.Lock()
	defer installing.Unlock()
	if _, err := os.Stat(installed); err == nil {
		return installed, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(cache, "installing-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	for name, text := range lists {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, "npm", "ci", "--include=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress",
		"--prefer-offline", "--fetch-retries=1", "--fetch-retry-mintimeout=1000")
	command.Dir = dir
	if output, err := command.CombinedOutput(); err != nil {
		for _, mistake := range []string{"EUSAGE", "EINTEGRITY", "EJSONPARSE"} {
			if strings.Contains(string(output), "npm error code "+mistake) {
				return "", fmt.Errorf("npm ci: %w\n%s", err, output)
			}
		}
		return "", fmt.Errorf("%w of %s: npm ci: %w: %s", errNotToBeHad, folder, err, firstLine(output))
	}
	// Only now can it be found. Another process may have been faster, with the same result.
	if err := os.Rename(dir, installed); err != nil {
		if _, missing := os.Stat(installed); missing != nil {
			return "", err
		}
	}
	return installed, nil
}

// registry is where packages come from, unless the user has npm go to a mirror.
const registry = "https://registry.npmjs.org/"

// checkOrigins refuses a lock file with which npm would get a package from elsewhere, or take whatever it gets.
func checkOrigins(lock []byte) error {
	var list struct {
		Packages map[string]struct {
			Resolved, Integrity string
			InBundle            bool
		}
	}
	if err := json.Unmarshal(lock, &list); err != nil {
		return err
	}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(list.Packages)) {
		switch p := list.Packages[name]; {
		case name == "", p.InBundle:
			// The list itself, or a part of another package.
		case p.Resolved != "" && !strings.HasPrefix(p.Resolved, registry):
			problems = append(problems, fmt.Errorf("%s comes from %s; only %s is allowed", name, p.Resolved, registry))
		case p.Integrity == "":
			problems = append(problems, fmt.Errorf("%s has no integrity", name))
		}
	}
	return errors.Join(problems...)
}

func firstLine(output []byte) string {
	for line := range strings.Lines(string(output)) {
		if strings.HasPrefix(line, "npm error") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
