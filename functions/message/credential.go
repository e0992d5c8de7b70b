package message

import (
	"slices"
	"strings"
)

// credentialFields are the header fields, beside Authorization and those with an API key in their name, that APIs take a
// credential in. A cookie is none of them: most are of a session.
var credentialFields = []string{"x-access-token", "x-auth-key", "x-auth-token", "x-goog-api-key", "private-token", "dd-application-key"}

// credentialParameters are the parameters of a query that APIs take a credential in.
var credentialParameters = []string{"access_token", "api-key", "api_key", "apikey", "app_id", "appid", "auth_token", "key", "token"}

// carriesCredential says whether a request has a credential of its caller's, by the names of its fields and parameters. It is
// for judging what a limit is likely to be counted by, and nothing is refused or kept back for it.
func (r *Request) carriesCredential() bool {
	for name := range r.Headers {
		if name == "authorization" || strings.Contains(name, "api-key") || strings.Contains(name, "apikey") || slices.Contains(credentialFields, name) {
			return true
		}
	}
	for parameter := range strings.SplitSeq(r.Query, "&") {
		name, value, _ := strings.Cut(parameter, "=")
		if value != "" && slices.Contains(credentialParameters, strings.ToLower(name)) {
			return true
		}
	}
	return false
}
