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
func (r *Request) carriesCredential() bool { return r.credential(nil) != "" }

// credential is the credential of a request's caller, as far as the names of its fields and parameters tell: all that may be
// one, with what it stands in. It is empty if there is none. What stands in the fields and parameters that are replaced
// does not count; a parameter has a question mark before it.
func (r *Request) credential(replaced []string) string {
	var parts []string
	for name, value := range r.Headers {
		is := name == "authorization" || strings.Contains(name, "api-key") || strings.Contains(name, "apikey") || slices.Contains(credentialFields, name)
		if is && !slices.Contains(replaced, name) {
			parts = append(parts, name+": "+value)
		}
	}
	for parameter := range strings.SplitSeq(r.Query, "&") {
		name, value, _ := strings.Cut(parameter, "=")
		if value != "" && slices.Contains(credentialParameters, strings.ToLower(name)) && !slices.Contains(replaced, "?"+name) {
			parts = append(parts, "?"+parameter)
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, "\n")
}
