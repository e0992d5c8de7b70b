package handler

import (
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// afterLosses is an envelope that reaches proxy-2 after proxy-1 was lost, once for each error.
func afterLosses(in message.Envelope, errors ...string) message.Envelope {
	for _, name := range errors {
		in.Losses = &message.Losses{
			Count: in.Losses.Count + 1, Allowed: in.Losses.Allowed, Proxy: "proxy-1", Error: name, Before: in.Losses,
		}
	}
	return in
}

// counted is an upstream that counts what it is sent.
func counted(t testing.TB) (url string, requests *atomic.Int32) {
	requests = new(atomic.Int32)
	return serve(t, func(http.ResponseWriter, *http.Request) { requests.Add(1) }), requests
}

func TestAnAttemptAfterALostProxyTellsHowThatWasLost(t *testing.T) {
	url, requests := counted(t)
	b := newBench(t, url)
	b.name = "proxy-2"
	out := b.invoke(t, afterLosses(b.call(message.Request{Method: "GET"}), "Sandbox.Timedout"))
	if out.Outcome != retry.Succeeded || len(out.Attempts) != 2 || requests.Load() != 1 {
		t.Fatalf("%d requests were sent, and it ended with %+v", requests.Load(), out)
	}
	first := out.Attempts[0]
	if first.Proxy != "proxy-1" || first.Error != retry.ProxyInternalError || first.Details != "Sandbox.Timedout" || first.Kind != retry.NetworkFailure {
		t.Errorf("the lost attempt is told as %+v", first)
	}
	if out.Attempts[1].Proxy != "proxy-2" || out.Losses != nil {
		t.Errorf("the second attempt is told of %s, with the losses %v", out.Attempts[1].Proxy, out.Losses)
	}
}

func TestAfterALossTheBackoffPassesBeforeAnythingIsSent(t *testing.T) {
	url, requests := counted(t)
	b := newBench(t, url)
	b.slept = func(d time.Duration) {
		if d > 0 && requests.Load() > 0 {
			t.Errorf("the request was sent before a sleep of %v", d)
		}
	}
	out := b.invoke(t, afterLosses(b.call(message.Request{Method: "GET"}), "Runtime.ExitError"))
	// The jitter draws the middle of the first window, which is a second wide.
	if slept := b.Now().Sub(morning); slept != 500*time.Millisecond || out.Attempts[0].Wait != 500 || requests.Load() != 1 {
		t.Errorf("the proxy slept %v, told of a wait of %d ms, and sent %d requests; want 500ms and one", slept, out.Attempts[0].Wait, requests.Load())
	}
}

// With two of three proxies lost, the third has to make the attempt, whatever is drawn: by the state machine's way it would
// be the first one's turn again.
func TestTheLongestBackoffThatTheDefaultDrawsAfterLossesIsSleptAndTheAttemptMade(t *testing.T) {
	url, requests := counted(t)
	b := newBench(t, url)
	b.random = func() float64 { return 0.99999999 }
	out := b.invoke(t, afterLosses(b.call(message.Request{Method: "GET"}), "Runtime.ExitError", "Runtime.ExitError"))
	if slept := b.Now().Sub(morning); slept != 2*time.Second || out.Outcome != retry.Succeeded || requests.Load() != 1 {
		t.Errorf("the proxy slept %v, sent %d requests, and it ended with %+v; want 2 s and one", slept, requests.Load(), out)
	}
}

func TestALongBackoffAfterALossIsLeftToTheStateMachine(t *testing.T) {
	url, requests := counted(t)
	b := newBench(t, url)
	b.policy.NetworkFailures = retry.Budget{Attempts: 3, Base: 8 * time.Second, Max: 8 * time.Second, Jitter: retry.FullJitter}
	out := b.invoke(t, afterLosses(b.call(message.Request{Method: "GET"}), "Runtime.ExitError"))
	if out.Outcome != retry.Again || out.WaitSeconds != 4 || out.SleepMilliseconds != 0 || requests.Load() != 0 {
		t.Errorf("%d requests were sent, and it goes on with %+v; want none, and a wait of 4 s", requests.Load(), out)
	}
	if out.Call == nil || len(out.Attempts) != 1 || out.Losses.Count != 0 || out.Losses.Allowed != 1 {
		t.Errorf("the next proxy is told of %+v and the losses %+v", out.Attempts, out.Losses)
	}
	if slept := b.Now().Sub(morning); slept != 0 {
		t.Errorf("the proxy slept %v", slept)
	}
}

func TestAFloorOfTheUpstreamHoldsAfterALoss(t *testing.T) {
	url, requests := counted(t)
	b := newBench(t, url)
	closed := retry.Attempt{Proxy: "proxy-3", Status: 503, Kind: retry.ServerError, NotBefore: morning.Add(30 * time.Second).UnixMilli()}
	out := b.invoke(t, afterLosses(b.call(message.Request{Method: "GET"}, closed), "Runtime.ExitError"))
	if out.Outcome != retry.Again || out.WaitSeconds < 30 || requests.Load() != 0 {
		t.Errorf("%d requests were sent, and %d s are waited, although the upstream asked for 30", requests.Load(), out.WaitSeconds)
	}
}

func TestWhatIsUnsafeToRepeatIsSentAfterALossOnlyIfTheProxyNeverRan(t *testing.T) {
	for _, c := range []struct {
		errors []string
		sent   bool
	}{
		{[]string{"Lambda.TooManyRequestsException"}, true},
		{[]string{"Lambda.ResourceNotFoundException", "Lambda.TooManyRequestsException"}, true},
		{[]string{"VersionError"}, true},
		{[]string{"Lambda.AWSLambdaException"}, false}, // stands for access that was denied, and for much else
		{[]string{"Lambda.ServiceException"}, false},
		{[]string{"Lambda.SdkClientException"}, false},
		{[]string{"Sandbox.Timedout"}, false},
		{[]string{"States.Timeout"}, false},
		{[]string{"Runtime.ExitError", "Lambda.TooManyRequestsException"}, false},
		{[]string{"Lambda.TooManyRequestsException", "Runtime.ExitError"}, false},
	} {
		url, requests := counted(t)
		b := newBench(t, url)
		out := b.invoke(t, afterLosses(b.call(message.Request{Method: "POST"}), c.errors...))
		if sent := requests.Load() == 1; sent != c.sent {
			t.Errorf("after %v the POST was sent: %v, want %v", c.errors, sent, c.sent)
		}
		if !c.sent && (out.Outcome != retry.Failed || out.Error != retry.UnsafeToRepeat || out.StatusCode != 0 || out.Call != nil) {
			t.Errorf("after %v it ended with %+v", c.errors, out)
		}
	}
}

func TestALossThatUsesUpTheAttemptsEndsTheRequestWithoutSendingIt(t *testing.T) {
	url, requests := counted(t)
	b := newBench(t, url)
	reset := retry.Attempt{Proxy: "proxy-3", Error: retry.ConnectionTerminated, Kind: retry.NetworkFailure}
	out := b.invoke(t, afterLosses(b.call(message.Request{Method: "GET"}, reset, reset), "Runtime.ExitError"))
	if out.Outcome != retry.Failed || out.Error != retry.AttemptsExhausted || len(out.Attempts) != 3 || requests.Load() != 0 {
		t.Errorf("%d requests were sent, and it ended with %+v", requests.Load(), out)
	}
}

func TestACallThatAllowsOneAttemptEndsWithALoss(t *testing.T) {
	url, requests := counted(t)
	b := newBench(t, url)
	in := b.call(message.Request{Method: "GET"})
	in.Call.MaxAttempts = 1
	if out := b.invoke(t, afterLosses(in, "Runtime.ExitError")); out.Error != retry.AttemptsExhausted || requests.Load() != 0 {
		t.Errorf("%d requests were sent, and it ended with %+v", requests.Load(), out)
	}
}

func TestLostProxiesAreLoggedWithTheirErrors(t *testing.T) {
	url, _ := counted(t)
	b := newBench(t, url)
	b.policy.NetworkFailures = retry.Budget{Attempts: 3, Base: time.Millisecond, Max: time.Millisecond}
	b.invoke(t, afterLosses(b.call(message.Request{Method: "GET"}), "Sandbox.Timedout", "Runtime.ExitError"))
	var details []string
	for decoder := json.NewDecoder(&b.logs); decoder.More(); {
		var line struct {
			Attempt                   int
			Details, Level, RequestID string
		}
		if err := decoder.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if details = append(details, line.Details); line.Attempt != len(details) || line.RequestID != "request-1" {
			t.Errorf("line %d is about attempt %d of request %q", len(details), line.Attempt, line.RequestID)
		}
		if want := map[bool]string{true: "WARN", false: "INFO"}[line.Details != ""]; line.Level != want {
			t.Errorf("line %d has level %s, want %s", len(details), line.Level, want)
		}
	}
	if len(details) != 3 || details[0] != "Sandbox.Timedout" || details[1] != "Runtime.ExitError" || details[2] != "" {
		t.Errorf("the log tells of attempts with the details %q", details)
	}
}

func TestAnEnvelopeThatIsNewerThanTheProxyIsRefusedBeforeAnythingIsSent(t *testing.T) {
	url, requests := counted(t)
	b := newBench(t, url)
	in := b.call(message.Request{Method: "GET"})
	in.Version = 3
	text, err := message.Marshal(&in)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lambda.NewHandler(b.Handle).Invoke(t.Context(), text)
	var refused *message.VersionError
	if !errors.As(err, &refused) || refused.Version != 3 || requests.Load() != 0 {
		t.Errorf("%d requests were sent, and the error is %v", requests.Load(), err)
	}
}
