//go:build !race

package apiproxy_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// interfaceActions are what Lambda does by a function's role to connect it to a VPC.
var interfaceActions = []string{
	"ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces",
	"ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
}

// inVpc says whether the proxies are in a VPC.
func (t template) inVpc() bool { return t.proxies()[0].at("VpcConfig") != nil }

// network is a stack with a VPC that has subnets of every type, in two zones, and one NAT gateway for all of them or one for each zone.
func network(natGateways int) (awscdk.App, awscdk.Stack, awsec2.Vpc) {
	app, stack := newStack()
	return app, stack, awsec2.NewVpc(stack, jsii.String("Network"), &awsec2.VpcProps{
		MaxAzs: jsii.Number(2), NatGateways: jsii.Number(natGateways),
		SubnetConfiguration: &[]*awsec2.SubnetConfiguration{
			{Name: jsii.String("public"), SubnetType: awsec2.SubnetType_PUBLIC},
			{Name: jsii.String("private"), SubnetType: awsec2.SubnetType_PRIVATE_WITH_EGRESS},
			{Name: jsii.String("isolated"), SubnetType: awsec2.SubnetType_PRIVATE_ISOLATED},
		},
	})
}

func TestTheGatewayIsInNoVpcAndNeitherAreTheProxiesUnlessThePropsSaySo(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		if config := template.gateway().at("VpcConfig"); config != nil {
			t.Errorf("the gateway is in a VPC: %v", config)
		}
		_, variant, _ := strings.Cut(t.Name(), "/")
		in := map[string]bool{"InVpc": true, "StaticAddresses": true, "StaticAddressesInVpc": true, "IPv6": true, "IPv6Callback": true, "Everything": true, "NoFlagsEverything": true}
		for _, proxy := range template.proxies() {
			if got := proxy.at("VpcConfig") != nil; got != in[variant] {
				t.Errorf("that %s is in a VPC is %t", proxy.name(), got)
			}
		}
	})
}

// groupOf are the security groups of a function.
func (t template) groupsOf(function *resource) (groups []*resource) {
	ids, _ := function.at("VpcConfig", "SecurityGroupIds").([]any)
	for _, id := range ids {
		groups = append(groups, t.referred(id))
	}
	return groups
}

func TestProxiesAreInAGroupThatLetsNobodyInAndOutWhatThePropsCall(t *testing.T) {
	for variant, want := range map[string][]float64{
		"InVpc": {443, 8443}, "StaticAddresses": {443}, "IPv6Callback": {443, 8443}, "Everything": {443, 8080, 8443},
	} {
		template := variants()[variant]
		for _, proxy := range template.proxies() {
			groups := template.groupsOf(proxy)
			if len(groups) != 1 {
				t.Fatalf("%s: %s is in %d groups, want 1", variant, proxy.name(), len(groups))
			}
			if in := groups[0].at("SecurityGroupIngress"); in != nil {
				t.Errorf("%s: the group lets in %v", variant, in)
			}
			ports := map[string][]float64{}
			rules, _ := groups[0].at("SecurityGroupEgress").([]any)
			for _, rule := range rules {
				from, _ := at(rule, "FromPort").(float64)
				if from != at(rule, "ToPort") || at(rule, "IpProtocol") != "tcp" {
					t.Errorf("%s: the rule %v is for more than a port of TCP", variant, rule)
				}
				to := flat(at(rule, "CidrIp")) + flat(at(rule, "CidrIpv6"))
				ports[to] = append(ports[to], from)
			}
			if diff := cmp.Diff(map[string][]float64{"0.0.0.0/0": want, "::/0": want}, ports); diff != "" {
				t.Errorf("%s: ports (-want +got):\n%s", variant, diff)
			}
		}
	}
}

func TestAllPortsAreOpenWhereTheUpstreamIsKnownAtDeploymentOnly(t *testing.T) {
	app, stack, vpc := network(1)
	props := minimal()
	props.ProxyCount, props.Vpc = 1, vpc
	props.Upstream.BaseURL = "https://" + *awscdk.NewCfnParameter(stack, jsii.String("Host"), nil).ValueAsString()
	apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props)
	template := synthesise(app)["Shop"]
	rules := flat(template.groupsOf(template.proxies()[0])[0].at("SecurityGroupEgress"))
	if strings.Count(rules, `"FromPort":0,"IpProtocol":"tcp","ToPort":65535`) != 2 {
		t.Errorf("the rules are %s", rules)
	}
}

func TestLambdaMayConnectAProxyToItsVpcAndTheProxyItselfMayNot(t *testing.T) {
	template := variants()["InVpc"]
	for _, proxy := range template.proxies() {
		var denied []string
		for _, s := range template.statementsOf(template.roleOf(proxy)) {
			if at(s, "Effect") == "Deny" {
				if arn := flat(at(s, "Condition", "ArnEquals", "lambda:SourceFunctionArn")); strings.HasSuffix(arn, ":function:"+proxy.name()) {
					denied = append(denied, each(at(s, "Action"))...)
				}
			}
		}
		slices.Sort(denied)
		if diff := cmp.Diff(interfaceActions, denied); diff != "" {
			t.Errorf("what %s is denied (-want +got):\n%s", proxy.name(), diff)
		}
	}
	for _, action := range template.actionsOf(template.roleOf(template.gateway())) {
		if strings.HasPrefix(action, "ec2:") {
			t.Errorf("the gateway, which is in no VPC, may %s", action)
		}
	}
}

