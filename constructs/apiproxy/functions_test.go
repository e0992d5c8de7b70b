//go:build !race

package apiproxy_test

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

func TestFunctionsLogAsJSONAndAreTraced(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		for _, function := range template.functions() {
			if got := function.at("LoggingConfig", "LogFormat"); got != "JSON" {
				t.Errorf("%s logs as %v; want JSON", function.name(), got)
			}
			if got := function.at("TracingConfig", "Mode"); got != "Active" {
				t.Errorf("%s has tracing %v; want Active", function.name(), got)
			}
		}
	})
}

func TestLogsAreKeptForAMonthByDefaultAndAsLongAsTold(t *testing.T) {
	for name, want := range map[string]float64{"Minimal": 30, "NoFlags": 30, "Everything": 7, "NoFlagsEverything": 7} {
		for _, group := range variants()[name].ofType("AWS::Logs::LogGroup") {
			if got := group.number("RetentionInDays"); got != want {
				t.Errorf("%s: %s keeps logs for %v days; want %v", name, group.id, got, want)
			}
		}
	}
}

func TestNoLogGroupIsLeftToAServiceToCreateOrLeftBehind(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		groups := template.ofType("AWS::Logs::LogGroup")
		if want := len(template.functions()) + len(template.machines()); len(groups) != want {
			t.Errorf("%d log groups; want %d, for the functions and the state machines", len(groups), want)
		}
		for _, group := range groups {
			if group.DeletionPolicy != "Delete" {
				t.Errorf("%s has the deletion policy %s", group.id, group.DeletionPolicy)
			}
		}
	})
}

func TestARingHasTheNumberOfProxiesThatIsAskedForNamedByNumber(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short; it synthesises seven rings, which takes seconds")
	}
	app := newApp(nothingBundled)
	counts := []int{1, 2, 3, 9, 10, 11, apiproxy.MaxProxyCount}
	for _, n := range counts {
		props := minimal()
		props.ProxyCount = n
		apiproxy.NewRetryingApiProxy(awscdk.NewStack(app, jsii.String(fmt.Sprintf("Ring%d", n)), nil), jsii.String("Orders"), props)
	}
	templates := synthesise(app)
	for _, n := range counts {
		template := templates[fmt.Sprintf("Ring%d", n)]
		proxies := template.proxies()
		if len(proxies) != n {
			t.Errorf("%d proxies; want %d", len(proxies), n)
			continue
		}
		for i, proxy := range proxies {
			variables := func(name string) string { return flat(proxy.at("Environment", "Variables", name)) }
			want := fmt.Sprintf("proxy-%d", i+1)
			if got := variables("PROXY_NAME"); got != want {
				t.Errorf("of %d: proxy number %d is told that it is %q", n, i+1, got)
			}
			if got := proxy.name(); !regexp.MustCompile(`^Ring\d+-Orders-[0-9A-F]{8}-` + want + `$`).MatchString(got) {
				t.Errorf("of %d: %s is called %q", n, want, got)
			}
			if got := variables("PROXY_COUNT"); got != fmt.Sprint(n) {
				t.Errorf("of %d: %s is told that there are %s", n, want, got)
			}
		}
		if got := flat(template.gateway().at("Environment", "Variables", "PROXY_COUNT")); got != fmt.Sprint(n) {
			t.Errorf("of %d: the gateway is told that there are %s", n, got)
		}
		if got := len(template.definition().tasks()); got != n {
			t.Errorf("of %d: %d Tasks", n, got)
		}
	}
}

func TestAProxyKeepsItsIdWhenTheRingGrows(t *testing.T) {
	few, many := variants()["Minimal"].proxies(), variants()["TwentyProxies"].proxies()
	for i, proxy := range few {
		if many[i].id != proxy.id {
			t.Errorf("proxy %d of 3 is %s, of 20 %s: it would be replaced", i+1, proxy.id, many[i].id)
		}
	}
}

