package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/largebody"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// newLetterBench is a gateway whose asynchronous requests have dead letters.
func newLetterBench(t testing.TB) *asyncBench {
	b := newAsyncBench(t)
	b.letterRetention = 14 * 24 * time.Hour
	return b
}

// failedAt has a request accepted that fails, after one attempt, and frees its key as the state machine does.
func (b *asyncBench) failedAt(t testing.TB, event events.LambdaFunctionURLRequest, attempt retry.Attempt) (location string, x *execution.Execution) {
	t.Helper()
	location, _ = b.acceptedAt(t, event)
	b.goesOn(t, location, func(x *execution.Execution) {
		x.State, x.Attempts, x.Answer = execution.Failed, []retry.Attempt{attempt}, "answer:1"
	})
	x = b.at(t, location)
	b.releaseRecord(t.Context(), x.Record)
	return location, x
}

var (
	broken  = retry.Attempt{Proxy: "proxy-1", Start: 1, Status: 500, Kind: retry.ServerError, MaybeProcessed: true}
	limited = retry.Attempt{Proxy: "proxy-1", Start: 1, Status: 429, Kind: retry.RateLimit}
)

// redriven hands an event to the gateway.
func (b *asyncBench) redriven(t testing.TB, members string) (Redriven, error) {
	t.Helper()
	answer, err := b.Invoke(t.Context(), []byte(`{"redrive":`+members+`}`))
	if err != nil {
		return Redriven{}, err
	}
	var out Redriven
	if err := json.Unmarshal(answer, &out); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	return out, nil
}

func letterOf(x *execution.Execution) string {
	return `{"version":1,"execution":"` + x.Run() + `","item":"gateway#execution:` + x.Name + `","requestId":"r","summary":{"reason":"AttemptsExhausted"}}`
}

func wantRefusal(t testing.TB, err error, reason string) {
	t.Helper()
	var refused *RedriveError
	if !errors.As(err, &refused) || refused.Reason != reason {
		t.Errorf("the error is %v, want the reason %s", err, reason)
	}
}

func TestARedriveStartsTheRequestAgainWithItsKeyUnderItsIDAndFromTheBeginning(t *testing.T) {
	b := newLetterBench(t)
	event := request("POST", "/orders", "prefer", "respond-async, deadline=3600, attempts=3", "idempotency-key", "k", "authorization", "Bearer canary")
	event.Body = "tea"
	location, x := b.failedAt(t, event, broken)
	owner := x.Record.Owner
	b.clock.now = b.clock.now.Add(10 * time.Hour)
	out, err := b.redriven(t, letterOf(x))
	if err != nil || out.Status != RedriveStarted || out.Execution != x.Name+"-1" {
		t.Fatalf("it is answered with %+v, error %v", out, err)
	}
	in := b.engine.started[1]
	envelope, err := message.Unmarshal([]byte(*in.Input))
	if err != nil {
		t.Fatal(err)
	}
	call := envelope.Call
	if *in.Name != x.Name+"-1" || call.Execution != x.Name || call.Redrive != 1 || call.MaxAttempts != 3 || !call.Keyed || !call.Recorded ||
		call.DeadlineTime().Sub(noon) != 11*time.Hour || envelope.Record.ID != x.Record.ID || envelope.Record.Owner == owner || strings.Contains(*in.Input, "canary") {
		t.Errorf("it is started as %s with %s", *in.Name, *in.Input)
	}
	now := b.at(t, location)
	if now.State != execution.Running || len(now.Attempts) != 0 || len(now.Earlier) != 1 || now.Begun != nil || now.Redrives != 1 || !now.Sent() ||
		now.Expiration != noon.Add(11*time.Hour+14*24*time.Hour+2*time.Hour).Unix()+1 {
		t.Errorf("the execution is %+v", now)
	}
	kept, err := b.kept.Request(t.Context(), x.Name)
	if err != nil || kept.Body != "tea" || kept.Headers["authorization"] != "Bearer canary" || kept.Headers["idempotency-key"] != "k" {
		t.Errorf("the request is %+v, error %v", kept, err)
	}
	// Whoever started it finds it there, and a duplicate joins it.
	if status := b.send(t, request("GET", location)); !strings.Contains(status.Body, `"status":"running"`) || !strings.Contains(status.Body, `"status":500`) {
		t.Errorf("the status is %s", status.Body)
	}
	again := b.send(t, event)
	if again.StatusCode != 202 || again.Headers["location"] != location {
		t.Errorf("a duplicate is answered with %d %v", again.StatusCode, again.Headers)
	}
}

