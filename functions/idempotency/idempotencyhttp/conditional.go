package idempotencyhttp

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"unicode"
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
// matches for GET and HEAD. A list with anything but entity tags in it matches nothing.
//
// RFC 9110 has 304 for GET and HEAD only, and 412 for all other methods: see [PreconditionFailed]. For a replay 304 is of
// use with every method: the client has the response of the first request, and asks whether that was all.
func NotModified(request Request, response Response) (Response, bool) {
	if !matched(request, response) {
		return response, false
	}
	headers := map[string]string{}
	for name, value := range response.Headers {
		switch name {
		case "content-type", "content-length", "content-encoding", "content-language", "content-range", "transfer-encoding", "content-digest":
		default:
			headers[name] = value
		}
	}
	return Response{StatusCode: http.StatusNotModified, Headers: headers}, true
}

// PreconditionFailed says whether If-None-Match of a request that is neither GET nor HEAD matches the response's ETag, and
// returns the problem to answer with, a 412 (RFC 9110, section 13.1.2). It matches where [NotModified] does.
func PreconditionFailed(request Request, response Response) (Problem, bool) {
	if isRead(request.Method) || !matched(request, response) {
		return Problem{}, false
	}
	return problem(ConditionFailed, http.StatusPreconditionFailed, "The condition of the request does not hold",
		"If-None-Match names the entity tag of the response that was recorded for this Idempotency-Key. Repeat the request without the field to "+
			"get that response."), true
}

// isRead says whether a method asks for a representation, so that 304 is an answer.
func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// matched says whether If-None-Match names the response.
func matched(request Request, response Response) bool {
	condition := strings.Trim(request.Headers["if-none-match"], " \t")
	if condition == "" || !succeeded(response.StatusCode) {
		return false
	}
	if condition == "*" {
		return isRead(request.Method)
	}
	tags, ok := entityTags(condition)
	return ok && slices.Contains(tags, strings.TrimPrefix(response.Headers["etag"], "W/"))
}

// entityTags reads a list of entity tags, each of which it returns without W/ (RFC 9110, sections 5.6.1 and 8.8.3). It says
// false for anything else.
func entityTags(list string) (opaque []string, ok bool) {
	for {
		list = strings.TrimLeft(list, " \t")
		switch {
		case list == "":
			return opaque, true
		case list[0] == ',': // lists may have empty members
			list = list[1:]
			continue
		}
		list = strings.TrimPrefix(list, "W/")
		if list == "" || list[0] != '"' {
			return nil, false
		}
		end := strings.IndexByte(list[1:], '"')
		if end < 0 || strings.ContainsFunc(list[1:end+1], unicode.IsControl) {
			return nil, false
		}
		opaque = append(opaque, list[:end+2])
		list = strings.TrimLeft(list[end+2:], " \t")
		if list != "" && list[0] != ',' {
			return nil, false
		}
	}
}
