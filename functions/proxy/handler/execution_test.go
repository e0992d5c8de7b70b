package handler

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// kept is what is kept of one asynchronous request, in memory. before and after are asked about each operation: their error is
// that of the operation, after which it has had no effect, or all of it.
type kept struct {
	execution.MemoryStore
	t      testing.TB
	before func(operation string) error
	after  func(operation string) error
	lost   bool // the record has another owner
	held   time.Time
}

func (k *kept) do(operation string, effect func() error) error {
	if k.before != nil {
		if err := k.before(operation); err != nil {
			return err
		}
	}
	if err := effect(); err != nil {
		return err
	}
	if k.after != nil {
		return k.after(operation)
	}
	return nil
}

func (k *kept) Get(ctx context.Context, name string) (x *execution.Execution, err error) {
	return x, k.do("get", func() error { x, err = k.MemoryStore.Get(ctx, name); return err })
}

func (k *kept) Save(ctx context.Context, x *execution.Execution) error {
	return k.do("save", func() error { return k.MemoryStore.Save(ctx, x) })
}

func (k *kept) Request(ctx context.Context, name string) (r *message.Request, err error) {
	return r, k.do("request", func() error { r, err = k.MemoryStore.Request(ctx, name); return err })
}

func (k *kept) HoldRecord(_ context.Context, _ message.Record, until time.Time) error {
	return k.do("hold", func() error {
		if k.lost {
			return execution.ErrChanged
		}
		k.held = until
		return nil
	})
}

func (k *kept) PutAnswer(ctx context.Context, name string, number int, answer *message.Envelope, expiration int64) (part string, err error) {
	return part, k.do("answer", func() error {
		part, err = k.MemoryStore.PutAnswer(ctx, name, number, answer, expiration)
		return err
	})
}

func (k *kept) Answer(ctx context.Context, part string) (answer *message.Envelope, err error) {
	return answer, k.do("read answer", func() error { answer, err = k.MemoryStore.Answer(ctx, part); return err })
}

// now is the execution as it is.
func (k *kept) now() *execution.Execution {
	k.t.Helper()
	x, err := k.MemoryStore.Get(context.Background(), "e1")
	if err != nil {
		k.t.Fatal(err)
	}
	return x
}

// change changes the execution as somebody else would.
func (k *kept) change(to func(*execution.Execution)) {
	k.t.Helper()
	x := k.now()
	to(x)
	if err := k.MemoryStore.Save(context.Background(), x); err != nil {
		k.t.Fatal(err)
	}
}

// answer is what was kept of an answer; nil if nothing was.
func (k *kept) answer(part string) *message.Envelope {
	answer, _ := k.MemoryStore.Answer(context.Background(), part)
	return answer
}

// keeping makes a bench whose asynchronous requests are kept in memory, with one request that has an hour.
func keeping(t testing.TB, url string, r message.Request) (*bench, *kept, message.Envelope) {
	b := newBench(t, url)
	k := &kept{t: t}
	x := &execution.Execution{
		Name: "e1", State: execution.Running, Method: r.Method, RequestID: "request-1",
		Deadline: b.Now().Add(time.Hour).UnixMilli(), Expiration: b.Now().Add(25 * time.Hour).Unix(),
	}
	if err := errors.Join(k.Create(t.Context(), x), k.PutRequest(t.Context(), x.Name, &r, x.Expiration)); err != nil {
		t.Fatal(err)
	}
	b.executions = k
	call := &message.Call{Request: r, Execution: "e1", RequestID: "request-1", Deadline: x.Deadline}
	return b, k, *message.ToProxy(call, b.policy, nil, 0).ByReference()
}

var order = message.Request{Method: http.MethodPost, Path: "/orders", Body: "tea"}

func TestAnAttemptForAnAsynchronousRequestIsWrittenDownBeforeItIsMadeAndAfter(t *testing.T) {
	t.Parallel()
	var k *kept
	b, k, in := keeping(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if x := k.now(); x.State != execution.Running || !x.UnderWay() {
			t.Errorf("while the attempt is made, the execution is %+v", x)
		}
		w.Header().Set("Retry-After", "1800")
		w.WriteHeader(http.StatusServiceUnavailable)
	}), order)
	out := b.invoke(t, in)
	if out.Outcome != retry.Again || out.WaitSeconds < 1800 || out.Version != 2 || len(out.Attempts) != 0 || out.Call.Request.Method != "" || out.Call.Made != 1 {
		t.Errorf("the state machine is told %+v with the call %+v", out, out.Call)
	}
	if x := k.now(); x.State != execution.Waiting || x.UnderWay() || len(x.Attempts) != 1 || !x.Sent() ||
		time.UnixMilli(x.WaitingUntil).Before(b.Now().Add(30*time.Minute)) {
		t.Errorf("the execution is %+v", x)
	}
}

