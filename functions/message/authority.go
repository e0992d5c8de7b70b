package message

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// ParseAuthorities reads certificates in PEM, by which upstreams are trusted besides the system's. Errors hold nothing of what
// was read.
func ParseAuthorities(text string) ([]*x509.Certificate, error) {
	var authorities []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, errors.New("it holds something else than certificates in PEM; a private key has no place here")
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of it cannot be read", len(authorities)+1)
		}
		authorities = append(authorities, certificate)
	}
	if len(authorities) == 0 {
		return nil, errors.New("it holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----")
	}
	return authorities, nil
}
