package apiproxy_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// props are the smallest that are valid, with a change.
func props(change func(*apiproxy.RetryingApiProxyProps)) apiproxy.RetryingApiProxyProps {
	p := apiproxy.RetryingApiProxyProps{Upstream: apiproxy.Upstream{BaseURL: "https://api.example.com"}}
	change(&p)
	return p
}

// upstream are props with a base URL.
func upstream(baseURL string) apiproxy.RetryingApiProxyProps {
	return props(func(p *apiproxy.RetryingApiProxyProps) { p.Upstream.BaseURL = baseURL })
}

// networks are props with an allowed network.
func networks(text string) apiproxy.RetryingApiProxyProps {
	return props(func(p *apiproxy.RetryingApiProxyProps) { p.Upstream.AllowedNetworks = []string{text} })
}

// token is what a value that is known at deployment only looks like before.
const token = "${Token[TOKEN.42]}"

func TestABaseURLIsAllThatIsRequired(t *testing.T) {
	if err := upstream("https://api.example.com").Validate(); err != nil {
		t.Error(err)
	}
	err := apiproxy.RetryingApiProxyProps{}.Validate()
	if want := "Upstream.BaseURL is empty; give the https URL of the API to call"; err == nil || err.Error() != want {
		t.Errorf("without it: %v; want %s", err, want)
	}
}

