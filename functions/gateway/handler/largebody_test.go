package handler

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/largebody"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// objects are what is kept of large bodies, in memory. Where there is a fault, it is the error of every operation.
type objects struct {
	largebody.MemoryStore
	fault   error
	asked   int
	written []string // the keys, in their order
}

func (o *objects) Put(ctx context.Context, kind largebody.Kind, name string, body []byte) error {
	if o.asked++; o.fault != nil {
		return o.fault
	}
	o.written = append(o.written, string(kind)+"/"+name)
	return o.MemoryStore.Put(ctx, kind, name, body)
}

func (o *objects) Get(ctx context.Context, kind largebody.Kind, name string) ([]byte, error) {
	if o.asked++; o.fault != nil {
		return nil, o.fault
	}
	return o.MemoryStore.Get(ctx, kind, name)
}

// answered puts the body of an answer into the bucket, and returns the name of the object.
func (o *objects) answered(t testing.TB, body []byte) string {
	t.Helper()
	name := largebody.Name()
	if err := o.MemoryStore.Put(t.Context(), largebody.Answers, name, body); err != nil {
		t.Fatal(err)
	}
	return name
}

// withBucket has a bench keep large bodies in memory.
func withBucket(b *bench) *objects {
	o := new(objects)
	b.bodies = o
	return o
}

// randomBytes are so many bytes that are no text, the same ones in every run.
func randomBytes(n int) []byte {
	body := make([]byte, n)
	rand.NewChaCha8([32]byte{7}).Read(body)
	return body
}

// uploaded is the event of a request with a body of bytes.
func uploaded(method string, body []byte, fields ...string) events.LambdaFunctionURLRequest {
	event := request(method, "/blob", fields...)
	event.Body, event.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	return event
}

