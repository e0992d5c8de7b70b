package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/dynamostore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/watchedgate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// ordersScope is the scope of requests for orders without a credential, and ordersItem the id of its item.
const (
	ordersScope = "anonymous.%2Forders"
	ordersItem  = "gate#gateway#" + ordersScope + "#0"
)

// A gateBench is a gateway with a gate. What its gate does beside a request, it does at once.
type gateBench struct {
	*bench
	store       *watchedgate.Store
	lot         float64 // what the gate draws
	interrupted error   // of each sleep at the gate
}

var adaptive = message.Gate{FlowControl: message.GateFlowControl{Mode: gate.Adaptive}}

func (b *bench) withGate(t testing.TB, g message.Gate) *gateBench {
	t.Helper()
	gated := &gateBench{bench: b, store: &watchedgate.Store{ID: ordersItem}, lot: 0.5}
	settings, key, err := g.Settings(b.policy)
	if err != nil {
		t.Fatal(err)
	}
	b.settings.gate = &message.GateSetup{Settings: settings, Key: key}
	b.gate, err = gate.New(gated.store, settings, gate.WithPrefix(b.recordPrefix), gate.WithClock(gated),
		gate.WithRandom(func() float64 { return gated.lot }),
		gate.WithBeside(func(ctx context.Context, do func(context.Context)) { do(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	return gated
}

// Now and Sleep are those of the gate's clock.
func (b *gateBench) Now() time.Time { return b.clock.Now() }

func (b *gateBench) Sleep(ctx context.Context, d time.Duration) error {
	if b.interrupted != nil {
		return b.interrupted
	}
	return b.clock.Sleep(ctx, d)
}

// queue is an item of which so many tickets wait, and have their time at a rate per second.
func (b *gateBench) queue(waiting int64, perSecond float64) gate.Item {
	return watchedgate.Queue(b.clock.Now(), waiting, perSecond)
}

// open is an item of an outage that nobody has announced, which began 10 s ago, and of which somebody has just tried whether it
// is over.
func (b *gateBench) open(waiting int64) gate.Item {
	return watchedgate.Outage(b.clock.Now(), waiting, 4)
}

func (b *bench) forget() { b.logs = bytes.Buffer{} }

func TestAThousandRequestsOnAHealthyWayWriteNothingAndLookOncePerSecond(t *testing.T) {
	t.Parallel()
	engine := ends(ok)
	b := newBench(t, engine).withGate(t, adaptive)
	b.lot = 0 // so that it would vote
	for range 1000 {
		response := b.send(t, request("GET", "/orders"))
		if response.StatusCode != 200 || strings.Contains(response.Headers["proxy-status"], "gate") {
			t.Fatalf("the answer is %d, with Proxy-Status: %s", response.StatusCode, response.Headers["proxy-status"])
		}
		b.clock.Sleep(t.Context(), 10*time.Millisecond)
	}
	asked := b.store.Asked()
	looks := 0
	for _, operation := range asked {
		if operation == "get" {
			looks++
		}
	}
	if looks < len(asked) || looks < 2 || looks > 10 {
		t.Errorf("1,000 requests in 10 s look %d times and make %d updates, want at most 10 looks and no update", looks, len(asked)-looks)
	}
	if got := b.clock.Now().Sub(noon); got != 10*time.Second {
		t.Errorf("they are held up for %v", got-10*time.Second)
	}
	if strings.Contains(b.logs.String(), `"msg":"gate"`) {
		t.Error("metrics are written of a gate that did nothing")
	}
	want := &message.GatePass{Scope: ordersScope, State: gate.State{Inside: true}}
	if diff := cmp.Diff(want, engine.call(t).Gate); diff != "" {
		t.Errorf("the proxies are told something else of the visit (-want +got):\n%s", diff)
	}
}

func TestAStoreThatFailsHoldsUpNoRequest(t *testing.T) {
	t.Parallel()
	engine := ends(ok)
	b := newBench(t, engine).withGate(t, adaptive)
	b.store.Put(b.queue(400, 10))
	b.store.Before = func(string) error { return errors.New("throttled") }
	for range 5 {
		if response := b.send(t, request("GET", "/orders")); response.StatusCode != 200 || strings.Contains(response.Headers["proxy-status"], "gate") {
			t.Errorf("the answer is %d with %v", response.StatusCode, response.Headers)
		}
	}
	if len(engine.inputs) != 5 || !b.clock.Now().Equal(noon) {
		t.Errorf("%d executions were started in %v, want 5 at once", len(engine.inputs), b.clock.Now().Sub(noon))
	}
}

func TestARequestThatFindsNoPlaceIsRefusedUncalledWithTheTrueRetryAfterAndItsKeyFree(t *testing.T) {
	t.Parallel()
	few := adaptive
	few.FlowControl.MaxWaiting = 5
	for name, c := range map[string]struct {
		gate       message.Gate
		item       func(*gateBench) gate.Item
		prefer     string
		status     int
		problem    string
		retryAfter string
		says       string
	}{
		"all places are taken": {
			few, func(b *gateBench) gate.Item { return b.queue(5, 0.7) }, "", // 5 / 0.7 = 7.143 s
			429, "flow-control-queue-full", "8", "gate; error=http_request_denied",
		},
		"its turn comes after its deadline": {
			adaptive, func(b *gateBench) gate.Item { return b.queue(70, 10) }, "wait=5",
			429, "flow-control-queue-full", "7", "gate; error=http_request_denied",
		},
		"the upstream has said when to come again": {
			adaptive, func(b *gateBench) gate.Item {
				i := b.queue(0, 10)
				i.Since, i.RoundStart = i.Since+90_001, i.Since+90_001
				return i
			}, "",
			429, "flow-control-queue-full", "91", "gate; error=http_request_denied",
		},
		"nearly every call fails": {
			few, func(b *gateBench) gate.Item { return b.open(5) }, "", // 5 in 10 s come, and 0.75 a second are let go: 6.667 s
			503, "circuit-open", "7", "gate; error=destination_unavailable",
		},
	} {
		b, engine := newRecordingBench(t, message.Response{StatusCode: 201, Body: "made"})
		gated := b.withGate(t, c.gate)
		gated.store.Put(c.item(gated))
		event := keyed("k", "tea")
		if c.prefer != "" {
			event.Headers["prefer"] = c.prefer
		}
		response := b.send(t, event)
		d := wantProblem(t, response, c.status, c.problem)
		if response.Headers["retry-after"] != c.retryAfter || response.Headers["proxy-status"] != c.says {
			t.Errorf("%s: Retry-After: %s, Proxy-Status: %s, want %s and %s", name, response.Headers["retry-after"], response.Headers["proxy-status"], c.retryAfter, c.says)
		}
		if d.Processed != "no" || !strings.HasSuffix(d.Detail, "The upstream was not called.") || len(engine.inputs) != 0 {
			t.Errorf("%s: %d executions were started, and the problem says %+v", name, len(engine.inputs), d)
		}
		if !strings.Contains(b.logs.String(), `"GateRefused":1`) || strings.Contains(b.logs.String(), `"GateWait"`) {
			t.Errorf("%s: the metrics are %s", name, &b.logs)
		}
		// Whoever comes again with the key, when there is nobody else, is let in, and has the answer recorded.
		gated.store.Put(gate.Item{})
		b.clock.Sleep(t.Context(), 10*time.Second)
		if again := b.send(t, event); again.StatusCode != 201 || len(engine.inputs) != 1 {
			t.Errorf("%s: the key is not free: it is answered with %d %s after %d executions", name, again.StatusCode, again.Body, len(engine.inputs))
		}
	}
}

// A releasedStore counts the records that the gateway frees. The state machine frees them in the Store behind it.
type releasedStore struct {
	idempotency.Store
	byGateway int
}

func (s *releasedStore) Release(ctx context.Context, id, owner string) error {
	s.byGateway++
	return s.Store.Release(ctx, id, owner)
}

// A sandbox of a proxy that starts may know of trouble that the gateway did not know of. The state machine frees the key after an
// envelope that failed; by the time that the gateway has it, the key may be another request's.
func TestARequestThatTheProxiesTurnedAwayIsRefusedAsByTheGatewayAndItsKeyFreedOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		report     message.GateReport
		again      time.Duration
		status     int
		problem    string
		retryAfter string
		says       string
	}{
		"too many wait": {
			message.GateReport{Refused: gate.QueueFull}, 7143 * time.Millisecond,
			429, "flow-control-queue-full", "8", "gate; error=http_request_denied",
		},
		"too many wait, after a wait": {
			message.GateReport{Refused: gate.QueueFull, Waited: 12_000, Ticket: 11}, 20 * time.Second,
			429, "flow-control-queue-full", "20", "gate; error=http_request_denied",
		},
		"nearly every call fails": {
			message.GateReport{Refused: gate.CircuitOpen}, 6667 * time.Millisecond,
			503, "circuit-open", "7", "gate; error=destination_unavailable",
		},
		"the moment is over when the gateway hears of it": {
			message.GateReport{Refused: gate.QueueFull}, -time.Second,
			429, "flow-control-queue-full", "1", "gate; error=http_request_denied",
		},
	} {
		b, engine := newRecordingBench(t, message.Response{StatusCode: 201, Body: "made"})
		b.withGate(t, adaptive)
		store := &releasedStore{Store: b.store}
		b.use(t, store, b.clock)
		made := engine.end
		engine.end = func(in *message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
			if err := store.Store.Release(t.Context(), in.Record.ID, in.Record.Owner); err != nil { // by the state machine
				t.Error(err)
			}
			out := message.Failure(in.Call.RequestID, retry.DeadlineExceeded, nil)
			out.Gate, out.NotBefore = &c.report, b.clock.Now().Add(c.again).UnixMilli()
			return endedWith(out), nil
		}
		response := b.send(t, keyed("k", "tea"))
		d := wantProblem(t, response, c.status, c.problem)
		if response.Headers["retry-after"] != c.retryAfter || response.Headers["proxy-status"] != c.says {
			t.Errorf("%s: Retry-After: %s, Proxy-Status: %s, want %s and %s", name, response.Headers["retry-after"], response.Headers["proxy-status"], c.retryAfter, c.says)
		}
		if d.Processed != "no" || !strings.HasSuffix(d.Detail, "The upstream was not called.") {
			t.Errorf("%s: the problem says %+v", name, d)
		}
		if store.byGateway != 0 || strings.Contains(b.logs.String(), "could not be released") {
			t.Errorf("%s: the gateway frees the key %d times, which the state machine has done: %s", name, store.byGateway, &b.logs)
		}
		if !strings.Contains(b.logs.String(), `"GateRefused":1`) {
			t.Errorf("%s: the metrics are %s", name, &b.logs)
		}
		engine.end = made
		if again := b.send(t, keyed("k", "tea")); again.StatusCode != 201 || len(engine.inputs) != 2 {
			t.Errorf("%s: the key is not free: it is answered with %d %s after %d executions", name, again.StatusCode, again.Body, len(engine.inputs))
		}
	}
}

// Something may have been done then, so that the answer is what came of it.
func TestARequestThatWasTurnedAwayAfterAnAttemptIsNotSaidToBeUncalled(t *testing.T) {
	t.Parallel()
	envelope := message.Failure("request-1", retry.DeadlineExceeded, []retry.Attempt{{Proxy: "proxy-1", Status: 429, Kind: retry.RateLimit}})
	envelope.Gate = &message.GateReport{Refused: gate.QueueFull, Waited: 6000, Ticket: 11}
	response := newBench(t, ends(envelope)).withGate(t, adaptive).send(t, request("GET", "/orders"))
	if d := problemIn(t, response); d.Type == problemBase+"flow-control-queue-full" || strings.Contains(d.Detail, "was not called") {
		t.Errorf("after an attempt, the problem says %+v", d)
	}
}

func TestARequestThatWaitedSaysSoAtTheEndOfProxyStatus(t *testing.T) {
	t.Parallel()
	engine := ends(ok)
	b := newBench(t, engine).withGate(t, adaptive)
	b.store.Put(b.queue(31, 10))
	response := b.send(t, request("GET", "/orders"))
	if want := `proxy-1; received-status=200, gate; details="ticket 32 waited 3.1s"`; response.StatusCode != 200 || response.Headers["proxy-status"] != want {
		t.Errorf("the answer is %d with Proxy-Status: %s, want 200 with %s", response.StatusCode, response.Headers["proxy-status"], want)
	}
	if waited := b.clock.Now().Sub(noon); waited != 3100*time.Millisecond {
		t.Errorf("it is started after %v, want 3.1 s for the 31 before it", waited)
	}
	pass := engine.call(t).Gate
	if pass.Ticket != 32 || pass.Waited != 3100 || pass.State.Ticket != 32 || pass.State.Born != 77 || !pass.State.Due {
		t.Errorf("the proxies are told %+v", pass)
	}
	if start := engine.started(t).Start; start != 3 {
		t.Errorf("ticket 32 begins at proxy %d of 3, want 3", start)
	}
	if !strings.Contains(b.logs.String(), `"GateWait":3100`) || !strings.Contains(b.logs.String(), `"GateRate":10`) || !strings.Contains(b.logs.String(), `"scope":"`+ordersScope) {
		t.Errorf("the metrics are %s", &b.logs)
	}
}

func TestAWaitBehindTheProxiesIsSaidToo(t *testing.T) {
	t.Parallel()
	failed := &message.Envelope{Outcome: retry.Failed, Error: retry.DeadlineExceeded, Attempts: []retry.Attempt{{Proxy: "proxy-1", Status: 429, Kind: retry.RateLimit}}}
	for name, c := range map[string]struct {
		envelope message.Envelope
		report   *message.GateReport
		want     string
	}{
		"with a ticket":       {*ok, &message.GateReport{Waited: 12_000, Ticket: 11}, `proxy-1; received-status=200, gate; details="ticket 11 waited 12s"`},
		"without a ticket":    {*ok, &message.GateReport{Waited: 1125}, `proxy-1; received-status=200, gate; details="waited 1.125s"`},
		"of a problem":        {*failed, &message.GateReport{Waited: 40_000, Ticket: 7}, `proxy-1; received-status=429, gate; details="ticket 7 waited 40s"`},
		"a ticket in no time": {*ok, &message.GateReport{Ticket: 11}, `proxy-1; received-status=200`},
		"nothing to tell":     {*ok, nil, `proxy-1; received-status=200`},
	} {
		envelope := c.envelope
		envelope.Gate = c.report
		response := newBench(t, ends(&envelope)).withGate(t, adaptive).send(t, request("GET", "/orders"))
		if got := response.Headers["proxy-status"]; got != c.want {
			t.Errorf("%s: Proxy-Status: %s, want %s", name, got, c.want)
		}
	}
}

// Whether anything was started makes no difference: the request waited, and holds no place at the gate any more.
func TestARequestThatWaitedAndThenFailedOfItselfSaysSoToo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		out     *sfn.StartSyncExecutionOutput
		err     error
		body    int
		status  int
		problem string
	}{
		"the state machine failed":       {out: &sfn.StartSyncExecutionOutput{Status: types.SyncExecutionStatusFailed, Error: aws.String("States.Runtime")}, status: 502, problem: "engine-failed"},
		"it timed out":                   {out: &sfn.StartSyncExecutionOutput{Status: types.SyncExecutionStatusTimedOut}, status: 504, problem: "no-answer"},
		"it was refused":                 {err: &smithy.GenericAPIError{Code: "ThrottlingException"}, status: 503, problem: "engine-unavailable"},
		"the request fits into no state": {body: 300_000, status: 413, problem: "request-too-large"},
		"its output is something else":   {out: &sfn.StartSyncExecutionOutput{Status: types.SyncExecutionStatusSucceeded, Output: aws.String("tea")}, status: 502, problem: "engine-failed"},
	} {
		b := newBench(t, &fakeEngine{end: func(*message.Envelope) (*sfn.StartSyncExecutionOutput, error) { return c.out, c.err }}).withGate(t, adaptive)
		b.store.Put(b.queue(31, 10))
		event := request("GET", "/orders")
		event.Body = strings.Repeat("x", c.body)
		response := b.send(t, event)
		wantProblem(t, response, c.status, c.problem)
		if want := `gate; details="ticket 32 waited 3.1s"`; response.Headers["proxy-status"] != want {
			t.Errorf("%s: Proxy-Status: %s, want %s", name, response.Headers["proxy-status"], want)
		}
		if !strings.Contains(b.logs.String(), `"GateWait":3100`) || strings.Contains(b.logs.String(), `"GateRefused"`) {
			t.Errorf("%s: the metrics are %s", name, &b.logs)
		}
	}
}

