//go:build !race

package apiproxy_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// environment is what a function is told in its variables.
func environment(function *resource) map[string]string {
	told := map[string]string{}
	variables, _ := function.at("Environment", "Variables").(map[string]any)
	for name, value := range variables {
		told[name] = flat(value)
	}
	return told
}

func TestFunctionsAreToldEverythingThatTheyRead(t *testing.T) {
	gateway := []string{
		"GATE", "HIDE_ATTEMPTS", "IDEMPOTENCY_CACHE_HEADERS", "IDEMPOTENCY_KEY_REQUIRED", "IDEMPOTENCY_SERVER_CACHE_HIT", "OMIT_RETRY_ADVICE", "PROXY_COUNT",
		"RECORD_PREFIX", "RETRY_POLICY", "STATE_MACHINE_ARN", "TABLE_NAME", "UPSTREAM_LINKS",
	}
	proxy := []string{
		"GATE", "IDEMPOTENCY_TTL", "PROXY_COUNT", "PROXY_NAME", "RECORD_PREFIX", "RETRY_POLICY", "TABLE_NAME", "UPSTREAM_BASE_URL",
	}
	if diff := cmp.Diff(gateway, slices.Sorted(maps.Keys(environment(variants()["Minimal"].gateway())))); diff != "" {
		t.Errorf("the gateway is told something else (-want +got):\n%s", diff)
	}
	for _, function := range variants()["Minimal"].proxies() {
		if diff := cmp.Diff(proxy, slices.Sorted(maps.Keys(environment(function)))); diff != "" {
			t.Errorf("%s is told something else (-want +got):\n%s", function.name(), diff)
		}
	}
}

func TestEachPropOfIdempotencyReachesTheVariableOfItsName(t *testing.T) {
	type told struct{ Required, CacheHeaders, ServerCacheHit, TTL string }
	app := newApp(nothingBundled)
	cases := map[string]struct {
		idempotency apiproxy.Idempotency
		want        told
	}{
		"Nothing":  {apiproxy.Idempotency{}, told{"never", "false", "false", "24h0m0s"}},
		"Required": {apiproxy.Idempotency{Required: apiproxy.KeyAlwaysRequired}, told{"always", "false", "false", "24h0m0s"}},
		"Headers":  {apiproxy.Idempotency{CacheHeaders: true}, told{"never", "true", "false", "24h0m0s"}},
		"Hit":      {apiproxy.Idempotency{ServerCacheHit: true}, told{"never", "false", "true", "24h0m0s"}},
		"TTL":      {apiproxy.Idempotency{TTL: 90 * time.Second}, told{"never", "false", "false", "1m30s"}},
	}
	for name, c := range cases {
		props := minimal()
		props.ProxyCount, props.Idempotency = 1, c.idempotency
		apiproxy.NewRetryingApiProxy(awscdk.NewStack(app, jsii.String(name), nil), jsii.String("Orders"), props)
	}
	templates := synthesise(app)
	for name, c := range cases {
		gateway, proxy := environment(templates[name].gateway()), environment(templates[name].proxies()[0])
		got := told{
			gateway["IDEMPOTENCY_KEY_REQUIRED"], gateway["IDEMPOTENCY_CACHE_HEADERS"], gateway["IDEMPOTENCY_SERVER_CACHE_HIT"], proxy["IDEMPOTENCY_TTL"],
		}
		if got != c.want {
			t.Errorf("%s: the functions are told %+v, want %+v", name, got, c.want)
		}
	}
}

func TestLinksAndAdviceAreAsThePropsSay(t *testing.T) {
	app := newApp(nothingBundled)
	for name, change := range map[string]func(*apiproxy.RetryingApiProxyProps){
		"Default": func(*apiproxy.RetryingApiProxyProps) {},
		"Off":     func(p *apiproxy.RetryingApiProxyProps) { p.Upstream.KeepLinks, p.OmitRetryAdvice = true, true },
	} {
		props := minimal()
		change(props)
		apiproxy.NewRetryingApiProxy(awscdk.NewStack(app, jsii.String(name), nil), jsii.String("Orders"), props)
	}
	templates := synthesise(app)
	on, off := environment(templates["Default"].gateway()), environment(templates["Off"].gateway())
	if on["UPSTREAM_LINKS"] != "https://api.example.com" || on["OMIT_RETRY_ADVICE"] != "false" {
		t.Errorf("by default the gateway is told %v", on)
	}
	if _, told := off["UPSTREAM_LINKS"]; told || off["OMIT_RETRY_ADVICE"] != "true" {
		t.Errorf("with both props the gateway is told %v", off)
	}
}

