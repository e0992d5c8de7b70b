package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
)

// functionURL is the host of a function URL, with its region.
var functionURL = regexp.MustCompile(`\.lambda-url\.([a-z0-9-]+)\.on\.aws$`)

// host is that of the endpoint.
func (s settings) host() string {
	endpoint, err := url.Parse(s.endpoint)
	if err != nil {
		return ""
	}
	return endpoint.Hostname()
}

// inAWS says whether the endpoint is a function URL of AWS.
func (s settings) inAWS() bool { return functionURL.MatchString(s.host()) }

// credentialsTimeout is how long it may take to find credentials. Where there are none, the last place to look is a machine of EC2.
const credentialsTimeout = 5 * time.Second

// signer returns what signs requests to the endpoint, or, with nil, words that say why nothing does.
func (s settings) signer(ctx context.Context) (sign func(*http.Request, []byte) error, unsigned string) {
	if s.unsigned || !s.inAWS() {
		return nil, ""
	}
	ctx, cancel := context.WithTimeout(ctx, credentialsTimeout)
	defer cancel()
	loaded, err := config.LoadDefaultConfig(ctx)
	if err == nil {
		var credentials aws.Credentials
		if credentials, err = loaded.Credentials.Retrieve(ctx); err == nil {
			return signer(s.host(), credentials), ""
		}
	}
	return nil, fmt.Sprintf("\nrequests are not signed, since there are no credentials: %v", err)
}

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
