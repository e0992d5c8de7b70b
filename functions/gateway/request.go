package main

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// notForwarded are the fields that stay here: those of one connection (RFC 9110 section 7.6.1), those that are written
// anew for the upstream, those that only speak about the way to this gateway, and those that speak to the gateway.
var notForwarded = []string{
	"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
	"transfer-encoding", "upgrade",
	"host", "content-length", "expect",
	"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto",
	"x-amzn-trace-id", "x-amzn-tls-cipher-suite", "x-amzn-tls-version", "x-amzn-requestid",
	"prefer",
}

// signaturePrefixes start the names of the fields that sign a request to the function URL.
var signaturePrefixes = []string{"x-amz-"}

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
	if !isToken(request.Method) || request.Method == http.MethodConnect {
		return nil, invalidRequest("The method " + printable(request.Method) + " is not one that can be forwarded.")
	}
	if reason := refusedPath(request.Path); reason != "" {
		return nil, invalidRequest("The path " + reason + ".")
	}
	if hasControl(request.Query) {
		return nil, invalidRequest("The query holds control characters.")
	}

	for name, value := range event.Headers {
		name = strings.ToLower(name)
		if !isToken(name) {
			return nil, invalidRequest("A header field has the name " + printable(name) + ", which is not a token.")
		}
		if strings.ContainsAny(value, "\r\n\x00") {
			return nil, invalidRequest("The header field " + name + " holds a line break or a NUL.")
		}
		if name == "authorization" && strings.HasPrefix(value, signatureScheme) {
			continue
		}
		request.Headers[name] = value
	}
	if len(event.Cookies) > 0 {
		request.Headers["cookie"] = strings.Join(event.Cookies, "; ")
	}
	for _, name := range strings.Split(request.Headers["connection"], ",") {
		delete(request.Headers, strings.ToLower(strings.TrimSpace(name)))
	}
	for _, name := range notForwarded {
		delete(request.Headers, name)
	}
	for name := range request.Headers {
		for _, prefix := range signaturePrefixes {
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

// escapedPath makes sure that a path is escaped. Function URLs hand it on as it was sent; what is not a valid escape is
// escaped here.
func escapedPath(raw string) string {
	if raw == "" {
		return "/"
	}
	unescaped, err := url.PathUnescape(raw)
	if err != nil {
		return (&url.URL{Path: raw}).EscapedPath()
	}
	return (&url.URL{Path: unescaped, RawPath: raw}).EscapedPath()
}

// refusedPath says why a path may not be forwarded, or nothing. A path may not climb above the base URL's, in any
// spelling that some server would understand as doing so.
func refusedPath(escaped string) string {
	if !strings.HasPrefix(escaped, "/") {
		return "does not start with a slash"
	}
	path, err := url.PathUnescape(escaped)
	if err != nil {
		return "is not well escaped"
	}
	// Some servers unescape twice.
	twice, err := url.PathUnescape(path)
	if err != nil {
		twice = path
	}
	for _, text := range []string{path, twice} {
		if hasControl(text) {
			return "holds control characters"
		}
		if strings.Contains(text, `\`) {
			return `holds a backslash`
		}
		for _, segment := range strings.Split(text, "/") {
			name, _, _ := strings.Cut(segment, ";")
			if name == "." || name == ".." {
				return "holds a dot segment"
			}
		}
	}
	return ""
}

func hasControl(text string) bool {
	for _, r := range text {
		if r < ' ' || r == 0x7f {
			return true
		}
	}
	return false
}

// isToken says whether a text is a token, RFC 9110 section 5.6.2.
func isToken(text string) bool {
	if text == "" {
		return false
	}
	for _, r := range text {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case strings.ContainsRune("!#$%&'*+-.^_`|~", r):
		default:
			return false
		}
	}
	return true
}

// printable shows foreign text in a message.
func printable(text string) string { return structuredString(text) }

// httpVersion is the received protocol as Via has it: 1.1 for HTTP/1.1.
func httpVersion(protocol string) string {
	if _, version, found := strings.Cut(protocol, "/"); found && isToken(version) {
		return version
	}
	return "1.1"
}
