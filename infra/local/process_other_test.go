//go:build !linux

package main

import (
	"os/exec"
	"strings"
	"testing"
)

// processesFrom lists the processes that run from a directory, by their ids.
func processesFrom(t *testing.T, directory string) []string {
	t.Helper()
	output, _ := exec.Command("pgrep", "-f", directory).Output() // it fails if it finds none
	return strings.Fields(string(output))
}
