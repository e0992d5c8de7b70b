package credential

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// tokenMargin is how long before its end a token is no longer used: it has to be valid when the request arrives. A token that
// lives for less than twice as long is used for half its life.
const tokenMargin = 30 * time.Second

// A tokenSource gets tokens for the credentials of a client (RFC 6749 section 4.4).
type tokenSource struct {
	auth   message.UpstreamAuth
	secret secret
	client *cache[client]
	http   *http.Client
	now    func() time.Time

	// unlimited is for how long a token is used that does not say when it ends.
	unlimited time.Duration
}

// read gets a token, as the value of Authorization. If the client is refused, its credentials may have been replaced since they
// were read.
func (s *tokenSource) read(ctx context.Context) (string, time.Time, error) {
	known, err := s.client.get(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	value, until, refused, err := s.request(ctx, known.value)
	if refused {
		fresh, unread := s.client.renew(ctx, known)
		if unread == nil && fresh.value != known.value {
			value, until, _, err = s.request(ctx, fresh.value)
		}
	}
	return value, until, err
}

// request asks for a token. refused says that the client is not known by these credentials.
func (s *tokenSource) request(ctx context.Context, c client) (value string, until time.Time, refused bool, err error) {
	config := clientcredentials.Config{
		ClientID: c.id, ClientSecret: c.secret, TokenURL: s.auth.TokenURL, Scopes: s.auth.Scopes, AuthStyle: oauth2.AuthStyleInHeader,
	}
	if s.auth.SecretInBody {
		config.AuthStyle = oauth2.AuthStyleInParams
	}
	if s.auth.Audience != "" {
		config.EndpointParams = url.Values{"audience": {s.auth.Audience}}
	}
	trace := new(retry.Trace)
	ctx = httptrace.WithClientTrace(context.WithValue(ctx, oauth2.HTTPClient, s.http), trace.ClientTrace())
	begun := time.Now()
	token, err := config.Token(ctx)
	if err != nil {
		details, refused := refusal(err, trace)
		return "", time.Time{}, refused, unavailable(s.secret.id, details, nil)
	}
	if strings.ContainsFunc(token.AccessToken, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", time.Time{}, false, unavailable(s.secret.id, "the token URL answered with a token that cannot stand in a header field", nil)
	}
	life := s.unlimited
	if !token.Expiry.IsZero() {
		life = token.Expiry.Sub(begun)
		life -= min(tokenMargin, life/2)
	}
	return "Bearer " + token.AccessToken, s.now().Add(life), false, nil
}

// errorCodes are those of RFC 6749 section 5.2.
var errorCodes = []string{"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope"}

// refusal says why there is no token, without what the token URL has sent, and whether the client was refused.
func refusal(err error, trace *retry.Trace) (details string, refused bool) {
	var answered *oauth2.RetrieveError
	if errors.As(err, &answered) && answered.Response != nil {
		details = "the token URL answered " + strconv.Itoa(answered.Response.StatusCode)
		if slices.Contains(errorCodes, answered.ErrorCode) {
			details += " " + answered.ErrorCode
		}
		return details, answered.Response.StatusCode == http.StatusUnauthorized || answered.ErrorCode == "invalid_client"
	}
	var failed *url.Error
	if !errors.As(err, &failed) {
		return "the token URL did not answer with a token as RFC 6749 has it", false
	}
	failure := retry.ClassifyFailure(err, trace)
	return "the token URL could not be asked: " + string(failure.Type) + ", " + failure.Details, false
}
