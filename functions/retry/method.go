package retry

import (
	"net/http"
	"slices"
)

// safeMethods are the methods that the registry of IANA calls safe (RFC 9110 section 16.1.1), but for PRI, which is no
// request: HTTP/2 connections begin with it.
var safeMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, "PROPFIND", "QUERY", "REPORT", "SEARCH",
}

// repeatableMethods are those that a policy repeats which does not say otherwise: the idempotent methods of RFC 9110 section
// 9.2.2, and the other safe ones of the registry. The registry calls more methods idempotent, most of them of WebDAV, but a
// MOVE or a MKCOL that was carried out is answered with an error the second time.
var repeatableMethods = append(slices.Clone(safeMethods), http.MethodPut, http.MethodDelete)

// Safe says whether a method, in upper case, is one whose requests ask for nothing to be changed: GET, HEAD, OPTIONS, TRACE,
// PROPFIND, QUERY, REPORT and SEARCH, which are the safe methods of the registry of IANA.
func Safe(method string) bool { return slices.Contains(safeMethods, method) }
