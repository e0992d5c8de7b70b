package retry_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// charged lists the statuses from 200 to 599 by what they are charged to, if the answer has the fields.
func charged(t *testing.T, policy retry.Policy, fields ...string) map[retry.Kind][]int {
	by := map[retry.Kind][]int{}
	for status := 200; status < 600; status++ {
		d := get(t, policy).answers(status, fields...)
		if (d.Kind == "") != (d.Outcome == retry.Succeeded) {
			t.Errorf("%d: %s, charged to %q", status, d.Outcome, d.Kind)
		}
		by[d.Kind] = append(by[d.Kind], status)
	}
	return by
}

// between lists the statuses from first to last, both included, but for some.
func between(first, last int, without ...int) []int {
	var all []int
next:
	for status := first; status <= last; status++ {
		for _, w := range without {
			if status == w {
				continue next
			}
		}
		all = append(all, status)
	}
	return all
}

func TestAnErrorThatMayPassIsAskedForAgainAndEverythingElseIsFinal(t *testing.T) {
	t.Parallel()
	want := map[retry.Kind][]int{
		retry.RateLimit:   {429},
		retry.ServerError: append([]int{408, 421, 425}, between(500, 599, 501, 505, 508, 510, 511)...),
		"":                append(between(200, 499, 408, 421, 425, 429), 501, 505, 508, 510, 511),
	}
	if diff := cmp.Diff(want, charged(t, retry.Policy{})); diff != "" {
		t.Errorf("(-want +got) %s", diff)
	}
	if diff := cmp.Diff(want, charged(t, retry.Default())); diff != "" {
		t.Errorf("with the default policy spelt out (-want +got) %s", diff)
	}
}

func TestAnErrorThatSaysWhenToComeAgainIsAskedForAgain(t *testing.T) {
	t.Parallel()
	want := map[retry.Kind][]int{
		retry.RateLimit:   {403, 429},
		retry.ServerError: between(400, 599, 403, 429),
		"":                between(200, 399),
	}
	for _, field := range []string{"Retry-After: 2", "Retry-After-Ms: 2000", "X-Retry-After: 2", "X-RateLimit-Retry-After: 2", "Retry-After: 1, 2", "Retry-After: Sat, 21 Nov 2026 12:00:02 GMT"} {
		if diff := cmp.Diff(want, charged(t, retry.Policy{}, field)); diff != "" {
			t.Errorf("%s (-want +got) %s", field, diff)
		}
	}
	wantAgain(t, get(t, retry.Policy{}).answers(413, "Retry-After: 2"), 2*time.Second)
	for _, field := range []string{"Retry-After: soon", "X-RateLimit-Reset: 2", "RateLimit: limit=5, remaining=2, reset=2"} {
		if d := get(t, retry.Policy{}).answers(404, field); d.Outcome != retry.Succeeded {
			t.Errorf("a 404 with %s is %s", field, d.Outcome)
		}
	}
}

func TestEveryStatusCanBeRuledDifferently(t *testing.T) {
	t.Parallel()
	policy := retry.Policy{Statuses: map[int]retry.Verdict{
		404: retry.Erroneous, 500: retry.Final, 420: retry.Limited, 403: retry.Final, 202: retry.Erroneous, 413: retry.Final,
		501: retry.Erroneous, 520: retry.Final, 511: retry.Final,
	}}
	for status, kind := range map[int]retry.Kind{
		404: retry.ServerError, 500: "", 420: retry.RateLimit, 202: retry.ServerError, 503: retry.ServerError, 501: retry.ServerError,
		520: "", 521: retry.ServerError,
	} {
		if d := get(t, policy).answers(status); d.Kind != kind {
			t.Errorf("%d is charged to %q, want %q", status, d.Kind, kind)
		}
	}
	for _, c := range []struct {
		status int
		field  string
	}{
		{403, "X-RateLimit-Remaining: 0"}, {403, "Retry-After: 2"}, {413, "Retry-After: 2"}, {500, "Retry-After: 2"}, {511, "Retry-After: 2"},
		{413, "X-Should-Retry: true"}, {511, "X-Should-Retry: true"}, {500, "X-Should-Retry: true"},
	} {
		if d := get(t, policy).answers(c.status, c.field); d.Outcome != retry.Succeeded {
			t.Errorf("a %d that is ruled final, with %s, is %s", c.status, c.field, d.Outcome)
		}
	}
	if d := get(t, policy).answers(404, "Stripe-Should-Retry: false"); d.Outcome != retry.Again {
		t.Errorf("a 404 that is ruled a server error is %s, as the upstream has it", d.Outcome)
	}
	wantAgain(t, get(t, policy).answers(404, "Retry-After: 7"), 7*time.Second)
}

func TestARuleThatRepeatsADefaultChangesNothing(t *testing.T) {
	t.Parallel()
	policy := retry.Policy{Statuses: map[int]retry.Verdict{
		408: retry.Erroneous, 421: retry.Erroneous, 425: retry.Erroneous, 429: retry.Limited,
		500: retry.Erroneous, 502: retry.Erroneous, 503: retry.Erroneous, 504: retry.Erroneous, 520: retry.Erroneous,
	}}
	for _, fields := range [][]string{{}, {"Retry-After: 2"}, {"X-Should-Retry: true"}, {"X-Should-Retry: false"}, {"X-RateLimit-Remaining: 0"}} {
		if diff := cmp.Diff(charged(t, retry.Policy{}, fields...), charged(t, policy, fields...)); diff != "" {
			t.Errorf("%q (-without the rules +with them) %s", fields, diff)
		}
	}
	wantAgain(t, post(t, policy).answers(421), 0) // and what is proof stays one
	wantAgain(t, post(t, policy).answers(503, "Retry-After: 2"), 2*time.Second)
}

func TestWhatIsNoStatusCountsAsAServerError(t *testing.T) {
	t.Parallel()
	for _, status := range []int{600, 999} {
		if d := get(t, retry.Policy{}).answers(status); d.Outcome != retry.Again || d.Kind != retry.ServerError {
			t.Errorf("%d is %s, charged to %q", status, d.Outcome, d.Kind)
		}
	}
}
