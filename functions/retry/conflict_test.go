package retry_test

import (
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// keyed is a POST with an Idempotency-Key.
func keyed(t *testing.T, policy retry.Policy) *conversation {
	c := post(t, policy)
	c.request.IdempotencyKey = true
	return c
}

// Attack C2: an upstream that follows the draft of Idempotency-Key answers our own repeat with 409 as long as the first
// request runs.
func TestAConflictWithAnAttemptOfOurOwnIsAskedForAgain(t *testing.T) {
	t.Parallel()
	for what, first := range map[string]func(c *conversation){
		"a timeout":     func(c *conversation) { c.fails(retry.ConnectionReadTimeout, retry.MaybeProcessed) },
		"a reset":       func(c *conversation) { c.fails(retry.ConnectionTerminated, retry.MaybeProcessed) },
		"a lost proxy":  func(c *conversation) { c.fails(retry.ProxyInternalError, retry.MaybeProcessed) },
		"a 504":         func(c *conversation) { c.answers(504) },
		"and then 429":  func(c *conversation) { c.answers(500); c.answers(429) },
		"one cut short": func(c *conversation) { c.fails(retry.HTTPResponseIncomplete, retry.MaybeProcessed) },
	} {
		c := keyed(t, retry.Policy{})
		first(c)
		c.random = func() float64 { return 0.5 }
		d := c.answers(409)
		if d.Outcome != retry.Again || d.Kind != retry.ServerError || !d.MaybeProcessed || d.Delay < 500*time.Millisecond {
			t.Errorf("after %s a 409 is %s in %v, charged to %q (%s)", what, d.Outcome, d.Delay, d.Kind, d.Why)
		}
		if !strings.Contains(d.Why, "409") || !strings.Contains(d.Why, "still runs") {
			t.Errorf("why %q does not tell what the 409 is taken for", d.Why)
		}
		if d := c.answers(201); d.Outcome != retry.Succeeded {
			t.Errorf("after %s and a 409 a 201 is %s", what, d.Outcome)
		}
	}
}

func TestAConflictThatStaysExhaustsTheAttempts(t *testing.T) {
	t.Parallel()
	c := keyed(t, retry.Policy{})
	wantAgain(t, c.fails(retry.ConnectionReadTimeout, retry.MaybeProcessed), 0)
	wantAgain(t, c.answers(409, "Retry-After: 2"), 2*time.Second)
	wantAgain(t, c.answers(409), 0)
	wantFailed(t, c.answers(409), retry.AttemptsExhausted, time.Millisecond)

	c = keyed(t, retry.Policy{ServerErrors: retry.Budget{Jitter: retry.NoJitter}})
	wantAgain(t, c.answers(500), 1*time.Second)
	wantAgain(t, c.answers(409), 2*time.Second)
	wantFailed(t, c.answers(409, "Retry-After: 9"), retry.AttemptsExhausted, 9*time.Second)
}

func TestAConflictWithSomebodyElseIsFinal(t *testing.T) {
	t.Parallel()
	final := func(what string, d retry.Decision) {
		t.Helper()
		if d.Outcome != retry.Succeeded || d.Kind != "" {
			t.Errorf("%s: a 409 is %s, charged to %q (%s)", what, d.Outcome, d.Kind, d.Why)
		}
	}
	final("at first", keyed(t, retry.Policy{}).answers(409))

	c := keyed(t, retry.Policy{})
	c.answers(429)
	c.answers(503, "Retry-After: 0")
	c.fails(retry.ConnectionRefused, retry.NotProcessed)
	final("after attempts that did nothing", c.answers(409))

	c = get(t, retry.Policy{})
	c.fails(retry.ConnectionReadTimeout, retry.MaybeProcessed)
	final("without a key", c.answers(409))

	c = keyed(t, retry.Policy{Statuses: map[int]retry.Verdict{409: retry.Final}})
	c.fails(retry.ConnectionReadTimeout, retry.MaybeProcessed)
	final("if the policy says so", c.answers(409))

	c = keyed(t, retry.Policy{})
	c.fails(retry.ConnectionReadTimeout, retry.MaybeProcessed)
	final("if the upstream says so", c.answers(409, "Stripe-Should-Retry: false"))

	for _, status := range []int{400, 404, 412, 422} {
		c = keyed(t, retry.Policy{})
		c.fails(retry.ConnectionReadTimeout, retry.MaybeProcessed)
		if d := c.answers(status); d.Outcome != retry.Succeeded {
			t.Errorf("a %d after a timeout is %s", status, d.Outcome)
		}
	}
}

func TestAConflictThatThePolicyRulesIsWhatItSays(t *testing.T) {
	t.Parallel()
	c := keyed(t, retry.Policy{Statuses: map[int]retry.Verdict{409: retry.Limited}})
	c.fails(retry.ConnectionReadTimeout, retry.MaybeProcessed)
	if d := c.answers(409); d.Outcome != retry.Again || d.Kind != retry.RateLimit {
		t.Errorf("a 409 that is ruled a rate limit is %s, charged to %q", d.Outcome, d.Kind)
	}
}
