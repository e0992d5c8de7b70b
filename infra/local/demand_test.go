package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/secretsmanager"
)

func TestTheDemoAsksForTheCredentialAsItIsAndKeepsItToItself(t *testing.T) {
	secrets := secretsmanager.New(secretsmanager.Config{})
	if err := secrets.Provide(map[string]string{"token": "t0ken", "user": `{"username":"u","password":"p"}`, "key": `{"live":"k3y"}`}); err != nil {
		t.Fatal(err)
	}
	bearer := newDemander(message.UpstreamAuth{Kind: message.AuthBearer, Secret: "token"}, secrets)
	for _, c := range []struct {
		auth                message.UpstreamAuth
		target              string
		field, value        string
		admitted            bool
		shownField, shownAt string
	}{
		{message.UpstreamAuth{Kind: message.AuthBearer, Secret: "token"}, "/get?q=1", "Authorization", "Bearer t0ken", true, "", "/get?q=1"},
		{message.UpstreamAuth{Kind: message.AuthBearer, Secret: "token"}, "/get", "Authorization", "Bearer other", false, "", "/get"},
		{message.UpstreamAuth{Kind: message.AuthBearer, Secret: "token"}, "/get", "Accept", "a/b", false, "a/b", "/get"},
		{message.UpstreamAuth{Kind: message.AuthBearer, Secret: "absent"}, "/get", "Authorization", "Bearer t0ken", false, "Bearer t0ken", "/get"},
		{message.UpstreamAuth{Kind: message.AuthBasic, Secret: "user"}, "/get", "Authorization", "Basic dTpw", true, "", "/get"},
		{message.UpstreamAuth{Kind: message.AuthHeader, Name: "X-Api-Key", Secret: "key#live"}, "/get", "X-Api-Key", "k3y", true, "", "/get"},
		{message.UpstreamAuth{Kind: message.AuthQuery, Name: "api_key", Secret: "key#live"}, "/get?api_key=k3y&q=1", "Accept", "a/b", true, "a/b", "/get?q=1"},
		{message.UpstreamAuth{Kind: message.AuthQuery, Name: "api_key", Secret: "key#live"}, "/get?q=1", "Accept", "a/b", false, "a/b", "/get?q=1"},
		{message.UpstreamAuth{Kind: message.AuthOAuth2, Secret: "client"}, "/get", "Authorization", "Bearer any", true, "", "/get"},
		{message.UpstreamAuth{Kind: message.AuthOAuth2, Secret: "client"}, "/get", "Authorization", "Basic any", false, "", "/get"},
		{message.UpstreamAuth{Certificate: "tls"}, "/get", "Accept", "a/b", true, "a/b", "/get"},
	} {
		r := httptest.NewRequest(http.MethodGet, c.target, nil)
		r.Header.Set(c.field, c.value)
		if got := newDemander(c.auth, secrets).admits(r); got != c.admitted {
			t.Errorf("%+v: %s with %s: %s is admitted: %v, want %v", c.auth, c.target, c.field, c.value, got, c.admitted)
		}
		if r.Header.Get(c.field) != c.shownField || r.URL.String() != c.shownAt {
			t.Errorf("%+v: shown are %s and %s, want %s and %s", c.auth, r.Header.Get(c.field), r.URL, c.shownField, c.shownAt)
		}
	}

	if err := secrets.Provide(map[string]string{"token": "changed"}); err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]bool{"t0ken": false, "changed": true} {
		r := httptest.NewRequest(http.MethodGet, "/get", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		if got := bearer.admits(r); got != want {
			t.Errorf("after the secret has changed, %s is admitted: %v", token, got)
		}
	}
}

// What one sees with `make local UPSTREAM_AUTH=… SECRETS=…`, and after a change of the file.
func TestTheProgramAuthenticatesToADemoThatAsksForIt(t *testing.T) {
	t.Parallel()
	f := newSecretsOnDisk(t, `{"orders/keys": {"live": "hidden-1"}}`)
	p := startProgram(t, "ADDR=127.0.0.1:0", "UPSTREAM=", "SPEED=50", "SECRETS="+f.path, "UPSTREAM_AUTH=header/X-Api-Key:orders/keys#live", "VERBOSE=1")
	if line := p.await(t, "upstream "); !strings.Contains(line, "asks for the credential") {
		t.Errorf("the upstream is printed as %q", line)
	}
	url := strings.TrimPrefix(p.await(t, "ready "), "ready ")
	for _, value := range []string{"hidden-1", "hidden-2"} {
		f.write(t, `{"orders/keys": {"live": "`+value+`"}}`)
		if status, proxyStatus, body := request(t, url+"/headers"); status != http.StatusOK || strings.Contains(body, "hidden") {
			t.Errorf("with %s the answer is %d %s %s", value, status, proxyStatus, body)
		} else if refused := strings.Contains(proxyStatus, "received-status=401"); refused && value == "hidden-1" {
			t.Errorf("at first there is a 401: %s", proxyStatus)
		}
	}
	f.write(t, `{"orders/keys": {"test": "hidden-3"}}`)
	if status, proxyStatus, body := request(t, url+"/headers"); status != http.StatusUnauthorized && status != http.StatusServiceUnavailable {
		t.Errorf("without the field the answer is %d %s %s", status, proxyStatus, body)
	}
	p.end(t, syscall.SIGTERM)
	for line := range p.lines {
		if strings.Contains(line, "hidden") {
			t.Errorf("printed is %q", line)
		}
	}
	if strings.Contains(p.stderr.String(), "hidden") {
		t.Errorf("on stderr is %s", &p.stderr)
	}
}
