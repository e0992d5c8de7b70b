package localonly

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// A Guard says what is guarded, and how.
type Guard struct {
	// What is guarded, in the plural, as a text about a refusal begins: "The AWS endpoints".
	What string

	// Hosts are names by which it may be asked for, beside localhost and loopback addresses.
	Hosts []string

	// Page is the path of a page that may be opened by a link on another site. Empty means that there is none.
	Page string

	// Refuse answers a request that is refused. detail is a text of one or two sentences.
	Refuse func(w http.ResponseWriter, status int, detail string)
}

// Handler lets through what comes from this machine: from a program, or from a page that is served here itself.
//
// The connection has to come from a loopback address, and the host has to be localhost, a name below it, a loopback
// address or one of Hosts: browsers send the name that the page has, whatever address it leads to. Origin and
// Sec-Fetch-Site, if they are there, must not name another site, whatever the method. Programs other than browsers send
// neither.
func (g Guard) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !isLoopbackAddress(r.RemoteAddr):
			g.Refuse(w, http.StatusForbidden, fmt.Sprintf(
				"The request comes from %s. %s are for this machine only: ask for them there, at localhost or a loopback "+
					"address such as 127.0.0.1.", r.RemoteAddr, g.What))
		case !g.names(r.Host):
			g.Refuse(w, http.StatusMisdirectedRequest, fmt.Sprintf(
				"The host is %q. %s are found under localhost and loopback addresses such as 127.0.0.1 only.", r.Host, g.What))
		case comesFromAnotherSite(r) && !g.opensThePage(r):
			g.Refuse(w, http.StatusForbidden, fmt.Sprintf(
				"The request comes from another site, by its Origin or Sec-Fetch-Site. %s are for pages that are served "+
					"here, and for programs other than browsers.", g.What))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// names says whether a host, with a port or without, is this machine's whatever a name server says. Names below
// localhost are (RFC 6761 section 6.3).
func (g Guard) names(host string) bool {
	name := host
	if withoutPort, _, err := net.SplitHostPort(host); err == nil {
		name = withoutPort
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || slices.Contains(g.Hosts, name) ||
		isLoopback(strings.Trim(name, "[]"))
}

// isLoopback says whether a host without a port is a loopback address.
func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// isLoopbackAddress says whether an address with a port is a loopback address.
func isLoopbackAddress(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && isLoopback(host)
}

// comesFromAnotherSite says whether a browser sent the request for a page that is not served under the same scheme, host
// and port. Another port of this machine is another site, too: what listens there is not ours.
func comesFromAnotherSite(r *http.Request) bool {
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" { // none: the user typed the address, or has it in the bookmarks
			return true
		}
	}
	for _, text := range r.Header.Values("Origin") {
		origin, err := url.Parse(text)
		if err != nil || origin.Scheme != "http" || !strings.EqualFold(origin.Host, r.Host) {
			return true
		}
	}
	return false
}

// opensThePage says whether a browser is about to show the page in a window of its own. The site that the link was on
// does not see it then.
func (g Guard) opensThePage(r *http.Request) bool {
	return g.Page != "" && r.URL.Path == g.Page && r.Method == http.MethodGet && r.Header.Get("Origin") == "" &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}
