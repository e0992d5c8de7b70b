package contract

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/contract/upstreamtest"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/verification/scripted"
)

// sceneAt begins a scene of a script, and returns the URL that requests go to.
func sceneAt(t *testing.T, base string, replies []Reply, held bool) (string, scene) {
	t.Helper()
	s := NewRemote(base).begin("case")
	c, err := s.expect(t.Context(), replies, held)
	if err != nil {
		t.Fatal(err)
	}
	return base + s.path(), c
}

func TestWhoeverDoesNotKnowTheSecretGetsNothing(t *testing.T) {
	t.Parallel()
	base, store := upstreamtest.Start(t)
	at, _ := sceneAt(t, base, []Reply{{Status: http.StatusOK}}, false)
	before, _ := store.Items("scripts")
	for _, url := range []string{
		strings.Replace(at, upstreamtest.Secret, "guessed", 1), strings.Replace(base, "/"+upstreamtest.Secret, "/", 1),
		base, base + "/another-script/", strings.Replace(base, upstreamtest.Secret, "guessed", 1) + scripted.ControlPath + "a/1",
	} {
		answer, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s is answered with %d, want 404", url, answer.StatusCode)
		}
	}
	if after, _ := store.Items("scripts"); len(before) != 1 || len(after) != 1 {
		t.Errorf("the table has %d items, and %d before; want the script alone", len(after), len(before))
	}
}

func TestAScriptThatCannotBeMeantIsRefused(t *testing.T) {
	t.Parallel()
	base, _ := upstreamtest.Start(t)
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"PUT", "a/1", "{", http.StatusBadRequest, "no scene"},
		{"PUT", "a/1", `{"replies": [{"status": 600}, {"status": 200, "delayMilliseconds": 25001}]}`, http.StatusBadRequest, "reply 1 has the status 600; give one from 200 to 599\nreply 2 takes 25001 ms; give 0 to 25000"},
		{"PUT", "a/one", "{}", http.StatusNotFound, "NAME/SCENE"},
		{"PUT", "a", "{}", http.StatusNotFound, "NAME/SCENE"},
		{"POST", "a/1/hold", "", http.StatusNotFound, "NAME/SCENE"},
		{"DELETE", "a/1", "", http.StatusMethodNotAllowed, "PUT writes"},
	} {
		r, _ := http.NewRequest(c.method, base+scripted.ControlPath+c.path, strings.NewReader(c.body))
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != c.status || !strings.Contains(string(text), c.says) {
			t.Errorf("%s %s is answered with %d %q, want %d and in it %q", c.method, c.path, answer.StatusCode, text, c.status, c.says)
		}
	}
}

// Requests come to several sandboxes, of which none may take the reply of another one.
func TestEachReplyIsForOneOfManyRequestsAtOnce(t *testing.T) {
	t.Parallel()
	base, _ := upstreamtest.Start(t)
	var replies []Reply
	for status := range 8 {
		replies = append(replies, Reply{Status: 400 + status, After: Duration(100 * time.Millisecond)})
	}
	at, scene := sceneAt(t, base, replies, false)
	statuses := make(chan int)
	for range 10 {
		go func() {
			answer, err := http.Get(at + "/a")
			if err != nil {
				statuses <- 0
				return
			}
			answer.Body.Close()
			statuses <- answer.StatusCode
		}()
	}
	var all []int
	for range 10 {
		all = append(all, <-statuses)
	}
	if slices.Sort(all); !slices.Equal(all, []int{200, 200, 400, 401, 402, 403, 404, 405, 406, 407}) {
		t.Errorf("they are answered with %v, want each reply once, and 200 for the two that nobody expected", all)
	}
	arrived, err := scene.arrivals(t.Context())
	if err != nil || len(arrived) != 10 {
		t.Fatalf("%d have arrived (%v), want 10", len(arrived), err)
	}
	for i, a := range arrived {
		if took := a.replied.Sub(a.at); i < 8 && took < 100*time.Millisecond || a.target != "/a" {
			t.Errorf("%d: %s was answered after %v, want /a after 100ms", i, a.target, took)
		}
	}
}

