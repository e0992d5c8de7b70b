package apiproxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// An UpstreamAuth says how the proxies authenticate to the upstream. [BearerToken], [BasicAuth], [SecretHeader],
// [SecretQueryParameter], [OAuth2ClientCredentials], [SigV4] and [ClientCertificate] make one. The zero value is for an
// upstream that asks for nothing.
//
// Secrets are read by the proxies, from AWS Secrets Manager, when they are needed; the template, the environment of the
// functions, the state machine, logs and records hold their ARNs at most. The text of a secret may be a JSON object, of which
// one field is meant: see [UpstreamAuth.Field].
type UpstreamAuth struct {
	form        message.UpstreamAuth // without secrets
	secret      namedSecret
	certificate namedSecret

	// withOther says that With was given something else than a certificate.
	withOther bool
}

// A namedSecret is a secret, or a field of it.
type namedSecret struct {
	awssecretsmanager.ISecret
	field string
}

// BearerToken sends Authorization: Bearer, with the secret's text as the token.
func BearerToken(secret awssecretsmanager.ISecret) UpstreamAuth {
	return UpstreamAuth{form: message.UpstreamAuth{Kind: message.AuthBearer}, secret: namedSecret{ISecret: secret}}
}

// BasicAuth sends Authorization: Basic. The secret's text is {"username": "...", "password": "..."}, or the two with a colon
// between them.
func BasicAuth(secret awssecretsmanager.ISecret) UpstreamAuth {
	return UpstreamAuth{form: message.UpstreamAuth{Kind: message.AuthBasic}, secret: namedSecret{ISecret: secret}}
}

// SecretHeader sends a header field, such as X-Api-Key, with the secret's text as its value.
func SecretHeader(name string, secret awssecretsmanager.ISecret) UpstreamAuth {
	return UpstreamAuth{form: message.UpstreamAuth{Kind: message.AuthHeader, Name: name}, secret: namedSecret{ISecret: secret}}
}

// SecretQueryParameter sends a query parameter, such as api_key, with the secret's text as its value. It is taken out of the
// links in the header fields of answers, which many an upstream writes with the query that it was sent; what is in a body
// comes back as it is.
func SecretQueryParameter(name string, secret awssecretsmanager.ISecret) UpstreamAuth {
	return UpstreamAuth{form: message.UpstreamAuth{Kind: message.AuthQuery, Name: name}, secret: namedSecret{ISecret: secret}}
}

// OAuth2Options say where tokens come from.
type OAuth2Options struct {
	// TokenURL is the https URL that gives tokens. Its address has to be public, or in Upstream.AllowedNetworks, as the
	// upstream's. Required.
	TokenURL string

	// Scopes are what tokens are asked for. Default: none; the token URL decides.
	Scopes []string

	// Audience is the API that tokens are asked for, where the token URL wants to know. Default: none.
	Audience string

	// ClientSecretInBody sends the client's id and secret among the parameters of the request. Default: false; they are sent by
	// Basic authentication, which every token URL has to know (RFC 6749 section 2.3.1), although some do not.
	ClientSecretInBody bool
}

// OAuth2ClientCredentials sends Authorization: Bearer, with a token that is got for the credentials of a client (RFC 6749
// section 4.4), and used until shortly before it ends. The secret's text is {"client_id": "...", "client_secret": "..."}.
func OAuth2ClientCredentials(secret awssecretsmanager.ISecret, options OAuth2Options) UpstreamAuth {
	return UpstreamAuth{
		form: message.UpstreamAuth{
			Kind: message.AuthOAuth2, TokenURL: options.TokenURL, Scopes: options.Scopes, Audience: options.Audience, SecretInBody: options.ClientSecretInBody,
		},
		secret: namedSecret{ISecret: secret},
	}
}

// SigV4 signs requests with Signature Version 4, for a service such as execute-api and a region, with the roles of the
// proxies. They are granted nothing by this: grant what the upstream asks for to all of them, such as with
//
//	for _, proxy := range orders.Proxies {
//		bucket.GrantRead(proxy, nil)
//	}
//
// The fields of callers that are meant for AWS, such as X-Amz-Target and X-Amz-Meta-*, then go upstream, and X-Amzn-ErrorType
// comes back.
func SigV4(service, region string) UpstreamAuth {
	return UpstreamAuth{form: message.UpstreamAuth{Kind: message.AuthSigV4, Service: service, Region: region}}
}

