package main

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// functionURL is the host of a function URL, with its region.
var functionURL = regexp.MustCompile(`\.lambda-url\.([a-z0-9-]+)\.on\.aws$`)

// signer returns what signs requests to a host with Signature Version 4, if it is that of a function URL.
func signer(host string, credentials aws.Credentials) func(*http.Request, []byte) error {
	region := functionURL.FindStringSubmatch(host)
	if region == nil {
		return nil
	}
	sign := v4.NewSigner()
	return func(r *http.Request, body []byte) error {
		hash := sha256.Sum256(body)
		signed := r.Clone(r.Context()) // of which it writes the query anew
		err := sign.SignHTTP(r.Context(), credentials, signed, hex.EncodeToString(hash[:]), "lambda", region[1], time.Now())
		if err != nil {
			return err
		}
		for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token"} {
			if value := signed.Header.Get(name); value != "" {
				r.Header.Set(name, value)
			}
		}
		return nil
	}
}
