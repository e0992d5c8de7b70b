package handler

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/logline"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// logPage is the page on which the lines of the log are promised.
const logPage = "../../../docs/logs.md"

// A logged line, and its metrics.
type logged struct {
	fields  map[string]any
	metrics logline.Metrics
}

// lines are those of the log with a text.
func (b *bench) lines(t testing.TB, text string) (all []logged) {
	t.Helper()
	for line := range strings.Lines(b.logs.String()) {
		fields := map[string]any{}
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		if fields["msg"] == text {
			all = append(all, logged{fields, logline.MetricsIn(t, []byte(line))})
		}
	}
	return all
}

// says checks fields of a line, of which one that is nil must not be there, and all its metrics.
func (l logged) says(t testing.TB, want map[string]any, metrics map[string]float64) {
	t.Helper()
	for name, value := range want {
		if l.fields[name] != value {
			t.Errorf("%s is %v, want %v, in %v", name, l.fields[name], value, l.fields)
		}
	}
	if !maps.Equal(l.metrics.Values, metrics) {
		t.Errorf("the metrics are %v, want %v, in %v", l.metrics.Values, metrics, l.fields)
	}
}

func TestAnAttemptIsToldOfWithItsRequestAndCountedForItsProxy(t *testing.T) {
	t.Parallel()
	status := 429
	var b *bench
	b = newBench(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		b.Sleep(t.Context(), 48*time.Millisecond)
		if status == 429 {
			w.Header().Set("Retry-After", "2")
		}
		w.WriteHeader(status)
	}))
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "invocation-1"})
	in := b.call(message.Request{Method: "POST", Path: "/orders/5%2F6", Query: "a=1", Headers: map[string]string{"authorization": "Bearer t"}})
	out, err := b.Handle(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	status = 201
	b.invoke(t, *out)
	all := b.lines(t, "attempt")
	if len(all) != 2 {
		t.Fatalf("there are %d lines: %s", len(all), &b.logs)
	}
	all[0].says(t, map[string]any{
		"level": "INFO", "requestId": "request-1", "invocationId": "invocation-1", "execution": nil, "callback": nil, "method": "POST", "path": "/orders/5%2F6",
		"attempt": 1.0, "proxy": "proxy-1", "address": nil, "status": 429.0, "error": nil, "details": nil, "durationMs": 48.0, "outcome": "retry", "waitMs": 2050.0,
	}, map[string]float64{"Attempts": 1, "RateLimits": 1, "AttemptTime": 48, "RetryWait": 2050})
	all[1].says(t, map[string]any{"attempt": 2.0, "status": 201.0, "outcome": "succeeded", "waitMs": nil, "invocationId": nil},
		map[string]float64{"Attempts": 1, "Retries": 1, "AttemptTime": 48})
	if want := map[string]string{"TableName": "records", "RecordPrefix": "gateway", "Proxy": "proxy-1"}; !maps.Equal(all[0].metrics.Of, want) {
		t.Errorf("the dimensions are %v, want %v", all[0].metrics.Of, want)
	}
}

func TestALostProxyIsCountedWithoutATimeByTheOneAfterIt(t *testing.T) {
	t.Parallel()
	b := newBench(t, serve(t, func(http.ResponseWriter, *http.Request) {}))
	in := b.call(message.Request{Method: "GET", Path: "/orders"})
	b.invoke(t, afterLosses(in, "Runtime.ExitError"))
	all := b.lines(t, "attempt")
	all[0].says(t, map[string]any{
		"level": "WARN", "proxy": "proxy-1", "error": "proxy_internal_error", "details": "Runtime.ExitError", "path": "/orders", "durationMs": nil, "status": nil, "outcome": "retry",
	}, map[string]float64{"Attempts": 1, "RetryWait": all[0].fields["waitMs"].(float64)})
	all[1].says(t, map[string]any{"attempt": 2.0, "status": 200.0}, map[string]float64{"Attempts": 1, "Retries": 1, "AttemptTime": 0})
}

func TestTheEndOfAnAsynchronousRequestIsToldAndCountedOnce(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		status int
		fields map[string]any
		counts map[string]float64
	}{
		"a final answer": {201, map[string]any{"level": "INFO", "outcome": "succeeded", "reason": nil, "upstreamStatus": 201.0}, nil},
		"a final 501":    {501, map[string]any{"level": "INFO", "outcome": "succeeded", "reason": nil, "upstreamStatus": 501.0}, nil},
		"silence": {0, map[string]any{"level": "WARN", "outcome": "failed", "reason": "UnsafeToRepeat", "upstreamStatus": nil},
			map[string]float64{"UpstreamFailed": 1, "OutcomesUnknown": 1}},
		"a last answer": {500, map[string]any{"level": "WARN", "outcome": "failed", "reason": "UnsafeToRepeat", "upstreamStatus": 500.0},
			map[string]float64{"UpstreamFailed": 1}},
	} {
		b, k, in := keeping(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if c.status == 0 {
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(c.status)
		}), order)
		k.change(func(x *execution.Execution) { x.Created = b.Now().Add(-7 * time.Second).UnixMilli() })
		b.invoke(t, in)
		b.invoke(t, in) // by a state machine that has not been told
		all := b.lines(t, "execution")
		if len(all) != 1 {
			t.Fatalf("%s: there are %d lines: %s", what, len(all), &b.logs)
		}
		all[0].says(t, c.fields, c.counts)
		all[0].says(t, map[string]any{"requestId": "request-1", "execution": "e1", "method": "POST", "attempts": 1.0, "durationMs": 7000.0, "callback": nil}, c.counts)
		b.lines(t, "attempt")[0].says(t, map[string]any{"execution": "e1", "path": "/orders"}, b.lines(t, "attempt")[0].metrics.Values)
	}
}

