package retry_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

const routes = `{
	"serverErrors": {"attempts": 4, "base": "2s"}, "deadline": "90s", "statuses": {"404": "server-error"},
	"signals": [{"name": "shared", "statuses": [418], "verdict": "rate-limit"}, {"name": "own", "statuses": [419], "verdict": "rate-limit"}],
	"routes": [
		{"methods": ["GET"], "path": "/search", "attemptTimeout": "2s", "deadline": "5s", "serverErrors": {"attempts": 2},
			"signals": [{"name": "own", "statuses": [419], "verdict": "final"}]},
		{"path": "/reports/", "attemptTimeout": "60s", "scope": "per-account"},
		{"methods": ["POST"], "retryAfterMax": "1s"}
	]}`

func TestTheFirstRouteOfARequestSaysWhatDiffers(t *testing.T) {
	t.Parallel()
	p := policyOf(t, routes)
	search := p.For("GET", "/search/deep")
	if search.AttemptTimeout != 2*time.Second || search.Deadline != 5*time.Second || search.ServerErrors.Attempts != 2 {
		t.Errorf("what differs is not in %+v", search)
	}
	if search.ServerErrors.Base != 2*time.Second || search.Statuses[404] != retry.Erroneous {
		t.Errorf("what does not differ is not in %+v", search)
	}
	if names := ruleNames(search); !slices.Equal(names, []string{"own", "shared"}) || search.Signals[0].Verdict != retry.Final {
		t.Errorf("the rules are %v, want the route's first, in the place of one of the same name", names)
	}
	for _, c := range []struct {
		method, path string
		timeout      time.Duration
		max          time.Duration
	}{
		{"POST", "/search", 0, time.Second},
		{"GET", "/searching", 0, 0},
		{"GET", "/reports/7", time.Minute, 0},
		{"POST", "/reports/7", time.Minute, 0},
		{"GET", "/reports", 0, 0},
		{"PUT", "/", 0, 0},
	} {
		if got := p.For(c.method, c.path); got.AttemptTimeout != c.timeout || got.RetryAfterMax != c.max || got.Routes != nil {
			t.Errorf("%s %s: %+v", c.method, c.path, got)
		}
	}
	if each := p.Each(); len(each) != 4 || each[0].Deadline != 90*time.Second || each[1].Deadline != 5*time.Second {
		t.Errorf("the policies are %+v", each)
	}
}

func ruleNames(p retry.Policy) []string {
	var names []string
	for _, r := range p.Signals {
		names = append(names, r.Name)
	}
	return names
}

func TestDecisionsAndTimeoutsGoByTheRoute(t *testing.T) {
	t.Parallel()
	p := policyOf(t, routes)
	history := []retry.Attempt{{Kind: retry.ServerError}}
	search := retry.Request{Method: "GET", Path: "/search", Proxies: 3, Deadline: noon.Add(time.Hour)}
	report := retry.Request{Method: "GET", Path: "/reports/7", Proxies: 3, Deadline: noon.Add(time.Hour)}
	if d := p.Next(search, history, answered(500, ""), lowest); d.Reason != retry.AttemptsExhausted {
		t.Errorf("the second of two attempts is followed by %s (%s)", d.Outcome, d.Why)
	}
	if d := p.Next(report, history, answered(500, ""), lowest); d.Outcome != retry.Again {
		t.Errorf("the second of four attempts is followed by %s (%s)", d.Outcome, d.Why)
	}
	if _, whole := p.Timeouts(search, nil, noon); whole != 2*time.Second {
		t.Errorf("a search may take %v", whole)
	}
	if _, whole := p.Timeouts(report, nil, noon); whole != time.Minute {
		t.Errorf("a report may take %v", whole)
	}
}

func TestTheUsersWordWinsOverAPreset(t *testing.T) {
	t.Parallel()
	preset := policyOf(t, `{"scope": "per-account", "rateLimits": {"attempts": 4, "base": "8s"}, "deadline": "2m",
		"statuses": {"503": "rate-limit", "500": "final"}, "signals": [{"name": "a", "verdict": "final"}, {"name": "b", "verdict": "final"}]}`)
	user := policyOf(t, `{"rateLimits": {"attempts": 2}, "statuses": {"500": "rate-limit"}, "signals": [{"name": "b", "verdict": "rate-limit"}, {"name": "c", "verdict": "final"}]}`)
	p := user.Over(preset)
	if p.Scope != retry.PerAccount || p.RateLimits != (retry.Budget{Attempts: 2, Base: 8 * time.Second}) || p.Deadline != 2*time.Minute {
		t.Errorf("%+v", p)
	}
	if p.Statuses[503] != retry.Limited || p.Statuses[500] != retry.Limited {
		t.Errorf("the statuses are %v", p.Statuses)
	}
	if names := ruleNames(p); strings.Join(names, " ") != "b c a" || p.Signals[0].Verdict != retry.Limited {
		t.Errorf("the rules are %v", names)
	}
	if len(user.Statuses) != 1 || len(user.Signals) != 2 || preset.Statuses[500] != retry.Final {
		t.Error("one of the two policies was changed")
	}
}

func TestEveryFaultOfARouteIsNamedOnce(t *testing.T) {
	t.Parallel()
	p := retry.Policy{
		RetryAfterMax: -1,
		Routes: []retry.Route{
			{Path: "search", Methods: []string{"get"}, Policy: retry.Policy{Deadline: time.Hour}},
			{Policy: retry.Policy{Routes: []retry.Route{{Path: "/"}}}},
		},
	}
	err := p.Validate()
	if err == nil {
		t.Fatal("no fault is found")
	}
	for _, want := range []string{
		`Routes[0].Methods has "get"`,
		`Routes[0].Path is "search": begin it with a slash`,
		`Routes[0].Policy.Deadline is 1h0m0s, more than MaxDeadline, which is 4m50s`,
		`Routes[1].Path and Methods are empty`,
		`Routes[1].Policy has routes of its own`,
	} {
		if !strings.Contains(err.Error(), "retry: "+want) {
			t.Errorf("the message does not say %q:\n%v", want, err)
		}
	}
	if n := strings.Count(err.Error(), "RetryAfterMax"); n != 1 {
		t.Errorf("what is wrong with the policy itself is named %d times:\n%v", n, err)
	}
}
