package stack_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Clients of other people, which know nothing of the stack, are run as they are: directly, and through the stack. What each
// of them makes of it stands in the tables below. How it is to be set up for that stands in testdata/clients/clients.mjs.
func TestClientsOfOthersWorkThroughTheStack(t *testing.T) {
	t.Parallel()
	lab := newClientLab(t)
	clients := []string{"stripe", "openai", "anthropic", "octokit", "got", "ky", "axios"}
	for _, client := range clients {
		t.Run(client, func(t *testing.T) {
			ran := lab.run(t, client)
			t.Run("gets the answers that it would get directly", ran.getsTheSameAnswers)
			t.Run("takes problems for errors that have a name and a text", ran.takesProblemsForErrors)
			if _, found := problemsWithoutError[client]; found {
				t.Run("makes something else of a problem without the member error", ran.misreadsProblemsWithoutError)
			}
			t.Run("repeats what the stack gave up unless it obeys advice", ran.repeatsWithItsRetries)
			t.Run("repeats nothing with its retries turned off", ran.repeatsNothingWithoutRetries)
			t.Run("follows links through the stack", ran.followsLinksThroughTheStack)
			t.Run("gets an answer that takes longer than an attempt may", ran.getsLateAnswers)
		})
	}
	t.Logf("the calls of %s were compared, directly and through the stack", strings.Join(clients, ", "))
}

func (ran clientRun) getsTheSameAnswers(t *testing.T) {
	for _, name := range []string{"read", "write", "missing", "unavailable", "unwritten", "limited"} {
		directly, proxied := ran.outcome(t, name, directBase), ran.outcome(t, name, stackBase)
		if directly.Resolved != (name == "read" || name == "write") {
			t.Errorf("%s, directly: %+v", name, directly)
		}
		if difference := cmp.Diff(directly, proxied); difference != "" {
			t.Errorf("%s is not the same through the stack (-directly +through the stack):\n%s", name, difference)
		}
	}
	for _, name := range []string{"read", "write", "missing"} {
		ran.expectCalls(t, name, callCounts{1, 1, 1})
		if sent, arrived := ran.requests(t, name, directBase), ran.requests(t, name, stackBase); !slices.Equal(sent, arrived) {
			t.Errorf("%s: through the stack the upstream gets %+v, want %+v", name, arrived, sent)
		}
	}
}

// problemClasses are the classes of errors that clients make of problems.
var problemClasses = map[string]struct{ tooLarge, longKey, noAnswer string }{
	"stripe":    {"StripeAPIError", "StripeInvalidRequestError", "StripeAPIError"},
	"openai":    {"APIError", "BadRequestError", "InternalServerError"},
	"anthropic": {"ContentTooLargeError", "BadRequestError", "InternalServerError"},
	"octokit":   {"RequestError", "RequestError", "RequestError"},
	"got":       {"HTTPError", "HTTPError", "HTTPError"},
	"ky":        {"HTTPError", "HTTPError", "HTTPError"},
	"axios":     {"AxiosError", "AxiosError", "AxiosError"},
}

func (ran clientRun) takesProblemsForErrors(t *testing.T) {
	classes := problemClasses[ran.client]
	for _, c := range []struct {
		operation, base, class string
		status                 int
		code, text             string
	}{
		{"too-large", stackBase, classes.tooLarge, 413, "request-too-large", "The request is too large: "},
		{"long-key", stackBase, classes.longKey, 400, "idempotency-key-malformed", "Idempotency-Key is malformed: "},
		{"no-answer", downBase, classes.noAnswer, 502, "no-answer", "No attempt reached a final answer: "},
	} {
		got := ran.outcome(t, c.operation, c.base)
		if code, text := got.problem(); got.Resolved || got.Class != c.class || got.Status != c.status || code != c.code || !strings.Contains(text, c.text) {
			t.Errorf("%s: the outcome is %+v, want an error of class %s with status %d, code %s, and the text %q", c.operation, got, c.class, c.status, c.code, c.text)
		}
	}
	for _, name := range []string{"too-large", "long-key"} {
		if got := ran.outcome(t, name, directBase); !got.Resolved {
			t.Errorf("%s, directly: %+v", name, got)
		}
		if n := ran.calls(t, name).through; n != 0 {
			t.Errorf("%s: the request was refused, and the upstream called %d times", name, n)
		}
	}
}

// problemsWithoutError is what clients make of a problem document that has no member error: Stripe's takes it for the thing
// that it asked for, others have no word of it. Clients that are not in the table hand over any document.
var problemsWithoutError = map[string]struct {
	resolves bool
	message  string
}{
	"stripe":  {resolves: true},
	"openai":  {message: "422 status code (no body)"},
	"octokit": {message: "Unknown error"},
}

func (ran clientRun) misreadsProblemsWithoutError(t *testing.T) {
	want := problemsWithoutError[ran.client]
	if got := ran.outcome(t, "unfit", directBase); got.Resolved != want.resolves || got.Message != want.message {
		t.Errorf("the outcome is %+v, want %+v", got, want)
	}
}