func TestAnAnswerIsKeptAndTheStateMachineIsToldWhere(t *testing.T) {
	t.Parallel()
	b, k, in := keeping(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "made") }), order)
	out := b.invoke(t, in)
	if out.Outcome != retry.Succeeded || out.Stored != "answer:e1:1" || out.Body != "" || out.StatusCode != 0 {
		t.Errorf("the state machine is told %+v", out)
	}
	if x := k.now(); x.State != execution.Succeeded || x.Answer != out.Stored || k.answer(out.Stored).Body != "made" {
		t.Errorf("the execution is %+v, and the answer %+v", x, k.answer(out.Stored))
	}
}

func TestAProxyThatComesAfterALostReplyGoesOnWhereTheOtherEnded(t *testing.T) {
	t.Parallel()
	sent := 0
	answers := []int{503, 200}
	b, k, in := keeping(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if answers[sent] == 503 {
			w.Header().Set("Retry-After", "600")
		}
		w.WriteHeader(answers[sent])
		sent++
	}), order)
	b.invoke(t, in) // the reply is lost
	lost := in
	lost.Losses = &message.Losses{Count: 1, Allowed: 2, Proxy: "proxy-1", Error: "Lambda.Unknown", Before: in.Losses}
	out := b.invoke(t, lost)
	if out.Outcome != retry.Again || out.WaitSeconds < 599 || sent != 1 || out.Losses.Count != 0 || out.Call.Made != 1 || len(k.now().Attempts) != 1 {
		t.Errorf("after %d calls the state machine is told %+v, want the wait that the other had in mind", sent, out)
	}
	b.Sleep(t.Context(), 11*time.Minute)
	final := b.invoke(t, *out)
	if final.Outcome != retry.Succeeded || sent != 2 {
		t.Fatalf("after %d calls the outcome is %s", sent, final.Outcome)
	}
	again := *out
	again.Losses = &message.Losses{Count: 1, Allowed: 2, Proxy: "proxy-1", Error: "Lambda.Unknown", Before: out.Losses}
	if repeated := b.invoke(t, again); repeated.Outcome != retry.Succeeded || repeated.Stored != final.Stored || sent != 2 {
		t.Errorf("after the lost reply with the answer, %d calls were made and the state machine is told %+v", sent, repeated)
	}
}

func TestALostProxyHasSentNothingUnlessItHadBegun(t *testing.T) {
	t.Parallel()
	for _, begun := range []bool{false, true} {
		sent := 0
		b, k, in := keeping(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { sent++ }), order)
		if begun {
			k.change(func(x *execution.Execution) { x.Begun = &execution.Begun{At: b.Now().UnixMilli()} })
		}
		in.Losses = &message.Losses{Count: 1, Allowed: 2, Proxy: "proxy-1", Error: "States.Timeout", Before: in.Losses}
		out := b.invoke(t, in)
		if want := map[bool]retry.Outcome{false: retry.Succeeded, true: retry.Failed}[begun]; out.Outcome != want || begun == (sent == 1) {
			t.Errorf("with a proxy lost that had begun %t, %d requests were sent and the outcome is %s, want %s", begun, sent, out.Outcome, want)
		}
	}
}

func TestAProxyOfAnExecutionThatWasStoppedSendsNothing(t *testing.T) {
	t.Parallel()
	sent := 0
	b, k, in := keeping(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { sent++ }), order)
	k.change(func(x *execution.Execution) { x.State = execution.Stopped })
	if out := b.invoke(t, in); out.Outcome != retry.Failed || out.Error != message.Stopped || sent != 0 {
		t.Errorf("%d requests were sent, and the state machine is told %+v", sent, out)
	}
}