func TestAGateThatObservesHoldsNobodyBackAndMeasuresWhatItWouldHaveDone(t *testing.T) {
	t.Parallel()
	for name, item := range map[string]func(*gateBench) gate.Item{
		"a wait":    func(b *gateBench) gate.Item { return b.queue(30, 10) },
		"an outage": func(b *gateBench) gate.Item { return b.open(5) },
	} {
		b := newBench(t, ends(ok)).withGate(t, message.Gate{FlowControl: message.GateFlowControl{Mode: gate.Observe}})
		b.store.Put(item(b))
		response := b.send(t, request("GET", "/orders"))
		if want := "proxy-1; received-status=200"; response.StatusCode != 200 || response.Headers["proxy-status"] != want || !b.clock.Now().Equal(noon) {
			t.Errorf("%s: the answer is %d after %v, with Proxy-Status: %s", name, response.StatusCode, b.clock.Now().Sub(noon), response.Headers["proxy-status"])
		}
		if !strings.Contains(b.logs.String(), `"GateWait":`) {
			t.Errorf("%s: the metrics are %s", name, &b.logs)
		}
	}
}

func TestAReplayDoesNotComeToTheGate(t *testing.T) {
	t.Parallel()
	b, engine := newRecordingBench(t, message.Response{StatusCode: 201, Body: "made"})
	gated := b.withGate(t, adaptive)
	end := engine.end
	engine.end = func(in *message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
		out, err := end(in)
		envelope := new(message.Envelope)
		if err := json.Unmarshal([]byte(*out.Output), envelope); err != nil {
			return nil, err
		}
		envelope.Gate = &message.GateReport{Waited: 2000, Ticket: 4}
		b.complete(t, in.Record, envelope) // with what the proxies said of the gate
		return endedWith(envelope), err
	}
	first := b.send(t, keyed("k", "tea"))
	if want := `proxy-1; received-status=201, gate; details="ticket 4 waited 2s"`; first.Headers["proxy-status"] != want {
		t.Fatalf("the first answer says %s", first.Headers["proxy-status"])
	}
	gated.store.Put(gated.queue(500, 0.1))
	gated.store.Asked()
	b.forget()
	b.clock.Sleep(t.Context(), 5*time.Second)
	before := b.clock.Now()
	again := b.send(t, keyed("k", "tea"))
	if again.StatusCode != 201 || again.Headers["idempotent-replayed"] != "true" || again.Headers["proxy-status"] != "proxy-1; received-status=201" {
		t.Errorf("the replay is %d with %v", again.StatusCode, again.Headers)
	}
	if asked := gated.store.Asked(); len(asked) != 0 || !b.clock.Now().Equal(before) || len(engine.inputs) != 1 {
		t.Errorf("a replay asks the store for %q and takes %v", asked, b.clock.Now().Sub(before))
	}
}

