package envelope_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/envelope"
)

func TestWhatIsAheadIsNotAmongTheAttemptsThatWereMade(t *testing.T) {
	const list = `"attempts": [{"proxy": "proxy-1", "status": 429}, {"proxy": "proxy-2"}, {"proxy": "proxy-3"}]`
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"it leads to nobody":                 {`{"outcome": "failed", ` + list + `}`, []string{"proxy-1", "proxy-2", "proxy-3"}},
		"it leads to a proxy":                {`{"outcome": "retry", "answer": {"outcome": "failed", ` + list + `}}`, []string{"proxy-1", "proxy-2"}},
		"it leads to one and another":        {`{"outcome": "retry", "answer": {"outcome": "retry", "answer": {"outcome": "failed", ` + list + `}}}`, []string{"proxy-1"}},
		"it leads to more than it lists":     {`{"outcome": "retry", "answer": {"outcome": "failed", "attempts": []}}`, nil},
		"it leads to a proxy, and says less": {`{"outcome": "retry", ` + list + `}`, []string{"proxy-1", "proxy-2", "proxy-3"}},
		"it is no envelope":                  {`"text"`, nil},
		"it is nothing":                      {`null`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, attempt := range envelope.Read(c.text).Made() {
				got = append(got, attempt.Proxy)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("the attempts are not what was expected (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHowAProxyWasLostIsToldWithItsAttempt(t *testing.T) {
	e := envelope.Answered(`{"answer": {"outcome": "failed", "fault": {"Error": "Sandbox.Timedout"}, "attempts": [{"proxy": "proxy-1", "status": 503}, {"proxy": "proxy-2", "details": "no answer"}]}}`)
	want := []envelope.Attempt{{Proxy: "proxy-1", Status: 503}, {Proxy: "proxy-2", Details: "Sandbox.Timedout"}}
	if diff := cmp.Diff(want, e.Made()); diff != "" {
		t.Errorf("the attempts are not what was expected (-want +got):\n%s", diff)
	}
}

func TestTheRequestStandsInTheInnermostEnvelopeThatLeadsToAProxy(t *testing.T) {
	method, path, ok := envelope.Read(`{"answer": {"answer": {"call": {"request": {"method": "PUT", "path": "/orders/7"}}}}}`).Request()
	if method != "PUT" || path != "/orders/7" || !ok {
		t.Errorf("it is %s %s, %t", method, path, ok)
	}
	if _, _, ok := envelope.Read(`{"statusCode": 200}`).Request(); ok {
		t.Error("an answer has a request")
	}
}

func TestTheResultOfAnExecutionIsItsLastStatusAndWhyItFailed(t *testing.T) {
	for name, c := range map[string]struct {
		execution stepfunctions.Execution
		status    int
		failure   string
	}{
		"it succeeded":       {stepfunctions.Execution{Status: asl.Succeeded, Output: `{"statusCode": 404}`}, 404, ""},
		"it failed":          {stepfunctions.Execution{Status: asl.Failed, Error: "AttemptsExhausted", Cause: `{"statusCode": 503}`}, 503, "AttemptsExhausted"},
		"it had no answer":   {stepfunctions.Execution{Status: asl.Failed, Error: "DeadlineExceeded", Cause: `{}`}, 0, "DeadlineExceeded"},
		"it broke":           {stepfunctions.Execution{Status: asl.Failed, Error: "States.Runtime", Cause: "a path leads nowhere"}, 0, "States.Runtime"},
		"it took too long":   {stepfunctions.Execution{Status: asl.TimedOut, Error: "States.Timeout"}, 0, "States.Timeout"},
		"somebody ended it":  {stepfunctions.Execution{Status: asl.Aborted}, 0, "ABORTED"},
		"its output is text": {stepfunctions.Execution{Status: asl.Succeeded, Output: `"done"`}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if status, failure := envelope.Result(c.execution); status != c.status || failure != c.failure {
				t.Errorf("it is %d, %q, want %d, %q", status, failure, c.status, c.failure)
			}
		})
	}
}

func TestTheResultOfAnAttemptIsItsStatusItsFailureOrBoth(t *testing.T) {
	for want, attempt := range map[string]envelope.Attempt{
		"503":                         {Status: 503},
		"connection_refused":          {Error: "connection_refused"},
		"200 http_response_too_large": {Status: 200, Error: "http_response_too_large"},
	} {
		if got := attempt.Result(); got != want {
			t.Errorf("it is %q, want %q", got, want)
		}
	}
}

// Anybody can start an execution with any input, and a proxy can answer anything.
func FuzzRead(f *testing.F) {
	f.Add(`{"outcome":"retry","call":null,"answer":{"outcome":"failed","attempts":[{"proxy":"proxy-1"}],"fault":{"Error":"x"}}}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, e := range []*envelope.Envelope{envelope.Read(text), envelope.Answered(text), envelope.Answered(`{"answer":` + text + `}`)} {
			e.Made()
			e.Request()
		}
		envelope.Result(stepfunctions.Execution{Status: asl.Succeeded, Output: text})
	})
}
