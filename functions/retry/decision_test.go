package retry_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A floor that the delay undercuts would be told to others as the moment at which the request comes back.
func TestTheFloorIsThePartOfTheDelayThatIsNotOurOwn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policy := drawPolicy(t)
		now := noon
		request := retry.Request{Method: http.MethodGet, Proxies: rapid.IntRange(1, 5).Draw(t, "proxies")}
		request.IdempotencyKey = rapid.Bool().Draw(t, "key")
		request.Credential = rapid.Bool().Draw(t, "credential")
		request.LimitedBy = rapid.SampledFrom([]retry.Scope{"", retry.PerAddress, retry.PerAccount}).Draw(t, "limited by")
		random := func() float64 { return rapid.Float64Range(0, 1-1e-9).Draw(t, "random") }

		var history []retry.Attempt
		for {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "duration")))
			result := drawResult(t, now)
			d := policy.Next(request, history, result, random)
			if d.Outcome != retry.Again {
				if d.Floor != 0 {
					t.Fatalf("no attempt follows (%s), and the floor of it is %v", d.Why, d.Floor)
				}
				return
			}
			if d.Floor < 0 || d.Delay < d.Floor {
				t.Fatalf("the delay is %v and the floor %v: %s", d.Delay, d.Floor, d.Why)
			}
			if told := d.NotBefore.Sub(now); !d.NotBefore.IsZero() && d.Scope != retry.PerAddress && d.Scope != retry.Inferred && d.Floor < told {
				t.Fatalf("the answer asks for %v, and the floor is %v: %s", told, d.Floor, d.Why)
			}
			if limit := d.Kind == retry.RateLimit; limit != (d.Scope != "") {
				t.Fatalf("a %s has the scope %q", d.Kind, d.Scope)
			}
			history = append(history, result.Attempt(fmt.Sprint("proxy-", len(history)%request.Proxies+1), now, d))
			now = now.Add(d.Delay)
		}
	})
}

func TestTheFloorIsOfTheAnswerAndOfThoseBefore(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{Scope: retry.PerAccount})
	c.random = func() float64 { return 0.5 }
	if d := c.answers(429, "Retry-After: 7"); d.Floor != 7*time.Second || d.Delay != 7050*time.Millisecond {
		t.Errorf("of an answer that asks for 7 s, the floor is %v and the delay %v, want 7 s and 7.05 s", d.Floor, d.Delay)
	}

	c = get(t, retry.Policy{}) // a quick try, for which the first answer does not count, and then it does
	if d := c.answers(429, "Retry-After: 7"); d.Floor != 0 || d.Delay != 0 {
		t.Errorf("of a quick try, the floor is %v and the delay %v, want none", d.Floor, d.Delay)
	}
	c.now = c.now.Add(2 * time.Second)
	if d := c.answers(429); d.Floor != 5*time.Second {
		t.Errorf("2 s after an answer that asked for 7 s the floor is %v, want 5 s", d.Floor)
	}

	if d := get(t, retry.Policy{}).answers(503); d.Floor != 0 || d.Outcome != retry.Again {
		t.Errorf("of a 503 that asks for nothing, the floor is %v (%s)", d.Floor, d.Outcome)
	}
}

func TestTheScopeIsWhatTheLimitBindsAsFarAsTheNextAttemptGoes(t *testing.T) {
	t.Parallel()
	const byAddress = "X-RateLimit-IP-Remaining: 0"
	inferred, address, account := retry.Policy{}, retry.Policy{Scope: retry.PerAddress}, retry.Policy{Scope: retry.PerAccount}
	once := retry.Policy{RateLimits: retry.Budget{Attempts: 1}}
	onceByAddress := once
	onceByAddress.Scope = retry.PerAddress
	for name, c := range map[string]struct {
		policy  retry.Policy
		request func(*retry.Request)
		before  []int // statuses of the attempts before
		status  int
		fields  []string
		want    retry.Scope
	}{
		"a first limit of which nothing is known": {policy: inferred, status: 429, want: retry.Inferred},
		"the second one, after a quick try":       {policy: inferred, before: []int{429}, status: 429, want: retry.PerAccount},
		"a wait of more than a minute":            {policy: retry.Policy{RetryAfterMax: time.Hour}, status: 429, fields: []string{"Retry-After: 61"}, want: retry.PerAccount},
		"a credential":                            {policy: inferred, request: func(r *retry.Request) { r.Credential = true }, status: 429, want: retry.PerAccount},
		"other requests have found an address":    {policy: inferred, request: func(r *retry.Request) { r.LimitedBy = retry.PerAddress }, status: 429, want: retry.PerAddress},
		"other requests have found an account":    {policy: inferred, request: func(r *retry.Request) { r.LimitedBy = retry.PerAccount }, status: 429, want: retry.PerAccount},
		"the answer says the address":             {policy: inferred, status: 429, fields: []string{byAddress}, want: retry.PerAddress},
		"the policy says the address":             {policy: address, before: []int{429, 429}, status: 429, want: retry.PerAddress},
		"the policy says the account":             {policy: account, status: 429, fields: []string{byAddress}, want: retry.PerAccount},
		"one proxy has one address":               {policy: address, request: func(r *retry.Request) { r.Proxies = 1 }, status: 429, want: retry.PerAccount},
		"no attempt follows":                      {policy: once, status: 429, want: retry.Inferred},
		"no attempt follows, by address":          {policy: onceByAddress, status: 429, want: retry.PerAddress},
		"a server error":                          {policy: address, status: 503, fields: []string{"Retry-After: 5"}, want: ""},
		"a server error at last":                  {policy: retry.Policy{ServerErrors: retry.Budget{Attempts: 1}}, status: 503, want: ""},
		"a success":                               {policy: address, before: []int{429}, status: 200, want: ""},
	} {
		conversation := get(t, c.policy)
		if c.request != nil {
			c.request(&conversation.request)
		}
		for _, status := range c.before {
			conversation.answers(status)
		}
		if d := conversation.answers(c.status, c.fields...); d.Scope != c.want {
			t.Errorf("%s: the scope is %q, want %q (%s)", name, d.Scope, c.want, d.Why)
		}
	}
}
