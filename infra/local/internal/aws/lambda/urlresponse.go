package lambda

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// urlResponse is a function's answer as an HTTP response.
type urlResponse struct {
	status  int
	headers map[string]string
	cookies []string
	body    []byte
}

// remappedPrefix stands before headers that the URL claims for itself.
const remappedPrefix = "x-amzn-Remapped-"

// remapped are the headers of a function that reach the caller under another name. That function URLs do so has been
// observed, not documented; API Gateway documents the same. What becomes of the Content-Length of an answer to HEAD is
// neither. It is assumed that the URL lets it stand there, since there is no body whose length could be meant.
var remapped = map[string]bool{"connection": true, "content-length": true, "date": true, "www-authenticate": true}

// parseURLResponse reads a function's answer in payload format 2.0.
func parseURLResponse(result Result) (*urlResponse, error) {
	if result.FunctionError != "" {
		return nil, fmt.Errorf("the function failed: %s", result.ErrorType)
	}
	if !json.Valid(result.Payload) {
		return nil, errors.New("the answer is not JSON")
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(result.Payload, &members) != nil || members["statusCode"] == nil {
		// Not an object, or one without a status: the answer is the body.
		return &urlResponse{
			status:  http.StatusOK,
			headers: map[string]string{"content-type": "application/json"},
			body:    result.Payload,
		}, nil
	}
	a := &urlResponse{headers: make(map[string]string)}
	if err := json.Unmarshal(members["statusCode"], &a.status); err != nil || a.status < 200 || a.status > 599 {
		return nil, fmt.Errorf("statusCode is %s: a number from 200 to 599 is expected", members["statusCode"])
	}
	var headers map[string]json.RawMessage
	if err := unmarshalMember(members, "headers", &headers); err != nil {
		return nil, err
	}
	for name, raw := range headers {
		value, err := headerText(raw)
		if err != nil || !validHeader(name, value) {
			return nil, fmt.Errorf("header %q is %s: a name of token characters and a printable value are expected", name, raw)
		}
		a.headers[name] = value
	}
	if err := unmarshalMember(members, "cookies", &a.cookies); err != nil {
		return nil, err
	}
	for _, cookie := range a.cookies {
		if !validHeader("Set-Cookie", cookie) {
			return nil, fmt.Errorf("cookie %q: a printable value is expected", cookie)
		}
	}
	var body string
	if err := unmarshalMember(members, "body", &body); err != nil {
		return nil, err
	}
	a.body = []byte(body)
	var encoded bool
	if err := unmarshalMember(members, "isBase64Encoded", &encoded); err != nil {
		return nil, err
	}
	if encoded {
		var err error
		if a.body, err = base64.StdEncoding.DecodeString(body); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
	}
	return a, nil
}

// unmarshalMember decodes a member that may be absent or null.
func unmarshalMember(members map[string]json.RawMessage, name string, into any) error {
	raw, ok := members[name]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// headerText returns the value of a header, which is a string, a number or a boolean.
func headerText(raw json.RawMessage) (string, error) {
	switch raw[0] {
	case '"':
		var text string
		err := json.Unmarshal(raw, &text)
		return text, err
	case '{', '[', 'n':
		return "", errors.New("not a single value")
	}
	return string(raw), nil
}

func validHeader(name, value string) bool {
	const tokenCharacters = "!#$%&'*+-.^_`|~"
	for _, c := range name {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && !strings.ContainsRune(tokenCharacters, c) {
			return false
		}
	}
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return name != ""
}

// write sends the response to a request with a method.
//
// AWS documents that a body without a type is application/json where the function returns no status, and shows no other
// answer without one. It is assumed that JSON is what a body without a type is, and that the answers that have no body,
// 204 and 304, get no type.
func (a *urlResponse) write(w http.ResponseWriter, method string) {
	header := w.Header()
	length := strconv.Itoa(len(a.body))
	for name, value := range a.headers {
		switch lower := strings.ToLower(name); {
		case method == http.MethodHead && lower == "content-length" && isLength(value):
			length = value
		case remapped[lower]:
			header.Set(remappedPrefix+lower, value)
		case hopHeaders[lower]:
		case besideURL(http.CanonicalHeaderKey(name)):
			name = http.CanonicalHeaderKey(name)
			header[name] = slices.Insert(header[name], 0, value)
		default:
			header.Set(name, value)
		}
	}
	for _, cookie := range a.cookies {
		header.Add("Set-Cookie", cookie)
	}
	if a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		if header.Get("Content-Type") == "" {
			header.Set("Content-Type", "application/json")
		}
		header.Set("Content-Length", length)
	}
	w.WriteHeader(a.status)
	w.Write(a.body) // the server leaves it out where there must be none
}

// isLength says whether a value is one of Content-Length.
func isLength(value string) bool {
	_, err := strconv.ParseUint(value, 10, 63)
	return err == nil
}
