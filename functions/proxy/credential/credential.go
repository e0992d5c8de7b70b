package credential

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// DefaultCacheTime is how long a secret is used before it is read again.
const DefaultCacheTime = 5 * time.Minute

// readTime is the longest that it may take to have a credential, a token among them. It is part of the attempt's time.
const readTime = 10 * time.Second

// Dependencies are what a Source has of the world around it.
type Dependencies struct {
	// Secrets are read when they are needed. Required for every kind but SigV4.
	Secrets Secrets

	// Role gives the credentials of the function's role. It is called each time that a request is signed. Required for SigV4.
	Role func(context.Context) (aws.Credentials, error)

	// Tokens carries the requests for tokens. It must not repeat any, and must keep to addresses that may be called.
	Tokens http.RoundTripper

	// Now is the time. Default: time.Now.
	Now func() time.Time

	// CacheTime is how long a secret is used before it is read again. Default: DefaultCacheTime.
	CacheTime time.Duration
}

// A Source gives the credential for an upstream. It is safe for concurrent use.
type Source struct {
	auth        message.UpstreamAuth
	value       *cache[string] // what is put into the request; nil if nothing is
	certificate *cache[*Certificate]
	signer      *signer
	now         func() time.Time // of signatures of callbacks
	inLinks     *regexp.Regexp   // where the credential is in the links of an answer; nil if it is in none
}

// New makes the source of a credential. Nothing is read before it is needed.
func New(auth message.UpstreamAuth, d Dependencies) *Source {
	now := time.Now
	if d.Now != nil {
		now = d.Now
	}
	// The time of a sandbox that was frozen goes on by the clock on the wall only.
	wall := func() time.Time { return now().Round(0) }
	if d.CacheTime == 0 {
		d.CacheTime = DefaultCacheTime
	}
	of := func(id string) secret {
		id, field, _ := strings.Cut(id, "#")
		return secret{id: id, field: field, secrets: d.Secrets}
	}
	s := &Source{auth: auth, now: wall}
	main := of(auth.Secret)
	switch auth.Kind {
	case message.AuthBearer:
		s.value = cacheOf(main, main.bearer, wall, d.CacheTime)
	case message.AuthBasic:
		s.value = cacheOf(main, main.basic, wall, d.CacheTime)
	case message.AuthHeader:
		s.value = cacheOf(main, func(text string) (string, error) { return main.line(text, "a text in one line") }, wall, d.CacheTime)
	case message.AuthQuery:
		s.inLinks = parameterInLinks(auth.Name)
		s.value = cacheOf(main, func(text string) (string, error) { return main.line(text, "a text in one line") }, wall, d.CacheTime)
	case message.AuthOAuth2:
		tokens := &tokenSource{
			auth: auth, secret: main, client: cacheOf(main, main.oauth2Client, wall, d.CacheTime), http: tokenClient(d.Tokens), now: wall, unlimited: d.CacheTime,
		}
		s.value = newCache(wall, tokens.read)
	case message.AuthSigV4:
		s.signer = &signer{service: auth.Service, region: auth.Region, role: d.Role, now: now}
	case message.AuthWebhook:
		s.value = cacheOf(main, main.webhookKeys, wall, d.CacheTime)
	}
	if auth.Certificate != "" {
		certificate := of(auth.Certificate)
		s.certificate = cacheOf(certificate, certificate.certificate, wall, d.CacheTime)
	}
	return s
}

// tokenClient makes requests for tokens. A redirect is an answer without a token: who follows it takes the client's secret
// to wherever it leads.
func tokenClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// cacheOf keeps what is made of a secret's text.
func cacheOf[T any](s secret, parse func(string) (T, error), now func() time.Time, keep time.Duration) *cache[T] {
	return newCache(now, func(ctx context.Context) (T, time.Time, error) {
		var none T
		until := now().Add(keep)
		text, err := s.text(ctx)
		if err != nil {
			return none, time.Time{}, err
		}
		value, err := parse(text)
		if err != nil {
			return none, time.Time{}, err
		}
		return value, until, nil
	})
}

// A Credential is one that is put into a request.
type Credential struct {
	source      *Source
	value       *entry[string]
	certificate *entry[*Certificate]
	role        aws.Credentials
}

