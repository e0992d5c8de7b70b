package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// processesFrom lists the processes that run from a directory or were told of it in their environment, by what they are
// called.
func processesFrom(t *testing.T, directory string) []string {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, entry := range entries {
		program, _ := os.Readlink(filepath.Join(entry, "exe"))
		environment, _ := os.ReadFile(filepath.Join(entry, "environ"))
		if strings.HasPrefix(program, directory+"/") || strings.Contains(string(environment), directory) {
			name, _ := os.ReadFile(filepath.Join(entry, "cmdline"))
			found = append(found, strings.ReplaceAll(string(name), "\x00", " "))
		}
	}
	return found
}
