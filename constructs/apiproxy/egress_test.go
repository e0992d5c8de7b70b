//go:build !race

package apiproxy_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// wayOf goes the way of what a function sends: its subnet, the table of routes of that, and the default route in it.
func (t template) wayOf(test *testing.T, function *resource, destination string) (subnet, table, route *resource) {
	test.Helper()
	subnets, _ := function.at("VpcConfig", "SubnetIds").([]any)
	if len(subnets) != 1 {
		test.Fatalf("%s is in %d subnets; want one", function.name(), len(subnets))
	}
	subnet = t.referred(subnets[0])
	for _, a := range t.ofType("AWS::EC2::SubnetRouteTableAssociation") {
		if t.referred(a.at("SubnetId")) == subnet {
			if table != nil {
				test.Fatalf("%s has two tables of routes", subnet.id)
			}
			table = t.referred(a.at("RouteTableId"))
		}
	}
	for _, r := range t.ofType("AWS::EC2::Route") {
		if t.referred(r.at("RouteTableId")) != table {
			continue
		}
		if to := flat(r.at("DestinationCidrBlock")) + flat(r.at("DestinationIpv6CidrBlock")); to != destination || route != nil {
			test.Fatalf("%s has a route to %s, as %s; want one to %s", table.id, to, r.id, destination)
		}
		route = r
	}
	if route == nil {
		test.Fatalf("%s leads nowhere", subnet.id)
	}
	return subnet, table, route
}

func TestStaticAddressesLeadEachProxyOutByASubnetATableANatGatewayAndAnElasticIPOfItsOwn(t *testing.T) {
	for _, variant := range []string{"StaticAddresses", "StaticAddressesInVpc", "Everything", "NoFlagsEverything"} {
		template := variants()[variant]
		seen := map[string]string{}
		own := func(proxy *resource, what, id string) {
			if id == "" {
				t.Errorf("%s: %s has no %s", variant, proxy.name(), what)
			}
			if other, shared := seen[what+id]; shared {
				t.Errorf("%s: %s and %s share %s %s", variant, proxy.name(), other, what, id)
			}
			seen[what+id] = proxy.name()
		}
		for i, proxy := range template.proxies() {
			subnet, table, route := template.wayOf(t, proxy, "0.0.0.0/0")
			nat := template.referred(route.at("NatGatewayId"))
			outside := template.referred(nat.at("SubnetId"))
			own(proxy, "subnet", subnet.id)
			own(proxy, "block", flat(subnet.at("CidrBlock")))
			own(proxy, "table", table.id)
			own(proxy, "NAT gateway", nat.id)
			if zone := flat(subnet.at("AvailabilityZone")); zone != flat(outside.at("AvailabilityZone")) {
				t.Errorf("%s: %s is in another zone than its NAT gateway", variant, proxy.name())
			}
			if subnet.at("MapPublicIpOnLaunch") != false || template.referred(subnet.at("VpcId")) != template.referred(outside.at("VpcId")) {
				t.Errorf("%s: %s is not a private one of the VPC", variant, subnet.id)
			}
			// The NAT gateway is of use once its own subnet has a way out, and the function once it has one.
			if !slices.ContainsFunc(each(nat.DependsOn), func(id string) bool { return template.Resources[id].Type == "AWS::EC2::Route" }) {
				t.Errorf("%s: %s waits for %v; want for the route of its subnet", variant, nat.id, nat.DependsOn)
			}
			if !slices.Contains(each(proxy.DependsOn), route.id) {
				t.Errorf("%s: %s waits for %v; want for %s", variant, proxy.name(), proxy.DependsOn, route.id)
			}
			if variant == "StaticAddressesInVpc" {
				if got, want := flat(nat.at("AllocationId"))+" "+flat(subnet.at("CidrBlock")), fmt.Sprintf("eipalloc-%d 10.0.250.%d/28", i+1, 16*i); got != want {
					t.Errorf("%s: %s has %s; want %s", variant, proxy.name(), got, want)
				}
				continue
			}
			address := template.referred(nat.at("AllocationId"))
			own(proxy, "address", address.id)
			if got := flat(template.Outputs[outputOf(t, template, "EgressCidrs")].Value); strings.Split(got, ",")[i] != "${"+address.id+".PublicIp}/32" {
				t.Errorf("%s: address %d of the output is not that of %s: %s", variant, i+1, proxy.name(), got)
			}
		}
	}
}

