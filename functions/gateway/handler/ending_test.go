package handler

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/logline"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// logPage is the page on which the lines of the log are promised.
const logPage = "../../../docs/logs.md"

// endings are how each problem of the README ends a request, and what counts it, beside Requests.
var endings = map[string]struct {
	end    ending
	counts string
}{
	"invalid-request":                {asRefused, "Refused"},
	"method-not-allowed":             {asRefused, "Refused"},
	"path-not-allowed":               {asRefused, "Refused"},
	"idempotency-key-missing":        {asRefused, "Refused"},
	"idempotency-key-malformed":      {asRefused, "Refused"},
	"idempotency-key-in-use":         {asConflict, "Conflicts"},
	"idempotency-key-reused":         {asConflict, "Conflicts"},
	"idempotency-result-unavailable": {asRefused, "Refused"},
	"idempotency-record-unreadable":  {asRefused, "Refused"},
	"request-too-large":              {asRefused, "Refused"},
	"callback-url-refused":           {asRefused, "Refused"},
	"execution-not-found":            {asRefused, "Refused"},
	"execution-running":              {asRefused, "Refused"},
	"execution-ended":                {asRefused, "Refused"},
	"execution-stopped":              {asRefused, "Refused"},
	"flow-control-queue-full":        {asRefused, "Refused"},

	"no-answer":       {asGivenUp, "UpstreamFailed"},
	"outcome-unknown": {asUnknown, "UpstreamFailed OutcomesUnknown"},
	"circuit-open":    {asGivenUp, "UpstreamFailed"},

	"engine-failed":                    {asUnavailable, "Unavailable"},
	"engine-unavailable":               {asUnavailable, "Unavailable"},
	"idempotency-store-unavailable":    {asUnavailable, "Unavailable"},
	"large-bodies-unavailable":         {asUnavailable, "Unavailable"},
	"loop-detected":                    {asUnavailable, "Unavailable"},
	"proxies-unavailable":              {asUnavailable, "Unavailable"},
	"token-keys-unavailable":           {asUnavailable, "Unavailable"},
	"upstream-credentials-unavailable": {asUnavailable, "Unavailable"},
}

// readmeProblems are the problems that the README promises of the endpoint, with the first status that it names for each.
func readmeProblems(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	problems := map[string]int{}
	for _, part := range regexp.MustCompile(`(?m)^#### `).Split(string(text), -1)[1:] {
		name, rest, _ := strings.Cut(part, "\n")
		if strings.Contains(rest, "and not of the endpoint") {
			continue
		}
		m := regexp.MustCompile(`^Status (\d{3})`).FindStringSubmatch(rest)
		if m == nil {
			problems[name] = 0
			continue
		}
		problems[name], _ = strconv.Atoi(m[1])
	}
	return problems
}

func TestEveryProblemIsCountedOnceAndNoneFrom500OnIsSilent(t *testing.T) {
	t.Parallel()
	problems := readmeProblems(t)
	for name, status := range problems {
		if name == "answer-too-large" { // stands in the place of a body, and changes nothing of how the request ended
			continue
		}
		want, listed := endings[name]
		if !listed {
			t.Errorf("the README has the problem %s, and nobody says how it is counted", name)
			continue
		}
		p := newProblem(name, status, "", "")
		if name == "outcome-unknown" {
			p.processed = processedUnknown
		}
		out := outcome{problem: p}
		counts := strings.Join(out.counts(), " ")
		if status == 0 || out.ending() != want.end || counts != want.counts {
			t.Errorf("%d %s ends the request as %s, counted by %q; want %s and %q", status, name, out.ending(), counts, want.end, want.counts)
		}
		if failures := strings.Count(counts, "UpstreamFailed") + strings.Count(counts, "Unavailable"); (status >= 500) != (failures == 1) {
			t.Errorf("%d %s is counted by %q", status, name, counts)
		}
	}
	for name := range endings {
		if _, promised := problems[name]; !promised {
			t.Errorf("the README does not have the problem %s", name)
		}
	}
}

