package handler

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/logline"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// noon is when these tests take place. It lies in the future, because contexts end by the clock of the machine.
var noon = time.Date(2100, 5, 4, 12, 0, 0, 0, time.UTC)

// A clock stands still unless somebody sleeps.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return ctx.Err()
}

// A fakeEngine notes what executions start with, and ends them as the test says.
type fakeEngine struct {
	mu     sync.Mutex
	inputs []*sfn.StartSyncExecutionInput
	end    func(*message.Envelope) (*sfn.StartSyncExecutionOutput, error)
}

func (e *fakeEngine) StartSyncExecution(_ context.Context, in *sfn.StartSyncExecutionInput, _ ...func(*sfn.Options)) (*sfn.StartSyncExecutionOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inputs = append(e.inputs, in)
	envelope := new(message.Envelope)
	if err := json.Unmarshal([]byte(*in.Input), envelope); err != nil {
		return nil, err
	}
	return e.end(envelope)
}

// call is what the latest execution was started with.
func (e *fakeEngine) call(t *testing.T) *message.Call {
	t.Helper()
	if len(e.inputs) == 0 {
		t.Fatal("no execution was started")
	}
	envelope := new(message.Envelope)
	if err := json.Unmarshal([]byte(*e.inputs[len(e.inputs)-1].Input), envelope); err != nil {
		t.Fatal(err)
	}
	return envelope.Call
}

// endedWith is an execution that ended with an envelope, in Succeeded or in Failed.
func endedWith(e *message.Envelope) *sfn.StartSyncExecutionOutput {
	text, err := message.Marshal(e)
	if err != nil {
		panic(err)
	}
	return &sfn.StartSyncExecutionOutput{Status: types.SyncExecutionStatusSucceeded, Output: aws.String(string(text))}
}

// ends is an engine whose executions all end with an envelope.
func ends(e *message.Envelope) *fakeEngine {
	return &fakeEngine{end: func(*message.Envelope) (*sfn.StartSyncExecutionOutput, error) { return endedWith(e), nil }}
}

// A bench is a gateway whose clock and log are in the hands of the test.
type bench struct {
	*Gateway
	store idempotency.Store
	clock *clock
	logs  bytes.Buffer
}

// newBench makes a gateway in front of three proxies. It is the only place that knows how a gateway is put together.
func newBench(t testing.TB, e Engine) *bench {
	t.Helper()
	b := &bench{store: idempotency.NewMemoryStore(), clock: &clock{now: noon}}
	var err error
	b.Gateway, err = newGateway(settings{
		stateMachineARN: "arn:aws:states:eu-central-1:123456789012:stateMachine:orders",
		proxies:         3,
		policy:          retry.Default(),
		table:           "records",
		recordPrefix:    "gateway",
		metrics:         message.MetricSource{Table: "records", Prefix: "gateway"},
	}, b.store, Dependencies{
		Engine: e,
		Log:    slog.New(slog.NewJSONHandler(&b.logs, nil)),
		Clock:  b.clock,
		Random: func() float64 { return 0.5 },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { logline.ReadPage(t, logPage).Compare(t, b.logs.String()) }) // no test writes a line that is not promised
	return b
}

// send hands an event to the gateway.
func (b *bench) send(t testing.TB, event events.LambdaFunctionURLRequest) events.LambdaFunctionURLResponse {
	t.Helper()
	response, err := b.Handle(lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "request-1"}), event)
	if err != nil {
		t.Fatalf("the gateway failed: %v", err)
	}
	return response
}

// request is the event of a request without a body.
func request(method, path string, fields ...string) events.LambdaFunctionURLRequest {
	event := events.LambdaFunctionURLRequest{RawPath: path, Headers: make(map[string]string)}
	event.RequestContext.HTTP.Method, event.RequestContext.HTTP.Protocol = method, "HTTP/1.1"
	for i := 0; i < len(fields); i += 2 {
		event.Headers[fields[i]] = fields[i+1]
	}
	return event
}

