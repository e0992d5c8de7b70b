package idempotencyhttp

import "encoding/base64"

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

// withHeaders returns the response with header fields of its own, which may be changed.
func (r Response) withHeaders() Response {
	headers := make(map[string]string, len(r.Headers)+4)
	for name, value := range r.Headers {
		headers[name] = value
	}
	r.Headers = headers
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
