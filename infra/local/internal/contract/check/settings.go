package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/contract"
)

// defaultListen is where the upstream listens.
const defaultListen = "0.0.0.0:8080"

// settings is what the environment says.
type settings struct {
	endpoint    string
	listen      string
	certificate *tls.Certificate
	speed       float64
	setup       contract.Setup
	only        *regexp.Regexp
	atOnce      int
	sign        func(*http.Request, []byte) error
}

// settingsFrom reads the environment and reports all that is wrong with it at once.
func settingsFrom(getenv func(string) string) (settings, error) {
	s := settings{listen: defaultListen, speed: 1, atOnce: 8, endpoint: strings.TrimSuffix(getenv("ENDPOINT"), "/")}
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	endpoint, err := url.Parse(s.endpoint)
	if err != nil || endpoint.Scheme != "http" && endpoint.Scheme != "https" || endpoint.Host == "" || endpoint.Path != "" {
		problem("ENDPOINT is %q; give the URL of the endpoint, such as https://….lambda-url.eu-central-1.on.aws or http://127.0.0.1:8787", s.endpoint)
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
	if file := getenv("POLICY"); file != "" {
		text, err := os.ReadFile(file)
		var policy any
		if err == nil {
			err = json.Unmarshal(text, &policy)
		}
		if err != nil {
			problem("POLICY: %v", err)
		}
		written, _ := json.Marshal(policy)
		s.setup.Policy = string(written)
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
	if fromEnvironment, err := config.NewEnvConfig(); err != nil {
		problem("the AWS credentials: %v", err)
	} else if endpoint != nil && fromEnvironment.Credentials.HasKeys() {
		s.sign = signer(endpoint.Hostname(), fromEnvironment.Credentials)
	}
	return s, errors.Join(problems...)
}
