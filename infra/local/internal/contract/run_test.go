package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

// An endpoint is a small one that does as it is told: it asks the upstream until that says something else than 503, and
// keeps what it says under keys. Its faults are what a Runner has to notice.
type endpoint struct {
	upstream string

	wait      time.Duration                    // between attempts
	forward   func(*http.Request)              // changes what goes upstream
	back      func(*http.Response, *[]byte)    // changes what comes back
	keepNone  bool                             // records nothing
	keepAll   bool                             // records failures, too
	attempts  func(statuses []string) []string // changes what is told of attempts
	onlyOnce  bool                             // makes one attempt
	forgetful bool                             // does not mark replays

	mu      sync.Mutex
	records map[string]*record
}

type record struct {
	once   sync.Once
	status int
	header http.Header
	body   []byte
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Amzn-Requestid", "id")
	asked, _ := io.ReadAll(r.Body)
	kept, first := &record{}, true
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		e.mu.Lock()
		if e.records == nil {
			e.records = map[string]*record{}
		}
		if e.records[key] == nil {
			e.records[key] = kept
		}
		kept = e.records[key]
		e.mu.Unlock()
		first = false
	}
	kept.once.Do(func() { first = true; e.fill(kept, r, asked) })
	if key := r.Header.Get("Idempotency-Key"); e.keepNone || kept.status >= 400 && !e.keepAll {
		e.mu.Lock()
		delete(e.records, key)
		e.mu.Unlock()
	}
	for name, values := range kept.header {
		w.Header()[name] = values
	}
	if !first && !e.forgetful {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	w.WriteHeader(kept.status)
	_, _ = w.Write(kept.body)
}