func TestARequestWhoseTimeIsUpAtTheGateIsNotStartedAndItsKeyIsFree(t *testing.T) {
	t.Parallel()
	b, engine := newRecordingBench(t, message.Response{StatusCode: 201})
	gated := b.withGate(t, adaptive)
	gated.store.Put(gated.queue(30, 10))
	gated.interrupted = context.DeadlineExceeded
	wantProblem(t, b.send(t, keyed("k", "tea")), 503, "engine-unavailable")
	if len(engine.inputs) != 0 {
		t.Errorf("%d executions were started", len(engine.inputs))
	}
	gated.interrupted = nil
	if again := b.send(t, keyed("k", "tea")); again.StatusCode != 201 {
		t.Errorf("whoever comes again with the key is answered with %d %s", again.StatusCode, again.Body)
	}
}

func TestTheGatewayVotesForWhatSucceededUnlessTheProxiesHaveToldIt(t *testing.T) {
	t.Parallel()
	failed := &message.Envelope{Outcome: retry.Failed, Error: retry.UnsafeToRepeat, Response: message.Response{StatusCode: 500}, Attempts: []retry.Attempt{{Proxy: "proxy-1", Status: 500}}}
	missing := &message.Envelope{Outcome: retry.Succeeded, Response: message.Response{StatusCode: 404}, Attempts: []retry.Attempt{{Proxy: "proxy-1", Status: 404}}}
	for name, c := range map[string]struct {
		envelope *message.Envelope
		item     func(*gateBench) gate.Item
		votes    bool
	}{
		"a success":                              {ok, func(b *gateBench) gate.Item { return b.queue(0, 10) }, true},
		"a 404":                                  {missing, func(b *gateBench) gate.Item { return b.queue(0, 10) }, true},
		"a failure, of which the proxies told":   {failed, func(b *gateBench) gate.Item { return b.queue(0, 10) }, false},
		"the probe, of which the proxies told":   {ok, func(b *gateBench) gate.Item { i := b.open(1); i.Probe = 1; return i }, false},
		"a success while nothing is known wrong": {ok, func(*gateBench) gate.Item { return gate.Item{} }, false},
	} {
		b := newBench(t, ends(c.envelope)).withGate(t, adaptive)
		i := c.item(b)
		if i.Version > 0 {
			i.Failures, i.FailuresSince = 5, noon.Add(-500*time.Millisecond).UnixMilli()
		}
		b.store.Put(i)
		b.lot = 0.1
		b.send(t, request("GET", "/orders"))
		if asked := b.store.Asked(); slices.Contains(asked, "succeed") != c.votes || slices.Contains(asked, "close") {
			t.Errorf("%s: the store is asked for %q, and whether it votes should be %v", name, asked, c.votes)
		}
	}
}

