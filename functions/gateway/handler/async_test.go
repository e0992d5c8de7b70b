package handler

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A fakeAsyncEngine notes which executions it is to start and to stop.
type fakeAsyncEngine struct {
	mu      sync.Mutex
	started []*sfn.StartExecutionInput
	stopped []*sfn.StopExecutionInput
	err     error // of both
}

func (e *fakeAsyncEngine) StartExecution(_ context.Context, in *sfn.StartExecutionInput, _ ...func(*sfn.Options)) (*sfn.StartExecutionOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.started = append(e.started, in)
	return &sfn.StartExecutionOutput{}, e.err
}

func (e *fakeAsyncEngine) StopExecution(_ context.Context, in *sfn.StopExecutionInput, _ ...func(*sfn.Options)) (*sfn.StopExecutionOutput, error) {
	e.stopped = append(e.stopped, in)
	return &sfn.StopExecutionOutput{}, e.err
}

// An asyncBench is a gateway whose requests can be asynchronous.
type asyncBench struct {
	*bench
	engine *fakeAsyncEngine
	kept   *brokenStore
}

// A brokenStore fails as the test says.
type brokenStore struct {
	execution.MemoryStore
	fails func(operation string) error
}

func (s *brokenStore) Save(ctx context.Context, x *execution.Execution) error {
	if s.fails != nil {
		if err := s.fails("save"); err != nil {
			return err
		}
	}
	return s.MemoryStore.Save(ctx, x)
}

func (s *brokenStore) Create(ctx context.Context, x *execution.Execution) error {
	if s.fails != nil {
		if err := s.fails("create"); err != nil {
			return err
		}
	}
	return s.MemoryStore.Create(ctx, x)
}

