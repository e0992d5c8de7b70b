package handler

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/logline"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// morning is the time on the clock of the proxies in these tests. It stands still unless somebody sleeps.
var morning = time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)

// A bench is a proxy whose clock, sleep and log are in the hands of the test.
type bench struct {
	*Proxy
	mu    sync.Mutex
	time  time.Time
	slept func(time.Duration) // told of each sleep
	logs  bytes.Buffer
}

// newBench makes proxy-1 of three, in front of an upstream on this machine.
func newBench(t testing.TB, baseURL string) *bench {
	t.Helper()
	base, err := url.Parse(baseURL)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{time: morning}
	b.Proxy = newProxy(settings{
		name:            "proxy-1",
		proxies:         3,
		baseURL:         base,
		allowedNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		policy:          retry.Default(),
		metrics:         message.MetricSource{Table: "records", Prefix: "gateway"},
	}, Dependencies{
		Log:    slog.New(slog.NewJSONHandler(&b.logs, nil)),
		Clock:  b,
		Random: func() float64 { return 0.5 },
	})
	t.Cleanup(func() { logline.ReadPage(t, logPage).Compare(t, b.logs.String()) }) // no test writes a line that is not promised
	return b
}

// trust has the proxy take the certificate of a server that tests with TLS.
func (b *bench) trust(server *httptest.Server) {
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	b.transport.TLSClientConfig.RootCAs = pool
}

// Now is the time on the bench's clock.
func (b *bench) Now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.time
}

// Sleep puts the clock forward.
func (b *bench) Sleep(ctx context.Context, d time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.time = b.time.Add(d)
	if b.slept != nil {
		b.slept(d)
	}
	return ctx.Err()
}

// call is a request with a minute left, in the envelope that the gateway writes.
func (b *bench) call(request message.Request, history ...retry.Attempt) message.Envelope {
	if request.Path == "" {
		request.Path = "/"
	}
	c := &message.Call{Request: request, RequestID: "request-1", Deadline: b.Now().Add(time.Minute).UnixMilli()}
	return *message.ToProxy(c, b.policy, history, 0)
}

// invoke hands an envelope to the proxy and takes its answer as the state machine does, through JSON.
func (b *bench) invoke(t testing.TB, in message.Envelope) *message.Envelope {
	t.Helper()
	out, err := b.Handle(t.Context(), *carried(t, &in))
	if err != nil {
		t.Fatal(err)
	}
	return carried(t, out)
}

// carried is an envelope after its way through JSON, which must not change it.
func carried(t testing.TB, e *message.Envelope) *message.Envelope {
	t.Helper()
	text, err := message.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	out := new(message.Envelope)
	if err := json.Unmarshal(text, out); err != nil {
		t.Fatal(err)
	}
	again, err := message.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), string(again)); diff != "" {
		t.Errorf("an envelope is changed on its way (-sent +received):\n%s", diff)
	}
	return out
}

// serve starts an upstream. It ends with the test.
func serve(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// limited is an attempt that met a rate limit before, and failed one that met a server error.
var (
	limited = retry.Attempt{Proxy: "proxy-3", Status: 429, Kind: retry.RateLimit}
	failed  = retry.Attempt{Proxy: "proxy-3", Status: 503, Kind: retry.ServerError}
)

func TestAnAnswerIsHandedBackWithTheAttemptThatBroughtIt(t *testing.T) {
	b := newBench(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("X-Order", "42")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, "made")
	}))
	out := b.invoke(t, b.call(message.Request{Method: "POST"}, limited))

	if out.Outcome != retry.Succeeded || out.StatusCode != 201 || out.Body != "made" || out.Headers["x-order"] != "42" {
		t.Errorf("got %+v", out)
	}
	if out.Call != nil || out.Losses != nil || out.Error != "" || out.WaitSeconds != 0 {
		t.Errorf("the answer still leads somewhere: %+v", out)
	}
	want := []retry.Attempt{limited, {Proxy: "proxy-1", Start: morning.UnixMilli(), Status: 201, Why: "201: final"}}
	if diff := cmp.Diff(want, out.Attempts); diff != "" {
		t.Errorf("the attempts differ (-want +got):\n%s", diff)
	}
}