// Get gives the credential. What is not kept is read. The error is an [*Error].
func (s *Source) Get(ctx context.Context) (*Credential, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	c := &Credential{source: s}
	var err error
	if s.value != nil {
		if c.value, err = s.value.get(ctx); err != nil {
			return nil, err
		}
	}
	if s.certificate != nil {
		if c.certificate, err = s.certificate.get(ctx); err != nil {
			return nil, err
		}
	}
	if s.signer != nil {
		if c.role, err = s.signer.credentials(ctx); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Renew reads anew what a credential was made of, after the upstream has refused it. It gives nil if that has not changed, or if
// it was of no use a moment ago.
func (s *Source) Renew(ctx context.Context, refused *Credential) (*Credential, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	c := &Credential{source: s, role: refused.role}
	var err error
	changed := false
	if s.value != nil {
		if c.value, err = s.value.renew(ctx, refused.value); err != nil {
			return nil, err
		}
		changed = c.value.value != refused.value.value
	}
	if s.certificate != nil {
		if c.certificate, err = s.certificate.renew(ctx, refused.certificate); err != nil {
			return nil, err
		}
		changed = changed || !c.certificate.value.equal(refused.certificate.value)
	}
	if !changed {
		s.RenewedInVain()
		return nil, nil
	}
	return c, nil
}

// RenewedInVain says that the upstream has refused a credential that was new, so that for a moment none is renewed.
func (s *Source) RenewedInVain() {
	s.value.renewedInVain()
	s.certificate.renewedInVain()
}

// Put puts the credential into a request, in the place of what the caller has put there. What went upstream of ours comes
// back: nil if callers may override it and this one does. On a nil Credential it does nothing.
func (c *Credential) Put(r *http.Request, body []byte) (*Credential, error) {
	if c == nil {
		return nil, nil
	}
	auth := c.source.auth
	if auth.CallersOverride && hasOwn(r, auth) {
		if c.certificate != nil {
			return c, nil
		}
		return nil, nil
	}
	switch auth.Kind {
	case message.AuthBearer, message.AuthBasic, message.AuthOAuth2:
		SetField(r.Header, "Authorization", c.value.value)
	case message.AuthHeader:
		SetField(r.Header, auth.Name, c.value.value)
	case message.AuthQuery:
		r.URL.RawQuery = joinQuery(withoutParameter(r.URL.RawQuery, auth.Name), url.QueryEscape(auth.Name)+"="+url.QueryEscape(c.value.value))
	case message.AuthSigV4:
		return c, c.source.signer.sign(r, body, c.role)
	case message.AuthWebhook:
		return c, signWebhook(r.Header, body, c.value.value, c.source.now())
	}
	return c, nil
}

// hasOwn says whether a caller's request has a credential of its own where this one would go.
func hasOwn(r *http.Request, auth message.UpstreamAuth) bool {
	switch auth.Kind {
	case "":
		return false
	case message.AuthHeader:
		return r.Header.Get(auth.Name) != ""
	case message.AuthQuery:
		return withoutParameter(r.URL.RawQuery, auth.Name) != r.URL.RawQuery
	}
	return r.Header.Get("Authorization") != ""
}

// SetField sets a field and removes those that servers which make variables of fields take for the same one (RFC 3875 section
// 4.1.18), such as X_Api_Key for X-Api-Key.
func SetField(header http.Header, name, value string) {
	plain := func(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "-") }
	for other := range header {
		if plain(other) == plain(name) {
			delete(header, other)
		}
	}
	header.Set(name, value)
}

// linkFields are the header fields of an answer that hold links.
var linkFields = []string{"location", "content-location", "link", "refresh"}

// Remove takes the credential out of links in the fields of an answer, by lower-case name. Many an upstream repeats the query
// in a redirect or in the link to the next page. On a nil Credential it does nothing.
func (c *Credential) Remove(headers map[string]string) {
	if c == nil || c.source.inLinks == nil {
		return
	}
	for _, name := range linkFields {
		if value, found := headers[name]; found {
			headers[name] = c.source.inLinks.ReplaceAllString(value, "$1")
		}
	}
}

// parameterInLinks finds a query parameter in links, with its name and equals sign as the first group, and its value behind
// that.
func parameterInLinks(name string) *regexp.Regexp {
	return regexp.MustCompile(`([?&](?:` + regexp.QuoteMeta(name) + `|` + regexp.QuoteMeta(url.QueryEscape(name)) + `)=)[^&#<>"\s]*`)
}

// withoutParameter takes the parameters with a name out of a query, as it is written.
func withoutParameter(query, name string) string {
	if query == "" {
		return ""
	}
	var others []string
	for pair := range strings.SplitSeq(query, "&") {
		given, _, _ := strings.Cut(pair, "=")
		if unescaped, err := url.QueryUnescape(given); err == nil {
			given = unescaped
		}
		if given != name {
			others = append(others, pair)
		}
	}
	return strings.Join(others, "&")
}

func joinQuery(before, pair string) string {
	if before == "" {
		return pair
	}
	return before + "&" + pair
}