// problemBase is what the types of problems start with.
const problemBase = "https://github.com/retrying-api-proxy/retrying-api-proxy#"

// A document is a problem as it reaches the caller.
type document struct {
	Type, Title, Detail, Instance string
	Status                        int
	Processed                     string
	Message                       string
	Error                         struct{ Type, Code, Message string }
	Attempts                      []retry.Attempt
}

// problemIn reads the problem that a response is.
func problemIn(t testing.TB, response events.LambdaFunctionURLResponse) document {
	t.Helper()
	var d document
	decoder := json.NewDecoder(strings.NewReader(response.Body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		t.Fatalf("%s is not a problem: %v", response.Body, err)
	}
	if response.Headers["content-type"] != "application/problem+json" || response.Headers["cache-control"] != "no-store" {
		t.Errorf("the problem comes with %v", response.Headers)
	}
	if d.Instance != "urn:uuid:request-1" {
		t.Errorf("the instance is %q, want the id of the request", d.Instance)
	}
	if code := strings.TrimPrefix(d.Type, problemBase); d.Error.Type != "api_error" || d.Error.Code != code || d.Error.Message != d.Title+": "+d.Detail || d.Message != d.Error.Message {
		t.Errorf("the member error is %+v of a problem of type %s", d.Error, d.Type)
	}
	if d.Type == "" || d.Title == "" || d.Detail == "" || d.Status != response.StatusCode {
		t.Errorf("%d: the problem is not complete: %s", response.StatusCode, response.Body)
	}
	return d
}

// wantProblem checks a response that is a problem.
func wantProblem(t testing.TB, response events.LambdaFunctionURLResponse, status int, name string) document {
	t.Helper()
	d := problemIn(t, response)
	if want := problemBase + name; response.StatusCode != status || d.Type != want {
		t.Errorf("got %d, %s, want %d, %s: %s", response.StatusCode, d.Type, status, want, d.Detail)
	}
	return d
}

var ok = &message.Envelope{
	Outcome:  retry.Succeeded,
	Response: message.Response{StatusCode: 200, Body: "hello"},
	Attempts: []retry.Attempt{{Proxy: "proxy-1", Status: 200}},
}

func TestTheExecutionStartsWithTheRequestAtTheFirstProxy(t *testing.T) {
	engine := ends(ok)
	b := newBench(t, engine)
	event := request("POST", "/orders", "content-type", "application/json", "prefer", "wait=20, attempts=2")
	event.RawQueryString, event.Body = "a=1", `{"n":1}`
	b.send(t, event)

	in := engine.inputs[0]
	if *in.StateMachineArn != b.stateMachineARN || *in.Name != "request-1" {
		t.Errorf("started was %s, as %s", *in.StateMachineArn, *in.Name)
	}
	want := &message.Call{
		Request: message.Request{
			Method: "POST", Path: "/orders", Query: "a=1", Body: `{"n":1}`,
			Headers: map[string]string{"content-type": "application/json", "via": "1.1 " + b.pseudonym},
		},
		RequestID:   "request-1",
		Deadline:    noon.Add(20 * time.Second).UnixMilli(),
		MaxAttempts: 2,
	}
	if diff := cmp.Diff(want, engine.call(t)); diff != "" {
		t.Errorf("the call differs (-want +got):\n%s", diff)
	}
}

func TestTheEnvelopeThatAnExecutionStartsWithSaysWhatComesAfterALostProxy(t *testing.T) {
	engine := ends(ok)
	newBench(t, engine).send(t, request("GET", "/"))
	envelope := new(message.Envelope)
	if err := json.Unmarshal([]byte(*engine.inputs[0].Input), envelope); err != nil {
		t.Fatal(err)
	}
	if envelope.Outcome != retry.Again || envelope.WaitSeconds != 0 || envelope.SleepMilliseconds != 0 {
		t.Errorf("the first attempt does not begin at once: %+v", envelope)
	}
	if envelope.Version != 1 || envelope.Losses.Count != 0 || envelope.Losses.Allowed != 2 {
		t.Errorf("version %d says of losses %+v, want version 1, none lost and two allowed", envelope.Version, envelope.Losses)
	}
}

func TestACallersPatienceIsBoundedByWhatTheEngineCanHold(t *testing.T) {
	for prefer, want := range map[string]time.Duration{
		"":              60 * time.Second,
		"wait=5":        5 * time.Second,
		"wait=200":      200 * time.Second,
		"wait=100000":   290 * time.Second,
		"wait=0":        60 * time.Second,
		"wait=soon":     60 * time.Second,
		"respond-async": 60 * time.Second,
	} {
		engine := ends(ok)
		response := newBench(t, engine).send(t, request("GET", "/", "prefer", prefer))
		if got := engine.call(t).DeadlineTime().Sub(noon); got != want {
			t.Errorf("with Prefer: %s the deadline is in %v, want %v", prefer, got, want)
		}
		applied := map[string]string{"wait=5": "wait=5", "wait=200": "wait=200", "wait=100000": "wait=290"}[prefer]
		if got := response.Headers["preference-applied"]; got != applied {
			t.Errorf("with Prefer: %s the answer says Preference-Applied: %q, want %q", prefer, got, applied)
		}
	}
}

func TestTheUpstreamsAnswerReachesTheCaller(t *testing.T) {
	b := newBench(t, ends(&message.Envelope{
		Outcome: retry.Succeeded,
		Response: message.Response{
			StatusCode: 404,
			Headers:    map[string]string{"content-type": "text/plain", "etag": `"v1"`},
			Cookies:    []string{"a=1", "b=2; Path=/"},
			Body:       "none",
		},
		Attempts: []retry.Attempt{{Proxy: "proxy-1", Status: 429}, {Proxy: "proxy-2", Status: 404}},
	}))
	want := events.LambdaFunctionURLResponse{
		StatusCode: 404,
		Headers: map[string]string{
			"content-type": "text/plain",
			"etag":         `"v1"`,
			"proxy-status": "proxy-1; received-status=429, proxy-2; received-status=404",
			"via":          "1.1 " + b.pseudonym,
		},
		Cookies: []string{"a=1", "b=2; Path=/"},
		Body:    "none",
	}
	if diff := cmp.Diff(want, b.send(t, request("GET", "/"))); diff != "" {
		t.Errorf("the answer differs (-want +got):\n%s", diff)
	}
}

func TestABinaryAnswerStaysInBase64(t *testing.T) {
	body := make([]byte, 100<<10)
	rand.NewChaCha8([32]byte{4}).Read(body)
	envelope := &message.Envelope{Outcome: retry.Succeeded, Response: message.Response{StatusCode: 200}}
	envelope.SetBody(body)
	response := newBench(t, ends(envelope)).send(t, request("GET", "/"))
	got, err := base64.StdEncoding.DecodeString(response.Body)
	if err != nil || !response.IsBase64Encoded || !bytes.Equal(got, body) {
		t.Errorf("%d bytes became %d, base64: %v, error %v", len(body), len(got), response.IsBase64Encoded, err)
	}
}

func TestABinaryRequestStaysInBase64(t *testing.T) {
	engine := ends(ok)
	event := request("PUT", "/")
	event.Body, event.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte("\x00\xff")), true
	newBench(t, engine).send(t, event)
	call := engine.call(t)
	if body, err := call.Request.BodyBytes(); err != nil || string(body) != "\x00\xff" {
		t.Errorf("the body became %q, error %v", body, err)
	}
}