func TestGatewayAndProxiesAreToldWhatMayBeForwarded(t *testing.T) {
	template := variants()["Everything"]
	for _, function := range append(template.proxies(), template.gateway()) {
		told := environment(function)
		if told["UPSTREAM_ALLOWED_METHODS"] != "GET,POST,DELETE" || told["UPSTREAM_ALLOWED_PATHS"] != "/orders /gift%20cards" {
			t.Errorf("%s is told %v", function.name(), told)
		}
	}
	if networks, told := environment(template.gateway())["UPSTREAM_ALLOWED_NETWORKS"]; told {
		t.Errorf("the gateway, which calls nobody, is told of the networks %s", networks)
	}
}

func TestWhoseRecordsTheyAreReachesTheFunctions(t *testing.T) {
	app := newApp(nothingBundled)
	scope := constructs.NewConstruct(awscdk.NewStack(app, jsii.String("Shop"), nil), jsii.String("Api"))
	props := minimal()
	props.Idempotency = apiproxy.Idempotency{
		Caller:    []string{"X-Tenant", "claim:sub"},
		Tokens:    apiproxy.Tokens{Issuer: "https://login.example.com/", Keys: "https://login.example.com/keys", Audience: "orders"},
		KeyFields: []string{"PayPal-Request-Id"}, Recorded: map[int]bool{409: true, 404: false},
	}
	apiproxy.NewRetryingApiProxy(scope, jsii.String("Orders"), props)
	renamed := minimal()
	renamed.RecordPrefix = "orders-of-2026"
	apiproxy.NewRetryingApiProxy(awscdk.NewStack(app, jsii.String("Renamed"), nil), jsii.String("Orders"), renamed)
	templates := synthesise(app)
	gateway := environment(templates["Shop"].gateway())
	if gateway["RECORD_PREFIX"] != "Api/Orders" || gateway["IDEMPOTENCY_CALLER"] != "X-Tenant,claim:sub" || gateway["IDEMPOTENCY_KEY_FIELDS"] != "PayPal-Request-Id" {
		t.Errorf("the gateway is told %v", gateway)
	}
	if gateway["TOKEN_ISSUER"] != "https://login.example.com/" || gateway["TOKEN_KEYS"] != "https://login.example.com/keys" || gateway["TOKEN_AUDIENCE"] != "orders" {
		t.Errorf("of tokens the gateway is told %v", gateway)
	}
	for _, proxy := range templates["Shop"].proxies() {
		if got := environment(proxy)["IDEMPOTENCY_RECORDED"]; got != `{"404":false,"409":true}` {
			t.Errorf("%s is told %s", proxy.name(), got)
		}
	}
	if got := environment(templates["Renamed"].gateway())["RECORD_PREFIX"]; got != "orders-of-2026" {
		t.Errorf("the prefix is %s", got)
	}
}

func TestStrangersWaitForAMinuteUnlessThePropSaysMore(t *testing.T) {
	app := newApp(nothingBundled)
	for name, change := range map[string]func(*apiproxy.RetryingApiProxyProps){
		"Signed": func(p *apiproxy.RetryingApiProxyProps) {},
		"Open":   func(p *apiproxy.RetryingApiProxyProps) { p.UrlAuthType = awslambda.FunctionUrlAuthType_NONE },
		"Longer": func(p *apiproxy.RetryingApiProxyProps) {
			p.UrlAuthType, p.MaxAnonymousWait, p.HideAttempts = awslambda.FunctionUrlAuthType_NONE, 2*time.Minute, true
		},
	} {
		props := minimal()
		change(props)
		apiproxy.NewRetryingApiProxy(awscdk.NewStack(app, jsii.String(name), nil), jsii.String("Orders"), props)
	}
	templates := synthesise(app)
	for name, want := range map[string][2]string{"Signed": {"", "false"}, "Open": {"1m0s", "false"}, "Longer": {"2m0s", "true"}} {
		gateway := environment(templates[name].gateway())
		if gateway["MAX_ANONYMOUS_WAIT"] != want[0] || gateway["HIDE_ATTEMPTS"] != want[1] {
			t.Errorf("%s: the gateway is told %v, want %v", name, gateway, want)
		}
	}
}
