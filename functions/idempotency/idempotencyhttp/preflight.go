package idempotencyhttp

import "net/http"

// The fields that make a request a preflight, as events spell them.
const (
	originField          = "origin"
	requestedMethodField = "access-control-request-method"
)

// Preflight says whether a browser asks by the request whether a page of another origin may send the request that it
// wants to send (Fetch standard, CORS-preflight request). The page has no say in a preflight, so that it carries no key,
// no credentials, and nothing else of the page's.
func (r Request) Preflight() bool {
	_, origin := r.Headers[originField]
	_, method := r.Headers[requestedMethodField]
	return r.Method == http.MethodOptions && origin && method
}
