package message_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

func TestACallbackGoesToAURLOfHTTPS(t *testing.T) {
	for text, want := range map[string]string{
		"https://hooks.example.com":                              "",
		"https://hooks.example.com/a%2Fb?token=1&b=%20":          "",
		"https://hooks.example.com:8443/":                        "",
		"https://[2001:db8::1]/":                                 "",
		"http://127.0.0.1:9000/hook":                             "",
		"http://[::1]/":                                          "",
		"http://localhost/":                                      "",
		"http://hooks.example.com/":                              "https",
		"http://127.0.0.1.example.com/":                          "https",
		"http://169.254.169.254/":                                "https",
		"ftp://hooks.example.com/":                               "https",
		"//hooks.example.com/":                                   "https",
		"/hook":                                                  "no host",
		"":                                                       "no host",
		"https:hooks.example.com":                                "no host",
		"https://user:password@hooks.example.com/":               "user name",
		"https://hooks.example.com@evil.example/":                "user name",
		"https://hooks.example.com/#part":                        "fragment",
		"https://hooks.example.com/#":                            "fragment",
		"https://hooks.example.com/a b":                          "not a URL",
		"https://hooks.example.com/\r\nX: y":                     "not a URL",
		"https://bücher.example/":                                "not a URL",
		"https://hooks.example.com/, https://b.example/":         "not a URL",
		"https://hooks.example.com/a/../b":                       "its path",
		"https://hooks.example.com/" + strings.Repeat("a", 2030): "2056 bytes",
	} {
		err := message.CheckCallbackURL(text)
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && !strings.Contains(got, want) {
			t.Errorf("%q: the error is %q, want one with %q", text, got, want)
		}
	}
}

func TestAHostOfCallbacksIsComparedAsAWhole(t *testing.T) {
	for host, want := range map[string]string{
		"hooks.example.com":         "",
		"hooks.example.com:8443":    "",
		"[2001:db8::1]":             "",
		"127.0.0.1:9000":            "",
		"":                          "not a host",
		"https://hooks.example.com": "not a host",
		"hooks.example.com/":        "not a host",
		"hooks.example.com/hook":    "not a host",
		"user@hooks.example.com":    "not a host",
		"hooks.example.com:":        "not a host",
		"hooks.example.com?a":       "not a host",
		"bücher.example":            "not a host",
		"Hooks.example.com":         "lower case",
		"*.example.com":             "wildcard",
		"hooks.example.com:443":     "leave it out",
	} {
		err := message.CheckCallbackHost(host)
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && !strings.Contains(got, want) {
			t.Errorf("%q: the error is %q, want one with %q", host, got, want)
		}
	}
	for text, want := range map[string]string{
		"https://Hooks.Example.com/a":        "hooks.example.com",
		"https://hooks.example.com:443/":     "hooks.example.com",
		"https://hooks.example.com:8443/":    "hooks.example.com:8443",
		"https://hooks.example.com.evil.io/": "hooks.example.com.evil.io",
		"https://hooks.example.com./":        "hooks.example.com.",
		"http://127.0.0.1:443/":              "127.0.0.1:443",
	} {
		if got := message.CallbackHost(text); got != want {
			t.Errorf("%q: the host is %q, want %q", text, got, want)
		}
	}
}

// Whatever a caller names, what is called has the host that was compared.
func FuzzACallbackGoesToTheHostThatWasCompared(f *testing.F) {
	for _, text := range []string{"https://a.example/b?c", "https://a.example:443", "http://127.0.0.1:80/%2f", "https://a.example\\@b.example/", "https://[::1%25eth0]/"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if message.CheckCallbackURL(text) != nil {
			return
		}
		var r message.Request
		if err := r.SetCallback(text); err != nil {
			t.Fatalf("%q is allowed, and is no URL: %v", text, err)
		}
		if got := message.CallbackHost(r.Origin); got != message.CallbackHost(text) || !strings.HasPrefix(r.Path, "/") {
			t.Errorf("%q: compared is %q, and called %q with the path %q", text, message.CallbackHost(text), got, r.Path)
		}
	})
}