func TestFunctionsHaveTheMemoryAndTheArchitectureOfTheProps(t *testing.T) {
	for name, want := range map[string][2]string{
		"Minimal": {`128 ["arm64"]`, `256 ["arm64"]`}, "NoFlags": {`128 ["arm64"]`, `256 ["arm64"]`},
		"LargeBodies": {`256 ["arm64"]`, `256 ["arm64"]`},
		"Everything":  {`384 ["x86_64"]`, `512 ["x86_64"]`}, "NoFlagsEverything": {`384 ["x86_64"]`, `512 ["x86_64"]`},
	} {
		template := variants()[name]
		got := func(function *resource) string {
			return flat(function.at("MemorySize")) + " " + flat(function.at("Architectures"))
		}
		if got := got(template.gateway()); got != want[0] {
			t.Errorf("%s: the gateway has %s; want %s", name, got, want[0])
		}
		for _, function := range template.proxies() {
			if got := got(function); got != want[1] {
				t.Errorf("%s: %s has %s; want %s", name, function.name(), got, want[1])
			}
		}
	}
}

func TestMemorySizeMiBIsThatOfTheGatewayTooUnlessItHasItsOwn(t *testing.T) {
	app := newApp(nothingBundled)
	for name, sizes := range map[string][2]int{"Both": {128, 0}, "Gateway": {0, 128}} {
		props := minimal()
		props.ProxyCount, props.MemorySizeMiB, props.GatewayMemorySizeMiB = 1, sizes[0], sizes[1]
		apiproxy.NewRetryingApiProxy(awscdk.NewStack(app, jsii.String(name), nil), jsii.String("Orders"), props)
	}
	templates := synthesise(app)
	for name, want := range map[string][2]float64{"Both": {128, 128}, "Gateway": {128, 256}} {
		got := [2]float64{templates[name].gateway().number("MemorySize"), templates[name].proxies()[0].number("MemorySize")}
		if got != want {
			t.Errorf("%s: gateway and proxy have %v MiB; want %v", name, got, want)
		}
	}
}

func TestFunctionsAreToldThePolicyThatWasGiven(t *testing.T) {
	want := everything().Retry.WithDefaults()
	for _, function := range variants()["Everything"].functions() {
		got := policyOf(t, function)
		if difference := diffPolicies(want, got); difference != "" {
			t.Errorf("%s (-want +got):\n%s", function.name(), difference)
		}
	}
}

func TestATokenAsBaseURLReachesTheProxies(t *testing.T) {
	template := variants()["ParameterAsUpstream"]
	for _, proxy := range template.proxies() {
		if got, want := flat(proxy.at("Environment", "Variables", "UPSTREAM_BASE_URL")), "https://${Host}/v1"; got != want {
			t.Errorf("%s is told of the upstream %s; want %s", proxy.name(), got, want)
		}
		if got, want := flat(proxy.at("Environment", "Variables", "UPSTREAM_ALLOWED_NETWORKS")), `{"Fn::ImportValue":"Network"}`; got != want {
			t.Errorf("%s is told of the networks %s; want %s", proxy.name(), got, want)
		}
	}
}

func TestTheProxiesAreToldOfTheUpstream(t *testing.T) {
	for _, proxy := range variants()["Everything"].proxies() {
		for name, want := range map[string]string{"UPSTREAM_BASE_URL": "http://orders.internal:8080/v2", "UPSTREAM_ALLOWED_NETWORKS": "10.1.0.0/16,fd00::/8"} {
			if got := proxy.at("Environment", "Variables", name); got != want {
				t.Errorf("%s: %s is %v; want %s", proxy.name(), name, got, want)
			}
		}
	}
	for _, proxy := range variants()["Minimal"].proxies() {
		if got := proxy.at("Environment", "Variables", "UPSTREAM_ALLOWED_NETWORKS"); got != nil {
			t.Errorf("%s may reach %v, which nobody allowed", proxy.name(), got)
		}
	}
}

func TestDescriptionsAndVariablesFitTheLimitsOfLambda(t *testing.T) {
	const maxDescription, maxEnvironment = 256, 4 << 10
	forEachVariant(t, func(t *testing.T, template template) {
		for _, function := range template.functions() {
			if got := len(flat(function.at("Description"))); got > maxDescription {
				t.Errorf("%s has a description of %d characters; Lambda takes %d", function.name(), got, maxDescription)
			}
			size := 0
			variables, _ := function.at("Environment", "Variables").(map[string]any)
			for name, value := range variables {
				size += len(name) + len(flat(value))
			}
			if size > maxEnvironment/2 {
				t.Errorf("%s has %d bytes of variables; Lambda takes %d, and the policy may grow", function.name(), size, maxEnvironment)
			}
		}
	})
}
