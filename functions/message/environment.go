package message

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// The environment variables that the construct gives the functions. The command that reads
// one documents it.
const (
	ProxyCountVariable     = "PROXY_COUNT" // both
	RetryPolicyVariable    = "RETRY_POLICY"
	AllowedMethodsVariable = "UPSTREAM_ALLOWED_METHODS"
	AllowedPathsVariable   = "UPSTREAM_ALLOWED_PATHS"
	AWSFieldsVariable      = "UPSTREAM_AWS_FIELDS"
	TableVariable          = "TABLE_NAME"
	RecordPrefixVariable   = "RECORD_PREFIX"
	BodiesVariable         = "LARGE_BODIES_BUCKET" // only where bodies can be large
	AsyncVariable          = "ASYNC"               // only where requests can be asynchronous
	MetricsVariable        = "METRICS"             // off leaves metrics out of the logs
	GateVariable           = "GATE"                // with TABLE_NAME and RECORD_PREFIX; not where flow control and the circuit breaker are off

	StateMachineVariable     = "STATE_MACHINE_ARN" // the gateway
	RingStartVariable        = "RING_START"
	KeyRequiredVariable      = "IDEMPOTENCY_KEY_REQUIRED"
	CacheHeadersVariable     = "IDEMPOTENCY_CACHE_HEADERS"
	ServerCacheHitVariable   = "IDEMPOTENCY_SERVER_CACHE_HIT"
	AsyncMachineVariable     = "ASYNC_STATE_MACHINE_ARN"
	AsyncDeadlineVariable    = "ASYNC_DEADLINE"
	AnswerTTLVariable        = "ASYNC_ANSWER_TTL"
	LetterRetentionVariable  = "DEAD_LETTER_RETENTION"
	TokenIssuerVariable      = "TOKEN_ISSUER"
	TokenKeysVariable        = "TOKEN_KEYS"
	TokenAudienceVariable    = "TOKEN_AUDIENCE"
	CallerVariable           = "IDEMPOTENCY_CALLER"
	KeyFieldsVariable        = "IDEMPOTENCY_KEY_FIELDS"
	MaxAnonymousWaitVariable = "MAX_ANONYMOUS_WAIT"
	HideAttemptsVariable     = "HIDE_ATTEMPTS"
	LinksVariable            = "UPSTREAM_LINKS"
	OmitRetryAdviceVariable  = "OMIT_RETRY_ADVICE"
	CrossOriginVariable      = "CROSS_ORIGIN"
	AuthReplacesVariable     = "UPSTREAM_AUTH_REPLACES"
	CallbackURLVariable      = "CALLBACK_URL"
	CallbackHostsVariable    = "CALLBACK_HOSTS"

	ProxyNameVariable       = "PROXY_NAME" // the proxies
	UpstreamVariable        = "UPSTREAM_BASE_URL"
	AllowedNetworksVariable = "UPSTREAM_ALLOWED_NETWORKS"
	KeyTTLVariable          = "IDEMPOTENCY_TTL"
	RecordedVariable        = "IDEMPOTENCY_RECORDED"
	UpstreamAuthVariable    = "UPSTREAM_AUTH"
	SecretCacheVariable     = "UPSTREAM_SECRET_CACHE"
	FixedFieldsVariable     = "UPSTREAM_HEADERS"
	AuthorityVariable       = "UPSTREAM_CERTIFICATE_AUTHORITY"
	AddressProbeVariable    = "ADDRESS_PROBE_URL" // answers with the address that it was called from
	CallbackSecretVariable  = "CALLBACK_SECRET"
)

// ProxiesAndPolicy reads the two variables that gateway and proxies share: how many proxies there are, and the policy,
// with its defaults filled in. The error lists all that is wrong with them; the count is zero then if it is wrong.
func ProxiesAndPolicy(getenv func(string) string) (proxies int, policy retry.Policy, err error) {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	text := getenv(ProxyCountVariable)
	proxies, err = strconv.Atoi(text)
	if err != nil || proxies < 1 {
		proxies = 0
		problem("%s is %q; it must be a whole number from 1", ProxyCountVariable, text)
	}
	if text := getenv(RetryPolicyVariable); text != "" {
		if policy, err = ReadPolicy(text); err != nil {
			problem("%s: %w", RetryPolicyVariable, err)
		}
	}
	policy = policy.WithDefaults()
	if err := policy.Validate(); err != nil {
		problem("%s: %w", RetryPolicyVariable, err)
	}
	return proxies, policy, errors.Join(problems...)
}
