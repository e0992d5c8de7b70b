package message

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// notOwn are the header fields that nobody but those who write a request may set: those of one connection (RFC 9110 section
// 7.6.1), those by which a request is framed and led, and those that mean something to the gateway.
var notOwn = []string{
	"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
	"transfer-encoding", "upgrade", "host", "content-length", "expect", "forwarded", "via", "max-forwards",
	"idempotency-key", "prefer", "upstream-authorization",
}

// prefixesNotOwn start the names of fields that describe how a request came about, and of those that sign it.
var prefixesNotOwn = []string{"x-amz-", "x-amzn-", "x-forwarded-"}

// CheckOwnField says what is wrong with a header field that the proxies are to set on every request.
func CheckOwnField(name string) error {
	lower := strings.ToLower(name)
	switch {
	case !IsToken(name):
		return fmt.Errorf("the header field is %q; give the name of one, such as X-Api-Key", name)
	case slices.Contains(notOwn, lower), slices.ContainsFunc(prefixesNotOwn, func(prefix string) bool { return strings.HasPrefix(lower, prefix) }):
		return fmt.Errorf("the header field %s is written by whoever sends a request on, or means something to the gateway", name)
	}
	return nil
}

// ofCredentials are parts of the names of header fields that carry credentials.
var ofCredentials = []string{"authorization", "cookie", "token", "secret", "password", "credential", "signature", "api-key", "apikey", "auth-key"}

// CheckFixedField says what is wrong with a header field, and its value, that stands in the environment: it cannot be one
// that carries a secret.
func CheckFixedField(name, value string) error {
	if err := CheckOwnField(name); err != nil {
		return err
	}
	lower := strings.ReplaceAll(strings.ToLower(name), "_", "-")
	if strings.HasSuffix(lower, "-key") || slices.ContainsFunc(ofCredentials, func(part string) bool { return strings.Contains(lower, part) }) {
		return fmt.Errorf("the header field %s carries a credential by its name, which would stand in the template in the clear", name)
	}
	if hasControls(value) {
		return errors.New("the header field " + name + " has a value with control characters")
	}
	return nil
}

// hasControls says whether a text holds what cannot stand in the value of a header field (RFC 9110 section 5.5).
func hasControls(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
