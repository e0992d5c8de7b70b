package handler

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// recordTTL is how long answers are replayed in these tests.
const recordTTL = time.Hour

// newRecordingBench makes a gateway whose executions end with an answer and, as the state machine does, complete the
// record that they started with.
func newRecordingBench(t *testing.T, answer message.Response) (*bench, *fakeEngine) {
	t.Helper()
	engine := new(fakeEngine)
	b := newBench(t, engine)
	engine.end = func(in *message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
		out := &message.Envelope{Outcome: retry.Succeeded, Response: answer, Attempts: []retry.Attempt{{Proxy: "proxy-1", Status: answer.StatusCode}}}
		if in.Record != nil {
			out.Expiration = b.clock.Now().Add(recordTTL).Unix()
			b.complete(t, in.Record, out)
		}
		return endedWith(out), nil
	}
	return b, engine
}

// complete writes an answer into a record as its owner.
func (b *bench) complete(t *testing.T, r *message.Record, answer *message.Envelope) {
	t.Helper()
	data, err := message.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.store.Complete(t.Context(), idempotency.Record{
		ID: r.ID, Owner: r.Owner, Status: idempotency.Completed, Data: data, Expiration: time.Unix(answer.Expiration, 0),
	}); err != nil {
		t.Fatalf("the record could not be completed: %v", err)
	}
}

// keyed is the event of an order with an Idempotency-Key.
func keyed(key, body string, fields ...string) events.LambdaFunctionURLRequest {
	event := request("POST", "/orders", append([]string{"idempotency-key", key}, fields...)...)
	event.Body = body
	return event
}

// started is the envelope that the latest execution started with.
func (e *fakeEngine) started(t *testing.T) *message.Envelope {
	t.Helper()
	envelope := new(message.Envelope)
	if err := json.Unmarshal([]byte(*e.inputs[len(e.inputs)-1].Input), envelope); err != nil {
		t.Fatal(err)
	}
	return envelope
}

func TestARequestWithAKeyStartsWithARecordOfItsOwn(t *testing.T) {
	b, engine := newRecordingBench(t, message.Response{StatusCode: 201, Body: "made"})
	b.send(t, keyed(`"k"`, "one", "prefer", "wait=20"))
	in := engine.started(t)
	if in.Record == nil || in.Record.ID == "" || in.Record.Owner == "" || !in.Call.Recorded {
		t.Fatalf("the execution started with %+v", in)
	}
	if got := in.Call.Request.Headers["idempotency-key"]; got != `"k"` {
		t.Errorf("upstream the key is %s", got)
	}
	record, err := b.store.Get(t.Context(), in.Record.ID)
	if err != nil || record == nil {
		t.Fatalf("the record is %v, error %v", record, err)
	}
	if want := noon.Add(20*time.Second + 30*time.Second); !record.LeaseEnd.Equal(want) {
		t.Errorf("the record is locked until %v, want %v", record.LeaseEnd, want)
	}
}

func TestWithoutAKeyTheStoreIsNotAsked(t *testing.T) {
	engine := ends(ok)
	b := newBench(t, engine)
	b.failing(t)
	if response := b.send(t, request("POST", "/")); response.StatusCode != 200 {
		t.Errorf("got %+v", response)
	}
	if in := engine.started(t); in.Record != nil || in.Call.Recorded {
		t.Errorf("the execution started with the record %+v", in.Record)
	}
}

func TestARepeatedRequestIsAnsweredFromTheRecord(t *testing.T) {
	for _, status := range []int{201, 404} {
		b, engine := newRecordingBench(t, message.Response{
			StatusCode: status, Headers: map[string]string{"content-type": "application/json"}, Cookies: []string{"a=1"}, Body: `{"n":1}`,
		})
		first := b.send(t, keyed("k", "one"))
		b.clock.now = b.clock.now.Add(recordTTL - time.Second)
		again := b.send(t, keyed(`"k"`, "one"))
		if len(engine.inputs) != 1 {
			t.Fatalf("%d executions were started", len(engine.inputs))
		}
		if first.Headers["idempotent-replayed"] != "" || again.Headers["idempotent-replayed"] != "true" {
			t.Errorf("the first answer comes with %v, the second with %v", first.Headers, again.Headers)
		}
		delete(again.Headers, "idempotent-replayed")
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("the second answer differs (-first +second):\n%s", diff)
		}

		b.clock.now = b.clock.now.Add(2 * time.Second)
		b.send(t, keyed("k", "one"))
		if len(engine.inputs) != 2 {
			t.Errorf("after the record's end %d executions were started in all", len(engine.inputs))
		}
	}
}