func TestWhatOtherProxiesSaidStaysInFront(t *testing.T) {
	b := newBench(t, ends(&message.Envelope{
		Outcome: retry.Succeeded,
		Response: message.Response{StatusCode: 200, Headers: map[string]string{
			"proxy-status": "cdn; hit", "via": "1.1 cdn", "preference-applied": "return=minimal",
		}},
		Attempts: []retry.Attempt{{Proxy: "proxy-1", Status: 200}},
	}))
	headers := b.send(t, request("GET", "/", "prefer", "wait=9")).Headers
	for name, want := range map[string]string{
		"proxy-status":       "cdn; hit, proxy-1; received-status=200",
		"via":                "1.1 cdn, 1.1 " + b.pseudonym,
		"preference-applied": "return=minimal, wait=9",
	} {
		if headers[name] != want {
			t.Errorf("%s is %q, want %q", name, headers[name], want)
		}
	}
}

func TestWhenAttemptsRanOutTheLastAnswerReachesTheCaller(t *testing.T) {
	response := newBench(t, ends(&message.Envelope{
		Outcome:  retry.Failed,
		Error:    retry.AttemptsExhausted,
		Response: message.Response{StatusCode: 503, Headers: map[string]string{"content-type": "text/html"}, Body: "closed"},
		Attempts: []retry.Attempt{{Proxy: "proxy-1", Status: 503}, {Proxy: "proxy-2", Error: retry.ConnectionRefused}, {Proxy: "proxy-3", Status: 503}},
	})).send(t, request("GET", "/"))
	if response.StatusCode != 503 || response.Body != "closed" || response.Headers["content-type"] != "text/html" {
		t.Errorf("got %+v", response)
	}
	want := "proxy-1; received-status=503, proxy-2; error=connection_refused, proxy-3; received-status=503"
	if got := response.Headers["proxy-status"]; got != want {
		t.Errorf("Proxy-Status is %q, want %q", got, want)
	}
}

