package message

import (
	"net/netip"
	"strings"
	"testing"
)

func TestNetworksThatMayBeAllowed(t *testing.T) {
	for _, text := range []string{
		"10.0.0.0/8", "10.1.0.0/16", "172.16.0.0/12", "192.168.1.0/24", "10.1.2.3/32", "100.64.0.0/10", "fd00::/8", "fd00:1::/32", "fc00::/7", "64:ff9b::/96", "2001:db8::7/128",
		"127.0.0.1/32", "127.0.0.2/32", "::1/128", "169.254.169.254/32", "fe80::1/128", "fd00:ec2::254/128", "0.0.0.0/32", "::/128",
	} {
		if got, err := ParseNetwork(text); err != nil || got != netip.MustParsePrefix(text) {
			t.Errorf("%s became %v, %v", text, got, err)
		}
	}
}

func TestNetworksThatMayNotBeAllowedAreNamedWithWhatMay(t *testing.T) {
	for text, says := range map[string][]string{
		"10.1.2.3":             {"not a prefix", "10.1.0.0/16"},
		"everything":           {"not a prefix"},
		"300.0.0.0/8":          {"not a prefix"},
		"10.0.0.0/33":          {"not a prefix"},
		"fe80::1%eth0/128":     {"not a prefix"},
		"":                     {"not a prefix"},
		"0.0.0.0/0":            {"loopback addresses", "127.0.0.0/8", "127.0.0.1/32"},
		"::/0":                 {"loopback address", "::1/128"},
		"0.0.0.0/1":            {"loopback addresses"},
		"128.0.0.0/1":          {"link-local addresses", "169.254.0.0/16"},
		"168.0.0.0/5":          {"link-local addresses"},
		"127.0.0.0/8":          {"loopback addresses", "127.0.0.1/32"},
		"127.0.0.0/31":         {"loopback addresses"},
		"126.0.0.0/7":          {"loopback addresses"},
		"169.254.0.0/16":       {"link-local addresses"},
		"169.254.169.0/24":     {"link-local addresses"},
		"0.0.0.0/8":            {"the addresses of this host"},
		"::/96":                {"loopback address"},
		"::/127":               {"loopback address"},
		"fe80::/10":            {"link-local addresses", "fe80::1/128"},
		"fe80::/64":            {"link-local addresses"},
		"8000::/1":             {"link-local addresses"},
		"f000::/4":             {"link-local addresses"},
		"fd00:ec2::/32":        {"AWS's own", "fd00:ec2::254/128"},
		"fd00:ec2::/64":        {"AWS's own"},
		"::ffff:10.0.0.0/104":  {"IPv4 written as IPv6", "10.0.0.0/8"},
		"::ffff:127.0.0.1/128": {"IPv4 written as IPv6", "127.0.0.1/32"},
		"::ffff:0.0.0.0/96":    {"IPv4 written as IPv6"},
		"::ffff:10.0.0.0/64":   {"IPv4 written as IPv6"},
		"10.1.2.3/8":           {"bits behind its length", "10.0.0.0/8", "10.1.2.3/32"},
		"fd00:1::5/32":         {"bits behind its length", "fd00:1::/32", "fd00:1::5/128"},
		"127.0.0.1/8":          {"bits behind its length", "127.0.0.1/32"},
	} {
		_, err := ParseNetwork(text)
		if err == nil {
			t.Errorf("%s may be allowed", text)
			continue
		}
		for _, want := range append(says, `"`+text+`"`) {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the message does not say %s: %v", text, want, err)
			}
		}
	}
}