func TestTheOneThatTriesWhetherAnOutageIsOverTellsItsProxies(t *testing.T) {
	t.Parallel()
	engine := ends(ok)
	b := newBench(t, engine).withGate(t, adaptive)
	i := b.open(20)
	i.Probe = noon.UnixMilli() - 1
	b.store.Put(i)
	b.send(t, request("GET", "/orders"))
	state := engine.call(t).Gate.State
	if now := b.store.Item(); state.Probe == 0 || state.Probe != now.Prober || now.Probe != noon.UnixMilli()+1000 {
		t.Errorf("the proxies are told %+v, and the item is %+v", state, now)
	}
}

// Or else it would hold the lease in vain, and the outage would not end for callers who wait for a second.
func TestTheOneThatTriesAtTheEndOfItsTimeHasTimeLeftToComeToTheUpstream(t *testing.T) {
	t.Parallel()
	engine := ends(ok)
	b := newBench(t, engine).withGate(t, adaptive)
	i := b.open(20)
	i.Probe = noon.UnixMilli() + 350
	b.store.Put(i)
	b.send(t, request("GET", "/orders", "prefer", "wait=1"))
	call := engine.call(t)
	if left := call.DeadlineTime().Sub(b.clock.Now()); call.Gate.State.Probe == 0 || left != 600*time.Millisecond {
		t.Errorf("it is started with %v left, and %+v; want as the one that tries, with 600 ms: 500 are the least for an attempt", left, call.Gate.State)
	}
}

