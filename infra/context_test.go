//go:build !race

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// stackWith is the template of this repository's stack with a context.
func stackWith(context map[string]any) template {
	app := newApp(context)
	newProxyStack(app, "RetryingApiProxy")
	return synthesise(app)
}

func TestTheContextChoosesTheVariantOfTheStack(t *testing.T) {
	template := stackWith(map[string]any{
		"upstream":     "https://api.example.com/v1",
		"proxies":      "2",
		"architecture": "x86_64",
		"auth":         "NONE",
	})
	if got := len(template.proxies()); got != 2 {
		t.Errorf("%d proxies; want 2", got)
	}
	for id, function := range template.ofType("AWS::Lambda::Function") {
		if got := fmt.Sprint(function.at("Architectures")); got != "[x86_64]" {
			t.Errorf("%s is for %s", id, got)
		}
	}
	for id, proxy := range template.proxies() {
		if got := proxy.at("Environment", "Variables", "UPSTREAM_BASE_URL"); got != "https://api.example.com/v1" {
			t.Errorf("%s calls %v", id, got)
		}
	}
	urls := template.ofType("AWS::Lambda::Url")
	if len(urls) != 1 {
		t.Errorf("%d URLs; want one", len(urls))
	}
	for id, url := range urls {
		if got := url.at("AuthType"); got != "NONE" {
			t.Errorf("the auth type of %s is %v", id, got)
		}
	}
}

func TestTheContextNamesTheSecretOfTheUpstream(t *testing.T) {
	const arn = `"arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:`
	for text, want := range map[string]string{
		"bearer:orders/token":                                  `{"kind":"bearer","secret":` + arn + `orders/token"}`,
		"basic:orders/user#a":                                  `{"kind":"basic","secret":` + arn + `orders/user#a"}`,
		"header/X-Api-Key:orders/key":                          `{"kind":"header","secret":` + arn + `orders/key","name":"X-Api-Key"}`,
		"query/api_key:orders/key":                             `{"kind":"query","secret":` + arn + `orders/key","name":"api_key"}`,
		"certificate:orders/tls":                               `{"certificate":` + arn + `orders/tls"}`,
		"oauth2/https://login.example.com/token:orders/client": `{"kind":"oauth2","secret":` + arn + `orders/client","tokenUrl":"https://login.example.com/token"}`,
	} {
		for id, proxy := range stackWith(map[string]any{"upstreamauth": text, "proxies": 1}).proxies() {
			if got := flat(proxy.at("Environment", "Variables", "UPSTREAM_AUTH")); got != want {
				t.Errorf("with %s, %s is told %s, want %s", text, id, got, want)
			}
		}
	}
}

// flat writes a text whose parts are known at deployment with the names of these.
func flat(value any) string {
	join, _ := value.(map[string]any)["Fn::Join"].([]any)
	var b strings.Builder
	for _, part := range join[1].([]any) {
		if reference, ok := part.(map[string]any); ok {
			part = fmt.Sprintf("${%v}", reference["Ref"])
		}
		b.WriteString(part.(string))
	}
	return b.String()
}