func TestAProxyThatIsOvertakenSendsNothing(t *testing.T) {
	t.Parallel()
	sent := 0
	b, k, in := keeping(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { sent++ }), order)
	k.after = func(operation string) error {
		if operation == "request" {
			k.change(func(*execution.Execution) {})
		}
		return nil
	}
	if _, err := b.Handle(t.Context(), in); !errors.Is(err, errOvertaken) || sent != 0 {
		t.Errorf("%d requests were sent, error %v", sent, err)
	}
}

func TestTheFirstAttemptLocksTheRecordAndIsNotMadeIfAnotherHasTheKey(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		sent := 0
		b, k, in := keeping(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { sent++ }), order)
		k.lost = lost
		k.change(func(x *execution.Execution) { x.Record = &message.Record{ID: "r", Owner: "me"} })
		out := b.invoke(t, in)
		if !lost && (sent != 1 || !k.held.Equal(time.UnixMilli(k.now().Deadline).Add(30*time.Second))) {
			t.Errorf("%d requests were sent, and the record is locked until %v", sent, k.held)
		}
		if lost && (sent != 0 || out.Outcome != retry.Failed || out.Error != message.Superseded || k.now().State != execution.Failed) {
			t.Errorf("%d requests were sent, and the state machine is told %+v", sent, out)
		}
	}
}

func TestAWaitOfAnAsynchronousRequestIsBoundedByItsDeadlineOnly(t *testing.T) {
	t.Parallel()
	for seconds, outcome := range map[string]retry.Outcome{"3000": retry.Again, "3700": retry.Failed} {
		b, _, in := keeping(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", seconds)
			w.WriteHeader(http.StatusTooManyRequests)
		}), message.Request{Method: http.MethodGet, Path: "/", Headers: map[string]string{"authorization": "Bearer x"}})
		if out := b.invoke(t, in); out.Outcome != outcome {
			t.Errorf("after a Retry-After of %s seconds the outcome is %s, want %s", seconds, out.Outcome, outcome)
		}
	}
}

// errCrash is what a proxy that has crashed gets from everything that it asks.
var errCrash = errors.New("crashed")

// TestNoScheduleOfFaultsDoublesAnEffect plays the state machine, with proxies that crash before or after any of their writes,
// replies that are lost, and a table that fails, against an upstream that answers as it likes.
func TestNoScheduleOfFaultsDoublesAnEffect(t *testing.T) {
	t.Parallel()
	var plays, faults, crashes, succeeded, unknown int
	rapid.Check(t, func(rt *rapid.T) {
		type turn struct {
			status int // 0 resets the connection after the request was read
			effect bool
		}
		var turns []turn
		draw := func() turn {
			status := rapid.SampledFrom([]int{201, 201, 429, 500, 503, 0}).Draw(rt, "status")
			effect := status == 201 || (status == 500 || status == 0) && rapid.Bool().Draw(rt, "effect")
			return turn{status, effect}
		}
		keyed := rapid.Bool().Draw(rt, "keyed")
		var mu sync.Mutex
		upcoming := draw()
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			mu.Lock()
			now := upcoming
			turns = append(turns, now)
			mu.Unlock()
			switch now.status {
			case 0:
				panic(http.ErrAbortHandler)
			case 429, 503:
				w.Header().Set("Retry-After", "5")
			}
			w.WriteHeader(now.status)
		})
		b, k, envelope := keeping(t, url, order)
		b.policy.NetworkFailures.Base, b.policy.NetworkFailures.Max = time.Millisecond, time.Millisecond
		envelope.Call.Keyed = keyed
		crashed := false
		fault := func(moment string) func(string) error {
			return func(operation string) error {
				if crashed {
					return errCrash
				}
				switch rapid.IntRange(0, 49).Draw(rt, moment+" "+operation) {
				case 17: // small numbers are drawn more often
					crashed = true
					crashes++
					return errCrash
				case 23:
					faults++
					return errors.New("throttled")
				}
				return nil
			}
		}
		k.before, k.after = fault("before"), fault("after")

		lost := func(code string) bool {
			next := envelope
			next.WaitSeconds, next.SleepMilliseconds = 0, 0
			next.Losses = &message.Losses{Count: envelope.Losses.Count + 1, Allowed: envelope.Losses.Allowed, Proxy: "proxy-1", Error: code, Before: envelope.Losses}
			envelope = next
			return envelope.Losses.Count <= envelope.Losses.Allowed
		}
		var final *message.Envelope
		for range 40 {
			crashed = false
			mu.Lock()
			upcoming = draw()
			mu.Unlock()
			b.Sleep(t.Context(), time.Duration(envelope.WaitSeconds)*time.Second)
			out, err := b.Handle(t.Context(), *carried(t, &envelope))
			if err == nil && rapid.IntRange(0, 19).Draw(rt, "reply") == 7 {
				err = errCrash
			}
			if err != nil {
				if !lost("Lambda.Unknown") {
					break
				}
				continue
			}
			envelope = *carried(t, out)
			if out.Outcome != retry.Again {
				final = out
				break
			}
		}

		mu.Lock()
		defer mu.Unlock()
		plays++
		effects := 0
		for i, now := range turns {
			mayHave := now.status == 500 || now.status == 0 || now.status == 201
			if mayHave && i < len(turns)-1 && !keyed {
				rt.Fatalf("a request that is not safe to repeat went out again after %d: %v", now.status, turns)
			}
			if now.effect {
				effects++
			}
		}
		if effects > 1 && !keyed {
			rt.Fatalf("%d effects: %v", effects, turns)
		}
		k.before, k.after = nil, nil
		x := k.now()
		switch {
		case final == nil: // given up; whoever asks has the losses judged
			unknown++
		case final.Outcome == retry.Succeeded:
			succeeded++
			if answer := k.answer(final.Stored); answer == nil || answer.StatusCode != 201 || x.State != execution.Succeeded {
				rt.Fatalf("it has succeeded, with the answer %+v and the execution %+v", answer, x)
			}
		default:
			if x.State != execution.Failed || k.answer(x.Answer) == nil {
				rt.Fatalf("it has failed, and the execution is %+v", x)
			}
			if effects > 0 && !slices.ContainsFunc(x.Attempts, func(a retry.Attempt) bool { return a.MaybeProcessed }) {
				rt.Fatalf("an effect that nobody is told of: %v, %+v", turns, x.Attempts)
			}
		}
	})
	t.Logf("%d schedules with %d faults and %d crashes: %d succeeded, %d were given up, 0 effects doubled", plays, faults, crashes, succeeded, unknown)
}

