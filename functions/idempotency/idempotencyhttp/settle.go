package idempotencyhttp

import (
	"net/http"
	"strings"
)

// unsettled are the statuses below 500 with which an operation was refused for now, and not for good: who asks again with
// other credentials, or later, or in another way, may get through.
var unsettled = map[int]bool{
	http.StatusUnauthorized:                true,
	http.StatusForbidden:                   true,
	http.StatusProxyAuthRequired:           true,
	http.StatusRequestTimeout:              true,
	http.StatusConflict:                    true,
	http.StatusMisdirectedRequest:          true,
	http.StatusLocked:                      true,
	http.StatusTooEarly:                    true,
	http.StatusUpgradeRequired:             true,
	http.StatusPreconditionRequired:        true,
	http.StatusTooManyRequests:             true,
	http.StatusRequestHeaderFieldsTooLarge: true,
}

// advice are the fields in which Stripe, OpenAI and others say whether to repeat a request.
var advice = []string{"stripe-should-retry", "x-should-retry"}

// StoreFinal says whether a response settles the operation: 2xx, 3xx, and those 4xx that refuse it for good. Not settled
// is what is worth another try: 401, 403, 407, 408, 409, 421, 423, 425, 426, 428, 429 and 431, every 5xx, any error with
// Retry-After or with the advice to repeat the request, and what is no response at all; see [Response.Validate].
func StoreFinal(r Response) bool {
	switch {
	case r.StatusCode > 499 || unsettled[r.StatusCode] || r.Validate() != nil:
		return false
	case r.StatusCode < 400:
		return true
	}
	for name, value := range r.Headers {
		switch name = strings.ToLower(name); name {
		case "retry-after":
			return false
		case advice[0], advice[1]:
			if strings.EqualFold(strings.TrimSpace(value), "true") {
				return false
			}
		}
	}
	return true
}

// preconditions are the fields of conditions and of ranges, RFC 9110 sections 13.1 and 14.2.
var preconditions = []string{"if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range"}

// AnswersCondition says whether a response is one to a condition or a range in the request: 206, 304, 412 or 416 to a
// request with such a field. It is no answer for somebody who repeats the request without the field, or with another
// value, and so it is not recorded.
func AnswersCondition(r Request, status int) bool {
	switch status {
	case http.StatusPartialContent, http.StatusNotModified, http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		for _, name := range preconditions {
			if _, given := r.Headers[name]; given {
				return true
			}
		}
	}
	return false
}
