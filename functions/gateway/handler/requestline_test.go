package handler

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/logline"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// requestLine is the latest line of a request, and its metrics.
func (b *bench) requestLine(t testing.TB) (line map[string]any, metrics logline.Metrics) {
	t.Helper()
	for text := range strings.Lines(b.logs.String()) {
		if strings.Contains(text, `"msg":"request"`) {
			line = map[string]any{}
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatal(err)
			}
			metrics = logline.MetricsIn(t, []byte(text))
		}
	}
	if line == nil {
		t.Fatalf("there is no line of a request: %s", &b.logs)
	}
	return line, metrics
}

// says checks fields of the latest line of a request. One that is nil must not be there.
func (b *bench) says(t testing.TB, want map[string]any) {
	t.Helper()
	line, _ := b.requestLine(t)
	for name, value := range want {
		if line[name] != value {
			t.Errorf("%s is %v, want %v, in %v", name, line[name], value, line)
		}
	}
}

// counted checks the metrics of the latest line of a request, beside RequestTime.
func (b *bench) counted(t testing.TB, want ...string) {
	t.Helper()
	_, metrics := b.requestLine(t)
	values := map[string]float64{"Requests": 1, "RequestTime": metrics.Values["RequestTime"]}
	for _, name := range want {
		values[name] = 1
	}
	if !maps.Equal(metrics.Values, values) || !maps.Equal(metrics.Of, map[string]string{"TableName": "records", "RecordPrefix": "gateway"}) {
		t.Errorf("the metrics are %+v, want %v", metrics, values)
	}
}

// as is an event of a caller with an identity of IAM.
func as(event events.LambdaFunctionURLRequest, arn, id string) events.LambdaFunctionURLRequest {
	event.RequestContext.Authorizer = &events.LambdaFunctionURLRequestContextAuthorizerDescription{
		IAM: &events.LambdaFunctionURLRequestContextAuthorizerIAMDescription{UserARN: arn, UserID: id, AccountID: "123456789012", AccessKey: "AKIDMARKER"},
	}
	return event
}

func TestARequestIsToldOfWithWhatLeadsOn(t *testing.T) {
	t.Parallel()
	envelope := &message.Envelope{
		Outcome: retry.Succeeded, Response: message.Response{StatusCode: 201},
		Attempts: []retry.Attempt{{Proxy: "proxy-1", Status: 429}, {Proxy: "proxy-2", Status: 201}},
	}
	b := newBench(t, nil)
	b.Gateway.engine = &fakeEngine{end: func(*message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
		b.clock.Sleep(t.Context(), 1234567*time.Microsecond)
		out := endedWith(envelope)
		out.ExecutionArn = aws.String("arn:aws:states:eu-central-1:123456789012:express:orders:request-1:5b")
		return out, nil
	}}
	b.send(t, as(keyed(`"order-1"`, "tea"), "arn:aws:sts::123456789012:assumed-role/shop/session", "AROA:session"))
	b.says(t, map[string]any{
		"level": "INFO", "requestId": "request-1", "method": "POST", "path": "/orders", "status": 201.0, "problem": nil, "outcome": "answered",
		"attempts": 2.0, "upstreamStatus": 201.0, "replayed": false, "replayOf": nil, "keyDigest": "0bafe22156d2698c",
		"execution": "arn:aws:states:eu-central-1:123456789012:express:orders:request-1:5b",
		"caller":    "arn:aws:sts::123456789012:assumed-role/shop/session", "durationMs": 1234.0,
	})
	b.counted(t)
	if _, metrics := b.requestLine(t); metrics.Values["RequestTime"] != 1234 {
		t.Errorf("the metrics are %+v, want 1,234 ms", metrics)
	}
	text, err := os.ReadFile(logPage)
	if err != nil || !strings.Contains(string(text), "printf %s 'order-1' | sha256sum | cut -c1-16") || strings.Count(string(text), "0bafe22156d2698c") < 3 {
		t.Errorf("the page does not say how the digest is computed, error %v", err)
	}
}

