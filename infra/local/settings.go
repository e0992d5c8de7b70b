package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/faults"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// defaultAddress is where the function URL listens.
const defaultAddress = "127.0.0.1:8787"

// settings is what the environment says.
type settings struct {
	address  string
	upstream string
	speed    float64
	proxies  string
	dataFile string
	verbose  bool

	// upstreamAuth is how the proxies authenticate to the upstream, and upstreamAuthText how that was written.
	upstreamAuth     message.UpstreamAuth
	upstreamAuthText string

	// callback is the URL that is told of asynchronous requests, and callbackHosts are those that requests may name.
	callback      string
	callbackHosts []string

	// policy is the retry policy, over the presets of the vendors that were named. Nil stands for that of the stack.
	policy *retry.Policy

	// caFile holds the authorities that upstreams are trusted by besides the system's. Empty stands for none.
	caFile string

	// secretsFile holds the secrets in Secrets Manager. Empty stands for none.
	secretsFile string

	// concurrency is how many invocations of functions may run at once. Zero stands for the default.
	concurrency int

	// faults has calls to AWS fail.
	faults faults.Settings

	// keepRunning lets functions run on between invocations.
	keepRunning bool

	// signed has the URL take signed requests only.
	signed bool

	// assembly is the directory of a cloud assembly that is run in the place of this repository's stack. Empty stands for that.
	assembly string

	// instance is the RetryingApiProxy that is served at the address, and skip names what is left out of the stack.
	instance string
	skip     []string

	// sharing is off or gate: whether requests share what they know of the upstream's limits. Empty stands for what the stack
	// says.
	sharing string
}

// settingsFrom reads the environment and reports all that is wrong with it at once.
func settingsFrom(getenv func(string) string) (settings, error) {
	s := settings{
		address:     getenv("ADDR"),
		upstream:    getenv("UPSTREAM"),
		speed:       1,
		proxies:     getenv("PROXIES"),
		dataFile:    getenv("DATA"),
		verbose:     getenv("VERBOSE") == "1",
		secretsFile: getenv("SECRETS"),
		caFile:      getenv("CA"),
		sharing:     getenv("SHARING"),
		assembly:    getenv("ASSEMBLY"),
		instance:    getenv("INSTANCE"),
		skip:        listed(getenv("SKIP")),

		upstreamAuthText: getenv("UPSTREAM_AUTH"),

		callback: getenv("CALLBACK"),
	}
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	if s.address == "" {
		s.address = defaultAddress
	}
	if _, _, err := net.SplitHostPort(s.address); err != nil {
		problem("ADDR is %q; give a host and a port, such as %s", s.address, defaultAddress)
	}
	if s.upstream != "" {
		base, err := url.Parse(s.upstream)
		if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Hostname() == "" {
			problem("UPSTREAM is %q; give a URL that starts with http:// or https://", s.upstream)
		} else if base.User != nil || base.Fragment != "" {
			problem("UPSTREAM is %q; leave out user information and the fragment, as the construct has it", base.Redacted())
		} else if base.RawQuery != "" || base.ForceQuery {
			problem("UPSTREAM has a query; leave it out, and give a key by UPSTREAM_AUTH=query/NAME:SECRET, with the secret in SECRETS")
		}
	}
	if s.upstreamAuthText != "" {
		var err error
		if s.upstreamAuth, err = message.ParseUpstreamAuth(s.upstreamAuthText); err != nil {
			problem("UPSTREAM_AUTH: %w", err)
		}
		if s.secretsFile == "" {
			problem("UPSTREAM_AUTH names a secret; give SECRETS=file.json, which holds it")
		}
	}
	if s.callback != "" {
		if err := message.CheckCallbackURL(s.callback); err != nil {
			problem("CALLBACK is not usable: %w; give an https URL, or one of http at a loopback address, such as http://127.0.0.1:9000/", err)
		}
	}
	for _, host := range listed(getenv("CALLBACK_HOSTS")) {
		s.callbackHosts = append(s.callbackHosts, host)
		if err := message.CheckCallbackHost(host); err != nil {
			problem("CALLBACK_HOSTS: %w", err)
		}
	}
	if policy, err := policyFrom(getenv("POLICY"), getenv("VENDOR")); err != nil {
		problems = append(problems, err)
	} else {
		s.policy = policy
	}
	if text := getenv("SPEED"); text != "" {
		speed, err := strconv.ParseFloat(text, 64)
		if err != nil || !(speed > 0 && speed <= 1e6) {
			problem("SPEED is %q; give a number above 0, such as 10", text)
		}
		s.speed = speed
	}
	if text := getenv("VERBOSE"); text != "" && text != "0" && text != "1" {
		problem("VERBOSE is %q; give 1, or nothing", text)
	}
	if text := getenv("CONCURRENCY"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			problem("CONCURRENCY is %q; give a whole number from 1", text)
		}
		s.concurrency = n
	}
	if text := getenv("FAULTS"); text != "" {
		var err error
		if s.faults, err = faults.Parse(text); err != nil {
			for _, line := range strings.Split(err.Error(), "\n") {
				problem("FAULTS: %s", line)
			}
		}
	}
	switch text := getenv("FREEZE"); text {
	case "", "on":
	case "off":
		s.keepRunning = true
	default:
		problem("FREEZE is %q; give off, or nothing", text)
	}
	switch text := getenv("AUTH"); text {
	case "", "NONE":
	case "AWS_IAM":
		s.signed = true
	default:
		problem("AUTH is %q; give AWS_IAM, or NONE, which is the default here", text)
	}
	switch s.sharing {
	case "", "off", "gate":
	default:
		problem("SHARING is %q; give off or gate, or nothing for what the stack has by default", s.sharing)
	}
	if s.assembly != "" {
		for _, name := range ofThisStack {
			if getenv(name) != "" {
				problem("%s is for the stack of this repository, and ASSEMBLY names another one; set it there", name)
			}
		}
	}
	if s.proxies != "" {
		if n, err := strconv.Atoi(s.proxies); err != nil || n < 1 {
			problem("PROXIES is %q; give a whole number from 1", s.proxies)
		}
	}
	return s, errors.Join(problems...)
}