func TestHoweverOftenALetterIsRedrivenItIsOneExecution(t *testing.T) {
	for _, key := range []string{"", "k"} {
		b := newLetterBench(t)
		fields := []string{"prefer", "respond-async"}
		if key != "" {
			fields = append(fields, "idempotency-key", key)
		}
		location, x := b.failedAt(t, request("PUT", "/orders", fields...), broken)
		letter := letterOf(x)
		var wait sync.WaitGroup
		var mu sync.Mutex
		started := 0
		for range 8 {
			wait.Go(func() {
				out, err := b.redriven(t, letter)
				mu.Lock()
				defer mu.Unlock()
				if err == nil && out.Status == RedriveStarted {
					started++
				}
				var refused *RedriveError
				if err != nil && (!errors.As(err, &refused) || refused.Reason != RedriveKeyBusy) {
					t.Errorf("the error is %v", err)
				}
			})
		}
		wait.Wait()
		if started == 0 {
			t.Error("none has started it")
		}
		for _, in := range b.engine.started[1:] {
			if *in.Name != x.Name+"-1" {
				t.Errorf("it is started as %s", *in.Name)
			}
		}
		b.goesOn(t, location, func(x *execution.Execution) { x.State, x.Answer = execution.Failed, "answer:1001" })
		before := len(b.engine.started)
		if out, err := b.redriven(t, letter); err != nil || out.Status != RedriveSettled || len(b.engine.started) != before {
			t.Errorf("the letter of before is answered with %+v, error %v", out, err)
		}
		b.releaseRecord(t.Context(), b.at(t, location).Record)
		if out, err := b.redriven(t, letterOf(b.at(t, location))); err != nil || out.Execution != x.Name+"-2" {
			t.Errorf("the letter of the redrive is answered with %+v, error %v", out, err)
		}
	}
}

// A countThatLosesItsReply counts redrives, and does not say so.
type countThatLosesItsReply struct{ *brokenStore }

func (c countThatLosesItsReply) Restart(ctx context.Context, x *execution.Execution) error {
	if err := c.brokenStore.Restart(ctx, x); err != nil {
		return err
	}
	return errors.New("connection reset by peer")
}

// The execution that another event starts then has the key, and records what it brings.
func TestARedriveThatWasCountedWithoutAReplyKeepsItsKeyForTheNextOne(t *testing.T) {
	b := newLetterBench(t)
	_, x := b.failedAt(t, request("POST", "/", "prefer", "respond-async", "idempotency-key", "k"), limited)
	b.executions = countThatLosesItsReply{b.kept}
	_, err := b.redriven(t, letterOf(x))
	wantRefusal(t, err, RedriveUnavailable)
	if out, err := b.redriven(t, letterOf(x)); err != nil || out.Status != RedriveStarted {
		t.Fatalf("the next redrive is answered with %+v, error %v", out, err)
	}
	started := b.startedLast(t)
	if record, err := b.store.Get(t.Context(), started.Record.ID); err != nil || record == nil || record.Owner != started.Record.Owner {
		t.Errorf("the record is %+v, error %v, and the execution was started with %+v", record, err, started.Record)
	}
}

