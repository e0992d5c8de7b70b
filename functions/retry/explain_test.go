package retry_test

import (
	"encoding/json"
	"maps"
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
			for _, table := range policy.ExplainFor(retry.Request{Proxies: proxies}).Timetables {
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

func TestATimetableNamesTheBudgetAndHasARowForEachOfItsAttempts(t *testing.T) {
	t.Parallel()
	type table struct {
		budget string
		rows   int
	}
	want := map[retry.Kind]table{
		retry.RateLimit: {"RateLimits", 4}, retry.ServerError: {"ServerErrors", 1}, retry.NetworkFailure: {"NetworkFailures", 3},
	}
	got := map[retry.Kind]table{}
	policy := retry.Policy{RateLimits: retry.Budget{Attempts: 4}, ServerErrors: retry.Budget{Attempts: 1}}
	for _, timetable := range policy.Explain().Timetables {
		got[timetable.Kind] = table{timetable.Budget, len(timetable.Starts)}
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
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

func TestAnExplanationForRequestsWithACredentialHasNoQuickTry(t *testing.T) {
	t.Parallel()
	text := retry.Default().ExplainFor(retry.Request{Proxies: 3, Credential: true}).String()
	if strings.Contains(text, "quick try") || !strings.Contains(text, "2        proxy-2  0s        11s               backoff of up to 1s, jitter full") {
		t.Errorf("the explanation is\n%s", text)
	}
}
