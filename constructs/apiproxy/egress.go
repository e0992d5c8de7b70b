package apiproxy

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/jsii-runtime-go"
)

// An EgressKind says what is known of the addresses that the proxies call from.
type EgressKind string

const (
	// Shared promises nothing: without a VPC the proxies call from addresses of AWS, which other functions share, and in a VPC from
	// those that its routes lead to. AWS does not say that different functions have different addresses.
	Shared EgressKind = "shared"

	// StaticAddresses gives each proxy an IPv4 address of its own, which stays: a subnet for each, with a route to a NAT gateway of
	// its own, with an Elastic IP. That costs $36.50 a month for each proxy, and $0.045 for each GB (list prices of us-east-1), also
	// while there are no requests.
	StaticAddresses EgressKind = "static"

	// IPv6 gives each proxy an IPv6 network of its own, a /64, in a subnet for each, and no way out by IPv4. The upstream must
	// have an IPv6 address. It costs nothing while there are no requests, but for a secret: $14.60 a month for the endpoint of AWS
	// Secrets Manager, where Upstream.Auth or Callback has one.
	IPv6 EgressKind = "ipv6"
)

// Egress says by which addresses the proxies call the upstream: docs/egress.md says what of this is promised, and what it costs.
//
// Without Vpc and Subnets, StaticAddresses and IPv6 create a VPC for the proxies alone, in two availability zones. The
// addresses stand in the output EgressCidrs, for the upstream's allow-list, and in [RetryingApiProxy.EgressCidrs].
type Egress struct {
	// Kind is Shared, StaticAddresses or IPv6. Default: Shared.
	Kind EgressKind

	// ElasticIPs are the allocation ids (eipalloc-…) of Elastic IPs that there are, one for each proxy, that of proxy-1 first. They stay
	// when the stack goes. For StaticAddresses. Default: addresses are created, and released with the stack.
	ElasticIPs []string

	// SubnetCIDRs are IPv4 blocks of Vpc that no subnet has yet, such as 10.1.7.0/28, one for each proxy: for the subnets that are
	// created. For StaticAddresses, where it is to create them in Vpc.
	SubnetCIDRs []string

	// NatSubnets are the public subnets of Vpc that the NAT gateways are put into, in turn; each proxy is in the zone of its NAT
	// gateway. With SubnetCIDRs only. Default: all public subnets of Vpc.
	NatSubnets *awsec2.SubnetSelection

	// Subnets are subnets of Vpc that there are, one for each proxy, that of proxy-1 first. Whoever gives them says that what leaves
	// each has another address: by a NAT gateway, a NAT instance or a firewall for each, or, for IPv6, by an egress-only internet
	// gateway. Where the routes are known, because the subnets are made in the same app, two that lead to the same NAT gateway
	// or instance are refused. The addresses are then known to whoever made them, and in no output. Default: subnets are created.
	Subnets []awsec2.ISubnet

	// ProbeURL is an https URL that answers a GET with the address that it was called from, and nothing else, such as
	// https://checkip.amazonaws.com. Each proxy calls it now and then and tells its address in its attempts, so that the metric
	// Addresses counts how many there are. Whoever runs it learns the addresses. With Upstream.AllowPlainHTTP, it may be one of http.
	// Default: none; no proxy knows its address.
	ProbeURL string
}

// Subnets of AWS have prefixes from 16 to 28 bits. The smallest has room for 11 addresses.
const (
	largestSubnetBits  = 16
	smallestSubnetBits = 28
)

// maxSecurityGroups is how many groups Lambda takes for a function.
const maxSecurityGroups = 5

// createsVpc says whether a VPC is created for the proxies. It assumes props that are valid.
func (p RetryingApiProxyProps) createsVpc() bool { return p.Egress.Kind != Shared && p.Vpc == nil }