// outputOf finds an output by the last id of its construct.
func outputOf(t *testing.T, template template, id string) string {
	t.Helper()
	for name := range template.Outputs {
		if strings.Contains(name, id) {
			return name
		}
	}
	t.Fatalf("there is no output %s", id)
	return ""
}

func TestIPv6LeadsEachProxyOutByANetworkOfItsOwnAndByIPv6Alone(t *testing.T) {
	for _, variant := range []string{"IPv6", "IPv6Callback"} {
		template := variants()[variant]
		seen := map[string]bool{}
		for i, proxy := range template.proxies() {
			subnet, _, route := template.wayOf(t, proxy, "::/0")
			if kind := template.referred(route.at("EgressOnlyInternetGatewayId")).Type; kind != "AWS::EC2::EgressOnlyInternetGateway" {
				t.Errorf("%s: %s leaves by %s", variant, proxy.name(), kind)
			}
			if proxy.at("VpcConfig", "Ipv6AllowedForDualStack") != true || subnet.at("AssignIpv6AddressOnCreation") != true {
				t.Errorf("%s: %s has no IPv6", variant, proxy.name())
			}
			block := flat(subnet.at("Ipv6CidrBlock"))
			if want := fmt.Sprintf(`{"Fn::Select":[%d,{"Fn::Cidr":[`, i); !strings.HasPrefix(block, want) || !strings.HasSuffix(block, `,20,"64"]}]}`) {
				t.Errorf("%s: %s has the network %s; want number %d of the 64s", variant, proxy.name(), block, i)
			}
			if seen[block] || seen[subnet.id] {
				t.Errorf("%s: %s shares its network", variant, proxy.name())
			}
			seen[block], seen[subnet.id] = true, true
		}
		for _, costly := range []string{"AWS::EC2::NatGateway", "AWS::EC2::EIP", "AWS::EC2::InternetGateway"} {
			if found := template.ofType(costly); len(found) > 0 {
				t.Errorf("%s: there is %s", variant, found[0].id)
			}
		}
		outputOf(t, template, "EgressCidrs")
	}
}

// endpoints lists what the services of the VPC endpoints are called, with how many tables of routes or subnets they have.
func (t template) endpoints() (list []string) {
	for _, e := range t.ofType("AWS::EC2::VPCEndpoint") {
		tables, _ := e.at("RouteTableIds").([]any)
		subnets, _ := e.at("SubnetIds").([]any)
		service := regexp.MustCompile(`[a-z0-9]+$`).FindString(flat(e.at("ServiceName")))
		list = append(list, fmt.Sprintf("%s %d", service, len(tables)+len(subnets)))
	}
	slices.Sort(list)
	return list
}

func TestAVpcThatIsCreatedReachesWhatTheProxiesAskOfAWS(t *testing.T) {
	for variant, want := range map[string][]string{
		"InVpc": nil, "StaticAddressesInVpc": nil, "StaticAddresses": {"dynamodb 3"}, "Everything": {"dynamodb 5", "s3 5"},
		"IPv6": {"dynamodb 3"}, "IPv6Callback": {"dynamodb 3", "s3 3", "secretsmanager 2"},
	} {
		if diff := cmp.Diff(want, variants()[variant].endpoints()); diff != "" {
			t.Errorf("%s: endpoints (-want +got):\n%s", variant, diff)
		}
	}
	template := variants()["IPv6Callback"]
	proxies := template.groupsOf(template.proxies()[0])[0]
	for _, rule := range template.ofType("AWS::EC2::SecurityGroupIngress") {
		if template.referred(rule.at("SourceSecurityGroupId")) != proxies || rule.number("FromPort") != 443 {
			t.Errorf("%s lets in somebody else: %v", rule.id, rule.Properties)
		}
	}
}

func TestWhatIsCreatedOfAVpcIsThisAndNoMore(t *testing.T) {
	for variant, want := range map[string][]string{
		"Minimal": nil,
		"StaticAddresses": {
			"EIP 3", "InternetGateway 1", "NatGateway 3", "Route 5", "RouteTable 5", "SecurityGroup 1", "Subnet 5", "SubnetRouteTableAssociation 5", "VPC 1",
			"VPCEndpoint 1", "VPCGatewayAttachment 1",
		},
		"IPv6": {
			"EgressOnlyInternetGateway 1", "Route 3", "RouteTable 3", "SecurityGroup 1", "Subnet 3", "SubnetRouteTableAssociation 3", "VPC 1", "VPCCidrBlock 1", "VPCEndpoint 1",
		},
	} {
		if diff := cmp.Diff(want, variants()[variant].sortedTypes()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", variant, diff)
		}
	}
}

