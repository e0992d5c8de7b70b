package handler

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-lambda-go/events"

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
	"prefer",
}

// prefixesNotForwarded start the names of the fields that sign a request to the function URL, and of those that
// describe how it got there.
var prefixesNotForwarded = []string{"x-amz-", "x-forwarded-"}

// signatureScheme starts the Authorization field of a request that is signed for the function URL, Signature Version 4.
const signatureScheme = "AWS4-"

// readRequest turns a function URL event into the request that goes upstream, or says what is wrong with it.
func readRequest(event *events.LambdaFunctionURLRequest, pseudonym string) (*message.Request, *problem) {
	request := &message.Request{
		Method:          event.RequestContext.HTTP.Method,
		Path:            escapedPath(event.RawPath),
		Query:           event.RawQueryString,
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

	for name, value := range event.Headers {
		name = strings.ToLower(name)
		if !message.IsToken(name) {
			return nil, invalidRequest("A header field has the name " + printable(name) + ", which is not a token.")
		}
		if hasControl(strings.ReplaceAll(value, "\t", " ")) {
			return nil, invalidRequest("The header field " + name + " holds control characters.")
		}
		if name == "authorization" && strings.HasPrefix(value, signatureScheme) {
			continue
		}
		request.Headers[name] = value
	}
	if len(event.Cookies) > 0 {
		cookies := strings.Join(event.Cookies, "; ")
		if hasControl(cookies) {
			return nil, invalidRequest("A cookie holds control characters.")
		}
		request.Headers["cookie"] = cookies
	}
	for _, name := range strings.Split(request.Headers["connection"], ",") {
		delete(request.Headers, strings.ToLower(strings.TrimSpace(name)))
	}
	for _, name := range notForwarded {
		delete(request.Headers, name)
	}
	for name := range request.Headers {
		for _, prefix := range prefixesNotForwarded {
			if strings.HasPrefix(name, prefix) {
				delete(request.Headers, name)
			}
		}
	}

	via := request.Headers["via"]
	for _, hop := range strings.Split(via, ",") {
		if fields := strings.Fields(hop); len(fields) > 1 && fields[1] == pseudonym {
			return nil, loopDetected("The request's Via names " + pseudonym + ", which is this gateway: the upstream leads back to it.")
		}
	}
	request.Headers["via"] = strings.TrimPrefix(via+", ", ", ") + httpVersion(event.RequestContext.HTTP.Protocol) + " " + pseudonym
	return request, nil
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
