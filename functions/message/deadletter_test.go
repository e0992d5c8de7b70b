package message_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestTheSummaryOfAFailureHasStatusesAndTypesAndNothingThatTheUpstreamWrote(t *testing.T) {
	attempts := []retry.Attempt{
		{Proxy: "proxy-1", Status: 429, Details: "canary", Why: "canary"},
		{Proxy: "proxy-2", Error: retry.ConnectionTimeout, Details: "canary", MaybeProcessed: true},
		{Proxy: "proxy-3", Status: 503, Why: "canary"},
	}
	response := message.Response{StatusCode: 503, Headers: map[string]string{"x": "canary"}, Body: "canary"}
	e := message.Answer("r", retry.Failed, retry.AttemptsExhausted, response, attempts).StoredAs("answer:e1:3")
	want := &message.Summary{Reason: retry.AttemptsExhausted, Attempts: 3, Answers: []string{"429", "connection_timeout", "503"}, MaybeProcessed: true}
	if difference := cmp.Diff(want, e.Summary); difference != "" {
		t.Errorf("(-want +got):\n%s", difference)
	}
	text, err := message.Marshal(e)
	if err != nil || strings.Contains(string(text), "canary") {
		t.Errorf("the state machine is told %s, error %v", text, err)
	}
}

func TestASummaryStaysShort(t *testing.T) {
	attempts := slices.Repeat([]retry.Attempt{{Status: 500}}, 300)
	attempts[299].Status = 502
	s := message.Failure("r", retry.DeadlineExceeded, attempts).StoredAs("a").Summary
	if s.Attempts != 300 || len(s.Answers) != 20 || s.Answers[19] != "502" {
		t.Errorf("the summary is %+v", s)
	}
}

func TestOnlyWhatSomebodyHasToSeeToHasASummary(t *testing.T) {
	for _, e := range []*message.Envelope{
		message.Answer("r", retry.Succeeded, "", message.Response{StatusCode: 404}, nil),
		message.Failure("r", message.Stopped, nil),
		message.Failure("r", message.Superseded, nil),
	} {
		if got := e.StoredAs("a").Summary; got != nil {
			t.Errorf("%s %s has the summary %+v", e.Outcome, e.Error, got)
		}
	}
	for _, reason := range []retry.Reason{retry.AttemptsExhausted, retry.DeadlineExceeded, retry.UnsafeToRepeat, retry.NotRetryable, message.CredentialsUnavailable, message.AnswerTooLarge} {
		if got := message.Failure("r", reason, nil).StoredAs("a").Summary; got == nil || got.Reason != reason {
			t.Errorf("%s has the summary %+v", reason, got)
		}
	}
}

// The test resolves paths as Step Functions does.
func TestTheBodyOfALetterIsALetter(t *testing.T) {
	body := message.DeadLetterBody()
	values := map[string]any{
		"$$.Execution.Name": "e1-2", "$$.Execution.Input.item": "orders#execution:e1", "$$.Execution.Input.call.requestId": "r",
		"$$.Execution.Input.call.deadline": 5, "$$.State.EnteredTime": "2026-11-29T13:00:01.215Z", "$.summary": message.SummaryOfLosses(),
	}
	sent := map[string]any{}
	for name, value := range body {
		if plain, isPath := strings.CutSuffix(name, ".$"); isPath {
			found, known := values[value.(string)]
			if !known {
				t.Fatalf("%s is %v, which this test does not know", name, value)
			}
			name, value = plain, found
		}
		sent[name] = value
	}
	text, err := json.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	var got message.DeadLetter
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := message.DeadLetter{
		Version: 1, Execution: "e1-2", Item: "orders#execution:e1", RequestID: "r", Deadline: 5, At: "2026-11-29T13:00:01.215Z",
		Summary: message.Summary{Reason: message.ProxiesLost, MaybeProcessed: true},
	}
	if difference := cmp.Diff(want, got); difference != "" {
		t.Errorf("(-want +got):\n%s", difference)
	}
}
