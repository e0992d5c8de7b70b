package idempotencyhttp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// A Request is an HTTP request as it counts for idempotency.
type Request struct {
	Method string
	Path   string

	// Query is without the question mark.
	Query string

	// Headers holds the header fields by lower-case name; repeated ones are joined with commas.
	Headers map[string]string

	Body            string
	IsBase64Encoded bool

	// Caller is who sends the request, as the event's authorizer says. Empty if nobody knows.
	Caller string

	// Credential stands for the credentials that the request carries; see the function [Credential]. Empty if it carries
	// none.
	Credential string
}

// A Response is an HTTP response in the words of payload format 2.0. Its JSON is what records hold.
type Response struct {
	StatusCode int `json:"statusCode,omitempty"`

	// Headers holds the header fields by lower-case name; repeated ones are joined with commas, except Set-Cookie.
	Headers map[string]string `json:"headers,omitempty"`

	// Cookies holds the values of the Set-Cookie fields.
	Cookies []string `json:"cookies,omitempty"`

	Body            string `json:"body"`
	IsBase64Encoded bool   `json:"isBase64Encoded"`
}

// Validate says what keeps a response from being one: a status that is not from 200 to 599, a header field whose name is
// not a token or whose value holds control characters, a body that is marked as base64 and is not. It is nil for a
// response that can be sent.
func (r Response) Validate() error {
	if r.StatusCode < 200 || r.StatusCode > 599 {
		return fmt.Errorf("the status is %d; responses have 200 to 599", r.StatusCode)
	}
	for name, value := range r.Headers {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return fmt.Errorf("the header field %q has no proper name or value", name)
		}
	}
	for _, cookie := range r.Cookies {
		if !httpguts.ValidHeaderFieldValue(cookie) {
			return errors.New("a cookie holds control characters")
		}
	}
	if r.IsBase64Encoded {
		if _, err := base64.StdEncoding.DecodeString(r.Body); err != nil {
			return fmt.Errorf("the body is not base64: %w", err)
		}
	}
	return nil
}

// withHeaders returns the response with header fields of its own, which may be changed.
func (r Response) withHeaders() Response {
	headers := make(map[string]string, len(r.Headers)+4)
	for name, value := range r.Headers {
		headers[name] = value
	}
	r.Headers = headers
	return r
}

// within returns the response with these header fields as well, where it has none of the name. Vary lists the names of both.
func (r Response) within(outer map[string]string) Response {
	if len(outer) == 0 {
		return r
	}
	r = r.withHeaders()
	for name, value := range outer {
		if name == "vary" && r.Headers[name] != "" {
			for member := range strings.SplitSeq(value, ",") {
				vary(r, strings.TrimSpace(member))
			}
		} else if _, has := r.Headers[name]; !has {
			r.Headers[name] = value
		}
	}
	return r
}

// bodyBytes is a body without its base64. One that is not base64 after all stands for itself.
func bodyBytes(body string, isBase64 bool) []byte {
	if isBase64 {
		if decoded, err := base64.StdEncoding.DecodeString(body); err == nil {
			return decoded
		}
	}
	return []byte(body)
}
