package idempotencyhttp

import (
	"maps"
	"slices"
	"strings"
)

// A response that was made with somebody's credentials is for them alone: whoever shows other credentials, or none, is
// another caller, even with the same key.

// credentialFields are the header fields that carry credentials, beside those that credentialSuffixes tells.
var credentialFields = map[string]bool{
	"authorization": true,
	"api-key":       true, "apikey": true, "x-apikey": true, "api-token": true, "access-token": true, "auth-token": true,
	"private-token": true, "job-token": true, "x-token": true, "x-auth-key": true, "x-authorization": true,
}

// credentialSuffixes end the names of header fields that carry credentials, such as X-Api-Key, X-Shopify-Access-Token and
// Ocp-Apim-Subscription-Key.
var credentialSuffixes = []string{
	"-api-key", "-apikey", "-api-token", "-access-token", "-auth-token", "-session-token", "-subscription-key", "-functions-key",
	"-application-key", "-app-key",
}

// credentialParameters are the query parameters that carry credentials.
var credentialParameters = map[string]bool{"access_token": true, "api_key": true, "api-key": true, "apikey": true, "auth_token": true}

// upstreamAuthorization is the field whose value takes the place of Authorization's behind a RetryingApiProxy.
const upstreamAuthorization = "upstream-authorization"

// signature starts the values of Authorization that sign one request, Signature Version 4. They are different each time.
const signature = "AWS4-"

// signatureFields start the names of the header fields that belong to a signature.
const signatureFields = "x-amz-"

// Credential is a digest of the credentials that a request carries: the fields Authorization, Upstream-Authorization,
// X-Api-Key and their like, and the query parameters api_key, access_token and their like. Cookies count only where there
// is nothing else, since they change with every answer. A signature of the request, which is new each time that it is
// sent, never counts: whoever signs has an identity, which is [Request.Caller].
//
// Header fields that are ignored, and query parameters with a question mark before the name, do not count: those that the
// handler does not look at. The result is empty if the request carries
// no credentials.
func Credential(headers map[string]string, query string, ignored ...string) string {
	var parts []string
	if upstream, given := headers[upstreamAuthorization]; given {
		headers = maps.Clone(headers)
		headers["authorization"] = upstream
		delete(headers, upstreamAuthorization)
	}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		value := strings.Trim(headers[name], " \t")
		if isCredential(name) && value != "" && !strings.HasPrefix(value, signature) && !slices.Contains(ignored, name) {
			parts = append(parts, name, value)
		}
	}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name = unescaped(name)
		if slices.Contains(ignored, "?"+name) {
			continue
		}
		if name = strings.ToLower(name); credentialParameters[name] && value != "" {
			parts = append(parts, "?"+name, value)
		}
	}
	if cookie := headers["cookie"]; len(parts) == 0 && cookie != "" && !slices.Contains(ignored, "cookie") {
		parts = append(parts, "cookie", cookie)
	}
	if len(parts) == 0 {
		return ""
	}
	return digest(parts...)
}

// Fields is a digest of the header fields with these names, in lower case, for callers that are told apart by fields of
// their own, such as one for the tenant. It is empty if the request has none of them.
func Fields(headers map[string]string, names []string) string {
	var parts []string
	for _, name := range names {
		if value, given := headers[name]; given {
			parts = append(parts, name, value)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return digest(parts...)
}

func isCredential(name string) bool {
	if credentialFields[name] {
		return true
	}
	return !strings.HasPrefix(name, signatureFields) && slices.ContainsFunc(credentialSuffixes, func(suffix string) bool {
		return strings.HasSuffix(name, suffix)
	})
}
