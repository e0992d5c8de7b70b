package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// config is what a proxy reads from its environment when it starts.
type config struct {
	name            string
	ring            message.Ring
	baseURL         *url.URL
	allowedNetworks []netip.Prefix
	policy          retry.Policy
	recordTTL       time.Duration
}

// configFrom reads the configuration and reports all that is wrong with it at once.
func configFrom(getenv func(string) string) (config, error) {
	var c config
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	count, err := strconv.Atoi(getenv("PROXY_COUNT"))
	if err != nil || count < 1 {
		problem("PROXY_COUNT is %q; it must be a whole number from 1", getenv("PROXY_COUNT"))
	}
	c.ring = message.Ring(count)

	c.name = getenv("PROXY_NAME")
	if !c.ring.Has(c.name) && count >= 1 {
		problem("PROXY_NAME is %q; it must be one of proxy-1 to proxy-%d", c.name, count)
	}

	c.baseURL, err = url.Parse(getenv("UPSTREAM_BASE_URL"))
	switch {
	case err != nil:
		problem("UPSTREAM_BASE_URL is not a URL: %w", errors.Unwrap(err)) // without the URL, which may hold a password
	case (c.baseURL.Scheme != "https" && c.baseURL.Scheme != "http") || c.baseURL.Host == "":
		problem("UPSTREAM_BASE_URL is %q; it must be an https or http URL with a host", c.baseURL.Redacted())
	}

	for _, text := range strings.FieldsFunc(getenv("UPSTREAM_ALLOWED_NETWORKS"), func(r rune) bool { return r == ',' || r == ' ' }) {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			problem("UPSTREAM_ALLOWED_NETWORKS: %q is not a prefix such as 10.0.0.0/8", text)
			continue
		}
		c.allowedNetworks = append(c.allowedNetworks, prefix.Masked())
	}

	if text := getenv("RETRY_POLICY"); text != "" {
		if err := json.Unmarshal([]byte(text), &c.policy); err != nil {
			problem("RETRY_POLICY: %w", err)
		}
	}
	c.policy = c.policy.WithDefaults()
	if err := c.policy.Validate(); err != nil {
		problem("RETRY_POLICY: %w", err)
	}

	if text := getenv("IDEMPOTENCY_TTL"); text != "" {
		if c.recordTTL, err = time.ParseDuration(text); err != nil || c.recordTTL < time.Second {
			problem("IDEMPOTENCY_TTL is %q; it must be a duration of at least a second, such as 24h0m0s", text)
		}
	}

	if err := errors.Join(problems...); err != nil {
		return config{}, fmt.Errorf("proxy: the environment is not usable:\n%w", err)
	}
	return c, nil
}