func TestEveryOtherWayToEndIsCountedAsThePageSays(t *testing.T) {
	t.Parallel()
	answer := func(status int) idempotencyhttp.Response { return idempotencyhttp.Response{StatusCode: status} }
	unsafe := withoutAnswer(502, "POST", true, "")
	late := withoutAnswer(504, "GET", true, "")
	late.late = true
	lateUnknown := timeUp("POST", "")
	engine := engineFailed("POST", "")
	ownUnknown := withoutAnswer(502, "POST", true, "")
	ownUnknown.own = true
	for what, c := range map[string]struct {
		out    outcome
		end    ending
		counts string
	}{
		"a final answer":                    {outcome{response: answer(200), final: true}, asAnswered, ""},
		"a final 404":                       {outcome{response: answer(404), final: true}, asAnswered, ""},
		"a final 501":                       {outcome{response: answer(501), final: true}, asAnswered, ""},
		"the upstream's last answer":        {outcome{response: answer(503)}, asGivenUp, "UpstreamFailed"},
		"its last one is 429":               {outcome{response: answer(429)}, asGivenUp, "UpstreamFailed"},
		"the same, in the deadline":         {outcome{response: answer(503), late: true}, asGivenUp, "UpstreamFailed DeadlinesExceeded"},
		"a replay":                          {outcome{response: answer(200), final: true, as: asReplayed}, asReplayed, "Replays"},
		"a replay of 501":                   {outcome{response: answer(501), final: true, as: asReplayed}, asReplayed, "Replays"},
		"an asynchronous request":           {outcome{response: answer(202), final: true, as: asAccepted}, asAccepted, ""},
		"its status":                        {outcome{response: answer(200), final: true, as: asTold}, asTold, ""},
		"its failure, that was counted":     {outcome{response: answer(503), as: asTold, counted: true}, asTold, ""},
		"its failure as a problem":          {outcome{problem: unsafe, counted: true}, asUnknown, ""},
		"its failure, within the wait":      {outcome{response: answer(503), counted: true}, asGivenUp, ""},
		"the table fails beside it":         {outcome{problem: engineUnavailable("")}, asUnavailable, "Unavailable"},
		"a problem at the deadline":         {outcome{problem: late}, asGivenUp, "UpstreamFailed DeadlinesExceeded"},
		"so, and it may have been done":     {outcome{problem: lateUnknown}, asUnknown, "UpstreamFailed DeadlinesExceeded OutcomesUnknown"},
		"the engine fails in the middle":    {outcome{problem: engine}, asUnknown, "Unavailable OutcomesUnknown"},
		"an answer that was lost here":      {outcome{problem: ownUnknown}, asUnknown, "Unavailable OutcomesUnknown"},
		"stopped, and perhaps carried out":  {outcome{problem: executionStopped(true)}, asRefused, "Refused"},
		"a final answer without its body":   {outcome{response: answer(200), final: true, bodiless: newProblem("answer-too-large", 200, "", "")}, asAnswered, ""},
		"a last answer without its body":    {outcome{response: answer(503), bodiless: newProblem("answer-too-large", 503, "", "")}, asGivenUp, "UpstreamFailed"},
		"a circuit that is open":            {outcome{problem: newProblem("circuit-open", 503, "", "")}, asGivenUp, "UpstreamFailed"},
		"a problem of which nobody told us": {outcome{problem: newProblem("new", 500, "", "")}, asGivenUp, "UpstreamFailed"},
	} {
		if counts := strings.Join(c.out.counts(), " "); c.out.ending() != c.end || counts != c.counts {
			t.Errorf("%s: it ends as %s, counted by %q; want %s and %q", what, c.out.ending(), counts, c.end, c.counts)
		}
	}

	var words []ending
	for _, row := range logline.ReadPage(t, logPage).Rows(t, "Outcomes") {
		words = append(words, ending(row[0]))
	}
	if want := []ending{asAnswered, asReplayed, asAccepted, asTold, asConflict, asRefused, asGivenUp, asUnavailable, asUnknown}; !slices.Equal(words, want) {
		t.Errorf("the page has the outcomes %q, want %q", words, want)
	}
}

