package retry_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestTheZeroPolicyIsTheDefaultAndIsValid(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(retry.Default(), retry.Policy{}.WithDefaults()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(retry.Default(), retry.Default().WithDefaults()); diff != "" {
		t.Errorf("filling in a second time changes something: %s", diff)
	}
	for _, p := range []retry.Policy{{}, retry.Default()} {
		if err := p.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestTheDefaultsAreThoseOfTheDesign(t *testing.T) {
	t.Parallel()
	budget := func(attempts int) retry.Budget {
		return retry.Budget{Attempts: attempts, Base: time.Second, Max: 30 * time.Second, Jitter: retry.FullJitter}
	}
	want := retry.Policy{
		RateLimits:      budget(6),
		ServerErrors:    budget(3),
		NetworkFailures: budget(3),
		RetryAfterMax:   15 * time.Minute,
		Scope:           retry.Inferred,
		Statuses:        map[int]retry.Verdict{},
		RepeatableMethods: []string{
			"GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "QUERY", "REPORT", "SEARCH", "PUT", "DELETE",
		},
		AttemptTimeout: 10 * time.Second,
		Deadline:       60 * time.Second,
		MaxDeadline:    290 * time.Second,
	}
	if diff := cmp.Diff(want, retry.Default()); diff != "" {
		t.Error(diff)
	}
}

func TestAllProblemsOfAPolicyAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	err := retry.Policy{
		RateLimits:        retry.Budget{Attempts: -1, Base: -time.Second},
		ServerErrors:      retry.Budget{Attempts: 101, Base: time.Minute},
		NetworkFailures:   retry.Budget{Max: -1, Jitter: "some"},
		RetryAfterMax:     -1,
		Scope:             "per-planet",
		Statuses:          map[int]retry.Verdict{100: retry.Final, 503: "maybe"},
		RepeatableMethods: []string{"post"},
		AttemptTimeout:    -1,
		Deadline:          10 * time.Minute,
		MaxDeadline:       5 * time.Minute,
	}.Validate()
	if err == nil {
		t.Fatal("the policy is valid")
	}
	for _, want := range []string{
		"RateLimits.Attempts is -1", "RateLimits.Base is -1s", "ServerErrors.Attempts is 101: give 1 to 100",
		"ServerErrors.Max is 30s, less than ServerErrors.Base, which is 1m0s", "NetworkFailures.Max is -1ns",
		`NetworkFailures.Jitter is "some": give "full", "equal", "decorrelated" or "none"`, "RetryAfterMax is -1ns",
		`Scope is "per-planet": give "per-address", "per-account" or "inferred"`, "Statuses has 100: give statuses from 200 to 599",
		`Statuses[503] is "maybe"`, `RepeatableMethods has "post"`, "AttemptTimeout is -1ns", "Deadline is 10m0s, more than MaxDeadline, which is 5m0s",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message does not say %q", want)
		}
	}
	if lines := strings.Count(err.Error(), "\n") + 1; lines != 13 {
		t.Errorf("%d problems, want 13:\n%v", lines, err)
	}
	err = retry.Policy{Deadline: -1, MaxDeadline: -1}.Validate()
	if err == nil || !strings.Contains(err.Error(), "Deadline is -1ns") || !strings.Contains(err.Error(), "MaxDeadline is -1ns") {
		t.Errorf("got %v", err)
	}
}

func TestAPolicyIsReadableAsJSON(t *testing.T) {
	t.Parallel()
	text := `{"rateLimits":{"attempts":4,"max":"1m30s"},"scope":"per-account","statuses":{"404":"server-error"},"repeatableMethods":[],"deadline":"45s"}`
	var p retry.Policy
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	want := retry.Policy{
		RateLimits:        retry.Budget{Attempts: 4, Max: 90 * time.Second},
		Scope:             retry.PerAccount,
		Statuses:          map[int]retry.Verdict{404: retry.Erroneous},
		RepeatableMethods: []string{},
		Deadline:          45 * time.Second,
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
	if again, err := json.Marshal(p); err != nil || string(again) != text {
		t.Errorf("written again as %s, %v\nwant %s", again, err, text)
	}
	if zero, err := json.Marshal(retry.Policy{}); err != nil || string(zero) != "{}" {
		t.Errorf("the zero policy is written as %s, %v", zero, err)
	}
}

func TestWhatIsTheDefaultIsLeftOutOfTheJSON(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(retry.Policy{
		Statuses:          map[int]retry.Verdict{},
		RepeatableMethods: []string{"GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "QUERY", "REPORT", "SEARCH", "PUT", "DELETE"},
	})
	if err != nil || string(text) != "{}" {
		t.Errorf("the default methods and no rules are written as %s, %v", text, err)
	}
	text, err = json.Marshal(retry.Default())
	if err != nil || strings.Contains(string(text), "statuses") || strings.Contains(string(text), "repeatableMethods") {
		t.Errorf("the default is written as %s, %v", text, err)
	}
	var read retry.Policy
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(retry.Default(), read.WithDefaults()); diff != "" {
		t.Errorf("the default, written and read: %s", diff)
	}
	for want, methods := range map[string][]string{`{"repeatableMethods":[]}`: {}, `{"repeatableMethods":["GET"]}`: {"GET"}} {
		if text, err := json.Marshal(retry.Policy{RepeatableMethods: methods}); err != nil || string(text) != want {
			t.Errorf("%q is written as %s, %v", methods, text, err)
		}
	}
}

func TestAPolicyInJSONIsReadStrictly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"deadlines":"1s"}`:              `unknown field "deadlines"`,
		`{"rateLimits":{"atempts":3}}`:    `unknown field "atempts"`,
		`{"deadline":"60"}`:               `"60" is not a duration: write one as "1m30s"`,
		`{"deadline":60}`:                 "deadline",
		`{"serverErrors":{"base":"1 s"}}`: `"1 s" is not a duration`,
		`[]`:                              "array",
	} {
		var p retry.Policy
		if err := json.Unmarshal([]byte(text), &p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error that says %s", text, err, want)
		}
	}
}

func TestJudgingDoesNotChangeThePolicy(t *testing.T) {
	t.Parallel()
	policy := retry.Policy{Statuses: map[int]retry.Verdict{404: retry.Erroneous}}
	get(t, policy).answers(http.StatusNotFound)
	filled := policy.WithDefaults()
	filled.Statuses[200] = retry.Erroneous
	filled.RepeatableMethods[0] = "POST"
	if len(policy.Statuses) != 1 || retry.Default().RepeatableMethods[0] != "GET" || retry.Default().Statuses[200] != "" {
		t.Error("a policy shares memory with its defaults")
	}
}
