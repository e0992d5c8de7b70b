package main

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheAuthoritiesAreTheCertificatesOfTheFileAndNothingElse(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("c4nary")}))
	directory := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if got, err := readAuthorities(write("two.pem", "# mine\n"+certificate+"\n# theirs\n"+certificate)); err != nil || got != certificate+certificate {
		t.Errorf("got %q, error %v", got, err)
	}
	if got, err := readAuthorities(""); err != nil || got != "" {
		t.Errorf("without a file: %q, error %v", got, err)
	}
	for path, want := range map[string]string{
		filepath.Join(directory, "absent.pem"):              "cannot be read: no such file or directory",
		directory:                                           "cannot be read: is a directory",
		write("empty.pem", ""):                              "it holds no certificate in PEM",
		write("key.pem", certificate+key):                   "a private key has no place here",
		write("many.pem", strings.Repeat(certificate, 200)): "has 200 certificates, which is more than a function can be handed",
		write("broken.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("c4nary")}))): "certificate 1 of it cannot be read",
	} {
		_, err := readAuthorities(path)
		if err == nil || !strings.HasPrefix(err.Error(), "CA: "+path) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "c4nary") {
			t.Errorf("%s gives %v, want %s", path, err, want)
		}
	}
}
