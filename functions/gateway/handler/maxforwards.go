package handler

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// maxForwards obeys Max-Forwards, RFC 9110 section 7.6.2, which OPTIONS and TRACE requests may carry: how often the request
// may still be forwarded. It counts the field down. If it was zero, the request goes no further, and the response is the
// answer to it.
func maxForwards(r *message.Request) (response idempotencyhttp.Response, here bool) {
	if r.Method != http.MethodOptions && r.Method != http.MethodTrace {
		return response, false
	}
	left, err := strconv.ParseUint(strings.Trim(r.Headers["max-forwards"], " \t"), 10, 63)
	if err != nil {
		return response, false // none is given, or none that means anything
	}
	if left > 0 {
		r.Headers["max-forwards"] = strconv.FormatUint(left-1, 10)
		return response, false
	}
	if r.Method == http.MethodOptions {
		return idempotencyhttp.Response{StatusCode: http.StatusNoContent, Headers: map[string]string{}}, true
	}
	// What came, without fields that may hold secrets (RFC 9110 section 9.3.8).
	target := r.Path
	if r.Query != "" {
		target += "?"
	}
	return idempotencyhttp.Response{
		StatusCode: http.StatusOK,
		Headers:    map[string]string{"content-type": "message/http"},
		Body:       "TRACE " + target + " HTTP/1.1\r\nMax-Forwards: 0\r\nVia: " + r.Headers["via"] + "\r\n\r\n",
	}, true
}