func TestARequestIsHeldUntilItIsReleased(t *testing.T) {
	t.Parallel()
	base, _ := upstreamtest.Start(t)
	s := NewRemote(base).begin("case")
	first, err := s.expect(t.Context(), []Reply{{Status: http.StatusOK}}, true)
	if err != nil {
		t.Fatal(err)
	}
	nobody, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := first.begins(nobody); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("before a request has come, waiting for it ends with %v", err)
	}
	answered := make(chan int, 1)
	go func() {
		answer, err := http.Post(base+s.path()+"/held", "text/plain", strings.NewReader("tea"))
		if err != nil {
			answered <- 0
			return
		}
		answer.Body.Close()
		answered <- answer.StatusCode
	}()
	if err := first.begins(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Another scene takes its place meanwhile.
	second, err := s.expect(t.Context(), []Reply{{Status: http.StatusTeapot}}, false)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := http.Get(base + s.path() + "/meanwhile"); err != nil || answer.StatusCode != http.StatusTeapot {
		t.Errorf("meanwhile it is answered with %v (%v), want 418", answer, err)
	} else {
		answer.Body.Close()
	}
	select {
	case status := <-answered:
		t.Fatalf("it is answered with %d before it is released", status)
	default:
	}
	if err := first.release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status := <-answered; status != http.StatusOK {
		t.Errorf("it is answered with %d, want 200", status)
	}
	ofFirst, err1 := first.arrivals(t.Context())
	ofSecond, err2 := second.arrivals(t.Context())
	if err := errors.Join(err1, err2); err != nil || len(ofFirst) != 1 || len(ofSecond) != 1 {
		t.Fatalf("to the scenes have come %v and %v (%v), want one each", ofFirst, ofSecond, err)
	}
	if a, b := ofFirst[0], ofSecond[0]; a.target != "/held" || string(a.body) != "tea" || a.replied.Before(b.replied) || b.target != "/meanwhile" {
		t.Errorf("to the scenes have come %+v and %+v", a, b)
	}
}

func TestScriptsAreForgottenAfterAnHour(t *testing.T) {
	t.Parallel()
	base, store := upstreamtest.Start(t)
	at, scene := sceneAt(t, base, []Reply{{Status: http.StatusOK}}, true)
	if err := scene.release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if answer, err := http.Get(at); err != nil {
		t.Fatal(err)
	} else {
		answer.Body.Close()
	}
	items, err := store.Items("scripts")
	if err != nil || len(items) != 3 {
		t.Fatalf("the table has %s (%v), want the scene, its release and an arrival", items, err)
	}
	for _, item := range items {
		var read struct{ Expiration int64 }
		_ = json.Unmarshal(item, &read)
		if left := time.Until(time.Unix(read.Expiration, 0)); left < 59*time.Minute || left > time.Hour {
			t.Errorf("%s is forgotten in %v, want in an hour", item, left)
		}
	}
}