func TestA429BeyondTheDeadlineSaysHowLongIsReallyLeft(t *testing.T) {
	for _, c := range []struct {
		left time.Duration
		want string
	}{
		{10 * time.Minute, "600"},
		{10*time.Minute - 900*time.Millisecond, "600"},
		{10*time.Minute + time.Millisecond, "601"},
		{time.Millisecond, "1"},
		{-time.Second, "0"},
	} {
		response := newBench(t, ends(&message.Envelope{
			Outcome:   retry.Failed,
			Error:     retry.DeadlineExceeded,
			NotBefore: noon.Add(c.left).UnixMilli(),
			Response:  message.Response{StatusCode: 429, Headers: map[string]string{"retry-after": "3600"}},
			Attempts:  []retry.Attempt{{Proxy: "proxy-1", Status: 429, NotBefore: noon.Add(c.left).UnixMilli()}},
		})).send(t, request("GET", "/"))
		if response.StatusCode != 429 || response.Headers["retry-after"] != c.want {
			t.Errorf("with %v left, the answer is %d with Retry-After: %s, want %s", c.left, response.StatusCode, response.Headers["retry-after"], c.want)
		}
	}
}

// A backoff is drawn, and may be over by the time that the answer comes.
func TestWhereTheUpstreamSaysNothingNobodyIsSentBackAtOnce(t *testing.T) {
	for left, want := range map[time.Duration]string{3500 * time.Millisecond: "4", 20 * time.Millisecond: "1", 0: "1", -time.Second: "1"} {
		response := newBench(t, ends(&message.Envelope{
			Outcome:   retry.Failed,
			Error:     retry.AttemptsExhausted,
			NotBefore: noon.Add(left).UnixMilli(),
			Response:  message.Response{StatusCode: 502},
			Attempts:  []retry.Attempt{{Proxy: "proxy-1", Status: 502}},
		})).send(t, request("GET", "/"))
		if got := response.Headers["retry-after"]; got != want {
			t.Errorf("with %v of the backoff left, Retry-After is %s, want %s", left, got, want)
		}
	}
}