func TestTwentyProxiesFitIntoTheVpcThatIsCreated(t *testing.T) {
	app, stack := newStack()
	props := minimal()
	props.ProxyCount, props.Egress.Kind = 20, apiproxy.StaticAddresses
	apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props)
	blocks := map[string]bool{}
	for _, subnet := range synthesise(app)["Shop"].ofType("AWS::EC2::Subnet") {
		blocks[flat(subnet.at("CidrBlock"))] = true
	}
	if len(blocks) != 22 || !blocks["10.0.0.16/28"] || !blocks["10.0.0.32/28"] || !blocks["10.0.1.80/28"] {
		t.Errorf("the blocks are %v", blocks)
	}
}

func TestSubnetsThatThereAreAreTakenIfTheyLeadOutByAnAddressEach(t *testing.T) {
	app, stack, vpc := network(2)
	props := minimal()
	props.ProxyCount, props.Vpc = 2, vpc
	props.Egress = apiproxy.Egress{Kind: apiproxy.StaticAddresses, Subnets: *vpc.PrivateSubnets()}
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props)
	if proxy.EgressCidrs != nil {
		t.Errorf("it says that it knows the addresses: %v", proxy.EgressCidrs)
	}
	template := synthesise(app)["Shop"]
	ways := map[*resource]bool{}
	for _, function := range template.proxies() {
		_, _, route := template.wayOf(t, function, "0.0.0.0/0")
		ways[template.referred(route.at("NatGatewayId"))] = true
	}
	if len(ways) != 2 {
		t.Errorf("they lead out by %d NAT gateways, want 2", len(ways))
	}
}

func TestNatInstancesAreTaken(t *testing.T) {
	for instances, wants := range map[int]string{2: "", 1: "lead to the same NAT gateway or instance"} {
		_, stack := newStack()
		vpc := awsec2.NewVpc(stack, jsii.String("Network"), &awsec2.VpcProps{
			MaxAzs: jsii.Number(2), NatGateways: jsii.Number(instances),
			NatGatewayProvider: awsec2.NatProvider_InstanceV2(&awsec2.NatInstanceProps{
				InstanceType: awsec2.NewInstanceType(jsii.String("t4g.nano")), MachineImage: awsec2.MachineImage_LatestAmazonLinux2023(nil),
			}),
		})
		p := props(func(p *apiproxy.RetryingApiProxyProps) {
			p.ProxyCount, p.Vpc = 2, vpc
			p.Egress = apiproxy.Egress{Kind: apiproxy.StaticAddresses, Subnets: *vpc.PrivateSubnets()}
		})
		if err := p.Validate(); (err == nil) != (wants == "") || err != nil && !strings.Contains(err.Error(), wants) {
			t.Errorf("with %d instances: %v; want %q", instances, err, wants)
		}
	}
}

