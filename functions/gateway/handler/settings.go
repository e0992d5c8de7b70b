package handler

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// settings is what the gateway reads from its environment when it starts.
type settings struct {
	stateMachineARN string
	proxies         int
	ringStart       int // the proxy that makes the first attempt; zero draws one
	policy          retry.Policy

	table          string
	recordPrefix   string
	callerFields   []string // stand for the caller; without them, their credentials do
	callerClaims   bool     // some of them are claims of a token
	tokenIssuer    string   // whose tokens are verified; empty for nobody's
	tokenKeys      string   // the URL of the issuer's keys
	tokenAudience  string
	authReplaces   []string // the field or parameter of callers that the proxies replace by their own
	keyFields      []string // hold the key, if Idempotency-Key is not there
	keyRequirement idempotencyhttp.Requirement
	cache          idempotencyhttp.Cache
	serverCacheHit bool

	asyncMachineARN string        // of the Standard state machine; empty if requests cannot be asynchronous
	asyncDeadline   time.Duration // how long asynchronous requests may take
	answerTTL       time.Duration // how long their answers are kept after that
	letterRetention time.Duration // how long the dead letters of those that failed are kept; zero if there are none

	callbackURL   string   // who is told of the end of asynchronous requests; empty for nobody
	callbackHosts []string // those that callers may name in its place; without any, Callback-Url is not ours

	gate *message.GateSetup // nil if there is none

	metrics message.MetricSource

	bodiesBucket string // of large bodies; empty if there is none

	links           linkRewriter
	omitRetryAdvice bool

	maxAnonymousWait time.Duration // zero bounds no more than the policy does
	hideAttempts     bool
	crossOrigin      bool // the function URL has Cors
	forwarding       message.Forwarding
}

// requirements are the values of IDEMPOTENCY_KEY_REQUIRED.
var requirements = map[string]idempotencyhttp.Requirement{
	"":       idempotencyhttp.Never,
	"never":  idempotencyhttp.Never,
	"unsafe": idempotencyhttp.UnsafeMethods,
	"always": idempotencyhttp.Always,
}

// cacheMaxAge bounds Cache-Control: max-age on recorded answers. What counts is how long the record still lives, which
// is less.
const cacheMaxAge = 365 * 24 * time.Hour

// cacheHeaders are the fields that recorded answers get if the construct asks for it.
var cacheHeaders = idempotencyhttp.Cache{ETag: true, MaxAge: cacheMaxAge, Vary: []string{"Idempotency-Key"}}