func TestAFinalErrorIsASuccessOfTheProxy(t *testing.T) {
	for _, status := range []int{301, 304, 400, 401, 403, 404, 409, 410, 422, 501} {
		b := newBench(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		if out := b.invoke(t, b.call(message.Request{Method: "GET"})); out.Outcome != retry.Succeeded || out.StatusCode != status {
			t.Errorf("%d became %s with %d", status, out.Outcome, out.StatusCode)
		}
	}
}

func TestARateLimitLeadsToTheNextProxyWithTheRequestAndWithoutTheAnswer(t *testing.T) {
	b := newBench(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, "slow down")
	}))
	in := b.call(message.Request{Method: "PUT", Path: "/orders", Body: "the order"}, limited)
	out := b.invoke(t, in)

	if out.Outcome != retry.Again || out.StatusCode != 429 {
		t.Errorf("the answer leads to %s, with %d", out.Outcome, out.StatusCode)
	}
	if out.Body != "" || out.Headers != nil || out.Cookies != nil {
		t.Errorf("the upstream's answer travels with the request: %+v", out)
	}
	waited := time.Duration(out.WaitSeconds)*time.Second + time.Duration(out.SleepMilliseconds)*time.Millisecond
	if waited < 7*time.Second || waited > 14*time.Second {
		t.Errorf("%v are waited, of 7 s that were asked for", waited)
	}
	call := out.Call
	if call == nil {
		t.Fatal("there is no call")
	}
	if diff := cmp.Diff(in.Call.Request, call.Request); diff != "" {
		t.Errorf("the next attempt sends something else (-want +got):\n%s", diff)
	}
	if call.Deadline != in.Call.Deadline {
		t.Errorf("the deadline moved from %d to %d", in.Call.Deadline, call.Deadline)
	}
	history := out.Attempts
	if len(history) != 2 || history[1].Status != 429 || history[1].Wait != waited.Milliseconds() ||
		history[1].NotBefore != morning.Add(7*time.Second).UnixMilli() {
		t.Errorf("the history is %+v", history)
	}
}

func TestWhenAttemptsRanOutTheLastAnswerIsHandedBack(t *testing.T) {
	b := newBench(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, "closed")
	}))
	out := b.invoke(t, b.call(message.Request{Method: "GET"}, failed, failed))
	if out.Outcome != retry.Failed || out.Error != retry.AttemptsExhausted || out.StatusCode != 503 || out.Body != "closed" {
		t.Errorf("got %+v", out)
	}
	if out.Call != nil || len(out.Attempts) != 3 {
		t.Errorf("the last answer has the call %v and %d attempts", out.Call, len(out.Attempts))
	}
	if want := morning.Add(time.Second).UnixMilli(); out.NotBefore != want {
		t.Errorf("the upstream wants to be asked again at %d, told is %d", want, out.NotBefore)
	}
}

func TestARetryAfterBeyondTheDeadlineEndsAtOnceAndSaysWhenToComeAgain(t *testing.T) {
	b := newBench(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "600.0004")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	out := b.invoke(t, b.call(message.Request{Method: "GET"}, limited, limited))
	if out.Outcome != retry.Failed || out.Error != retry.DeadlineExceeded || out.StatusCode != 429 {
		t.Errorf("got %+v", out)
	}
	if floor := morning.Add(600*time.Second + 400*time.Microsecond); time.UnixMilli(out.NotBefore).Before(floor) {
		t.Errorf("the caller is told to come at %v, before %v", time.UnixMilli(out.NotBefore).UTC(), floor)
	}
}

func TestAServerErrorToAnUnsafeRequestIsNotRepeatedAndHandedBack(t *testing.T) {
	b := newBench(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))
	out := b.invoke(t, b.call(message.Request{Method: "POST"}))
	if out.Outcome != retry.Failed || out.Error != retry.UnsafeToRepeat || out.StatusCode != 500 {
		t.Errorf("without a key, a POST that met 500 ends with %s, %s, %d", out.Outcome, out.Error, out.StatusCode)
	}
	keyed := message.Request{Method: "POST", Headers: map[string]string{"idempotency-key": "k"}}
	if out := b.invoke(t, b.call(keyed)); out.Outcome != retry.Again {
		t.Errorf("with a key it ends with %s, %s", out.Outcome, out.Error)
	}
}

