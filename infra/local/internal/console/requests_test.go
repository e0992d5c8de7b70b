package console_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/console"
)

type requests struct{ Requests []console.Request }

// send sends a request from the console and waits for all its answers.
func (s *stage) send(sending string) console.Request {
	s.t.Helper()
	status, answer := s.ask(http.MethodPost, "requests", sending, nil)
	if status != http.StatusAccepted {
		s.t.Fatalf("the sending is answered with %d: %s", status, answer)
	}
	var last console.Request
	eventually(s.t, "all answers are there", func() bool {
		var got requests
		s.get("requests", &got)
		last = got.Requests[0]
		return len(last.Answers) == last.Copies
	})
	return last
}

func TestARequestIsSentAsItWasWritten(t *testing.T) {
	var got *http.Request
	var body string
	s := open(t, console.Config{}, func(rw http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		got, body = r, string(text)
		rw.Header().Set("X-Amzn-Requestid", "one")
		rw.Header().Add("Proxy-Status", "proxy-1; received-status=429")
		rw.Header().Add("Proxy-Status", "proxy-2; received-status=200")
		rw.Header().Set("ETag", `"abc"`)
		rw.Header().Set("Date", "Sun, 01 Mar 2026 12:30:00 GMT")
		rw.Header().Set("Location", "/elsewhere")
		rw.WriteHeader(http.StatusFound)
		fmt.Fprint(rw, "there")
	})
	sent := s.send(`{"method":"PATCH","path":"/a%2Fb?x=1&x=2","body":"hello","headers":[
	  {"name":"Idempotency-Key","value":"k"},{"name":"X-Twice","value":"1"},{"name":"X-Twice","value":"2"},{"name":"Cookie","value":"a=b"}]}`)

	if got.Method != "PATCH" || got.RequestURI != "/a%2Fb?x=1&x=2" || body != "hello" || got.ContentLength != 5 {
		t.Errorf("%s %s came with %d bytes %q", got.Method, got.RequestURI, got.ContentLength, body)
	}
	if diff := cmp.Diff([]string{"1", "2"}, got.Header.Values("X-Twice")); diff != "" || got.Header.Get("Cookie") != "a=b" || got.Header.Get("Accept-Encoding") != "" {
		t.Errorf("the headers are %v", got.Header)
	}
	want := console.Request{
		ID: 1, Sent: began, Method: "PATCH", Path: "/a%2Fb?x=1&x=2", Key: "k", Copies: 1,
		Answers: []console.Answer{{
			Status: http.StatusFound, RequestID: "one", ETag: `"abc"`, ProxyStatus: "proxy-1; received-status=429, proxy-2; received-status=200",
			Headers: []console.Field{
				{Name: "Content-Length", Value: "5"}, {Name: "Content-Type", Value: "text/plain; charset=utf-8"}, {Name: "Date", Value: "Sun, 01 Mar 2026 12:30:00 GMT"},
				{Name: "Etag", Value: `"abc"`}, {Name: "Location", Value: "/elsewhere"},
				{Name: "Proxy-Status", Value: "proxy-1; received-status=429"}, {Name: "Proxy-Status", Value: "proxy-2; received-status=200"},
				{Name: "X-Amzn-Requestid", Value: "one"},
			},
			Body: "there", BodyBytes: 5,
		}},
	}
	if diff := cmp.Diff(want, sent, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".callsBefore" }, cmp.Ignore())); diff != "" {
		t.Errorf("the request is not told as expected (-want +got):\n%s", diff)
	}
}

// Ten at once means that none waits for another: the handler answers nobody before all are there.
func TestDuplicatesAreSentAtOnce(t *testing.T) {
	var came sync.WaitGroup
	came.Add(10)
	var first atomic.Bool
	s := open(t, console.Config{}, func(rw http.ResponseWriter, r *http.Request) {
		came.Done()
		came.Wait()
		if first.Swap(true) {
			rw.Header().Set("Idempotent-Replayed", "true")
			fmt.Fprint(rw, `{"serverCacheHit": true}`)
			return
		}
		fmt.Fprint(rw, `{}`)
	})
	sent := s.send(`{"method":"POST","path":"/post","copies":10}`)
	replayed, hits := 0, 0
	for _, answer := range sent.Answers {
		if answer.Replayed {
			replayed++
		}
		if answer.ServerCacheHit {
			hits++
		}
	}
	if len(sent.Answers) != 10 || replayed != 9 || hits != 9 {
		t.Errorf("of %d answers %d are replays and %d say so in their bodies", len(sent.Answers), replayed, hits)
	}
}