// ofThisStack are the variables that change how this repository's stack is synthesised.
var ofThisStack = []string{"CALLBACK_HOSTS", "POLICY", "PROXIES", "SHARING", "UPSTREAM_AUTH", "VENDOR"}

// listed splits a list with commas between.
func listed(text string) []string {
	var fields []string
	return append(fields, strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })...)
}

// selection is what is run of the stack. Function URLs that are not the chosen one are on the ports after those of the endpoints.
func (s settings) selection() stack.Selection {
	next := addressAfter(addressAfter(s.address))
	return stack.Selection{
		Instance: s.instance, Skip: s.skip, InstanceBy: "INSTANCE=%s", SkipBy: "SKIP=%s",
		Listen: func() (net.Listener, error) {
			listener, err := net.Listen("tcp", next)
			if err != nil {
				host, _, _ := net.SplitHostPort(s.address)
				listener, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
			}
			next = addressAfter(next)
			return listener, err
		},
	}
}

// policyFrom reads the policy in a file, and puts it over the presets of vendors, whose names have commas between them.
func policyFrom(file, vendors string) (*retry.Policy, error) {
	if file == "" && vendors == "" {
		return nil, nil
	}
	var policy, preset retry.Policy
	var problems []error
	if file != "" {
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &policy)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("POLICY: %w", err))
		}
	}
	if vendors != "" {
		var err error
		if preset, err = retry.Vendor(listed(vendors)...); err != nil {
			problems = append(problems, fmt.Errorf("VENDOR: %w", err))
		}
	}
	policy = policy.Over(preset)
	if err := policy.Validate(); err != nil {
		problems = append(problems, fmt.Errorf("POLICY: %w", err))
	}
	return &policy, errors.Join(problems...)
}

// loopback says whether the address can be reached from this machine only.
func (s settings) loopback() bool {
	host, _, _ := net.SplitHostPort(s.address)
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// context is the CDK context of the stack that is run: the variant for this machine.
func (s settings) context() map[string]any {
	context := map[string]any{"architecture": "x86_64", "auth": "NONE", "async": "true", "largebodies": "true", "queue": "true", "deadletters": "true"}
	if runtime.GOARCH == "arm64" {
		context["architecture"] = "arm64"
	}
	if s.signed {
		context["auth"] = "AWS_IAM"
	}
	if s.proxies != "" {
		context["proxies"] = s.proxies
	}
	if s.policy != nil {
		context["policy"] = s.policy
	}
	if s.callback != "" {
		// The construct takes https only; in the place of this comes what was given.
		context["callback"] = "https:" + s.callback[strings.Index(s.callback, "//"):]
	}
	if len(s.callbackHosts) > 0 {
		context["callbackhosts"] = strings.Join(s.callbackHosts, ",")
	}
	switch s.sharing {
	case "off":
		context["flowcontrol"] = "off"
	case "gate":
		context["flowcontrol"] = "adaptive"
	}
	if s.upstreamAuthText != "" {
		context["upstreamauth"] = s.upstreamAuthText
	}
	return context
}

// secretName is the name of the secret that the upstream's credential is in, without that of a field. Empty if there is none.
func (s settings) secretName() string {
	name, _, _ := strings.Cut(s.upstreamAuth.Secret+s.upstreamAuth.Certificate, "#") // one of them is empty
	return name
}

func (s settings) describeUpstream(url string) string {
	if s.upstream == "" && !s.upstreamAuth.IsZero() {
		return url + " (the demo: httpbin, which asks for the credential, and fails now and then, behind a limit by source address)"
	}
	if s.upstream == "" {
		return url + " (the demo: httpbin, which fails now and then, behind a limit by source address)"
	}
	return url
}

// hostPort is the address that a URL leads to.
func hostPort(text string) (string, error) {
	base, err := url.Parse(text)
	if err != nil {
		return "", err
	}
	port := base.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[base.Scheme]
	}
	return net.JoinHostPort(base.Hostname(), port), nil
}