func TestAStartOfARedriveThatFailedIsMadeByTheNextOne(t *testing.T) {
	b := newLetterBench(t)
	_, x := b.failedAt(t, request("POST", "/orders", "prefer", "respond-async", "idempotency-key", "k"), broken)
	b.engine.err = io.ErrUnexpectedEOF
	_, err := b.redriven(t, letterOf(x))
	wantRefusal(t, err, RedriveUnavailable)
	b.engine.err = &types.ExecutionAlreadyExists{} // the reply was lost
	out, err := b.redriven(t, letterOf(x))
	if err != nil || out.Status != RedriveStarted || *b.engine.started[2].Name != x.Name+"-1" {
		t.Errorf("it is answered with %+v, error %v", out, err)
	}
	first, _ := message.Unmarshal([]byte(*b.engine.started[1].Input))
	second, _ := message.Unmarshal([]byte(*b.engine.started[2].Input))
	if *first.Record != *second.Record || first.Call.Deadline != second.Call.Deadline {
		t.Errorf("it is started with %s and then with %s", *b.engine.started[1].Input, *b.engine.started[2].Input)
	}
}

func TestARedriveThatDiedWithTheKeyIsMadeByALaterOne(t *testing.T) {
	b := newLetterBench(t)
	_, x := b.failedAt(t, request("POST", "/orders", "prefer", "respond-async", "idempotency-key", "k"), broken)
	died := *x
	if settled, err := b.acquireAgain(t.Context(), &died); settled || err != nil {
		t.Fatalf("the key is settled %v, error %v", settled, err)
	}
	_, err := b.redriven(t, letterOf(x))
	wantRefusal(t, err, RedriveKeyBusy)
	b.clock.now = b.clock.now.Add(2*time.Minute + time.Millisecond)
	if out, err := b.redriven(t, letterOf(x)); err != nil || out.Status != RedriveStarted {
		t.Errorf("it is answered with %+v, error %v", out, err)
	}
}

func TestARequestThatIsNotSafeToRepeatIsSentAgainOnlyIfThatIsSaid(t *testing.T) {
	for _, c := range []struct {
		method  string
		key     string
		attempt retry.Attempt
		safe    bool
	}{
		{"POST", "", broken, false},
		{"PATCH", "", retry.Attempt{Error: retry.ProxyInternalError, MaybeProcessed: true}, false},
		{"POST", "", limited, true},
		{"POST", "k", broken, true},
		{"PUT", "", broken, true},
		{"GET", "", broken, true},
	} {
		b := newLetterBench(t)
		fields := []string{"prefer", "respond-async"}
		if c.key != "" {
			fields = append(fields, "idempotency-key", c.key)
		}
		_, x := b.failedAt(t, request(c.method, "/orders", fields...), c.attempt)
		out, err := b.redriven(t, letterOf(x))
		if c.safe {
			if err != nil || out.Status != RedriveStarted {
				t.Errorf("%s %q after %d: %+v, error %v", c.method, c.key, c.attempt.Status, out, err)
			}
			continue
		}
		wantRefusal(t, err, RedriveUnsafe)
		if len(b.engine.started) != 1 {
			t.Errorf("%s: it is started nevertheless", c.method)
		}
		if out, err := b.redriven(t, strings.Replace(letterOf(x), "{", `{"resend":true,`, 1)); err != nil || out.Status != RedriveStarted {
			t.Errorf("%s with resend: %+v, error %v", c.method, out, err)
		}
	}
}

func TestARequestIsNotSentAgainWhoseKeyHasSettledOrIsInUse(t *testing.T) {
	b := newLetterBench(t)
	event := request("POST", "/orders", "prefer", "respond-async", "idempotency-key", "k")
	_, x := b.failedAt(t, event, broken)
	_, other := b.acceptedAt(t, event) // the caller came again
	_, err := b.redriven(t, letterOf(x))
	wantRefusal(t, err, RedriveKeyBusy)
	if now, err := b.kept.Get(t.Context(), x.Name); err != nil || now.State != execution.Failed || now.Redrives != 0 {
		t.Errorf("the execution is %+v, error %v", now, err)
	}
	b.releaseRecord(t.Context(), other.Record)
	event.Body = "another"
	b.acceptedAt(t, event) // and with another request, since the key was free
	_, err = b.redriven(t, letterOf(x))
	wantRefusal(t, err, RedriveKeyUsed)
	if len(b.engine.started) != 3 {
		t.Errorf("%d executions were started, want those of the callers", len(b.engine.started))
	}

	b = newLetterBench(t)
	_, x = b.failedAt(t, request("POST", "/orders", "prefer", "respond-async", "idempotency-key", "k"), broken)
	b.send(t, request("POST", "/orders", "idempotency-key", "k"))
	if out, err := b.redriven(t, letterOf(x)); err == nil && out.Status == RedriveStarted {
		t.Errorf("it is sent again beside the request that has the key: %+v", out)
	}
}

