package credential

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/encoding/httpbinding"
)

// A signer signs requests with Signature Version 4.
type signer struct {
	service, region string
	role            func(context.Context) (aws.Credentials, error)
	now             func() time.Time
}

// errQuery is the error of a query of which nobody knows how AWS would read it.
var errQuery = errors.New("credential: the query is not well escaped, so that it cannot be signed")

// credentials are those of the function's role, as the SDK finds them.
func (s *signer) credentials(ctx context.Context) (aws.Credentials, error) {
	credentials, err := s.role(ctx)
	if err != nil {
		return aws.Credentials{}, unavailable("", "the credentials of the function's role could not be had", err)
	}
	return credentials, nil
}

// sign puts a signature into a request. It covers the host, the content type, and the fields of AWS; what stands between here
// and a service may change the others.
func (s *signer) sign(r *http.Request, body []byte, credentials aws.Credentials) error {
	query := strings.ReplaceAll(r.URL.RawQuery, ";", "%3B") // net/url takes none that is not escaped
	if _, err := url.ParseQuery(query); err != nil {
		return errQuery
	}
	digest := sha256.Sum256(body)
	payload := hex.EncodeToString(digest[:])
	for name := range r.Header {
		if isOfSignature(name) {
			r.Header.Del(name)
		}
	}
	r.Header.Set("X-Amz-Content-Sha256", payload)

	target := *r.URL
	target.RawQuery = query
	isS3 := strings.HasPrefix(s.service, "s3")
	if isS3 {
		target.RawPath = httpbinding.EscapePath(target.Path, false) // S3 escapes what it has unescaped
	}
	signed := &http.Request{Method: r.Method, URL: &target, Host: r.Host, Header: http.Header{}}
	maps.Copy(signed.Header, r.Header)
	maps.DeleteFunc(signed.Header, func(name string, _ []string) bool {
		return name != "Content-Type" && !strings.HasPrefix(name, "X-Amz-")
	})
	err := v4.NewSigner().SignHTTP(r.Context(), credentials, signed, payload, s.service, s.region, s.now(), func(o *v4.SignerOptions) {
		o.DisableURIPathEscaping = isS3
	})
	if err != nil {
		return errors.New("credential: the request cannot be signed")
	}
	maps.Copy(r.Header, signed.Header)
	r.URL.RawQuery = target.RawQuery // as it was signed
	return nil
}

// ofSignature are the fields that belong to a signature, beside Authorization.
var ofSignature = []string{"X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256"}

func isOfSignature(name string) bool {
	for _, own := range ofSignature {
		if http.CanonicalHeaderKey(name) == own {
			return true
		}
	}
	return false
}
