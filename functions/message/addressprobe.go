package message

import (
	"errors"
	"fmt"
	"net/url"
)

// maxAddressProbe is the longest URL of an address probe, in bytes.
const maxAddressProbe = 2048

// CheckAddressProbe says what is wrong with a URL that is to answer with the address that it is called from. It is one of https,
// or of http at a loopback address, which only a local stack reaches.
func CheckAddressProbe(text string) error {
	target, err := url.Parse(text)
	switch {
	case len(text) > maxAddressProbe:
		return fmt.Errorf("it has %d bytes; at most %d are allowed", len(text), maxAddressProbe)
	case err != nil, !isVisibleASCII(text):
		return errors.New("it is not a URL")
	case target.Host == "" || target.Opaque != "":
		return errors.New("it has no host")
	case target.User != nil:
		return errors.New("it has a user name or a password, which would stand in the template in the clear")
	case target.Fragment != "":
		return errors.New("it has a fragment, which is sent to nobody")
	case target.Scheme != "https" && (target.Scheme != "http" || !isLoopback(target.Hostname())):
		return errors.New("it must be one of https")
	}
	return nil
}