func TestWithoutAnAnswerAProblemListsTheAttempts(t *testing.T) {
	attempts := []retry.Attempt{
		{Proxy: "proxy-1", Start: noon.UnixMilli(), Duration: 12, Error: retry.ConnectionRefused, Details: "refused", Kind: retry.NetworkFailure, Wait: 700, Why: "backoff"},
		{Proxy: "proxy-2", Start: noon.UnixMilli() + 712, Error: retry.ConnectionReadTimeout, Kind: retry.NetworkFailure},
	}
	details := make(map[string]bool)
	for _, reason := range []retry.Reason{
		retry.AttemptsExhausted, retry.UnsafeToRepeat, retry.NotRetryable, message.AnswerTooLarge, retry.DeadlineExceeded,
	} {
		response := newBench(t, ends(message.Failure("request-1", reason, attempts))).send(t, request("GET", "/"))
		d := wantProblem(t, response, 504, "no-answer") // the last attempt took too long
		if diff := cmp.Diff(attempts, d.Attempts); diff != "" {
			t.Errorf("%s: the attempts differ (-want +got):\n%s", reason, diff)
		}
		want := `proxy-1; error=connection_refused; details="refused", proxy-2; error=connection_read_timeout`
		if got := response.Headers["proxy-status"]; got != want {
			t.Errorf("%s: Proxy-Status is %q, want %q", reason, got, want)
		}
		if details[d.Detail] {
			t.Errorf("%s is explained as another reason is: %s", reason, d.Detail)
		}
		details[d.Detail] = true
	}
}

func TestARequestThatIsTooLargeIsRefusedBeforeAnythingIsStarted(t *testing.T) {
	engine := ends(ok)
	b := newBench(t, engine)
	event := request("PUT", "/")
	event.Body = strings.Repeat("x", 249_648) // what a state holds, less room for twelve attempts
	d := wantProblem(t, b.send(t, event), 413, "request-too-large")
	if len(engine.inputs) != 0 {
		t.Error("an execution was started")
	}
	if strings.Contains(d.Detail, "xxx") {
		t.Errorf("the problem quotes the body: %.200s", d.Detail)
	}

	event.Body = strings.Repeat("x", 249_648-4<<10)
	if response := b.send(t, event); response.StatusCode != 200 {
		t.Errorf("a request that fits was answered with %d: %s", response.StatusCode, response.Body)
	}
}