// settingsFrom reads the settings and reports all that is wrong with them at once.
func settingsFrom(getenv func(string) string) (settings, error) {
	var s settings
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	if s.stateMachineARN = getenv(message.StateMachineVariable); s.stateMachineARN == "" {
		problem("%s is empty; it must be the ARN of the Express state machine or of one of its versions", message.StateMachineVariable)
	}
	var err error
	if s.proxies, s.policy, err = message.ProxiesAndPolicy(getenv); err != nil {
		problems = append(problems, err)
	}
	if text := getenv(message.RingStartVariable); text != "" {
		if s.ringStart, err = strconv.Atoi(text); err != nil || s.ringStart < 1 || s.ringStart > s.proxies {
			problem("%s is %q; it must be the number of a proxy, from 1, or empty for one that is drawn", message.RingStartVariable, text)
		}
	}
	if s.table = getenv(message.TableVariable); s.table == "" {
		problem("%s is empty; it must be the name of the table of idempotency records", message.TableVariable)
	}
	if s.recordPrefix = getenv(message.RecordPrefixVariable); s.recordPrefix == "" {
		problem("%s is empty; it must be what the ids of records begin with", message.RecordPrefixVariable)
	}
	if s.gate, err = message.GateFrom(getenv, s.policy); err != nil {
		problems = append(problems, err)
	}
	if s.metrics, err = message.MetricSourceFrom(getenv); err != nil {
		problems = append(problems, err)
	}
	s.bodiesBucket = getenv(message.BodiesVariable)
	fields := func(variable string) []string {
		var names []string
		for _, name := range strings.FieldsFunc(getenv(variable), func(r rune) bool { return r == ',' || r == ' ' }) {
			claim, isClaim := strings.CutPrefix(name, claimPrefix)
			switch {
			case isClaim && claim != "" && variable == message.CallerVariable:
				s.callerClaims = true // whose names keep their case
			case message.IsToken(name):
				name = strings.ToLower(name)
			default:
				problem("%s has %q; it must be a list of names of header fields, with commas between them", variable, name)
			}
			names = append(names, name)
		}
		return names
	}
	s.callerFields, s.keyFields = fields(message.CallerVariable), fields(message.KeyFieldsVariable)
	if name := getenv(message.AuthReplacesVariable); name != "" {
		if !message.IsToken(strings.TrimPrefix(name, "?")) {
			problem("%s is %q; it must be the name of a header field, or of a query parameter behind a question mark", message.AuthReplacesVariable, name)
		}
		s.authReplaces = []string{name}
	}
	var known bool
	if s.keyRequirement, known = requirements[getenv(message.KeyRequiredVariable)]; !known {
		problem("%s is %q; it must be never, unsafe or always", message.KeyRequiredVariable, getenv(message.KeyRequiredVariable))
	}
	flag := func(name string) bool {
		text := getenv(name)
		if text != "" && text != "true" && text != "false" {
			problem("%s is %q; it must be true or false", name, text)
		}
		return text == "true"
	}
	if flag(message.CacheHeadersVariable) {
		s.cache = cacheHeaders
		// The key may stand in any of these, and a copy for one key must not answer a request with another.
		s.cache.Vary = append(slices.Clone(cacheHeaders.Vary), s.keyFields...)
	}
	s.serverCacheHit = flag(message.ServerCacheHitVariable)
	s.omitRetryAdvice = flag(message.OmitRetryAdviceVariable)
	s.hideAttempts = flag(message.HideAttemptsVariable)
	s.tokenIssuer, s.tokenKeys, s.tokenAudience = getenv(message.TokenIssuerVariable), getenv(message.TokenKeysVariable), getenv(message.TokenAudienceVariable)
	if keys, err := url.Parse(s.tokenKeys); s.tokenIssuer != "" && (err != nil || keys.Host == "") {
		problem("%s is %q; with %s it must be the URL of the issuer's keys, a JSON Web Key Set", message.TokenKeysVariable, s.tokenKeys, message.TokenIssuerVariable)
	}
	if text := getenv(message.MaxAnonymousWaitVariable); text != "" {
		if s.maxAnonymousWait, err = time.ParseDuration(text); err != nil || s.maxAnonymousWait < time.Second {
			problem("%s is %q; it must be a duration of at least a second, such as 1m0s", message.MaxAnonymousWaitVariable, text)
		}
	}
	for text := range strings.FieldsSeq(getenv(message.LinksVariable)) {
		base, err := url.Parse(text)
		if err != nil || base.Scheme == "" || base.Host == "" {
			problem("%s has %q; it must be a list of URLs with scheme and host, with spaces between them", message.LinksVariable, text)
			continue
		}
		s.links = append(s.links, base)
	}
	if s.asyncMachineARN = getenv(message.AsyncMachineVariable); s.asyncMachineARN != "" {
		for variable, value := range map[string]*time.Duration{message.AsyncDeadlineVariable: &s.asyncDeadline, message.AnswerTTLVariable: &s.answerTTL} {
			text := getenv(variable)
			if *value, err = time.ParseDuration(text); err != nil || *value < time.Second {
				problem("%s is %q; it must be a duration of at least a second, such as 24h0m0s", variable, text)
			}
		}
	}
	if text := getenv(message.LetterRetentionVariable); text != "" {
		if s.letterRetention, err = time.ParseDuration(text); err != nil || s.letterRetention < time.Second || s.asyncMachineARN == "" {
			problem("%s is %q; it must be a duration of at least a second, such as 336h0m0s, and needs %s", message.LetterRetentionVariable, text, message.AsyncMachineVariable)
		}
	}
	if s.callbackURL = getenv(message.CallbackURLVariable); s.callbackURL != "" {
		if err := message.CheckCallbackURL(s.callbackURL); err != nil {
			problem("%s is not usable: %w", message.CallbackURLVariable, err)
		}
	}
	s.callbackHosts = strings.Fields(getenv(message.CallbackHostsVariable))
	for _, host := range s.callbackHosts {
		if err := message.CheckCallbackHost(host); err != nil {
			problem("%s: %w", message.CallbackHostsVariable, err)
		}
	}
	if (s.callbackURL != "" || len(s.callbackHosts) > 0) && s.asyncMachineARN == "" {
		problem("%s and %s need %s: only asynchronous requests have callbacks", message.CallbackURLVariable, message.CallbackHostsVariable, message.AsyncMachineVariable)
	}
	s.crossOrigin = flag(message.CrossOriginVariable)
	if s.forwarding, err = message.ForwardingFrom(getenv); err != nil {
		problems = append(problems, err)
	}
	if async := s.asyncMachineARN != ""; async != s.forwarding.Async() {
		problem("%s and %s go together: set both or none", message.AsyncVariable, message.AsyncMachineVariable)
	}
	if err := errors.Join(problems...); err != nil {
		return settings{}, fmt.Errorf("gateway: the environment is not usable:\n%w", err)
	}
	return s, nil
}

// pseudonymHashBytes is how many bytes of a hash tell one deployment from another in Via.
const pseudonymHashBytes = 5

// pseudonym is the name by which this deployment calls itself in Via, RFC 9110 section 7.6.3. Two deployments, one in
// front of the other, have different ones; a request that comes round to the same deployment is a loop.
func (s settings) pseudonym() string {
	// A deployment that is updated stays the same one: the version of the state machine does not count.
	parts := strings.SplitN(s.stateMachineARN, ":", 8)
	sum := sha256.Sum256([]byte(strings.Join(parts[:min(len(parts), 7)], ":")))
	return "retrying-api-proxy-" + hex.EncodeToString(sum[:pseudonymHashBytes])
}
