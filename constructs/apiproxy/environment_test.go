//go:build !race

package apiproxy_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
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
		"IDEMPOTENCY_CACHE_HEADERS", "IDEMPOTENCY_KEY_REQUIRED", "IDEMPOTENCY_SERVER_CACHE_HIT", "OMIT_RETRY_ADVICE", "PROXY_COUNT",
		"RETRY_POLICY", "STATE_MACHINE_ARN", "TABLE_NAME", "UPSTREAM_LINKS",
	}
	proxy := []string{"IDEMPOTENCY_TTL", "PROXY_COUNT", "PROXY_NAME", "RETRY_POLICY", "UPSTREAM_BASE_URL"}
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