func TestTheContextHoldsThePolicyAndNamesVendors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.json")
	const text = `{"deadline": "90s", "routes": [{"path": "/reports", "maxDeadline": "280s", "attemptTimeout": "60s"}]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var object any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	for form, value := range map[string]any{"a file": file, "JSON": text, "an object": object} {
		for id, proxy := range stackWith(map[string]any{"policy": value, "vendor": "airtable,shopify", "proxies": 1}).proxies() {
			policy, err := message.ReadPolicy(fmt.Sprint(proxy.at("Environment", "Variables", "RETRY_POLICY")))
			if err != nil || policy.Deadline != 90*time.Second || len(policy.Routes) != 1 || len(policy.Signals) != 2 || policy.Scope != retry.PerAccount {
				t.Errorf("from %s, %s has the policy %+v, %v", form, id, policy, err)
			}
		}
	}
}

func TestBadPoliciesAndVendorsInTheContextAreReported(t *testing.T) {
	message := panicOf(t, func() {
		stackWith(map[string]any{"policy": `{"dead": 1}`, "vendor": "acme"})
	})
	for _, want := range []string{"context policy: retry: policy: ", `"dead"`, `context vendor: retry: there is no preset for the vendor "acme"`} {
		if !strings.Contains(message, want) {
			t.Errorf("the message does not say %q:\n%s", want, message)
		}
	}
	message = panicOf(t, func() { stackWith(map[string]any{"policy": "missing.json"}) })
	if want := "context policy: open missing.json"; !strings.Contains(message, want) {
		t.Errorf("the message does not say %q:\n%s", want, message)
	}
}

func TestTheContextAsksForLargeBodies(t *testing.T) {
	for text, want := range map[string]int{"true": 1, "false": 0} {
		if got := len(stackWith(map[string]any{"largebodies": text}).ofType("AWS::S3::Bucket")); got != want {
			t.Errorf("with %s there are %d buckets, want %d", text, got, want)
		}
	}
}

func TestTheContextSaysWhichAddressesTheProxiesCallFrom(t *testing.T) {
	for text, want := range map[string][3]int{"shared": {0, 0, 0}, "": {0, 0, 0}, "static": {2, 2, 0}, "ipv6": {0, 0, 1}} {
		context := map[string]any{"proxies": 2, "addressprobe": "https://checkip.amazonaws.com"}
		if text != "" {
			context["egress"] = text
		}
		template := stackWith(context)
		got := [3]int{len(template.ofType("AWS::EC2::NatGateway")), len(template.ofType("AWS::EC2::EIP")), len(template.ofType("AWS::EC2::EgressOnlyInternetGateway"))}
		if got != want {
			t.Errorf("with %q there are %d NAT gateways, addresses and egress-only gateways, want %d", text, got, want)
		}
		for id, proxy := range template.proxies() {
			if got := proxy.at("Environment", "Variables", "ADDRESS_PROBE_URL"); got != "https://checkip.amazonaws.com" {
				t.Errorf("with %q, %s is told of the probe %v", text, id, got)
			}
		}
	}
	message := panicOf(t, func() { stackWith(map[string]any{"egress": "nat", "addressprobe": "checkip.amazonaws.com"}) })
	for _, want := range []string{`context egress is "nat"; give shared, static or ipv6`, `Egress.ProbeURL is "checkip.amazonaws.com"; give an https URL`} {
		if !strings.Contains(message, want) {
			t.Errorf("the message does not say %q:\n%s", want, message)
		}
	}
}

func TestTheContextSaysHowRequestsWaitForOneAnother(t *testing.T) {
	for name, c := range map[string]struct {
		context map[string]any
		want    string
	}{
		"nothing": {nil, `{"flowControl":{"mode":"off","key":"credential+route","maxWaiting":500}}`},
		"empty values": {map[string]any{"flowcontrol": "", "flowkey": "", "maxwaiting": "", "circuitbreaker": ""},
			`{"flowControl":{"mode":"off","key":"credential+route","maxWaiting":500}}`},
		"a rate": {map[string]any{"flowcontrol": "fixed:50/1m", "flowkey": "upstream", "maxwaiting": "-1", "circuitbreaker": "off"},
			`{"flowControl":{"mode":"fixed","rate":50,"period":"1m0s","key":"upstream","maxWaiting":-1},"circuitBreaker":{"disabled":true}}`},
		"a burst": {map[string]any{"flowcontrol": "fixed:50/1s:80", "flowkey": "route", "circuitbreaker": "on"},
			`{"flowControl":{"mode":"fixed","rate":50,"period":"1s","burst":80,"key":"route","maxWaiting":500}}`},
		"learned":  {map[string]any{"flowcontrol": "adaptive", "flowkey": "credential", "maxwaiting": 20}, `{"flowControl":{"mode":"adaptive","key":"credential","maxWaiting":20}}`},
		"observed": {map[string]any{"flowcontrol": "observe", "flowkey": "credential+route"}, `{"flowControl":{"mode":"observe","key":"credential+route","maxWaiting":500}}`},
	} {
		context := map[string]any{"proxies": 1}
		maps.Copy(context, c.context)
		for _, function := range stackWith(context).ofType("AWS::Lambda::Function") {
			if got := function.at("Environment", "Variables", "GATE"); got != c.want {
				t.Errorf("%s: a function is told %v, want %s", name, got, c.want)
			}
		}
	}
	for _, function := range stackWith(map[string]any{"proxies": 1, "flowcontrol": "off", "circuitbreaker": "off"}).ofType("AWS::Lambda::Function") {
		if got := function.at("Environment", "Variables", "GATE"); got != nil {
			t.Errorf("with both off, a function is told %v", got)
		}
	}
}

func TestAFlowControlThatIsNoneIsReported(t *testing.T) {
	for _, text := range []string{"auto", "fixed", "fixed:50", "fixed:/1s", "fixed:50/", "fixed:50/1", "fixed:50/1s:", "fixed:50/1s:80:2", "50/1s", "fixed:1.5/1s"} {
		message := panicOf(t, func() {
			stackWith(map[string]any{"flowcontrol": text, "flowkey": "tenant", "maxwaiting": "0", "circuitbreaker": "true"})
		})
		for _, want := range []string{
			`context flowcontrol is "` + text + `"; give off, adaptive, observe, or a rate as fixed:RATE/PERIOD or fixed:RATE/PERIOD:BURST, such as fixed:50/1s:80`,
			`context flowkey is "tenant"; give credential+route, credential, route or upstream`,
			`context maxwaiting is "0"; give a whole number from 1, or -1 for no bound`,
			`context circuitbreaker is "true"; give on or off`,
		} {
			if !strings.Contains(message, want) {
				t.Errorf("the message does not say %q:\n%s", want, message)
			}
		}
		if got := strings.Count(message, "\n"); got != 4 {
			t.Errorf("the message has %d lines after its first, want 4:\n%s", got, message)
		}
	}
	message := panicOf(t, func() { stackWith(map[string]any{"flowcontrol": "fixed:0/1ms"}) })
	for _, want := range []string{"FlowControl.Rate is 0", "FlowControl.Period is 1ms"} {
		if !strings.Contains(message, want) {
			t.Errorf("the message does not say %q:\n%s", want, message)
		}
	}
}

func TestTheContextSaysWhoIsCalledBack(t *testing.T) {
	template := stackWith(map[string]any{"async": "true", "callback": "https://hooks.example.com/a", "callbackhosts": "hooks.example.com, b.example:8443"})
	told := ""
	for _, function := range template.ofType("AWS::Lambda::Function") {
		if url := function.at("Environment", "Variables", "CALLBACK_URL"); url != nil {
			told += fmt.Sprint(url, " ", function.at("Environment", "Variables", "CALLBACK_HOSTS"))
		}
	}
	if want := "https://hooks.example.com/a hooks.example.com b.example:8443"; told != want {
		t.Errorf("the functions are told %q, want %q", told, want)
	}
}

func TestANumberInTheContextMayBeAJSONNumber(t *testing.T) {
	if got := len(stackWith(map[string]any{"proxies": 4}).proxies()); got != 4 {
		t.Errorf("%d proxies; want 4", got)
	}
}

func TestBadValuesInTheContextAreReportedAllAtOnce(t *testing.T) {
	for _, proxies := range []string{"many", "0", "21", "2.5"} {
		message := panicOf(t, func() {
			stackWith(map[string]any{"upstream": "ftp://example.com", "proxies": proxies, "architecture": "mips", "auth": "BASIC", "deadletters": "yes", "largebodies": "6MB", "callback": "http://hooks.example.com", "upstreamauth": "bearer:"})
		})
		for _, want := range []string{
			`context proxies is "` + proxies + `"; give a whole number from 1 to 20`,
			`context architecture is "mips"; give arm64 or x86_64`,
			`context auth is "BASIC"; give AWS_IAM or NONE`,
			`context deadletters is "yes"; give true or false`,
			`Callback.URL is not usable: it must be one of https`,
			`Callback is set, and Async is not`,
			`context largebodies is "6MB"; give true or false`,
			`context upstreamauth: behind the last colon is not the name of a secret`,
			`"ftp://example.com"`, "https://",
		} {
			if !strings.Contains(message, want) {
				t.Errorf("the message does not say %q:\n%s", want, message)
			}
		}
		if got, want := strings.Count(message, "\n"), 9; got != want {
			t.Errorf("the message has %d lines after its first; want %d:\n%s", got, want, message)
		}
	}
}
