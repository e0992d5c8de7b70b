package handler

import (
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// Attack M1 and M12: the status is that of the last attempt, and the type says what a program has to know.
func TestAProblemIsToldByTheLastAttempt(t *testing.T) {
	refused := retry.Attempt{Proxy: "proxy-1", Start: 1, Error: retry.ConnectionRefused}
	silent := retry.Attempt{Proxy: "proxy-2", Start: 1, Error: retry.ConnectionReadTimeout, MaybeProcessed: true}
	reset := retry.Attempt{Proxy: "proxy-2", Start: 1, Error: retry.ConnectionTerminated, MaybeProcessed: true}
	unavailable := retry.Attempt{Proxy: "proxy-2", Start: 1, Status: 503, MaybeProcessed: true}
	for _, c := range []struct {
		when      string
		method    string
		reason    retry.Reason
		attempts  []retry.Attempt
		status    int
		name      string
		processed string
	}{
		{"a timeout was the last, GET", "GET", retry.AttemptsExhausted, []retry.Attempt{refused, silent}, 504, "no-answer", "no"},
		{"a timeout was the last, POST", "POST", retry.UnsafeToRepeat, []retry.Attempt{silent}, 504, "outcome-unknown", "unknown"},
		{"a refusal was the last", "POST", retry.AttemptsExhausted, []retry.Attempt{refused, refused}, 502, "no-answer", "no"},
		{"a refusal was the last, after a reset", "PUT", retry.AttemptsExhausted, []retry.Attempt{reset, refused}, 502, "outcome-unknown", "unknown"},
		{"a refusal was the last, after a 503", "PUT", retry.AttemptsExhausted, []retry.Attempt{unavailable, refused}, 502, "outcome-unknown", "unknown"},
		{"a reset was the last", "DELETE", retry.AttemptsExhausted, []retry.Attempt{reset}, 502, "outcome-unknown", "unknown"},
		{"a reset was the last, with a safe method", "REPORT", retry.AttemptsExhausted, []retry.Attempt{reset}, 502, "no-answer", "no"},
		{"the deadline came after a refusal", "POST", retry.DeadlineExceeded, []retry.Attempt{refused}, 504, "no-answer", "no"},
		{"the deadline came before everything", "POST", retry.DeadlineExceeded, nil, 504, "no-answer", "no"},
	} {
		for _, timeout := range []retry.ErrorType{
			retry.DNSTimeout, retry.ConnectionTimeout, retry.ConnectionReadTimeout, retry.ConnectionWriteTimeout, retry.HTTPResponseTimeout,
		} {
			attempts := append([]retry.Attempt(nil), c.attempts...)
			if n := len(attempts); n > 0 && attempts[n-1].Error == retry.ConnectionReadTimeout {
				attempts[n-1].Error = timeout
			}
			b := newBench(t, ends(message.Failure("request-1", c.reason, attempts)))
			if d := wantProblem(t, b.send(t, request(c.method, "/")), c.status, c.name); d.Processed != c.processed {
				t.Errorf("%s: processed is %q, want %q", c.when, d.Processed, c.processed)
			}
		}
	}
}

func TestAProxyThatTookTooLongIsATimeout(t *testing.T) {
	for lost, status := range map[string]int{"States.Timeout": 504, "Sandbox.Timedout": 504, "Runtime.ExitError": 502} {
		attempts := []retry.Attempt{{Proxy: "proxy-1", Error: retry.ProxyInternalError, Details: lost, MaybeProcessed: true}}
		b := newBench(t, ends(message.Failure("request-1", retry.UnsafeToRepeat, attempts)))
		wantProblem(t, b.send(t, request("POST", "/")), status, "outcome-unknown")
	}
}

func TestWhatWasNotSentIsToldAsNotProcessed(t *testing.T) {
	never := []retry.Attempt{{Proxy: "proxy-1", Error: retry.ProxyInternalError, Details: "Lambda.TooManyRequestsException"}}
	b := newBench(t, ends(message.Failure("request-1", retry.AttemptsExhausted, never)))
	response := b.send(t, request("POST", "/"))
	if d := wantProblem(t, response, 503, "proxies-unavailable"); d.Processed != "no" {
		t.Errorf("processed is %q", d.Processed)
	}
	if response.Headers["x-should-retry"] != "" || response.Headers["retry-after"] != "5" {
		t.Errorf("whoever is asked to come again has the fields %v", response.Headers)
	}
}

func TestWithoutACredentialForTheUpstreamTheRequestCanBeSentAgain(t *testing.T) {
	none := retry.Attempt{Proxy: "proxy-2", Start: 1, Error: retry.ProxyConfigurationError, Details: "it is empty"}
	limited := retry.Attempt{Proxy: "proxy-1", Start: 1, Status: 429, Kind: retry.RateLimit}
	reset := retry.Attempt{Proxy: "proxy-1", Start: 1, Error: retry.ConnectionTerminated, MaybeProcessed: true}
	for _, c := range []struct {
		when      string
		method    string
		before    []retry.Attempt
		status    int
		name      string
		processed string
	}{
		{"at once", "POST", nil, 503, "upstream-credentials-unavailable", "no"},
		{"after a rate limit", "POST", []retry.Attempt{limited}, 503, "upstream-credentials-unavailable", "no"},
		{"after a reset, with a safe method", "GET", []retry.Attempt{reset}, 503, "upstream-credentials-unavailable", "no"},
		{"after a reset", "PUT", []retry.Attempt{reset}, 502, "outcome-unknown", "unknown"},
	} {
		b := newBench(t, ends(message.Failure("request-1", message.CredentialsUnavailable, append(c.before, none))))
		response := b.send(t, request(c.method, "/"))
		d := wantProblem(t, response, c.status, c.name)
		if d.Processed != c.processed || len(d.Attempts) != len(c.before)+1 {
			t.Errorf("%s: processed is %q after %d attempts", c.when, d.Processed, len(d.Attempts))
		}
		again := map[int]string{503: "5", 502: ""}[c.status]
		if response.Headers["retry-after"] != again || (response.Headers["x-should-retry"] == "") != (c.status == 503) {
			t.Errorf("%s: the fields are %v", c.when, response.Headers)
		}
	}
}

func TestAProblemIsPlainJSONForWhomWantsJSONAndHasNotHeardOfProblems(t *testing.T) {
	for accept, want := range map[string]string{
		"":                                  "application/problem+json",
		"*/*":                               "application/problem+json",
		"text/html, */*;q=0.1":              "application/problem+json",
		"application/problem+json":          "application/problem+json",
		"application/json":                  "application/json",
		"Application/JSON; charset=utf-8":   "application/json",
		"application/json, text/plain, */*": "application/json",
		"application/json;q=0, */*":         "application/problem+json",
		"application/vnd.github.v3+json":    "application/json",
		"application/problem+json, application/json":      "application/problem+json",
		"application/json,application/problem+json;q=0.5": "application/problem+json",
		"nonsense;;;,application/json":                    "application/json",
	} {
		b := newBench(t, ends(ok))
		response := b.send(t, request("GET", "/a/../b", "accept", accept))
		if got := response.Headers["content-type"]; got != want || response.StatusCode != 400 {
			t.Errorf("Accept: %s: the problem is %s, want %s", accept, got, want)
		}
	}
}

// Two layers of retries multiply: whoever looks for it is told that this was done.
func TestWhatWasGivenUpSaysWhenToComeAgainAndThatRetryingIsDone(t *testing.T) {
	answer := message.Response{StatusCode: 503, Headers: map[string]string{}}
	soon := noon.Add(1200 * time.Millisecond).UnixMilli()
	told := retry.Attempt{Proxy: "proxy-1", Status: 503, NotBefore: soon}
	untold := retry.Attempt{Proxy: "proxy-1", Status: 503}
	for _, c := range []struct {
		name       string
		envelope   *message.Envelope
		omit       bool
		retryAfter string
		retry      string
	}{
		{"the last answer", &message.Envelope{Outcome: retry.Failed, Response: answer, NotBefore: soon, Attempts: []retry.Attempt{untold}}, false, "2", "false"},
		{"the last answer, as told", &message.Envelope{Outcome: retry.Failed, Response: answer, NotBefore: soon, Attempts: []retry.Attempt{told}}, false, "2", "false"},
		{"a problem", &message.Envelope{Outcome: retry.Failed, NotBefore: soon, Attempts: []retry.Attempt{untold}}, false, "2", "false"},
		{"a problem without a time", &message.Envelope{Outcome: retry.Failed, Attempts: []retry.Attempt{untold}}, false, "", "false"},
		{"an answer that is not safe to ask for again", &message.Envelope{
			Outcome: retry.Failed, Error: retry.UnsafeToRepeat, Response: answer, NotBefore: soon, Attempts: []retry.Attempt{untold},
		}, false, "", ""},
		{"the same, as told", &message.Envelope{
			Outcome: retry.Failed, Error: retry.UnsafeToRepeat, Response: answer, NotBefore: soon, Attempts: []retry.Attempt{told},
		}, false, "2", ""},
		{"a problem that is not safe to repeat", &message.Envelope{
			Outcome: retry.Failed, Error: retry.UnsafeToRepeat, NotBefore: soon, Attempts: []retry.Attempt{untold},
		}, false, "", "false"},
		{"a final answer", &message.Envelope{Outcome: retry.Succeeded, Response: answer, Attempts: []retry.Attempt{untold}}, false, "", ""},
		{"without advice, the last answer", &message.Envelope{Outcome: retry.Failed, Response: answer, NotBefore: soon, Attempts: []retry.Attempt{untold}}, true, "", ""},
		{"without advice, the last answer, as told", &message.Envelope{Outcome: retry.Failed, Response: answer, NotBefore: soon, Attempts: []retry.Attempt{told}}, true, "2", ""},
		{"without advice, a problem", &message.Envelope{Outcome: retry.Failed, NotBefore: soon, Attempts: []retry.Attempt{told}}, true, "2", ""},
	} {
		b := newBench(t, ends(c.envelope))
		b.omitRetryAdvice = c.omit
		headers := b.send(t, request("GET", "/")).Headers
		if headers["retry-after"] != c.retryAfter || headers["x-should-retry"] != c.retry || headers["stripe-should-retry"] != c.retry {
			t.Errorf("%s has the fields %v", c.name, headers)
		}
	}
}

func TestWhatTheUpstreamSaysAboutRetryingStands(t *testing.T) {
	b := newBench(t, ends(&message.Envelope{
		Outcome: retry.Failed, Response: message.Response{StatusCode: 503, Headers: map[string]string{"x-should-retry": "true"}},
	}))
	headers := b.send(t, request("GET", "/")).Headers
	if headers["x-should-retry"] != "true" || headers["stripe-should-retry"] != "false" {
		t.Errorf("the fields are %v", headers)
	}
}
