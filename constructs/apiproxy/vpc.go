package apiproxy

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy/internal/nagrule"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// The VPC that is created for the proxies: a block with room for the subnets of 20 proxies, and for two public ones of the
// same size. It is connected to nothing, so that its addresses may be in use elsewhere, too.
const (
	vpcBlock  = "10.0.0.0/23"
	vpcZones  = 2
	ipv6Bits  = 64 // of an address that tell hosts of a subnet apart
	httpsPort = 443
)

// A network is where the proxies are in a VPC.
type network struct {
	groups []awsec2.ISecurityGroup
	shared *awsec2.SubnetSelection // of all proxies, or
	each   []awsec2.ISubnet        // one for each of them
	ipv6   bool
}

// newNetwork says where the proxies are, and creates what there is not. Nil is in no VPC.
func newNetwork(r *RetryingApiProxy, props RetryingApiProxyProps) *network {
	e := props.Egress
	if props.Vpc == nil && e.Kind == Shared {
		return nil
	}
	n := &network{groups: props.SecurityGroups, ipv6: e.Kind == IPv6}
	if r.Vpc = props.Vpc; r.Vpc == nil {
		r.Vpc = newVpc(r, e.Kind)
	}
	switch {
	case e.Kind == Shared:
		n.shared = props.VpcSubnets
	case len(e.Subnets) > 0:
		n.each = e.Subnets
	case e.Kind == IPv6:
		n.each = newNetworksOfIPv6(r, props.ProxyCount)
	default:
		n.each = newSubnetsWithNAT(r, props)
	}
	if len(n.groups) == 0 {
		n.groups = []awsec2.ISecurityGroup{newSecurityGroup(r, props)}
	}
	r.connections = awsec2.NewConnections(&awsec2.ConnectionsProps{SecurityGroups: &n.groups})
	if props.createsVpc() {
		newEndpoints(r, props, n)
	} else if warning := n.isolation(r, props); warning != "" {
		awscdk.Annotations_Of(r).AddWarningV2(jsii.String(isolationID), &warning)
	}
	if len(r.EgressCidrs) > 0 {
		awscdk.NewCfnOutput(r, jsii.String("EgressCidrs"), &awscdk.CfnOutputProps{
			Value:       awscdk.Fn_Join(jsii.String(","), &r.EgressCidrs),
			Description: jsii.String("Where the proxies call from, proxy-1 first, for the upstream's allow-list"),
		})
	}
	return n
}

// place puts a function where the proxy of an index is.
func (n *network) place(i int, own *awslambda.FunctionProps, vpc awsec2.IVpc) {
	if n == nil {
		return
	}
	own.Vpc, own.SecurityGroups, own.VpcSubnets = vpc, &n.groups, n.shared
	if n.each != nil {
		own.VpcSubnets = &awsec2.SubnetSelection{Subnets: &[]awsec2.ISubnet{n.each[i]}}
	}
	if n.ipv6 {
		own.Ipv6AllowedForDualStack = jsii.Bool(true)
	}
}

// newVpc creates a VPC for the proxies alone.
func newVpc(r *RetryingApiProxy, kind EgressKind) awsec2.IVpc {
	props := &awsec2.VpcProps{
		IpAddresses: awsec2.IpAddresses_Cidr(jsii.String(vpcBlock)),
		MaxAzs:      jsii.Number(vpcZones),
		NatGateways: jsii.Number(0), // each proxy has its own
		SubnetConfiguration: &[]*awsec2.SubnetConfiguration{{
			Name: jsii.String("nat"), SubnetType: awsec2.SubnetType_PUBLIC, CidrMask: jsii.Number(smallestSubnetBits), MapPublicIpOnLaunch: jsii.Bool(false),
		}},
		RestrictDefaultSecurityGroup: jsii.Bool(false), // nothing is in it, and what empties it would be a function of its own
	}
	if kind == IPv6 {
		props.SubnetConfiguration = &[]*awsec2.SubnetConfiguration{} // nothing leaves by IPv4
	}
	vpc := awsec2.NewVpc(r, jsii.String("Vpc"), props)
	nagrule.Acknowledge(vpc, withoutFlowLogs)
	return vpc
}

