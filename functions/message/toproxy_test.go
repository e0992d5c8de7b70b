package message_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// newCall is a call of a method, with an hour left.
func newCall(method string) *message.Call {
	return &message.Call{
		Request:  message.Request{Method: method, Path: "/orders", Headers: map[string]string{"accept": "*/*"}},
		Deadline: now.Add(time.Hour).UnixMilli(),
	}
}

func TestWaitsAreWholeSecondsAndTheRestOfTheDelay(t *testing.T) {
	e := message.ToProxy(newCall("GET"), retry.Policy{}, nil, 2700*time.Millisecond)
	if e.WaitSeconds != 2 || e.SleepMilliseconds != 700 {
		t.Errorf("2.7 s became a wait of %d s and a sleep of %d ms", e.WaitSeconds, e.SleepMilliseconds)
	}
}

func TestThePayloadIsInAnEnvelopeOnce(t *testing.T) {
	call := newCall("PUT")
	call.Request.Body = "the payload"
	text, err := message.Marshal(message.ToProxy(call, retry.Policy{NetworkFailures: retry.Budget{Attempts: 50}}, nil, 0))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte(call.Request.Body)); n != 1 {
		t.Errorf("the payload is in the envelope %d times", n)
	}
}

func TestAHistoryIsACopy(t *testing.T) {
	history := append(make([]retry.Attempt, 0, 8), retry.Attempt{Proxy: "proxy-3", Status: 500, Kind: retry.ServerError})
	e := message.ToProxy(newCall("GET"), retry.Policy{}, history, 0)
	e.Attempts[0].Proxy = "changed"
	_ = append(e.Attempts, retry.Attempt{Proxy: "added"})
	if history[0].Proxy != "proxy-3" || history[:2][1].Proxy != "" {
		t.Errorf("after a change to the envelope the history is %+v", history[:2])
	}
}

func TestThePathsOfTheStateMachineLeadToWhatAnEnvelopeHolds(t *testing.T) {
	e := message.ToProxy(newCall("GET"), retry.Policy{}, nil, time.Second)
	e.Start = 3
	e.Release, e.Expiration, e.Record = true, 1, &message.Record{ID: "id", Owner: "owner"}
	text, err := message.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{
		message.OutcomePath:       "retry",
		message.ReleasePath:       true,
		message.WaitSecondsPath:   1.0,
		message.StartPath:         3.0,
		message.ExpirationPath:    1.0,
		message.LossesCountPath:   0.0,
		message.LossesAllowedPath: 2.0,
		message.RecordIDPath:      "id",
		message.RecordOwnerPath:   "owner",
	} {
		if got := resolve(t, text, path); got != want {
			t.Errorf("%s leads to %v, want %v", path, got, want)
		}
	}
}

// TestEveryMomentThatAProxyReadsIsVisited knows all numbers in an envelope that leads to a proxy. One that is new has to
// be said to be a moment or something else.
func TestEveryMomentThatAProxyReadsIsVisited(t *testing.T) {
	others := map[string]bool{
		"Envelope.Response.StatusCode": true, "Envelope.Version": true, "Envelope.Start": true, "Envelope.WaitSeconds": true, "Envelope.SleepMilliseconds": true,
		"Envelope.NotBefore": true, "Envelope.Expiration": true, // for the gateway, in answers
		"Envelope.Call.MaxAttempts": true, "Envelope.Call.Made": true, "Envelope.Call.Redrive": true, "Envelope.Summary.Attempts": true, "Envelope.Losses.Count": true, "Envelope.Losses.Allowed": true,
		"Envelope.Attempts.Start":   true, // for people
		"Envelope.Call.Gate.Waited": true, "Envelope.Call.Gate.Ticket": true, "Envelope.Call.Gate.Refusals": true,
		"Envelope.Call.Gate.State.Shard": true, "Envelope.Call.Gate.State.Ticket": true, "Envelope.Call.Gate.State.Born": true, "Envelope.Call.Gate.State.Probe": true,
		"Envelope.Attempts.Duration": true, "Envelope.Attempts.Status": true, "Envelope.Attempts.Wait": true,
	}
	e := message.ToProxy(newCall("GET"), retry.Policy{}, []retry.Attempt{{NotBefore: 1}}, 0)
	e.Call.Gate = &message.GatePass{State: gate.State{NotBefore: 1}}
	visited := map[*int64]bool{}
	e.Moments(func(moment *int64) { visited[moment] = true })
	if !visited[&e.Call.Deadline] || !visited[&e.Attempts[0].NotBefore] || !visited[&e.Call.Gate.State.NotBefore] || len(visited) != 3 {
		t.Errorf("%d moments were visited, want the deadline, the one of the attempt, and the one at the gate", len(visited))
	}
	moments := map[string]bool{"Envelope.Call.Deadline": true, "Envelope.Attempts.NotBefore": true, "Envelope.Call.Gate.State.NotBefore": true}
	var walk func(path string, of reflect.Type)
	seen := map[reflect.Type]bool{}
	walk = func(path string, of reflect.Type) {
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice:
			walk(path, of.Elem())
		case reflect.Struct:
			if seen[of] {
				return
			}
			seen[of] = true
			if of == reflect.TypeFor[message.GateReport]() { // of answers, for the gateway
				return
			}
			for i := range of.NumField() {
				walk(path+"."+of.Field(i).Name, of.Field(i).Type)
			}
		case reflect.Int, reflect.Int64:
			if !moments[path] && !others[path] {
				t.Errorf("%s is a number; if it is a moment that a proxy reads, visit it in Moments, and name it here in any case", path)
			}
		}
	}
	walk("Envelope", reflect.TypeFor[message.Envelope]())
}

