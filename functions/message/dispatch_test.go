package message_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// most draws the longest delay from every window.
func most() float64 { return 0.999 }

// newCall is a call of a method, written for the first proxy, with an hour left.
func newCall(method string) *message.Call {
	return &message.Call{
		Request:  message.Request{Method: method, Path: "/orders", Headers: map[string]string{"accept": "*/*"}},
		To:       "proxy-1",
		Deadline: now.Add(time.Hour).UnixMilli(),
	}
}

func newDispatch(call *message.Call, proxies int, policy retry.Policy) message.Dispatch {
	return message.Dispatch{Policy: policy, Ring: message.Ring(proxies), Call: call, Now: now, Random: most}
}

// levels lists the envelopes that lead to a proxy, from the one that is handed to the first, and the one that ends it.
func levels(e *message.Envelope) (leading []*message.Envelope, end *message.Envelope) {
	for ; e != nil && e.Outcome == retry.Again; e = e.Answer {
		leading = append(leading, e)
	}
	return leading, e
}

func TestAsManyProxiesMayBeLostAsThePolicyAllowsNetworkFailures(t *testing.T) {
	for proxies := 1; proxies <= 20; proxies++ {
		for attempts := 1; attempts <= 12; attempts++ {
			policy := retry.Policy{NetworkFailures: retry.Budget{Attempts: attempts}}
			leading, end := levels(newDispatch(newCall("GET"), proxies, policy).Envelope())
			if len(leading) != attempts {
				t.Errorf("%d proxies: %d may be lost, want %d", proxies, len(leading), attempts)
			}
			if end == nil || end.Outcome != retry.Failed || end.Error != retry.AttemptsExhausted || len(end.Attempts) != attempts {
				t.Errorf("%d proxies, %d attempts: it ends with %+v", proxies, attempts, end)
			}
		}
	}
}

func TestLostProxiesAreNamedInTheOrderOfTheRing(t *testing.T) {
	for proxies := 1; proxies <= 20; proxies++ {
		call := newCall("GET")
		call.To = message.ProxyName((proxies + 1) / 2)
		policy := retry.Policy{NetworkFailures: retry.Budget{Attempts: 25}}
		_, end := levels(newDispatch(call, proxies, policy).Envelope())
		want := call.To
		for i, attempt := range end.Attempts {
			if attempt.Proxy != want {
				t.Errorf("%d proxies: attempt %d is said to be of %s, want %s", proxies, i+1, attempt.Proxy, want)
			}
			want = message.Ring(proxies).After(want)
		}
	}
}

func TestThePostThatMayHaveBeenProcessedEndsWithTheFirstLostProxy(t *testing.T) {
	e := newDispatch(newCall("POST"), 3, retry.Policy{}).Envelope()
	if e.Outcome != retry.Again || e.Answer == nil || e.Answer.Outcome != retry.Failed || e.Answer.Error != retry.UnsafeToRepeat {
		t.Errorf("a POST without Idempotency-Key goes on with %+v", e.Answer)
	}

	keyed := newCall("POST")
	keyed.Request.Headers["idempotency-key"] = "k"
	if leading, _ := levels(newDispatch(keyed, 3, retry.Policy{}).Envelope()); len(leading) != retry.DefaultNetworkFailureAttempts {
		t.Errorf("with Idempotency-Key %d proxies may be lost, want %d", len(leading), retry.DefaultNetworkFailureAttempts)
	}
}

func TestEarlierNetworkFailuresLeaveFewerProxiesToLose(t *testing.T) {
	d := newDispatch(newCall("GET"), 3, retry.Policy{})
	d.History = []retry.Attempt{
		{Proxy: "proxy-2", Kind: retry.NetworkFailure, Error: retry.ConnectionRefused},
		{Proxy: "proxy-3", Kind: retry.ServerError, Status: 503},
	}
	leading, end := levels(d.Envelope())
	if want := retry.DefaultNetworkFailureAttempts - 1; len(leading) != want {
		t.Errorf("%d proxies may be lost, want %d", len(leading), want)
	}
	if diff := cmp.Diff(d.History, end.Attempts[:2]); diff != "" {
		t.Errorf("the list of attempts begins differently (-want +got):\n%s", diff)
	}
}

func TestTheCallersOwnLimitAndTheDeadlineCountForLostProxiesToo(t *testing.T) {
	limited := newCall("GET")
	limited.MaxAttempts = 2
	leading, end := levels(newDispatch(limited, 3, retry.Policy{}).Envelope())
	if len(leading) != 2 || end.Error != retry.AttemptsExhausted {
		t.Errorf("with two attempts at most, %d proxies may be lost, and then comes %s", len(leading), end.Error)
	}

	urgent := newCall("GET")
	urgent.Deadline = now.Add(retry.MinimumAttemptTime / 2).UnixMilli()
	leading, end = levels(newDispatch(urgent, 3, retry.Policy{}).Envelope())
	if len(leading) != 1 || end.Error != retry.DeadlineExceeded {
		t.Errorf("just before the deadline, %d proxies may be lost, and then comes %s", len(leading), end.Error)
	}
}