// countsOfFailures are the calls for one operation that always fails, by clients with their retries as they are and turned
// off.
var countsOfFailures = []struct {
	client, operation     string
	retrying, notRetrying callCounts
}{
	// These obey Stripe-Should-Retry or X-Should-Retry.
	{"stripe", "unavailable", callCounts{3, 1, 3}, callCounts{1, 1, 3}},
	{"stripe", "unwritten", callCounts{3, 1, 3}, callCounts{1, 1, 3}}, // Stripe's client gives each POST a key
	{"stripe", "limited", callCounts{1, 1, 6}, callCounts{1, 1, 6}},
	{"stripe", "broken", callCounts{3, 1, 3}, callCounts{2, 1, 3}}, // a broken connection is tried again whatever is set
	{"openai", "unavailable", callCounts{3, 1, 3}, callCounts{1, 1, 3}},
	{"openai", "unwritten", callCounts{3, 3, 3}, callCounts{1, 1, 1}}, // without a key the stack repeats no POST, and says nothing against it
	{"openai", "limited", callCounts{3, 1, 6}, callCounts{1, 1, 6}},
	{"openai", "broken", callCounts{3, 1, 3}, callCounts{1, 1, 3}},
	{"anthropic", "unavailable", callCounts{3, 1, 3}, callCounts{1, 1, 3}},
	{"anthropic", "unwritten", callCounts{3, 3, 3}, callCounts{1, 1, 1}},
	{"anthropic", "limited", callCounts{3, 1, 6}, callCounts{1, 1, 6}},
	{"anthropic", "broken", callCounts{3, 1, 3}, callCounts{1, 1, 3}},

	// These do not.
	{"octokit", "unavailable", callCounts{4, 4, 12}, callCounts{1, 1, 3}},
	{"octokit", "unwritten", callCounts{4, 4, 4}, callCounts{1, 1, 1}},
	{"octokit", "limited", callCounts{4, 4, 24}, callCounts{1, 1, 6}},
	{"octokit", "used-up", callCounts{8, 8, 48}, callCounts{1, 1, 6}}, // both of its plugins repeat it
	{"octokit", "broken", callCounts{4, 4, 12}, callCounts{1, 1, 3}},
	{"got", "unavailable", callCounts{3, 3, 9}, callCounts{1, 1, 3}},
	{"got", "unwritten", callCounts{1, 1, 1}, callCounts{1, 1, 1}},
	{"got", "limited", callCounts{3, 3, 18}, callCounts{1, 1, 6}},
	{"got", "broken", callCounts{3, 3, 9}, callCounts{1, 1, 3}},
	{"ky", "unavailable", callCounts{3, 3, 9}, callCounts{1, 1, 3}},
	{"ky", "unwritten", callCounts{1, 1, 1}, callCounts{1, 1, 1}},
	{"ky", "limited", callCounts{3, 3, 18}, callCounts{1, 1, 6}},
	{"ky", "broken", callCounts{3, 3, 9}, callCounts{1, 1, 3}},
	{"axios", "unavailable", callCounts{4, 4, 12}, callCounts{1, 1, 3}},
	{"axios", "unwritten", callCounts{1, 1, 1}, callCounts{1, 1, 1}},
	{"axios", "limited", callCounts{4, 4, 24}, callCounts{1, 1, 6}},
	{"axios", "broken", callCounts{4, 4, 12}, callCounts{1, 1, 3}},
}

func (ran clientRun) repeatsWithItsRetries(t *testing.T) {
	for _, c := range countsOfFailures {
		if c.client == ran.client {
			ran.expectCalls(t, c.operation, c.retrying)
		}
	}
}

func (ran clientRun) repeatsNothingWithoutRetries(t *testing.T) {
	for _, c := range countsOfFailures {
		if c.client == ran.client {
			ran.expectCalls(t, c.operation+unretried, c.notRetrying)
		}
	}
}

func (ran clientRun) followsLinksThroughTheStack(t *testing.T) {
	for name, want := range map[string]callCounts{"redirect": {2, 2, 2}, "pages": {3, 3, 3}} {
		if !operationsOfClients[name].by(ran.client) {
			continue
		}
		directly, proxied := ran.outcome(t, name, directBase), ran.outcome(t, name, stackBase)
		if difference := cmp.Diff(directly, proxied); !directly.Resolved || difference != "" {
			t.Errorf("%s: %+v (-directly +through the stack):\n%s", name, directly, difference)
		}
		ran.expectCalls(t, name, want)
	}
}

func (ran clientRun) getsLateAnswers(t *testing.T) {
	directly, proxied := ran.outcome(t, "late", directBase), ran.outcome(t, "late", impatientBase)
	if difference := cmp.Diff(directly, proxied); !directly.Resolved || difference != "" {
		t.Errorf("a late answer: %+v (-directly +through the stack):\n%s", directly, difference)
	}
	want := 1
	if ran.client == "stripe" { // gives each POST a key, so that it may be repeated
		want = 3
	}
	if n := len(ran.requests(t, "late", impatientBase)); n != want {
		t.Errorf("through the stack the upstream was called %d times, want %d", n, want)
	}
}
