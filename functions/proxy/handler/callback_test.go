package handler

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// hookSecret signs the callbacks of tests.
const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// A callback that a receiver has got.
type received struct {
	id, path, body string
	header         http.Header
}

// receiver is a receiver of callbacks over TLS. answer is asked for each; the status 0 breaks the connection.
func receiver(t testing.TB, answer func(n int, w http.ResponseWriter) int) (*httptest.Server, func() []received) {
	var got []received
	hook, err := standardwebhooks.NewWebhook(hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := hook.VerifyIgnoringTimestamp(body, r.Header); err != nil || r.Method != "POST" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("it cannot be verified: %v: %s %v", err, r.Method, r.Header)
		}
		got = append(got, received{id: r.Header.Get("Webhook-Id"), path: r.URL.RequestURI(), body: string(body), header: r.Header})
		status := answer(len(got), w)
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server, func() []received { return got }
}

// callingBack is a bench with an execution that has ended, and its callback to a URL, which is about to be made.
func callingBack(t testing.TB, server *httptest.Server, change func(*execution.Execution, *message.Envelope)) (*bench, *kept, *execution.Execution, message.Envelope) {
	t.Helper()
	b := newBench(t, "https://upstream.example.com")
	b.policy.Routes = []retry.Route{{Path: "/", Policy: retry.Policy{ServerErrors: retry.Budget{Attempts: 1}}}} // of the upstream
	b.callbackSecret = "hooks"
	b.callbacks = newProxy(b.ofCallbacks(), Dependencies{
		Log: b.log, Clock: b, Random: b.random, Secrets: &vault{secrets: map[string]string{"hooks": hookSecret}}, Role: nil,
	})
	(&bench{Proxy: b.callbacks}).trust(server)
	k := &kept{t: t}
	b.executions = k

	answer := message.Answer("request-1", retry.Succeeded, "", message.Response{
		StatusCode: 201, Headers: map[string]string{"content-type": "text/plain"}, Cookies: []string{"a=b"}, Body: "made",
	}, []retry.Attempt{{Proxy: "proxy-2", Start: morning.UnixMilli(), Status: 201}})
	x := &execution.Execution{
		Name: "e1", State: execution.Succeeded, Method: "POST", RequestID: "request-1", Created: morning.UnixMilli(), EndedAt: morning.Add(7 * time.Second).UnixMilli(),
		Deadline: morning.Add(time.Hour).UnixMilli(), Expiration: morning.Add(25 * time.Hour).Unix(), Attempts: answer.Attempts, Answer: "answer:e1:1",
		Callback: &execution.Callback{URL: server.URL + "/hook?x=1", ID: "id-1", Origin: "https://proxy.example.com"},
	}
	change(x, answer)
	callback := x.NewCallback(morning)
	callback.Expiration = x.Expiration
	_, err := k.MemoryStore.PutAnswer(t.Context(), "e1", 1, answer, x.Expiration)
	if err := errors.Join(err, k.Create(t.Context(), x), k.Create(t.Context(), callback)); err != nil {
		t.Fatal(err)
	}
	call := &message.Call{Request: *execution.CallbackRequest(), Execution: callback.Name, RequestID: "request-1", Deadline: callback.Deadline, Keyed: true}
	return b, k, callback, *message.ToProxy(call, b.policy, nil, 0).ByReference()
}

func asItIs(*execution.Execution, *message.Envelope) {}

// told is what a callback has said.
type told struct {
	Type, Timestamp string
	Data            struct {
		Status, Deadline, Reason string
		Attempts                 []retry.Attempt
		Links                    map[string]string
		Response                 *struct {
			StatusCode int
			Headers    map[string]string
			Cookies    []string
			Body       *string
		}
	}
}