func TestARecordedAnswerHasCacheHeadersIfTheyAreAskedFor(t *testing.T) {
	b, _ := newRecordingBench(t, message.Response{StatusCode: 200, Headers: map[string]string{"content-type": "application/json"}, Body: `{"n":1}`})
	b.cache, b.serverCacheHit = cacheHeaders, true
	first := b.send(t, keyed("k", "one"))
	if first.Headers["etag"] == "" || first.Headers["cache-control"] != "private, max-age=3600" || first.Headers["vary"] != "Idempotency-Key" {
		t.Errorf("the first answer comes with %v", first.Headers)
	}
	b.clock.now = b.clock.now.Add(time.Minute)
	again := b.send(t, keyed("k", "one"))
	if again.Headers["cache-control"] != "private, max-age=3540" || again.Body != `{"n":1,"serverCacheHit":true}` {
		t.Errorf("the second answer is %s, with %v", again.Body, again.Headers)
	}
	unchanged := b.send(t, keyed("k", "one", "if-none-match", first.Headers["etag"]))
	if unchanged.StatusCode != 304 || unchanged.Body != "" {
		t.Errorf("with If-None-Match the answer is %d, %s", unchanged.StatusCode, unchanged.Body)
	}
	if other := b.send(t, keyed("k", "one", "if-none-match", `"other"`)); other.StatusCode != 200 {
		t.Errorf("with another tag the answer is %d", other.StatusCode)
	}

	plain, _ := newRecordingBench(t, message.Response{StatusCode: 200, Body: "{}"})
	headers := plain.send(t, keyed("k", "one")).Headers
	if headers["etag"] != "" || headers["cache-control"] != "" || headers["vary"] != "" {
		t.Errorf("where they are not asked for, the answer comes with %v", headers)
	}
}

func TestAKeyIsForOneRequestOnly(t *testing.T) {
	b, engine := newRecordingBench(t, message.Response{StatusCode: 201})
	b.send(t, keyed("k", "one"))
	wantProblem(t, b.send(t, keyed("k", "two")), 422, idempotencyhttp.KeyReused)
	if len(engine.inputs) != 1 {
		t.Errorf("%d executions were started", len(engine.inputs))
	}
}

func TestARetryThatIsSerialisedAgainIsTheSameRequest(t *testing.T) {
	for _, target := range []string{"", "DynamoDB_20120810.PutItem"} {
		b, engine := newRecordingBench(t, message.Response{StatusCode: 201})
		var err error
		if b.forwarding, err = message.ForwardingFrom(func(name string) string {
			return map[string]string{"UPSTREAM_AWS_FIELDS": "true"}[name]
		}); err != nil {
			t.Fatal(err)
		}
		first := keyed("k", `{"tea":1,"cups":2}`, "x-amz-target", target)
		again := keyed("k", `{ "cups": 2, "tea": 1 }`, "x-amz-target", target)
		b.send(t, first)
		if got := b.send(t, again); got.Headers["idempotent-replayed"] != "true" || len(engine.inputs) != 1 {
			t.Errorf("the answer is %d, after %d executions", got.StatusCode, len(engine.inputs))
		}
		again.RawQueryString = "b=2&a=1"
		wantProblem(t, b.send(t, again), 422, idempotencyhttp.KeyReused)
	}
}