func TestACallbackIsToldOfWithoutItsURLAndCountedByNothing(t *testing.T) {
	t.Parallel()
	server, _ := receiver(t, func(int, http.ResponseWriter) int { return 410 })
	b, _, callback, in := callingBack(t, server, asItIs)
	b.invoke(t, in)
	attempts, ends := b.lines(t, "attempt"), b.lines(t, "execution")
	if len(attempts) != 1 || len(ends) != 1 || strings.Contains(b.logs.String(), "/hook") {
		t.Fatalf("the log is %s", &b.logs)
	}
	attempts[0].says(t, map[string]any{"execution": callback.Name, "callback": true, "method": nil, "path": nil, "status": 410.0, "address": nil}, nil)
	ends[0].says(t, map[string]any{"execution": callback.Name, "callback": true, "method": nil, "outcome": "failed", "reason": "CallbackRefused", "level": "WARN"}, nil)
}

func TestEveryFieldAndMetricOfThePageIsWritten(t *testing.T) {
	t.Parallel()
	page := logline.ReadPage(t, logPage)
	var logs strings.Builder
	collect := func(b *bench) { logs.WriteString(b.logs.String()) }

	b := newBench(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/silent" {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(429)
	}))
	b.address.address = "192.0.2.7"
	if _, err := b.Handle(lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "i"}), b.call(message.Request{Method: "GET"}, limited)); err != nil {
		t.Fatal(err)
	}
	b.invoke(t, b.call(message.Request{Method: "GET", Path: "/silent"}))
	collect(b)
	for deadline, status := range map[time.Duration]int{time.Hour: 200, time.Second: 503} {
		b, k, in := keeping(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }), message.Request{Method: "GET", Path: "/"})
		k.change(func(x *execution.Execution) { x.Deadline = b.Now().Add(deadline).UnixMilli() })
		in.Call.Deadline = b.Now().Add(deadline).UnixMilli()
		b.invoke(t, in)
		b.Sleep(t.Context(), time.Hour)
		b.invoke(t, in)
		collect(b)
	}
	unsafe, _, in := keeping(t, serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), order)
	unsafe.invoke(t, in)
	collect(unsafe)
	server, _ := receiver(t, func(int, http.ResponseWriter) int { return 410 })
	calls, _, _, in := callingBack(t, server, asItIs)
	calls.invoke(t, in)
	collect(calls)
	locked, _, in := keeping(t, serve(t, func(http.ResponseWriter, *http.Request) {}), order)
	locked.with(message.UpstreamAuth{Kind: message.AuthBearer, Secret: "none"}, nil)
	locked.invoke(t, in)
	collect(locked)

	seen := page.Compare(t, logs.String())
	for _, line := range []string{"attempt", "execution"} {
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

// Whatever stands in the place of a secret, and whatever goes wrong then, no line of the log holds it.
func TestNoLineHoldsWhatWasSentOrReceived(t *testing.T) {
	t.Parallel()
	const marker = "MARKER"
	r := message.Request{Method: "POST", Path: "/orders", Query: "token=" + marker, Body: marker, Headers: map[string]string{
		"authorization": "Bearer " + marker, "cookie": "session=" + marker, "idempotency-key": marker, "x-api-key": marker, "referer": "https://a.example/?" + marker,
	}}
	for what, answer := range map[string]http.HandlerFunc{
		"a success": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Set-Cookie", marker)
			w.Header().Set("X-"+marker, marker)
			io.WriteString(w, marker)
		},
		"a limit": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "soon "+marker)
			w.Header().Set("X-RateLimit-Reset", marker)
			w.WriteHeader(429)
			io.WriteString(w, `{"error":"`+marker+`"}`)
		},
		"an error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503); io.WriteString(w, marker) },
		"a redirect": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/"+marker)
			w.WriteHeader(302)
		},
		"a 401": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", marker)
			w.WriteHeader(401)
		},
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, marker)
			panic(http.ErrAbortHandler)
		},
		"garbage": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			fmt.Fprintf(conn, "%s %s\r\n\r\n", marker, marker)
			conn.Close()
		},
	} {
		url := serve(t, answer)
		b := newBench(t, url)
		b.invoke(t, b.call(r))
		asynchronous, _, in := keeping(t, url, r)
		asynchronous.invoke(t, in)
		for _, logs := range []string{b.logs.String(), asynchronous.logs.String()} {
			if strings.Contains(strings.ToUpper(logs), marker) || !strings.Contains(logs, `"msg":"attempt"`) {
				t.Errorf("%s: the log holds what was sent or received, or no line of it: %s", what, logs)
			}
		}
	}
}

func TestWithoutMetricsAnAttemptIsToldOfInTheSameWay(t *testing.T) {
	t.Parallel()
	b := newBench(t, serve(t, func(http.ResponseWriter, *http.Request) {}))
	b.metrics = message.MetricSource{}
	b.invoke(t, b.call(message.Request{Method: "GET"}))
	b.lines(t, "attempt")[0].says(t, map[string]any{"status": 200.0, "outcome": string(retry.Succeeded)}, nil)
	if strings.Contains(b.logs.String(), "_aws") || strings.Contains(b.logs.String(), "TableName") {
		t.Errorf("the log has metrics: %s", &b.logs)
	}
}