// bodyOf is the body of a response.
func bodyOf(t testing.TB, response events.LambdaFunctionURLResponse) []byte {
	t.Helper()
	if !response.IsBase64Encoded {
		return []byte(response.Body)
	}
	body, err := base64.StdEncoding.DecodeString(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

var errBroken = errors.New("SlowDown")

func TestTheBodyOfARequestGoesToTheBucketIfNoStateHoldsIt(t *testing.T) {
	engine := ends(ok)
	b := newBench(t, engine)
	o := withBucket(b)
	b.send(t, uploaded("PUT", randomBytes(100<<10)))
	if call := engine.call(t); call.Request.Body == "" || call.Request.BodyObject != "" || o.asked != 0 {
		t.Errorf("a small body is in the object %q", call.Request.BodyObject)
	}
	sent := randomBytes(4 << 20)
	b.send(t, uploaded("PUT", sent, "x-own", "1"))
	in := engine.started(t)
	if r := in.Call.Request; in.Version != 2 || r.Body != "" || r.IsBase64Encoded || !largebody.IsName(r.BodyObject) || r.Headers["x-own"] != "1" {
		t.Errorf("version %d starts with %d bytes and the object %q", in.Version, len(r.Body), r.BodyObject)
	}
	if got := o.Objects()["requests/"+in.Call.Request.BodyObject]; !bytes.Equal(got, sent) {
		t.Errorf("the object has %d bytes", len(got))
	}
}

func TestWithoutABucketALargeRequestIsRefused(t *testing.T) {
	b := newBench(t, ends(ok))
	wantProblem(t, b.send(t, uploaded("PUT", randomBytes(300<<10))), http.StatusRequestEntityTooLarge, "request-too-large")
}

// What is not the body cannot go to the bucket.
func TestFieldsThatNoStateHoldsAreRefused(t *testing.T) {
	b := newBench(t, ends(ok))
	withBucket(b)
	wantProblem(t, b.send(t, request("PUT", "/", "x-large", strings.Repeat("x", 300<<10))), http.StatusRequestEntityTooLarge, "request-too-large")
}

func TestABucketThatCannotBeWrittenToStartsNothingAndFreesTheKey(t *testing.T) {
	b, engine := newRecordingBench(t, message.Response{StatusCode: 201, Body: "made"})
	o := withBucket(b)
	o.fault = errBroken
	event := uploaded("POST", randomBytes(1<<20), "idempotency-key", `"k"`)
	response := b.send(t, event)
	if d := wantProblem(t, response, http.StatusServiceUnavailable, "large-bodies-unavailable"); d.Processed != "no" || response.Headers["retry-after"] != "5" {
		t.Errorf("processed is %q, and Retry-After %q", d.Processed, response.Headers["retry-after"])
	}
	if len(engine.inputs) != 0 {
		t.Error("an execution was started")
	}
	o.fault = nil
	if again := b.send(t, event); again.StatusCode != 201 || len(engine.inputs) != 1 {
		t.Errorf("the next request with the key is answered with %d", again.StatusCode)
	}
}

func TestProxiesThatCouldNotReadTheBodyHaveSentNothing(t *testing.T) {
	losses := &message.Losses{Count: 1, Proxy: "proxy-1", Error: "RequestBodyError", Before: &message.Losses{}}
	b := newBench(t, ends(&message.Envelope{Version: 2, Outcome: retry.Failed, Error: message.ProxiesLost, Losses: losses}))
	if d := wantProblem(t, b.send(t, request("POST", "/")), http.StatusServiceUnavailable, "large-bodies-unavailable"); d.Processed != "no" || len(d.Attempts) != 1 {
		t.Errorf("processed is %q after %+v", d.Processed, d.Attempts)
	}
}

func TestAnAnswerInTheBucketIsHandedOutAndReplayed(t *testing.T) {
	for name, body := range map[string][]byte{
		"bytes":  randomBytes(300 << 10),
		"text":   bytes.Repeat([]byte("tea\n"), 75<<10),
		"quotes": bytes.Repeat([]byte(`"`), 300<<10), // as text they would take twice that
	} {
		engine := new(fakeEngine)
		b := newBench(t, engine)
		b.cache = cacheHeaders
		o := withBucket(b)
		object := o.answered(t, body)
		engine.end = func(in *message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
			out := message.Answer("", retry.Succeeded, "", message.Response{StatusCode: 200, Headers: map[string]string{"x-own": "1"}}, []retry.Attempt{{Proxy: "proxy-1", Status: 200}}).WithBodyIn(object)
			if in.Record != nil {
				out.Expiration = noon.Add(time.Hour).Unix()
				b.complete(t, in.Record, out)
			}
			return endedWith(out), nil
		}
		first := b.send(t, request("POST", "/", "idempotency-key", `"k"`))
		again := b.send(t, request("POST", "/", "idempotency-key", `"k"`))
		for _, response := range []events.LambdaFunctionURLResponse{first, again, b.send(t, request("POST", "/"))} {
			if got := bodyOf(t, response); response.StatusCode != 200 || response.Headers["x-own"] != "1" || !bytes.Equal(got, body) {
				t.Errorf("%s: the answer is %d with %d bytes, want %d", name, response.StatusCode, len(got), len(body))
			}
			if text := name == "text"; text == response.IsBase64Encoded {
				t.Errorf("%s: in base64 is %v", name, response.IsBase64Encoded)
			}
		}
		if again.Headers["idempotent-replayed"] != "true" || first.Headers["etag"] == "" || first.Headers["etag"] != again.Headers["etag"] {
			t.Errorf("%s: the tags are %q and %q, and the replay is marked %q", name, first.Headers["etag"], again.Headers["etag"], again.Headers["idempotent-replayed"])
		}
		if len(engine.inputs) != 2 {
			t.Errorf("%s: %d executions were started", name, len(engine.inputs))
		}

		o.fault = errBroken
		wantProblem(t, b.send(t, request("POST", "/", "idempotency-key", `"k"`)), http.StatusServiceUnavailable, "idempotency-store-unavailable")
		o.fault = largebody.ErrNotFound
		wantProblem(t, b.send(t, request("POST", "/", "idempotency-key", `"k"`)), http.StatusConflict, "idempotency-result-unavailable")
		b.bodies = nil // the prop was removed
		wantProblem(t, b.send(t, request("POST", "/", "idempotency-key", `"k"`)), http.StatusConflict, "idempotency-result-unavailable")
	}
}

func TestAnAnswerThatCannotBeReadIsNoneAndItsRequestMayHaveBeenProcessed(t *testing.T) {
	for method, name := range map[string]string{"POST": "outcome-unknown", "GET": "no-answer"} {
		answer := message.Answer("", retry.Succeeded, "", message.Response{StatusCode: 200}, []retry.Attempt{{Proxy: "proxy-1", Status: 200}}).WithBodyIn(largebody.Name())
		b := newBench(t, ends(answer))
		withBucket(b).fault = errBroken
		response := b.send(t, request(method, "/"))
		if d := wantProblem(t, response, http.StatusBadGateway, name); len(d.Attempts) != 1 {
			t.Errorf("the attempts are %+v", d.Attempts)
		}
		b.bodies = nil
		wantProblem(t, b.send(t, request(method, "/")), http.StatusBadGateway, name)
	}
}

func TestAnAnswerThatTheURLCannotCarryHasAProblemInThePlaceOfItsBody(t *testing.T) {
	fields := map[string]string{"x-own": "1", "content-type": "text/html", "etag": `"7"`}
	for name, c := range map[string]struct {
		method    string
		outcome   retry.Outcome
		status    int
		attempt   retry.Attempt
		processed string
	}{
		"a success":                  {"POST", retry.Succeeded, 201, retry.Attempt{Proxy: "proxy-1", Status: 201}, "unknown"},
		"a safe one":                 {"GET", retry.Succeeded, 200, retry.Attempt{Proxy: "proxy-1", Status: 200}, "no"},
		"an error":                   {"POST", retry.Failed, 500, retry.Attempt{Proxy: "proxy-1", Status: 500, MaybeProcessed: true}, "unknown"},
		"an error that did not act":  {"POST", retry.Failed, 429, retry.Attempt{Proxy: "proxy-1", Status: 429}, "no"},
		"a redirect that is the end": {"GET", retry.Succeeded, 302, retry.Attempt{Proxy: "proxy-1", Status: 302}, "no"},
	} {
		engine := new(fakeEngine)
		b := newBench(t, engine)
		b.cache, b.serverCacheHit = cacheHeaders, true
		withBucket(b)
		engine.end = func(in *message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
			out := message.Answer("", c.outcome, "", message.Response{StatusCode: c.status, Headers: maps.Clone(fields), Cookies: []string{"a=1"}}, []retry.Attempt{c.attempt}).WithoutBody()
			if in.Record != nil && c.outcome == retry.Succeeded {
				out.Expiration = noon.Add(time.Hour).Unix()
				b.complete(t, in.Record, out)
			}
			return endedWith(out), nil
		}
		responses := []events.LambdaFunctionURLResponse{b.send(t, request(c.method, "/"))}
		if c.outcome == retry.Succeeded {
			responses = append(responses, b.send(t, request(c.method, "/", "idempotency-key", `"k"`)), b.send(t, request(c.method, "/", "idempotency-key", `"k"`)))
			if responses[2].Headers["idempotent-replayed"] != "true" {
				t.Errorf("%s: it is not replayed", name)
			}
		}
		for _, response := range responses {
			d := wantProblem(t, response, c.status, "answer-too-large")
			if d.Processed != c.processed || d.Status != c.status || len(d.Attempts) != 1 {
				t.Errorf("%s: the problem is %+v", name, d)
			}
			h := response.Headers
			if h["content-type"] != "application/problem+json" || h["x-own"] != "1" || h["etag"] != `"7"` || h["cache-control"] != "no-store" || !slices.Equal(response.Cookies, []string{"a=1"}) {
				t.Errorf("%s: the fields are %v", name, h)
			}
			if !strings.HasPrefix(h["proxy-status"], "proxy-1; received-status=") || strings.Contains(h["proxy-status"], ",") {
				t.Errorf("%s: Proxy-Status is %q", name, h["proxy-status"])
			}
		}
	}
	answer := message.Answer("", retry.Succeeded, "", message.Response{StatusCode: 200}, []retry.Attempt{{Proxy: "proxy-1", Status: 200}}).WithoutBody()
	answer.Expiration = noon.Add(time.Hour).Unix()
	b := newBench(t, ends(answer))
	b.cache = cacheHeaders
	if response := b.send(t, request("GET", "/")); response.Headers["etag"] != "" {
		t.Errorf("a problem has the tag %s", response.Headers["etag"]) // of an empty body
	}
	b.hideAttempts = true
	if d := wantProblem(t, b.send(t, request("GET", "/")), 200, "answer-too-large"); d.Attempts != nil {
		t.Errorf("hidden attempts are told: %+v", d.Attempts)
	}
	if plain := b.send(t, request("GET", "/", "accept", "application/json")); plain.Headers["content-type"] != "application/json" {
		t.Errorf("whoever asks for JSON gets %q", plain.Headers["content-type"])
	}
}

// A proxy leaves room for what the gateway adds. Should that not be enough, Lambda would make an error of its own of it.
func TestWhatTheGatewayAddsDoesNotMakeAnAnswerLargerThanTheURLCarries(t *testing.T) {
	for size, want := range map[int]int{6_291_456 - 1000: 200, 6_291_456: 200} {
		engine := new(fakeEngine)
		b := newBench(t, engine)
		o := withBucket(b)
		object := o.answered(t, bytes.Repeat([]byte("a"), size))
		engine.end = func(*message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
			return endedWith(message.Answer("", retry.Succeeded, "", message.Response{StatusCode: want}, []retry.Attempt{{Proxy: "proxy-1", Status: want}}).WithBodyIn(object)), nil
		}
		response := b.send(t, request("GET", "/"))
		if size < 6_291_456 {
			if len(response.Body) != size {
				t.Errorf("of %d bytes come %d", size, len(response.Body))
			}
			continue
		}
		if d := wantProblem(t, response, want, "answer-too-large"); d.Processed != "no" {
			t.Errorf("processed is %q", d.Processed)
		}
	}
}

func TestTheBodyOfAnAsynchronousRequestGoesToTheBucketIfTheTableDoesNotHoldIt(t *testing.T) {
	b := newAsyncBench(t)
	o := withBucket(b.bench)
	sent := randomBytes(2 << 20)
	event := uploaded("PUT", sent, "prefer", "respond-async", "x-own", "1")
	location, x := b.acceptedAt(t, event)
	r, err := b.kept.Request(t.Context(), x.Name)
	if err != nil || r.Body != "" || r.Headers["x-own"] != "1" || !bytes.Equal(o.Objects()["requests/"+r.BodyObject], sent) {
		t.Errorf("what is kept of it is %+v, error %v", r, err)
	}

	back := randomBytes(3 << 20)
	answer := message.Answer(x.RequestID, retry.Succeeded, "", message.Response{StatusCode: 201}, []retry.Attempt{{Proxy: "proxy-1", Status: 201}}).WithBodyIn(o.answered(t, back))
	part, err := b.kept.PutAnswer(t.Context(), x.Name, 1, answer, x.Expiration)
	if err != nil {
		t.Fatal(err)
	}
	b.goesOn(t, location, func(x *execution.Execution) { x.State, x.Answer = execution.Succeeded, part })
	for range 2 {
		if response := b.send(t, request("GET", location+"/response")); response.StatusCode != 201 || !bytes.Equal(bodyOf(t, response), back) {
			t.Errorf("the response is %d with %d bytes", response.StatusCode, len(response.Body))
		}
	}
	o.fault = errBroken
	wantProblem(t, b.send(t, request("GET", location+"/response")), http.StatusServiceUnavailable, "large-bodies-unavailable")
	o.fault = largebody.ErrNotFound
	wantProblem(t, b.send(t, request("GET", location+"/response")), http.StatusNotFound, "execution-not-found")

	started := len(b.engine.started)
	o.fault = errBroken
	wantProblem(t, b.send(t, event), http.StatusServiceUnavailable, "large-bodies-unavailable")
	b.bodies = nil
	wantProblem(t, b.send(t, event), http.StatusRequestEntityTooLarge, "request-too-large")
	if len(b.engine.started) != started {
		t.Error("an execution was started without its body")
	}
}

func TestAnEnvironmentWithABucketNeedsWhatReadsIt(t *testing.T) {
	environment := map[string]string{
		"STATE_MACHINE_ARN": "arn:aws:states:eu-central-1:123456789012:stateMachine:orders", "PROXY_COUNT": "3", "TABLE_NAME": "records", "RECORD_PREFIX": "orders",
		"LARGE_BODIES_BUCKET": "bodies",
	}
	getenv := func(name string) string { return environment[name] }
	if _, err := New(getenv, Dependencies{}); err == nil || !strings.Contains(err.Error(), "LARGE_BODIES_BUCKET names a bucket") {
		t.Errorf("the error is %v", err)
	}
	var asked string
	_, err := New(getenv, Dependencies{Bodies: func(bucket, prefix string) Bodies { asked = bucket + " " + prefix; return new(objects) }})
	if err != nil || asked != "bodies orders" {
		t.Errorf("the error is %v, and the bucket and prefix are %q", err, asked)
	}
}
