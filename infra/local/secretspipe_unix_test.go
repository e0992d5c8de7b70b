//go:build unix

package main

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestAPipeIsReadOnce(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = os.WriteFile(pipe, []byte(`{"a": "1"}`), 0) // waits for the reader
	}()
	secrets, values, err := openSecrets(pipe, io.Discard)
	if err != nil || values["a"] != "1" {
		t.Fatalf("got %v %v", values, err)
	}
	if values, changed := secrets.changed(); changed { // it would wait for another writer
		t.Errorf("there are new values, %v", values)
	}
}