func TestTheInnermostEnvelopeThatLeadsToAProxyHoldsTheCallAndNoOtherDoes(t *testing.T) {
	call := newCall("GET")
	leading, end := levels(newDispatch(call, 3, retry.Policy{}).Envelope())
	for i, e := range leading {
		if holds := e.Call != nil; holds != (i == len(leading)-1) {
			t.Errorf("level %d of %d holds the call: %v", i+1, len(leading), holds)
		}
		if e.TheCall() != call {
			t.Errorf("from level %d the call found is %v", i+1, e.TheCall())
		}
		if len(e.Attempts) > 0 || e.StatusCode != 0 || e.Body != "" {
			t.Errorf("level %d holds a request and an answer: %+v", i+1, e)
		}
	}
	if end.Call != nil {
		t.Error("the envelope that ends it still holds the call")
	}
}

func TestTheHistoryAtEachLevelIsTheListOfLostProxies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		proxies := rapid.IntRange(1, 20).Draw(t, "proxies")
		call := newCall("GET")
		call.To = message.ProxyName(rapid.IntRange(1, proxies).Draw(t, "to"))
		policy := retry.Policy{NetworkFailures: retry.Budget{Attempts: rapid.IntRange(1, 30).Draw(t, "budget")}}
		d := newDispatch(call, proxies, policy)
		for range rapid.IntRange(0, 4).Draw(t, "attempts before") {
			d.History = append(d.History, retry.Attempt{Proxy: "proxy-1", Status: 500, Kind: retry.ServerError, Wait: 300})
		}
		leading, end := levels(d.Envelope())

		for i, e := range leading {
			if diff := cmp.Diff(end.Attempts[:len(d.History)+i], e.History()); diff != "" {
				t.Fatalf("level %d: the history differs (-want +got):\n%s", i+1, diff)
			}
		}
	})
}

func TestTheHistorySaysHowTheLastProxyWasLost(t *testing.T) {
	e := newDispatch(newCall("GET"), 3, retry.Policy{}).Envelope().Answer.Answer
	e.Fault = &message.Fault{Error: "Sandbox.Timedout", Cause: `{"errorMessage":"secret"}`}
	history := e.History()
	if len(history) != 2 || history[0].Details != message.LostProxy().Details || history[1].Details != "Sandbox.Timedout" {
		t.Errorf("the history is %+v", history)
	}
	if strings.Contains(fmt.Sprint(history), "secret") {
		t.Error("the history holds the cause, which may hold anything")
	}
}

func TestAHistoryIsACopy(t *testing.T) {
	d := newDispatch(newCall("GET"), 3, retry.Policy{})
	d.History = append(make([]retry.Attempt, 0, 8), retry.Attempt{Proxy: "proxy-3", Status: 500, Kind: retry.ServerError})
	e := d.Envelope()
	_ = append(e.Answer.History(), retry.Attempt{Proxy: "added"})
	e.Answer.History()[0].Proxy = "changed"
	_, end := levels(e)
	if end.Attempts[0].Proxy != "proxy-3" || end.Attempts[2].Proxy != "proxy-2" || d.History[:2][1].Proxy != "" {
		t.Errorf("after a change to a history, the envelope's is %+v and the dispatch's %+v", end.Attempts, d.History[:2])
	}
}

func TestWaitsAreWholeSecondsAndTheRestOfTheDelay(t *testing.T) {
	d := newDispatch(newCall("GET"), 3, retry.Policy{NetworkFailures: retry.Budget{Attempts: 8, Base: 700 * time.Millisecond, Max: time.Minute}})
	d.Delay = 2700 * time.Millisecond
	leading, end := levels(d.Envelope())
	if leading[0].WaitSeconds != 2 || leading[0].SleepMilliseconds != 700 {
		t.Errorf("2.7 s became a wait of %d s and a sleep of %d ms", leading[0].WaitSeconds, leading[0].SleepMilliseconds)
	}
	for i, e := range leading[1:] {
		if got, want := e.WaitSeconds*1000+e.SleepMilliseconds, end.Attempts[i].Wait; got != want || want == 0 {
			t.Errorf("after attempt %d: %d s and %d ms are waited, %d ms are told", i+1, e.WaitSeconds, e.SleepMilliseconds, want)
		}
	}
	if last := end.Attempts[len(end.Attempts)-1]; last.Wait != 0 || last.Why == "" {
		t.Errorf("the last attempt waits for %d ms, because of %q", last.Wait, last.Why)
	}
}

func TestALostProxyDoesNotLiftAnUpstreamsFloor(t *testing.T) {
	d := newDispatch(newCall("GET"), 3, retry.Policy{})
	d.History = []retry.Attempt{{
		Proxy: "proxy-3", Status: 503, Kind: retry.ServerError, NotBefore: now.Add(30 * time.Second).UnixMilli(),
	}}
	e := d.Envelope()
	if wait := e.Answer.WaitSeconds; wait < 30 {
		t.Errorf("after a lost proxy %d s are waited, although the upstream asked for 30", wait)
	}
}