func TestEgressThatCannotBeTrueIsRefused(t *testing.T) {
	_, stack, vpc := network(1)
	private, public := *vpc.PrivateSubnets(), *vpc.PublicSubnets()
	elsewhere := awsec2.Vpc_FromVpcAttributes(stack, jsii.String("Elsewhere"), &awsec2.VpcAttributes{
		VpcId: jsii.String("vpc-1"), AvailabilityZones: jsii.Strings("a", "b"), PrivateSubnetIds: jsii.Strings("subnet-1", "subnet-2"),
	})
	for name, c := range map[string]struct {
		change func(*apiproxy.RetryingApiProxyProps)
		want   string // nothing: it is allowed
	}{
		"a kind that is none": {func(p *apiproxy.RetryingApiProxyProps) { p.Egress.Kind = "nat" }, `Egress.Kind is "nat"; give "shared", "static" or "ipv6"`},
		"one NAT for two":     {func(p *apiproxy.RetryingApiProxyProps) { p.Vpc, p.Egress.Subnets = vpc, private }, "Egress.Subnets: those of proxy-1 and proxy-2 lead to the same NAT gateway or instance, so they share an address; give each its own"},
		"one NAT for two, by IPv6": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Vpc, p.Egress = vpc, apiproxy.Egress{Kind: apiproxy.IPv6, Subnets: private}
		}, ""},
		"imported subnets": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Vpc, p.Egress.Subnets = elsewhere, *elsewhere.PrivateSubnets()
		}, ""},
		"one subnet for two": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Vpc, p.Egress.Subnets = vpc, []awsec2.ISubnet{private[0], private[0]}
		}, "Egress.Subnets has the same subnet for proxy-1 and proxy-2"},
		"a public subnet": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Vpc, p.Egress.Subnets = vpc, []awsec2.ISubnet{private[0], public[1]}
		}, "Egress.Subnets has the public subnet Shop/Network/publicSubnet2"},
		"fewer subnets than proxies": {func(p *apiproxy.RetryingApiProxyProps) { p.Vpc, p.Egress.Subnets = vpc, private[:1] }, "Egress.Subnets has 1 for 2 proxies; give one for each"},
		"subnets of no VPC":          {func(p *apiproxy.RetryingApiProxyProps) { p.Egress.Subnets = private }, "Egress.Subnets is set, and Vpc is not"},
		"subnets and addresses": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Vpc, p.Egress.Subnets, p.Egress.ElasticIPs = elsewhere, *elsewhere.PrivateSubnets(), []string{"eipalloc-1", "eipalloc-2"}
		}, "Egress.Subnets is set, and so is something of subnets that are created"},
		"fewer addresses than proxies": {func(p *apiproxy.RetryingApiProxyProps) { p.Egress.ElasticIPs = []string{"eipalloc-1"} }, "Egress.ElasticIPs has 1 for 2 proxies; give one for each"},
		"one address for two":          {func(p *apiproxy.RetryingApiProxyProps) { p.Egress.ElasticIPs = []string{"eipalloc-1", "eipalloc-1"} }, `Egress.ElasticIPs has "eipalloc-1" for proxy-1 and proxy-2`},
		"an address in its place":      {func(p *apiproxy.RetryingApiProxyProps) { p.Egress.ElasticIPs = []string{"eipalloc-1", "203.0.113.7"} }, `Egress.ElasticIPs has "203.0.113.7"; give allocation ids`},
		"addresses":                    {func(p *apiproxy.RetryingApiProxyProps) { p.Egress.ElasticIPs = []string{"eipalloc-1", token} }, ""},
		"a VPC without blocks":         {func(p *apiproxy.RetryingApiProxyProps) { p.Vpc = vpc }, "Egress.SubnetCIDRs has 0 for 2 proxies; give one for each"},
		"blocks of no VPC": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Egress.SubnetCIDRs = []string{"10.0.250.0/28", "10.0.250.16/28"}
		}, "Egress.SubnetCIDRs is set, and Vpc is not"},
		"blocks": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Vpc, p.Egress.SubnetCIDRs = vpc, []string{"10.9.250.0/28", "10.9.250.16/28"}
		}, ""},
		"blocks that overlap": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Vpc, p.Egress.SubnetCIDRs = vpc, []string{"10.9.250.0/27", "10.9.250.16/28"}
		}, "Egress.SubnetCIDRs has 10.9.250.16/28, which overlaps with 10.9.250.0/27 of another proxy"},
		"a block of another subnet": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Vpc, p.Egress.SubnetCIDRs = vpc, []string{"10.0.0.0/28", "10.9.250.16/28"}
		}, "of Shop/Network/publicSubnet1; give another one"},
		"a block that is too small": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Vpc, p.Egress.SubnetCIDRs = vpc, []string{"10.9.250.0/29", "10.9.250.16/28"}
		}, `Egress.SubnetCIDRs has "10.9.250.0/29"; give IPv4 blocks from /16 to /28`},
		"a block with a host": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Vpc, p.Egress.SubnetCIDRs = vpc, []string{"10.9.250.1/28", "10.9.250.16/28"}
		}, `Egress.SubnetCIDRs has "10.9.250.1/28"`},
		"subnets for all": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Vpc, p.Egress.Subnets, p.VpcSubnets = elsewhere, *elsewhere.PrivateSubnets(), &awsec2.SubnetSelection{}
		}, `VpcSubnets is set, and Egress.Kind is "static"`},
		"a VPC for IPv6": {func(p *apiproxy.RetryingApiProxyProps) { p.Vpc, p.Egress.Kind = vpc, apiproxy.IPv6 }, `Egress.Kind is "ipv6", and Egress.Subnets is not set; give dual-stack subnets of Vpc`},
		"addresses for IPv6": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Egress = apiproxy.Egress{Kind: apiproxy.IPv6, ElasticIPs: []string{"eipalloc-1", "eipalloc-2"}}
		}, `Egress.Kind is "ipv6", which has no NAT gateways`},
		"IPv4 by IPv6": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Upstream.BaseURL, p.Egress.Kind = "https://192.0.2.7", apiproxy.IPv6
		}, "Upstream.BaseURL has the IPv4 address 192.0.2.7"},
		"addresses that are shared": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Egress = apiproxy.Egress{ElasticIPs: []string{"eipalloc-1"}}
		}, `Egress.ElasticIPs is set, and Egress.Kind is "shared"`},
		"subnets without a VPC":       {func(p *apiproxy.RetryingApiProxyProps) { p.Egress.Kind, p.VpcSubnets = "", &awsec2.SubnetSelection{} }, "VpcSubnets is set, and Vpc is not"},
		"groups without a VPC":        {func(p *apiproxy.RetryingApiProxyProps) { p.SecurityGroups = make([]awsec2.ISecurityGroup, 2) }, "SecurityGroups has 2, and Vpc is not set"},
		"more groups than Lambda has": {func(p *apiproxy.RetryingApiProxyProps) { p.SecurityGroups = make([]awsec2.ISecurityGroup, 6) }, "SecurityGroups has 6; Lambda takes 5 at most"},
		"public subnets for all": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Egress.Kind, p.Vpc, p.VpcSubnets = "", vpc, &awsec2.SubnetSelection{SubnetType: awsec2.SubnetType_PUBLIC}
		}, "VpcSubnets selects the public subnet Shop/Network/publicSubnet1, from where a function cannot reach the internet; select private subnets"},
	} {
		p := props(func(p *apiproxy.RetryingApiProxyProps) {
			p.ProxyCount, p.Egress.Kind = 2, apiproxy.StaticAddresses
			c.change(p)
		})
		err := p.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}