func TestPropsThatAreAllowed(t *testing.T) {
	for name, p := range map[string]apiproxy.RetryingApiProxyProps{
		"a path":              upstream("https://api.example.com/v1/"),
		"a port":              upstream("https://api.example.com:8443"),
		"an address":          upstream("https://192.0.2.7"),
		"an IPv6 address":     upstream("https://[2001:db8::7]:8443/v1"),
		"a scheme in capital": upstream("HTTPS://api.example.com"),
		"a token":             upstream(token),
		"a token in a URL":    upstream("https://" + token + "/v1"),
		"plain http if allowed": props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Upstream = apiproxy.Upstream{BaseURL: "http://127.0.0.1:8080", AllowPlainHTTP: true}
		}),
		"networks": props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Upstream.AllowedNetworks = []string{"10.1.0.0/16", "fd00::/8", "192.0.2.7/32", token}
		}),
		"addresses of this host, one by one": props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Upstream.AllowedNetworks = []string{"127.0.0.1/32", "::1/128", "169.254.1.2/32", "fd00:ec2::254/128"}
		}),
		"methods and paths": props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Upstream.AllowedMethods = []string{"GET", "TRACE", "PROPFIND", token}
			p.Upstream.AllowedPaths = []string{"/", "/orders", "/v1/orders/", "/caf\u00e9 au lait", "/a,b", "/a%2Fb", token, "/" + token}
		}),
		"one proxy":             props(func(p *apiproxy.RetryingApiProxyProps) { p.ProxyCount = 1 }),
		"twenty proxies":        props(func(p *apiproxy.RetryingApiProxyProps) { p.ProxyCount = 20 }),
		"memory of the gateway": props(func(p *apiproxy.RetryingApiProxyProps) { p.GatewayMemorySizeMiB = 128 }),
		"variables for the SDK": props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Environment = map[string]string{"AWS_USE_FIPS_ENDPOINT": "true", "LD": "", "DD_SITE": token}
		}),
		"as many environments as are reserved": props(func(p *apiproxy.RetryingApiProxyProps) {
			p.ReservedConcurrency.EachProxy = 20
			p.ProvisionedConcurrency = apiproxy.ProvisionedConcurrency{Gateway: 500, EachProxy: 20}
		}),
		"the least memory":  props(func(p *apiproxy.RetryingApiProxyProps) { p.MemorySizeMiB = 128 }),
		"the most memory":   props(func(p *apiproxy.RetryingApiProxyProps) { p.MemorySizeMiB = 10240 }),
		"no authentication": props(func(p *apiproxy.RetryingApiProxyProps) { p.UrlAuthType = awslambda.FunctionUrlAuthType_NONE }),
		"required keys": props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Idempotency = apiproxy.Idempotency{Required: apiproxy.KeyAlwaysRequired, TTL: time.Second}
		}),
		"keys for a year": props(func(p *apiproxy.RetryingApiProxyProps) { p.Idempotency.TTL = 365 * 24 * time.Hour }),
		"a rate": props(func(p *apiproxy.RetryingApiProxyProps) {
			p.FlowControl = apiproxy.FlowControl{Mode: apiproxy.Fixed, Rate: 50, Period: time.Minute, Burst: 80, Key: apiproxy.ByRoute, MaxWaiting: apiproxy.Unbounded}
			p.ReservedConcurrency.Gateway = 100
		}),
		"as many places as the gateway has room for": props(func(p *apiproxy.RetryingApiProxyProps) {
			p.FlowControl.MaxWaiting, p.ReservedConcurrency.Gateway = 100, 100
		}),
		"less room in the gateway than wait by default": props(func(p *apiproxy.RetryingApiProxyProps) { p.ReservedConcurrency.Gateway = 100 }),
		"more places where requests wait elsewhere, too": props(func(p *apiproxy.RetryingApiProxyProps) {
			p.FlowControl.MaxWaiting, p.ReservedConcurrency.Gateway, p.Async = 5000, 100, &apiproxy.Async{}
		}),
		"a deadline of half a second": props(func(p *apiproxy.RetryingApiProxyProps) { p.Retry.Deadline = 500 * time.Millisecond }),
		"the default policy, written out": props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Retry = retry.Default()
		}),
		"the longest attempt that nests": props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Retry.AttemptTimeout = 289 * time.Second
		}),
	} {
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsWrongIsNamedWithWhatWasGivenAndWhatIsAllowed(t *testing.T) {
	for _, test := range []struct {
		name  string
		props apiproxy.RetryingApiProxyProps
		says  []string
	}{
		{"too little memory of the gateway", props(func(p *apiproxy.RetryingApiProxyProps) { p.GatewayMemorySizeMiB = 127 }),
			[]string{"GatewayMemorySizeMiB is 127; give 128 to 10240", "0 for MemorySizeMiB", "128"}},
		{"a negative reservation", props(func(p *apiproxy.RetryingApiProxyProps) { p.ReservedConcurrency.EachProxy = -1 }),
			[]string{"ReservedConcurrency.EachProxy is -1; give 1 or more, or 0 to reserve nothing"}},
		{"a negative provision", props(func(p *apiproxy.RetryingApiProxyProps) { p.ProvisionedConcurrency.Gateway = -1 }),
			[]string{"ProvisionedConcurrency.Gateway is -1; give 1 or more, or 0 to provision nothing"}},
		{"more provisioned than reserved", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.ReservedConcurrency.EachProxy, p.ProvisionedConcurrency.EachProxy = 20, 21
		}), []string{"ProvisionedConcurrency.EachProxy is 21, and ReservedConcurrency.EachProxy is 20; provision as many at most as are reserved, or reserve more"}},
		{"a variable of ours", props(func(p *apiproxy.RetryingApiProxyProps) { p.Environment = map[string]string{"METRICS": "off"} }),
			[]string{"Environment has METRICS, by which the functions are told of other props; leave it out"}},
		{"a variable of Lambda", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Environment = map[string]string{"AWS_REGION": "eu-central-1"}
		}),
			[]string{"Environment has AWS_REGION, which Lambda sets itself; leave it out"}},
		{"a name that is none", props(func(p *apiproxy.RetryingApiProxyProps) { p.Environment = map[string]string{"1": "a"} }),
			[]string{`Environment has "1"; give a name of two or more letters, digits and underscores that begins with a letter`}},
		{"more variables than there is room for", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Environment = map[string]string{"DATA": strings.Repeat("a", 3400)}
		}), []string{"Environment, Retry,", "bytes together", "give 3500 at most"}},
		{"plain http", upstream("http://api.example.com"), []string{"Upstream.BaseURL", `"http://api.example.com"`, "https", "AllowPlainHTTP"}},
		{"another scheme", upstream("ftp://api.example.com"), []string{"Upstream.BaseURL", `"ftp://api.example.com"`, "https://"}},
		{"no scheme", upstream("api.example.com"), []string{"Upstream.BaseURL", `"api.example.com"`, "https://"}},
		{"no host", upstream("https:///v1"), []string{"Upstream.BaseURL", `"https:///v1"`, "names no host"}},
		{"a port and no host", upstream("https://:443"), []string{"Upstream.BaseURL", "names no host"}},
		{"a fragment", upstream("https://api.example.com/#top"), []string{"Upstream.BaseURL", "fragment", "leave it out"}},
		{"a query", upstream("https://api.example.com/v1?apikey=c4nary"), []string{`Upstream.BaseURL is "https://api.example.com/v1" with a query`, "Upstream.Auth", "SecretQueryParameter"}},
		{"a question mark", upstream("https://api.example.com/v1?"), []string{"with a query"}},
		{"no URL at all", upstream("https://api.example.com:port"), []string{"Upstream.BaseURL", "not a URL", "invalid port"}},
		{"a blank", upstream(" https://api.example.com"), []string{"Upstream.BaseURL", `" https://api.example.com"`}},
		{"a network without length", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Upstream.AllowedNetworks = []string{"10.1.0.0/16", "10.2.0.0"}
		}), []string{"Upstream.AllowedNetworks", `"10.2.0.0"`, "10.1.0.0/16"}},
		{"all of IPv4", networks("0.0.0.0/0"), []string{"Upstream.AllowedNetworks", `"0.0.0.0/0"`, "loopback addresses", "127.0.0.1/32"}},
		{"all of IPv6", networks("::/0"), []string{"Upstream.AllowedNetworks", `"::/0"`, "loopback address", "::1/128"}},
		{"half of IPv4", networks("128.0.0.0/1"), []string{"Upstream.AllowedNetworks", "link-local addresses", "169.254.0.0/16"}},
		{"loopback", networks("127.0.0.0/8"), []string{"Upstream.AllowedNetworks", "loopback addresses", "one by one"}},
		{"link-local addresses", networks("fe80::/10"), []string{"Upstream.AllowedNetworks", "link-local addresses", "fe80::1/128"}},
		{"AWS's own services", networks("fd00:ec2::/32"), []string{"Upstream.AllowedNetworks", "AWS's own", "fd00:ec2::254/128"}},
		{"a mapped network", networks("::ffff:10.0.0.0/104"), []string{"Upstream.AllowedNetworks", `"::ffff:10.0.0.0/104"`, "10.0.0.0/8"}},
		{"bits behind a network", networks("10.1.2.3/8"), []string{"Upstream.AllowedNetworks", `"10.1.2.3/8"`, "10.0.0.0/8", "10.1.2.3/32"}},
		{"a method in small letters", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Upstream.AllowedMethods = []string{"GET", "head"}
		}), []string{"Upstream.AllowedMethods", `"head"`, "HEAD"}},
		{"CONNECT", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Upstream.AllowedMethods = []string{"CONNECT"}
		}), []string{"Upstream.AllowedMethods", `"CONNECT"`, "cannot be forwarded"}},
		{"a path without a slash", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Upstream.AllowedPaths = []string{"/orders", "health"}
		}), []string{"Upstream.AllowedPaths", `"health"`, "/orders"}},
		{"a path that climbs", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Upstream.AllowedPaths = []string{"/a/../b"}
		}), []string{"Upstream.AllowedPaths", `"/a/../b"`, "dot segment"}},
		{"a path with a query", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Upstream.AllowedPaths = []string{"/orders?page=1"}
		}), []string{"Upstream.AllowedPaths", `"/orders?page=1"`, "question mark"}},
		{"more paths than fit into the environment", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Upstream.AllowedPaths = []string{"/" + strings.Repeat("a", 3500)}
		}), []string{"AllowedPaths", "environment", "3500 at most"}},
		{"too many proxies", props(func(p *apiproxy.RetryingApiProxyProps) { p.ProxyCount = 21 }), []string{"ProxyCount is 21", "1 to 20", "0 for the default of 3"}},
		{"a negative number of proxies", props(func(p *apiproxy.RetryingApiProxyProps) { p.ProxyCount = -1 }), []string{"ProxyCount is -1", "1 to 20"}},
		{"too little memory", props(func(p *apiproxy.RetryingApiProxyProps) { p.MemorySizeMiB = 127 }), []string{"MemorySizeMiB is 127", "128 to 10240", "0 for the default of 256"}},
		{"too much memory", props(func(p *apiproxy.RetryingApiProxyProps) { p.MemorySizeMiB = 10241 }), []string{"MemorySizeMiB is 10241", "128 to 10240"}},
		{"an unknown auth type", props(func(p *apiproxy.RetryingApiProxyProps) { p.UrlAuthType = "BASIC" }), []string{"UrlAuthType", `"BASIC"`, "AWS_IAM", "NONE"}},
		{"an unknown requirement", props(func(p *apiproxy.RetryingApiProxyProps) { p.Idempotency.Required = "sometimes" }), []string{"Idempotency.Required", `"sometimes"`, `"never"`, `"unsafe"`, `"always"`}},
		{"a wait of strangers of parts of a second", props(func(p *apiproxy.RetryingApiProxyProps) { p.MaxAnonymousWait = 1500 * time.Millisecond }), []string{"MaxAnonymousWait is 1.5s", "1m0s"}},
		{"a prefix with a wildcard", props(func(p *apiproxy.RetryingApiProxyProps) { p.RecordPrefix = "orders*" }), []string{`RecordPrefix is "orders*"`, "without *, ?, $ and #"}},
		{"the prefix of the gate", props(func(p *apiproxy.RetryingApiProxyProps) { p.RecordPrefix = "gate" }), []string{`RecordPrefix is "gate"`, "FlowControl and CircuitBreaker", "give another one"}},
		{"an unknown mode", props(func(p *apiproxy.RetryingApiProxyProps) { p.FlowControl.Mode = "auto" }), []string{`FlowControl.Mode is "auto"`, `"fixed"`, `"adaptive"`, `"observe"`}},
		{"no rate", props(func(p *apiproxy.RetryingApiProxyProps) { p.FlowControl.Mode = apiproxy.Fixed }), []string{"FlowControl.Rate is 0", "1 or more"}},
		{"a rate that nobody reads", props(func(p *apiproxy.RetryingApiProxyProps) { p.FlowControl.Rate = 50 }), []string{"FlowControl.Rate is 50", `only Mode "fixed" reads it`, `Mode is "off"`}},
		{"a period that nobody reads", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.FlowControl = apiproxy.FlowControl{Mode: apiproxy.Adaptive, Period: time.Minute}
		}), []string{"FlowControl.Period is 1m0s", `only Mode "fixed" reads it`}},
		{"a burst that nobody reads", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.FlowControl = apiproxy.FlowControl{Mode: apiproxy.Observe, Burst: 80}
		}), []string{"FlowControl.Burst is 80", `only Mode "fixed" reads it`}},
		{"a rate that is too high", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.FlowControl = apiproxy.FlowControl{Mode: apiproxy.Fixed, Rate: 100_001}
		}), []string{"FlowControl.Rate 100001 per Period 1s", "100000"}},
		{"a period that is too short", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.FlowControl = apiproxy.FlowControl{Mode: apiproxy.Fixed, Rate: 1, Period: time.Millisecond}
		}), []string{"FlowControl.Period is 1ms", "1s to 24h"}},
		{"a negative burst", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.FlowControl = apiproxy.FlowControl{Mode: apiproxy.Fixed, Rate: 1, Burst: -1}
		}), []string{"FlowControl.Burst is -1", "1 to 1000000"}},
		{"places that are none", props(func(p *apiproxy.RetryingApiProxyProps) { p.FlowControl.MaxWaiting = -2 }), []string{"FlowControl.MaxWaiting is -2", "1 or more", "-1 for no bound"}},
		{"more places than the gateway has room for", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.FlowControl.MaxWaiting, p.ReservedConcurrency.Gateway = 101, 100
		}), []string{"FlowControl.MaxWaiting is 101", "ReservedConcurrency.Gateway lets 100 requests", "lower MaxWaiting to 100 or raise ReservedConcurrency.Gateway"}},
		{"a key of all and one", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.FlowControl.Key = apiproxy.ByUpstream | apiproxy.ByRoute
		}), []string{"FlowControl.Key is 6", "ByCredential | ByRoute", "ByUpstream alone"}},
		{"no failures", props(func(p *apiproxy.RetryingApiProxyProps) { p.CircuitBreaker.MinimumFailures = -1 }), []string{"CircuitBreaker.MinimumFailures is -1", "1 or more"}},
		{"more failures than all", props(func(p *apiproxy.RetryingApiProxyProps) { p.CircuitBreaker.FailureRate = 80 }), []string{"CircuitBreaker.FailureRate is 80", "at most 1"}},
		{"no rate of failures", props(func(p *apiproxy.RetryingApiProxyProps) { p.CircuitBreaker.FailureRate = math.NaN() }), []string{"CircuitBreaker.FailureRate is NaN"}},
		{"probes without end", props(func(p *apiproxy.RetryingApiProxyProps) { p.CircuitBreaker.ProbeInterval = time.Millisecond }), []string{"CircuitBreaker.ProbeInterval is 1ms", "100ms or more"}},
		{"a queue without end", props(func(p *apiproxy.RetryingApiProxyProps) { p.CircuitBreaker.RampUp = 1 }), []string{"CircuitBreaker.RampUp is 1", "more than 1"}},
		{"a prefix that is too long", props(func(p *apiproxy.RetryingApiProxyProps) { p.RecordPrefix = strings.Repeat("x", 256) }), []string{"RecordPrefix is", "255"}},
		{"callers that are no fields", props(func(p *apiproxy.RetryingApiProxyProps) { p.Idempotency.Caller = []string{"X-Tenant", "a b"} }), []string{`Idempotency.Caller has "a b"`, "X-Tenant"}},
		{"keys in what is no field", props(func(p *apiproxy.RetryingApiProxyProps) { p.Idempotency.KeyFields = []string{""} }), []string{`Idempotency.KeyFields has ""`}},
		{"a claim that anybody could write", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.UrlAuthType, p.Idempotency.Caller = "NONE", []string{"claim:sub"}
		}), []string{`Idempotency.Caller has "claim:sub"`, "anybody could write", "Idempotency.Tokens"}},
		{"a claim without a name", props(func(p *apiproxy.RetryingApiProxyProps) { p.Idempotency.Caller = []string{"claim:"} }), []string{`Idempotency.Caller has "claim:"`, "claim:sub"}},
		{"keys of tokens over plain http", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Idempotency.Tokens = apiproxy.Tokens{Issuer: "https://login.example.com/", Keys: "http://login.example.com/keys"}
		}), []string{`Idempotency.Tokens.Keys is "http://login.example.com/keys"`, "https URL"}},
		{"tokens of nobody", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Idempotency.Tokens = apiproxy.Tokens{Audience: "orders"}
		}), []string{"Idempotency.Tokens has no Issuer"}},
		{"a status that is none", props(func(p *apiproxy.RetryingApiProxyProps) { p.Idempotency.Recorded = map[int]bool{600: true} }), []string{"Idempotency.Recorded has 600", "200 to 599"}},
		{"a life of parts of a second", props(func(p *apiproxy.RetryingApiProxyProps) { p.Idempotency.TTL = 1500 * time.Millisecond }), []string{"Idempotency.TTL is 1.5s", "whole seconds"}},
		{"a negative life", props(func(p *apiproxy.RetryingApiProxyProps) { p.Idempotency.TTL = -time.Second }), []string{"Idempotency.TTL is -1s", "24h0m0s"}},
		{"an unknown scope", props(func(p *apiproxy.RetryingApiProxyProps) { p.Retry.Scope = "galaxy" }), []string{"retry: ", "Scope", `"galaxy"`, "per-address"}},
		{"a deadline that Express cannot hold", props(func(p *apiproxy.RetryingApiProxyProps) { p.Retry.MaxDeadline = 5 * time.Minute }), []string{"Retry.MaxDeadline is 5m0s", "4m50s"}},
		{"a limit by address and one address", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.ProxyCount = 1
			p.Retry.Scope = retry.PerAddress
		}), []string{"Retry.Scope", "two proxies or more"}},
		{"more than fits into the environment", props(func(p *apiproxy.RetryingApiProxyProps) {
			for i := range 250 {
				p.Upstream.AllowedNetworks = append(p.Upstream.AllowedNetworks, fmt.Sprintf("10.%d.0.0/16", i))
			}
		}), []string{"AllowedNetworks", "environment", "3500 at most"}},
		{"attempts that can never start", props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Retry.ServerErrors = retry.Budget{Attempts: 30, Base: 30 * time.Second, Max: 30 * time.Second, Jitter: retry.NoJitter}
		}), []string{"Retry.ServerErrors.Attempts is 30", "MaxDeadline at 4m50s"}},
	} {
		err := test.props.Validate()
		if err == nil {
			t.Errorf("%s is accepted", test.name)
			continue
		}
		for _, want := range test.says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the message does not say %q: %v", test.name, want, err)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: one mistake is told as several: %v", test.name, err)
		}
	}
}

