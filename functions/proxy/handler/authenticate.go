package handler

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/proxy/credential"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// newCredentials makes the source of the credential for the upstream, or nil if that asks for none. Nothing is read yet, and
// no client is made.
func newCredentials(s settings, d Dependencies) *credential.Source {
	if s.auth.IsZero() {
		return nil
	}
	return credential.New(s.auth, credential.Dependencies{
		Secrets:   d.Secrets,
		Role:      d.Role,
		Tokens:    newTokenTransport(d.Dial, s.authorities),
		Now:       d.Clock.Now,
		CacheTime: s.secretCache,
	})
}

// newTokenTransport makes what requests for tokens go through: the same fence as requests to the upstream, and a connection for
// each, so that none is repeated.
func newTokenTransport(dial dialFunc, authorities *x509.CertPool) *http.Transport {
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxResponseHeader,
	}
}

// credential gives what authenticates an attempt, or nil if the upstream asks for nothing.
func (p *Proxy) credential(ctx context.Context) (*credential.Credential, error) {
	if p.credentials == nil {
		return nil, nil
	}
	return p.credentials.Get(ctx)
}

// errUnchanged is the error of an attempt that would go out with the credential that was refused.
var errUnchanged = errors.New("proxy: the credential has not changed since it was refused")

// renewal gives another credential than one that was refused.
func (p *Proxy) renewal(refused *credential.Credential) func(context.Context) (*credential.Credential, error) {
	return func(ctx context.Context) (*credential.Credential, error) {
		fresh, err := p.credentials.Renew(ctx, refused)
		if fresh == nil && err == nil {
			err = errUnchanged
		}
		return fresh, err
	}
}

// repeatRefused repeats an attempt whose credential the upstream has refused, if there is a new one: 401 is proof that nothing
// was done (RFC 9110 section 15.5.2). The attempt before it joins the history, and is charged to no budget. That is done once
// in a request.
func (p *Proxy) repeatRefused(ctx context.Context, call *message.Call, request retry.Request, history []retry.Attempt, t tried) ([]retry.Attempt, tried) {
	now := p.clock.Now()
	switch {
	case t.result.Status != http.StatusUnauthorized || t.answer.credential == nil,
		slices.ContainsFunc(history, wasRefused),
		call.MaxAttempts > 0 && len(history)+1 >= call.MaxAttempts,
		call.DeadlineTime().Sub(now) < p.leastTime(call):
		return history, t
	}
	decision := retry.Decision{Outcome: retry.Again, Why: "401: the credential has been replaced since it was read; once more with the new one"}
	refused := t.result.Attempt(p.name, t.start, decision)
	refused.Address = p.address.known()
	with := append(slices.Clone(history), refused)
	second, err := p.try(ctx, call, request, with, now, p.renewal(t.answer.credential))
	if err != nil {
		if !errors.Is(err, errUnchanged) {
			p.logUnavailable(ctx, call, err)
		}
		return history, t
	}
	p.logAttempt(ctx, call, len(with), refused, retry.Again)
	if second.result.Status == http.StatusUnauthorized {
		p.credentials.RenewedInVain()
	}
	return with, second
}

// wasRefused says whether an attempt was repeated with another credential.
func wasRefused(a retry.Attempt) bool { return a.Status == http.StatusUnauthorized && a.Kind == "" }

// unauthenticated says that there was no credential for an attempt, so that nothing was sent.
func (p *Proxy) unauthenticated(ctx context.Context, call *message.Call, history []retry.Attempt, start time.Time, err error) *message.Envelope {
	p.logUnavailable(ctx, call, err)
	details := "the credential for the upstream could not be had"
	var unavailable *credential.Error
	if errors.As(err, &unavailable) {
		details = unavailable.Details
	}
	result := retry.Result{
		Failure:  &retry.Failure{Type: retry.ProxyConfigurationError, Processed: retry.NotProcessed, Details: details},
		Received: p.clock.Now(),
	}
	decision := retry.Decision{Outcome: retry.Failed, Reason: message.CredentialsUnavailable, Why: "nothing was sent, for want of a credential"}
	attempt := result.Attempt(p.name, start, decision)
	attempts := append(slices.Clone(history), attempt)
	p.logAttempt(ctx, call, len(attempts), attempt, retry.Failed)
	return p.withoutAnswer(call, decision, attempts, result.Received)
}

// logUnavailable tells whoever runs this, and nobody else, of which secret it is and what AWS has said.
func (p *Proxy) logUnavailable(ctx context.Context, call *message.Call, err error) {
	p.log.LogAttrs(ctx, slog.LevelError, "the credential for the upstream could not be had",
		slog.String("requestId", call.RequestID), slog.String("error", err.Error()))
}
