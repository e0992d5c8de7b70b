package handler

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// No prefix contains an address with a zone, so a zone must not hide one.
func TestAZoneChangesNothing(t *testing.T) {
	f := fence{allowed: []netip.Prefix{netip.MustParsePrefix("fd00:1::/32")}}
	for _, address := range []string{"fd00:ec2::254%eth0", "fc00::1%eth0", "fec0::1%1", "fe80::1%eth0", "::1%lo", "2001:db8::1%eth0"} {
		if err := dials(f, address); !errors.Is(err, retry.ErrAddressProhibited) {
			t.Errorf("%s is not refused: %v", address, err)
		}
	}
	for _, address := range []string{"fd00:1::5%eth0", "2606:4700::1111%eth0"} {
		if err := dials(f, address); err != nil {
			t.Errorf("%s is refused: %v", address, err)
		}
	}
}
