package message

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"
)

// A Request is the HTTP request that goes upstream, the same on every attempt.
type Request struct {
	Method string `json:"method"`

	// Origin, if it is set, takes the place of the upstream's base URL: scheme and host of a callback. No envelope has it.
	Origin string `json:"-"`

	// Path is the escaped path below the base URL, with its leading slash.
	Path string `json:"path"`

	// Query is the raw query, without the question mark.
	Query string `json:"query,omitempty"`

	// Headers holds the header fields by lower-case name. A function URL joins repeated fields with commas.
	Headers map[string]string `json:"headers,omitempty"`

	Body            string `json:"body,omitempty"`
	IsBase64Encoded bool   `json:"isBase64Encoded,omitempty"`

	// BodyObject names the object that the body is kept in, see package largebody. The body is empty here then.
	BodyObject string `json:"bodyObject,omitempty"`
}

// SetLoaded puts a body in the place of its object. It is taken as it is: what was loaded does not travel any further.
func (r *Request) SetLoaded(body []byte) {
	r.Body, r.IsBase64Encoded, r.BodyObject = string(body), false, ""
}

// WithBodyIn returns the request with the name of an object in the place of its body.
func (r Request) WithBodyIn(object string) Request {
	r.Body, r.IsBase64Encoded, r.BodyObject = "", false, object
	return r
}

// SetBody stores a body, as text where it is text and in base64 where it is not.
func (r *Request) SetBody(body []byte) { r.Body, r.IsBase64Encoded = encodeBody(body) }

// BodyBytes decodes the body.
func (r *Request) BodyBytes() ([]byte, error) { return decodeBody(r.Body, r.IsBase64Encoded) }

// A Response is an HTTP response in the words of API Gateway's payload format 2.0.
type Response struct {
	StatusCode int `json:"statusCode,omitempty"`

	// Headers holds the header fields by lower-case name; repeated fields are joined with commas, except Set-Cookie.
	Headers map[string]string `json:"headers,omitempty"`

	// Cookies holds the values of the Set-Cookie fields, which cannot be joined.
	Cookies []string `json:"cookies,omitempty"`

	Body            string `json:"body"`
	IsBase64Encoded bool   `json:"isBase64Encoded"`
}

// SetBody stores a body, as text where it is text and in base64 where it is not.
func (r *Response) SetBody(body []byte) { r.Body, r.IsBase64Encoded = encodeBody(body) }

// BodyBytes decodes the body.
func (r *Response) BodyBytes() ([]byte, error) { return decodeBody(r.Body, r.IsBase64Encoded) }

// SetLargeBody stores a body as text or in base64, whichever takes less room as JSON. SetBody goes by what is easier to read: a
// text that is all quotes takes twice its size.
func (r *Response) SetLargeBody(body []byte) {
	r.SetBody(body)
	if !r.IsBase64Encoded && textBytes(body) > base64.StdEncoding.EncodedLen(len(body)) {
		r.Body, r.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
}

// textBytes is how long the JSON string of a text is, without its quotes.
func textBytes(text []byte) int {
	n := len(text)
	for i, b := range text {
		switch {
		case b == '"' || b == '\\' || b == '\t' || b == '\n' || b == '\r':
			n++
		case b == 0xE2 && (bytes.HasPrefix(text[i:], []byte("\u2028")) || bytes.HasPrefix(text[i:], []byte("\u2029"))):
			n += len(`\u2028`) - len("\u2028")
		}
	}
	return n
}

// ofContent are the fields that speak of the content of a response, beside Content-Type.
var ofContent = []string{"content-encoding", "content-range", "content-digest", "content-md5", "digest"}

// WithoutBody returns the response without its body, and without the fields that would speak of what is not there.
func (r Response) WithoutBody() Response {
	r.Headers = maps.Clone(r.Headers)
	for _, name := range ofContent {
		delete(r.Headers, name)
	}
	r.Body, r.IsBase64Encoded = "", false
	return r
}

func encodeBody(body []byte) (text string, isBase64 bool) {
	if isText(body) {
		return string(body), false
	}
	return base64.StdEncoding.EncodeToString(body), true
}

func decodeBody(text string, isBase64 bool) ([]byte, error) {
	if !isBase64 {
		return []byte(text), nil
	}
	body, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("message: body is marked as base64 but is not: %w", err)
	}
	return body, nil
}

// isText says whether bytes survive as a JSON string without growing much: valid UTF-8 whose only control characters
// are tab, newline and carriage return. Everything else is smaller in base64.
func isText(body []byte) bool {
	for _, b := range body {
		if b < ' ' && b != '\t' && b != '\n' && b != '\r' {
			return false
		}
	}
	return utf8.Valid(body)
}

// IsToken says whether a text is a token, as methods and the names of header fields are (RFC 9110 section 5.6.2).
func IsToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		return !letter && (r < '0' || '9' < r) && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}
