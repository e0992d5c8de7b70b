package main

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// maxAuthorities is what the certificates may take as PEM, in bytes: what a process can be handed in one variable.
const maxAuthorities = 100 << 10

// readAuthorities reads the certificates in the file that CA names, as PEM and nothing else. It is empty if there is no file.
func readAuthorities(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		if reason := (*fs.PathError)(nil); errors.As(err, &reason) {
			err = reason.Err
		}
		return "", fmt.Errorf("CA: %s cannot be read: %w", path, err)
	}
	authorities, err := message.ParseAuthorities(string(text))
	if err != nil {
		return "", fmt.Errorf("CA: %s: %w", path, err)
	}
	var b strings.Builder
	for _, certificate := range authorities {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}) // to a text, which takes everything
	}
	if b.Len() > maxAuthorities {
		return "", fmt.Errorf("CA: %s has %d certificates, which is more than a function can be handed; give those that the system does not know", path, len(authorities))
	}
	return b.String(), nil
}
