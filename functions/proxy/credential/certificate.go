package credential

import (
	"context"
	"crypto/tls"
	"slices"
)

// A Certificate is a client certificate with its key.
type Certificate struct {
	pair     tls.Certificate
	sessions tls.ClientSessionCache
}

// maxSessions is how many TLS sessions are kept, so that the handshakes of later attempts cost less. A sandbox calls one
// host.
const maxSessions = 4

// newCertificate makes a Certificate with sessions of its own: one that is resumed stands for the certificate of the
// connection before, which may have been replaced since.
func newCertificate(pair tls.Certificate) *Certificate {
	return &Certificate{pair: pair, sessions: tls.NewLRUClientSessionCache(maxSessions)}
}

// certificateKey is the key of the certificate of an attempt in its context.
type certificateKey struct{}

// Connecting gives the context for the connection of a request with the credential.
func (c *Credential) Connecting(ctx context.Context) context.Context {
	if c == nil || c.certificate == nil {
		return ctx
	}
	return context.WithValue(ctx, certificateKey{}, c.certificate.value)
}

// Present has a connection present the client certificate of its context, if there is one.
func Present(ctx context.Context, config *tls.Config) {
	if c, given := ctx.Value(certificateKey{}).(*Certificate); given {
		config.Certificates = []tls.Certificate{c.pair}
		config.ClientSessionCache = c.sessions
	}
}

// equal says whether two are the same certificate.
func (c *Certificate) equal(other *Certificate) bool {
	return slices.EqualFunc(c.pair.Certificate, other.pair.Certificate, slices.Equal)
}