// A proxy counts an asynchronous request that ends as the gateway counts one whose caller waits.
func TestWhereThereIsAnEnvelopeGatewayAndProxiesCountTheSame(t *testing.T) {
	t.Parallel()
	failed := func(reason retry.Reason, attempts ...retry.Attempt) *message.Envelope {
		return message.Failure("r", reason, attempts)
	}
	refusedConnection := retry.Attempt{Proxy: "proxy-1", Start: 1, Error: retry.ConnectionRefused, Kind: retry.NetworkFailure}
	cutOff := retry.Attempt{Proxy: "proxy-1", Start: 1, Error: retry.ConnectionTerminated, Kind: retry.NetworkFailure, MaybeProcessed: true}
	throttled := retry.Attempt{Proxy: "proxy-1", Error: retry.ProxyInternalError, Details: "Lambda.TooManyRequestsException"}
	last := message.Answer("r", retry.Failed, retry.AttemptsExhausted, message.Response{StatusCode: 503}, []retry.Attempt{{Proxy: "proxy-1", Status: 503, MaybeProcessed: true}})
	atDeadline := message.Answer("r", retry.Failed, retry.DeadlineExceeded, message.Response{StatusCode: 429}, []retry.Attempt{{Proxy: "proxy-1", Status: 429}})
	final := message.Answer("r", retry.Succeeded, "", message.Response{StatusCode: 501}, []retry.Attempt{{Proxy: "proxy-1", Status: 501}})
	lost := message.Answer("r", retry.Succeeded, message.AnswerNotKept, message.Response{}, []retry.Attempt{{Proxy: "proxy-1", Status: 200}})
	large := message.Answer("r", retry.Succeeded, message.AnswerTooLarge, message.Response{}, []retry.Attempt{{Proxy: "proxy-1", Status: 200}})
	for what, c := range map[string]struct {
		envelope  *message.Envelope
		get, post string
	}{
		"final":                   {final, "", ""},
		"the last answer":         {last, "UpstreamFailed", "UpstreamFailed"},
		"the last, at the end":    {atDeadline, "UpstreamFailed DeadlinesExceeded", "UpstreamFailed DeadlinesExceeded"},
		"attempts are used up":    {failed(retry.AttemptsExhausted, refusedConnection), "UpstreamFailed", "UpstreamFailed"},
		"cut off":                 {failed(retry.UnsafeToRepeat, cutOff), "UpstreamFailed", "UpstreamFailed OutcomesUnknown"},
		"cut off at the deadline": {failed(retry.DeadlineExceeded, cutOff), "UpstreamFailed DeadlinesExceeded", "UpstreamFailed DeadlinesExceeded OutcomesUnknown"},
		"no time for any":         {failed(retry.DeadlineExceeded), "UpstreamFailed DeadlinesExceeded", "UpstreamFailed DeadlinesExceeded"},
		"no credential":           {failed(message.CredentialsUnavailable, refusedConnection), "Unavailable", "Unavailable"},
		"none for the second":     {failed(message.CredentialsUnavailable, cutOff), "Unavailable", "Unavailable OutcomesUnknown"},
		"no room for a proxy":     {failed(retry.AttemptsExhausted, throttled, throttled), "Unavailable", "Unavailable"},
		"an answer that was lost": {lost, "Unavailable", "Unavailable OutcomesUnknown"},
		"an answer too large":     {large, "UpstreamFailed", "UpstreamFailed OutcomesUnknown"},
	} {
		for method, want := range map[string]string{http.MethodGet: c.get, http.MethodPost: c.post} {
			b := newBench(t, nil)
			if got := strings.Join(b.answered(c.envelope, method).counts(), " "); got != want {
				t.Errorf("%s of a %s: the gateway counts %q, want %q", what, method, got, want)
			}
			if got := strings.Join(c.envelope.FailureMetrics(method), " "); got != want {
				t.Errorf("%s of a %s: the proxy counts %q, want %q", what, method, got, want)
			}
		}
	}
	for _, reason := range []retry.Reason{message.Superseded, message.Stopped} {
		if counts := failed(reason, cutOff).FailureMetrics("POST"); counts != nil {
			t.Errorf("%s is counted by %q, and is nobody's failure", reason, counts)
		}
	}
}
