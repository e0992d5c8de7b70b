package handler

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// lines are the lines of a log.
func lines(t *testing.T, b *bench) (all []map[string]any) {
	t.Helper()
	for decoder := json.NewDecoder(strings.NewReader(b.logs.String())); decoder.More(); {
		line := map[string]any{}
		if err := decoder.Decode(&line); err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
	}
	return all
}

func TestEveryLineOfTheLogNamesTheRequest(t *testing.T) {
	fails := &fakeEngine{end: func(*message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
		return nil, errors.New("connection reset")
	}}
	for name, b := range map[string]*bench{"it is answered": newBench(t, ends(ok)), "Step Functions fails": newBench(t, fails)} {
		b.send(t, request("GET", "/"))
		for _, line := range lines(t, b) {
			if line["requestId"] != "request-1" {
				t.Errorf("%s: a line of the log is %v", name, line)
			}
		}
	}
	b := newBench(t, ends(ok))
	b.failing(t)
	b.send(t, keyed("k", "one"))
	if all := lines(t, b); len(all) != 2 || all[0]["requestId"] != "request-1" {
		t.Errorf("the log is %v, want two lines that name the request", all)
	}
}

func TestALineTellsHowMuchItMatters(t *testing.T) {
	upstreams := message.Answer("request-1", retry.Failed, retry.AttemptsExhausted, message.Response{StatusCode: 503}, []retry.Attempt{{Proxy: "proxy-1", Status: 503}})
	ours := message.Failure("request-1", retry.AttemptsExhausted, []retry.Attempt{{Proxy: "proxy-1", Error: retry.ConnectionRefused}})
	missing := message.Answer("request-1", retry.Succeeded, "", message.Response{StatusCode: 404}, []retry.Attempt{{Proxy: "proxy-1", Status: 404}})
	for _, c := range []struct {
		end  *message.Envelope
		want slog.Level
	}{{ok, slog.LevelInfo}, {missing, slog.LevelInfo}, {upstreams, slog.LevelWarn}, {ours, slog.LevelError}} {
		b := newBench(t, ends(c.end))
		response := b.send(t, request("GET", "/"))
		all := lines(t, b)
		if got := all[len(all)-1]["level"]; got != c.want.String() {
			t.Errorf("%d is told with level %v, want %v", response.StatusCode, got, c.want)
		}
	}
}

func TestARequestWithoutAnInvocationGetsAUUID(t *testing.T) {
	one, other := requestID(withRequestID(context.Background())), requestID(withRequestID(context.Background()))
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(one) || one == other {
		t.Errorf("the ids are %q and %q", one, other)
	}
}

func TestATraceThatTheCallerBeganGoesUpstreamAndComesBack(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	engine := ends(ok)
	b := newBench(t, engine)
	response := b.send(t, request("GET", "/", "traceparent", parent))
	if got := engine.call(t).Request.Headers["traceparent"]; got != parent || response.Headers["traceparent"] != parent {
		t.Errorf("%q went upstream and %q came back", got, response.Headers["traceparent"])
	}
	if response := b.send(t, request("GET", "/")); response.Headers["traceparent"] != "" {
		t.Errorf("%q came back, although nobody began a trace", response.Headers["traceparent"])
	}
}

func TestTheFirstProxyIsDrawn(t *testing.T) {
	for random, want := range map[float64]int{0: 1, 0.34: 2, 0.5: 2, 0.67: 3, 0.999: 3} {
		engine := ends(ok)
		b := newBench(t, engine)
		b.random = func() float64 { return random }
		b.send(t, request("GET", "/"))
		if got := engine.started(t).Start; got != want {
			t.Errorf("with %v proxy %d makes the first attempt, want %d", random, got, want)
		}
	}
	engine := ends(ok)
	b := newBench(t, engine)
	b.ringStart = 3
	b.send(t, request("GET", "/"))
	if got := engine.started(t).Start; got != 3 {
		t.Errorf("proxy %d makes the first attempt, want the third", got)
	}
}

func TestIfLambdaRanNoProxyTheKeyIsFreeAndTheCallerIsAskedToComeAgain(t *testing.T) {
	b := newBench(t, ends(lost(nil, "Lambda.TooManyRequestsException", "Lambda.ResourceNotFoundException", "Lambda.TooManyRequestsException")))
	for _, method := range []string{"GET", "POST"} {
		response := b.send(t, request(method, "/"))
		d := wantProblem(t, response, 503, "proxies-unavailable")
		if response.Headers["retry-after"] != "5" || len(d.Attempts) != 3 || !strings.Contains(d.Detail, "was not called") {
			t.Errorf("%s is answered with Retry-After %q: %s", method, response.Headers["retry-after"], response.Body)
		}
	}
	// One that may have come as far as the upstream makes it another matter.
	b = newBench(t, ends(lost(nil, "Lambda.TooManyRequestsException", "Runtime.ExitError", "Lambda.TooManyRequestsException")))
	wantProblem(t, b.send(t, request("GET", "/")), 502, "no-answer")
}
