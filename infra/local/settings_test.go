package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/faults"
)

// environ is an environment of its own.
func environ(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

func TestWithoutAnEnvironmentTheDefaultsHold(t *testing.T) {
	s, err := settingsFrom(environ(nil))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(settings{address: "127.0.0.1:8787", speed: 1}, s, cmp.AllowUnexported(settings{})); diff != "" {
		t.Errorf("the settings are not the defaults (-want +got):\n%s", diff)
	}
}

func TestTheEnvironmentIsRead(t *testing.T) {
	s, err := settingsFrom(environ(map[string]string{
		"ADDR": "127.0.0.1:9000", "UPSTREAM": "https://api.example.com/v1", "SPEED": "2.5", "PROXIES": "5", "DATA": "records.db", "VERBOSE": "1", "SECRETS": "secrets.json",
		"CALLBACK": "http://127.0.0.1:9000/told?a=1", "CALLBACK_HOSTS": "127.0.0.1:9000, hooks.example.com",
		"CONCURRENCY": "10", "FREEZE": "off", "UPSTREAM_AUTH": "header/X-Api-Key:orders/keys#live", "CA": "ca.pem", "AUTH": "AWS_IAM", "SHARING": "gate", "FAULTS": "throttle=0.1,lost=0.2,slow=0.3,delay=250ms,seed=7",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := settings{
		address: "127.0.0.1:9000", upstream: "https://api.example.com/v1", speed: 2.5, proxies: "5", dataFile: "records.db", verbose: true,
		concurrency: 10, keepRunning: true, signed: true, sharing: "gate", secretsFile: "secrets.json",
		upstreamAuth: message.UpstreamAuth{Kind: "header", Name: "X-Api-Key", Secret: "orders/keys#live"},
		callback:     "http://127.0.0.1:9000/told?a=1", callbackHosts: []string{"127.0.0.1:9000", "hooks.example.com"},
		upstreamAuthText: "header/X-Api-Key:orders/keys#live", caFile: "ca.pem",
		faults: faults.Settings{Throttle: 0.1, Lost: 0.2, Slow: 0.3, Delay: 250 * time.Millisecond, Seed: 7},
	}
	if diff := cmp.Diff(want, s, cmp.AllowUnexported(settings{})); diff != "" {
		t.Errorf("the settings are not what the environment says (-want +got):\n%s", diff)
	}
	context := map[string]any{"architecture": map[string]string{"arm64": "arm64", "amd64": "x86_64"}[runtime.GOARCH], "auth": "AWS_IAM", "proxies": "5", "async": "true", "largebodies": "true", "queue": "true", "deadletters": "true",
		"callback": "https://127.0.0.1:9000/told?a=1", "callbackhosts": "127.0.0.1:9000,hooks.example.com",
		"upstreamauth": "header/X-Api-Key:orders/keys#live", "flowcontrol": "adaptive"}
	if diff := cmp.Diff(context, s.context()); diff != "" {
		t.Errorf("the context is not what the settings say (-want +got):\n%s", diff)
	}
}

func TestWithSharingOffTheStackIsToldSo(t *testing.T) {
	s, err := settingsFrom(environ(map[string]string{"SHARING": "off"}))
	if got := s.context()["flowcontrol"]; err != nil || got != "off" {
		t.Errorf("the context has flowcontrol %v (%v), want off", got, err)
	}
	s, err = settingsFrom(environ(nil))
	if got, said := s.context()["flowcontrol"]; err != nil || said {
		t.Errorf("without SHARING the context has flowcontrol %v (%v), want nothing, so that the stack's default holds", got, err)
	}
}

func TestAPolicyInAFileIsOverThePresetsOfVendors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(file, []byte(`{"rateLimits": {"attempts": 2}, "deadline": "90s"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := settingsFrom(environ(map[string]string{"POLICY": file, "VENDOR": "airtable, shopify"}))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := json.Marshal(s.context()["policy"])
	for _, want := range []string{`"attempts":2`, `"deadline":"1m30s"`, `"name":"throttled"`, `"name":"graphql-throttled"`, `"base":"15s"`} {
		if !strings.Contains(string(policy), want) {
			t.Errorf("the policy of the stack is %s (%v); want %s in it", policy, err, want)
		}
	}
}

func TestAllThatIsWrongWithAPolicyIsSaidBeforeAnythingIsBuilt(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) string {
		file := filepath.Join(dir, "policy.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for text, wants := range map[string][]string{
		`{"atempts": 3}`: {"POLICY: ", "atempts"},
		`{"signals": [{"name": "A", "when": {"expression": "a["}}], "deadline": "1h"}`: {"Signals[0] (A).Name", "When.Expression", "Deadline is 1h0m0s"},
		`[`: {"POLICY: "},
	} {
		_, err := settingsFrom(environ(map[string]string{"POLICY": write(text), "VENDOR": "airtable,acme"}))
		for _, want := range append(wants, `VENDOR: retry: there is no preset for the vendor "acme"; there are adyen,`) {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the message does not say %q:\n%v", text, want, err)
			}
		}
	}
	if _, err := settingsFrom(environ(map[string]string{"POLICY": filepath.Join(dir, "missing")})); err == nil || !strings.Contains(err.Error(), "POLICY: open ") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestAllProblemsOfTheEnvironmentAreSaidAtOnce(t *testing.T) {
	_, err := settingsFrom(environ(map[string]string{
		"ADDR": "8787", "UPSTREAM": "ftp://example.com", "SPEED": "fast", "PROXIES": "0", "VERBOSE": "yes", "CONCURRENCY": "0", "FREEZE": "0", "AUTH": "BASIC", "SHARING": "on", "UPSTREAM_AUTH": "c4nary:c4nary", "CALLBACK": "http://hooks.example.com", "CALLBACK_HOSTS": "*.example.com", "FAULTS": "lost=2,often=1",
	}))
	want := []string{
		`ADDR is "8787"; give a host and a port, such as 127.0.0.1:8787`,
		`UPSTREAM is "ftp://example.com"; give a URL that starts with http:// or https://`,
		`UPSTREAM_AUTH: it does not begin with a kind that is known; give one of bearer:SECRET, basic:SECRET, header/NAME:SECRET, query/NAME:SECRET, oauth2/TOKEN-URL:SECRET, certificate:SECRET`,
		`UPSTREAM_AUTH names a secret; give SECRETS=file.json, which holds it`,
		`CALLBACK is not usable: it must be one of https; give an https URL, or one of http at a loopback address, such as http://127.0.0.1:9000/`,
		`CALLBACK_HOSTS: "*.example.com" has a wildcard; hosts are compared as a whole, so name each`,
		`SPEED is "fast"; give a number above 0, such as 10`,
		`VERBOSE is "yes"; give 1, or nothing`,
		`CONCURRENCY is "0"; give a whole number from 1`,
		`FAULTS: lost is "2"; give a share of the calls from 0 to 1, such as 0.1`,
		`FAULTS: "often=1" is not known; throttle, lost, slow, failed, cut, delay and seed are, such as in throttle=0.1,lost=0.1,slow=0.1,delay=1s,seed=7`,
		`FREEZE is "0"; give off, or nothing`,
		`AUTH is "BASIC"; give AWS_IAM, or NONE, which is the default here`,
		`SHARING is "on"; give off or gate, or nothing for what the stack has by default`,
		`PROXIES is "0"; give a whole number from 1`,
	}
	if err == nil {
		t.Fatal("there is no error")
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("the problems are not those that were expected (-want +got):\n%s", diff)
	}
}

func TestValuesThatOnlyLookRightAreRefused(t *testing.T) {
	for name, values := range map[string][]string{
		"UPSTREAM":    {"api.example.com", "http://", "https:///path", "http://[::1", "localhost:8080", "http://user@127.0.0.1:80", "http://127.0.0.1:80/#top", "http://127.0.0.1:80/?key=c4nary", "http://127.0.0.1:80/?"},
		"SPEED":       {"0", "-1", "NaN", "Inf", "1e7", "2x"},
		"PROXIES":     {"-1", "1.5", "three"},
		"CONCURRENCY": {"-1", "1.5", "all"},
		"ADDR":        {"127.0.0.1", "127.0.0.1:1:2"},
	} {
		for _, value := range values {
			if _, err := settingsFrom(environ(map[string]string{name: value})); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "c4nary") {
				t.Errorf("%s=%s gives %v, want an error that names it, without the key", name, value, err)
			}
		}
	}
}

func TestTheHostAndPortOfAnUpstreamAreThoseOfItsURL(t *testing.T) {
	for url, want := range map[string]string{
		"http://example.com":         "example.com:80",
		"https://example.com/v1":     "example.com:443",
		"http://127.0.0.1:8080/v1":   "127.0.0.1:8080",
		"https://[2001:db8::1]/path": "[2001:db8::1]:443",
	} {
		if got, err := hostPort(url); err != nil || got != want {
			t.Errorf("of %s they are %s, %v, want %s", url, got, err, want)
		}
	}
}

func TestAPasswordInTheUpstreamIsNotRepeated(t *testing.T) {
	_, err := settingsFrom(environ(map[string]string{"UPSTREAM": "http://user:secret@127.0.0.1:80"}))
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error is %v", err)
	}
}

func TestAnAddressThatOtherMachinesReachIsKnown(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:8787": true, "127.0.0.9:1": true, "[::1]:8787": true, "localhost:8787": true,
		":8787": false, "0.0.0.0:8787": false, "[::]:8787": false, "192.0.2.7:8787": false, "example.com:8787": false,
	} {
		if got := (settings{address: address}).loopback(); got != want {
			t.Errorf("%s is taken for an address of this machine alone: %v, want %v", address, got, want)
		}
	}
}

func TestAnotherStackIsRunAsItIs(t *testing.T) {
	s, err := settingsFrom(environ(map[string]string{"ASSEMBLY": "../shop/cdk.out", "INSTANCE": "Orders", "SKIP": "AWS::Kinesis::*, Uploads,Reports/Daily"}))
	want := settings{
		address: "127.0.0.1:8787", speed: 1, assembly: "../shop/cdk.out", instance: "Orders", skip: []string{"AWS::Kinesis::*", "Uploads", "Reports/Daily"},
	}
	if diff := cmp.Diff(want, s, cmp.AllowUnexported(settings{})); err != nil || diff != "" {
		t.Errorf("the settings are not what the environment says, %v (-want +got):\n%s", err, diff)
	}
	for name, value := range map[string]string{
		"PROXIES": "2", "VENDOR": "shopify", "SHARING": "gate", "CALLBACK_HOSTS": "hooks.example.com", "POLICY": "settings_test.go",
	} {
		_, err := settingsFrom(environ(map[string]string{"ASSEMBLY": "../shop/cdk.out", name: value}))
		if err == nil || !strings.Contains(err.Error(), name+" is for the stack of this repository") {
			t.Errorf("with %s, which changes how a stack is synthesised, the error is %v", name, err)
		}
	}
}

func TestOtherFunctionURLsAreOnThePortsAfterTheEndpoints(t *testing.T) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	// The second port after the address is the one that is taken already.
	port := first.Addr().(*net.TCPAddr).Port
	listen := settings{address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port-2))}.selection().Listen
	for range 2 {
		listener, err := listen()
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		if at := listener.Addr().(*net.TCPAddr); at.Port == port || !at.IP.IsLoopback() {
			t.Errorf("it listens at %s, want another port of 127.0.0.1", at)
		}
	}
}