func TestTheLogTellsOfTheRequestWithoutWhatIsInIt(t *testing.T) {
	answered := &message.Envelope{
		Outcome:  retry.Succeeded,
		Response: message.Response{StatusCode: 200, Headers: map[string]string{"x-token": "secret"}, Body: "secret", Cookies: []string{"s=secret"}},
		Attempts: []retry.Attempt{{Proxy: "proxy-1", Status: 503}, {Proxy: "proxy-2", Status: 200}},
	}
	unanswered := message.Failure("request-1", retry.AttemptsExhausted, nil)
	unanswered.Body = "secret"
	for what, end := range map[string]func() (*sfn.StartSyncExecutionOutput, error){
		"answered":   func() (*sfn.StartSyncExecutionOutput, error) { return endedWith(answered), nil },
		"unanswered": func() (*sfn.StartSyncExecutionOutput, error) { return endedWith(unanswered), nil },
		"broken": func() (*sfn.StartSyncExecutionOutput, error) {
			return &sfn.StartSyncExecutionOutput{Status: types.SyncExecutionStatusFailed, Cause: aws.String("secret"), Error: aws.String("States.Runtime")}, nil
		},
		"garbage": func() (*sfn.StartSyncExecutionOutput, error) {
			return &sfn.StartSyncExecutionOutput{Status: types.SyncExecutionStatusSucceeded, Output: aws.String("secret")}, nil
		},
		"refused input": func() (*sfn.StartSyncExecutionOutput, error) {
			return nil, &types.InvalidExecutionInput{Message: aws.String("Invalid input: 'secret'")}
		},
		"no connection": func() (*sfn.StartSyncExecutionOutput, error) { return nil, errors.New("connection reset") },
	} {
		b := newBench(t, &fakeEngine{end: func(*message.Envelope) (*sfn.StartSyncExecutionOutput, error) { return end() }})
		event := request("POST", "/orders", "authorization", "Bearer secret", "idempotency-key", "secret-key")
		event.RawQueryString, event.Body, event.Cookies = "token=secret", "secret", []string{"session=secret"}
		b.send(t, event)
		if strings.Contains(b.logs.String(), "secret") {
			t.Errorf("%s: the log tells what was sent or received:\n%s", what, &b.logs)
		}
		if what == "answered" {
			var line struct {
				Msg, RequestID, Method string
				Status, Attempts       int
			}
			if err := json.Unmarshal(b.logs.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			if line.Msg != "request" || line.RequestID != "request-1" || line.Method != "POST" || line.Status != 200 || line.Attempts != 2 {
				t.Errorf("the log says %+v", line)
			}
		}
	}
}

func TestRequestsAtTheSameTimeKeepApart(t *testing.T) {
	engine := &fakeEngine{end: func(e *message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
		return endedWith(&message.Envelope{
			Outcome:  retry.Succeeded,
			Response: message.Response{StatusCode: 200, Body: e.Call.Request.Path},
		}), nil
	}}
	b := newBench(t, engine)
	var group sync.WaitGroup
	for i := range 30 {
		path := "/" + strings.Repeat("x", i)
		group.Go(func() {
			if response, err := b.Handle(t.Context(), request("GET", path)); err != nil || response.Body != path {
				t.Errorf("%s was answered with %s, error %v", path, response.Body, err)
			}
		})
	}
	group.Wait()
}

func TestAProblemSaysWhenTheUpstreamWantsToBeAskedAgain(t *testing.T) {
	b := newBench(t, nil)
	b.engine = ends(&message.Envelope{
		Outcome: retry.Failed, Error: retry.AttemptsExhausted, NotBefore: b.clock.Now().Add(2500 * time.Millisecond).UnixMilli(),
		Attempts: []retry.Attempt{{Proxy: "proxy-1", Error: retry.ConnectionRefused}},
	})
	response := b.send(t, request("GET", "/"))
	wantProblem(t, response, 502, "no-answer")
	if got := response.Headers["retry-after"]; got != "3" {
		t.Errorf("Retry-After is %q, want 3", got)
	}
}

// lost is the envelope of an execution that gave up after so many proxies were lost, each with an error.
func lost(before []retry.Attempt, errors ...string) *message.Envelope {
	losses := &message.Losses{Allowed: 2}
	for i, name := range errors {
		losses = &message.Losses{Count: i + 1, Allowed: 2, Proxy: message.ProxyName(i + 1), Error: name, Before: losses}
	}
	return &message.Envelope{Version: 1, Outcome: retry.Failed, Error: message.ProxiesLost, Attempts: before, Losses: losses}
}

func TestIfAllProxiesWereLostAProblemTellsHow(t *testing.T) {
	b := newBench(t, ends(lost(nil, "Sandbox.Timedout", "Runtime.ExitError", "Lambda.TooManyRequestsException")))
	response := b.send(t, request("GET", "/"))
	d := wantProblem(t, response, 502, "no-answer")
	if len(d.Attempts) != 3 || !strings.Contains(d.Detail, "used up") {
		t.Errorf("the problem says %q of %+v", d.Detail, d.Attempts)
	}
	want := `proxy-1; error=proxy_internal_error; details="Sandbox.Timedout", proxy-2; error=proxy_internal_error; details="Runtime.ExitError", ` +
		`proxy-3; error=proxy_internal_error; details="Lambda.TooManyRequestsException"`
	if got := response.Headers["proxy-status"]; got != want {
		t.Errorf("Proxy-Status is %q, want %q", got, want)
	}
}

func TestAPostWhoseProxiesWereLostMayHaveBeenProcessed(t *testing.T) {
	b := newBench(t, ends(lost(nil, "Runtime.ExitError", "Runtime.ExitError", "Runtime.ExitError")))
	d := wantProblem(t, b.send(t, request("POST", "/")), 502, "outcome-unknown")
	if len(d.Attempts) != 1 || !strings.Contains(d.Detail, "may have processed") {
		t.Errorf("the problem says %q of %+v", d.Detail, d.Attempts)
	}
}

func TestIfAllProxiesWereLostTheUpstreamsFloorIsTold(t *testing.T) {
	limited := retry.Attempt{Proxy: "proxy-3", Status: 429, Kind: retry.RateLimit, NotBefore: noon.Add(20 * time.Second).UnixMilli()}
	b := newBench(t, ends(lost([]retry.Attempt{limited}, "Runtime.ExitError", "Runtime.ExitError", "Runtime.ExitError")))
	response := b.send(t, request("GET", "/"))
	if got := response.Headers["retry-after"]; got != "20" || len(problemIn(t, response).Attempts) != 4 {
		t.Errorf("Retry-After is %q, want 20: %s", got, response.Body)
	}
}

func TestViaSaysInWhichVersionTheUpstreamAnswered(t *testing.T) {
	for protocol, want := range map[string]string{"": "1.1 origin, 1.1 ", "2.0": "1.1 origin, 2.0 ", "1.0": "1.1 origin, 1.0 ", "no token": "1.1 origin, 1.1 "} {
		b := newBench(t, ends(&message.Envelope{
			Outcome: retry.Succeeded, Protocol: protocol, Response: message.Response{StatusCode: 200, Headers: map[string]string{"via": "1.1 origin"}},
		}))
		if got := b.send(t, request("GET", "/")).Headers["via"]; got != want+b.pseudonym {
			t.Errorf("of an answer in %q Via is %s", protocol, got)
		}
	}
}

// Forty callers who wait for 290 s hold forty functions and forty executions.
func TestACallerWhomNobodyKnowsDoesNotWaitAsLongAsOthersMay(t *testing.T) {
	for _, c := range []struct {
		prefer          string
		known           bool
		limit, deadline time.Duration
		waits           time.Duration
	}{
		{"wait=290", false, time.Minute, time.Minute, time.Minute},
		{"wait=30", false, time.Minute, time.Minute, 30 * time.Second},
		{"wait=290", true, time.Minute, time.Minute, 290 * time.Second},
		{"wait=290", false, 2 * time.Minute, time.Minute, 2 * time.Minute},
		{"wait=290", false, 0, time.Minute, 290 * time.Second},
		{"wait=290", false, time.Minute, 100 * time.Second, 100 * time.Second}, // as long as without a preference
		{"", false, time.Minute, 100 * time.Second, 100 * time.Second},
	} {
		engine := ends(ok)
		b := newBench(t, engine)
		b.maxAnonymousWait, b.policy.Deadline = c.limit, c.deadline
		event := request("GET", "/", "prefer", c.prefer)
		if c.known {
			event.RequestContext.Authorizer = &events.LambdaFunctionURLRequestContextAuthorizerDescription{
				IAM: &events.LambdaFunctionURLRequestContextAuthorizerIAMDescription{AccountID: "123456789012", UserID: "AIDAEXAMPLE"},
			}
		}
		b.send(t, event)
		if got := engine.call(t).DeadlineTime().Sub(noon); got != c.waits {
			t.Errorf("%+v: the deadline is in %v", c, got)
		}
	}
}

func TestAttemptsCanBeKeptFromStrangers(t *testing.T) {
	attempts := []retry.Attempt{{Proxy: "proxy-1", Status: 503, Why: "503"}}
	for _, envelope := range []*message.Envelope{
		{Outcome: retry.Succeeded, Response: message.Response{StatusCode: 200, Headers: map[string]string{"proxy-status": "origin"}}, Attempts: attempts},
		message.Failure("request-1", retry.AttemptsExhausted, attempts),
	} {
		b := newBench(t, ends(envelope))
		b.hideAttempts = true
		response := b.send(t, request("GET", "/"))
		if told := response.Headers["proxy-status"]; strings.Contains(told, "proxy-1") || strings.Contains(response.Body, "proxy-1") {
			t.Errorf("the attempts are told: %s, %s", told, response.Body)
		}
		if envelope.StatusCode == 200 && response.Headers["proxy-status"] != "origin" {
			t.Errorf("what the upstream tells of itself is %q", response.Headers["proxy-status"])
		}
	}
}