// Versions before this one have recorded the bytes of requests, and the state machine's records live for a day.
func TestARecordOfAVersionThatComparedBytesIsReplayed(t *testing.T) {
	for _, target := range []string{"", "DynamoDB_20120810.PutItem"} {
		b, engine := newRecordingBench(t, message.Response{StatusCode: 201})
		var err error
		if b.forwarding, err = message.ForwardingFrom(func(name string) string {
			return map[string]string{"UPSTREAM_AWS_FIELDS": "true"}[name]
		}); err != nil {
			t.Fatal(err)
		}
		event := keyed("k", `{"tea":1}`, "x-amz-target", target)
		asked := idempotencyhttp.FromFunctionURL(event)
		before := asked
		if target != "" {
			before.Query = "\n" + target
		}
		a, err := b.records.Acquire(t.Context(), idempotency.Claim{
			ID: idempotencyhttp.RecordID("gateway", asked, "k"), Fingerprint: idempotencyhttp.Fingerprint(before), LeaseEnd: noon.Add(time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
		b.complete(t, &message.Record{ID: a.Record.ID, Owner: a.Record.Owner}, &message.Envelope{
			Outcome: retry.Succeeded, Response: message.Response{StatusCode: 201}, Expiration: noon.Add(time.Hour).Unix(),
		})
		if got := b.send(t, event); got.StatusCode != 201 || got.Headers["idempotent-replayed"] != "true" || len(engine.inputs) != 0 {
			t.Errorf("target %q: the answer is %d %s, after %d executions", target, got.StatusCode, got.Body, len(engine.inputs))
		}
		wantProblem(t, b.send(t, keyed("k", `{"tea":2}`, "x-amz-target", target)), 422, idempotencyhttp.KeyReused)
	}
}

func TestCallersDoNotShareKeys(t *testing.T) {
	b, engine := newRecordingBench(t, message.Response{StatusCode: 201})
	for _, user := range []string{"AIDAALICE", "AIDABOB", ""} {
		event := keyed("k", "one")
		if user != "" {
			event.RequestContext.Authorizer = &events.LambdaFunctionURLRequestContextAuthorizerDescription{
				IAM: &events.LambdaFunctionURLRequestContextAuthorizerIAMDescription{AccountID: "123456789012", UserID: user, CallerID: user},
			}
		}
		if response := b.send(t, event); response.Headers["idempotent-replayed"] != "" {
			t.Errorf("%q got another caller's answer", user)
		}
	}
	if len(engine.inputs) != 3 {
		t.Errorf("%d executions were started for three callers", len(engine.inputs))
	}
}

// What the proxies replace by a credential of their own says nothing of whose answer it is; what goes upstream does.
func TestCallersAreToldApartByWhatGoesUpstreamOfTheirs(t *testing.T) {
	for replaced, callers := range map[string][]struct {
		fields  map[string]string
		query   string
		replays bool
	}{
		"authorization": {
			{map[string]string{"authorization": "Bearer alice"}, "", false},
			{map[string]string{"authorization": "Bearer bob"}, "", true},
			{map[string]string{"upstream-authorization": "Bearer carol"}, "", true},
			{map[string]string{"authorization": "Bearer alice", "x-api-key": "alice"}, "", false},
			{map[string]string{"authorization": "Bearer alice", "x-api-key": "bob"}, "", false},
		},
		"x-api-key": {
			{map[string]string{"x-api-key": "alice"}, "", false},
			{map[string]string{"x-api-key": "bob"}, "", true},
			{map[string]string{"x-api-key": "bob", "authorization": "Bearer bob"}, "", false},
			{map[string]string{"x-api-key": "alice", "authorization": "Bearer bob"}, "", true},
		},
		"?api_key": {
			{nil, "api_key=alice", false},
			{nil, "api%5Fkey=alice", false}, // another query, so the key is for another request; see below
		},
		"": {
			{map[string]string{"authorization": "Bearer alice"}, "", false},
			{map[string]string{"authorization": "Bearer bob"}, "", false},
			{map[string]string{"authorization": "Bearer alice"}, "", true},
		},
	} {
		b, _ := newRecordingBench(t, message.Response{StatusCode: 201})
		if replaced != "" {
			b.authReplaces = []string{replaced}
		}
		for i, caller := range callers {
			event := keyed("k", "one")
			maps.Copy(event.Headers, caller.fields)
			event.RawQueryString = caller.query
			response := b.send(t, event)
			if replaced == "?api_key" && i == 1 {
				wantProblem(t, response, 422, idempotencyhttp.KeyReused) // the same caller
			} else if got := response.Headers["idempotent-replayed"] != ""; got != caller.replays {
				t.Errorf("with %q replaced, caller %d gets a replay: %v, want %v", replaced, i+1, got, caller.replays)
			}
		}
	}
}

func TestAKeyThatIsMissingOrMalformedIsRefused(t *testing.T) {
	engine := ends(ok)
	b := newBench(t, engine)
	for _, key := range []string{"", " ", `""`, `"open`, strings.Repeat("k", idempotencyhttp.MaxKeyLength+1)} {
		wantProblem(t, b.send(t, keyed(key, "one")), 400, idempotencyhttp.KeyMalformed)
	}
	b.keyRequirement = idempotencyhttp.UnsafeMethods
	wantProblem(t, b.send(t, request("POST", "/")), 400, idempotencyhttp.KeyMissing)
	if len(engine.inputs) != 0 {
		t.Errorf("%d executions were started", len(engine.inputs))
	}
	if response := b.send(t, request("GET", "/")); response.StatusCode != 200 {
		t.Errorf("a GET was answered with %d, although keys are for unsafe methods only", response.StatusCode)
	}
	b.keyRequirement = idempotencyhttp.Always
	wantProblem(t, b.send(t, request("GET", "/")), 400, idempotencyhttp.KeyMissing)
}

// whileWaiting is a clock that lets something happen in the first sleep.
type whileWaiting struct {
	*clock
	happens func()
}

func (c *whileWaiting) Sleep(ctx context.Context, d time.Duration) error {
	if c.happens != nil {
		c.happens()
		c.happens = nil
	}
	return c.clock.Sleep(ctx, d)
}

// use gives the gateway records with another clock, or another store.
func (b *bench) use(t *testing.T, store idempotency.Store, c idempotency.Clock) {
	t.Helper()
	records, err := idempotency.New(store, idempotency.Config{Prefix: "gateway", Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	b.records, b.store = records, store
}

func TestADuplicateWaitsForTheResultOfTheFirst(t *testing.T) {
	engine := new(fakeEngine)
	b := newBench(t, engine)
	var duplicate events.LambdaFunctionURLResponse
	engine.end = func(in *message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
		out := &message.Envelope{Outcome: retry.Succeeded, Response: message.Response{StatusCode: 201, Body: "made"}, Expiration: noon.Add(recordTTL).Unix()}
		b.use(t, b.store, &whileWaiting{b.clock, func() { b.complete(t, in.Record, out) }})
		engine.mu.Unlock()
		duplicate = b.send(t, keyed("k", "one"))
		engine.mu.Lock()
		return endedWith(out), nil
	}
	if first := b.send(t, keyed("k", "one")); first.StatusCode != 201 || first.Headers["idempotent-replayed"] != "" {
		t.Errorf("the first was answered with %+v", first)
	}
	if len(engine.inputs) != 1 || duplicate.StatusCode != 201 || duplicate.Body != "made" || duplicate.Headers["idempotent-replayed"] != "true" {
		t.Errorf("after %d executions the duplicate was answered with %+v", len(engine.inputs), duplicate)
	}
}

func TestADuplicateThatHasWaitedLongEnoughIsToldToComeAgain(t *testing.T) {
	engine := new(fakeEngine)
	b := newBench(t, engine)
	var duplicate events.LambdaFunctionURLResponse
	engine.end = func(in *message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
		engine.mu.Unlock()
		duplicate = b.send(t, keyed("k", "one", "prefer", "wait=7"))
		engine.mu.Lock()
		return endedWith(ok), nil
	}
	b.send(t, keyed("k", "one"))
	wantProblem(t, duplicate, 409, idempotencyhttp.KeyInUse)
	if duplicate.Headers["retry-after"] == "" {
		t.Error("the duplicate is not told when to come again")
	}
	if waited := b.clock.now.Sub(noon); waited != 7*time.Second {
		t.Errorf("the duplicate waited for %v, want 7s", waited)
	}
	if len(engine.inputs) != 1 {
		t.Errorf("%d executions were started", len(engine.inputs))
	}
}

func TestTheKeyIsFreeAgainIfNothingWasStarted(t *testing.T) {
	b, engine := newRecordingBench(t, message.Response{StatusCode: 201})
	works := engine.end
	engine.end = func(*message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
		return nil, &types.StateMachineDoesNotExist{Message: aws.String("gone")}
	}
	wantProblem(t, b.send(t, keyed("k", "one")), 503, "engine-unavailable")
	large := keyed("k", strings.Repeat("x", 249_648))
	wantProblem(t, b.send(t, large), 413, "request-too-large")

	engine.end = works
	if response := b.send(t, keyed("k", "one")); response.StatusCode != 201 || response.Headers["idempotent-replayed"] != "" {
		t.Errorf("the next request with the key was answered with %+v", response)
	}
	if waited := b.clock.now.Sub(noon); waited != 0 {
		t.Errorf("it waited for %v", waited)
	}
}

func TestTheKeyStaysLockedIfNobodyKnowsWhatWasDone(t *testing.T) {
	engine := &fakeEngine{end: func(*message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
		return nil, errors.New("connection reset")
	}}
	b := newBench(t, engine)
	wantProblem(t, b.send(t, keyed("k", "one")), 502, "engine-failed")
	wantProblem(t, b.send(t, keyed("k", "one", "prefer", "wait=1")), 409, idempotencyhttp.KeyInUse)
	if len(engine.inputs) != 1 {
		t.Errorf("%d executions were started", len(engine.inputs))
	}
}

// A failingStore fails in every way.
type failingStore struct{ idempotency.Store }

var errStore = errors.New("the table is gone")

func (failingStore) Insert(context.Context, idempotency.Record, time.Time) (bool, *idempotency.Record, error) {
	return false, nil, errStore
}
func (failingStore) Get(context.Context, string) (*idempotency.Record, error) { return nil, errStore }
func (failingStore) Release(context.Context, string, string) error            { return errStore }

func (b *bench) failing(t *testing.T) { b.use(t, failingStore{}, b.clock) }

func TestWithoutTheStoreNothingIsStarted(t *testing.T) {
	engine := ends(ok)
	b := newBench(t, engine)
	b.failing(t)
	response := b.send(t, keyed("k", "one"))
	wantProblem(t, response, 503, idempotencyhttp.StoreUnavailable)
	if response.Headers["retry-after"] == "" || len(engine.inputs) != 0 {
		t.Errorf("%d executions were started, and the answer comes with %v", len(engine.inputs), response.Headers)
	}
	if !strings.Contains(b.logs.String(), errStore.Error()) {
		t.Errorf("the log does not say what is wrong:\n%s", &b.logs)
	}
}

func TestARecordThatCannotBeReadIsNotRunAgain(t *testing.T) {
	for _, data := range []string{"null", "{}", `"text"`, `{"outcome":"failed"}`} {
		b, engine := newRecordingBench(t, message.Response{StatusCode: 201})
		b.send(t, keyed("k", "one"))
		r := engine.started(t).Record
		if err := b.store.Complete(t.Context(), idempotency.Record{
			ID: r.ID, Owner: r.Owner, Status: idempotency.Completed, Data: json.RawMessage(data), Expiration: noon.Add(recordTTL),
		}); err != nil {
			t.Fatal(err)
		}
		wantProblem(t, b.send(t, keyed("k", "one")), 409, idempotencyhttp.ResultUnavailable)
		if len(engine.inputs) != 1 {
			t.Errorf("%s: %d executions were started", data, len(engine.inputs))
		}
	}
}

func TestRecordsCanBeSwitchedOff(t *testing.T) {
	t.Setenv(idempotency.DisabledVariable, "true")
	engine := ends(ok)
	b := newBench(t, engine)
	for range 2 {
		b.send(t, keyed("k", "one"))
	}
	if in := engine.started(t); len(engine.inputs) != 2 || in.Record != nil || in.Call.Recorded {
		t.Errorf("%d executions were started, the last one with %+v", len(engine.inputs), in.Record)
	}
}

func TestAnAnswerThatIsTooLargeIsNotAskedForAgain(t *testing.T) {
	engine := new(fakeEngine)
	b := newBench(t, engine)
	engine.end = func(in *message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
		out := &message.Envelope{
			Outcome: retry.Succeeded, Error: message.AnswerTooLarge, Expiration: b.clock.Now().Add(recordTTL).Unix(),
			Attempts: []retry.Attempt{{Proxy: "proxy-1", Status: 200, Error: retry.HTTPResponseBodySize}},
		}
		b.complete(t, in.Record, out)
		return endedWith(out), nil
	}
	wantProblem(t, b.send(t, keyed("k", "one")), 502, "outcome-unknown")
	wantProblem(t, b.send(t, keyed("k", "one")), 409, idempotencyhttp.ResultUnavailable)
	if len(engine.inputs) != 1 {
		t.Errorf("%d executions were started, want 1", len(engine.inputs))
	}
}

// A condition on what is read is about the replay. A condition on what is done decides whether it is done.
func TestIfNoneMatchStaysHereOnlyWithAKeyAndASafeMethod(t *testing.T) {
	b, engine := newRecordingBench(t, message.Response{StatusCode: 200, Body: "made"})
	for _, c := range []struct {
		method, key, want string
	}{
		{"GET", "k", ""}, {"HEAD", "k", ""}, {"POST", "k", "*"}, {"PUT", "k", "*"}, {"GET", "", "*"}, {"PUT", "", "*"},
	} {
		event := request(c.method, "/orders", "if-none-match", "*")
		if c.key != "" {
			event.Headers["idempotency-key"] = c.key
		}
		b.send(t, event)
		if got := engine.call(t).Request.Headers["if-none-match"]; got != c.want {
			t.Errorf("%s with the key %q: If-None-Match is %q upstream, want %q", c.method, c.key, got, c.want)
		}
	}
}

func TestPreferencesThatAreHonouredAreToldBack(t *testing.T) {
	b, _ := newRecordingBench(t, message.Response{StatusCode: 200})
	for prefer, want := range map[string]string{
		"wait=5": "wait=5", "wait=1000": "wait=290", "attempts=2": "attempts=2", "wait=5, attempts=2": "wait=5, attempts=2", "wait=0": "", "": "",
	} {
		response := b.send(t, request("GET", "/", "prefer", prefer))
		if got := response.Headers["preference-applied"]; got != want {
			t.Errorf("Prefer: %s is answered with Preference-Applied: %s, want %s", prefer, got, want)
		}
	}
	b.engine = ends(message.Failure("request-1", retry.DeadlineExceeded, nil))
	if got := b.send(t, request("GET", "/", "prefer", "wait=5")).Headers["preference-applied"]; got != "wait=5" {
		t.Errorf("a problem has Preference-Applied: %q", got)
	}
}

func TestAKeyIsForOneOperationOfAWS(t *testing.T) {
	for variable, status := range map[string]int{"true": 422, "": 201} { // else the field does not go upstream
		b, _ := newRecordingBench(t, message.Response{StatusCode: 201})
		var err error
		if b.forwarding, err = message.ForwardingFrom(func(name string) string {
			return map[string]string{"UPSTREAM_AWS_FIELDS": variable}[name]
		}); err != nil {
			t.Fatal(err)
		}
		b.send(t, keyed("k", "{}", "x-amz-target", "DynamoDB_20120810.PutItem"))
		if got := b.send(t, keyed("k", "{}", "x-amz-target", "DynamoDB_20120810.DeleteItem")).StatusCode; got != status {
			t.Errorf("with %q another operation with the key is answered with %d, want %d", variable, got, status)
		}
		if got := b.send(t, keyed("k", "{}", "x-amz-target", "DynamoDB_20120810.PutItem")); got.Headers["idempotent-replayed"] != "true" {
			t.Errorf("with %q the same one is answered with %d", variable, got.StatusCode)
		}
	}
}

// recordWith is a record that its owner completes with data, until a moment.
func recordWith(r *message.Record, data []byte, until time.Time) idempotency.Record {
	return idempotency.Record{ID: r.ID, Owner: r.Owner, Status: idempotency.Completed, Data: data, Expiration: until}
}