func TestTheRestOfAWaitIsSleptBeforeTheAttemptBegins(t *testing.T) {
	var requests atomic.Int32
	b := newBench(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { requests.Add(1) }))
	in := b.call(message.Request{Method: "GET"})
	in.WaitSeconds, in.SleepMilliseconds = 2, 700

	b.slept = func(d time.Duration) {
		if requests.Load() > 0 {
			t.Errorf("the request was sent before a sleep of %v", d)
		}
	}
	out := b.invoke(t, in)
	if slept := b.Now().Sub(morning); slept != 700*time.Millisecond {
		t.Errorf("the proxy slept %v, want 700ms", slept)
	}
	if got := out.Attempts[0]; got.Start != morning.UnixMilli()+700 || got.Duration != 0 {
		t.Errorf("the attempt is said to have begun at %d and taken %d ms", got.Start-morning.UnixMilli(), got.Duration)
	}
}

// Security 15.
func TestASleepThatIsLongerThanAnyOfOursIsRefused(t *testing.T) {
	b := newBench(t, serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }))
	for _, milliseconds := range []int64{2001, 600_000, math.MaxInt64} {
		in := b.call(message.Request{Method: "GET"})
		in.SleepMilliseconds = milliseconds
		if out, err := b.Handle(t.Context(), in); err == nil || !strings.Contains(err.Error(), "sleepMilliseconds is more than 2000") {
			t.Errorf("%d ms: got %+v, error %v", milliseconds, out, err)
		}
	}
	if slept := b.Now().Sub(morning); slept != 0 {
		t.Errorf("the proxy slept %v", slept)
	}
}

func TestASleepThatIsBrokenOffSendsNothing(t *testing.T) {
	b := newBench(t, serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }))
	b.Proxy.clock = systemClock{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in := b.call(message.Request{Method: "GET"})
	in.SleepMilliseconds = 999
	if out, err := b.Handle(ctx, in); !errors.Is(err, context.Canceled) {
		t.Errorf("got %+v, error %v", out, err)
	}
	if err := (systemClock{}).Sleep(ctx, 0); err != nil {
		t.Errorf("no sleep at all was broken off: %v", err)
	}
}

// timed makes the bench's proxy note how long an attempt has, in real time, when it opens its connection.
func timed(b *bench) (left *time.Duration) {
	left = new(time.Duration)
	dial := b.transport.DialContext
	b.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		deadline, _ := ctx.Deadline()
		*left = time.Until(deadline)
		return dial(ctx, network, address)
	}
	return left
}

func TestAnAttemptHasAsLongAsThePolicySaysOrAsIsLeft(t *testing.T) {
	for _, c := range []struct {
		name                   string
		timeout, left, slept   time.Duration
		atLeast, butNoLongerAs time.Duration
	}{
		{"the policy's timeout is shorter", 10 * time.Minute, time.Hour, 0, 9 * time.Minute, 10 * time.Minute},
		{"less is left", time.Hour, 10 * time.Minute, 0, 9 * time.Minute, 10 * time.Minute},
		{"the sleep takes from what is left", time.Hour, time.Minute, 2 * time.Second, 50 * time.Second, 58 * time.Second},
		{"the sleep takes nothing from the policy's timeout", time.Minute, time.Hour, 2 * time.Second, 59 * time.Second, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, serve(t, func(http.ResponseWriter, *http.Request) {}))
			left := timed(b)
			b.policy.AttemptTimeout = c.timeout
			in := b.call(message.Request{Method: "GET"})
			in.Call.Deadline = morning.Add(c.left).UnixMilli()
			in.SleepMilliseconds = c.slept.Milliseconds()
			b.invoke(t, in)
			if *left < c.atLeast || *left > c.butNoLongerAs {
				t.Errorf("the attempt had %v, want %v at most", *left, c.butNoLongerAs)
			}
		})
	}
}