func TestTheCallsOfTheUpstreamAreCountedWithARequest(t *testing.T) {
	var s *stage
	s = open(t, console.Config{}, func(http.ResponseWriter, *http.Request) { s.run("two", input, limited, answered) })
	s.run("one", input, once)
	if sent := s.send(`{"method":"POST","path":"/post"}`); sent.UpstreamCalls != 2 {
		t.Errorf("%d calls are counted, want 2", sent.UpstreamCalls)
	}
}

func TestAnAnswerThatDoesNotComeIsTold(t *testing.T) {
	s := open(t, console.Config{}, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	sent := s.send(`{"method":"POST","path":"/post"}`)
	if answer := sent.Answers[0]; answer.Status != 0 || answer.Error == "" {
		t.Errorf("the answer is %+v", answer)
	}
}

func TestTheBeginningOfALongTextIsShownAndNothingOfOtherBytes(t *testing.T) {
	for name, c := range map[string]struct {
		body, shown string
	}{
		"a long text":            {strings.Repeat("x", console.MaxShownBody+1), strings.Repeat("x", console.MaxShownBody)},
		"a letter that is cut":   {strings.Repeat("x", console.MaxShownBody-1) + "é", strings.Repeat("x", console.MaxShownBody-1)},
		"bytes that are no text": {"\xff\xfe", ""},
		"a zero byte":            {"a\x00b", ""},
		"nothing":                {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, console.Config{}, func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, c.body) })
			answer := s.send(`{"method":"GET","path":"/"}`).Answers[0]
			if answer.Body != c.shown || answer.BodyBytes != int64(len(c.body)) {
				t.Errorf("%d bytes are shown and %d told, want %d and %d", len(answer.Body), answer.BodyBytes, len(c.shown), len(c.body))
			}
		})
	}
}

func TestWhatCannotBeSentIsRefusedWithEveryReason(t *testing.T) {
	called := false
	s := open(t, console.Config{}, func(http.ResponseWriter, *http.Request) { called = true })
	for sending, texts := range map[string][]string{
		`{"method":"GET","path":"get"}`:               {"path", "slash"},
		`{"method":"GET","path":""}`:                  {"path"},
		`{"method":"GE T","path":"/"}`:                {"GE T"},
		`{"method":"GET","path":"/%zz"}`:              {"%zz"},
		`{"method":"GET","path":"/\n"}`:               {"path"},
		`{"method":"GET","path":"/-/local/requests"}`: {"console's own"},
		`{"method":"GET","path":"/%2D/local"}`:        {"console's own"},
		`{"method":"CONNECT","path":"/"}`:             {"CONNECT"},
		`{"method":"GET","path":"/","copies":21}`:     {"copies", "20"},
		`{"method":"GET","path":"/","copies":-1}`:     {"copies"},
		`{"method":"GET","path":"/","retries":1}`:     {"retries"},
		`{"method":"GET","path":"/","copies":30,"headers":[{"name":"a b","value":""},{"name":"host","value":"x"},{"name":"A","value":"1\r\nB: 2"}]}`: {
			"copies is 30", `"a b"`, "Host", "header A"},
	} {
		s.refusesWith(http.StatusBadRequest, http.MethodPost, "requests", sending, nil, texts...)
	}
	if called {
		t.Error("something was sent all the same")
	}
}

func TestTheNewestRequestsAreKept(t *testing.T) {
	s := open(t, console.Config{}, nil)
	for range console.MaxRequests + 3 {
		s.send(`{"method":"GET","path":"/"}`)
	}
	var got requests
	s.get("requests", &got)
	if len(got.Requests) != console.MaxRequests || got.Requests[0].ID != console.MaxRequests+3 {
		t.Errorf("%d requests are kept, the newest of them is %d", len(got.Requests), got.Requests[0].ID)
	}
}
