package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/contract"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/contract/upstreamtest"
)

func environment(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

func TestAllThatIsWrongWithTheEnvironmentIsSaid(t *testing.T) {
	t.Parallel()
	_, err := settingsFrom(environment(map[string]string{
		"ENDPOINT": "https://example.com/path", "LISTEN": "8080", "CERTIFICATE": "chain.pem", "SPEED": "0", "POLICY": "/missing", "RUN": "(",
		"AT_ONCE": "none", "UPSTREAM_URL": "https://abc.lambda-url.eu-central-1.on.aws/", "LARGEBODIES": "yes", "AUTH": "IAM",
	}))
	for _, says := range []string{
		`ENDPOINT, the URL of make verify, is "https://example.com/path"`, `LISTEN is "8080"`, "CERTIFICATE and PRIVATE_KEY", `SPEED is "0"`,
		"POLICY: open /missing", "RUN: ", `AT_ONCE is "none"`, `UPSTREAM_URL is "https://abc.lambda-url.eu-central-1.on.aws/"`,
		"there are an UPSTREAM_URL and LISTEN", "there are an UPSTREAM_URL and CERTIFICATE", `LARGEBODIES is "yes"`, `AUTH is "IAM"`,
	} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("the error is %v, want in it %s", err, says)
		}
	}
	if _, err = settingsFrom(environment(nil)); err == nil || !strings.Contains(err.Error(), `the URL of make verify, is ""`) {
		t.Errorf("without an endpoint the error is %v", err)
	}
}

