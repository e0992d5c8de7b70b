package handler

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// variables is an environment that is right, but for what is changed.
func variables(changes map[string]string) func(string) string {
	environment := map[string]string{
		"STATE_MACHINE_ARN": "arn:aws:states:eu-central-1:123456789012:stateMachine:orders",
		"PROXY_COUNT":       "3",
		"TABLE_NAME":        "records",
		"RECORD_PREFIX":     "gateway",
	}
	maps.Copy(environment, changes)
	return func(name string) string { return environment[name] }
}

func TestTheSettingsAreRead(t *testing.T) {
	s, err := settingsFrom(variables(map[string]string{
		"RETRY_POLICY":                 `{"deadline":"30s"}`,
		"IDEMPOTENCY_KEY_REQUIRED":     "unsafe",
		"IDEMPOTENCY_CACHE_HEADERS":    "true",
		"IDEMPOTENCY_SERVER_CACHE_HIT": "true",
		"IDEMPOTENCY_CALLER":           "X-Tenant, X-User, claim:Sub",
		"TOKEN_ISSUER":                 "https://login.example.com/",
		"TOKEN_KEYS":                   "https://login.example.com/keys",
		"TOKEN_AUDIENCE":               "orders",
		"IDEMPOTENCY_KEY_FIELDS":       "PayPal-Request-Id",
		"UPSTREAM_LINKS":               "https://api.example.com/v1 http://127.0.0.1:8080",
		"OMIT_RETRY_ADVICE":            "true",
		"HIDE_ATTEMPTS":                "true",
		"UPSTREAM_AUTH_REPLACES":       "?api_key",
		"MAX_ANONYMOUS_WAIT":           "1m30s",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if s.stateMachineARN != "arn:aws:states:eu-central-1:123456789012:stateMachine:orders" || s.proxies != 3 || s.table != "records" ||
		s.recordPrefix != "gateway" || s.keyRequirement != idempotencyhttp.UnsafeMethods || !s.serverCacheHit || !s.cache.ETag ||
		!slices.Equal(s.callerFields, []string{"x-tenant", "x-user", "claim:Sub"}) || !s.callerClaims ||
		s.tokenIssuer != "https://login.example.com/" || s.tokenKeys != "https://login.example.com/keys" || s.tokenAudience != "orders" || !slices.Equal(s.keyFields, []string{"paypal-request-id"}) ||
		len(s.links) != 2 || s.links[1].Host != "127.0.0.1:8080" || !s.omitRetryAdvice || !s.hideAttempts || s.maxAnonymousWait != 90*time.Second || !slices.Equal(s.authReplaces, []string{"?api_key"}) {
		t.Errorf("got %+v", s)
	}
	if want := []string{"Idempotency-Key", "paypal-request-id"}; !slices.Equal(s.cache.Vary, want) {
		t.Errorf("recorded answers vary by %q, want %q", s.cache.Vary, want)
	}
	policy := retry.Default()
	policy.Deadline = 30 * time.Second
	if diff := cmp.Diff(policy, s.policy); diff != "" {
		t.Errorf("the policy differs (-want +got):\n%s", diff)
	}
}

func TestTheProxyThatStartsIsReadIfItIsSaid(t *testing.T) {
	s, err := settingsFrom(variables(map[string]string{"RING_START": "3"}))
	if err != nil || s.ringStart != 3 {
		t.Errorf("the start is %d, error %v", s.ringStart, err)
	}
	for _, text := range []string{"0", "4", "-1", "first"} {
		if _, err := settingsFrom(variables(map[string]string{"RING_START": text})); err == nil || !strings.Contains(err.Error(), "RING_START") {
			t.Errorf("%q is taken, error %v", text, err)
		}
	}
}

func TestWhatIsNotSetHasItsDefault(t *testing.T) {
	s, err := settingsFrom(variables(nil))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(retry.Default(), s.policy); diff != "" {
		t.Errorf("the policy differs (-want +got):\n%s", diff)
	}
	if s.keyRequirement != idempotencyhttp.Never || s.serverCacheHit || s.cache.ETag || s.cache.MaxAge != 0 || s.cache.Vary != nil {
		t.Errorf("got %+v", s)
	}
}

func TestAllProblemsOfTheSettingsAreReportedAtOnce(t *testing.T) {
	for _, c := range []struct {
		changes map[string]string
		want    []string
	}{
		{
			map[string]string{"IDEMPOTENCY_CALLER": "a b:c", "IDEMPOTENCY_KEY_FIELDS": "d:e", "UPSTREAM_LINKS": "api", "OMIT_RETRY_ADVICE": "1", "HIDE_ATTEMPTS": "yes", "MAX_ANONYMOUS_WAIT": "60", "TOKEN_ISSUER": "a", "TOKEN_KEYS": "keys", "UPSTREAM_AUTH_REPLACES": "a b"},
			[]string{`IDEMPOTENCY_CALLER has "b:c"`, `IDEMPOTENCY_KEY_FIELDS has "d:e"`, `UPSTREAM_LINKS has "api"`, `OMIT_RETRY_ADVICE is "1"`, `HIDE_ATTEMPTS is "yes"`, `MAX_ANONYMOUS_WAIT is "60"`, `TOKEN_KEYS is "keys"`, `UPSTREAM_AUTH_REPLACES is "a b"`},
		},
		{
			map[string]string{"STATE_MACHINE_ARN": "", "PROXY_COUNT": "", "TABLE_NAME": "", "RECORD_PREFIX": ""},
			[]string{"STATE_MACHINE_ARN is empty", `PROXY_COUNT is ""`, "TABLE_NAME is empty", "RECORD_PREFIX is empty"},
		},
		{
			map[string]string{
				"PROXY_COUNT": "-1", "RETRY_POLICY": `{"scope":"per-planet","attemptTimeout":"-1s"}`, "IDEMPOTENCY_KEY_REQUIRED": "sometimes",
				"IDEMPOTENCY_CACHE_HEADERS": "yes", "IDEMPOTENCY_SERVER_CACHE_HIT": "1",
			},
			[]string{
				`PROXY_COUNT is "-1"`, "per-planet", "-1s", `IDEMPOTENCY_KEY_REQUIRED is "sometimes"`,
				`IDEMPOTENCY_CACHE_HEADERS is "yes"`, `IDEMPOTENCY_SERVER_CACHE_HIT is "1"`,
			},
		},
		{map[string]string{"PROXY_COUNT": "three", "RETRY_POLICY": `{"retries":3}`}, []string{`PROXY_COUNT is "three"`, "retries"}},
	} {
		_, err := settingsFrom(variables(c.changes))
		if err == nil {
			t.Errorf("%v is taken", c.changes)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the message does not say %s:\n%v", want, err)
			}
		}
	}
}

func TestEveryDeploymentHasAPseudonymOfItsOwn(t *testing.T) {
	a, b := settings{stateMachineARN: "arn:a"}.pseudonym(), settings{stateMachineARN: "arn:b"}.pseudonym()
	if a == b || a != (settings{stateMachineARN: "arn:a"}).pseudonym() || !message.IsToken(a) {
		t.Errorf("two deployments are called %s and %s", a, b)
	}
}
