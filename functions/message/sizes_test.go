package message_test

import (
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// longest is an attempt of a kind whose texts are as long as they get.
func longest(kind retry.Kind, i int) retry.Attempt {
	a := retry.Attempt{
		Proxy: "proxy-20", Start: now.UnixMilli(), Duration: 899_999, Kind: kind, Wait: 899_999, NotBefore: now.UnixMilli(),
		Address: "2001:db8:1111:2222:3333:4444:5555:6666",
		Why:     "429: Anthropic-Ratelimit-Output-Tokens-Reset asks for 14m59.999s, and backoff above it up to 18m44.999s, jitter decorrelated",
	}
	if kind == retry.NetworkFailure {
		a.NotBefore, a.Why = 0, "http_response_header_section_size: an earlier answer asks for 14m59.999s, and backoff above it up to 18m44.999s, jitter decorrelated"
		a.Error, a.Details = retry.HTTPResponseHeaderSectionSize, strings.Repeat(`x"\y`, 50)
	} else {
		a.Status = 429 + i%2
	}
	return a
}

func TestACallThatFitsAtTheStartFitsUntilTheLastAttempt(t *testing.T) {
	for _, policy := range []retry.Policy{
		{},
		{NetworkFailures: retry.Budget{Attempts: 100}},
		{
			RateLimits:      retry.Budget{Attempts: 100},
			ServerErrors:    retry.Budget{Attempts: 100},
			NetworkFailures: retry.Budget{Attempts: 100},
		},
	} {
		policy = policy.WithDefaults()
		call := newCall("PUT")
		call.Request.Body = "x"
		call.Request.Body = strings.Repeat("x", message.MaxCallBytes(policy)-size(t, message.ToProxy(call, policy, nil, 0))+1)
		if got := size(t, message.ToProxy(call, policy, nil, 0)); got != message.MaxCallBytes(policy) {
			t.Fatalf("the call takes %d bytes, want %d", got, message.MaxCallBytes(policy))
		}
		var history []retry.Attempt
		for kind, budget := range map[retry.Kind]int{
			retry.RateLimit:   policy.RateLimits.Attempts,
			retry.ServerError: policy.ServerErrors.Attempts,
		} {
			for i := range budget - 1 { // the last one of a kind ends it
				history = append(history, longest(kind, i))
			}
		}
		// Those without an answer, told by a proxy or by the state machine.
		told := history
		for range policy.NetworkFailures.Attempts - 1 {
			told = append(told, longest(retry.NetworkFailure, 0))
		}
		lost := message.ToProxy(call, policy, history, 0)
		for range policy.NetworkFailures.Attempts {
			lost = afterLoss(lost, "proxy-20", strings.Repeat("E", 256)) // as long as the name of an error can be
		}
		for what, e := range map[string]*message.Envelope{"told": message.ToProxy(call, policy, told, 0), "lost": lost} {
			if got := size(t, e); got > 258_048 {
				t.Errorf("after %d attempts that are %s the envelope takes %d bytes; a state holds 258,048", len(told), what, got)
			}
		}
	}
}

func TestMoreAttemptsLeaveLessRoomForTheCall(t *testing.T) {
	// 252 KiB, less 700 bytes for each attempt: 12 of the default policy, 300 of the largest.
	largest := retry.Budget{Attempts: 100}
	for want, policy := range map[int]retry.Policy{
		249_648: retry.Default(),
		48_048:  {RateLimits: largest, ServerErrors: largest, NetworkFailures: largest},
	} {
		if got := message.MaxCallBytes(policy.WithDefaults()); got != want {
			t.Errorf("a call may take %d bytes, want %d", got, want)
		}
	}
}