func newAsyncBench(t testing.TB) *asyncBench {
	t.Helper()
	b := &asyncBench{bench: newBench(t, ends(ok)), engine: new(fakeAsyncEngine), kept: new(brokenStore)}
	b.asyncMachineARN, b.asyncDeadline, b.answerTTL = "arn:aws:states:eu-central-1:123456789012:stateMachine:orders-async:7", 6*time.Hour, 24*time.Hour
	b.asyncEngine, b.executions = b.engine, b.kept
	var err error
	b.forwarding, err = message.ForwardingFrom(func(name string) string { return map[string]string{"ASYNC": "true"}[name] })
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// accept sends a request that is accepted, and returns where it can be looked at, and what is known of it.
func (b *asyncBench) acceptedAt(t testing.TB, event events.LambdaFunctionURLRequest) (location string, x *execution.Execution) {
	t.Helper()
	response := b.send(t, event)
	location = response.Headers["location"]
	if response.StatusCode != 202 || !strings.HasPrefix(location, "/-/executions/") {
		t.Fatalf("the answer is %d %v %s, want 202", response.StatusCode, response.Headers, response.Body)
	}
	return location, b.at(t, location)
}

// at is what is known of the execution at a location.
func (b *asyncBench) at(t testing.TB, location string) *execution.Execution {
	t.Helper()
	x, err := b.kept.Get(t.Context(), execution.Name(strings.TrimPrefix(location, "/-/executions/")))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// goesOn changes an execution as a proxy does.
func (b *asyncBench) goesOn(t testing.TB, location string, change func(*execution.Execution)) {
	t.Helper()
	x := b.at(t, location)
	change(x)
	if err := b.kept.MemoryStore.Save(t.Context(), x); err != nil {
		t.Fatal(err)
	}
}

func TestAnExecutionStartsUnderTheHashOfItsIDWithReferencesOnly(t *testing.T) {
	b := newAsyncBench(t)
	event := request("POST", "/orders", "prefer", "respond-async, deadline=3600", "authorization", "Bearer canary", "idempotency-key", "canary-key")
	event.Body = "canary"
	location, x := b.acceptedAt(t, event)
	in := b.engine.started[0]
	if *in.Name != x.Name || strings.Contains(*in.Name+*in.Input, strings.TrimPrefix(location, "/-/executions/")) || strings.Contains(*in.Input, "canary") {
		t.Errorf("it is started as %s with %s", *in.Name, *in.Input)
	}
	envelope, err := message.Unmarshal([]byte(*in.Input))
	if err != nil {
		t.Fatal(err)
	}
	if envelope.Version != 2 || envelope.Start != 2 || envelope.Item != "gateway#execution:"+x.Name || envelope.Record == nil || envelope.Call.Execution != x.Name ||
		!envelope.Call.Keyed || !envelope.Call.Recorded || envelope.Call.DeadlineTime().Sub(noon) != time.Hour || len(envelope.Attempts) != 0 {
		t.Errorf("it starts with %s", *in.Input)
	}
	kept, err := b.kept.Request(t.Context(), x.Name)
	if err != nil || kept.Body != "canary" || kept.Headers["authorization"] != "Bearer canary" || kept.Headers["prefer"] != "" {
		t.Errorf("the request is kept as %+v, error %v", kept, err)
	}
	if x.State != execution.Running || x.Expiration != noon.Add(25*time.Hour).Unix()+1 || x.Method != "POST" || x.RequestID != "request-1" || x.Record == nil {
		t.Errorf("it is kept as %+v", x)
	}
	if logs := b.logs.String(); strings.Contains(logs, strings.TrimPrefix(location, "/-/executions/")) || strings.Contains(logs, "canary") {
		t.Errorf("the log is %s", logs)
	}
}

func TestAnExecutionThatCannotBeStartedSendsNothingAndFreesItsKey(t *testing.T) {
	for what, failure := range map[string]error{
		"throttled":         &types.ExecutionLimitExceeded{},
		"a broken network":  io.ErrUnexpectedEOF,
		"an internal error": errors.New("500"),
	} {
		b := newAsyncBench(t)
		b.engine.err = failure
		p := wantProblem(t, b.send(t, request("POST", "/orders", "prefer", "respond-async", "idempotency-key", "k")), 503, "engine-unavailable")
		if p.Processed != "no" {
			t.Errorf("%s: processed is %q", what, p.Processed)
		}
		x, err := b.kept.Get(t.Context(), *b.engine.started[0].Name)
		if err != nil || x.State != execution.Stopped {
			t.Errorf("%s: it is kept as %+v, error %v; a proxy would send it", what, x, err)
		}
		b.engine.err = nil
		b.acceptedAt(t, request("POST", "/orders", "prefer", "respond-async", "idempotency-key", "k"))
	}
}

func TestAStartOfWhichNobodyKnowsAndThatCannotBeTakenBackIsSaidToBeSo(t *testing.T) {
	b := newAsyncBench(t)
	b.engine.err = io.ErrUnexpectedEOF
	b.kept.fails = func(operation string) error {
		if operation == "save" {
			return errors.New("throttled")
		}
		return nil
	}
	p := wantProblem(t, b.send(t, request("POST", "/orders", "prefer", "respond-async")), 502, "engine-failed")
	if p.Processed != "unknown" {
		t.Errorf("processed is %q", p.Processed)
	}
	// If it was started, its first proxy has the key, which must not be freed under it.
	wantProblem(t, b.send(t, request("POST", "/orders", "prefer", "respond-async", "idempotency-key", "k")), 502, "engine-failed")
	envelope, err := message.Unmarshal([]byte(*b.engine.started[1].Input))
	if err != nil {
		t.Fatal(err)
	}
	record, err := b.store.Get(t.Context(), envelope.Record.ID)
	if err != nil || record == nil || record.Owner != envelope.Record.Owner || record.LeaseEnd.Sub(b.now()) > 2*time.Minute {
		t.Errorf("the record is %+v, error %v, want it locked for two minutes", record, err)
	}
}

func TestAStartThatFailedAlthoughItsFirstProxyIsAtWorkIsOne(t *testing.T) {
	b := newAsyncBench(t)
	b.engine.err = io.ErrUnexpectedEOF
	b.kept.fails = func(operation string) error {
		if operation == "save" {
			return execution.ErrChanged // by its first proxy
		}
		return nil
	}
	_, x := b.acceptedAt(t, request("POST", "/orders", "prefer", "respond-async", "idempotency-key", "k"))
	if record, err := b.store.Get(t.Context(), x.Record.ID); err != nil || record == nil || record.Owner != x.Record.Owner {
		t.Errorf("the record is %+v, error %v", record, err)
	}
}

func TestAStartWhoseReplyWasLostIsOne(t *testing.T) {
	b := newAsyncBench(t)
	b.engine.err = &types.ExecutionAlreadyExists{}
	b.acceptedAt(t, request("POST", "/orders", "prefer", "respond-async"))
}

func TestARequestThatTheTableCannotKeepIsNotStarted(t *testing.T) {
	b := newAsyncBench(t)
	b.kept.fails = func(string) error { return errors.New("throttled") }
	wantProblem(t, b.send(t, request("POST", "/orders", "prefer", "respond-async", "idempotency-key", "k")), 503, "engine-unavailable")
	b.kept.fails = nil
	event := request("POST", "/orders", "prefer", "respond-async", "idempotency-key", "k")
	event.Body = strings.Repeat(`"`, 154_000) // two bytes each as JSON
	wantProblem(t, b.send(t, event), 413, "request-too-large")
	if len(b.engine.started) != 0 {
		t.Errorf("%d executions were started", len(b.engine.started))
	}
}

func TestOnlyTheIdentityThatStartedAnExecutionIsAnswered(t *testing.T) {
	b := newAsyncBench(t)
	as := func(event events.LambdaFunctionURLRequest, user string) events.LambdaFunctionURLRequest {
		event.RequestContext.Authorizer = &events.LambdaFunctionURLRequestContextAuthorizerDescription{
			IAM: &events.LambdaFunctionURLRequestContextAuthorizerIAMDescription{AccountID: "123456789012", UserID: user, CallerID: user},
		}
		return event
	}
	location, x := b.acceptedAt(t, as(request("POST", "/orders", "prefer", "respond-async"), "AIDAALICE"))
	if x.Caller == "" || strings.Contains(x.Caller, "ALICE") {
		t.Errorf("the caller is kept as %q", x.Caller)
	}
	for _, user := range []string{"AIDABOB", ""} {
		for _, c := range [][2]string{{"GET", location}, {"GET", location + "/response"}, {"DELETE", location}} {
			event := request(c[0], c[1])
			if user != "" {
				event = as(event, user)
			}
			wantProblem(t, b.send(t, event), 404, "execution-not-found")
		}
	}
	if response := b.send(t, as(request("GET", location), "AIDAALICE")); response.StatusCode != 200 {
		t.Errorf("whoever started it is answered with %d", response.StatusCode)
	}
	if len(b.engine.stopped) != 0 {
		t.Error("somebody else has stopped it")
	}
}

func TestWhoeverKnowsTheIDOfAnonymousExecutionsIsAnsweredUntilItExpires(t *testing.T) {
	b := newAsyncBench(t)
	location, _ := b.acceptedAt(t, request("POST", "/orders", "prefer", "respond-async", "authorization", "Bearer of-an-hour"))
	if response := b.send(t, request("GET", location)); response.StatusCode != 200 || response.Headers["cache-control"] != "no-store" {
		t.Errorf("without the token it is answered with %d", response.StatusCode)
	}
	b.clock.now = noon.Add(30*time.Hour + 2*time.Second) // the deadline, and a day; DynamoDB may be late with deleting it
	wantProblem(t, b.send(t, request("GET", location)), 404, "execution-not-found")
}

func TestAnExecutionThatWasEndedFromOutsideHasFailed(t *testing.T) {
	for begun, name := range map[bool]string{false: "no-answer", true: "outcome-unknown"} {
		b := newAsyncBench(t)
		location, _ := b.acceptedAt(t, request("POST", "/orders", "prefer", "respond-async"))
		if begun {
			b.goesOn(t, location, func(x *execution.Execution) { x.Begun = &execution.Begun{At: noon.UnixMilli()} })
		}
		b.clock.now = noon.Add(6*time.Hour + time.Minute)
		wantProblem(t, b.send(t, request("GET", location+"/response")), 409, "execution-running")
		b.clock.now = b.clock.now.Add(time.Millisecond)
		wantProblem(t, b.send(t, request("GET", location+"/response")), 504, name)
		if status := b.send(t, request("GET", location)); !strings.Contains(status.Body, `"status":"failed"`) {
			t.Errorf("the status is %s", status.Body)
		}
	}
}

func TestLossesThatNoProxyWasLeftToJudgeAreJudgedWhenSomebodyAsks(t *testing.T) {
	for begun, name := range map[bool]string{false: "no-answer", true: "outcome-unknown"} {
		b := newAsyncBench(t)
		location, x := b.acceptedAt(t, request("POST", "/orders", "prefer", "respond-async"))
		if begun {
			b.goesOn(t, location, func(x *execution.Execution) { x.Begun = &execution.Begun{At: noon.UnixMilli()} })
		}
		losses := &message.Losses{Count: 1, Allowed: 0, Proxy: "proxy-2", Error: "States.Timeout", Before: &message.Losses{}}
		b.kept.Lose(x.Name, &message.Envelope{Version: 2, Outcome: retry.Again, Call: &message.Call{Execution: x.Name, Deadline: x.Deadline}, Losses: losses})
		p := wantProblem(t, b.send(t, request("GET", location+"/response")), 504, name)
		if len(p.Attempts) != 1 || p.Attempts[0].Proxy != "proxy-2" || p.Attempts[0].MaybeProcessed != begun {
			t.Errorf("the attempts are %+v", p.Attempts)
		}
	}
}

func TestAnExecutionIsStoppedUnlessAnAttemptIsUnderWay(t *testing.T) {
	for begun, sent := range map[bool]bool{false: false, true: true} {
		b := newAsyncBench(t)
		location, x := b.acceptedAt(t, request("POST", "/orders", "prefer", "respond-async", "idempotency-key", "k"))
		if begun {
			b.goesOn(t, location, func(x *execution.Execution) { x.Begun = &execution.Begun{At: noon.UnixMilli()} })
		}
		response := b.send(t, request("DELETE", location))
		var told struct {
			Status string
			Sent   *bool
		}
		if err := json.Unmarshal([]byte(response.Body), &told); err != nil || response.StatusCode != 200 || told.Status != "stopped" || told.Sent == nil || *told.Sent != sent {
			t.Errorf("it is answered with %d %s", response.StatusCode, response.Body)
		}
		if (len(b.engine.stopped) == 1) == begun {
			t.Errorf("with an attempt under way %t, %d executions are stopped", begun, len(b.engine.stopped))
		}
		if !begun && *b.engine.stopped[0].ExecutionArn != "arn:aws:states:eu-central-1:123456789012:execution:orders-async:"+x.Name {
			t.Errorf("%s is stopped", *b.engine.stopped[0].ExecutionArn)
		}
		record, err := b.store.Get(t.Context(), x.Record.ID)
		if err != nil || (record != nil && record.Status == idempotency.InProgress) != begun {
			t.Errorf("with an attempt under way %t, the record is %+v, error %v", begun, record, err)
		}
		gone := wantProblem(t, b.send(t, request("GET", location+"/response")), 410, "execution-stopped")
		if want := map[bool]string{false: "no", true: "unknown"}[sent]; gone.Processed != want {
			t.Errorf("processed is %q, want %q", gone.Processed, want)
		}
	}
}

func TestAnExecutionThatGoesOnWhileItIsStoppedIsStoppedAllTheSame(t *testing.T) {
	b := newAsyncBench(t)
	location, _ := b.acceptedAt(t, request("POST", "/orders", "prefer", "respond-async"))
	once := true
	b.kept.fails = func(operation string) error {
		if operation == "save" && once {
			once = false
			b.goesOn(t, location, func(x *execution.Execution) {
				x.State, x.WaitingUntil = execution.Waiting, noon.Add(time.Hour).UnixMilli()
			})
		}
		return nil
	}
	if response := b.send(t, request("DELETE", location)); response.StatusCode != 200 || b.at(t, location).State != execution.Stopped {
		t.Errorf("it is answered with %d %s", response.StatusCode, response.Body)
	}
}

func TestWhatHasEndedCannotBeStopped(t *testing.T) {
	b := newAsyncBench(t)
	location, x := b.acceptedAt(t, request("POST", "/orders", "prefer", "respond-async"))
	part, err := b.kept.PutAnswer(t.Context(), x.Name, 1, ok, 0)
	if err != nil {
		t.Fatal(err)
	}
	b.goesOn(t, location, func(x *execution.Execution) { x.State, x.Answer = execution.Succeeded, part })
	wantProblem(t, b.send(t, request("DELETE", location)), 409, "execution-ended")
	if response := b.send(t, request("GET", location+"/response")); response.StatusCode != 200 || response.Body != "hello" {
		t.Errorf("the response is %d %s", response.StatusCode, response.Body)
	}
}

func TestWhoeverLooksAgainIsToldWhen(t *testing.T) {
	b := newAsyncBench(t)
	location, _ := b.acceptedAt(t, request("POST", "/orders", "prefer", "respond-async"))
	for wait, retryAfter := range map[time.Duration]string{90 * time.Second: "90", 5 * time.Hour: "300", -time.Second: "1"} {
		b.goesOn(t, location, func(x *execution.Execution) {
			x.State, x.WaitingUntil = execution.Waiting, noon.Add(wait).UnixMilli()
		})
		if response := b.send(t, request("GET", location+"/response")); response.Headers["retry-after"] != retryAfter {
			t.Errorf("with %v to wait, Retry-After is %s, want %s", wait, response.Headers["retry-after"], retryAfter)
		}
	}
}

func TestALongPollEndsWithItsTimeOrWithTheExecution(t *testing.T) {
	b := newAsyncBench(t)
	location, x := b.acceptedAt(t, request("POST", "/orders", "prefer", "respond-async"))
	response := b.send(t, request("GET", location, "prefer", "wait=40"))
	if passed := b.clock.Now().Sub(noon); passed != 40*time.Second || response.Headers["preference-applied"] != "wait=40" || !strings.Contains(response.Body, `"running"`) {
		t.Errorf("after %v the answer is %v %s", passed, response.Headers, response.Body)
	}
	part, err := b.kept.PutAnswer(t.Context(), x.Name, 1, ok, 0)
	if err != nil {
		t.Fatal(err)
	}
	b.goesOn(t, location, func(x *execution.Execution) { x.State, x.Answer = execution.Succeeded, part })
	before := b.clock.Now()
	if response := b.send(t, request("GET", location+"/response", "prefer", "wait=40")); response.Body != "hello" || b.clock.Now() != before {
		t.Errorf("after %v the answer is %s", b.clock.Now().Sub(before), response.Body)
	}
}

func TestADuplicateOfAnExecutionThatWasNeverStartedIsToldToComeAgain(t *testing.T) {
	b := newAsyncBench(t)
	event := request("POST", "/orders", "prefer", "respond-async", "idempotency-key", "k")
	_, x := b.acceptedAt(t, event)
	if err := b.kept.Delete(t.Context(), x.Name); err != nil { // as if the gateway had died before it was written
		t.Fatal(err)
	}
	wantProblem(t, b.send(t, event), 409, "idempotency-key-in-use")
	b.clock.now = noon.Add(2*time.Minute + time.Millisecond) // the lease has ended
	if location, again := b.acceptedAt(t, event); again.Name == x.Name || location == "" {
		t.Error("the key is not free after that")
	}
}
