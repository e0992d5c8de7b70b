package apiproxy_test

import (
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// aSecret is one that nobody asks for its ARN.
type aSecret struct{ awssecretsmanager.ISecret }

// by are props with a way to authenticate.
func by(auth apiproxy.UpstreamAuth) apiproxy.RetryingApiProxyProps {
	return props(func(p *apiproxy.RetryingApiProxyProps) { p.Upstream.Auth = auth })
}

func TestEachWayToAuthenticateIsAllowed(t *testing.T) {
	secret := &aSecret{}
	for name, auth := range map[string]apiproxy.UpstreamAuth{
		"a token":                  apiproxy.BearerToken(secret),
		"a field":                  apiproxy.BearerToken(secret).Field("token"),
		"a name and a password":    apiproxy.BasicAuth(secret),
		"a header field":           apiproxy.SecretHeader("X-Api-Key", secret),
		"Authorization":            apiproxy.SecretHeader("Authorization", secret),
		"a parameter":              apiproxy.SecretQueryParameter("api_key", secret),
		"a client":                 apiproxy.OAuth2ClientCredentials(secret, apiproxy.OAuth2Options{TokenURL: "https://login.example.com/token", Scopes: []string{"a"}, Audience: "b"}),
		"a client of a token":      apiproxy.OAuth2ClientCredentials(secret, apiproxy.OAuth2Options{TokenURL: token}),
		"a client on this machine": apiproxy.OAuth2ClientCredentials(secret, apiproxy.OAuth2Options{TokenURL: "http://127.0.0.1:9000/token"}),
		"a role":                   apiproxy.SigV4("execute-api", token),
		"a certificate":            apiproxy.ClientCertificate(secret),
		"a certificate beside":     apiproxy.SigV4("execute-api", "eu-central-1").With(apiproxy.ClientCertificate(secret).Field("tls")),
	} {
		if err := by(auth).Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsWrongWithTheWayToAuthenticateIsNamed(t *testing.T) {
	secret := &aSecret{}
	for _, c := range []struct {
		name  string
		props apiproxy.RetryingApiProxyProps
		says  []string
	}{
		{"no secret", by(apiproxy.BearerToken(nil)), []string{"Upstream.Auth: the secret is nil; give one of AWS Secrets Manager"}},
		{"no certificate", by(apiproxy.ClientCertificate(nil).Field("tls")), []string{"Upstream.Auth: the secret is nil"}},
		{"no certificate beside", by(apiproxy.BearerToken(secret).With(apiproxy.ClientCertificate(nil))), []string{"Upstream.Auth: With takes a ClientCertificate"}},
		{"two of a kind", by(apiproxy.BearerToken(secret).With(apiproxy.BasicAuth(secret))), []string{"Upstream.Auth: With takes a ClientCertificate"}},
		{"a field with a number sign", by(apiproxy.BearerToken(secret).Field("a#b")), []string{`Upstream.Auth: the field is "a#b"`}},
		{"the host as a field", by(apiproxy.SecretHeader("Host", secret)), []string{"Upstream.Auth: the header field Host is written by"}},
		{"no field", by(apiproxy.SecretHeader("", secret)), []string{`Upstream.Auth: the header field is ""`, "X-Api-Key"}},
		{"no parameter", by(apiproxy.SecretQueryParameter("", secret)), []string{`Upstream.Auth: the query parameter is ""`}},
		{"a token URL in the clear", by(apiproxy.OAuth2ClientCredentials(secret, apiproxy.OAuth2Options{TokenURL: "http://login.example.com"})), []string{"Upstream.Auth: the token URL has the host login.example.com and plain http"}},
		{"no token URL", by(apiproxy.OAuth2ClientCredentials(secret, apiproxy.OAuth2Options{})), []string{"Upstream.Auth: the token URL is none"}},
		{"no region", by(apiproxy.SigV4("s3", "")), []string{`Upstream.Auth: the service is "s3" and the region ""`}},
		{"a certificate with plain http", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Upstream = apiproxy.Upstream{BaseURL: "http://api.example.com", AllowPlainHTTP: true, Auth: apiproxy.ClientCertificate(secret)}
		}), []string{"Upstream.Auth has a client certificate, which is of no use with plain http"}},
		{"no time", props(func(p *apiproxy.RetryingApiProxyProps) { p.Upstream.SecretCacheTime = time.Millisecond }), []string{"Upstream.SecretCacheTime is 1ms", "5m0s"}},
		{"a credential in the clear", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Upstream.Headers = map[string]string{"X-Api-Key": "c4nary", "Stripe-Version": "2026-05-04"}
		}), []string{"Upstream.Headers: the header field X-Api-Key carries a credential", "in the clear", "Upstream.Auth, such as with SecretHeader"}},
		{"a field of the connection", props(func(p *apiproxy.RetryingApiProxyProps) { p.Upstream.Headers = map[string]string{"Connection": "close"} }), []string{"Upstream.Headers: the header field Connection is written by"}},
		{"a value of two lines", props(func(p *apiproxy.RetryingApiProxyProps) { p.Upstream.Headers = map[string]string{"X-Tenant": "a\r\nb"} }), []string{"Upstream.Headers: the header field X-Tenant has a value with control characters"}},
		{"a field that Auth sets", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Upstream.Auth, p.Upstream.Headers = apiproxy.SecretHeader("X-Tenant", secret), map[string]string{"x-tenant": "a"}
		}), []string{"Upstream.Headers: the header field x-tenant is the one that Upstream.Auth sets"}},
		{"no certificate of an authority", props(func(p *apiproxy.RetryingApiProxyProps) { p.Upstream.CertificateAuthority = "ca.pem" }), []string{"Upstream.CertificateAuthority: it holds no certificate in PEM"}},
		{"a key for an authority", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Upstream.CertificateAuthority = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("c4nary")}))
		}), []string{"Upstream.CertificateAuthority: it holds something else than certificates", "private key"}},
		{"more than fits into the environment", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Upstream.Auth, p.Upstream.Headers = apiproxy.BearerToken(secret), map[string]string{"X-Tenant": strings.Repeat("x", 3400)}
		}), []string{"Auth, Headers and CertificateAuthority", "3500 at most"}},
	} {
		err := c.props.Validate()
		if err == nil {
			t.Errorf("%s is accepted", c.name)
			continue
		}
		for _, want := range c.says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the message does not say %q: %v", c.name, want, err)
			}
		}
		if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "c4nary") {
			t.Errorf("%s: one mistake is told as several, or with what may be a secret: %v", c.name, err)
		}
	}
}
