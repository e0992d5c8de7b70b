//go:build !race

package main

import (
	"fmt"
	"strings"
	"testing"
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

func TestANumberInTheContextMayBeAJSONNumber(t *testing.T) {
	if got := len(stackWith(map[string]any{"proxies": 4}).proxies()); got != 4 {
		t.Errorf("%d proxies; want 4", got)
	}
}

func TestBadValuesInTheContextAreReportedAllAtOnce(t *testing.T) {
	for _, proxies := range []string{"many", "0", "21", "2.5"} {
		message := panicOf(t, func() {
			stackWith(map[string]any{"upstream": "ftp://example.com", "proxies": proxies, "architecture": "mips", "auth": "BASIC"})
		})
		for _, want := range []string{
			`context proxies is "` + proxies + `"; give a whole number from 1 to 20`,
			`context architecture is "mips"; give arm64 or x86_64`,
			`context auth is "BASIC"; give AWS_IAM or NONE`,
			`"ftp://example.com"`, "https://",
		} {
			if !strings.Contains(message, want) {
				t.Errorf("the message does not say %q:\n%s", want, message)
			}
		}
		if got, want := strings.Count(message, "\n"), 4; got != want {
			t.Errorf("the message has %d lines after its first; want %d:\n%s", got, want, message)
		}
	}
}
