package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// settings is what the gateway reads from its environment when it starts.
type settings struct {
	stateMachineARN string
	ring            message.Ring
	policy          retry.Policy
}

// settingsFrom reads the settings and reports all that is wrong with them at once.
func settingsFrom(getenv func(string) string) (settings, error) {
	var s settings
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	if s.stateMachineARN = getenv("STATE_MACHINE_ARN"); s.stateMachineARN == "" {
		problem("STATE_MACHINE_ARN is empty; it must be the ARN of the Express state machine")
	}
	count, err := strconv.Atoi(getenv("PROXY_COUNT"))
	if err != nil || count < 1 {
		problem("PROXY_COUNT is %q; it must be a whole number from 1", getenv("PROXY_COUNT"))
	}
	s.ring = message.Ring(count)
	if text := getenv("RETRY_POLICY"); text != "" {
		if err := json.Unmarshal([]byte(text), &s.policy); err != nil {
			problem("RETRY_POLICY: %w", err)
		}
	}
	s.policy = s.policy.WithDefaults()
	if err := s.policy.Validate(); err != nil {
		problem("RETRY_POLICY: %w", err)
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
	sum := sha256.Sum256([]byte(s.stateMachineARN))
	return "retrying-api-proxy-" + hex.EncodeToString(sum[:pseudonymHashBytes])
}