// validateEgress checks by which way the proxies reach the upstream. It assumes props that have their defaults.
func (p RetryingApiProxyProps) validateEgress() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	e := p.Egress

	if p.Vpc == nil && p.VpcSubnets != nil {
		problem("VpcSubnets is set, and Vpc is not; set Vpc to the VPC of the subnets")
	}
	if p.Vpc == nil && len(p.SecurityGroups) > 0 {
		problem("SecurityGroups has %d, and Vpc is not set; set Vpc to the VPC of the groups", len(p.SecurityGroups))
	}
	if len(p.SecurityGroups) > maxSecurityGroups {
		problem("SecurityGroups has %d; Lambda takes %d at most", len(p.SecurityGroups), maxSecurityGroups)
	}
	if p.Vpc != nil && e.Kind == Shared {
		if public := publicIn(p.Vpc, *p.Vpc.SelectSubnets(p.VpcSubnets).Subnets); public != "" {
			problem("VpcSubnets selects the public subnet %s, from where a function cannot reach the internet; select private subnets", public)
		}
	}

	needsVpc := func(name string, set bool) {
		if set && p.Vpc == nil {
			problem("Egress.%s is set, and Vpc is not; set Vpc to the VPC of the subnets", name)
		}
	}
	each := func(name string, n int) bool {
		if n != p.ProxyCount {
			problem("Egress.%s has %d for %d proxies; give one for each", name, n, p.ProxyCount)
		}
		return n == p.ProxyCount
	}
	switch e.Kind {
	case Shared:
		for _, field := range []struct {
			name string
			set  bool
		}{{"ElasticIPs", len(e.ElasticIPs) > 0}, {"SubnetCIDRs", len(e.SubnetCIDRs) > 0}, {"NatSubnets", e.NatSubnets != nil}, {"Subnets", len(e.Subnets) > 0}} {
			if field.set {
				problem("Egress.%s is set, and Egress.Kind is %q, which has no use for it; leave it out, or set Kind to %q", field.name, e.Kind, StaticAddresses)
			}
		}
	case StaticAddresses, IPv6:
		if p.VpcSubnets != nil {
			problem("VpcSubnets is set, and Egress.Kind is %q, for which each proxy has a subnet of its own; give Egress.Subnets in its place", e.Kind)
		}
		needsVpc("SubnetCIDRs", len(e.SubnetCIDRs) > 0)
		needsVpc("NatSubnets", e.NatSubnets != nil)
		needsVpc("Subnets", len(e.Subnets) > 0)
		switch {
		case len(e.Subnets) > 0:
			if len(e.SubnetCIDRs) > 0 || e.NatSubnets != nil || len(e.ElasticIPs) > 0 {
				problem("Egress.Subnets is set, and so is something of subnets that are created; leave out SubnetCIDRs, NatSubnets and ElasticIPs, or Subnets")
			}
			if each("Subnets", len(e.Subnets)) && p.Vpc != nil {
				problems = append(problems, e.validateSubnets(p.Vpc)...)
			}
		case e.Kind == IPv6:
			if p.Vpc != nil {
				problem("Egress.Kind is %q, and Egress.Subnets is not set; give dual-stack subnets of Vpc, one for each proxy, or leave Vpc out", e.Kind)
			}
			if len(e.SubnetCIDRs) > 0 || e.NatSubnets != nil || len(e.ElasticIPs) > 0 {
				problem("Egress.Kind is %q, which has no NAT gateways; leave out SubnetCIDRs, NatSubnets and ElasticIPs", e.Kind)
			}
		default:
			if p.Vpc != nil && each("SubnetCIDRs", len(e.SubnetCIDRs)) {
				problems = append(problems, validateBlocks(e.SubnetCIDRs, p.Vpc)...)
			}
			if len(e.ElasticIPs) > 0 && each("ElasticIPs", len(e.ElasticIPs)) {
				problems = append(problems, validateAllocations(e.ElasticIPs)...)
			}
		}
	default:
		problem("Egress.Kind is %q; give %q, %q or %q", e.Kind, Shared, StaticAddresses, IPv6)
	}
	if base, err := url.Parse(p.Upstream.BaseURL); e.Kind == IPv6 && err == nil {
		if address, err := netip.ParseAddr(base.Hostname()); err == nil && address.Is4() {
			problem("Upstream.BaseURL has the IPv4 address %v, and with Egress.Kind %q the proxies call by IPv6 alone; give a name that has an IPv6 address", address, e.Kind)
		}
	}
	if text := e.ProbeURL; text != "" && !isToken(text) {
		probe, err := url.Parse(text)
		switch {
		case err != nil || probe.Hostname() == "" || probe.User != nil || probe.Fragment != "":
			problem("Egress.ProbeURL is %q; give an https URL without user information and fragment, such as https://checkip.amazonaws.com", text)
		case probe.Scheme == "http" && !p.Upstream.AllowPlainHTTP:
			problem("Egress.ProbeURL is %q; give an https URL, or set Upstream.AllowPlainHTTP", text)
		case probe.Scheme != "https" && probe.Scheme != "http":
			problem("Egress.ProbeURL is %q; give a URL that starts with https://", text)
		}
	}
	return errors.Join(problems...)
}

// validateSubnets checks subnets that are said to lead out by an address each.
func (e Egress) validateSubnets(vpc awsec2.IVpc) (problems []error) {
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if public := publicIn(vpc, e.Subnets); public != "" {
		problem("Egress.Subnets has the public subnet %s, from where a function cannot reach the internet; give private subnets", public)
	}
	seen, ways := map[string]int{}, map[string]int{}
	for i, subnet := range e.Subnets {
		if first, twice := seen[*subnet.SubnetId()]; twice {
			problem("Egress.Subnets has the same subnet for proxy-%d and proxy-%d, which then share an address; give another one", first+1, i+1)
			continue
		}
		seen[*subnet.SubnetId()] = i
		if e.Kind == IPv6 {
			continue // each has a network of its own, whatever leads out of it
		}
		way := wayOut(subnet)
		if way == "" {
			continue // made elsewhere
		}
		if first, twice := ways[way]; twice {
			problem("Egress.Subnets: those of proxy-%d and proxy-%d lead to the same NAT gateway or instance, so they share an address; give each its own", first+1, i+1)
		}
		ways[way] = i
	}
	return problems
}