// fill carries a request out.
func (e *endpoint) fill(kept *record, r *http.Request, asked []byte) {
	var statuses []string
	for {
		out, _ := http.NewRequest(r.Method, e.upstream+r.URL.RequestURI(), bytes.NewReader(asked))
		out.Header = r.Header.Clone()
		if e.forward != nil {
			e.forward(out)
		}
		answer, err := client.Do(out)
		if err != nil {
			kept.status, kept.header = http.StatusBadGateway, http.Header{}
			return
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		statuses = append(statuses, fmt.Sprint(answer.StatusCode))
		if answer.StatusCode == http.StatusServiceUnavailable && !e.onlyOnce {
			time.Sleep(e.wait)
			continue
		}
		if e.back != nil {
			e.back(answer, &body)
		}
		kept.status, kept.header, kept.body = answer.StatusCode, answer.Header, body
		break
	}
	if e.attempts != nil {
		statuses = e.attempts(statuses)
	}
	for i, status := range statuses {
		statuses[i] = "proxy-1; received-status=" + status
	}
	if len(statuses) > 0 {
		kept.header.Set("Proxy-Status", strings.Join(statuses, ", "))
	}
	kept.header.Del("Content-Length")
}

// runOn runs a case on an endpoint, and returns what is wrong.
func runOn(t *testing.T, e *endpoint, request string) []string {
	t.Helper()
	cases, err := load(fstest.MapFS{"a.json": {Data: []byte(`[{"name": "A", "source": "RFC", "requests": [` + request + `]}]`)}})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	upstream := Listen(listener)
	t.Cleanup(upstream.Close)
	e.upstream = "http://" + upstream.Address()
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	runner := &Runner{Endpoint: server.URL, Upstream: upstream}
	return runner.Run(t.Context(), cases[0])
}

// What the cases below have an endpoint do wrong, this one does right.
func TestARightEndpointHoldsTheCase(t *testing.T) {
	t.Parallel()
	for _, request := range []string{
		`{"method": "POST", "target": "/a%2Fb?x=%20", "fields": ["X-List: a", "X-List: b"], "body": "tea", "upstream": [{"status": 201, "fields": ["X-Order: 7", "Set-Cookie: a=1", "Set-Cookie: b=2"], "body": "made"}]}`,
		`{"upstream": [{"status": 503}, {"status": 503}, {"status": 200, "body": "ok"}]}`,
		`{"fields": ["Idempotency-Key: k"], "upstream": [{"status": 200, "body": "ok"}], "recorded": true}`,
		`{"fields": ["Idempotency-Key: k"], "upstream": [{"status": 404, "body": "no"}], "recorded": false}`,
		`{"fields": ["Idempotency-Key: k"], "together": 5, "upstream": [{"status": 200, "body": "ok"}]}`,
		`{"upstream": [{"status": 200, "body": "ok"}], "during": [{"target": "/other", "upstream": [{"status": 404, "body": "no"}]}]}`,
		`{"upstream": [{"raw": ["HTTP/1.1 200 OK", "X-Odd: caf\\xE9", "Content-Length: 2", "", "ok"]}], "attempts": ["200"], "answer": {"status": 200, "body": "ok", "fields": ["X-Odd: caf\\xE9"]}}`,
		`{"raw": ["POST {path}/chunks HTTP/1.1", "Host: {host}", "Transfer-Encoding: chunked", "", "3", "tea", "0", "", ""], "upstream": [{"status": 200}], "arrives": {"method": "POST", "target": "/chunks", "body": "tea"}}`,
		`{"method": "HEAD", "upstream": [{"status": 200, "body": "not sent"}]}`,
		`{"fields": ["Expect: 100-continue"], "method": "PUT", "body": {"repeat": "a", "times": 100000}, "upstream": [{"early": true, "status": 413}]}`,
	} {
		for _, wrong := range runOn(t, &endpoint{}, request) {
			t.Errorf("%s: %s", request, wrong)
		}
	}
}

func TestWhatAnEndpointDoesWrongIsNoticed(t *testing.T) {
	t.Parallel()
	const plain = `{"method": "POST", "target": "/orders?x=1", "fields": ["X-Tea: green"], "body": "tea", "upstream": [{"status": 201, "fields": ["X-Order: 7"], "body": "made"}]}`
	const keyed = `{"fields": ["Idempotency-Key: k"], "upstream": [{"status": 200, "body": "ok"}], "recorded": true}`
	const retried = `{"upstream": [{"status": 503}, {"status": 200, "body": "ok"}], "waits": ["400ms"]}`
	const problem = `{"fields": ["Prefer: attempts=1"], "upstream": [{"status": 200}], "answer": {"status": 502, "problem": {"name": "no-answer", "processed": "no"}}}`
	document := func(change func(map[string]any)) *endpoint {
		members := map[string]any{
			"type": "https://github.com/retrying-api-proxy/retrying-api-proxy#no-answer", "title": "T", "detail": "D", "status": 502,
			"processed": "no", "instance": "urn:uuid:id", "error": map[string]any{"type": "api_error", "code": "no-answer", "message": "T: D"},
		}
		change(members)
		return &endpoint{
			forward: func(r *http.Request) { r.Header.Del("Prefer") },
			back: func(r *http.Response, body *[]byte) {
				r.StatusCode = http.StatusBadGateway
				r.Header.Set("Content-Type", "application/problem+json")
				*body, _ = json.Marshal(members)
			},
		}
	}
	for _, c := range []struct {
		name, request string
		endpoint      *endpoint
		says          string
	}{
		{"another method", plain, &endpoint{forward: func(r *http.Request) { r.Method = "PUT" }}, "the method is PUT, want POST"},
		{"another query", plain, &endpoint{forward: func(r *http.Request) { r.URL.RawQuery = "x=2" }}, "the target is /orders?x=2, want /orders?x=1"},
		{"a lost field", plain, &endpoint{forward: func(r *http.Request) { r.Header.Del("X-Tea") }}, `x-tea arrived as not there, want "green"`},
		{"another body", plain, &endpoint{forward: func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("coffee")), 6
		}}, `the body is "coffee", want "tea"`},
		{"another status", plain, &endpoint{back: func(r *http.Response, _ *[]byte) { r.StatusCode = 200 }}, "the status is 200, want 201"},
		{"a lost field of the answer", plain, &endpoint{back: func(r *http.Response, _ *[]byte) { r.Header.Del("X-Order") }}, `x-order is not there, want "7"`},
		{"another body of the answer", plain, &endpoint{back: func(_ *http.Response, body *[]byte) { *body = []byte("none") }}, `the body is "none", want "made"`},
		{"a method that arrives otherwise than it has to", `{"upstream": [{"status": 200}], "arrives": {"method": "HEAD"}}`, &endpoint{}, "the method is GET, want HEAD"},
		{"a target that does", `{"upstream": [{"status": 200}], "arrives": {"target": "/other"}}`, &endpoint{}, "the target is /, want /other"},
		{"a field that does", `{"fields": ["X-Tea: a"], "upstream": [{"status": 200}], "arrives": {"fields": ["X-Tea: b"]}}`, &endpoint{}, `as it arrived, x-tea is "a", want "b"`},
		{"a body that does", `{"method": "PUT", "body": "a", "upstream": [{"status": 200}], "arrives": {"body": "b"}}`, &endpoint{}, `the body is "a", want "b"`},
		{"a field that is not as the case says", `{"upstream": [{"status": 200, "fields": ["X-Tea: a"]}], "answer": {"fields": ["X-Tea: b"]}}`, &endpoint{}, `x-tea is "a", want "b"`},
		{"a field that does not match", `{"upstream": [{"status": 200, "fields": ["X-Tea: 12"]}], "answer": {"matching": ["X-Tea: [0-9]"]}}`, &endpoint{}, `X-Tea is "12", want one that matches [0-9]`},
		{"a field that should not be there", `{"upstream": [{"status": 200, "fields": ["X-Tea: a"]}], "answer": {"absent": ["x-tea"]}}`, &endpoint{}, `x-tea is "a", want none`},
		{"an odd mark of a replay", plain, &endpoint{back: func(r *http.Response, _ *[]byte) { r.Header.Set("Idempotent-Replayed", "yes") }}, `Idempotent-Replayed is "yes", want true or none`},
		{"attempts that are told in no list", plain, &endpoint{attempts: func([]string) []string { return []string{"(("} }}, "which is no list"},
		{"an answer before an attempt", `{"upstream": [{"status": 200}], "during": [{"upstream": [{"status": 200}]}]}`, &endpoint{forward: func(r *http.Request) { r.URL.Path = "/" }}, "it was answered before an attempt arrived"},
		{"one attempt more than is expected", `{"upstream": [{"status": 503}], "answer": {"status": 503}}`, &endpoint{}, "2 requests arrived at the upstream, want 1"},
		{"one attempt less", retried, &endpoint{onlyOnce: true}, "1 requests arrived at the upstream, want 2"},
		{"an attempt that is not told", retried, &endpoint{wait: 400 * time.Millisecond, attempts: func(s []string) []string { return s[1:] }}, `the attempts are ["200"], want ["503" "200"]`},
		{"an attempt that comes early", retried, &endpoint{}, "want 400ms at 1 times the speed"},
		{"no record", keyed, &endpoint{keepNone: true}, "1 requests arrived at the upstream, want 0"},
		{"a record of a failure", `{"fields": ["Idempotency-Key: k"], "upstream": [{"status": 404}], "recorded": false}`, &endpoint{keepAll: true}, "0 requests arrived at the upstream, want 1"},
		{"a replay that is not marked", keyed, &endpoint{forgetful: true}, "want replayed to be true"},
		{"replays among duplicates that are not marked", `{"fields": ["Idempotency-Key: k"], "together": 3, "upstream": [{"status": 200}]}`, &endpoint{forgetful: true}, "0 of the answers are replays, want 2"},
		{"an answer without an id", plain, &endpoint{back: func(r *http.Response, _ *[]byte) { r.Header.Set("X-Amzn-Requestid", "") }}, "X-Amzn-Requestid"},
		{"Prefer that is kept", problem, &endpoint{}, `prefer arrived as "attempts=1", want not there`},
		{"no problem", problem, &endpoint{}, `Content-Type is "", want application/problem+json`},
		{"a problem that is not JSON", problem, &endpoint{back: func(r *http.Response, _ *[]byte) { r.Header.Set("Content-Type", "application/problem+json") }}, "the problem is not JSON"},
		{"a problem of another type", problem, document(func(m map[string]any) { m["type"] = "about:blank" }), `the member type is "about:blank"`},
		{"a problem without processed", problem, document(func(m map[string]any) { delete(m, "processed") }), `the member processed is "", want "no"`},
		{"a problem without error", problem, document(func(m map[string]any) { delete(m, "error") }), "there is no member error"},
		{"a problem with another error", problem, document(func(m map[string]any) { m["error"].(map[string]any)["code"] = "x" }), `the member error.code is "x"`},
		{"a problem of another request", problem, document(func(m map[string]any) { m["instance"] = "urn:uuid:other" }), `the member instance is "urn:uuid:other"`},
		{"a problem without detail", problem, document(func(m map[string]any) { m["detail"] = "" }), "want both"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			wrong := runOn(t, c.endpoint, c.request)
			if !slices.ContainsFunc(wrong, func(text string) bool { return strings.Contains(text, c.says) }) {
				t.Errorf("it says %q, want in it %q", wrong, c.says)
			}
			answered := func(text string) bool { return strings.Contains(text, "the answer was ") }
			if strings.HasPrefix(c.says, "the status is") && !slices.ContainsFunc(wrong, answered) {
				t.Errorf("it says %q, and not what the answer was", wrong)
			}
		})
	}
}