// round is a policy whose texts and numbers are of the same length at every level.
func round(attempts int) retry.Policy {
	return retry.Policy{NetworkFailures: retry.Budget{Attempts: attempts, Base: time.Second, Max: time.Second, Jitter: retry.NoJitter}}
}

func TestAnEnvelopeGrowsLinearlyWithTheProxiesThatMayBeLost(t *testing.T) {
	at := func(attempts int) int { return size(t, newDispatch(newCall("GET"), 3, round(attempts)).Envelope()) }
	first, second := (at(30)-at(20))/10, (at(90)-at(30))/60
	if first == 0 || second > first+4 { // the count in the texts takes another digit now and then
		t.Errorf("one more takes %d bytes from 20 to 30, and %d from 30 to 90", first, second)
	}
}

func TestThePayloadIsInAnEnvelopeOnce(t *testing.T) {
	call := newCall("PUT")
	call.Request.Body = "the payload"
	text, err := message.Marshal(newDispatch(call, 20, round(50)).Envelope())
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte(call.Request.Body)); n != 1 {
		t.Errorf("the payload is in the envelope %d times", n)
	}
}

// longest is an attempt of a kind whose texts are as long as they get.
func longest(kind retry.Kind, i int) retry.Attempt {
	a := retry.Attempt{
		Proxy: "proxy-20", Start: now.UnixMilli(), Duration: 899_999, Kind: kind, Wait: 899_999, NotBefore: now.UnixMilli(),
		Why: "429: Anthropic-Ratelimit-Output-Tokens-Reset asks for 14m59.999s, and backoff above it up to 18m44.999s, jitter decorrelated",
	}
	if kind == retry.NetworkFailure {
		a.NotBefore, a.Why = 0, "http_response_header_section_size: an earlier answer asks for 14m59.999s, and backoff above it up to 18m44.999s, jitter decorrelated"
		a.Error, a.Details = retry.HTTPResponseHeaderSectionSize, strings.Repeat(`x"\y`, 50)
	} else {
		a.Status = 429 + i%2
	}
	return a
}

func TestACallThatFitsAtTheStartFitsUntilTheLastAttempt(t *testing.T) {
	for _, policy := range []retry.Policy{
		{},
		{NetworkFailures: retry.Budget{Attempts: retry.MaxAttempts}},
		{
			RateLimits:      retry.Budget{Attempts: retry.MaxAttempts},
			ServerErrors:    retry.Budget{Attempts: retry.MaxAttempts},
			NetworkFailures: retry.Budget{Attempts: retry.MaxAttempts},
		},
	} {
		policy = policy.WithDefaults()
		call := newCall("PUT")
		dispatch := newDispatch(call, 20, policy)
		call.Request.Body = "x"
		call.Request.Body = strings.Repeat("x", message.MaxCallBytes(policy)-size(t, dispatch.Envelope())+1)
		if got := size(t, dispatch.Envelope()); got != message.MaxCallBytes(policy) {
			t.Fatalf("the call takes %d bytes, want %d", got, message.MaxCallBytes(policy))
		}
		for kind, budget := range map[retry.Kind]int{
			retry.RateLimit:      policy.RateLimits.Attempts,
			retry.ServerError:    policy.ServerErrors.Attempts,
			retry.NetworkFailure: policy.NetworkFailures.Attempts,
		} {
			for i := range budget - 1 { // the last one of a kind ends it
				dispatch.History = append(dispatch.History, longest(kind, i))
			}
		}
		if got := size(t, dispatch.Envelope()); got > message.MaxStateBytes {
			t.Errorf("after %d attempts the envelope takes %d bytes; a state holds %d", len(dispatch.History), got, message.MaxStateBytes)
		}
	}
}

func TestTheEndWithoutAnAnswerFitsIntoACause(t *testing.T) {
	policy := retry.Default()
	d := newDispatch(newCall("GET"), 20, policy)
	for range policy.RateLimits.Attempts - 1 {
		d.History = append(d.History, longest(retry.RateLimit, 0))
	}
	for range policy.ServerErrors.Attempts - 1 {
		d.History = append(d.History, longest(retry.ServerError, 0))
	}
	_, end := levels(d.Envelope())
	if got := size(t, end); got > message.MaxCauseBytes {
		t.Errorf("the end takes %d bytes; a cause holds %d", got, message.MaxCauseBytes)
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
		To:          "proxy-2",
		Deadline:    now.Add(time.Minute).UnixMilli(),
		MaxAttempts: 5,
	}
	d := newDispatch(call, 3, retry.Policy{})
	d.History = []retry.Attempt{{
		Proxy: "proxy-1", Start: now.UnixMilli(), Duration: 120, Status: 429, Kind: retry.RateLimit, Wait: 2700,
		NotBefore: now.UnixMilli() + 2000,
		Why:       "429: Retry-After asks for 2s, and backoff above it up to 3s, jitter full",
	}}
	d.Delay, d.Random = 2700*time.Millisecond, func() float64 { return 0.5 }
	text, err := message.Marshal(d.Envelope())
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := json.Indent(&got, text, "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')

	golden := filepath.Join("testdata", "envelope.json")
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
