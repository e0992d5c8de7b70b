package handler

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// notForwarded are the fields that stay here: those of one connection (RFC 9110 section 7.6.1), those that are written
// anew for the upstream, those that describe how the request reached the gateway, and those that are meant for the gateway.
var notForwarded = []string{
	"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
	"transfer-encoding", "upgrade",
	"host", "content-length", "expect",
	"forwarded",
	"x-amzn-trace-id", "x-amzn-tls-cipher-suite", "x-amzn-tls-version", "x-amzn-requestid",
}

// prefixesNotForwarded start the names of the fields that sign a request to the function URL, and of those that
// describe how it got there.
var prefixesNotForwarded = []string{"x-amz-", "x-forwarded-"}

// signatureScheme starts the Authorization field of a request that is signed for the function URL, Signature Version 4.
const signatureScheme = "AWS4-"

// upstreamAuthorization is the field in which a caller sends the upstream's Authorization, where Authorization signs the
// request for the function URL, and everywhere else.
const upstreamAuthorization = "upstream-authorization"

// readRequest turns a function URL event into the request that goes upstream, or says what is wrong with it.
func readRequest(event *events.LambdaFunctionURLRequest, pseudonym string) (*message.Request, *problem) {
	request := &message.Request{
		Method:          event.RequestContext.HTTP.Method,
		Path:            escapedPath(event.RawPath),
		Query:           idempotencyhttp.WithoutSignature(event.RawQueryString),
		Headers:         make(map[string]string, len(event.Headers)+1),
		Body:            event.Body,
		IsBase64Encoded: event.IsBase64Encoded,
	}
	if !message.IsToken(request.Method) || request.Method == http.MethodConnect {
		return nil, invalidRequest("The method " + printable(request.Method) + " is not one that can be forwarded.")
	}
	if reason := refusedPath(request.Path); reason != "" {
		return nil, invalidRequest("The path " + reason + ".")
	}
	if hasControl(request.Query) || strings.ContainsAny(request.Query, " #") {
		return nil, invalidRequest("The query holds control characters, spaces or a number sign, which have to be escaped.")
	}
	if strings.Contains(event.RawPath, "\uFFFD") || !isUnicode(request.Query) {
		return nil, invalidRequest("The path or the query holds bytes that are not UTF-8, which have to be escaped.")
	}
	if reason := readHeaders(event, request.Headers); reason != "" {
		return nil, invalidRequest(reason)
	}
	if credential, given := request.Headers[upstreamAuthorization]; given {
		request.Headers["authorization"] = credential
		delete(request.Headers, upstreamAuthorization)
	}

	via := request.Headers["via"]
	if names(via, pseudonym) {
		return nil, loopDetected("The request's Via names " + pseudonym + ", which is this gateway: the upstream leads back to it.")
	}
	removeNotForwarded(request.Headers)
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
		switch {
		case !message.IsToken(name):
			return "A header field has the name " + printable(name) + ", which is not a token."
		case hasControl(strings.ReplaceAll(value, "\t", " ")):
			return "The header field " + name + " holds control characters."
		case !isUnicode(value):
			return "The header field " + name + " holds bytes that are not UTF-8."
		case name == "authorization" && strings.HasPrefix(value, signatureScheme):
			continue
		}
		headers[name] = value
	}
	if len(event.Cookies) == 0 {
		return ""
	}
	cookies := strings.Join(event.Cookies, "; ")
	switch {
	case hasControl(cookies):
		return "A cookie holds control characters."
	case !isUnicode(cookies):
		return "A cookie holds bytes that are not UTF-8."
	}
	headers["cookie"] = cookies
	return ""
}

// removeNotForwarded removes the fields that stay here.
func removeNotForwarded(headers map[string]string) {
	for _, name := range strings.Split(headers["connection"], ",") {
		delete(headers, strings.ToLower(strings.TrimSpace(name)))
	}
	for _, name := range notForwarded {
		delete(headers, name)
	}
	for name := range headers {
		for _, prefix := range prefixesNotForwarded {
			if strings.HasPrefix(name, prefix) {
				delete(headers, name)
			}
		}
	}
}

// names says whether a Via field names a proxy by its pseudonym, in whatever case, or with a port, as a host is written (RFC
// 9110 section 7.6.3).
func names(via, pseudonym string) bool {
	for _, hop := range members(via) {
		if fields := strings.Fields(hop); len(fields) > 1 {
			name, _, _ := strings.Cut(fields[1], ":")
			if strings.EqualFold(name, pseudonym) {
				return true
			}
		}
	}
	return false
}

// escapedPath escapes what cannot stand in a path as it is. Function URLs hand a path on as it was sent. What is escaped
// in it stays escaped, since an escaped slash is not a slash.
func escapedPath(raw string) string {
	if raw == "" {
		return "/"
	}
	var b strings.Builder
	for i := range len(raw) {
		c := raw[i]
		if _, escape := unescapeAt(raw, i); escape || c < 0x80 && (isAlphanumeric(rune(c)) || strings.IndexByte(pathMarks, c) >= 0) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// pathMarks are the characters beside letters and digits that may stand in a path, RFC 3986 section 3.3, and the square
// brackets, which are often sent as they are, and which [url.URL] leaves so.
const pathMarks = "-._~!$&'()*+,;=:@/[]"

// maxUnescapes is how often a server may be expected to unescape a path. Once is right, and some do it twice.
const maxUnescapes = 3

// refusedPath says why a path may not be forwarded, or nothing. A path may not climb above the base URL's, in any
// spelling that some server would understand as doing so.
func refusedPath(escaped string) string {
	if !strings.HasPrefix(escaped, "/") {
		return "does not start with a slash"
	}
	text := escaped
	for range maxUnescapes {
		text = unescape(text)
		if hasControl(text) {
			return "holds control characters"
		}
		if strings.Contains(text, `\`) {
			return "holds a backslash"
		}
		for _, segment := range strings.Split(text, "/") {
			name, _, _ := strings.Cut(segment, ";")
			if name == "." || name == ".." {
				return "holds a dot segment"
			}
		}
	}
	if unescape(text) != text {
		return "is escaped again and again"
	}
	return ""
}

// unescape undoes the escapes in a text, once, and leaves alone what is none, as lenient servers do.
func unescape(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if c, escape := unescapeAt(text, i); escape {
			b.WriteString(c)
			i += 2
		} else {
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

// unescapeAt undoes the escape at a place in a text, if there is one.
func unescapeAt(text string, i int) (c string, escape bool) {
	if text[i] != '%' {
		return "", false
	}
	c, err := url.PathUnescape(text[i:min(i+3, len(text))])
	return c, err == nil
}

// isUnicode says whether a text is what its sender wrote. Where a field holds bytes that are not UTF-8, an event has
// replacement characters in their place.
func isUnicode(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsRune(text, utf8.RuneError)
}

func hasControl(text string) bool {
	for _, r := range text {
		if r < ' ' || r == 0x7f {
			return true
		}
	}
	return false
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// printable shows foreign text in a message.
func printable(text string) string { return structuredString(text) }

// httpVersion is the received protocol as Via has it: 1.1 for HTTP/1.1.
func httpVersion(protocol string) string {
	if _, version, found := strings.Cut(protocol, "/"); found && message.IsToken(version) {
		return version
	}
	return "1.1"
}