func TestWhatCannotBeRedrivenIsSaidWithItsReason(t *testing.T) {
	b := newLetterBench(t)
	location, x := b.failedAt(t, request("PUT", "/orders", "prefer", "respond-async"), broken)
	for members, reason := range map[string]string{
		`7`:                                 RedriveMalformed,
		`{}`:                                RedriveMalformed,
		`{"execution":"e1"}`:                RedriveMalformed,
		`{"execution":"` + x.Name + `-0"}`:  RedriveMalformed,
		`{"execution":"` + x.Name + `-01"}`: RedriveMalformed,
		`{"execution":"` + x.Name + `","item":"another#execution:` + x.Name + `"}`: RedriveMalformed,
		`{"execution":"` + strings.Repeat("0", 64) + `"}`:                          RedriveNotFound,
		`{"execution":"` + x.Name + `-1"}`:                                         RedriveNotFound,
	} {
		_, err := b.redriven(t, members)
		wantRefusal(t, err, reason)
	}
	b.goesOn(t, location, func(x *execution.Execution) { x.State, x.Answer = execution.Waiting, "" })
	_, err := b.redriven(t, letterOf(x))
	wantRefusal(t, err, RedriveRunning)
	for state, settled := range map[execution.State]bool{execution.Succeeded: true, execution.Stopped: true} {
		b.goesOn(t, location, func(x *execution.Execution) { x.State = state })
		if out, err := b.redriven(t, letterOf(x)); err != nil || (out.Status == RedriveSettled) != settled {
			t.Errorf("%s: %+v, error %v", state, out, err)
		}
	}
	if len(b.engine.started) != 1 {
		t.Errorf("%d executions were started", len(b.engine.started))
	}
	b.clock.now = b.clock.now.Add(30 * 24 * time.Hour)
	_, err = b.redriven(t, letterOf(x))
	wantRefusal(t, err, RedriveNotFound)
}

func TestAnExecutionThatStepFunctionsHasEndedCanBeRedriven(t *testing.T) {
	b := newLetterBench(t)
	_, x := b.acceptedAt(t, request("PUT", "/orders", "prefer", "respond-async"))
	b.clock.now = b.clock.now.Add(6*time.Hour + 2*time.Minute)
	if out, err := b.redriven(t, letterOf(x)); err != nil || out.Status != RedriveStarted {
		t.Errorf("%+v, error %v", out, err)
	}
	// One whose proxies were lost, too.
	b = newLetterBench(t)
	location, x := b.acceptedAt(t, request("PUT", "/orders", "prefer", "respond-async"))
	b.kept.Lose(x.Name, &message.Envelope{Outcome: retry.Failed, Error: message.ProxiesLost, Losses: &message.Losses{Count: 1, Proxy: "proxy-1", Error: "Sandbox.Timedout"}})
	if out, err := b.redriven(t, letterOf(x)); err != nil || out.Status != RedriveStarted {
		t.Errorf("%+v, error %v", out, err)
	}
	if now := b.at(t, location); now.Lost != nil || now.State != execution.Running || len(now.Earlier) != 1 {
		t.Errorf("the execution is %+v", now)
	}
}

