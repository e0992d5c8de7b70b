package handler

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// A tokenVerifier verifies the bearer tokens of callers, JSON Web Tokens (RFC 7519) of one issuer, and reads what they claim.
type tokenVerifier struct {
	verifier *oidc.IDTokenVerifier
}

// signingAlgorithms are those of public keys. Nobody can sign with a public key, as they could with a shared one.
var signingAlgorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
}

// Limits of fetching the keys of an issuer.
const (
	// keysTimeout is how long it may take.
	keysTimeout = 5 * time.Second

	// keysInterval is how long keys are taken for the latest. A token may name a key that nobody has, which must not have
	// them fetched each time.
	keysInterval = 1 * time.Minute

	// maxKeysBytes is how large a set of keys may be.
	maxKeysBytes = 1 << 20
)

// errKeysUnavailable says that the keys of the issuer could not be had, so that nobody knows whether a token is right.
var errKeysUnavailable = errors.New("the keys of the issuer are not available")

// newTokenVerifier makes a verifier of tokens that issuer has signed with keys that are at a URL. With an audience, tokens
// must be for it.
func newTokenVerifier(issuer, keys, audience string, now func() time.Time) *tokenVerifier {
	client := &http.Client{
		Timeout:       keysTimeout,
		Transport:     &keyCache{next: http.DefaultTransport, now: now},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	set := remoteKeys{oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), client), keys)}
	return &tokenVerifier{oidc.NewVerifier(issuer, set, &oidc.Config{
		ClientID: audience, SkipClientIDCheck: audience == "", SupportedSigningAlgs: signingAlgorithms, Now: now,
	})}
}

// claims reads the claims of a token, if it is right. The error is errKeysUnavailable if nobody can tell.
func (v *tokenVerifier) claims(ctx context.Context, token string) (map[string]json.RawMessage, error) {
	var unavailable error
	verified, err := v.verifier.Verify(context.WithValue(ctx, keysErrorKey{}, &unavailable), token)
	switch {
	case unavailable != nil:
		return nil, fmt.Errorf("%w: %w", errKeysUnavailable, unavailable)
	case err != nil:
		return nil, err
	}
	var claims map[string]json.RawMessage
	err = verified.Claims(&claims)
	return claims, err
}

// remoteKeys tells keys that could not be fetched from a signature that is wrong. go-oidc has no type for either, and hands
// on the text alone.
type remoteKeys struct{ set oidc.KeySet }

// keysErrorKey is the key, in the context of a verification, of the *error that keys could not be fetched with.
type keysErrorKey struct{}

func (k remoteKeys) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := k.set.VerifySignature(ctx, token)
	if err != nil && strings.Contains(err.Error(), "fetching keys") {
		*ctx.Value(keysErrorKey{}).(*error) = err
	}
	return payload, err
}

// A keyCache answers with the keys that it was answered with, for a while.
type keyCache struct {
	next http.RoundTripper
	now  func() time.Time

	mu      sync.Mutex
	fetched time.Time
	header  http.Header
	keys    []byte
}

func (c *keyCache) RoundTrip(request *http.Request) (*http.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil || c.now().Sub(c.fetched) >= keysInterval {
		response, err := c.next.RoundTrip(request)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		keys, err := io.ReadAll(http.MaxBytesReader(nil, response.Body, maxKeysBytes))
		if err != nil {
			return nil, err
		}
		if response.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("the keys are answered with %d", response.StatusCode)
		}
		c.fetched, c.header, c.keys = c.now(), response.Header, keys
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: c.header.Clone(), Body: io.NopCloser(bytes.NewReader(c.keys)), ContentLength: int64(len(c.keys)), Request: request,
	}, nil
}

// bearerToken is the token that goes upstream, RFC 6750 section 2.1, or nothing.
func bearerToken(headers map[string]string) string {
	field, given := headers[upstreamAuthorization]
	if !given {
		field = headers["authorization"]
	}
	scheme, token, _ := strings.Cut(strings.Trim(field, " \t"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.Trim(token, " ")
}

// unverifiedClaims reads what a token claims, whoever wrote it.
func unverifiedClaims(token string) map[string]json.RawMessage {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	var claims map[string]json.RawMessage
	if json.Unmarshal(payload, &claims) != nil {
		return nil
	}
	return claims
}
