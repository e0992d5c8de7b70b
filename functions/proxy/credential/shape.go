package credential

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// What the texts of secrets look like, by the kind of credential. Each reader says what it expects, and never what it found.

// bearer reads a token, and makes the value of Authorization of it.
func (s secret) bearer(text string) (string, error) {
	token, err := s.line(text, "a token in one line")
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(token, " \t") {
		return "", s.unavailable("expected is a token alone, without Bearer before it and without spaces", nil)
	}
	return "Bearer " + token, nil
}

// line reads a text of one line, as it goes into a header field or a query. What is around it is left out: a line break at
// the end comes of many an editor.
func (s secret) line(text, expected string) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", s.unavailable("it is empty; expected is "+expected, nil)
	case s.field == "" && isObject(text):
		return "", s.unavailable("it is a JSON object; expected is "+expected+", or the name of a field behind a number sign", nil)
	case hasControls(text):
		return "", s.unavailable("it has control characters; expected is "+expected, nil)
	}
	return text, nil
}

// basic reads a user's name and password, and makes the value of Authorization of it (RFC 7617).
func (s secret) basic(text string) (string, error) {
	const expected = `expected is {"username": "...", "password": "..."}, or a name and a password with a colon between them`
	var user struct{ Username, Password *string }
	var name, password string
	switch {
	case isObject(text):
		if json.Unmarshal([]byte(text), &user) != nil || user.Username == nil || user.Password == nil {
			return "", s.unavailable(expected, nil)
		}
		name, password = *user.Username, *user.Password
	default:
		var found bool
		if name, password, found = strings.Cut(strings.TrimRight(text, "\r\n"), ":"); !found {
			return "", s.unavailable(expected, nil)
		}
	}
	if name == "" && password == "" || strings.Contains(name, ":") || hasControls(name+password) {
		return "", s.unavailable(expected+"; a name has no colon, and neither has control characters", nil)
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password)), nil
}

// A client is one of OAuth 2.0.
type client struct{ id, secret string }

// client reads the credentials of a client of OAuth 2.0.
func (s secret) oauth2Client(text string) (client, error) {
	var c struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if json.Unmarshal([]byte(text), &c) != nil || c.ID == "" || c.Secret == "" {
		return client{}, s.unavailable(`expected is {"client_id": "...", "client_secret": "..."}`, nil)
	}
	return client{c.ID, c.Secret}, nil
}

// certificate reads a client certificate and its private key.
func (s secret) certificate(text string) (*Certificate, error) {
	const expected = `expected is {"certificate": "...", "key": "..."}, both in PEM`
	var pair struct{ Certificate, Key string }
	if json.Unmarshal([]byte(text), &pair) != nil || pair.Certificate == "" || pair.Key == "" {
		return nil, s.unavailable(expected, nil)
	}
	certificate, err := tls.X509KeyPair([]byte(pair.Certificate), []byte(pair.Key))
	if err != nil { // which may quote what was found
		return nil, s.unavailable(expected+", the key that of the first certificate", nil)
	}
	return newCertificate(certificate), nil
}

// hasControls says whether a text holds what cannot stand in the value of a header field (RFC 9110 section 5.5).
func hasControls(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}