// subnetBlock is the block of the subnet of a proxy in the VPC that is created, by its index.
func subnetBlock(i int) *string {
	base := netip.MustParsePrefix(vpcBlock).Addr().As4()
	offset := (vpcZones + i) << (32 - smallestSubnetBits) // behind the public ones
	base[2], base[3] = base[2]+byte(offset>>8), base[3]+byte(offset)
	return jsii.String(netip.PrefixFrom(netip.AddrFrom4(base), smallestSubnetBits).String())
}

// newSubnetsWithNAT creates a subnet for each proxy, with a route of its own to a NAT gateway of its own, with an Elastic IP of its own.
func newSubnetsWithNAT(r *RetryingApiProxy, props RetryingApiProxyProps) []awsec2.ISubnet {
	selection := props.Egress.NatSubnets
	if selection == nil {
		selection = &awsec2.SubnetSelection{SubnetType: awsec2.SubnetType_PUBLIC}
	}
	public := *r.Vpc.SelectSubnets(selection).Subnets
	subnets := make([]awsec2.ISubnet, props.ProxyCount)
	for i := range subnets {
		name, outside := message.ProxyName(i+1), public[i%len(public)]
		block := subnetBlock(i)
		if props.Vpc != nil {
			block = &props.Egress.SubnetCIDRs[i]
		}
		var allocation *string
		if ids := props.Egress.ElasticIPs; len(ids) > 0 {
			allocation = &ids[i]
		} else {
			address := awsec2.NewCfnEIP(r, jsii.String(name+"-address"), &awsec2.CfnEIPProps{Domain: jsii.String("vpc")})
			allocation = address.AttrAllocationId()
			r.EgressCidrs = append(r.EgressCidrs, jsii.String(*address.AttrPublicIp()+"/32"))
		}
		gateway := awsec2.NewCfnNatGateway(r, jsii.String(name+"-nat"), &awsec2.CfnNatGatewayProps{
			SubnetId: outside.SubnetId(), AllocationId: allocation,
		})
		gateway.Node().AddDependency(outside.InternetConnectivityEstablished())
		subnet := awsec2.NewPrivateSubnet(r, jsii.String(name+"-subnet"), &awsec2.PrivateSubnetProps{
			VpcId: r.Vpc.VpcId(), AvailabilityZone: outside.AvailabilityZone(), CidrBlock: block, MapPublicIpOnLaunch: jsii.Bool(false),
		})
		subnet.AddDefaultNatRoute(gateway.AttrNatGatewayId())
		subnets[i] = subnet
	}
	return subnets
}

// newNetworksOfIPv6 creates a dual-stack subnet for each proxy in the VPC that was created, with a way out by IPv6 alone.
func newNetworksOfIPv6(r *RetryingApiProxy, count int) []awsec2.ISubnet {
	vpc := r.Vpc.(awsec2.Vpc)
	addresses := awsec2.NewCfnVPCCidrBlock(r, jsii.String("IPv6Addresses"), &awsec2.CfnVPCCidrBlockProps{
		VpcId: vpc.VpcId(), AmazonProvidedIpv6CidrBlock: jsii.Bool(true),
	})
	gateway := awsec2.NewCfnEgressOnlyInternetGateway(r, jsii.String("EgressOnlyGateway"), &awsec2.CfnEgressOnlyInternetGatewayProps{VpcId: vpc.VpcId()})
	whole := awscdk.Fn_Select(jsii.Number(0), vpc.VpcIpv6CidrBlocks())
	blocks := awscdk.Fn_Cidr(whole, jsii.Number(MaxProxyCount), jsii.String(strconv.Itoa(ipv6Bits)))
	zones := *vpc.AvailabilityZones()
	subnets := make([]awsec2.ISubnet, count)
	for i := range subnets {
		block := awscdk.Fn_Select(jsii.Number(i), blocks)
		subnet := awsec2.NewPrivateSubnet(r, jsii.String(message.ProxyName(i+1)+"-subnet"), &awsec2.PrivateSubnetProps{
			VpcId: vpc.VpcId(), AvailabilityZone: zones[i%len(zones)], CidrBlock: subnetBlock(i), MapPublicIpOnLaunch: jsii.Bool(false),
			Ipv6CidrBlock: block, AssignIpv6AddressOnCreation: jsii.Bool(true),
		})
		subnet.Node().AddDependency(addresses) // the VPC has them only then
		subnet.AddIpv6DefaultEgressOnlyInternetRoute(gateway.AttrId())
		r.EgressCidrs = append(r.EgressCidrs, block)
		subnets[i] = subnet
	}
	return subnets
}

