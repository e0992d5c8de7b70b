package main

import (
	"cmp"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/contract"
)

// defaultListen is where the upstream listens.
const defaultListen = "0.0.0.0:8080"

// settings is what the environment says.
type settings struct {
	endpoint    string
	upstreamURL *url.URL // of the scripted upstream; nil if it listens here
	listen      string
	certificate *tls.Certificate
	speed       float64
	setup       contract.Setup
	only        *regexp.Regexp
	atOnce      int
	junit       string
	unsigned    bool
}

// settingsFrom reads the environment and reports all that is wrong with it at once.
func settingsFrom(getenv func(string) string) (settings, error) {
	s := settings{listen: defaultListen, speed: 1, atOnce: 8, junit: getenv("JUNIT")}
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	endpoint, upstream := getenv("ENDPOINT"), getenv("UPSTREAM_URL")
	var err error
	said := false
	if file := getenv("OUTPUTS"); file != "" && (endpoint == "" || upstream == "") {
		e, u, err := outputs(file)
		if err != nil {
			problem("OUTPUTS: %w; make verify-deploy writes it. Or give URL and UPSTREAM_URL, which are outputs of the verification stack", err)
		}
		said = err != nil && endpoint == ""
		endpoint, upstream = cmp.Or(endpoint, e), cmp.Or(upstream, u)
	}
	s.endpoint = strings.TrimSuffix(endpoint, "/")
	if u, err := url.Parse(s.endpoint); !said && (err != nil || !isHTTP(u) || u.Path != "") {
		problem("ENDPOINT, the URL of make verify, is %q; give the URL of the endpoint, such as https://….lambda-url.eu-central-1.on.aws or http://127.0.0.1:8787", s.endpoint)
	}
	if upstream != "" {
		u, err := url.Parse(strings.TrimSuffix(upstream, "/"))
		if err != nil || !isHTTP(u) || u.Path == "" {
			problem("UPSTREAM_URL is %q; give the output UpstreamUrl of the verification stack, with the secret that is its path", upstream)
		}
		for _, name := range []string{"LISTEN", "CERTIFICATE", "PRIVATE_KEY"} {
			if getenv(name) != "" {
				problem("there are an UPSTREAM_URL and %s; the upstream is either the scripted one, or on this machine", name)
			}
		}
		s.upstreamURL = u
	}
	if text := getenv("LISTEN"); text != "" {
		s.listen = text
		if _, _, err := net.SplitHostPort(text); err != nil {
			problem("LISTEN is %q; give a host and a port, such as %s", text, defaultListen)
		}
	}
	switch certificate, key := getenv("CERTIFICATE"), getenv("PRIVATE_KEY"); {
	case certificate == "" && key == "":
	case certificate == "" || key == "":
		problem("of CERTIFICATE and PRIVATE_KEY one is empty; give the files of both, or neither")
	default:
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			problem("CERTIFICATE and PRIVATE_KEY: %v", err)
		}
		s.certificate = &pair
	}
	if text := getenv("SPEED"); text != "" {
		if s.speed, err = strconv.ParseFloat(text, 64); err != nil || !(s.speed > 0) {
			problem("SPEED is %q; give a number above 0, such as 50", text)
		}
	}
	if text := getenv("POLICY"); text != "" {
		if s.setup.Policy, err = policy(text); err != nil {
			problem("POLICY: %v", err)
		}
	}
	if vendor := getenv("VENDOR"); vendor != "" {
		s.setup.Policy += " over the preset of " + vendor // no case has this one
	}
	switch text := getenv("LARGEBODIES"); text {
	case "", "false":
	case "true":
		s.setup.LargeBodies = true
	default:
		problem("LARGEBODIES is %q; give true or false", text)
	}
	switch text := getenv("AUTH"); text {
	case "", "AWS_IAM":
	case "NONE":
		s.unsigned = true
	default:
		problem("AUTH is %q; give AWS_IAM or NONE", text)
	}
	s.setup.Pages = getenv("PAGES")
	if text := getenv("RUN"); text != "" {
		if s.only, err = regexp.Compile(text); err != nil {
			problem("RUN: %v", err)
		}
	}
	if text := getenv("AT_ONCE"); text != "" {
		if s.atOnce, err = strconv.Atoi(text); err != nil || s.atOnce < 1 {
			problem("AT_ONCE is %q; give a whole number from 1", text)
		}
	}
	return s, errors.Join(problems...)
}

func isHTTP(u *url.URL) bool { return (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" }

// policy reads a policy, which is JSON or in a file, and writes it as the cases have theirs.
func policy(text string) (string, error) {
	written := []byte(text)
	if !strings.HasPrefix(strings.TrimSpace(text), "{") {
		var err error
		if written, err = os.ReadFile(text); err != nil {
			return "", err
		}
	}
	var read any
	if err := json.Unmarshal(written, &read); err != nil {
		return "", err
	}
	written, err := json.Marshal(read)
	return string(written), err
}

// outputs reads the two URLs out of the outputs of the verification stack.
func outputs(file string) (endpoint, upstream string, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", "", err
	}
	var stacks map[string]struct{ EndpointUrl, UpstreamUrl string }
	if err := json.Unmarshal(text, &stacks); err != nil {
		return "", "", fmt.Errorf("%s: %w", file, err)
	}
	for _, stack := range stacks {
		if stack.EndpointUrl != "" && stack.UpstreamUrl != "" {
			return stack.EndpointUrl, stack.UpstreamUrl, nil
		}
	}
	return "", "", fmt.Errorf("%s has no stack with the outputs EndpointUrl and UpstreamUrl", file)
}
