package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func environment(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

func TestAllThatIsWrongWithTheEnvironmentIsSaid(t *testing.T) {
	t.Parallel()
	_, err := settingsFrom(environment(map[string]string{
		"ENDPOINT": "https://example.com/path", "LISTEN": "8080", "CERTIFICATE": "chain.pem", "SPEED": "0", "POLICY": "/missing", "RUN": "(",
		"AT_ONCE": "none",
	}))
	for _, says := range []string{
		`ENDPOINT is "https://example.com/path"`, `LISTEN is "8080"`, "CERTIFICATE and PRIVATE_KEY", `SPEED is "0"`, "POLICY: open /missing",
		"RUN: ", `AT_ONCE is "none"`,
	} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("the error is %v, want in it %s", err, says)
		}
	}
	if _, err = settingsFrom(environment(nil)); err == nil || !strings.Contains(err.Error(), `ENDPOINT is ""`) {
		t.Errorf("without an endpoint the error is %v", err)
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

// This endpoint forwards and nothing more.
func TestEachCaseIsToldAndWhyItDoesNotHold(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	forwarding := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := r.Clone(context.Background())
		out.URL.Scheme, out.URL.Host, out.RequestURI = "http", address, ""
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
	t.Cleanup(forwarding.Close)
	var out bytes.Buffer
	hold, err := run(t.Context(), environment(map[string]string{
		"ENDPOINT": forwarding.URL, "LISTEN": address, "RUN": "^(statuses/ .*not followed|retries/ Three server|failures/ .*accepts no connection)",
	}), &out)
	for _, says := range []string{
		"skip  failures/ A GET to an upstream that accepts no connection is a 502: it needs an endpoint whose upstream is down\n",
		"ok    statuses/ Redirects are handed back, and not followed (",
		"FAIL  retries/ Three server errors are enough (docs/retry.md)\n      request 1: 1 requests arrived at the upstream, want 3\n",
		"cases: 1 held, 1 failed, 2 left out\n",
	} {
		if hold || err != nil || !strings.Contains(out.String(), says) {
			t.Errorf("it ends with %t and %v, and says %s, want in it %s", hold, err, out.String(), says)
		}
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