// Those who come next in the same sandbox know it, without a look.
func TestWhatTheProxiesSawIsKnownToTheNextRequest(t *testing.T) {
	t.Parallel()
	engine := new(fakeEngine)
	b := newBench(t, engine).withGate(t, adaptive)
	b.store.Put(b.queue(20, 10))
	seen := b.store.Item()
	b.store.Put(gate.Item{})
	engine.end = func(*message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
		b.store.Put(seen)
		out := *ok
		out.Gate = &message.GateReport{Item: &seen}
		return endedWith(&out), nil
	}
	b.send(t, request("GET", "/orders"))
	b.store.Asked()
	response := b.send(t, request("GET", "/orders"))
	if asked, want := b.store.Asked(), []string{"take", "get"}; len(asked) == 0 || asked[0] != "take" {
		t.Errorf("the second request asks for %q, want %q", asked, want)
	}
	if !strings.HasSuffix(response.Headers["proxy-status"], `gate; details="ticket 21 waited 2s"`) {
		t.Errorf("the second answer says %s", response.Headers["proxy-status"])
	}
}

func TestASandboxThatStartsLooksBeforeItsFirstRequestAndBesideTheOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t, ends(ok)).withGate(t, adaptive)
	b.store.Put(b.queue(30, 10))
	response := b.send(t, request("GET", "/orders"))
	if !strings.Contains(response.Headers["proxy-status"], "ticket 31") {
		t.Errorf("the first request of a sandbox says %s", response.Headers["proxy-status"])
	}
	b.store.PutAt("gate#gateway#anonymous.%2Fcustomers#0", b.queue(30, 10))
	other := b.send(t, request("GET", "/customers"))
	if strings.Contains(other.Headers["proxy-status"], "gate") {
		t.Errorf("the first request of another scope says %s", other.Headers["proxy-status"])
	}
	next := b.send(t, request("GET", "/customers"))
	if !strings.Contains(next.Headers["proxy-status"], "ticket 31") {
		t.Errorf("the second request of another scope, which knows what the first has seen, says %s", next.Headers["proxy-status"])
	}
}

