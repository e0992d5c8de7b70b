package handler

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// signatureScheme starts the Authorization field of a request that is signed for the function URL, Signature Version 4.
const signatureScheme = "AWS4-"

// upstreamAuthorization is the field in which a caller sends the upstream's Authorization, where Authorization signs the
// request for the function URL, and everywhere else.
const upstreamAuthorization = "upstream-authorization"

// readRequest turns a function URL event into the request that goes upstream, or says what is wrong with it.
func readRequest(event *events.LambdaFunctionURLRequest, pseudonym string, forwarding message.Forwarding) (*message.Request, *problem) {
	request := &message.Request{
		Method:          event.RequestContext.HTTP.Method,
		Path:            message.EscapedPath(event.RawPath),
		Query:           idempotencyhttp.WithoutSignature(event.RawQueryString),
		Headers:         make(map[string]string, len(event.Headers)+1),
		Body:            event.Body,
		IsBase64Encoded: event.IsBase64Encoded,
	}
	if strings.Contains(event.RawPath, string(utf8.RuneError)) || !isUnicode(request.Query) {
		return nil, invalidRequest("The path or the query holds bytes that are not UTF-8, which have to be escaped.")
	}
	if reason := readHeaders(event, request.Headers); reason != "" {
		return nil, invalidRequest(reason)
	}
	if refusal := forwarding.Refuse(request); refusal != nil {
		return nil, refused(refusal, forwarding)
	}
	if strings.HasPrefix(request.Headers["authorization"], signatureScheme) {
		delete(request.Headers, "authorization")
	}
	if credential, given := request.Headers[upstreamAuthorization]; given {
		request.Headers["authorization"] = credential
		delete(request.Headers, upstreamAuthorization)
	}

	via := request.Headers["via"]
	if names(via, pseudonym) {
		return nil, loopDetected("The request's Via names " + pseudonym + ", which is this gateway: the upstream leads back to it.")
	}
	forwarding.RemoveFields(request.Headers)
	request.Headers["via"] = joinFields(via, httpVersion(event.RequestContext.HTTP.Protocol)+" "+pseudonym)

	// Lambda hands over as text what it knows to be text, by its type. What else is text takes less room as such.
	body, err := request.BodyBytes()
	if err != nil {
		return nil, invalidRequest("The body is marked as base64 and is not.")
	}
	request.SetBody(body)
	return request, nil
}

// readHeaders reads the header fields of an event, and its cookies, which stand apart, or says why they cannot be forwarded.
func readHeaders(event *events.LambdaFunctionURLRequest, headers map[string]string) (refused string) {
	for name, value := range event.Headers {
		name = strings.ToLower(name)
		if !isUnicode(name) || !isUnicode(value) {
			return fmt.Sprintf("The header field %+q holds bytes that are not UTF-8.", name)
		}
		headers[name] = value
	}
	if len(event.Cookies) == 0 {
		return ""
	}
	cookies := strings.Join(event.Cookies, "; ")
	if !isUnicode(cookies) {
		return "A cookie holds bytes that are not UTF-8."
	}
	headers["cookie"] = cookies
	return ""
}

// names says whether a Via field names a proxy by its pseudonym, in whatever case, or with a port, as a host is written (RFC
// 9110 section 7.6.3).
func names(via, pseudonym string) bool {
	for _, hop := range message.Members(via) {
		if fields := strings.Fields(hop); len(fields) > 1 {
			name, _, _ := strings.Cut(fields[1], ":")
			if strings.EqualFold(name, pseudonym) {
				return true
			}
		}
	}
	return false
}

// isUnicode says whether a text is what its sender wrote. Where a field holds bytes that are not UTF-8, an event has
// replacement characters in their place.
func isUnicode(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsRune(text, utf8.RuneError)
}

// httpVersion is the received protocol as Via has it: 1.1 for HTTP/1.1.
func httpVersion(protocol string) string {
	if _, version, found := strings.Cut(protocol, "/"); found && message.IsToken(version) {
		return version
	}
	return "1.1"
}