// newEndpoints gives the VPC that was created what its proxies reach AWS by. The endpoints of DynamoDB and S3 cost nothing, and
// spare the NAT gateways. Secrets Manager is reached by the NAT gateways, where there are some.
func newEndpoints(r *RetryingApiProxy, props RetryingApiProxyProps, n *network) {
	gateway := func(id string, service awsec2.GatewayVpcEndpointAwsService) {
		awsec2.NewGatewayVpcEndpoint(r, &id, &awsec2.GatewayVpcEndpointProps{
			Vpc: r.Vpc, Service: service, Subnets: &[]*awsec2.SubnetSelection{{Subnets: &n.each}},
		})
	}
	needs := props.services()
	if slices.Contains(needs, dynamoDB) {
		gateway("DynamoDBEndpoint", awsec2.GatewayVpcEndpointAwsService_DYNAMODB())
	}
	if slices.Contains(needs, s3) {
		gateway("S3Endpoint", awsec2.GatewayVpcEndpointAwsService_S3())
	}
	if slices.Contains(needs, secretsManager) && n.ipv6 {
		zones := n.each[:min(vpcZones, len(n.each))] // an endpoint takes one subnet of each
		endpoint := awsec2.NewInterfaceVpcEndpoint(r, jsii.String("SecretsManagerEndpoint"), &awsec2.InterfaceVpcEndpointProps{
			Vpc: r.Vpc, Service: awsec2.InterfaceVpcEndpointAwsService_SECRETS_MANAGER(), Open: jsii.Bool(false),
			Subnets: &awsec2.SubnetSelection{Subnets: &zones},
		})
		endpoint.Connections().AllowDefaultPortFrom(r.connections, jsii.String("The proxies"))
	}
}

// Services of AWS that the proxies ask.
const (
	dynamoDB       = "DynamoDB"
	s3             = "S3"
	secretsManager = "Secrets Manager"
)

// services are those that the proxies ask. It assumes props that are valid.
func (p RetryingApiProxyProps) services() []string {
	var services []string
	if p.Async != nil || !p.gate().Idle() {
		services = append(services, dynamoDB)
	}
	if p.LargeBodies != nil {
		services = append(services, s3)
	}
	if p.Callback != nil || p.Upstream.Auth.secret.ISecret != nil || p.Upstream.Auth.certificate.ISecret != nil {
		services = append(services, secretsManager)
	}
	return services
}

// newSecurityGroup creates a group that lets nobody in, and out what the props say that is called.
func newSecurityGroup(r *RetryingApiProxy, props RetryingApiProxyProps) awsec2.ISecurityGroup {
	group := awsec2.NewSecurityGroup(r, jsii.String("SecurityGroup"), &awsec2.SecurityGroupProps{
		Vpc:              r.Vpc,
		Description:      jsii.String("Proxies that make single attempts at the upstream API"),
		AllowAllOutbound: jsii.Bool(false),
	})
	ports, known := props.ports()
	allowed := []awsec2.Port{awsec2.Port_AllTcp()}
	if known {
		allowed = nil
		for _, port := range ports {
			allowed = append(allowed, awsec2.Port_Tcp(jsii.Number(port)))
		}
	}
	for _, port := range allowed {
		for _, peer := range []awsec2.IPeer{awsec2.Peer_AnyIpv4(), awsec2.Peer_AnyIpv6()} {
			group.AddEgressRule(peer, port, jsii.String("What the proxies call"), nil)
		}
	}
	return group
}

