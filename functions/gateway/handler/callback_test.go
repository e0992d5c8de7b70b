package handler

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// newCallbackBench is a gateway whose callers may name hooks.example.com.
func newCallbackBench(t testing.TB) *asyncBench {
	b := newLetterBench(t)
	b.callbackHosts = []string{"hooks.example.com", "hooks.example.com:8443"}
	return b
}

// startedLast is the input of the execution that was started last.
func (b *asyncBench) startedLast(t testing.TB) *message.Envelope {
	t.Helper()
	in, err := message.Unmarshal([]byte(*b.engine.started[len(b.engine.started)-1].Input))
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestARequestThatIsToldOfHasACallbackInWaiting(t *testing.T) {
	b := newCallbackBench(t)
	location, x := b.acceptedAt(t, request("POST", "/orders", "prefer", "respond-async", "callback-url", "https://Hooks.example.com:8443/done?x=1",
		"host", "abc.lambda-url.eu-central-1.on.aws"))
	in := b.startedLast(t)
	callback, err := b.kept.Get(t.Context(), in.Callback.Name)
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimPrefix(location, "/-/executions/")
	if c := callback.Callback; c.URL != "https://Hooks.example.com:8443/done?x=1" || c.ID != id || c.Of != x.Name || c.Origin != "https://abc.lambda-url.eu-central-1.on.aws" {
		t.Errorf("it is told of to %+v", c)
	}
	if x.Deadline+time.Hour.Milliseconds() != callback.Deadline || x.Expiration < callback.Deadline/1000+14*24*3600 || callback.Expiration < callback.Deadline/1000+14*24*3600 {
		t.Errorf("the execution is %+v, its callback %+v", x, callback)
	}
	call := in.Callback.Input.Call
	if call.Execution != callback.Name || call.Deadline != callback.Deadline || call.Request.Method != "" || in.Callback.Input.Item != "gateway#execution:"+callback.Name || in.Callback.Input.Record != nil {
		t.Errorf("the callback starts with %+v", in.Callback.Input)
	}
	if text := *b.engine.started[0].Input; strings.Contains(text, id) || strings.Contains(text, "ooks.example.com") || strings.Contains(b.logs.String(), id) {
		t.Errorf("the history or the log holds the id or the URL: %s\n%s", text, &b.logs)
	}
	r, err := b.kept.Request(t.Context(), x.Name)
	if _, found := r.Headers["callback-url"]; found || err != nil {
		t.Errorf("the upstream is sent %v, error %v", r.Headers, err)
	}
	if response := b.send(t, request("GET", "/-/executions/"+callback.Name)); response.StatusCode != 404 {
		t.Errorf("who knows the name of the callback is told %d %s", response.StatusCode, response.Body)
	}
}

func TestACallerMayNameTheHostsThatAreListedAndNoOthers(t *testing.T) {
	b := newCallbackBench(t)
	for url, said := range map[string]string{
		"https://evil.example/":                   `the host "evil.example"`,
		"https://hooks.example.com.evil.example/": `the host "hooks.example.com.evil.example"`,
		"https://sub.hooks.example.com/":          `the host "sub.hooks.example.com"`,
		"https://hooks.example.com:9443/":         `the host "hooks.example.com:9443"`,
		"https://hooks.example.com@evil.example/": "user name",
		"http://hooks.example.com/":               "https",
		"http://127.0.0.1/":                       `the host "127.0.0.1"`,
		"hooks.example.com":                       "no host",
		"":                                        "no host",
		"https://hooks.example.com/, https://hooks.example.com/": "not a URL",
	} {
		d := wantProblem(t, b.send(t, request("POST", "/", "prefer", "respond-async", "callback-url", url)), http.StatusBadRequest, "callback-url-refused")
		if !strings.Contains(d.Detail, said) {
			t.Errorf("%q: the problem is %+v, want one with %q", url, d, said)
		}
	}
	d := wantProblem(t, b.send(t, request("POST", "/", "callback-url", "https://hooks.example.com/")), http.StatusBadRequest, "callback-url-refused")
	if !strings.Contains(d.Detail, "Prefer: respond-async") || len(b.engine.started) != 0 {
		t.Errorf("the problem is %+v", d)
	}
}

func TestWhereNoHostsAreListedCallbackURLIsTheUpstreams(t *testing.T) {
	b := newAsyncBench(t)
	_, x := b.acceptedAt(t, request("POST", "/", "prefer", "respond-async", "callback-url", "http://anything"))
	r, err := b.kept.Request(t.Context(), x.Name)
	if err != nil || r.Headers["callback-url"] != "http://anything" || b.startedLast(t).Callback != nil || x.Callback != nil {
		t.Errorf("the upstream is sent %v, error %v, and told of is %+v", r.Headers, err, x.Callback)
	}
}

func TestTheCallbackOfAllIsOfAsynchronousRequestsWithoutAnother(t *testing.T) {
	b := newCallbackBench(t)
	b.callbackURL = "https://all.example.com/"
	for field, want := range map[string]string{"": "https://all.example.com/", "https://hooks.example.com/": "https://hooks.example.com/"} {
		fields := []string{"prefer", "respond-async"}
		if field != "" {
			fields = append(fields, "callback-url", field)
		}
		if _, x := b.acceptedAt(t, request("POST", "/", fields...)); x.Callback == nil || x.Callback.URL != want {
			t.Errorf("with %q told of is %+v, want %s", field, x.Callback, want)
		}
	}
	started := len(b.engine.started)
	if response := b.send(t, request("POST", "/")); response.StatusCode != 200 || len(b.engine.started) != started {
		t.Errorf("a request whose caller waits is answered with %d %s", response.StatusCode, response.Body)
	}
}

func TestWhereTheCallbackCannotBeWrittenDownNothingIsStarted(t *testing.T) {
	b := newCallbackBench(t)
	creates := 0
	b.kept.fails = func(operation string) error {
		if operation == "create" {
			if creates++; creates == 2 { // the first is that of the execution
				return errors.New("throttled")
			}
		}
		return nil
	}
	event := request("POST", "/", "prefer", "respond-async", "callback-url", "https://hooks.example.com/", "idempotency-key", "k")
	wantProblem(t, b.send(t, event), http.StatusServiceUnavailable, "engine-unavailable")
	if len(b.engine.started) != 0 || creates != 2 {
		t.Fatalf("%d executions were started after %d were created", len(b.engine.started), creates)
	}
	b.kept.fails = nil
	b.acceptedAt(t, event) // the key is free
}

func TestARedriveHasACallbackOfItsOwn(t *testing.T) {
	b := newCallbackBench(t)
	_, x := b.failedAt(t, request("POST", "/", "prefer", "respond-async", "idempotency-key", "k", "callback-url", "https://hooks.example.com/"), limited)
	first := b.startedLast(t).Callback.Name
	if out, err := b.redriven(t, letterOf(x)); err != nil || out.Status != RedriveStarted {
		t.Fatalf("the redrive is answered with %+v, error %v", out, err)
	}
	second := b.startedLast(t).Callback.Name
	callback, err := b.kept.Get(t.Context(), second)
	if err != nil || second == first || callback.Callback.URL != "https://hooks.example.com/" || callback.State != execution.Running {
		t.Errorf("the callback of the redrive is %+v, error %v; the first one was %s", callback, err, first)
	}
}

func TestACallbackThatWasNotDeliveredIsSentAgainByARedrive(t *testing.T) {
	b := newCallbackBench(t)
	b.acceptedAt(t, request("POST", "/", "prefer", "respond-async", "callback-url", "https://hooks.example.com/"))
	callback, err := b.kept.Get(t.Context(), b.startedLast(t).Callback.Name)
	if err != nil {
		t.Fatal(err)
	}
	callback.State, callback.Answer = execution.Failed, "answer:1"
	if err := b.kept.Save(t.Context(), callback); err != nil {
		t.Fatal(err)
	}
	started := len(b.engine.started)
	if out, err := b.redriven(t, letterOf(callback)); err != nil || out.Status != RedriveStarted || out.Execution != callback.Name+"-1" {
		t.Fatalf("the redrive is answered with %+v, error %v", out, err)
	}
	in := b.startedLast(t)
	if len(b.engine.started) != started+1 || in.Call.Execution != callback.Name || in.Call.Redrive != 1 || in.Callback != nil || in.Record != nil {
		t.Errorf("started is %+v", in)
	}
	if got := time.UnixMilli(in.Call.Deadline).Sub(b.now()); got != time.Hour {
		t.Errorf("it has %v, want an hour", got)
	}
}

func TestTheEnvironmentNamesCallbacks(t *testing.T) {
	for _, c := range []struct{ url, hosts, async, want string }{
		{"https://all.example.com/", "a.example b.example:8443", "arn:aws:states:eu-central-1:123456789012:stateMachine:a:1", ""},
		{"http://all.example.com/", "", "arn:aws:states:eu-central-1:123456789012:stateMachine:a:1", "CALLBACK_URL is not usable: it must be one of https"},
		{"", "*.example.com", "arn:aws:states:eu-central-1:123456789012:stateMachine:a:1", "CALLBACK_HOSTS: \"*.example.com\" has a wildcard"},
		{"https://all.example.com/", "", "", "only asynchronous requests have callbacks"},
	} {
		environment := map[string]string{
			"STATE_MACHINE_ARN": "arn:aws:states:eu-central-1:123456789012:express:a", "PROXY_COUNT": "1", "TABLE_NAME": "t", "RECORD_PREFIX": "p",
			"CALLBACK_URL": c.url, "CALLBACK_HOSTS": c.hosts, "ASYNC_STATE_MACHINE_ARN": c.async, "ASYNC_DEADLINE": "1h0m0s", "ASYNC_ANSWER_TTL": "1h0m0s",
		}
		if c.async != "" {
			environment["ASYNC"] = "true"
		}
		s, err := settingsFrom(func(name string) string { return environment[name] })
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) || c.want == "" && (err != nil || s.callbackURL != c.url || len(s.callbackHosts) != 2) {
			t.Errorf("%+v: the error is %v, want one with %q", c, err, c.want)
		}
	}
}

// A message of a queue names who is told of it as a request does.
func TestAMessageOfAQueueCanHaveACallback(t *testing.T) {
	b := newCallbackBench(t)
	body, err := json.Marshal(map[string]any{"method": "POST", "path": "/", "headers": map[string]string{"Callback-Url": "https://hooks.example.com/"}})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := json.Marshal(events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m1", EventSource: "aws:sqs", EventSourceARN: "arn:aws:sqs:eu-central-1:1:q", Body: string(body)}}})
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := b.Invoke(t.Context(), batch); err != nil || strings.Contains(string(answer), "m1") {
		t.Fatalf("the batch is answered with %s, error %v", answer, err)
	}
	callback, err := b.kept.Get(t.Context(), b.startedLast(t).Callback.Name)
	if err != nil || callback.Callback.URL != "https://hooks.example.com/" || callback.Callback.Origin != "" {
		t.Errorf("told of is %+v, error %v", callback, err)
	}
}
