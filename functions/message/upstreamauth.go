package message

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// An AuthKind is a way to authenticate to the upstream.
type AuthKind string

// The kinds of authentication. A client certificate has none: it can be there beside each of them.
const (
	AuthBearer AuthKind = "bearer" // Authorization: Bearer
	AuthBasic  AuthKind = "basic"  // Authorization: Basic
	AuthHeader AuthKind = "header" // a header field with the secret as it is
	AuthQuery  AuthKind = "query"  // a query parameter with the secret as it is
	AuthOAuth2 AuthKind = "oauth2" // Authorization: Bearer, with a token that a token URL gives for client credentials
	AuthSigV4  AuthKind = "sigv4"  // Signature Version 4, with the role of the function

	// AuthWebhook signs callbacks as Standard Webhooks has it, with one secret, or with two while one takes the place of the
	// other. It is not for upstreams: nothing that reads an UpstreamAuth knows it.
	AuthWebhook AuthKind = "webhook"
)

// An UpstreamAuth says how the proxies authenticate to the upstream. It names secrets of AWS Secrets Manager, and holds none.
// The zero value is for an upstream that asks for nothing.
type UpstreamAuth struct {
	Kind AuthKind `json:"kind,omitempty"`

	// Secret names the secret with the credential: by its ARN or its name, and by the name of a field behind a number sign if
	// its text is a JSON object of which one field is meant.
	Secret string `json:"secret,omitempty"`

	// Name is that of the header field or of the query parameter.
	Name string `json:"name,omitempty"`

	// TokenURL, Scopes and Audience are for OAuth 2.0. The client's secret goes there by Basic authentication (RFC 6749 section
	// 2.3.1), or with SecretInBody among the parameters.
	TokenURL     string   `json:"tokenUrl,omitempty"`
	Scopes       []string `json:"scopes,omitempty"`
	Audience     string   `json:"audience,omitempty"`
	SecretInBody bool     `json:"secretInBody,omitempty"`

	// Service and Region are those that requests are signed for.
	Service string `json:"service,omitempty"`
	Region  string `json:"region,omitempty"`

	// Certificate names the secret with the client certificate, as Secret does.
	Certificate string `json:"certificate,omitempty"`

	// CallersOverride lets a request that has a credential of its own in the same place keep it.
	CallersOverride bool `json:"callersOverride,omitempty"`
}

// IsZero says whether the upstream asks for nothing.
func (a UpstreamAuth) IsZero() bool { return a.Kind == "" && a.Certificate == "" }

// Replaces names what the credential takes the place of in a caller's request: the header field in lower case, or the query
// parameter behind a question mark. It is empty if that is nothing, or if callers may override the credential.
func (a UpstreamAuth) Replaces() string {
	switch {
	case a.CallersOverride, a.Kind == "":
		return ""
	case a.Kind == AuthHeader:
		return strings.ToLower(a.Name)
	case a.Kind == AuthQuery:
		return "?" + a.Name
	}
	return "authorization"
}

// Validate lists all that cannot be, in one error.
func (a UpstreamAuth) Validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	if a.Kind != AuthSigV4 && a.Kind != "" && !isSecretName(a.Secret) {
		problem("it names no secret, or has a number sign without the name of a field behind it")
	}
	if a.Certificate != "" && !isSecretName(a.Certificate) {
		problem("the client certificate has a number sign without the name of a field behind it")
	}
	switch a.Kind {
	case AuthBearer, AuthBasic:
	case "":
		if a.Certificate == "" {
			problem("it is empty")
		}
	case AuthHeader:
		if err := CheckOwnField(a.Name); err != nil {
			problem("%w", err)
		}
	case AuthQuery:
		if a.Name == "" || strings.ContainsFunc(a.Name, func(r rune) bool { return r <= ' ' || r > '~' }) {
			problem("the query parameter is %q; give a name in printable ASCII, without spaces", a.Name)
		}
	case AuthOAuth2:
		if err := checkTokenURL(a.TokenURL); err != nil {
			problem("%w", err)
		}
		for _, scope := range a.Scopes {
			if scope == "" || strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r > '~' }) {
				problem("the scope %q is none; give each scope by itself, in printable ASCII without spaces", scope)
			}
		}
	case AuthSigV4:
		if a.Service == "" || a.Region == "" {
			problem("the service is %q and the region %q; give both, such as execute-api and eu-central-1", a.Service, a.Region)
		}
	default:
		problem("the kind is %q; give one of %s", a.Kind, strings.Join(shortKinds, ", "))
	}
	return errors.Join(problems...)
}

