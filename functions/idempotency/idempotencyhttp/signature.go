package idempotencyhttp

import (
	"net/url"
	"strings"
)

// signedServices are the services in whose names requests to function URLs and to API Gateway are signed.
var signedServices = map[string]bool{"lambda": true, "execute-api": true}

// WithoutSignature returns a query without the parameters that sign the request itself, which Signature Version 4 allows in
// the place of header fields: X-Amz-Signature and the others that start with X-Amz-. They are different each time that a
// request is sent, and whoever has them can send the request as well, so they are neither a part of what was asked nor for
// anybody behind the endpoint. A query that is signed for another service, such as S3, is left as it is.
func WithoutSignature(query string) string {
	if !strings.Contains(strings.ToLower(query), "x-amz-signature") {
		return query
	}
	var kept []string
	signed, credential := false, ""
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name = strings.ToLower(unescaped(name))
		signed = signed || name == "x-amz-signature"
		if name == "x-amz-credential" {
			credential = unescaped(value)
		}
		if !strings.HasPrefix(name, "x-amz-") {
			kept = append(kept, pair)
		}
	}
	// access key, day, region, service, aws4_request
	if scope := strings.Split(credential, "/"); len(scope) == 5 && !signedServices[scope[3]] {
		signed = false
	}
	if !signed {
		return query
	}
	return strings.Join(kept, "&")
}

// unescaped is a name or value of a query, or the text itself if it is not well escaped.
func unescaped(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}
