package apiproxy

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// Limits of Lambda.
const (
	minMemorySizeMiB = 128
	maxMemorySizeMiB = 10240

	// maxAsyncDeadline is well below what a Standard execution can take, which is a year.
	maxAsyncDeadline = 30 * 24 * time.Hour

	// maxEnvironment is what the props may take of the 4 KB that Lambda gives to variables, in bytes. There is room for the name of the
	// table beside that.
	maxEnvironment = 3500
)

// Validate returns all problems of the props in one error, or nil. Each names the prop, what was given, and what is
// allowed. [NewRetryingApiProxy] calls it and panics with what it says. It needs nothing of the CDK to run, but for
// what Vpc and Egress refer to.
func (p RetryingApiProxyProps) Validate() error {
	gatewayMemory := p.GatewayMemorySizeMiB
	p = p.withDefaults()
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	if err := p.Upstream.validate(); err != nil {
		problems = append(problems, err)
	}
	if p.ProxyCount < 1 || p.ProxyCount > MaxProxyCount {
		problem("ProxyCount is %d; give 1 to %d, or 0 for the default of %d", p.ProxyCount, MaxProxyCount, DefaultProxyCount)
	}
	if p.UrlAuthType != awslambda.FunctionUrlAuthType_AWS_IAM && p.UrlAuthType != awslambda.FunctionUrlAuthType_NONE {
		problem("UrlAuthType is %q; give AWS_IAM or NONE, or leave it out for the default of AWS_IAM", p.UrlAuthType)
	}
	if err := p.validateCors(); err != nil {
		problems = append(problems, err)
	}
	if p.MemorySizeMiB < minMemorySizeMiB || p.MemorySizeMiB > maxMemorySizeMiB {
		problem("MemorySizeMiB is %d; give %d to %d, or 0 for the default of %d",
			p.MemorySizeMiB, minMemorySizeMiB, maxMemorySizeMiB, DefaultMemorySizeMiB)
	}
	if gatewayMemory != 0 && (gatewayMemory < minMemorySizeMiB || gatewayMemory > maxMemorySizeMiB) {
		problem("GatewayMemorySizeMiB is %d; give %d to %d, or 0 for MemorySizeMiB, if that is set, or else for the default of %d",
			gatewayMemory, minMemorySizeMiB, maxMemorySizeMiB, p.defaultGatewayMemory())
	}
	problems = append(problems, p.validateConcurrency()...)
	problems = append(problems, p.validateEnvironment()...)
	problems = append(problems, p.Roles.validate()...)
	if !slices.Contains([]KeyRequirement{KeyNeverRequired, KeyRequiredForUnsafe, KeyAlwaysRequired}, p.Idempotency.Required) {
		problem("Idempotency.Required is %q; give %q, %q or %q",
			p.Idempotency.Required, KeyNeverRequired, KeyRequiredForUnsafe, KeyAlwaysRequired)
	}
	if p.Idempotency.TTL < time.Second || p.Idempotency.TTL%time.Second != 0 {
		problem("Idempotency.TTL is %v; give whole seconds from 1s, or 0 for the default of %v",
			p.Idempotency.TTL, DefaultKeyTTL)
	}
	if p.MaxAnonymousWait < time.Second || p.MaxAnonymousWait%time.Second != 0 {
		problem("MaxAnonymousWait is %v; give whole seconds from 1s, or 0 for the default of %v", p.MaxAnonymousWait, DefaultMaxAnonymousWait)
	}
	if p.Async != nil && (p.Async.Deadline < time.Second || p.Async.Deadline > maxAsyncDeadline || p.Async.Deadline%time.Second != 0) {
		problem("Async.Deadline is %v; give whole seconds from 1s to %v, or 0 for the default of %v", p.Async.Deadline, maxAsyncDeadline, DefaultAsyncDeadline)
	}
	if letters := p.DeadLetters; letters != nil {
		if p.Async == nil {
			problem("DeadLetters is set, and Async is not; set Async too, since only asynchronous requests have dead letters")
		}
		if letters.Retention < minLetterRetention || letters.Retention > DefaultLetterRetention || letters.Retention%time.Second != 0 {
			problem("DeadLetters.Retention is %v; give whole seconds from %v to %v, or 0 for the default of %v",
				letters.Retention, minLetterRetention, DefaultLetterRetention, DefaultLetterRetention)
		}
		if letters.Queue != nil {
			if fifo := letters.Queue.Fifo(); fifo != nil && *fifo {
				problem("DeadLetters.Queue is a FIFO queue, which wants a group for each message; give a standard queue")
			}
		}
	}
	if err := p.validateCallback(); err != nil {
		problems = append(problems, err)
	}
	if !isRecordPrefix(p.RecordPrefix) && !isToken(p.RecordPrefix) {
		problem("RecordPrefix is %q; give up to %d printable ASCII characters without *, ?, $ and #, or leave it out for the ids of the construct",
			p.RecordPrefix, maxRecordPrefixLength)
	}
	if p.RecordPrefix == gatePrefix {
		problem("RecordPrefix is %q, with which the ids of what FlowControl and CircuitBreaker keep in the table begin; give another one", p.RecordPrefix)
	}
	if err := p.validateGate(); err != nil {
		problems = append(problems, err)
	}
	if err := p.validateCaller(); err != nil {
		problems = append(problems, err)
	}
	if err := p.validateMonitoring(); err != nil {
		problems = append(problems, err)
	}
	if err := p.validateEgress(); err != nil {
		problems = append(problems, err)
	}
	for status := range p.Idempotency.Recorded {
		if status < 200 || status > 599 {
			problem("Idempotency.Recorded has %d; give statuses from 200 to 599", status)
		}
	}
	if err := p.Retry.Validate(); err != nil {
		problems = append(problems, err)
	} else if p.ProxyCount > 0 {
		n := len(*policyJSON(p)) + len(p.Upstream.BaseURL) + p.Upstream.Auth.room() + len(*p.Upstream.headersJSON()) + len(p.Upstream.CertificateAuthority) +
			p.Callback.room() + len(p.RecordPrefix) + p.gateRoom() + len(p.Egress.ProbeURL) + p.environmentRoom()
		for _, value := range p.Upstream.fence() {
			n += len(value)
		}
		if n > maxEnvironment {
			problem("Environment, Retry, Callback, RecordPrefix, FlowControl, CircuitBreaker, Egress.ProbeURL and Upstream (BaseURL, AllowedNetworks, AllowedMethods, AllowedPaths, Auth, "+
				"Headers and CertificateAuthority) take %d bytes together in the functions' environment; give %d at most: fewer variables, Retry.Statuses, "+
				"networks, paths, header fields, hosts or certificates", n, maxEnvironment)
		}
		if err := p.fits(); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// validateCaller checks what stands for callers, and the fields of keys.
func (p RetryingApiProxyProps) validateCaller() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	tokens := p.Idempotency.Tokens
	for _, name := range p.Idempotency.Caller {
		claim, isClaim := strings.CutPrefix(name, "claim:")
		switch {
		case isClaim && claim == "", !isClaim && !message.IsToken(name), strings.ContainsAny(name, " ,"):
			problem("Idempotency.Caller has %q; give names of header fields, such as X-Tenant, or claims, such as claim:sub", name)
		case isClaim && tokens.Issuer == "" && p.UrlAuthType != awslambda.FunctionUrlAuthType_AWS_IAM:
			problem("Idempotency.Caller has %q, which anybody could write with UrlAuthType NONE; set Idempotency.Tokens, so that tokens are verified", name)
		}
	}
	for _, name := range p.Idempotency.KeyFields {
		if !message.IsToken(name) {
			problem("Idempotency.KeyFields has %q; give names of header fields, such as PayPal-Request-Id", name)
		}
	}
	if keys, err := url.Parse(tokens.Keys); tokens.Issuer != "" && !isToken(tokens.Keys) && (err != nil || keys.Scheme != "https" || keys.Hostname() == "") {
		problem("Idempotency.Tokens.Keys is %q; give the https URL of the issuer's keys, a JSON Web Key Set", tokens.Keys)
	}
	if tokens.Issuer == "" && (tokens.Keys != "" || tokens.Audience != "") {
		problem("Idempotency.Tokens has no Issuer; give what the claim iss of tokens must be")
	}
	return errors.Join(problems...)
}

func (u Upstream) validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	switch {
	case u.BaseURL == "":
		problem("Upstream.BaseURL is empty; give the https URL of the API to call")
	case isToken(u.BaseURL):
		// Known at deployment only.
	default:
		base, err := url.Parse(u.BaseURL)
		if err != nil {
			problem("Upstream.BaseURL is %q, which is not a URL: %v", u.BaseURL, errors.Unwrap(err))
			break
		}
		shown := withoutQuery(base)
		switch {
		case base.Scheme == "http" && !u.AllowPlainHTTP:
			problem("Upstream.BaseURL is %q; give an https URL, or set Upstream.AllowPlainHTTP", shown)
		case base.Scheme != "https" && base.Scheme != "http":
			problem("Upstream.BaseURL is %q; give a URL that starts with https://", shown)
		case base.Hostname() == "":
			problem("Upstream.BaseURL is %q, which names no host", shown)
		}
		if strings.ContainsFunc(base.Hostname(), func(r rune) bool { return r > unicode.MaxASCII }) {
			problem("Upstream.BaseURL is %q; write its host in ASCII, as in https://xn--bcher-kva.example", shown)
		}
		if base.RawQuery != "" || base.ForceQuery {
			problem("Upstream.BaseURL is %q with a query, which would stand in the template in the clear; leave it out, and give a key by "+
				"Upstream.Auth, with SecretQueryParameter or SecretHeader", shown)
		}
		if base.User != nil {
			problem("Upstream.BaseURL is %q; it must not hold user information, which would stand in the template in the "+
				"clear", shown)
		}
		if base.Fragment != "" {
			problem("Upstream.BaseURL is %q; a fragment is never sent, leave it out", shown)
		}
	}
	if err := errors.Join(u.Auth.validate(), u.validateHeaders()); err != nil {
		problems = append(problems, err)
	}
	if u.Auth.certificate.ISecret != nil && strings.HasPrefix(strings.ToLower(u.BaseURL), "http:") {
		problem("Upstream.Auth has a client certificate, which is of no use with plain http; give an https URL as Upstream.BaseURL")
	}
	if u.SecretCacheTime < time.Second {
		problem("Upstream.SecretCacheTime is %v; give 1s or more, or 0 for the default of %v", u.SecretCacheTime, DefaultSecretCacheTime)
	}
	if text := u.CertificateAuthority; text != "" && !isToken(text) {
		if _, err := message.ParseAuthorities(text); err != nil {
			problem("Upstream.CertificateAuthority: %w", err)
		}
	}
	isNetwork := func(text string) error { _, err := message.ParseNetwork(text); return err }
	for _, list := range []struct {
		name   string
		values []string
		check  func(string) error
	}{
		{"AllowedMethods", u.AllowedMethods, message.CheckAllowedMethod},
		{"AllowedPaths", u.AllowedPaths, message.CheckAllowedPath},
		{"AllowedNetworks", u.AllowedNetworks, isNetwork},
	} {
		for _, text := range list.values {
			if err := list.check(text); err != nil && !isToken(text) {
				problem("Upstream.%s: %w", list.name, err)
			}
		}
	}
	return errors.Join(problems...)
}

// isToken says whether a string holds a CDK token, whose value is known at deployment only.
func isToken(text string) bool { return strings.Contains(text, "${Token[") }
