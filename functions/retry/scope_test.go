package retry_test

import (
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// wantNoQuickTry checks that a first rate limit is waited for as told.
func wantNoQuickTry(t *testing.T, name string, d retry.Decision, floor time.Duration) {
	t.Helper()
	if d.Outcome != retry.Again || d.Delay < floor || strings.Contains(d.Why, "quick try") {
		t.Errorf("%s: %s after %v (%s), want another attempt after %v", name, d.Outcome, d.Delay, d.Why, floor)
	}
}

func TestThereIsNoQuickTryWhereTheAnswerSaysThatTheLimitIsNotByAddress(t *testing.T) {
	t.Parallel()
	for name, fields := range map[string][]string{
		"a partition key":      {"Retry-After: 30", `RateLimit-Policy: "keys";q=10;w=60;pk=:Y2xpZW50LTQy:`, `RateLimit: "keys";r=0;t=30`},
		"a limit of the user":  {"Retry-After: 30", "X-RateLimit-UserLimit: 100", "X-RateLimit-UserRemaining: 0"},
		"more than a minute":   {"Retry-After: 61"},
		"a daily quota, ended": {"Retry-After: 30", "X-RateLimit-Limit-Day: 1000", "X-RateLimit-Remaining-Day: 0"},
	} {
		c := get(t, retry.Policy{RetryAfterMax: 24 * time.Hour})
		c.request.Deadline = time.Time{}
		wantNoQuickTry(t, name, c.answers(429, fields...), 30*time.Second)
	}
}

func TestThereIsNoQuickTryWithACredential(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{})
	c.request.Credential = true
	wantNoQuickTry(t, "a credential", c.answers(429, "Retry-After: 30"), 30*time.Second)

	c = get(t, retry.Policy{})
	c.request.Credential = true
	if d := c.answers(429); d.Delay != 0 || strings.Contains(d.Why, "quick try") || !strings.Contains(d.Why, "backoff") {
		t.Errorf("a rate limit that names no moment is followed by %q", d.Why)
	}
}

func TestThereIsNoQuickTryWhereItIsKnownThatTheLimitIsNotByAddress(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{})
	c.request.LimitedBy = retry.PerAccount
	wantNoQuickTry(t, "known", c.answers(429, "Retry-After: 30"), 30*time.Second)
}

func TestAWaitOfAMinuteStillGetsItsQuickTry(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{})
	if d := c.answers(429, "Retry-After: 60"); d.Delay != 0 || !strings.Contains(d.Why, "quick try") {
		t.Errorf("another attempt after %v (%s), want a quick try", d.Delay, d.Why)
	}
}

func TestWhatIsMoreCertainCountsFirst(t *testing.T) {
	t.Parallel()
	const byAddress = "X-RateLimit-IP-Remaining: 0"
	for name, c := range map[string]struct {
		policy  retry.Policy
		fields  []string
		request func(*retry.Request)
		atOnce  bool
	}{
		"the answer before what was found out": {
			fields: []string{"Retry-After: 30", byAddress}, request: func(r *retry.Request) { r.LimitedBy = retry.PerAccount }, atOnce: true,
		},
		"the answer before the credential": {
			fields: []string{"Retry-After: 30", byAddress}, request: func(r *retry.Request) { r.Credential = true }, atOnce: true,
		},
		"what was found out before the credential": {
			fields: []string{"Retry-After: 30"}, request: func(r *retry.Request) { r.Credential, r.LimitedBy = true, retry.PerAddress }, atOnce: true,
		},
		"the policy before the answer": {
			policy: retry.Policy{Scope: retry.PerAccount}, fields: []string{"Retry-After: 30", byAddress},
		},
		"the policy before the credential": {
			policy: retry.Policy{Scope: retry.PerAddress}, fields: []string{"Retry-After: 30"},
			request: func(r *retry.Request) { r.Credential = true }, atOnce: true,
		},
	} {
		conversation := get(t, c.policy)
		if c.request != nil {
			c.request(&conversation.request)
		}
		if d := conversation.answers(429, c.fields...); d.Outcome != retry.Again || (d.Delay == 0) != c.atOnce {
			t.Errorf("%s: %s after %v (%s)", name, d.Outcome, d.Delay, d.Why)
		}
	}
}

func TestALimitThatSaysItIsByAddressGoesRoundTheRing(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{})
	const byAddress = "X-RateLimit-IP-Remaining: 0"
	wantAgain(t, c.answers(429, "Retry-After: 40", byAddress), 0)
	wantAgain(t, c.answers(429, "Retry-After: 40", byAddress), 0)
	wantAgain(t, c.answers(429, "Retry-After: 40", byAddress), 40*time.Second)
}

func TestAFirstRateLimitIsSpreadLittleAndASecondOneMore(t *testing.T) {
	t.Parallel()
	highest := func() float64 { return 0.999999 }
	c := get(t, retry.Policy{Scope: retry.PerAccount})
	c.random = highest
	wantAgain(t, c.answers(429, "Retry-After: 10"), 10100*time.Millisecond)
	wantAgain(t, c.answers(429, "Retry-After: 10"), 12500*time.Millisecond) // a quarter of the wait

	c = get(t, retry.Policy{}) // with a quick try between, which is no reason to be spread more
	c.random = highest
	wantAgain(t, c.answers(429, "Retry-After: 10"), 0)
	wantAgain(t, c.answers(429, "Retry-After: 10"), 10100*time.Millisecond)
	wantAgain(t, c.answers(429, "Retry-After: 10"), 12500*time.Millisecond)

	c = get(t, retry.Policy{Scope: retry.PerAccount}) // the share of a long wait
	c.random = highest
	wantAgain(t, c.answers(429, "Retry-After: 60"), 60600*time.Millisecond)

	c = get(t, retry.Policy{Scope: retry.PerAccount}) // server errors come back from an outage, all of them at once
	c.random = highest
	wantAgain(t, c.answers(503, "Retry-After: 10"), 12500*time.Millisecond)

	c = get(t, retry.Policy{Scope: retry.PerAccount, RateLimits: retry.Budget{Base: 15 * time.Second}}) // as wide as asked for
	c.random = highest
	wantAgain(t, c.answers(429, "Retry-After: 10"), 25*time.Second)
}
