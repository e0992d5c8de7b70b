package handler

import (
	"context"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
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

// globalUnicast is all that IANA gives out of IPv6, RFC 4291 section 2.4. Outside of it are, beside private and link-local
// addresses, those that hide an IPv4 address: mapped, compatible, translated (RFC 2765) and behind NAT64 (RFC 6052 and
// 8215), the dummy prefix (RFC 9780), what is for discarding (RFC 6666) and for segment routing (RFC 9602).
var globalUnicast = netip.MustParsePrefix("2000::/3")

// notPublic lists what has no public host, or none that serves an API, among the IPv4 addresses that
// [netip.Addr.IsGlobalUnicast] lets pass and the IPv6 ones of globalUnicast. From the IANA special-purpose address
// registries, RFC 6890, but for the last of each.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),        // this network
	netip.MustParsePrefix("10.0.0.0/8"),       // private use
	netip.MustParsePrefix("100.64.0.0/10"),    // shared address space
	netip.MustParsePrefix("172.16.0.0/12"),    // private use
	netip.MustParsePrefix("192.0.0.0/24"),     // IETF protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),     // documentation
	netip.MustParsePrefix("192.31.196.0/24"),  // AS112, which answers for names of private networks
	netip.MustParsePrefix("192.52.193.0/24"),  // relays of multicast, AMT
	netip.MustParsePrefix("192.88.99.0/24"),   // 6to4 relay anycast
	netip.MustParsePrefix("192.168.0.0/16"),   // private use
	netip.MustParsePrefix("192.175.48.0/24"),  // AS112
	netip.MustParsePrefix("198.18.0.0/15"),    // benchmarking
	netip.MustParsePrefix("198.51.100.0/24"),  // documentation
	netip.MustParsePrefix("203.0.113.0/24"),   // documentation
	netip.MustParsePrefix("240.0.0.0/4"),      // reserved, and broadcast
	netip.MustParsePrefix("168.63.129.16/32"), // the host's services in Azure

	netip.MustParsePrefix("2001::/23"),         // IETF protocol assignments, Teredo among them
	netip.MustParsePrefix("2001:db8::/32"),     // documentation
	netip.MustParsePrefix("2002::/16"),         // 6to4
	netip.MustParsePrefix("2620:4f:8000::/48"), // AS112
	netip.MustParsePrefix("3fff::/20"),         // documentation
	netip.MustParsePrefix("3ffe::/16"),         // the 6bone, given back (RFC 3701), and the first Teredo
}

// Unwrap makes it a failure of its own kind to the policy.
func (e errFenced) Unwrap() error { return retry.ErrAddressProhibited }

// check says whether an address may be dialled.
func (f fence) check(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	if isPublic(addr) || f.allows(addr) {
		return nil
	}
	return errFenced{addr}
}

// allows says whether an address lies in an allowed network. Those of the sandbox and of what gives it credentials have to
// be named one by one, also where they are hidden in another.
func (f fence) allows(addr netip.Addr) bool {
	onlyByName := message.OnlyByName(addr)
	for _, hidden := range hiddenIPv4(addr) {
		onlyByName = onlyByName || hidden.IsLoopback() || hidden.IsLinkLocalUnicast()
	}
	for _, prefix := range f.allowed {
		if prefix.Contains(addr) && (prefix.IsSingleIP() || !onlyByName) {
			return true
		}
	}
	return false
}

// isPublic says whether a public host may have an address.
func isPublic(addr netip.Addr) bool {
	if !addr.IsGlobalUnicast() || addr.Is6() && (!globalUnicast.Contains(addr) || isISATAP(addr)) {
		return false
	}
	for _, prefix := range notPublic {
		if prefix.Contains(addr) {
			return false
		}
	}
	return true
}

// isISATAP says whether an IPv6 address ends with the interface id of an IPv4 address, RFC 5214 section 6.1: the host is
// reached through IPv4, at that address.
func isISATAP(addr netip.Addr) bool {
	b := addr.As16()
	return b[8]&^0x02 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}

// The prefixes of IPv6 addresses that hide an IPv4 address in their last four bytes, or elsewhere.
var (
	withIPv4 = []netip.Prefix{
		netip.MustParsePrefix("::/96"),           // compatible, RFC 4291 section 2.5.5.1
		netip.MustParsePrefix("::ffff:0:0:0/96"), // translated, RFC 2765 section 2.1
		netip.MustParsePrefix("64:ff9b::/96"),    // NAT64, RFC 6052 section 2.1
		netip.MustParsePrefix("64:ff9b:1::/48"),  // NAT64 of a network's own, RFC 8215
	}
	sixToFour = netip.MustParsePrefix("2002::/16") // RFC 3056
	teredo    = netip.MustParsePrefix("2001::/32") // RFC 4380
)

// hiddenIPv4 lists the IPv4 addresses that an IPv6 address leads to.
func hiddenIPv4(addr netip.Addr) (hidden []netip.Addr) {
	if addr.Is4() {
		return nil
	}
	b := addr.As16()
	last := [4]byte(b[12:])
	for _, prefix := range withIPv4 {
		if prefix.Contains(addr) {
			hidden = append(hidden, netip.AddrFrom4(last))
		}
	}
	if isISATAP(addr) {
		hidden = append(hidden, netip.AddrFrom4(last))
	}
	if sixToFour.Contains(addr) {
		hidden = append(hidden, netip.AddrFrom4([4]byte(b[2:6])))
	}
	if teredo.Contains(addr) { // the server, and the client with its bits inverted
		client := [4]byte{^last[0], ^last[1], ^last[2], ^last[3]}
		hidden = append(hidden, netip.AddrFrom4([4]byte(b[4:8])), netip.AddrFrom4(client))
	}
	return hidden
}

// control has the form of [net.Dialer.ControlContext].
func (f fence) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("the address %q to dial is not an IP address: %w", address, err)
	}
	return f.check(target.Addr())
}