// The problem that endpoints above spoil.
func TestARightProblemHoldsTheCase(t *testing.T) {
	t.Parallel()
	right := &endpoint{
		forward: func(r *http.Request) { r.Header.Del("Prefer") },
		back: func(r *http.Response, body *[]byte) {
			r.StatusCode = http.StatusBadGateway
			r.Header.Set("Content-Type", "application/json")
			*body = []byte(`{"type":"https://github.com/retrying-api-proxy/retrying-api-proxy#no-answer","title":"T","detail":"D","status":502,` +
				`"processed":"no","instance":"urn:uuid:id","error":{"type":"api_error","code":"no-answer","message":"T: D"}}`)
		},
	}
	for _, wrong := range runOn(t, right, `{"fields": ["Prefer: wait=5"], "upstream": [{"status": 200}], `+
		`"answer": {"status": 502, "problem": {"name": "no-answer", "processed": "no", "mediaType": "application/json"}}}`) {
		t.Error(wrong)
	}
}

// Where the state machine can be asked, it is: a clock that runs fast cannot tell an early attempt from a slow machine.
func TestTheWaitsThatAnEndpointTellsOfAreLookedAt(t *testing.T) {
	t.Parallel()
	one := &execution{runner: &Runner{Waits: func(string) ([]time.Duration, error) { return []time.Duration{time.Second, 0}, nil }}}
	one.judgeWaits("request 1", Request{Waits: []Duration{Duration(time.Second)}}, answer{})
	if len(one.wrong) > 0 {
		t.Errorf("a wait of a second is refused: %s", one.wrong)
	}
	one.judgeWaits("request 1", Request{Waits: []Duration{Duration(1001 * time.Millisecond)}}, answer{})
	if len(one.wrong) != 1 || !strings.Contains(one.wrong[0], "want 1.001s at least after attempt 1") {
		t.Errorf("of a wait that is too short it says %q", one.wrong)
	}
}