func (r received) read(t testing.TB) (out told) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestACallbackTellsOfTheEndWithTheAnswer(t *testing.T) {
	t.Parallel()
	server, got := receiver(t, func(int, http.ResponseWriter) int { return 204 })
	b, k, callback, in := callingBack(t, server, asItIs)
	out := b.invoke(t, in)
	if out.Outcome != retry.Succeeded || out.Summary != nil || len(got()) != 1 {
		t.Fatalf("after %d callbacks the state machine is told %+v", len(got()), out)
	}
	first := got()[0]
	said := first.read(t)
	if first.path != "/hook?x=1" || first.id != "msg_"+callback.Name[:32] || first.header.Get("Authorization") != "" {
		t.Errorf("the callback is %+v", first)
	}
	if said.Type != "execution.succeeded" || said.Timestamp != "2026-05-04T08:00:07.000Z" || said.Data.Status != "succeeded" || len(said.Data.Attempts) != 1 ||
		said.Data.Links["response"] != "https://proxy.example.com/-/executions/id-1/response" {
		t.Errorf("it says %s", first.body)
	}
	if r := said.Data.Response; r.StatusCode != 201 || r.Headers["content-type"] != "text/plain" || !slices.Equal(r.Cookies, []string{"a=b"}) || *r.Body != "made" {
		t.Errorf("it says of the answer: %s", first.body)
	}
	if x, err := k.Get(t.Context(), callback.Name); err != nil || x.State != execution.Succeeded || k.now().State != execution.Succeeded || len(k.now().Attempts) != 1 {
		t.Errorf("the callback is %+v, error %v, and what it tells of %+v", x, err, k.now())
	}
	if strings.Contains(b.logs.String(), "id-1") || strings.Contains(b.logs.String(), "/hook") || strings.Contains(b.logs.String(), "MfKQ9") {
		t.Errorf("the logs hold the id, the URL or the secret:\n%s", &b.logs)
	}
}

func TestACallbackIsRepeatedByThePolicyUnderOneIDAndWithATimeOfItsOwn(t *testing.T) {
	t.Parallel()
	server, got := receiver(t, func(n int, w http.ResponseWriter) int {
		w.Header().Set("Retry-After", "90")
		return []int{503, 0, 429, 200}[n-1]
	})
	b, _, _, in := callingBack(t, server, asItIs)
	out := b.invoke(t, in)
	waited := []int64{}
	for out.Outcome == retry.Again {
		waited = append(waited, out.WaitSeconds)
		if err := b.Sleep(t.Context(), time.Duration(out.WaitSeconds)*time.Second); err != nil {
			t.Fatal(err)
		}
		out = b.invoke(t, *out)
	}
	all := got()
	if out.Outcome != retry.Succeeded || len(all) != 4 || waited[0] < 90 || waited[2] < 90 {
		t.Fatalf("after %d callbacks and waits of %v the state machine is told %+v", len(all), waited, out)
	}
	for _, r := range all[1:] {
		if r.id != all[0].id || r.body != all[0].body {
			t.Errorf("a later callback is %+v, the first one %+v", r, all[0])
		}
	}
	if all[0].header.Get("Webhook-Timestamp") >= all[3].header.Get("Webhook-Timestamp") {
		t.Errorf("the first is of %s and the last of %s", all[0].header.Get("Webhook-Timestamp"), all[3].header.Get("Webhook-Timestamp"))
	}
}

func TestWhatIsNot2xxHasNotTakenTheCallback(t *testing.T) {
	t.Parallel()
	elsewhere, redirected := receiver(t, func(int, http.ResponseWriter) int { return 200 })
	for _, status := range []int{302, 304, 307, 400, 401, 404, 410} {
		server, got := receiver(t, func(_ int, w http.ResponseWriter) int {
			w.Header().Set("Location", elsewhere.URL)
			return status
		})
		b, k, callback, in := callingBack(t, server, asItIs)
		out := b.invoke(t, in)
		if out.Outcome != retry.Failed || out.Error != message.CallbackRefused || len(got()) != 1 {
			t.Errorf("%d: after %d callbacks the state machine is told %+v", status, len(got()), out)
		}
		if s := out.Summary; s == nil || s.Reason != "CallbackRefused" || s.Attempts != 1 {
			t.Errorf("%d: the dead letter says %+v", status, s)
		}
		if x, err := k.Get(t.Context(), callback.Name); err != nil || x.State != execution.Failed {
			t.Errorf("%d: the callback is %+v, error %v", status, x, err)
		}
	}
	if len(redirected()) != 0 {
		t.Errorf("redirects were followed: %v", redirected())
	}
}

