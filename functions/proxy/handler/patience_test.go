package handler

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/rawupstream"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// Clients C2: an answer that takes longer than an attempt never came, however long the caller was willing to wait.
func TestAnAttemptThatNoOtherMayFollowIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		name    string
		request message.Request
		allowed int
		history []retry.Attempt
		waits   bool
	}{
		{"POST without a key", message.Request{Method: "POST", Body: "{}"}, 0, nil, true},
		{"the last one that the caller allows", message.Request{Method: "GET"}, 1, nil, true},
		{"the last one of the budget", message.Request{Method: "GET"}, 0, []retry.Attempt{cutOff, cutOff}, true},
		{"one of several", message.Request{Method: "GET"}, 0, nil, false},
		{"POST with a key", message.Request{Method: "POST", Headers: map[string]string{"idempotency-key": "k"}}, 0, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			answered := make(chan struct{})
			b := newBench(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				select {
				case <-time.After(4 * impatience): // longer than an attempt may take
					close(answered)
				case <-r.Context().Done():
				}
			}))
			b.policy.AttemptTimeout = impatience
			in := b.call(c.request, c.history...)
			in.Call.MaxAttempts = c.allowed
			out := b.invoke(t, in)
			if waited := out.StatusCode == 200 && out.Outcome == retry.Succeeded; waited != c.waits {
				t.Errorf("it ended with %s, %d: %+v", out.Outcome, out.StatusCode, out.Attempts)
			}
		})
	}
}

// cutOff is an attempt that took too long.
var cutOff = retry.Attempt{Proxy: "proxy-3", Error: retry.ConnectionReadTimeout, Kind: retry.NetworkFailure, MaybeProcessed: true}

func TestAConnectionThatDoesNotComeAboutIsNotWaitedForAsAnAnswerIs(t *testing.T) {
	b := newBench(t, "https://"+rawupstream.Listen(t, func(conn net.Conn) { io.Copy(io.Discard, conn) })) // no handshake
	b.policy.AttemptTimeout = impatience
	out := b.invoke(t, b.call(message.Request{Method: "POST"}))
	if out.Outcome != retry.Again || out.Attempts[0].Error != retry.ConnectionTimeout {
		t.Errorf("it goes on with %s, %s: %+v", out.Outcome, out.Error, out.Attempts)
	}
}

// Attack M13: what was lost on the way took the time for another attempt, and the upstream's word was forgotten with it.
func TestWithoutTimeForAnAttemptWhatTheUpstreamSaidIsStillTold(t *testing.T) {
	b := newBench(t, serve(t, func(http.ResponseWriter, *http.Request) { t.Error("it was called") }))
	in := b.call(message.Request{Method: "GET"},
		retry.Attempt{Proxy: "proxy-2", Status: 503, Kind: retry.ServerError, NotBefore: morning.Add(70 * time.Second).UnixMilli()},
		retry.Attempt{Proxy: "proxy-3", Status: 500, Kind: retry.ServerError})
	b.time = b.time.Add(59_600 * time.Millisecond) // of sixty seconds
	out := b.invoke(t, in)
	if out.Error != retry.DeadlineExceeded || out.NotBefore != morning.Add(70*time.Second).UnixMilli() {
		t.Errorf("it ended with %s, to come again at %d", out.Error, out.NotBefore)
	}
}
