package retry_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestThePolicyExplainsItself(t *testing.T) {
	t.Parallel()
	text := retry.Default().Explain().String()
	for _, want := range []string{
		"attempt  proxy    earliest  latest            why\n",
		"1        proxy-1  0s        0s                the request\n",
		"2        proxy-2  0s        10s               the next proxy makes a quick try at once",
		"5        proxy-2  0s        54s               backoff of up to 8s, jitter full\n",
		"6        proxy-3  0s        59.5s (deadline)  backoff of up to 16s, jitter full\n",
		"3        proxy-3  0s        23s     backoff of up to 2s, jitter full\n",
		"Worst case: 1m0s",
		"attempts  transitions  waiting  Express  Standard\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the explanation does not say %q:\n%s", want, text)
		}
	}
}

func TestTheDocumentationShowsTheDefaultAsItIs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/retry.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "```\n"+retry.Default().Explain().String()+"```\n") {
		t.Errorf("the explanation in the documentation is not\n%s", retry.Default().Explain())
	}
	_, rest, _ := strings.Cut(string(text), "```json\n")
	example, _, _ := strings.Cut(rest, "```\n")
	var policy retry.Policy
	if err := json.Unmarshal([]byte(example), &policy); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(retry.Default(), policy); diff != "" {
		t.Errorf("the policy in the documentation is not the default: %s", diff)
	}
}

func TestTheTimetableIsWhatNextDecides(t *testing.T) {
	t.Parallel()
	for _, policy := range []retry.Policy{
		{},
		{Scope: retry.PerAccount, RateLimits: retry.Budget{Jitter: retry.EqualJitter}},
		{Scope: retry.PerAddress, RateLimits: retry.Budget{Attempts: 9, Base: 3 * time.Second}},
		{ServerErrors: retry.Budget{Attempts: 8, Jitter: retry.NoJitter, Max: 5 * time.Second}, NetworkFailures: retry.Budget{Attempts: 6, Jitter: retry.DecorrelatedJitter}},
	} {
		policy.Deadline, policy.MaxDeadline = time.Hour, time.Hour
		for _, proxies := range []int{1, 3} {
			for _, table := range policy.ExplainFor(proxies).Timetables {
				earliest, latest := get(t, policy), get(t, policy)
				latest.random = highest
				for _, c := range []*conversation{earliest, latest} {
					c.request.Proxies = proxies
				}
				for _, start := range table.Starts {
					if got := earliest.now.Sub(noon); got != start.Earliest {
						t.Errorf("%s %d earliest at %v, explained as %v", table.Kind, start.Attempt, got, start.Earliest)
					}
					passed := time.Duration(start.Attempt-1) * retry.DefaultAttemptTimeout
					if got := latest.now.Sub(noon) + passed; got != start.Latest {
						t.Errorf("%s %d latest at %v, explained as %v", table.Kind, start.Attempt, got, start.Latest)
					}
					for _, c := range []*conversation{earliest, latest} {
						switch table.Kind {
						case retry.RateLimit:
							c.answers(429)
						case retry.ServerError:
							c.answers(500)
						default:
							c.fails(retry.DNSError, retry.NotProcessed)
						}
						if got := c.history[len(c.history)-1].Proxy; got != start.Proxy {
							t.Errorf("%s %d from %s, explained as %s", table.Kind, start.Attempt, got, start.Proxy)
						}
					}
				}
			}
		}
	}
}

func TestTheWorstCaseEndsWithTheDeadline(t *testing.T) {
	t.Parallel()
	e := retry.Policy{
		RateLimits: retry.Budget{Attempts: 1}, ServerErrors: retry.Budget{Attempts: 2}, NetworkFailures: retry.Budget{Attempts: 1},
	}.Explain()
	if want := 21 * time.Second; e.WithoutDeadline != want || e.WorstCase != want {
		t.Errorf("got %v, and %v without a deadline; want two attempts of 10 s and a backoff of 1 s", e.WorstCase, e.WithoutDeadline)
	}
	if e := retry.Default().Explain(); e.WorstCase != retry.DefaultDeadline || e.WithoutDeadline <= e.WorstCase {
		t.Errorf("got %v, and %v without a deadline", e.WorstCase, e.WithoutDeadline)
	}
}

func TestCostsAreThoseOfThePriceList(t *testing.T) {
	t.Parallel()
	costs := retry.Policy{
		Scope: retry.PerAccount, RateLimits: retry.Budget{Attempts: 4, Jitter: retry.NoJitter, Base: 250 * time.Millisecond},
	}.Explain().Costs
	// By hand, per million requests. One attempt: three transitions, or one Express request of 0.3 s in 64 MB; a proxy of
	// 0.3 s and a gateway of 0.32 s (0.02 s where it does not wait) in 256 MB, at 0.20 for each call.
	want := []retry.Cost{
		{Attempts: 1, Transitions: 3, Express: 3.78, Standard: 76.47},
		// After a quarter of a second: no Wait state, but as much slept in the second proxy; 0.85 s are billed as 0.9 s.
		{Attempts: 2, Transitions: 5, Waiting: 250 * time.Millisecond, Express: 8.27, Standard: 128.50},
		{Attempts: 3, Transitions: 7, Waiting: 750 * time.Millisecond, Express: 14.64, Standard: 181.37},
		// After a second more: a Wait state, and half a second slept.
		{Attempts: 4, Transitions: 10, Waiting: 1750 * time.Millisecond, Express: 23.19, Standard: 259.23},
	}
	if diff := cmp.Diff(want, costs); diff != "" {
		t.Error(diff)
	}
}

func TestTheDefaultFitsAnExpressStack(t *testing.T) {
	t.Parallel()
	limits := retry.Limits{Proxies: 3, Execution: retry.ExpressDuration, ProxyTimeout: 12 * time.Second, GatewayTimeout: 291 * time.Second}
	if err := retry.Default().Fits(limits); err != nil {
		t.Error(err)
	}
	if err := (retry.Policy{}).Fits(retry.Limits{}); err != nil {
		t.Errorf("limits that are not given are checked: %v", err)
	}
}

func TestAPolicyThatDoesNotFitIsToldWhichNumberToChange(t *testing.T) {
	t.Parallel()
	err := retry.Policy{
		AttemptTimeout: 20 * time.Second,
		MaxDeadline:    10 * time.Minute,
		Scope:          retry.PerAddress,
		ServerErrors:   retry.Budget{Base: 5 * time.Minute, Max: time.Hour, Jitter: retry.NoJitter},
	}.Fits(retry.Limits{Proxies: 1, Execution: retry.ExpressDuration, ProxyTimeout: 15 * time.Second, GatewayTimeout: 5 * time.Minute})
	if err == nil {
		t.Fatal("the policy fits")
	}
	for _, want := range []string{
		"lower MaxDeadline to 4m50s or less",
		"lower AttemptTimeout to 13s, or raise the function's timeout to 22s",
		"lower MaxDeadline to 4m59s, or raise the function's timeout to 10m1s",
		`Scope is "per-address", but there is one proxy`,
		"lower ServerErrors.Attempts to 2",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message does not say %q", want)
		}
	}
	if lines := strings.Count(err.Error(), "\n") + 1; lines != 5 {
		t.Errorf("%d problems, want 5:\n%v", lines, err)
	}
}