func TestSubnetsAndGroupsOfOnesOwnAreUsed(t *testing.T) {
	app, stack, vpc := network(1)
	group := awsec2.NewSecurityGroup(stack, jsii.String("Group"), &awsec2.SecurityGroupProps{Vpc: vpc})
	props := minimal()
	props.Vpc, props.VpcSubnets = vpc, &awsec2.SubnetSelection{SubnetType: awsec2.SubnetType_PRIVATE_ISOLATED}
	props.SecurityGroups = []awsec2.ISecurityGroup{group}
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props)
	if proxy.Vpc.VpcId() == nil || *proxy.Vpc.VpcId() != *vpc.VpcId() {
		t.Error("its VPC is another one")
	}
	template := synthesise(app)["Shop"]
	for _, function := range template.proxies() {
		if groups := template.groupsOf(function); len(groups) != 1 || !strings.HasPrefix(groups[0].id, "Group") {
			t.Errorf("%s is in %v", function.name(), groups)
		}
		if got := flat(function.at("VpcConfig", "SubnetIds")); strings.Count(got, "NetworkisolatedSubnet") != 2 {
			t.Errorf("%s is in %s", function.name(), got)
		}
	}
	if n := len(template.ofType("AWS::EC2::SecurityGroup")); n != 1 {
		t.Errorf("there are %d groups; want that of the props alone", n)
	}
}

func TestARetryingApiProxyIsConnectable(t *testing.T) {
	app, stack, vpc := network(1)
	props := minimal()
	props.Vpc = vpc
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props)
	database := awsec2.NewSecurityGroup(stack, jsii.String("Database"), &awsec2.SecurityGroupProps{Vpc: vpc})
	var connectable awsec2.IConnectable = proxy
	database.Connections().AllowFrom(connectable, awsec2.Port_Tcp(jsii.Number(5432)), nil) // as the CDK takes it
	proxy.Connections().AllowTo(database, awsec2.Port_Tcp(jsii.Number(6379)), nil)
	template := synthesise(app)["Shop"]
	own := template.groupsOf(template.proxies()[0])[0].id
	let := map[float64]bool{}
	for _, rule := range template.ofType("AWS::EC2::SecurityGroupIngress") {
		if strings.HasPrefix(template.referred(rule.at("GroupId")).id, "Database") && template.referred(rule.at("SourceSecurityGroupId")).id == own {
			let[rule.number("FromPort")] = true
		}
	}
	if !let[5432] || !let[6379] || len(let) != 2 {
		t.Errorf("the database lets the proxies in at %v; want 5432 and 6379", let)
	}
}

func TestWithoutAVpcThereAreNoConnections(t *testing.T) {
	_, stack := newStack()
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), minimal())
	if message := panicOf(t, func() { proxy.Connections() }); !strings.Contains(message, `"Shop/Orders" is in no VPC`) {
		t.Errorf("the message is %s", message)
	}
}

func TestIsolatedSubnetsAreWarnedOfWithWhatTheyNeed(t *testing.T) {
	_, stack, vpc := network(1)
	for id, c := range map[string]struct {
		subnets awsec2.SubnetType
		change  func(*apiproxy.RetryingApiProxyProps)
		want    string // as a pattern; nothing if nothing is warned of
	}{
		"Private": {awsec2.SubnetType_PRIVATE_WITH_EGRESS, func(*apiproxy.RetryingApiProxyProps) {}, ""},
		"NoService": {awsec2.SubnetType_PRIVATE_ISOLATED, func(p *apiproxy.RetryingApiProxyProps) { p.CircuitBreaker.Disabled = true },
			`the isolated subnet Shop/Network/isolatedSubnet1,.* Upstream.AllowedNetworks\. \[`},
		"Services": {awsec2.SubnetType_PRIVATE_ISOLATED, func(p *apiproxy.RetryingApiProxyProps) {
			p.LargeBodies, p.Async, p.Callback = &apiproxy.LargeBodies{}, &apiproxy.Async{}, &apiproxy.Callback{Hosts: []string{"hooks.example.com"}}
		}, `The VPC needs endpoints of DynamoDB, S3, Secrets Manager\. \[`},
	} {
		props := minimal()
		props.ProxyCount, props.Vpc, props.VpcSubnets = 1, vpc, &awsec2.SubnetSelection{SubnetType: c.subnets}
		c.change(props)
		apiproxy.NewRetryingApiProxy(stack, &id, props)
		warned := func(pattern string) int {
			return len(*assertions.Annotations_FromStack(stack).FindWarning(jsii.String("/Shop/"+id), assertions.Match_StringLikeRegexp(&pattern)))
		}
		if all, found := warned(".*"), warned(c.want); c.want == "" && all != 0 || c.want != "" && (all != 1 || found != 1) {
			t.Errorf("%s: %d warnings, %d of them as %q", id, all, found, c.want)
		}
	}
}

// sortedTypes lists how many resources of EC2 there are, by their types.
func (t template) sortedTypes() (lines []string) {
	count := map[string]int{}
	for _, r := range t.Resources {
		if kind, ofEC2 := strings.CutPrefix(r.Type, "AWS::EC2::"); ofEC2 {
			count[kind]++
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(count)) {
		lines = append(lines, fmt.Sprint(kind, " ", count[kind]))
	}
	return lines
}