// ports are those that the proxies call, in order, and whether all of them are known: where a URL is known at deployment only,
// they are not.
func (p RetryingApiProxyProps) ports() (ports []int, known bool) {
	known = true
	add := func(text string) {
		if text == "" {
			return
		}
		if isToken(text) {
			known = false
			return
		}
		u, err := url.Parse(text)
		if err != nil {
			return // what is valid can be parsed
		}
		port := httpsPort
		if strings.EqualFold(u.Scheme, "http") {
			port = 80
		}
		if n, err := strconv.Atoi(u.Port()); err == nil {
			port = n
		}
		ports = append(ports, port)
	}
	for _, text := range []string{p.Upstream.BaseURL, p.Upstream.Auth.form.TokenURL, p.Egress.ProbeURL} {
		add(text)
	}
	if p.Callback != nil {
		add(p.Callback.URL)
		for _, host := range p.Callback.Hosts {
			add("https://" + host)
		}
	}
	ports = append(ports, httpsPort) // AWS
	slices.Sort(ports)
	return slices.Compact(ports), known
}

// isolationID names the warning, for who acknowledges it.
const isolationID = "retrying-api-proxy:isolated-subnet"

// isolation says that proxies are in a subnet without a way to the internet, and what they need there, or nothing.
func (n *network) isolation(r *RetryingApiProxy, props RetryingApiProxyProps) string {
	subnets := n.each
	if subnets == nil {
		subnets = *r.Vpc.SelectSubnets(n.shared).Subnets
	}
	isolated := memberOf(*r.Vpc.IsolatedSubnets(), subnets)
	if isolated == "" || n.ipv6 {
		return ""
	}
	text := fmt.Sprintf("The proxies are in the isolated subnet %s, and reach nothing on the internet: the upstream must be in the VPC, or be reached from it, with its "+
		"addresses in Upstream.AllowedNetworks.", isolated)
	if needs := props.services(); len(needs) > 0 {
		text += fmt.Sprintf(" The VPC needs endpoints of %s.", strings.Join(needs, ", "))
	}
	return text
}

// grantInterfaces lets Lambda connect a function to its VPC, for which it takes the function's role, and keeps the function itself
// from doing the same: AWS Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC".
func grantInterfaces(r *RetryingApiProxy, role awsiam.IRole, function *string) {
	actions := jsii.Strings(
		"ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface",
		"ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses")
	role.AddToPrincipalPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions: actions, Resources: jsii.Strings("*"),
	}))
	arn := awscdk.Stack_Of(r).FormatArn(&awscdk.ArnComponents{
		Service: jsii.String("lambda"), Resource: jsii.String("function"), ResourceName: function, ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
	})
	role.AddToPrincipalPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Effect: awsiam.Effect_DENY, Actions: actions, Resources: jsii.Strings("*"),
		Conditions: &map[string]any{"ArnEquals": map[string]any{"lambda:SourceFunctionArn": arn}},
	}))
}

// Connections are those of the proxies, such as for proxy.Connections().AllowTo(database, awsec2.Port_Tcp(…)), so that a
// RetryingApiProxy is an [awsec2.IConnectable]. It panics, as that of a function does, if the proxies are in no VPC.
func (r *RetryingApiProxy) Connections() awsec2.Connections {
	if r.connections == nil {
		panic(fmt.Sprintf("RetryingApiProxy %q is in no VPC, and has no connections; set the prop Vpc, or Egress", *r.Node().Path()))
	}
	return r.connections
}