func TestAKeyInTheBaseURLIsNotRepeated(t *testing.T) {
	for _, url := range []string{"https://api.example.com?apikey=c4nary", "http://user@api.example.com?apikey=c4nary#top"} {
		if err := upstream(url).Validate(); err == nil || strings.Contains(err.Error(), "c4nary") {
			t.Errorf("%s gives %v", url, err)
		}
	}
}

func TestAllProblemsAreNamedAtOnceALineEach(t *testing.T) {
	err := apiproxy.RetryingApiProxyProps{
		Upstream: apiproxy.Upstream{
			BaseURL:         "http://user@api.example.com/#top",
			AllowedNetworks: []string{"here", "there"},
		},
		ProxyCount:    99,
		MemorySizeMiB: -1,
		UrlAuthType:   "BASIC",
		Idempotency:   apiproxy.Idempotency{Required: "sometimes", TTL: -1},
		Retry:         retry.Policy{Scope: "galaxy", AttemptTimeout: -1},
	}.Validate()
	if err == nil {
		t.Fatal("all of it is accepted")
	}
	lines := strings.Split(err.Error(), "\n")
	for _, want := range []string{
		"AllowPlainHTTP", "user information", "fragment", `"here"`, `"there"`, "ProxyCount", "UrlAuthType", "MemorySizeMiB", "Required", "TTL", "Scope", "AttemptTimeout",
	} {
		found := 0
		for _, line := range lines {
			if strings.Contains(line, want) {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%d lines say %q; want one:\n%v", found, want, err)
		}
	}
	if len(lines) != 12 {
		t.Errorf("%d lines; want 12:\n%v", len(lines), err)
	}
}

func TestAPasswordInTheBaseURLIsRefusedAndNotRepeated(t *testing.T) {
	err := upstream("https://user:s3cret@api.example.com").Validate()
	if err == nil || !strings.Contains(err.Error(), "user information") {
		t.Errorf("the error is %v", err)
	}
	if err != nil && strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the message holds the password: %v", err)
	}
}

func TestValidateChangesNothing(t *testing.T) {
	p := props(func(p *apiproxy.RetryingApiProxyProps) {
		p.Retry.Statuses = map[int]retry.Verdict{520: retry.Erroneous}
		p.Upstream.AllowedNetworks = []string{"10.1.0.0/16"}
	})
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	if p.ProxyCount != 0 || p.MemorySizeMiB != 0 || p.UrlAuthType != "" || p.Idempotency.TTL != 0 || len(p.Retry.Statuses) != 1 || p.Retry.AttemptTimeout != 0 {
		t.Errorf("the props are %+v", p)
	}
}