func TestAnAsynchronousRequestIsAcceptedWithAPassAndWaitsBehindTheGateway(t *testing.T) {
	b := newAsyncBench(t)
	gated := b.withGate(t, adaptive)
	gated.store.Put(gated.queue(500, 0.1))
	b.acceptedAt(t, request("POST", "/orders", "prefer", "respond-async"))
	want := &message.GatePass{Scope: ordersScope}
	if diff := cmp.Diff(want, b.startedLast(t).Call.Gate); diff != "" {
		t.Errorf("the execution starts with another pass (-want +got):\n%s", diff)
	}
	if asked := gated.store.Asked(); len(asked) != 0 || !b.clock.Now().Equal(noon) {
		t.Errorf("to accept a request takes %v, and the store is asked for %q", b.clock.Now().Sub(noon), asked)
	}
}

func TestARedriveHasAPassAndACallbackHasNone(t *testing.T) {
	b := newCallbackBench(t)
	b.withGate(t, adaptive)
	event := request("POST", "/orders", "prefer", "respond-async", "callback-url", "https://hooks.example.com/", "idempotency-key", "k", "authorization", "Bearer canary")
	_, x := b.failedAt(t, event, limited)
	first := b.startedLast(t)
	if first.Callback == nil || first.Callback.Input.Call.Gate != nil {
		t.Errorf("the callback starts with %+v", first.Callback)
	}
	if out, err := b.redriven(t, letterOf(x)); err != nil || out.Status != RedriveStarted {
		t.Fatalf("it is answered with %+v, error %v", out, err)
	}
	again := b.startedLast(t)
	if diff := cmp.Diff(first.Call.Gate, again.Call.Gate); diff != "" || again.Call.Gate == nil || again.Call.Redrive != 1 {
		t.Errorf("redrive %d starts with another pass (-first +again):\n%s", again.Call.Redrive, diff)
	}
	if text := *b.engine.started[1].Input; strings.Contains(text, "canary") {
		t.Errorf("the history holds the credential: %s", text)
	}
	callback, err := b.kept.Get(t.Context(), first.Callback.Name)
	if err != nil {
		t.Fatal(err)
	}
	callback.State, callback.Answer = execution.Failed, "answer:2"
	if err := b.kept.Save(t.Context(), callback); err != nil {
		t.Fatal(err)
	}
	if out, err := b.redriven(t, letterOf(callback)); err != nil || out.Status != RedriveStarted {
		t.Fatalf("the redrive of the callback is answered with %+v, error %v", out, err)
	}
	if in := b.startedLast(t); in.Call.Execution != callback.Name || in.Call.Gate != nil {
		t.Errorf("a callback that is sent again starts with %+v", in.Call)
	}
}