func TestAReplayAndARefusalAreToldFromARequest(t *testing.T) {
	t.Parallel()
	b, _ := newRecordingBench(t, message.Response{StatusCode: 200, Body: "tea"})
	b.send(t, keyed("k", "tea"))
	b.says(t, map[string]any{"outcome": "answered", "attempts": 1.0, "replayed": false})
	b.counted(t)

	b.send(t, keyed("k", "tea"))
	b.says(t, map[string]any{"outcome": "replayed", "attempts": 0.0, "replayed": true, "status": 200.0, "upstreamStatus": nil, "execution": nil})
	b.counted(t, "Replays")

	b.send(t, keyed("k", "coffee"))
	b.says(t, map[string]any{"outcome": "conflict", "attempts": 0.0, "replayed": false, "status": 422.0, "problem": "idempotency-key-reused", "keyDigest": digestOfKey("k")})
	b.counted(t, "Conflicts")

	b.send(t, request("GET", "/../x"))
	b.says(t, map[string]any{"outcome": "refused", "attempts": 0.0, "replayed": false, "status": 400.0, "problem": "invalid-request", "keyDigest": nil, "path": "/../x"})
	b.counted(t, "Refused")
}

func TestAReplayNamesTheRequestWhoseAnswerItIs(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]any{
		"0c5f2a4e-1111-4222-8333-444455556666": "0c5f2a4e-1111-4222-8333-444455556666",
		"no token":                             nil, // by whoever else may write to the table
		strings.Repeat("x", 65):                nil,
	} {
		b, engine := newRecordingBench(t, message.Response{StatusCode: 200})
		engine.end = func(in *message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
			out := message.Answer(written, retry.Succeeded, "", message.Response{StatusCode: 200}, []retry.Attempt{{Proxy: "proxy-1", Status: 200}})
			out.Expiration = b.clock.Now().Add(recordTTL).Unix()
			b.complete(t, in.Record, out)
			return endedWith(out), nil
		}
		b.send(t, keyed("k", "tea"))
		b.send(t, keyed("k", "tea"))
		b.says(t, map[string]any{"replayed": true, "replayOf": want})
	}
}

func TestAnAsynchronousRequestIsToldOfWithItsExecutionAndNeverWithItsID(t *testing.T) {
	t.Parallel()
	b := newAsyncBench(t)
	location, x := b.acceptedAt(t, request("POST", "/orders", "prefer", "respond-async"))
	arn := "arn:aws:states:eu-central-1:123456789012:execution:orders-async:" + x.Name
	b.says(t, map[string]any{"outcome": "accepted", "status": 202.0, "execution": arn, "path": "/orders"})
	b.counted(t)

	b.send(t, request("GET", location))
	b.says(t, map[string]any{"outcome": "told", "status": 200.0, "execution": arn, "path": "/-/executions/{id}"})
	b.counted(t)
	b.send(t, request("GET", location+"/response"))
	b.says(t, map[string]any{"outcome": "refused", "status": 409.0, "problem": "execution-running", "path": "/-/executions/{id}/response"})
	b.counted(t, "Refused")

	// It fails, which its proxy counts. Whoever asks for the answer, and again, is another request, and no other failure.
	b.goesOn(t, location, func(x *execution.Execution) { x.State = execution.Failed })
	x = b.at(t, location)
	answer := message.Failure("request-1", retry.AttemptsExhausted, []retry.Attempt{{Proxy: "proxy-1", Start: 1, Error: retry.ConnectionTerminated, MaybeProcessed: true}})
	part, err := b.kept.PutAnswer(t.Context(), x.Name, 1, answer, x.Expiration)
	if err != nil {
		t.Fatal(err)
	}
	b.goesOn(t, location, func(x *execution.Execution) { x.Answer = part })
	for range 2 {
		b.send(t, request("GET", location+"/response"))
		b.says(t, map[string]any{"outcome": "unknown", "status": 502.0, "problem": "outcome-unknown", "execution": arn, "attempts": 1.0})
		b.counted(t)
	}
	if logs := b.logs.String(); strings.Contains(logs, strings.TrimPrefix(location, "/-/executions/")) {
		t.Errorf("the log tells the id: %s", logs)
	}
}