func TestWhatAReceiverAnswersIsNotKept(t *testing.T) {
	t.Parallel()
	server, _ := receiver(t, func(_ int, w http.ResponseWriter) int {
		w.Header().Set("X-Own", "c4nary")
		return 200
	})
	b, k, _, in := callingBack(t, server, asItIs)
	out := b.invoke(t, in)
	if kept := k.answer(out.Stored); kept.StatusCode != 200 || len(kept.Headers) != 0 || kept.Body != "" {
		t.Errorf("kept is %+v", kept)
	}
}

func TestACallbackSaysWhatCameOfIt(t *testing.T) {
	t.Parallel()
	ended := func(x *execution.Execution, _ *message.Envelope) {
		x.State, x.Answer, x.EndedAt, x.Deadline = execution.Running, "", 0, morning.Add(-2*time.Minute).UnixMilli()
	}
	failed := func(reason retry.Reason, status int) func(*execution.Execution, *message.Envelope) {
		return func(x *execution.Execution, answer *message.Envelope) {
			x.State, answer.Outcome, answer.Error, answer.StatusCode = execution.Failed, retry.Failed, reason, status
		}
	}
	for name, c := range map[string]struct {
		change func(*execution.Execution, *message.Envelope)
		want   func(told) bool
	}{
		"an error that was the last answer": {failed("AttemptsExhausted", 503), func(s told) bool {
			return s.Type == "execution.failed" && s.Data.Reason == "AttemptsExhausted" && s.Data.Response.StatusCode == 503 && *s.Data.Response.Body == "made"
		}},
		"no answer": {failed("DeadlineExceeded", 0), func(s told) bool {
			return s.Type == "execution.failed" && s.Data.Status == "failed" && s.Data.Reason == "DeadlineExceeded" && s.Data.Response == nil
		}},
		"an end that nobody has written down": {ended, func(s told) bool {
			return s.Type == "execution.failed" && s.Data.Reason == "DeadlineExceeded" && s.Data.Response == nil && s.Timestamp == "2026-05-04T07:58:00.000Z"
		}},
		"a body in the bucket": {func(_ *execution.Execution, answer *message.Envelope) { answer.BodyObject, answer.Body = "o", "" }, func(s told) bool {
			return s.Data.Response.StatusCode == 201 && s.Data.Response.Body == nil
		}},
		"a body that does not fit": {func(_ *execution.Execution, answer *message.Envelope) { answer.Body = strings.Repeat("a", 256<<10) }, func(s told) bool {
			return s.Data.Response.StatusCode == 201 && s.Data.Response.Body == nil
		}},
		"a body that just fits": {func(_ *execution.Execution, answer *message.Envelope) { answer.Body = strings.Repeat("a", 255<<10) }, func(s told) bool {
			return len(*s.Data.Response.Body) == 255<<10
		}},
		"an empty body": {func(_ *execution.Execution, answer *message.Envelope) { answer.Body = "" }, func(s told) bool {
			return s.Data.Response.Body != nil && *s.Data.Response.Body == ""
		}},
		"attempts that are for nobody": {func(x *execution.Execution, _ *message.Envelope) { x.Callback.HideAttempts = true }, func(s told) bool {
			return len(s.Data.Attempts) == 0 && s.Data.Response.StatusCode == 201
		}},
		"links of nowhere": {func(x *execution.Execution, _ *message.Envelope) { x.Callback.Origin = "" }, func(s told) bool {
			return s.Data.Links["self"] == "/-/executions/id-1"
		}},
	} {
		server, got := receiver(t, func(int, http.ResponseWriter) int { return 200 })
		b, _, _, in := callingBack(t, server, c.change)
		if out := b.invoke(t, in); out.Outcome != retry.Succeeded || len(got()) != 1 || !c.want(got()[0].read(t)) {
			t.Errorf("%s: after %d callbacks the state machine is told %+v; it was said %v", name, len(got()), out, got())
		}
	}
}