// A silentTable answers nothing until its caller has no more patience. It is asked for items alone.
type silentTable struct {
	dynamostore.Client
	begun, ended atomic.Int64
}

func (s *silentTable) GetItem(ctx context.Context, _ *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	s.begun.Add(1)
	<-ctx.Done()
	s.ended.Add(1)
	return nil, ctx.Err()
}

// What runs on after the answer is frozen with the sandbox, and goes on in the time of another request.
func TestNothingRunsOnAfterTheGatewayHasAnswered(t *testing.T) {
	t.Parallel()
	table := new(silentTable)
	g, err := New(variables(map[string]string{"GATE": `{"flowControl":{"mode":"adaptive"}}`}), Dependencies{
		Engine: ends(ok), DynamoDB: table, Log: slog.New(slog.DiscardHandler), Clock: &clock{now: noon},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "request-1"})
	response, err := g.Handle(ctx, request("GET", "/orders"))
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("the answer is %+v, error %v", response, err)
	}
	if begun, ended := table.begun.Load(), table.ended.Load(); begun != 2 || ended != 2 {
		t.Errorf("of %d looks, one of them beside the request, %d have ended when the gateway answers, want 2 of 2", begun, ended)
	}
}

func TestTheEnvironmentOfAGatewayHasAGateOnlyWithWhatItNeeds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		changes map[string]string
		want    []string
	}{
		"malformed":          {map[string]string{"GATE": "adaptive"}, []string{"GATE must be a JSON object"}},
		"unknown members":    {map[string]string{"GATE": `{"limit":5}`}, []string{`unknown field "limit"`}},
		"without a table":    {map[string]string{"GATE": `{}`, "TABLE_NAME": ""}, []string{"GATE needs TABLE_NAME and RECORD_PREFIX"}},
		"without a prefix":   {map[string]string{"GATE": `{}`, "RECORD_PREFIX": ""}, []string{"GATE needs TABLE_NAME and RECORD_PREFIX"}},
		"wrong settings":     {map[string]string{"GATE": `{"flowControl":{"mode":"fixed"},"circuitBreaker":{"rampUp":1}}`}, []string{"GATE: ", "Rate is 0", "Breaker.RampUp is 1"}},
		"a key that is none": {map[string]string{"GATE": `{"flowControl":{"key":"tenant"}}`}, []string{`Key is "tenant", want one of credential+route`}},
	} {
		_, err := settingsFrom(variables(c.changes))
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error is %v, want one with %s", name, err, want)
			}
		}
	}
	s, err := settingsFrom(variables(map[string]string{"GATE": `{"flowControl":{"mode":"adaptive","key":"credential"}}`}))
	if err != nil || s.gate == nil || s.gate.Key != gate.ByCredential {
		t.Errorf("the gate is %+v, error %v", s.gate, err)
	}
}