func TestAProbeIsAnHttpsURLThatTheProxiesAloneAreToldOf(t *testing.T) {
	for text, want := range map[string]string{
		"https://checkip.amazonaws.com": "", "https://address.example.com:8443/v4?text": "", token: "",
		"http://checkip.amazonaws.com": "give an https URL, or set Upstream.AllowPlainHTTP", "ftp://example.com": "give a URL that starts with https://",
		"checkip.amazonaws.com": "give an https URL without", "https://user@example.com": "give an https URL without", "https://example.com/#a": "give an https URL without",
	} {
		err := props(func(p *apiproxy.RetryingApiProxyProps) { p.Egress.ProbeURL = text }).Validate()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
	plain := props(func(p *apiproxy.RetryingApiProxyProps) {
		p.Upstream.AllowPlainHTTP, p.Egress.ProbeURL = true, "http://address.internal/"
	})
	if err := plain.Validate(); err != nil {
		t.Errorf("with AllowPlainHTTP: %v", err)
	}
	for variant, want := range map[string]string{"Everything": "https://checkip.amazonaws.com", "StaticAddresses": ""} {
		template := variants()[variant]
		for _, proxy := range template.proxies() {
			if got := environment(proxy)["ADDRESS_PROBE_URL"]; got != want {
				t.Errorf("%s: %s is told %q, want %q", variant, proxy.name(), got, want)
			}
		}
		if got, told := environment(template.gateway())["ADDRESS_PROBE_URL"]; told {
			t.Errorf("%s: the gateway, which calls nobody, is told %q", variant, got)
		}
	}
}

func TestAddressesOfOneStackAreOfUseInAnother(t *testing.T) {
	app, stack := newStack()
	props := minimal()
	props.Egress.Kind = apiproxy.StaticAddresses
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props)
	if len(proxy.EgressCidrs) != 3 {
		t.Fatalf("there are %d; want 3", len(proxy.EgressCidrs))
	}
	upstream := awscdk.NewStack(app, jsii.String("Upstream"), nil)
	group := awsec2.NewSecurityGroup(upstream, jsii.String("Group"), &awsec2.SecurityGroupProps{
		Vpc: awsec2.NewVpc(upstream, jsii.String("Vpc"), nil),
	})
	for _, cidr := range proxy.EgressCidrs {
		group.AddIngressRule(awsec2.Peer_Ipv4(cidr), awsec2.Port_Tcp(jsii.Number(443)), nil, nil)
	}
	if rules := flat(synthesise(app)["Upstream"].the("AWS::EC2::SecurityGroup").at("SecurityGroupIngress")); strings.Count(rules, `"CidrIp":{"Fn::Join":["",[{"Fn::ImportValue":"Shop:`) != 3 {
		t.Errorf("the rules are %s", rules)
	}
}