func TestOfWhatWasStoppedStartedAgainOrForgottenNothingIsTold(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*kept){
		"stopped":       func(k *kept) { k.change(func(x *execution.Execution) { x.State = execution.Stopped }) },
		"started again": func(k *kept) { k.change(func(x *execution.Execution) { x.Redrives++ }) },
		"forgotten": func(k *kept) {
			reads := 0
			k.before = func(operation string) error {
				if operation == "get" {
					if reads++; reads == 2 { // the first is of the callback
						return execution.ErrNotFound
					}
				}
				return nil
			}
		},
	} {
		server, got := receiver(t, func(int, http.ResponseWriter) int { return 200 })
		b, k, _, in := callingBack(t, server, asItIs)
		change(k)
		if out := b.invoke(t, in); out.Outcome != retry.Failed || out.Summary != nil || len(got()) != 0 {
			t.Errorf("%s: after %d callbacks the state machine is told %+v", name, len(got()), out)
		}
	}
}

func TestWithoutTheSecretNothingIsSent(t *testing.T) {
	t.Parallel()
	server, got := receiver(t, func(int, http.ResponseWriter) int { return 200 })
	b, _, _, in := callingBack(t, server, asItIs)
	b.callbacks.credentials = newCredentials(b.ofCallbacks(), Dependencies{Secrets: &vault{}, Clock: b})
	if out := b.invoke(t, in); out.Outcome != retry.Failed || out.Error != message.CredentialsUnavailable || out.Summary == nil || len(got()) != 0 {
		t.Errorf("after %d callbacks the state machine is told %+v", len(got()), out)
	}
	b, _, _, in = callingBack(t, server, asItIs)
	b.callbacks = nil
	if _, err := b.Handle(t.Context(), in); !errors.Is(err, errNoCallbacks) {
		t.Error("a proxy without a secret takes a callback")
	}
}

func TestACallbackDoesNotGoWhereTheFenceIs(t *testing.T) {
	t.Parallel()
	server, got := receiver(t, func(int, http.ResponseWriter) int { return 200 })
	b, _, _, in := callingBack(t, server, asItIs)
	open := b.ofCallbacks()
	open.allowedNetworks = nil
	b.callbacks = newProxy(open, Dependencies{Log: b.log, Clock: b, Random: b.random, Secrets: &vault{secrets: map[string]string{"hooks": hookSecret}}})
	if out := b.invoke(t, in); out.Outcome != retry.Failed || len(got()) != 0 {
		t.Errorf("after %d callbacks the state machine is told %+v", len(got()), out)
	}
	if !strings.Contains(b.logs.String(), "destination_ip_prohibited") {
		t.Errorf("the log says:\n%s", &b.logs)
	}
}

func TestAProxyWithASecretForCallbacksNeedsTheSDK(t *testing.T) {
	environment := map[string]string{
		"PROXY_NAME": "proxy-1", "PROXY_COUNT": "1", "UPSTREAM_BASE_URL": "https://upstream.example.com",
		"CALLBACK_SECRET": "hooks", "ASYNC": "true", "TABLE_NAME": "t", "RECORD_PREFIX": "p",
	}
	getenv := func(name string) string { return environment[name] }
	executions := func(string, string) Executions { return &kept{} }
	if _, err := New(getenv, Dependencies{Executions: executions}); err == nil || !strings.Contains(err.Error(), "CALLBACK_SECRET") {
		t.Errorf("the error is %v", err)
	}
	p, err := New(getenv, Dependencies{Executions: executions, Secrets: &vault{}})
	if err != nil || p.callbacks == nil {
		t.Errorf("the proxy makes no callbacks, error %v", err)
	}
}

// The query of a callback is signed by nobody, and goes as it is.
func TestTheURLOfACallbackIsCalledAsItWasGiven(t *testing.T) {
	p := newProxy(settings{baseURL: &url.URL{Scheme: "https", Host: "upstream.example.com", Path: "/v1"}}, Dependencies{})
	for _, text := range []string{"https://hooks.example.com:8443/a%2Fb/?X-Amz-Signature=1&q=%20", "https://hooks.example.com/"} {
		r := execution.CallbackRequest()
		if err := r.SetCallback(text); err != nil {
			t.Fatal(err)
		}
		if request, err := p.newRequest(t.Context(), r); err != nil || request.URL.String() != text {
			t.Errorf("%s: called is %v, error %v", text, request.URL, err)
		}
	}
}