func TestWithNothingLeftNothingIsSent(t *testing.T) {
	for _, late := range []time.Duration{0, time.Millisecond, time.Hour} {
		b := newBench(t, serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }))
		in := b.call(message.Request{Method: "GET"}, limited)
		b.time = b.time.Add(time.Minute + late)
		out := b.invoke(t, in)
		if out.Outcome != retry.Failed || out.Error != retry.DeadlineExceeded || out.StatusCode != 0 {
			t.Errorf("%v after the deadline: got %+v", late, out)
		}
		if diff := cmp.Diff([]retry.Attempt{limited}, out.Attempts); diff != "" {
			t.Errorf("the attempts differ (-want +got):\n%s", diff)
		}
	}
}

func TestAnEventWithoutACallIsAnError(t *testing.T) {
	b := newBench(t, "http://127.0.0.1")
	for _, in := range []message.Envelope{{}, *message.Failure("request-1", retry.AttemptsExhausted, nil), {Outcome: retry.Again}} {
		if out, err := b.Handle(t.Context(), in); !errors.Is(err, errNoCall) {
			t.Errorf("%+v was answered with %+v, error %v", in, out, err)
		}
	}
}

func TestWhatTheAttemptDidIsLoggedWithoutWhatWasSentOrReceived(t *testing.T) {
	b := newBench(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "session=secret")
		w.Header().Set("X-Answer", "secret")
		if r.URL.Path == "/broken" {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(429)
		fmt.Fprint(w, "secret")
	}))
	for _, path := range []string{"/orders", "/broken"} {
		b.invoke(t, b.call(message.Request{
			Method: "GET", Path: path, Query: "token=secret", Body: "secret",
			Headers: map[string]string{"authorization": "Bearer secret", "cookie": "session=secret"},
		}))
	}
	if strings.Contains(b.logs.String(), "secret") {
		t.Errorf("the log tells of what was sent or received:\n%s", &b.logs)
	}
	var line struct {
		Msg, Proxy, Outcome, Why string
		Attempt, Status          int
	}
	if err := json.NewDecoder(strings.NewReader(b.logs.String())).Decode(&line); err != nil {
		t.Fatal(err)
	}
	if line.Msg != "attempt" || line.Attempt != 1 || line.Proxy != "proxy-1" || line.Status != 429 || line.Outcome != "retry" || line.Why == "" {
		t.Errorf("the log says %+v", line)
	}
}

func TestInvocationsAtTheSameTimeKeepApart(t *testing.T) {
	b := newBench(t, serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }))
	var group sync.WaitGroup
	for i := range 30 {
		path := fmt.Sprintf("/%d", i)
		in := b.call(message.Request{Method: "GET", Path: path})
		group.Go(func() {
			out, err := b.Handle(t.Context(), in)
			if err != nil || out.Body != path || len(out.Attempts) != 1 {
				t.Errorf("%s was answered with %+v, error %v", path, out, err)
			}
		})
	}
	group.Wait()
}

func TestAnAttemptIsNotBegunWithTooLittleTimeLeft(t *testing.T) {
	for _, c := range []struct {
		name     string
		deadline time.Duration // the policy's
		left     time.Duration
		sent     bool
	}{
		{"the least time", time.Minute, 500 * time.Millisecond, true},
		{"less", time.Minute, 499 * time.Millisecond, false},
		{"as much as a short deadline gives", 300 * time.Millisecond, 300 * time.Millisecond, true},
		{"less than half of a short deadline", 300 * time.Millisecond, 149 * time.Millisecond, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, serve(t, func(http.ResponseWriter, *http.Request) {}))
			left := timed(b)
			b.policy.Deadline = c.deadline
			in := b.call(message.Request{Method: "GET"})
			in.Call.Deadline = b.Now().Add(c.left).UnixMilli()
			out := b.invoke(t, in)
			if sent := *left != 0; sent != c.sent {
				t.Errorf("it was sent: %v, want %v", sent, c.sent)
			}
			if !c.sent && (out.Outcome != retry.Failed || out.Error != retry.DeadlineExceeded) {
				t.Errorf("it goes on with %s %s", out.Outcome, out.Error)
			}
		})
	}
}