func TestAMomentThatNobodyNamedIsNotVisited(t *testing.T) {
	e := message.ToProxy(newCall("GET"), retry.Policy{}, []retry.Attempt{{Proxy: "proxy-1"}}, 0)
	e.Call = nil
	e.Moments(func(moment *int64) { t.Errorf("%d was visited", *moment) })
}

func TestAnEnvelopeOfAnotherVersionIsReadIfItIsOlder(t *testing.T) {
	for _, text := range []string{`{"outcome":"retry"}`, `{"version":0,"outcome":"retry"}`, `{"version":1,"outcome":"retry","new":1}`, `{"version":2,"outcome":"retry"}`} {
		var e message.Envelope
		if err := json.Unmarshal([]byte(text), &e); err != nil || e.Outcome != retry.Again {
			t.Errorf("%s was read as %+v, error %v", text, e, err)
		}
	}
	for _, text := range []string{`{"version":3,"outcome":"retry"}`, `{"version":3,"outcome":{"new":"form"}}`, `{"attempts":7,"version":99}`} {
		e := message.Envelope{Outcome: "untouched"}
		err := json.Unmarshal([]byte(text), &e)
		if _, newer := err.(*message.VersionError); !newer || e.Outcome != "untouched" {
			t.Errorf("%s was read as %+v, error %v; want a VersionError", text, e, err)
		}
	}
}

func TestAnEnvelopeLooksAsReviewed(t *testing.T) {
	call := &message.Call{
		Request: message.Request{
			Method:  "PUT",
			Path:    "/orders/4%2F2",
			Query:   "currency=EUR",
			Headers: map[string]string{"content-type": "application/json", "via": "1.1 retrying-api-proxy-0123456789"},
			Body:    `{"amount":12}`,
		},
		Deadline:    now.Add(time.Minute).UnixMilli(),
		MaxAttempts: 5,
	}
	history := []retry.Attempt{{
		Proxy: "proxy-1", Start: now.UnixMilli(), Duration: 120, Status: 429, Kind: retry.RateLimit, Wait: 2700,
		NotBefore: now.UnixMilli() + 2000,
		Why:       "429: Retry-After asks for 2s, and backoff above it up to 3s, jitter full",
	}}
	lost := afterLoss(message.ToProxy(call, retry.Policy{}, history, 0), "proxy-2", "Sandbox.Timedout")
	for name, e := range map[string]*message.Envelope{
		"envelope.json":              message.ToProxy(call, retry.Policy{}, history, 2700*time.Millisecond),
		"envelope-after-loss.json":   lost,
		"envelope-after-losses.json": resolved(lost, message.AfterLosses()),
	} {
		matchesGolden(t, name, e)
	}
}

// matchesGolden compares an envelope with a golden file.
func matchesGolden(t *testing.T, name string, e *message.Envelope) {
	t.Helper()
	text, err := message.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := json.Indent(&got, text, "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')

	golden := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s differs; if it should, write it anew with go test -update (-want +got):\n%s", golden, diff)
	}
}
