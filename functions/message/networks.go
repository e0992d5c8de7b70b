package message

import (
	"fmt"
	"net/netip"
)

// A reserved prefix holds addresses that may be called only if they are named one by one.
type reserved struct {
	netip.Prefix
	name, example string
}

// onlyByName are the addresses of a function's own sandbox and of the services that give it credentials. A network that is
// allowed never opens them.
var onlyByName = []reserved{
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback addresses", "127.0.0.1/32"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local addresses", "169.254.1.2/32"},
	{netip.MustParsePrefix("0.0.0.0/8"), "the addresses of this host", "127.0.0.1/32"},
	{netip.MustParsePrefix("::1/128"), "the loopback address", "::1/128"},
	{netip.MustParsePrefix("fe80::/10"), "link-local addresses", "fe80::1/128"},
	{netip.MustParsePrefix("::/128"), "the address of this host", "::1/128"},
}

// awsServices holds the services of the host that AWS has at unique local addresses, such as instance metadata. It lies in
// a network that may be allowed, fd00::/8, and is left out of it.
var awsServices = netip.MustParsePrefix("fd00:ec2::/32")

// OnlyByName says whether an address may be called only if a prefix of UPSTREAM_ALLOWED_NETWORKS holds it alone: loopback
// and link-local addresses, those of this host, and those of the services of AWS's own.
func OnlyByName(addr netip.Addr) bool {
	for _, reserved := range onlyByName {
		if reserved.Contains(addr) {
			return true
		}
	}
	return awsServices.Contains(addr)
}

// ParseNetwork reads a prefix of addresses that may be called although they are not public. The error says what it may be.
func ParseNetwork(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not a prefix; give one such as 10.1.0.0/16, or 10.1.2.3/32 for one address", text)
	}
	if prefix.Addr().Is4In6() {
		plain := prefix.Addr().Unmap()
		return netip.Prefix{}, fmt.Errorf("%q is IPv4 written as IPv6, which is never compared; give %s", text,
			netip.PrefixFrom(plain, max(prefix.Bits()-96, 0)).Masked())
	}
	if masked := prefix.Masked(); masked != prefix {
		return netip.Prefix{}, fmt.Errorf("%q has bits behind its length; give %s for the network, or %s for the address alone",
			text, masked, netip.PrefixFrom(prefix.Addr(), prefix.Addr().BitLen()))
	}
	if prefix.IsSingleIP() {
		return prefix, nil
	}
	for _, reserved := range onlyByName {
		if reserved.Overlaps(prefix) {
			return netip.Prefix{}, fmt.Errorf("%q has %s in it, %s; such are allowed one by one only, as in %s", text,
				reserved.name, reserved.Prefix, reserved.example)
		}
	}
	if awsServices.Contains(prefix.Addr()) {
		return netip.Prefix{}, fmt.Errorf("%q is a network of AWS's own services; such are allowed one by one only, as in fd00:ec2::254/128", text)
	}
	return prefix, nil
}