// What the contract says of a message has to be told from what the function URL between the two makes of it.
func TestCasesThatAFunctionURLWouldFalsifyAreLeftOut(t *testing.T) {
	t.Parallel()
	for request, says := range map[string]string{
		`{"upstream": [{"then": "reset"}], "attempts": ["connection_terminated"], "answer": {"status": 502}}`:                                            "break a connection",
		`{"upstream": [{"status": 200, "then": "stall"}], "attempts": ["200"], "answer": {"status": 502}}`:                                               "break a connection",
		`{"upstream": [{"raw": ["HTTP/1.1 200 OK"]}], "attempts": ["200"], "answer": {"status": 200}}`:                                                   "write an answer by itself",
		`{"upstream": [{"status": 413, "early": true}]}`:                                                                                                 "before the request is there",
		`{"upstream": [{"status": 600}]}`:                                                                                                                "answer with 600",
		`{"upstream": [{"status": 200, "fields": ["Connection: close"]}]}`:                                                                               "send Connection",
		`{"upstream": [{"status": 200, "fields": ["WWW-Authenticate: Basic"]}]}`:                                                                         "send Www-Authenticate",
		`{"upstream": [{"status": 200, "fields": ["Date: Tue, 03 Mar 2026 10:00:00 GMT"]}]}`:                                                             "send Date",
		`{"upstream": [{"status": 200, "fields": ["X-Amzn-Remapped-Date: a"]}]}`:                                                                         "send X-Amzn-Remapped-Date",
		`{"upstream": [{"status": 200, "fields": ["X-Name: caf\\xE9"]}]}`:                                                                                "not UTF-8",
		`{"upstream": [{"status": 200, "fields": ["X-Long: {x*8193}"]}]}`:                                                                                "longer than",
		`{"upstream": [{"status": 200, "fields": ["X-List: a", "x-list: b"]}]}`:                                                                          "a field twice",
		`{"upstream": [{"status": 503, "fields": ["Retry-After: {date+5s}"]}]}`:                                                                          "send no Date",
		`{"upstream": [{"status": 200}], "arrives": {"absent": ["Content-Length"]}}`:                                                                     "the Content-Length of what arrives",
		`{"upstream": [{"status": 200}], "answer": {"fields": ["Content-Type: application/octet-stream"]}}`:                                              "send no Content-Type",
		`{"upstream": [{"status": 200, "fields": ["Set-Cookie: a=1", "Set-Cookie: b=2"]}]}`:                                                              "",
		`{"upstream": [{"then": "stall"}], "attempts": ["connection_read_timeout"], "answer": {"status": 504}}`:                                          "",
		`{"upstream": [{"status": 403, "fields": ["Date: {date}", "Retry-After: {date+5s}"]}]}`:                                                          "",
		`{"method": "OPTIONS", "upstream": [{"status": 200}], "during": [{"upstream": [{"then": "close"}], "attempts": [], "answer": {"status": 502}}]}`: "break a connection",
	} {
		cases, err := load(fstest.MapFS{"a.json": {Data: []byte(`[{"name": "A", "source": "RFC", "requests": [` + request + `]}]`)}})
		if err != nil {
			t.Fatalf("%s: %v", request, err)
		}
		reason := NewRemote("https://example.com/secret").unfit(&cases[0])
		if says == "" && reason != "" || !strings.Contains(reason, says) {
			t.Errorf("%s is left out since %q, want in it %q", request, reason, says)
		}
	}
}

func TestAnUpstreamThatDoesNotTakeItsScriptIsAProblem(t *testing.T) {
	t.Parallel()
	asked := 0
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(broken.Close)
	runner := &Runner{Endpoint: broken.URL, Upstream: NewRemote(broken.URL + "/secret")}
	wrong := runner.Run(t.Context(), Case{Requests: []Request{{Upstream: []Reply{{Status: http.StatusOK}}}}})
	if len(wrong) != 1 || !strings.Contains(wrong[0], "the scripted upstream: PUT of a script is answered with 403") || asked != 1 {
		t.Errorf("after %d requests it says %q", asked, wrong)
	}
	for _, text := range wrong {
		if strings.Contains(text, "secret") {
			t.Errorf("it tells the secret: %s", text)
		}
	}
}

func TestAScriptIsWrittenAgainAfterAThrottle(t *testing.T) {
	t.Parallel()
	asked := 0
	throttling := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked < 3 {
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	t.Cleanup(throttling.Close)
	if _, err := NewRemote(throttling.URL+"/secret").begin("case").expect(t.Context(), nil, false); err != nil || asked != 3 {
		t.Errorf("after %d requests it ends with %v, want none after three", asked, err)
	}
}

// Names and permissions of what was just deployed take a while to get about.
func TestTheProbeAsksAgainUntilWhatWasJustDeployedAnswers(t *testing.T) {
	t.Parallel()
	base, _ := upstreamtest.Start(t)
	ready := &endpoint{upstream: base}
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) < 4 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		ready.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	runner := &Runner{Endpoint: server.URL, Upstream: NewRemote(base), Patience: time.Minute}
	if err := runner.Probe(t.Context()); err != nil || asked.Load() != 4 {
		t.Errorf("after %d requests it ends with %v, want none after four", asked.Load(), err)
	}
	asked.Store(-100)
	runner.Patience = 0
	if err := runner.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "the status is 403") || asked.Load() > -95 {
		t.Errorf("without patience, after %d requests it ends with %v", asked.Load()+100, err)
	}
}