// wayOut is what the default route of a subnet leads to, or nothing if the subnet was not made in this app.
func wayOut(subnet awsec2.ISubnet) string {
	route, ok := subnet.Node().TryFindChild(jsii.String("DefaultRoute")).(awsec2.CfnRoute)
	if !ok {
		return ""
	}
	for _, to := range []*string{route.NatGatewayId(), route.InstanceId(), route.NetworkInterfaceId(), route.TransitGatewayId(), route.VpcEndpointId()} {
		if to != nil {
			return fmt.Sprint(awscdk.Stack_Of(subnet).Resolve(to))
		}
	}
	return ""
}

// publicIn names a subnet that is one of the public subnets of a VPC, or none.
func publicIn(vpc awsec2.IVpc, subnets []awsec2.ISubnet) string {
	return memberOf(*vpc.PublicSubnets(), subnets)
}

// memberOf names the first subnet that is one of a list, by its path, or none.
func memberOf(list, subnets []awsec2.ISubnet) string {
	ids := map[string]bool{}
	for _, subnet := range list {
		ids[*subnet.SubnetId()] = true
	}
	for _, subnet := range subnets {
		if ids[*subnet.SubnetId()] {
			return *subnet.Node().Path()
		}
	}
	return ""
}

// validateBlocks checks the blocks of subnets that are to be created in a VPC.
func validateBlocks(blocks []string, vpc awsec2.IVpc) (problems []error) {
	taken := map[netip.Prefix]string{}
	if own, made := vpc.(awsec2.Vpc); made { // the blocks of others are not known
		for _, subnets := range []*[]awsec2.ISubnet{own.PublicSubnets(), own.PrivateSubnets(), own.IsolatedSubnets()} {
			for _, subnet := range *subnets {
				if block, err := netip.ParsePrefix(*subnet.Ipv4CidrBlock()); err == nil {
					taken[block] = *subnet.Node().Path()
				}
			}
		}
	}
	for _, text := range blocks {
		if isToken(text) {
			continue
		}
		block, err := netip.ParsePrefix(text)
		if err != nil || !block.Addr().Is4() || block != block.Masked() || block.Bits() > smallestSubnetBits || block.Bits() < largestSubnetBits {
			problems = append(problems, fmt.Errorf("Egress.SubnetCIDRs has %q; give IPv4 blocks from /%d to /%d, such as 10.1.7.0/28", text, largestSubnetBits, smallestSubnetBits))
			continue
		}
		for other, whose := range taken {
			if block.Overlaps(other) {
				problems = append(problems, fmt.Errorf("Egress.SubnetCIDRs has %s, which overlaps with %v of %s; give another one", text, other, whose))
			}
		}
		taken[block] = "another proxy"
	}
	return problems
}

// validateAllocations checks the ids of Elastic IPs.
func validateAllocations(ids []string) (problems []error) {
	seen := map[string]int{}
	for i, id := range ids {
		if !strings.HasPrefix(id, "eipalloc-") && !isToken(id) {
			problems = append(problems, fmt.Errorf("Egress.ElasticIPs has %q; give allocation ids, such as eipalloc-0123456789abcdef0", id))
		}
		if first, twice := seen[id]; twice {
			problems = append(problems, fmt.Errorf("Egress.ElasticIPs has %q for proxy-%d and proxy-%d; give another one, since a NAT gateway takes it for itself", id, first+1, i+1))
		}
		seen[id] = i
	}
	return problems
}

// explainEgress says which addresses the proxies have, and what they cost. Nothing if nothing is promised of them. It assumes props
// that have their defaults.
func (p RetryingApiProxyProps) explainEgress() string {
	switch kind := p.Egress.Kind; {
	case kind == Shared:
		return ""
	case len(p.Egress.Subnets) > 0:
		return "\nThe proxies call from the addresses of subnets that there are, one for each. What leads out of them costs what it did before.\n"
	case kind == IPv6:
		const endpoint = vpcZones * priceEndpointHour * monthHours
		if slices.Contains(p.services(), secretsManager) {
			return fmt.Sprintf("\nThe proxies call by IPv6 alone, from a /64 each, which costs nothing. The endpoint of AWS Secrets Manager costs $%.2f a\n"+
				"month, also while there are no requests.\n", endpoint)
		}
		return "\nThe proxies call by IPv6 alone, from a /64 each, which costs nothing.\n"
	default:
		return fmt.Sprintf("\nThe proxies call from %d fixed addresses, one for each. Their NAT gateways and addresses cost $%.2f a month, also while there\n"+
			"are no requests, and $%.3f for each GB.\n", p.ProxyCount, float64(p.ProxyCount)*(priceNATHour+priceAddressHour)*monthHours, priceNATGB)
	}
}
