package handler

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/rawupstream"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// dials asks a fence the way the dialer does.
func dials(f fence, address string) error {
	return f.control(context.Background(), "tcp", net.JoinHostPort(address, "443"), nil)
}

func TestPublicAddressesAreDialled(t *testing.T) {
	for _, address := range []string{
		"1.1.1.1", "8.8.8.8", "93.184.216.34", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
		"128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0",
		"198.17.255.255", "198.20.0.0", "223.255.255.255", "::ffff:1.1.1.1", "2606:4700::1111", "2a00:1450:4001::1", "2001:200::1",
		"2001:4860:4860::8888", "2003::1", "2400:cb00::1", "3ffd::1", "3fff:1000::1", "2606:4700::5efe", "2606:4700::1:5efe:0:1", "192.31.195.1", "168.63.129.15",
	} {
		if err := dials(fence{}, address); err != nil {
			t.Errorf("%s is refused: %v", address, err)
		}
	}
}

func TestAddressesThatAreNotPublicAreRefused(t *testing.T) {
	for what, addresses := range map[string][]string{
		"the runtime API and other services of the sandbox":  {"127.0.0.1", "127.0.0.2", "127.255.255.255", "::1"},
		"instance metadata and credentials":                  {"169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23"},
		"tracing in the sandbox":                             {"169.254.79.129"},
		"private networks":                                   {"10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "fc00::1", "fdff::1"},
		"shared address space":                               {"100.64.0.1", "100.127.255.255"},
		"this network":                                       {"0.0.0.0", "0.1.2.3", "::"},
		"link local":                                         {"169.254.0.1", "fe80::1", "fe80::1%eth0"},
		"site local":                                         {"fec0::1"},
		"multicast and broadcast":                            {"224.0.0.1", "239.255.255.255", "255.255.255.255", "ff02::1"},
		"reserved":                                           {"240.0.0.1", "192.0.0.1", "198.18.0.1", "198.19.255.255", "192.88.99.1", "100::1", "5f00::1"},
		"the dummy prefix":                                   {"100:0:0:1::1", "100:0:0:1:ffff:ffff:ffff:ffff", "100::ffff:ffff:ffff:ffff"},
		"what IANA gives to nobody":                          {"200::1", "400::1", "1fff:ffff::1", "4000::1", "6000::1", "8000::1", "a000::1", "c000::1", "e000::1", "f000::1", "f800::1", "fe00::1", "3ffe::1", "3ffe:831f::1"},
		"where no API is":                                    {"192.31.196.1", "192.52.193.1", "192.175.48.1", "2620:4f:8000::1", "168.63.129.16"},
		"IPv4 in IPv6, translated":                           {"::ffff:0:127.0.0.1", "::ffff:0:10.0.0.1", "::ffff:0:169.254.169.254", "::ffff:0:8.8.8.8"},
		"IPv4 in IPv6, by ISATAP":                            {"2606:4700::5efe:127.0.0.1", "2606:4700::200:5efe:10.0.0.1", "2a00:1:2:3:0:5efe:a9fe:a9fe", "fe80::5efe:10.0.0.1"},
		"documentation":                                      {"192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"},
		"IPv4 in IPv6, mapped":                               {"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:100.64.0.1"},
		"IPv4 in IPv6, compatible":                           {"::127.0.0.1", "::10.0.0.1"},
		"IPv4 behind NAT64":                                  {"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::808:808", "64:ff9b:1::a00:1"},
		"IPv4 in IPv6, by 6to4 and Teredo":                   {"2002:7f00:1::", "2002:a9fe:a9fe::1", "2001::1", "2001:0:a00:1::1"},
		"what the IETF keeps for protocols and benchmarking": {"2001:2::1", "2001:10::1", "2001:1ff:ffff::1"},
	} {
		for _, address := range addresses {
			err := dials(fence{}, address)
			var fenced errFenced
			if !errors.Is(err, retry.ErrAddressProhibited) || !errors.As(err, &fenced) {
				t.Errorf("%s (%s) is not refused: %v", address, what, err)
				continue
			}
			if plain := netip.MustParseAddr(address).Unmap().WithZone(""); !strings.Contains(err.Error(), plain.String()) {
				t.Errorf("the refusal of %s does not name it: %v", address, err)
			}
		}
	}
}

func TestAnAllowedNetworkIsDialledAndNoOther(t *testing.T) {
	f := fence{allowed: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/32")}}
	for _, address := range []string{"10.1.2.3", "::ffff:10.1.2.3", "fd00:1::5", "1.1.1.1"} {
		if err := dials(f, address); err != nil {
			t.Errorf("%s is refused: %v", address, err)
		}
	}
	for _, address := range []string{"10.2.0.1", "127.0.0.1", "::ffff:10.2.0.1", "fd00:2::5", "169.254.169.254", "64:ff9b::a01:203"} {
		if err := dials(f, address); !errors.Is(err, retry.ErrAddressProhibited) {
			t.Errorf("%s is not refused: %v", address, err)
		}
	}
}

// Security 11.
func TestWhatIsOfTheSandboxIsRefusedWhateverIsAllowedUnlessItIsNamed(t *testing.T) {
	everything := []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"),
		netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("fd00:ec2::/32"),
	}
	for _, address := range []string{
		"127.0.0.1", "127.0.0.2", "127.255.255.255", "0.0.0.0", "0.0.0.1", "169.254.169.254", "169.254.170.2", "169.254.79.129", "::", "::1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fd00:ec2::23",
		"fd00:ec2:ffff::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:169.254.169.254", "64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::169.254.169.254",
		"2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:7f00:1::1", "2001::5601:5601", "fd00:1::5efe:127.0.0.1", "fd00:1::200:5efe:169.254.169.254",
	} {
		if err := dials(fence{allowed: everything}, address); !errors.Is(err, retry.ErrAddressProhibited) {
			t.Errorf("%s is not refused, although only networks are allowed: %v", address, err)
		}
		alone := netip.MustParseAddr(address).Unmap().WithZone("")
		f := fence{allowed: []netip.Prefix{netip.PrefixFrom(alone, alone.BitLen())}}
		if err := dials(f, address); err != nil {
			t.Errorf("%s is refused, although it is named: %v", address, err)
		}
		if err := dials(f, "127.0.0.9"); !errors.Is(err, retry.ErrAddressProhibited) {
			t.Errorf("with %s, 127.0.0.9 is not refused: %v", address, err)
		}
	}
	for _, address := range []string{"10.0.0.1", "192.168.0.1", "100.64.0.1", "fd00:1::1", "fd00:ec3::1", "64:ff9b::8.8.8.8", "64:ff9b::10.0.0.1", "fd12:7f00:1::5", "fd00:1::a9fe:a9fe", "8.8.8.8"} {
		if err := dials(fence{allowed: everything}, address); err != nil {
			t.Errorf("%s is refused, although its network is allowed: %v", address, err)
		}
	}
}

func TestAnIPv4AddressAndItsMappedFormAreJudgedAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var four [4]byte
		for i := range four {
			four[i] = rapid.Byte().Draw(t, "byte")
		}
		plain := netip.AddrFrom4(four)
		mapped := netip.AddrFrom16(plain.As16())
		if a, b := dials(fence{}, plain.String()), dials(fence{}, mapped.String()); (a == nil) != (b == nil) {
			t.Fatalf("%s: %v, but %s: %v", plain, a, mapped, b)
		}
	})
}

func TestWhatIsNotAnAddressIsNotDialled(t *testing.T) {
	for _, address := range []string{"", "localhost:80", "127.0.0.1", "1.1.1.1:http", "0177.0.0.1:80", "2130706433:80"} {
		if err := (fence{}).control(t.Context(), "tcp", address, nil); err == nil {
			t.Errorf("%q may be dialled", address)
		}
	}
}

func TestANameThatResolvesToThisMachineIsRefused(t *testing.T) {
	called := false
	address := rawupstream.Listen(t, func(net.Conn) { called = true })
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "[::1]"} {
		b := newBench(t, "http://127.0.0.1")
		base, err := url.Parse("http://" + host + ":" + port)
		if err != nil {
			t.Fatal(err)
		}
		b.Proxy = newProxy(settings{name: b.name, proxies: b.proxies, baseURL: base, policy: b.policy}, Dependencies{Log: b.log, Clock: b})
		out := b.invoke(t, b.call(message.Request{Method: "GET"}))
		if out.Outcome != retry.Failed || out.Error != retry.NotRetryable || out.Attempts[0].Error != retry.DestinationIPProhibited {
			t.Errorf("%s was answered with %+v", host, out)
		}
	}
	if called {
		t.Error("the address was dialled")
	}
}
