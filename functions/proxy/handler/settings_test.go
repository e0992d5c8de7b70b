package handler

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// environment is a getenv for some variables.
func environment(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

func TestTheEnvironmentIsRead(t *testing.T) {
	c, err := settingsFrom(environment(map[string]string{
		"PROXY_NAME":                "proxy-2",
		"PROXY_COUNT":               "3",
		"UPSTREAM_BASE_URL":         "https://api.example/v1",
		"UPSTREAM_ALLOWED_METHODS":  "GET,PUT",
		"UPSTREAM_ALLOWED_PATHS":    "/orders /a,b",
		"UPSTREAM_ALLOWED_NETWORKS": "10.0.0.0/8, fd00::/8,192.168.1.0/24",
		"RETRY_POLICY":              `{"attemptTimeout":"3s"}`,
		"IDEMPOTENCY_TTL":           "24h",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if c.name != "proxy-2" || c.proxies != 3 || c.baseURL.String() != "https://api.example/v1" || c.recordTTL != 24*time.Hour {
		t.Errorf("got %+v", c)
	}
	want := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("192.168.1.0/24"),
	}
	if diff := cmp.Diff(want, c.allowedNetworks, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("other networks are allowed (-want +got):\n%s", diff)
	}
	for path, allowed := range map[string]bool{"/orders/5": true, "/a,b": true, "/a": false} {
		if refusal := c.forwarding.Refuse(&message.Request{Method: "PUT", Path: path}); (refusal == nil) != allowed {
			t.Errorf("PUT %s: %+v", path, refusal)
		}
	}
	if got := c.forwarding.Allow(); got != "GET, PUT" {
		t.Errorf("the methods are %s", got)
	}
	policy := retry.Default()
	policy.AttemptTimeout = 3 * time.Second
	if diff := cmp.Diff(policy, c.policy); diff != "" {
		t.Errorf("the policy differs (-want +got):\n%s", diff)
	}
}

func TestHowToAuthenticateIsRead(t *testing.T) {
	variables := map[string]string{
		"PROXY_NAME": "proxy-1", "PROXY_COUNT": "1", "UPSTREAM_BASE_URL": "https://api.example", "UPSTREAM_AUTH": `{"kind":"bearer","secret":"s#f"}`,
		"UPSTREAM_SECRET_CACHE": "90s", "UPSTREAM_HEADERS": `{"Stripe-Version":"2026-05-04"}`, "UPSTREAM_CERTIFICATE_AUTHORITY": anAuthority(t),
	}
	s, err := settingsFrom(environment(variables))
	if err != nil {
		t.Fatal(err)
	}
	if s.auth.Kind != "bearer" || s.auth.Secret != "s#f" || s.secretCache != 90*time.Second || s.fixedFields["Stripe-Version"] != "2026-05-04" || s.authorities == nil {
		t.Errorf("got %+v", s)
	}
	for name := range variables {
		if strings.HasPrefix(name, "UPSTREAM_") && name != "UPSTREAM_BASE_URL" {
			delete(variables, name)
		}
	}
	if s, err := settingsFrom(environment(variables)); err != nil || !s.auth.IsZero() || s.secretCache != 0 || s.fixedFields != nil || s.authorities != nil {
		t.Errorf("without all that, got %+v, error %v", s, err)
	}
}

func TestWithoutAPolicyTheDefaultOneIsUsedAndNoNetworkIsAllowed(t *testing.T) {
	c, err := settingsFrom(environment(map[string]string{
		"PROXY_NAME": "proxy-1", "PROXY_COUNT": "1", "UPSTREAM_BASE_URL": "http://api.example",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(retry.Default(), c.policy); diff != "" {
		t.Errorf("the policy differs (-want +got):\n%s", diff)
	}
	if len(c.allowedNetworks) != 0 {
		t.Errorf("%v are allowed", c.allowedNetworks)
	}
}

func TestAllProblemsOfTheEnvironmentAreReportedAtOnce(t *testing.T) {
	for _, c := range []struct {
		variables map[string]string
		want      []string
	}{
		{nil, []string{"PROXY_COUNT", "UPSTREAM_BASE_URL"}},
		{map[string]string{
			"PROXY_NAME":                "proxy-4",
			"PROXY_COUNT":               "3",
			"UPSTREAM_BASE_URL":         "ftp://api.example",
			"UPSTREAM_ALLOWED_NETWORKS": "10.0.0.0, 300.0.0.0/8 0.0.0.0/0,127.0.0.0/8 ::ffff:10.0.0.0/104 10.1.2.3/8",
			"UPSTREAM_ALLOWED_METHODS":  "get",
			"UPSTREAM_ALLOWED_PATHS":    "orders",
			"RETRY_POLICY":              `{"scope":"per-planet","deadline":"-1s"}`,
			"IDEMPOTENCY_TTL":           "forever",
		}, []string{
			`PROXY_NAME is "proxy-4"`, "proxy-1 to proxy-3", `UPSTREAM_BASE_URL is "ftp://api.example"`, `"10.0.0.0"`, `"300.0.0.0/8"`,
			`"0.0.0.0/0" has loopback addresses`, `"127.0.0.0/8" has loopback addresses`, `"::ffff:10.0.0.0/104" is IPv4`, `"10.1.2.3/8" has bits`,
			`UPSTREAM_ALLOWED_METHODS: "get"`, `UPSTREAM_ALLOWED_PATHS: "orders"`,
			"per-planet", "-1s", `IDEMPOTENCY_TTL is "forever"`,
		}},
		{map[string]string{
			"PROXY_NAME": "proxy-1", "PROXY_COUNT": "1", "UPSTREAM_BASE_URL": "https://api.example/v1?apikey=c4nary",
			"UPSTREAM_AUTH": "c4nary", "UPSTREAM_SECRET_CACHE": "10ms", "UPSTREAM_HEADERS": `{"Authorization":"c4nary","Host":"c4nary"}`,
			"UPSTREAM_CERTIFICATE_AUTHORITY": "c4nary",
		}, []string{
			"UPSTREAM_BASE_URL has a query, which belongs to each request; a key goes into UPSTREAM_AUTH", "UPSTREAM_AUTH is not a JSON object",
			`UPSTREAM_SECRET_CACHE is "10ms"`, "UPSTREAM_HEADERS: the header field Authorization carries a credential",
			"UPSTREAM_HEADERS: the header field Host is written by", "UPSTREAM_CERTIFICATE_AUTHORITY: it holds no certificate in PEM",
		}},
		{map[string]string{
			"PROXY_NAME": "proxy-1", "PROXY_COUNT": "1", "UPSTREAM_BASE_URL": "https://api.example?", "UPSTREAM_HEADERS": "c4nary",
			"UPSTREAM_AUTH": `{"kind":"c4n"}`, "UPSTREAM_CERTIFICATE_AUTHORITY": "-----BEGIN PRIVATE KEY-----\nYzRuYXJ5\n-----END PRIVATE KEY-----",
		}, []string{
			"UPSTREAM_BASE_URL has a query", "UPSTREAM_HEADERS must be a JSON object", `UPSTREAM_AUTH: it names no secret`, "a private key has no place here",
		}},
		{map[string]string{
			"PROXY_NAME": "proxy-1", "PROXY_COUNT": "0", "UPSTREAM_BASE_URL": "https://", "RETRY_POLICY": `{"retries":3}`,
		}, []string{`PROXY_COUNT is "0"`, `UPSTREAM_BASE_URL is "https:"`, "retries"}},
		{map[string]string{
			"PROXY_NAME": "proxy-1", "PROXY_COUNT": "1", "UPSTREAM_BASE_URL": "https://api.example:port", "RETRY_POLICY": `{`,
			"IDEMPOTENCY_TTL": "1ms",
		}, []string{"UPSTREAM_BASE_URL is not a URL", "RETRY_POLICY: ", `IDEMPOTENCY_TTL is "1ms"`}},
	} {
		_, err := settingsFrom(environment(c.variables))
		if err == nil {
			t.Errorf("%v is taken", c.variables)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the message does not say %s:\n%v", want, err)
			}
		}
		if strings.Contains(err.Error(), "c4nary") {
			t.Errorf("the message holds what may be a secret:\n%v", err)
		}
	}
}

func TestTheMessageDoesNotTellThePasswordInABaseURL(t *testing.T) {
	for _, base := range []string{"ftp://user:secret@api.example", "https://user:secret@api.example:port", "https://user:secret@%zz"} {
		_, err := settingsFrom(environment(map[string]string{
			"PROXY_NAME": "proxy-1", "PROXY_COUNT": "1", "UPSTREAM_BASE_URL": base,
		}))
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("the message is %v", err)
		}
	}
}