// ClientCertificate presents a client certificate in the TLS handshake (mutual TLS). The secret's text is {"certificate":
// "...", "key": "..."}, both in PEM; certificates that lead to an authority follow the first one. It can stand beside another
// credential: see [UpstreamAuth.With].
func ClientCertificate(secret awssecretsmanager.ISecret) UpstreamAuth {
	return UpstreamAuth{certificate: namedSecret{ISecret: secret}}
}

// Field names the field of the secret that is meant, if its text is a JSON object: one whose value is a string, or an object
// in the form that is asked for.
func (a UpstreamAuth) Field(name string) UpstreamAuth {
	if a.secret.ISecret == nil {
		a.certificate.field = name
	} else {
		a.secret.field = name
	}
	return a
}

// With adds a client certificate, as in BearerToken(token).With(ClientCertificate(certificate)).
func (a UpstreamAuth) With(certificate UpstreamAuth) UpstreamAuth {
	a.certificate, a.withOther = certificate.certificate, certificate.form.Kind != "" || certificate.certificate.ISecret == nil
	return a
}

// isZero says whether the upstream asks for nothing.
func (a UpstreamAuth) isZero() bool {
	return a.form.Kind == "" && a.certificate == (namedSecret{}) && a.secret == (namedSecret{}) && !a.withOther
}

// validate names what cannot be, without the secrets' ARNs, which only the CDK's kernel knows.
func (a UpstreamAuth) validate() error {
	if a.isZero() {
		return nil
	}
	var problems []error
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("Upstream.Auth: "+format, args...))
	}
	form := a.form
	form.Secret, form.Certificate = "secret", "certificate"
	needsSecret := form.Kind != message.AuthSigV4 && form.Kind != ""
	switch {
	case a.withOther:
		problem("With takes a ClientCertificate")
	case needsSecret && a.secret.ISecret == nil, form.Kind == "" && a.certificate.ISecret == nil:
		problem("the secret is nil; give one of AWS Secrets Manager")
	}
	for _, field := range []string{a.secret.field, a.certificate.field} {
		if strings.Contains(field, "#") {
			problem("the field is %q; the names of fields hold no number sign", field)
		}
	}
	if err := form.Validate(); err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			problem("%s", line)
		}
	}
	return errors.Join(problems...)
}

// environment is what the proxies are told.
func (a UpstreamAuth) environment(callersOverride bool) *string {
	form := a.form
	form.CallersOverride = callersOverride
	form.Secret, form.Certificate = a.secret.name(), a.certificate.name()
	text, err := json.Marshal(form)
	if err != nil {
		panic(err) // it is made of strings and booleans
	}
	return jsii.String(string(text))
}

// replaces is the field, or the parameter behind a question mark, in which what callers send does not go upstream.
func (u Upstream) replaces() string {
	form := u.Auth.form
	form.CallersOverride = u.AllowAuthOverride
	return form.Replaces()
}

// name is the ARN of the secret, with the field behind a number sign.
func (s namedSecret) name() string {
	switch {
	case s.ISecret == nil:
		return ""
	case s.field == "":
		return *s.SecretArn()
	}
	return *s.SecretArn() + "#" + s.field
}

// room is about what the environment takes for the credential, in bytes. ARNs are known at deployment only.
func (a UpstreamAuth) room() int {
	if a.isZero() {
		return 0
	}
	form := a.form
	arn := strings.Repeat("-", maxARN)
	form.Secret, form.Certificate = arn+a.secret.field, ""
	if a.certificate.ISecret != nil {
		form.Certificate = arn + a.certificate.field
	}
	text, err := json.Marshal(form)
	if err != nil {
		panic(err) // it is made of strings and booleans
	}
	return len(text)
}

// maxARN is how long the ARN of a secret is taken to be.
const maxARN = 150

// grantRead lets a proxy read the secrets, and use the keys that they are encrypted with.
func (a UpstreamAuth) grantRead(proxy awslambda.Function) {
	for _, s := range []namedSecret{a.secret, a.certificate} {
		if s.ISecret != nil {
			s.GrantRead(proxy, nil)
		}
	}
}