// isSecretName says whether a text names a secret, and maybe a field of it.
func isSecretName(text string) bool {
	name, field, given := strings.Cut(text, "#")
	return name != "" && given == (field != "")
}

// checkTokenURL says what is wrong with a token URL. What goes there is the client's secret, so it goes in the clear only
// where it does not leave the machine.
func checkTokenURL(text string) error {
	if strings.Contains(text, "${Token[") {
		return nil // a token of the CDK, known at deployment only
	}
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Hostname() == "", u.User != nil, u.Fragment != "", u.Scheme != "https" && u.Scheme != "http":
		return errors.New("the token URL is none; give an https URL without user information and fragment, such as https://login.example.com/oauth2/token")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return fmt.Errorf("the token URL has the host %s and plain http, by which the client's secret would travel in the clear; give an https URL", u.Hostname())
	}
	return nil
}

// isLoopback says whether a host is this machine.
func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// UpstreamAuthFrom reads it from the environment. It is zero if the variable is empty. The error names the variable, and holds
// nothing of its value but what is wrong.
func UpstreamAuthFrom(getenv func(string) string) (UpstreamAuth, error) {
	var auth UpstreamAuth
	text := getenv(UpstreamAuthVariable)
	if text == "" {
		return auth, nil
	}
	if err := json.Unmarshal([]byte(text), &auth); err != nil {
		return UpstreamAuth{}, fmt.Errorf("%s is not a JSON object that says how to authenticate", UpstreamAuthVariable)
	}
	if err := auth.Validate(); err != nil {
		return UpstreamAuth{}, fmt.Errorf("%s: %w", UpstreamAuthVariable, err)
	}
	return auth, nil
}

// shortKinds are how the kinds are written in the short form.
var shortKinds = []string{"bearer:SECRET", "basic:SECRET", "header/NAME:SECRET", "query/NAME:SECRET", "oauth2/TOKEN-URL:SECRET", "certificate:SECRET"}

// certificateKind is how a client certificate is written in the short form.
const certificateKind = "certificate"

// ParseUpstreamAuth reads the short form, in which a secret is named by what follows the last colon, such as
// bearer:orders/token, header/X-Api-Key:orders/keys#public and oauth2/https://login.example.com/token:orders/client. Errors
// do not repeat what was given: somebody may have given the secret itself.
func ParseUpstreamAuth(text string) (UpstreamAuth, error) {
	i := strings.LastIndex(text, ":")
	if i < 0 {
		return UpstreamAuth{}, fmt.Errorf("it has no colon; give one of %s", strings.Join(shortKinds, ", "))
	}
	kind, argument, argued := strings.Cut(text[:i], "/")
	auth := UpstreamAuth{Kind: AuthKind(kind), Secret: text[i+1:]}
	takesArgument := false
	switch auth.Kind {
	case AuthBearer, AuthBasic:
	case AuthHeader, AuthQuery:
		auth.Name, takesArgument = argument, true
	case AuthOAuth2:
		auth.TokenURL, takesArgument = argument, true
	case certificateKind:
		auth = UpstreamAuth{Certificate: auth.Secret}
	default:
		return UpstreamAuth{}, fmt.Errorf("it does not begin with a kind that is known; give one of %s", strings.Join(shortKinds, ", "))
	}
	if argued != takesArgument {
		return UpstreamAuth{}, fmt.Errorf("%s is written as %s", kind, shortKinds[slices.IndexFunc(shortKinds, func(form string) bool { return strings.HasPrefix(form, kind) })])
	}
	name, _, _ := strings.Cut(text[i+1:], "#")
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isOfSecretName(r) }) {
		return UpstreamAuth{}, errors.New("behind the last colon is not the name of a secret, which is made of letters, digits and /_+=.@-")
	}
	if err := auth.Validate(); err != nil {
		return UpstreamAuth{}, err
	}
	return auth, nil
}

// isOfSecretName says whether a character may stand in the name of a secret, as AWS Secrets Manager has it.
func isOfSecretName(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/_+=.@-", r)
}
