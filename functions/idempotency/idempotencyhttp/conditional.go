package idempotencyhttp

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// etagBytes is how much of the hash an entity tag has, in bytes.
const etagBytes = 16

// entityTag is a strong entity tag of a body (RFC 9110, section 8.8.3).
func entityTag(r Response) string {
	sum := sha256.Sum256(bodyBytes(r.Body, r.IsBase64Encoded))
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:etagBytes]) + `"`
}

// NotModified says whether a request's If-None-Match matches the response's ETag, and returns the 304 to answer with.
// Only responses with a status of 2xx can match. Tags are compared weakly (RFC 9110, section 13.1.2). An asterisk
// matches for GET and HEAD.
//
// RFC 9110 has 304 for GET and HEAD only. For a replay it is of use with every method: the client has the response of
// the first request, and asks whether that was all.
func NotModified(request Request, response Response) (Response, bool) {
	condition := strings.Trim(request.Headers["if-none-match"], " \t")
	if condition == "" || response.StatusCode < 200 || response.StatusCode > 299 {
		return response, false
	}
	if condition == "*" {
		if request.Method != http.MethodGet && request.Method != http.MethodHead {
			return response, false
		}
	} else if !matches(condition, response.Headers["etag"]) {
		return response, false
	}
	headers := map[string]string{}
	for name, value := range response.Headers {
		switch name {
		case "content-type", "content-length", "content-encoding", "content-language", "content-range", "transfer-encoding":
		default:
			headers[name] = value
		}
	}
	return Response{StatusCode: http.StatusNotModified, Headers: headers}, true
}

// matches says whether a tag is in a list of them. It stops at the first thing that is no entity tag.
func matches(list, tag string) bool {
	opaque := strings.TrimPrefix(tag, "W/")
	for opaque != "" {
		list = strings.TrimLeft(list, " \t,")
		list = strings.TrimPrefix(list, "W/")
		if !strings.HasPrefix(list, `"`) {
			return false
		}
		end := strings.IndexByte(list[1:], '"')
		if end < 0 {
			return false
		}
		if list[:end+2] == opaque {
			return true
		}
		list = list[end+2:]
	}
	return false
}
