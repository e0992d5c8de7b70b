package handler

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestALossStaysInTheHistoryWhenTheAttemptAfterItIsRepeated(t *testing.T) {
	b := newBench(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	b.name = "proxy-2"
	out := b.invoke(t, afterLosses(b.call(message.Request{Method: "GET"}, limited), "Sandbox.Timedout"))
	var told []string
	for _, attempt := range out.Attempts {
		told = append(told, attempt.Proxy+" "+string(attempt.Kind))
	}
	want := []string{"proxy-3 rate-limit", "proxy-1 network-failure", "proxy-2 server-error"}
	if diff := cmp.Diff(want, told); diff != "" || out.Outcome != retry.Again {
		t.Errorf("it goes on with %s, and the attempts differ (-want +got):\n%s", out.Outcome, diff)
	}
	// Of three attempts that may end without an answer one is used up: one more proxy may be lost.
	if out.Losses.Count != 0 || out.Losses.Allowed != 1 {
		t.Errorf("the losses are %+v, want none, and one allowed", out.Losses)
	}
}

func TestABackoffOfMoreThanTwoSecondsAfterALossIsLeftToTheStateMachine(t *testing.T) {
	for _, c := range []struct {
		window  time.Duration // the jitter draws the middle of it
		waited  int64         // seconds, by the state machine
		rest    int64         // milliseconds, by the next proxy
		slept   time.Duration
		request int32
	}{
		{4000 * time.Millisecond, 0, 0, 2 * time.Second, 1},
		{4002 * time.Millisecond, 2, 1, 0, 0},
	} {
		url, requests := counted(t)
		b := newBench(t, url)
		b.policy.NetworkFailures = retry.Budget{Attempts: 3, Base: c.window, Max: c.window, Jitter: retry.FullJitter}
		out := b.invoke(t, afterLosses(b.call(message.Request{Method: "GET"}), "Runtime.ExitError"))
		if slept := b.Now().Sub(morning); slept != c.slept || out.WaitSeconds != c.waited || out.SleepMilliseconds != c.rest || requests.Load() != c.request {
			t.Errorf("of a window of %v the proxy slept %v, left %d s and %d ms to others, and sent %d requests; want %v, %d s, %d ms and %d requests",
				c.window, slept, out.WaitSeconds, out.SleepMilliseconds, requests.Load(), c.slept, c.waited, c.rest, c.request)
		}
	}
}

func TestARecordedAnswerMayBeAsLargeAsARecordAndNoLarger(t *testing.T) {
	length := 0
	b := newBench(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write([]byte(strings.Repeat("x", length)))
	}))
	b.recordTTL = time.Hour
	in := b.call(message.Request{Method: "PUT"})
	in.Call.Recorded = true
	// size is what an envelope takes as JSON in a JSON string.
	size := func(e *message.Envelope) int {
		text, err := message.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		inRecord, err := json.Marshal(string(text))
		if err != nil {
			t.Fatal(err)
		}
		return len(inRecord) - len(`""`)
	}
	length = 253_952 - size(b.invoke(t, in))
	if out := b.invoke(t, in); out.Outcome != retry.Succeeded || out.Error != "" || size(out) != 253_952 {
		t.Errorf("the largest answer became %s, %s, and takes %d bytes in a record, want 253,952", out.Outcome, out.Error, size(out))
	}
	length++
	if out := b.invoke(t, in); out.Outcome != retry.Succeeded || out.Error != message.AnswerTooLarge {
		t.Errorf("a larger one became %s, %s", out.Outcome, out.Error)
	}
}