func TestWithoutDeadLettersAMessageIsWaitedForAndWithThemItIsDoneOnceItIsAccepted(t *testing.T) {
	for _, c := range []struct {
		retention time.Duration
		body      string
		accepted  bool
	}{
		{0, `{"method":"POST","path":"/orders"}`, false},
		{time.Hour, `{"method":"POST","path":"/orders"}`, true},
		{time.Hour, `{"method":"POST","path":"/orders","headers":{"Prefer":"wait=20"}}`, false},
		{time.Hour, `{"method":"POST","path":"/orders","headers":{"Prefer":"respond-async"}}`, true},
		{time.Hour, `{"method":"POST","path":"/orders","headers":{"Prefer":"deadline=60"}}`, true},
		{0, `{"method":"POST","path":"/orders","headers":{"Prefer":"respond-async"}}`, true},
	} {
		b := newLetterBench(t)
		b.letterRetention = c.retention
		body, _ := json.Marshal(c.body)
		answer, err := b.Invoke(t.Context(), []byte(`{"Records":[{"eventSource":"aws:sqs","messageId":"m1","body":`+string(body)+`}]}`))
		if err != nil || string(answer) != `{"batchItemFailures":[]}` {
			t.Errorf("%s: the batch is answered with %s, error %v", c.body, answer, err)
		}
		if got := len(b.engine.started) == 1; got != c.accepted {
			t.Errorf("%s with letters for %v: accepted is %v", c.body, c.retention, got)
		}
	}
}

func TestAMessageCannotRedrive(t *testing.T) {
	b := newLetterBench(t)
	_, x := b.failedAt(t, request("PUT", "/orders", "prefer", "respond-async"), broken)
	body, _ := json.Marshal(`{"redrive":` + letterOf(x) + `}`)
	answer, err := b.Invoke(t.Context(), []byte(`{"Records":[{"eventSource":"aws:sqs","messageId":"m1","body":`+string(body)+`}]}`))
	if err != nil || !strings.Contains(string(answer), "m1") || len(b.engine.started) != 1 {
		t.Errorf("the batch is answered with %s, error %v", answer, err)
	}
}

func TestStoppingARequestThatWasStartedAgainStopsThatRun(t *testing.T) {
	b := newLetterBench(t)
	location, x := b.failedAt(t, request("PUT", "/orders", "prefer", "respond-async"), broken)
	if _, err := b.redriven(t, letterOf(x)); err != nil {
		t.Fatal(err)
	}
	if a := b.send(t, request("DELETE", location)); a.StatusCode != 200 || !strings.Contains(a.Body, `"sent":true`) {
		t.Errorf("it is answered with %d %s", a.StatusCode, a.Body)
	}
	if len(b.engine.stopped) != 1 || !strings.HasSuffix(*b.engine.stopped[0].ExecutionArn, ":"+x.Name+"-1") {
		t.Errorf("stopped are %+v", b.engine.stopped)
	}
}

// Objects expire by when they were written: the run that a redrive starts may take as long as the first one.
func TestARedriveWritesTheBodyInTheBucketAnew(t *testing.T) {
	b := newLetterBench(t)
	o := withBucket(b.bench)
	sent := randomBytes(2 << 20)
	_, x := b.failedAt(t, uploaded("PUT", sent, "prefer", "respond-async", "idempotency-key", "k"), limited)
	started, name := len(b.engine.started), slices.Collect(maps.Keys(o.Objects()))[0]

	o.fault = errBroken
	_, err := b.redriven(t, letterOf(x))
	wantRefusal(t, err, RedriveUnavailable)
	o.fault = fmt.Errorf("S3: %w", largebody.ErrNotFound)
	_, err = b.redriven(t, letterOf(x))
	wantRefusal(t, err, RedriveNotFound)
	if len(b.engine.started) != started {
		t.Fatal("an execution was started without its body")
	}

	o.fault, o.written = nil, nil
	if out, err := b.redriven(t, letterOf(x)); err != nil || out.Status != RedriveStarted {
		t.Fatalf("the redrive is answered with %+v, error %v: the key should be free", out, err)
	}
	if want := []string{name}; !slices.Equal(o.written, want) || !bytes.Equal(o.Objects()[name], sent) {
		t.Errorf("written were %v, want %v", o.written, want)
	}
}