func TestWaitsThatCannotBeAskedForAreAProblem(t *testing.T) {
	t.Parallel()
	one := &execution{runner: &Runner{Waits: func(string) ([]time.Duration, error) { return nil, errors.New("there is no execution") }}}
	one.judgeWaits("request 1", Request{Waits: []Duration{0}}, answer{})
	if len(one.wrong) != 1 || !strings.Contains(one.wrong[0], "there is no execution") {
		t.Errorf("it says %q, want why the waits are not known", one.wrong)
	}
}

func TestAnEndpointThatDoesNotAnswerIsAProblem(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(nil)
	gone.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	upstream := Listen(listener)
	t.Cleanup(upstream.Close)
	for _, request := range []Request{
		{Upstream: []Reply{{Status: http.StatusOK}}},
		{Raw: []Text{"GET / HTTP/1.1", "", ""}, Upstream: []Reply{{Status: http.StatusOK}}},
	} {
		wrong := (&Runner{Endpoint: gone.URL, Upstream: upstream}).Run(t.Context(), Case{Requests: []Request{request}})
		if len(wrong) == 0 || !strings.Contains(wrong[0], "connection refused") {
			t.Errorf("it says %q, want that the connection is refused", wrong)
		}
	}
}

func TestACaseForAnotherEndpointIsUnfit(t *testing.T) {
	t.Parallel()
	cases, err := load(fstest.MapFS{"a.json": {Data: []byte(`[
		{"name": "1", "source": "RFC", "requests": [{"upstream": [{"status": 200}]}]},
		{"name": "2", "source": "RFC", "policy": { "attemptTimeout" : "1s" }, "requests": [{"upstream": [{"status": 200}]}]},
		{"name": "3", "source": "RFC", "down": true, "requests": [{"attempts": ["connection_refused"], "answer": {"status": 502}}]},
		{"name": "4", "source": "RFC", "requests": [{"raw": ["GET / HTTP/1.1", "", ""], "upstream": [{"status": 200}]}]},
		{"name": "5", "source": "RFC", "requests": [{"upstream": [{"status": 200}], "during": [{"fields": ["authorization: Bearer token"], "upstream": [{"status": 200}]}]}]},
		{"name": "6", "source": "RFC", "requests": [{"target": "/?X-Amz-Signature=00", "upstream": [{"status": 200}]}]},
		{"name": "7", "source": "RFC", "pages": "https://shop.example", "requests": [{"upstream": [{"status": 200}]}]},
		{"name": "8", "source": "RFC", "requests": [{"upstream": [{"status": 503}, {"status": 200}]}]},
		{"name": "9", "source": "RFC", "requests": [{"upstream": [{"status": 200, "body": {"repeat": "tea", "times": 60000}}]}]},
		{"name": "0", "source": "RFC", "requests": [{"fields": ["Prefer: wait=1000"], "upstream": [{"status": 200}], "answer": {"fields": ["Preference-Applied: wait=290"]}}]}]`)}})
	if err != nil {
		t.Fatal(err)
	}
	fit := func(r *Runner) (names string) {
		for _, c := range cases {
			if r.Unfit(c) == "" {
				names += c.Name
			}
		}
		return names
	}
	signing := func(*http.Request, []byte) error { return nil }
	for names, runner := range map[string]*Runner{
		"1456890": {},
		"1245690": {Setup: Setup{Policy: `{"attemptTimeout":"1s"}`}}, // which judges no success
		"3":       {Setup: Setup{Down: true}},
		"7":       {Setup: Setup{Pages: "https://shop.example"}},
		"145680":  {Setup: Setup{LargeBodies: true}},
		"145689":  {Setup: Setup{Anonymous: true}},
		"1890":    {Sign: signing},
	} {
		runner.Upstream = &Server{}
		if got := fit(runner); got != names {
			t.Errorf("the cases %s fit %+v, want %s", got, runner, names)
		}
	}
}
