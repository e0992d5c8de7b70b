package handler

import (
	"context"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A fence keeps a proxy from being used to reach what only it can reach: the runtime API and the credentials of its
// own sandbox, the instance metadata service, hosts of a private network. It looks at the address that is about to be
// dialled, after resolution, so that a name which resolves to something else a moment later gains nothing.
type fence struct {
	allowed []netip.Prefix
}

// errFenced is the error of a connection to an address that is not public.
type errFenced struct{ addr netip.Addr }

func (e errFenced) Error() string {
	return fmt.Sprintf("the upstream's address %s is not public and not in an allowed network", e.addr)
}

// notPublic lists what [netip.Addr.IsGlobalUnicast] lets pass although no public host is there, or although it hides
// another address. From the IANA special-purpose address registries, RFC 6890.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("10.0.0.0/8"),      // private use
	netip.MustParsePrefix("100.64.0.0/10"),   // shared address space
	netip.MustParsePrefix("172.16.0.0/12"),   // private use
	netip.MustParsePrefix("192.0.0.0/24"),    // IETF protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relay anycast
	netip.MustParsePrefix("192.168.0.0/16"),  // private use
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarking
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, and broadcast
	netip.MustParsePrefix("::/96"),           // IPv4-compatible, obsolete
	netip.MustParsePrefix("64:ff9b::/96"),    // IPv4 behind NAT64
	netip.MustParsePrefix("64:ff9b:1::/48"),  // local NAT64
	netip.MustParsePrefix("100::/64"),        // discard only
	netip.MustParsePrefix("2001::/23"),       // IETF protocol assignments, Teredo among them
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("2002::/16"),       // 6to4
	netip.MustParsePrefix("3fff::/20"),       // documentation
	netip.MustParsePrefix("5f00::/16"),       // segment routing
	netip.MustParsePrefix("fc00::/7"),        // unique local
	netip.MustParsePrefix("fec0::/10"),       // site local, obsolete
}

// Unwrap makes it a failure of its own kind to the policy.
func (e errFenced) Unwrap() error { return retry.ErrAddressProhibited }

// check says whether an address may be dialled.
func (f fence) check(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	for _, prefix := range f.allowed {
		if prefix.Contains(addr) {
			return nil
		}
	}
	if !addr.IsGlobalUnicast() {
		return errFenced{addr}
	}
	for _, prefix := range notPublic {
		if prefix.Contains(addr) {
			return errFenced{addr}
		}
	}
	return nil
}

// control has the form of [net.Dialer.ControlContext].
func (f fence) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("the address %q to dial is not an IP address: %w", address, err)
	}
	return f.check(target.Addr())
}
