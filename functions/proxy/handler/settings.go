package handler

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// settings is what a proxy reads from its environment when it starts.
type settings struct {
	name            string
	proxies         int
	baseURL         *url.URL
	allowedNetworks []netip.Prefix
	forwarding      message.Forwarding
	policy          retry.Policy
	recordTTL       time.Duration
	table           string             // of what is known of asynchronous requests, and of the gate, and whose metrics are told of
	gate            *message.GateSetup // nil if there is none
	metrics         message.MetricSource
	addressProbe    string // the URL that answers with the address that it is called from; empty asks nobody
	recordPrefix    string // what the ids of its items begin with, and the keys of objects
	bodiesBucket    string // of large bodies; empty if there is none
	auth            message.UpstreamAuth
	callbackSecret  string            // signs callbacks; empty if there are none
	secretCache     time.Duration     // how long secrets are kept; zero for the default
	fixedFields     map[string]string // header fields of every request
	authorities     *x509.CertPool    // whom upstreams are trusted by; nil for the system's
	recorded        map[int]bool      // statuses whose answers are recorded, or not, in spite of the default
}

// settingsFrom reads the settings and reports all that is wrong with them at once.
func settingsFrom(getenv func(string) string) (settings, error) {
	var s settings
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	var err error
	if s.proxies, s.policy, err = message.ProxiesAndPolicy(getenv); err != nil {
		problems = append(problems, err)
	}
	s.name = getenv(message.ProxyNameVariable)
	if number := message.ProxyNumber(s.name); s.proxies > 0 && (number < 1 || number > s.proxies) {
		problem("%s is %q; it must be one of %s to %s", message.ProxyNameVariable, s.name, message.ProxyName(1), message.ProxyName(s.proxies))
	}

	s.baseURL, err = url.Parse(getenv(message.UpstreamVariable))
	switch {
	case err != nil:
		problem("%s is not a URL: %w", message.UpstreamVariable, errors.Unwrap(err)) // without the URL, which may hold a password
	case (s.baseURL.Scheme != "https" && s.baseURL.Scheme != "http") || s.baseURL.Host == "":
		problem("%s is %q; it must be an https or http URL with a host", message.UpstreamVariable, s.baseURL.Redacted())
	}

	if err == nil && (s.baseURL.RawQuery != "" || s.baseURL.ForceQuery) {
		problem("%s has a query, which belongs to each request; a key goes into %s, as the query parameter of a secret", message.UpstreamVariable, message.UpstreamAuthVariable)
	}
	if err == nil && strings.ContainsFunc(s.baseURL.Hostname(), func(r rune) bool { return r > unicode.MaxASCII }) {
		problem("%s has the host %q; write it in ASCII, as in xn--bcher-kva.example", message.UpstreamVariable, s.baseURL.Hostname())
	}

	for _, text := range strings.FieldsFunc(getenv(message.AllowedNetworksVariable), func(r rune) bool { return r == ',' || r == ' ' }) {
		prefix, err := message.ParseNetwork(text)
		if err != nil {
			problem("%s: %w", message.AllowedNetworksVariable, err)
			continue
		}
		s.allowedNetworks = append(s.allowedNetworks, prefix)
	}
	if s.forwarding, err = message.ForwardingFrom(getenv); err != nil {
		problems = append(problems, err)
	}

	if text := getenv(message.KeyTTLVariable); text != "" {
		if s.recordTTL, err = time.ParseDuration(text); err != nil || s.recordTTL < time.Second {
			problem("%s is %q; it must be a duration of at least a second, such as 24h0m0s", message.KeyTTLVariable, text)
		}
	}

	if text := getenv(message.RecordedVariable); text != "" {
		if err := json.Unmarshal([]byte(text), &s.recorded); err != nil {
			problem("%s is %q; it must be a JSON object of statuses, each with true or false", message.RecordedVariable, text)
		}
	}

	s.table, s.recordPrefix = getenv(message.TableVariable), getenv(message.RecordPrefixVariable)
	if s.table != "" && s.recordPrefix == "" {
		problem("%s is empty; with %s it must be what the ids of items begin with", message.RecordPrefixVariable, message.TableVariable)
	}
	if s.gate, err = message.GateFrom(getenv, s.policy); err != nil {
		problems = append(problems, err)
	}
	if s.metrics, err = message.MetricSourceFrom(getenv); err != nil {
		problems = append(problems, err)
	}
	if s.addressProbe = getenv(message.AddressProbeVariable); s.addressProbe != "" {
		if err := message.CheckAddressProbe(s.addressProbe); err != nil {
			problem("%s is not usable: %w", message.AddressProbeVariable, err)
		}
	}
	if s.forwarding.Async() && s.table == "" {
		problem("%s is true, and %s is empty: what is known of asynchronous requests is in the table", message.AsyncVariable, message.TableVariable)
	}
	if s.bodiesBucket = getenv(message.BodiesVariable); s.bodiesBucket != "" && s.recordPrefix == "" {
		problem("%s is empty; with %s it must be what the keys of objects begin with", message.RecordPrefixVariable, message.BodiesVariable)
	}
	if s.auth, err = message.UpstreamAuthFrom(getenv); err != nil {
		problems = append(problems, err)
	}
	s.callbackSecret = getenv(message.CallbackSecretVariable)
	if text := getenv(message.SecretCacheVariable); text != "" {
		if s.secretCache, err = time.ParseDuration(text); err != nil || s.secretCache < time.Second {
			problem("%s is %q; it must be a duration of at least a second, such as 5m0s", message.SecretCacheVariable, text)
		}
	}
	if text := getenv(message.FixedFieldsVariable); text != "" {
		if err := json.Unmarshal([]byte(text), &s.fixedFields); err != nil {
			problem("%s must be a JSON object of header fields and their values", message.FixedFieldsVariable)
		}
		for name, value := range s.fixedFields {
			if err := message.CheckFixedField(name, value); err != nil {
				problem("%s: %w", message.FixedFieldsVariable, err)
			}
		}
	}
	if text := getenv(message.AuthorityVariable); text != "" {
		if s.authorities, err = authorities(text); err != nil {
			problem("%s: %w", message.AuthorityVariable, err)
		}
	}

	if err := errors.Join(problems...); err != nil {
		return settings{}, fmt.Errorf("proxy: the environment is not usable:\n%w", err)
	}
	return s, nil
}

// authorities are the system's, and those of a text in PEM.
func authorities(text string) (*x509.CertPool, error) {
	others, err := message.ParseAuthorities(text)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, err
	}
	for _, certificate := range others {
		pool.AddCert(certificate)
	}
	return pool, nil
}