func TestAPathInTheLogIsOneLineOfVisibleASCII(t *testing.T) {
	t.Parallel()
	long := "/" + strings.Repeat("x", 300)
	for path, want := range map[string]string{
		"/orders/5%2F6":                "/orders/5%2F6",
		"/a b\n\r\x00":                 "/a%20b%0A%0D%00",
		"/tea\u2028é":                  "/tea%E2%80%A8%C3%A9",
		`/"\`:                          "/%22%5C",
		long:                           long[:253] + "...",
		"/" + strings.Repeat("ü", 200): ("/" + strings.Repeat("%C3%BC", 100))[:253] + "...",
		"":                             "/",
	} {
		b := newBench(t, ends(ok))
		b.send(t, request("GET", path))
		b.says(t, map[string]any{"path": want})
	}
	b := newBench(t, ends(ok))
	b.plain(t, `{"method":"GET","path":"/orders?token=MARKER"}`)
	b.says(t, map[string]any{"path": "/orders", "status": 400.0, "caller": "invoke"})
	if strings.Contains(b.logs.String(), "MARKER") {
		t.Errorf("the log holds a query: %s", &b.logs)
	}
}

func TestACallerIsNamedByTheirIdentityAndByNothingElse(t *testing.T) {
	t.Parallel()
	b := newBench(t, ends(ok))
	for _, c := range []struct {
		arn, id string
		want    any
	}{
		{"arn:aws:iam::123456789012:user/shop", "AIDA", "arn:aws:iam::123456789012:user/shop"},
		{"", "AIDA", "AIDA"},
		{"", "", nil},
	} {
		b.send(t, as(request("GET", "/", "authorization", "Bearer MARKER"), c.arn, c.id))
		b.says(t, map[string]any{"caller": c.want})
	}
	b.send(t, request("GET", "/"))
	b.says(t, map[string]any{"caller": nil})
	if strings.Contains(b.logs.String(), "MARKER") {
		t.Errorf("the log holds a credential: %s", &b.logs)
	}
}

func TestLossesThatNoProxyWasLeftToTellOfAreToldByTheGateway(t *testing.T) {
	t.Parallel()
	limited := retry.Attempt{Proxy: "proxy-3", Start: 1, Status: 429, Kind: retry.RateLimit}
	b := newBench(t, ends(lost([]retry.Attempt{limited}, "Sandbox.Timedout", "Runtime.ExitError")))
	b.send(t, request("GET", "/orders"))
	var told []string
	for text := range strings.Lines(b.logs.String()) {
		var line struct {
			Msg, RequestID, Path, Proxy, Error, Details, Outcome, Level string
			Attempt                                                     int
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		if line.Msg != "attempt" {
			continue
		}
		metrics := logline.MetricsIn(t, []byte(text))
		if want := map[string]float64{"Attempts": 1, "Retries": 1}; !maps.Equal(metrics.Values, want) || metrics.Of["Proxy"] != line.Proxy {
			t.Errorf("the metrics are %+v, want %v", metrics, want)
		}
		if line.RequestID != "request-1" || line.Path != "/orders" || line.Level != "WARN" || line.Error != "proxy_internal_error" {
			t.Errorf("the line is %s", text)
		}
		told = append(told, strings.Join([]string{string(rune('0' + line.Attempt)), line.Proxy, line.Details, line.Outcome}, " "))
	}
	if got, want := strings.Join(told, ", "), "2 proxy-1 Sandbox.Timedout retry, 3 proxy-2 Runtime.ExitError failed"; got != want {
		t.Errorf("it tells of %s, want %s: %s", got, want, &b.logs)
	}
	b.says(t, map[string]any{"attempts": 3.0, "outcome": "given-up", "upstreamStatus": nil})
}

func TestTheAddressesAreCountedAsFarAsTheyHaveLatelyBeenSeen(t *testing.T) {
	t.Parallel()
	var made []retry.Attempt
	b := newBench(t, &fakeEngine{end: func(*message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
		return endedWith(&message.Envelope{Outcome: retry.Succeeded, Response: message.Response{StatusCode: 200}, Attempts: made}), nil
	}})
	from := func(proxy, address string) retry.Attempt {
		return retry.Attempt{Proxy: proxy, Start: 1, Status: 200, Address: address}
	}
	for i, c := range []struct {
		later time.Duration
		made  []retry.Attempt
		want  float64 // zero: the metric is not there
	}{
		{0, []retry.Attempt{from("proxy-1", "")}, 0},
		{0, []retry.Attempt{from("proxy-1", "192.0.2.1")}, 1},
		{0, []retry.Attempt{from("proxy-2", "192.0.2.1"), from("proxy-3", "192.0.2.3")}, 2},
		{0, []retry.Attempt{from("proxy-2", "192.0.2.2")}, 3},
		{0, []retry.Attempt{from("proxy-1", "192.0.2.2")}, 2}, // of each the latest
		{0, []retry.Attempt{from("proxy-1", "")}, 0},
		{0, []retry.Attempt{from("proxy-4", "192.0.2.4"), from("elsewhere", "192.0.2.5")}, 0}, // there are three
		{2*time.Hour + time.Minute, []retry.Attempt{from("proxy-1", "192.0.2.1")}, 1},
	} {
		b.clock.Sleep(t.Context(), c.later)
		made = c.made
		b.send(t, request("GET", "/"))
		if _, metrics := b.requestLine(t); metrics.Values["Addresses"] != c.want {
			t.Errorf("%d: there are %v addresses, want %v", i, metrics.Values["Addresses"], c.want)
		}
	}
}

func TestNoAddressIsToldToACaller(t *testing.T) {
	t.Parallel()
	attempt := retry.Attempt{Proxy: "proxy-1", Start: 1, Status: 503, Address: "198.51.100.7", MaybeProcessed: true}
	silent := retry.Attempt{Proxy: "proxy-2", Start: 1, Error: retry.ConnectionTerminated, Address: "198.51.100.7", MaybeProcessed: true}
	answers := map[string]events.LambdaFunctionURLResponse{
		"an answer":  newBench(t, ends(message.Answer("r", retry.Failed, retry.AttemptsExhausted, message.Response{StatusCode: 503}, []retry.Attempt{attempt}))).send(t, request("GET", "/")),
		"a problem":  newBench(t, ends(message.Failure("r", retry.AttemptsExhausted, []retry.Attempt{attempt, silent}))).send(t, request("GET", "/")),
		"no outcome": newBench(t, ends(message.Failure("r", retry.UnsafeToRepeat, []retry.Attempt{silent}))).send(t, request("POST", "/")),
	}
	b := newAsyncBench(t)
	location, _ := b.acceptedAt(t, request("POST", "/orders", "prefer", "respond-async"))
	b.goesOn(t, location, func(x *execution.Execution) {
		x.Attempts, x.Earlier = []retry.Attempt{attempt}, []retry.Attempt{silent}
	})
	answers["a status"] = b.send(t, request("GET", location))
	for what, answer := range answers {
		text, err := json.Marshal(answer)
		if err != nil || strings.Contains(string(text), "198.51.100.7") || !strings.Contains(string(text), "proxy-") {
			t.Errorf("%s tells of an address, or of no attempt: %s", what, text)
		}
	}
}

func TestWithoutMetricsTheLinesSayTheSame(t *testing.T) {
	t.Parallel()
	b := newBench(t, ends(lost(nil, "Sandbox.Timedout", "Runtime.ExitError"))).withGate(t, adaptive)
	b.metrics = message.MetricSource{}
	b.gatedOnce(t)
	logs := b.logs.String()
	if strings.Contains(logs, "_aws") || strings.Contains(logs, "TableName") || strings.Contains(logs, `"Requests"`) || strings.Contains(logs, "GateWait") {
		t.Errorf("the log has metrics: %s", logs)
	}
	b.says(t, map[string]any{"attempts": 2.0, "status": 502.0})
	if !strings.Contains(logs, `"msg":"gate","requestId":"request-1","scope":"anonymous.%2Forders","waitedMs":3100,"refused":false`) {
		t.Errorf("the log is %s", logs)
	}
}

// gatedOnce sends a request that waits at the gate.
func (b *gateBench) gatedOnce(t testing.TB) {
	t.Helper()
	b.store.Put(b.queue(31, 10))
	b.send(t, request("GET", "/orders"))
}

func TestEveryFieldAndMetricOfThePageIsWritten(t *testing.T) {
	t.Parallel()
	page := logline.ReadPage(t, logPage)
	var logs strings.Builder
	collect := func(b *bench) { logs.WriteString(b.logs.String()) }

	b, _ := newRecordingBench(t, message.Response{StatusCode: 200})
	end := b.Gateway.engine.(*fakeEngine).end
	b.Gateway.engine = &fakeEngine{end: func(in *message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
		in.Attempts = nil
		out, err := end(in)
		out.ExecutionArn = aws.String("arn:execution")
		return out, err
	}}
	b.send(t, as(keyed("k", "tea"), "arn:caller", ""))
	b.send(t, keyed("k", "tea"))
	b.send(t, keyed("k", "coffee"))
	b.send(t, request("GET", "/../x"))
	collect(b)

	again := newBench(t, nil)
	again.Gateway.engine = &fakeEngine{end: func(in *message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
		out := message.Answer("request-0", retry.Succeeded, "", message.Response{StatusCode: 200}, []retry.Attempt{{Proxy: "proxy-1", Status: 200, Address: "192.0.2.1"}})
		out.Expiration = again.clock.Now().Add(recordTTL).Unix()
		data, err := message.Marshal(out)
		if err != nil {
			return nil, err
		}
		return endedWith(out), again.store.Complete(t.Context(), recordWith(in.Record, data, again.clock.Now().Add(recordTTL)))
	}}
	again.send(t, keyed("k", "tea"))
	again.send(t, keyed("k", "tea"))
	collect(again)

	for _, envelope := range []*message.Envelope{
		message.Failure("r", retry.DeadlineExceeded, []retry.Attempt{{Proxy: "proxy-1", Start: 1, Error: retry.ConnectionTerminated, MaybeProcessed: true}}),
		lost(nil, "Lambda.TooManyRequestsException"),
	} {
		b := newBench(t, ends(envelope))
		b.send(t, request("POST", "/"))
		collect(b)
	}
	gated := newBench(t, ends(ok)).withGate(t, adaptive)
	gated.gatedOnce(t)
	collect(gated.bench)
	full := newBench(t, ends(ok)).withGate(t, adaptive)
	full.store.Put(full.queue(500, 10))
	full.send(t, request("GET", "/orders"))
	collect(full.bench)

	seen := page.Compare(t, logs.String())
	for _, line := range []string{"request", "gate"} {
		for name := range page.Fields(t, line) {
			if !seen[line][name] {
				t.Errorf("the page has the field %s of the line %s, and it was never written", name, line)
			}
		}
		for name := range page.Metrics(t, line) {
			if !seen[line][name] {
				t.Errorf("the page has the metric %s of the line %s, and it was never written", name, line)
			}
		}
	}
}

// Whatever is sent in the place of a secret, and whatever goes wrong then, no line of the log holds it.
func TestNoLineHoldsWhatWasSentOrReceived(t *testing.T) {
	t.Parallel()
	const marker = "MARKER"
	forms := regexp.MustCompile("(?i)marker|" + regexp.QuoteMeta(base64.StdEncoding.EncodeToString([]byte("MARKER"))[:8]))
	event := func() events.LambdaFunctionURLRequest {
		e := as(request("POST", "/orders", "idempotency-key", marker+"-key", "authorization", "Bearer "+marker, "x-api-key", marker, "x-own", marker,
			"upstream-authorization", marker, "referer", "https://a.example/?"+marker, "user-agent", marker, "callback-url", "https://"+marker+".example/"+marker),
			"arn:aws:iam::123456789012:user/shop", "AIDA")
		e.RawQueryString, e.Body, e.Cookies = "token="+marker+"&"+marker, marker, []string{"session=" + marker}
		return e
	}
	secret := message.Response{StatusCode: 200, Headers: map[string]string{"x-answer": marker, "location": "/" + marker}, Cookies: []string{marker}, Body: marker}
	ended := func(e *message.Envelope) func() (*sfn.StartSyncExecutionOutput, error) {
		return func() (*sfn.StartSyncExecutionOutput, error) { return endedWith(e), nil }
	}
	for what, end := range map[string]func() (*sfn.StartSyncExecutionOutput, error){
		"answered": ended(&message.Envelope{Outcome: retry.Succeeded, Response: secret, Attempts: []retry.Attempt{{Proxy: "proxy-1", Status: 200}}}),
		"given up": ended(&message.Envelope{Outcome: retry.Failed, Error: retry.AttemptsExhausted, Response: secret, Attempts: []retry.Attempt{{Proxy: "proxy-1", Status: 503}}}),
		"silence":  ended(message.Failure("r", retry.DeadlineExceeded, []retry.Attempt{{Proxy: "proxy-1", Error: retry.HTTPResponseTimeout}})),
		"lost":     ended(lost(nil, "Runtime.ExitError")),
		"the state machine failed": func() (*sfn.StartSyncExecutionOutput, error) {
			return &sfn.StartSyncExecutionOutput{Status: types.SyncExecutionStatusFailed, Cause: aws.String(marker), Error: aws.String("States.Runtime")}, nil
		},
		"no envelope": func() (*sfn.StartSyncExecutionOutput, error) {
			return &sfn.StartSyncExecutionOutput{Status: types.SyncExecutionStatusSucceeded, Output: aws.String(marker)}, nil
		},
		"the input is refused": func() (*sfn.StartSyncExecutionOutput, error) {
			return nil, &types.InvalidExecutionInput{Message: aws.String("Invalid input: '" + marker + "'")}
		},
		"no connection": func() (*sfn.StartSyncExecutionOutput, error) { return nil, errors.New("connection reset") },
	} {
		b := newAsyncBench(t)
		b.Gateway.engine = &fakeEngine{end: func(*message.Envelope) (*sfn.StartSyncExecutionOutput, error) { return end() }}
		b.send(t, event())
		b.send(t, event()) // a replay, or a conflict
		asynchronous := event()
		asynchronous.Headers["prefer"], asynchronous.Headers["idempotency-key"] = "respond-async", marker+"-other"
		b.send(t, asynchronous)
		malformed := event()
		malformed.Headers["idempotency-key"] = `"` + marker
		b.send(t, malformed)
		traced := event()
		traced.RequestContext.HTTP.Method = "TRACE"
		b.send(t, traced)
		b.deliver(t, `{"method":"POST","path":"/orders","query":"`+marker+`","body":"`+marker+`","idempotencyKey":"`+marker+`"}`, marker)
		if logs := b.logs.String(); forms.MatchString(logs) || !strings.Contains(logs, `"keyDigest"`) {
			t.Errorf("%s: the log holds what was sent or received, or no line of it: %s", what, logs)
		}
	}
}
