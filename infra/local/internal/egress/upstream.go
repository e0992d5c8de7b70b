package egress

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
)

// For gives the base URL under which the i-th caller, counted from 1, is to reach an upstream, so that the upstream sees
// a source address of its own. It is a [Forwarder]'s if the upstream is on an IPv4 loopback address and this machine has
// more than one of them; it is the upstream's own, and the forwarder nil, if not.
func For(upstream string, i int) (baseURL string, _ *Forwarder, _ error) {
	base, err := url.Parse(upstream)
	if err != nil {
		return "", nil, fmt.Errorf("egress: the upstream is not a URL: %w", err)
	}
	target, loopback := loopbackTarget(base)
	source := netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + i)})
	if !loopback || !Usable(source) {
		return upstream, nil, nil
	}
	forwarder, err := New(target, source)
	if err != nil {
		return "", nil, err
	}
	// The name stays as it is: servers look at it, and certificates are made out to it.
	_, port, _ := net.SplitHostPort(forwarder.Address())
	base.Host = net.JoinHostPort(base.Hostname(), port)
	return base.String(), forwarder, nil
}

// loopbackTarget gives the host and port of a URL whose host is 127.0.0.1 or localhost.
func loopbackTarget(base *url.URL) (string, bool) {
	port := base.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[base.Scheme]
	}
	host := base.Hostname()
	if host == "localhost" {
		return net.JoinHostPort("127.0.0.1", port), true
	}
	address, err := netip.ParseAddr(host)
	if err != nil || address != netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		return "", false
	}
	return net.JoinHostPort(host, port), true
}