func TestAProxyThatWasCalledBeforeARedriveSendsNothingAfterIt(t *testing.T) {
	t.Parallel()
	sent := 0
	b, k, in := keeping(t, serve(t, func(http.ResponseWriter, *http.Request) { sent++ }), order)
	k.change(func(x *execution.Execution) { x.Redrives = 1 })
	if out, err := b.Handle(t.Context(), in); !errors.Is(err, errOvertaken) || sent != 0 {
		t.Errorf("it sends %d requests and answers %+v, error %v", sent, out, err)
	}
	in.Call.Redrive = 1
	if out, err := b.Handle(t.Context(), in); err != nil || out.Outcome != retry.Succeeded || sent != 1 {
		t.Errorf("that of the redrive sends %d requests and answers %+v, error %v", sent, out, err)
	}
}

func TestWhatARequestFailedByIsToldInShort(t *testing.T) {
	t.Parallel()
	b, _, in := keeping(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Canary", "canary")
		http.Error(w, "canary", http.StatusInternalServerError)
	}), order)
	out := b.invoke(t, in)
	if out.Outcome != retry.Failed || out.Summary == nil || out.Summary.Reason != retry.UnsafeToRepeat || !slices.Equal(out.Summary.Answers, []string{"500"}) || !out.Summary.MaybeProcessed {
		t.Errorf("the state machine is told %+v with %+v", out, out.Summary)
	}
}

func TestAnAttemptOfBeforeARedriveChangesNothingOfWhatWasStoppedAfterIt(t *testing.T) {
	t.Parallel()
	var k *kept
	b, k, in := keeping(t, serve(t, func(http.ResponseWriter, *http.Request) {
		k.change(func(x *execution.Execution) { x.Redrives, x.State, x.Begun = 1, execution.Stopped, nil })
	}), order)
	if out, err := b.Handle(t.Context(), in); !errors.Is(err, errOvertaken) {
		t.Errorf("it answers %+v, error %v", out, err)
	}
	if x := k.now(); x.Answer != "" || len(x.Attempts) != 0 || x.Revision != 3 {
		t.Errorf("the execution is %+v", x)
	}
}
