package stack_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// clientsDirectory holds the list of clients, with a lock file, and the script that runs them.
const clientsDirectory = "testdata/clients"

// installedClients is a directory with the clients in node_modules. It skips a test where there are none.
func installedClients(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: the clients of others are not run")
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not on the PATH, so the clients of others are not run", program)
		}
	}
	dir, err := installClients()
	if errors.Is(err, errNotToBeHad) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	return dir
}

// errNotToBeHad is why clients are not installed if that is nobody's mistake.
var errNotToBeHad = errors.New("npm could not get the clients of others, so they are not run")

// installTimeout ends an npm that hangs.
const installTimeout = 3 * time.Minute

// installClients installs what the lock file lists into the user's cache directory, once for each lock file: into the
// repository it would bring code that the go command and others could trip over.
var installClients = sync.OnceValues(func() (string, error) {
	lists, hash := map[string][]byte{}, sha256.New()
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join(clientsDirectory, name))
		if err != nil {
			return "", err
		}
		lists[name] = text
		hash.Write(text)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = directory
	}
	cache = filepath.Join(cache, "retrying-api-proxy")
	installed := filepath.Join(cache, "clients-"+hex.EncodeToString(hash.Sum(nil))[:16])
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
	command := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress",
		"--prefer-offline", "--fetch-retries=1", "--fetch-retry-mintimeout=1000")
	command.Dir = dir
	if output, err := command.CombinedOutput(); err != nil {
		for _, mistake := range []string{"EUSAGE", "EINTEGRITY", "EJSONPARSE"} {
			if strings.Contains(string(output), "npm error code "+mistake) {
				return "", fmt.Errorf("npm ci: %w\n%s", err, output)
			}
		}
		return "", fmt.Errorf("%w: npm ci: %w: %s", errNotToBeHad, err, firstLine(output))
	}
	// Only now can it be found. Another process may have been faster, with the same result.
	if err := os.Rename(dir, installed); err != nil {
		if _, missing := os.Stat(installed); missing != nil {
			return "", err
		}
	}
	return installed, nil
})

func firstLine(output []byte) string {
	for line := range strings.Lines(string(output)) {
		if strings.HasPrefix(line, "npm error") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