func TestTheOutputsOfTheVerificationStackSayWhatIsVerified(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "verification.json")
	if err := os.WriteFile(file, []byte(`{"RetryingApiProxyVerification": {"ProxyUrl1234": "https://other.example/",
		"EndpointUrl": "https://a.lambda-url.eu-central-1.on.aws/", "UpstreamUrl": "https://b.lambda-url.eu-central-1.on.aws/secret"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := settingsFrom(environment(map[string]string{"OUTPUTS": file}))
	if err != nil || s.endpoint != "https://a.lambda-url.eu-central-1.on.aws" || s.upstreamURL.String() != "https://b.lambda-url.eu-central-1.on.aws/secret" {
		t.Errorf("the settings are %+v (%v)", s, err)
	}
	s, err = settingsFrom(environment(map[string]string{"OUTPUTS": file, "ENDPOINT": "https://given.example"}))
	if err != nil || s.endpoint != "https://given.example" || s.upstreamURL.Host != "b.lambda-url.eu-central-1.on.aws" {
		t.Errorf("with a URL, the settings are %+v (%v)", s, err)
	}
	_, err = settingsFrom(environment(map[string]string{"OUTPUTS": file + ".not", "SPEED": "fast"}))
	if err == nil || !strings.Contains(err.Error(), "make verify-deploy writes it") || !strings.Contains(err.Error(), `SPEED is "fast"`) || strings.Contains(err.Error(), "ENDPOINT") {
		t.Errorf("without the file and a URL, the error is %v", err)
	}
	if err := os.WriteFile(file, []byte(`{"RetryingApiProxy": {"ProxyUrl1234": "https://other.example/"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = settingsFrom(environment(map[string]string{"OUTPUTS": file})); err == nil || !strings.Contains(err.Error(), "no stack with the outputs EndpointUrl and UpstreamUrl") {
		t.Errorf("of the outputs of another stack it says %v", err)
	}
}

func TestAnEndpointWithAPolicyOfItsOwnIsAskedWhatNoPolicyJudges(t *testing.T) {
	t.Parallel()
	for _, variables := range []map[string]string{{"POLICY": `{"deadline": "30s"}`}, {"VENDOR": "shopify"}} {
		variables["ENDPOINT"] = "http://127.0.0.1:8787"
		s, err := settingsFrom(environment(variables))
		if err != nil {
			t.Fatal(err)
		}
		runner := &contract.Runner{Upstream: contract.NewRemote("http://127.0.0.1:1/secret"), Setup: s.setup}
		cases, err := contract.Cases()
		if err != nil {
			t.Fatal(err)
		}
		fit := map[string]bool{}
		for _, c := range cases {
			fit[c.Name] = runner.Unfit(c) == ""
		}
		if !fit["Cookies come back each in a field of its own"] || fit["Three server errors are enough"] || fit["Redirects are handed back, and not followed"] {
			t.Errorf("with %v, cookies, server errors and redirects fit: %t, %t, %t; want only the first", variables, fit["Cookies come back each in a field of its own"],
				fit["Three server errors are enough"], fit["Redirects are handed back, and not followed"])
		}
	}
}

func TestAPolicyIsTheSameHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(file, []byte("{ \"b\": {},\n \"a\": \"1s\" }"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := settingsFrom(environment(map[string]string{"ENDPOINT": "http://127.0.0.1:8787/", "POLICY": file}))
	if err != nil || s.setup.Policy != `{"a":"1s","b":{}}` || s.endpoint != "http://127.0.0.1:8787" || s.listen != "0.0.0.0:8080" || s.speed != 1 {
		t.Errorf("the settings are %+v (%v)", s, err)
	}
}

func TestAnEndpointThatCallsAnotherUpstreamIsToldFromOneThatDoesNotHold(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(elsewhere.Close)
	var out bytes.Buffer
	hold, err := run(t.Context(), environment(map[string]string{"ENDPOINT": elsewhere.URL, "LISTEN": "127.0.0.1:0"}), &out)
	if hold || err == nil || !strings.Contains(err.Error(), "make deploy") || !strings.Contains(err.Error(), "0 requests arrived at the upstream, want 1") {
		t.Errorf("it ends with %t and %v, want how to deploy", hold, err)
	}
}

// forwarding is an endpoint that forwards to an upstream, and nothing more.
func forwarding(t *testing.T, upstream string) string {
	t.Helper()
	base, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := r.Clone(r.Context())
		out.URL.Scheme, out.URL.Host, out.Host, out.RequestURI = base.Scheme, base.Host, base.Host, ""
		out.URL.Path, out.URL.RawPath = base.Path+r.URL.Path, ""
		answer, err := http.DefaultTransport.RoundTrip(out)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		for name, values := range answer.Header {
			w.Header()[name] = values
		}
		w.Header().Set("X-Amzn-Requestid", "id")
		w.Header().Set("Proxy-Status", "proxy-1; received-status="+answer.Status[:3])
		w.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(w, answer.Body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestEachCaseIsToldAndWhyItDoesNotHold(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	var out bytes.Buffer
	hold, err := run(t.Context(), environment(map[string]string{
		"ENDPOINT": forwarding(t, "http://"+address), "LISTEN": address, "RUN": "^(statuses/ .*not followed|retries/ Three server|failures/ .*accepts no connection)",
	}), &out)
	for _, says := range []string{
		"/2 ok    statuses/ Redirects are handed back, and not followed (",
		"/2 FAIL  retries/ Three server errors are enough (",
		"   2  it needs an endpoint whose upstream is down\n",
		"          failures/ A GET to an upstream that accepts no connection is a 502\n",
		"FAIL  retries/ Three server errors are enough (docs/retry.md)\n      request 1: 1 requests arrived at the upstream, want 3\n",
		"cases: 1 held, 1 failed, 2 left out, in ",
	} {
		if hold || err != nil || !strings.Contains(out.String(), says) {
			t.Errorf("it ends with %t and %v, and says %s, want in it %s", hold, err, out.String(), says)
		}
	}
}

func TestAnEndpointIsVerifiedThroughTheScriptedUpstream(t *testing.T) {
	t.Parallel()
	upstream, _ := upstreamtest.Start(t)
	file := filepath.Join(t.TempDir(), "report.xml")
	var out bytes.Buffer
	hold, err := run(t.Context(), environment(map[string]string{
		"ENDPOINT": forwarding(t, upstream), "UPSTREAM_URL": upstream, "JUNIT": file,
		"RUN": "^(statuses/ .*not followed|retries/ Three (server|failures)|transparency/ Binary)",
	}), &out)
	for _, says := range []string{
		", scripted upstream at 127.0.0.1:", "/3 ok    statuses/ Redirects are handed back, and not followed (", "/3 ok    transparency/ Binary bodies",
		"   1  it has the upstream break a connection, which a function cannot\n          retries/ Three failures of the network are enough\n",
		"      request 1: 1 requests arrived at the upstream, want 3\n", `the body is "1", want "down"`, "cases: 2 held, 1 failed, 1 left out, in ",
	} {
		if hold || err != nil || !strings.Contains(out.String(), says) {
			t.Errorf("it ends with %t and %v, and says %s, want in it %s", hold, err, out.String(), says)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), "<?xml ") {
		t.Errorf("the report begins with %.20s", text)
	}
	var report struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Skipped  int `xml:"skipped,attr"`
		Suites   []struct {
			Name     string `xml:"name,attr"`
			Tests    int    `xml:"tests,attr"`
			Failures int    `xml:"failures,attr"`
			Skipped  int    `xml:"skipped,attr"`
			Cases    []struct {
				Name    string `xml:"name,attr"`
				Class   string `xml:"classname,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
				Skipped *struct {
					Message string `xml:"message,attr"`
				} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	if report.Tests != 4 || report.Failures != 1 || report.Skipped != 1 || len(report.Suites) != 3 || report.Suites[0].Name != "retries" ||
		report.Suites[0].Tests != 2 || report.Suites[0].Failures != 1 || report.Suites[0].Skipped != 1 {
		t.Fatalf("the JUnit report is %+v", report)
	}
	failed, skipped := report.Suites[0].Cases[0], report.Suites[0].Cases[1]
	if failed.Name != "Three server errors are enough" || failed.Class != "contract.retries" || failed.Failure == nil ||
		failed.Failure.Message != "request 1: 1 requests arrived at the upstream, want 3" || !strings.HasSuffix(failed.Failure.Text, "\nsource: docs/retry.md") {
		t.Errorf("the case that failed is %+v", failed)
	}
	if skipped.Skipped == nil || skipped.Skipped.Message != "it has the upstream break a connection, which a function cannot" {
		t.Errorf("the case that was left out is %+v", skipped)
	}
}

func TestWhoeverStopsTheRunGetsAReportOnWhatWasRun(t *testing.T) {
	t.Parallel()
	upstream, _ := upstreamtest.Start(t)
	endpoint := forwarding(t, upstream)
	for _, atOnce := range []string{"1", "2"} { // the second case has not begun, or is under way
		ctx, interrupt := context.WithCancel(t.Context())
		out := &interrupting{after: "ok    statuses/", interrupt: interrupt}
		file := filepath.Join(t.TempDir(), "report.xml")
		hold, err := run(ctx, environment(map[string]string{
			"ENDPOINT": endpoint, "UPSTREAM_URL": upstream, "RUN": "statuses/ (Redirects|Errors of the caller)", "AT_ONCE": atOnce, "JUNIT": file,
		}), out)
		if hold || !errors.Is(err, errStopped) || !strings.Contains(out.String(), "   1  the run was stopped before it was over\n          statuses/ Errors of the caller are final\n") ||
			!strings.Contains(out.String(), "cases: 1 held, 0 failed, 1 left out, in ") || !strings.Contains(out.String(), "; the run was stopped\n") {
			t.Errorf("%s at once: it ends with %t and %v, and says %s", atOnce, hold, err, out)
		}
		if _, err := os.Stat(file); err != nil {
			t.Errorf("%s at once: there is no JUnit report: %v", atOnce, err)
		}
	}
}

// interrupting interrupts what writes to it when that has written something.
type interrupting struct {
	bytes.Buffer
	after     string
	interrupt func()
}

func (i *interrupting) Write(p []byte) (int, error) {
	n, err := i.Buffer.Write(p)
	if strings.Contains(i.String(), i.after) {
		i.interrupt()
	}
	return n, err
}

func TestAnEndpointThatDoesNotCallTheScriptedUpstreamIsToldFromOneThatDoesNotHold(t *testing.T) {
	t.Parallel()
	upstream, _ := upstreamtest.Start(t)
	forbidden := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(forbidden.Close)
	_, err := run(t.Context(), environment(map[string]string{"ENDPOINT": forbidden.URL, "UPSTREAM_URL": upstream}), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "the status is 403, want 200") || !strings.Contains(err.Error(), "make verify-deploy") {
		t.Errorf("it ends with %v, want how to deploy", err)
	}
}

func TestAThrottleOfLambdasOwnIsPointedOut(t *testing.T) {
	t.Parallel()
	upstream, _ := upstreamtest.Start(t)
	there := forwarding(t, upstream)
	var asked atomic.Int64
	full := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 { // the probe
			out := r.Clone(r.Context())
			out.URL, _ = url.Parse(there + r.URL.RequestURI())
			out.Host, out.RequestURI = "", ""
			answer, err := http.DefaultTransport.RoundTrip(out)
			if err != nil {
				return
			}
			defer answer.Body.Close()
			for name, values := range answer.Header {
				w.Header()[name] = values
			}
			_, _ = io.Copy(w, answer.Body)
			return
		}
		w.Header().Set("X-Amzn-ErrorType", "TooManyRequestsException")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	t.Cleanup(full.Close)
	var out bytes.Buffer
	hold, err := run(t.Context(), environment(map[string]string{"ENDPOINT": full.URL, "UPSTREAM_URL": upstream, "RUN": "not followed"}), &out)
	if hold || err != nil || !strings.Contains(out.String(), "AT_ONCE=2 needs fewer") {
		t.Errorf("it ends with %t and %v, and says %s", hold, err, &out)
	}
}

// freeAddress is a host and port at which nothing listened a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestRequestsToAFunctionURLAreSignedAndLeftAsTheyAreOtherwise(t *testing.T) {
	t.Parallel()
	credentials := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret", SessionToken: "token"}
	sign := signer("abc.lambda-url.eu-central-1.on.aws", credentials)
	r := httptest.NewRequest(http.MethodPost, "https://abc.lambda-url.eu-central-1.on.aws/a%2Fb?z=%20&a=1", nil)
	r.Header.Set("X-Tea", "green")
	if err := sign(r, []byte("tea")); err != nil {
		t.Fatal(err)
	}
	authorization := r.Header.Get("Authorization")
	if !strings.HasPrefix(authorization, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") || !strings.Contains(authorization, "/eu-central-1/lambda/aws4_request") ||
		r.Header.Get("X-Amz-Security-Token") != "token" || r.Header.Get("X-Amz-Date") == "" {
		t.Errorf("the request has the fields %v, want a signature for Lambda in eu-central-1", r.Header)
	}
	if r.URL.RawQuery != "z=%20&a=1" || r.URL.EscapedPath() != "/a%2Fb" || r.Header.Get("X-Tea") != "green" {
		t.Errorf("the request is for %s with %v now", r.URL, r.Header)
	}
	if signer("127.0.0.1", credentials) != nil {
		t.Error("requests to this machine are signed, too")
	}
}
