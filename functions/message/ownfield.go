package message

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// notOwn are the header fields, beside those that are not forwarded, that mean something on the way, or to the gateway.
var notOwn = []string{"via", "max-forwards", "idempotency-key", "prefer", "upstream-authorization"}

// CheckOwnField says what is wrong with a header field that the proxies are to set on every request.
func CheckOwnField(name string) error {
	plain := plainName(name)
	switch {
	case !IsToken(name):
		return fmt.Errorf("the header field is %q; give the name of one, such as X-Api-Key", name)
	case slices.Contains(notOwn, plain), !(Forwarding{}).forwards(plain):
		return fmt.Errorf("the header field %s is written by whoever sends a request on, or means something to the gateway", name)
	}
	return nil
}

// ofCredentials are parts of the names of header fields that carry credentials.
var ofCredentials = []string{"authorization", "cookie", "token", "secret", "password", "credential", "signature", "api-key", "apikey"}

// CheckFixedField says what is wrong with a header field, and its value, that stands in the environment: it cannot be one
// that carries a secret.
func CheckFixedField(name, value string) error {
	if err := CheckOwnField(name); err != nil {
		return err
	}
	plain := plainName(name)
	if strings.HasSuffix(plain, "-key") || slices.ContainsFunc(ofCredentials, func(part string) bool { return strings.Contains(plain, part) }) {
		return fmt.Errorf("the header field %s carries a credential by its name, which would stand in the template in the clear", name)
	}
	if hasControl(strings.ReplaceAll(value, "\t", " ")) {
		return errors.New("the header field " + name + " has a value with control characters")
	}
	return nil
}
