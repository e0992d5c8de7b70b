package idempotencyhttp_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
)

// A webFixture is a fixture whose handler runs in a server, which counts the runs.
type webFixture struct {
	*fixture
	runs atomic.Int32
}

func setUpWeb(t *testing.T, o idempotencyhttp.Options, cfg idempotency.Config) *webFixture {
	return &webFixture{fixture: setUp(t, o, cfg)}
}

// serve starts a server with a handler behind the middleware.
func (f *webFixture) serve(o idempotencyhttp.MiddlewareOptions, handler http.HandlerFunc) *httptest.Server {
	return listen(f.t, idempotencyhttp.Middleware(f.Front, o)(f.counted(handler)))
}

// counted counts the runs of a handler.
func (f *webFixture) counted(handler http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.runs.Add(1)
		handler(w, r)
	})
}

// listen starts a server that ends with the test and logs nothing.
func listen(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// An answered is what a client got.
type answered struct {
	*http.Response
	body string
}

// do sends a request with fields, which are names and values in turn, and reads the response.
func do(t *testing.T, method, url, body string, fields ...string) answered {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, url, reader)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		request.Header.Add(fields[i], fields[i+1])
	}
	return finish(t, request)
}

func finish(t *testing.T, request *http.Request) answered {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{response, string(text)}
}

func (a answered) replayed() bool { return a.Header.Get("Idempotent-Replayed") == "true" }

func wantAnswer(t *testing.T, what string, got answered, status int, replayed bool, body string) {
	t.Helper()
	if got.StatusCode != status || got.replayed() != replayed || got.body != body {
		t.Errorf("%s: got %d, replayed %v, %q; want %d, replayed %v, %q", what, got.StatusCode, got.replayed(), got.body, status, replayed, body)
	}
}

func wantNamed(t *testing.T, what string, got answered, status int, name string) {
	t.Helper()
	if got.StatusCode != status || !strings.Contains(got.body, idempotencyhttp.ProblemTypeBase+name) || got.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s: got %d %s; want problem %d %s", what, got.StatusCode, got.body, status, name)
	}
}

func TestANetHTTPHandlerRunsOncePerKey(t *testing.T) {
	f := setUpWeb(t, idempotencyhttp.Options{Require: idempotencyhttp.UnsafeMethods}, idempotency.Config{})
	server := f.serve(idempotencyhttp.MiddlewareOptions{}, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.ContentLength != int64(len(body)) {
			t.Errorf("the handler reads %q of %d bytes, %v", body, r.ContentLength, err)
		}
		w.Header().Set("Location", "/orders/1")
		w.Header().Add("X-Many", "1")
		w.Header().Add("X-Many", "2")
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
		http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
		w.WriteHeader(http.StatusCreated)
		w.WriteHeader(http.StatusTeapot) // has no effect, as everywhere
		w.Header().Set("X-Late", "too late")
		fmt.Fprintf(w, "order of %s", body)
	})
	for _, replayed := range []bool{false, true} {
		got := do(t, "POST", server.URL+"/orders?a=1", "tea", "Idempotency-Key", "k", "Content-Type", "text/plain")
		wantAnswer(t, "with a key", got, 201, replayed, "order of tea")
		for name, want := range map[string][]string{
			"Location": {"/orders/1"}, "X-Many": {"1, 2"}, "Set-Cookie": {"a=1", "b=2"}, "X-Late": nil,
			"Content-Type": {"text/plain; charset=utf-8"}, "Content-Length": {"12"},
		} {
			if diff := cmp.Diff(want, got.Header.Values(name)); diff != "" {
				t.Errorf("replayed %v: %s (-want +got):\n%s", replayed, name, diff)
			}
		}
	}
	wantNamed(t, "another body", do(t, "POST", server.URL+"/orders?a=1", "coffee", "Idempotency-Key", "k"), 422, idempotencyhttp.KeyReused)
	wantNamed(t, "no key", do(t, "POST", server.URL+"/orders", "tea"), 400, idempotencyhttp.KeyMissing)
	wantNamed(t, "two keys", do(t, "POST", server.URL+"/orders", "tea", "Idempotency-Key", "a", "Idempotency-Key", "b"), 400, idempotencyhttp.KeyMalformed)
	if runs := f.runs.Load(); runs != 1 {
		t.Errorf("%d runs", runs)
	}
}

func TestWhatAHandlerNeedNotSayIsRecordedAsNetHTTPHasIt(t *testing.T) {
	binary := "\x89PNG\r\n\x1a\n\xff"
	f := setUpWeb(t, idempotencyhttp.Options{}, idempotency.Config{})
	server := f.serve(idempotencyhttp.MiddlewareOptions{}, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/image":
			io.WriteString(w, binary)
		case "/none":
			w.WriteHeader(http.StatusNoContent)
			if n, err := io.WriteString(w, "x"); n != 0 || !errors.Is(err, http.ErrBodyNotAllowed) {
				t.Errorf("a body of a 204: %d, %v", n, err)
			}
		case "/latin":
			w.Header().Set("Content-Type", "text/plain; x=\xe9")
			io.WriteString(w, "ok")
		case "/untyped":
			w.Header()["Content-Type"] = nil
			io.WriteString(w, "<html>")
		}
	})
	for path, want := range map[string]struct {
		status    int
		mediaType []string
		body      string
	}{
		"/image": {200, []string{"image/png"}, binary}, "/none": {204, nil, ""}, "/nothing": {200, nil, ""}, "/untyped": {200, nil, "<html>"},
		"/latin": {200, []string{"text/plain; x=\u00e9"}, "ok"},
	} {
		for _, replayed := range []bool{false, true} {
			got := do(t, "POST", server.URL+path, "", "Idempotency-Key", "k")
			wantAnswer(t, path, got, want.status, replayed, want.body)
			if diff := cmp.Diff(want.mediaType, got.Header.Values("Content-Type")); diff != "" {
				t.Errorf("%s: Content-Type (-want +got):\n%s", path, diff)
			}
		}
	}
	for _, replayed := range []bool{false, true} {
		got := do(t, "HEAD", server.URL+"/image", "", "Idempotency-Key", "k")
		wantAnswer(t, "HEAD", got, 200, replayed, "")
		if got.ContentLength != int64(len(binary)) {
			t.Errorf("Content-Length of HEAD is %d", got.ContentLength)
		}
	}
}

func TestARequestWithoutAKeyCanStream(t *testing.T) {
	f := setUpWeb(t, idempotencyhttp.Options{}, idempotency.Config{})
	goOn := make(chan struct{})
	server := f.serve(idempotencyhttp.MiddlewareOptions{MaxRequestBytes: 1, MaxResponseBytes: 1}, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "first")
		w.(http.Flusher).Flush()
		<-goOn
		fmt.Fprintln(w, "second")
	})
	response, err := http.Post(server.URL, "text/plain", strings.NewReader("longer than the limit"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	if !lines.Scan() || lines.Text() != "first" {
		t.Errorf("got %q", lines.Text())
	}
	close(goOn)
	if !lines.Scan() || lines.Text() != "second" {
		t.Errorf("got %q", lines.Text())
	}
}

func TestARequestWithAKeyCannotFlushOrBeTakenOver(t *testing.T) {
	f := setUpWeb(t, idempotencyhttp.Options{}, idempotency.Config{})
	server := f.serve(idempotencyhttp.MiddlewareOptions{}, func(w http.ResponseWriter, r *http.Request) {
		controller := http.NewResponseController(w)
		if err := controller.Flush(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Flush: %v", err)
		}
		if _, _, err := controller.Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Hijack: %v", err)
		}
		if err := errors.Join(controller.SetWriteDeadline(time.Time{}), controller.SetReadDeadline(time.Time{})); err != nil {
			t.Errorf("deadlines: %v", err)
		}
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("X-Kept", "1")
		fmt.Fprint(w, "ok")
		w.Header().Set("X-Sum", "2")
		w.Header().Set(http.TrailerPrefix+"X-More", "2")
	})
	for _, replayed := range []bool{false, true} {
		got := do(t, "POST", server.URL, "", "Idempotency-Key", "k")
		wantAnswer(t, "the answer", got, 200, replayed, "ok")
		if len(got.Trailer) != 0 || got.Header.Get("X-Kept") != "1" || got.Header.Get("Trailer") != "" {
			t.Errorf("header %v, trailer %v", got.Header, got.Trailer)
		}
	}
}

func TestABodyBeyondTheLimitIsA413AndNothingRuns(t *testing.T) {
	f := setUpWeb(t, idempotencyhttp.Options{}, idempotency.Config{})
	server := f.serve(idempotencyhttp.MiddlewareOptions{MaxRequestBytes: 10}, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
	})
	wantAnswer(t, "as large as it may be", do(t, "POST", server.URL, "0123456789", "Idempotency-Key", "k0"), 200, false, "0123456789")
	wantNamed(t, "with a length", do(t, "POST", server.URL, "0123456789a", "Idempotency-Key", "k1"), 413, idempotencyhttp.RequestTooLarge)
	chunked, err := http.NewRequestWithContext(t.Context(), "POST", server.URL, io.MultiReader(strings.NewReader("0123456789"), strings.NewReader("a")))
	if err != nil {
		t.Fatal(err)
	}
	chunked.Header.Set("Idempotency-Key", "k2")
	got := finish(t, chunked)
	wantNamed(t, "in chunks", got, 413, idempotencyhttp.RequestTooLarge)
	if !strings.Contains(got.body, "10 bytes") {
		t.Errorf("the problem does not say the limit: %s", got.body)
	}
	if runs := f.runs.Load(); runs != 1 {
		t.Errorf("%d runs", runs)
	}
}

func TestABodyThatEndsEarlyIsA400AndNothingRuns(t *testing.T) {
	f := setUpWeb(t, idempotencyhttp.Options{}, idempotency.Config{})
	server := f.serve(idempotencyhttp.MiddlewareOptions{}, func(http.ResponseWriter, *http.Request) {})
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprint(connection, "POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 10\r\n\r\n01234")
	if err := connection.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	wantNamed(t, "half a body", answered{response, string(text)}, 400, idempotencyhttp.RequestUnreadable)
	if runs := f.runs.Load(); runs != 0 {
		t.Errorf("%d runs", runs)
	}
}

func TestTheTrailersOfARequestReachTheHandler(t *testing.T) {
	f := setUpWeb(t, idempotencyhttp.Options{}, idempotency.Config{})
	server := f.serve(idempotencyhttp.MiddlewareOptions{}, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Trailer.Get("X-Sum"))
	})
	request, err := http.NewRequestWithContext(t.Context(), "POST", server.URL, io.MultiReader(strings.NewReader("body")))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Idempotency-Key", "k")
	request.Trailer = http.Header{"X-Sum": {"7"}}
	wantAnswer(t, "the trailer", finish(t, request), 200, false, "7")
}

func TestAResponseBeyondTheLimitIsSentAndNotDoneTwice(t *testing.T) {
	f := setUpWeb(t, idempotencyhttp.Options{Cache: idempotencyhttp.Cache{ETag: true}}, idempotency.Config{})
	var status atomic.Int32
	status.Store(http.StatusOK)
	server := f.serve(idempotencyhttp.MiddlewareOptions{MaxResponseBytes: 10}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/csv")
		w.Header().Set("X-Rows", "2")
		w.WriteHeader(int(status.Load()))
		fmt.Fprint(w, "01234,")
		fmt.Fprint(w, "56789,")
		fmt.Fprint(w, "end")
	})
	got := do(t, "POST", server.URL, "", "Idempotency-Key", "k")
	wantAnswer(t, "the first", got, 200, false, "01234,56789,end")
	if got.Header.Get("Content-Type") != "text/csv" || got.Header.Get("X-Rows") != "2" {
		t.Errorf("its header is %v", got.Header)
	}
	wantNamed(t, "the second", do(t, "POST", server.URL, "", "Idempotency-Key", "k"), 409, idempotencyhttp.ResultUnavailable)
	if runs := f.runs.Load(); runs != 1 {
		t.Errorf("%d runs", runs)
	}
	status.Store(http.StatusServiceUnavailable)
	for range 2 {
		wantAnswer(t, "a large 503", do(t, "POST", server.URL, "", "Idempotency-Key", "k2"), 503, false, "01234,56789,end")
	}
	if runs := f.runs.Load(); runs != 3 {
		t.Errorf("%d runs; a 503 leaves the key free, whatever its size", runs)
	}
}

func TestAResponseThatSettlesNothingLeavesTheKeyFree(t *testing.T) {
	f := setUpWeb(t, idempotencyhttp.Options{}, idempotency.Config{})
	var status atomic.Int32
	status.Store(http.StatusBadGateway)
	server := f.serve(idempotencyhttp.MiddlewareOptions{}, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "text", int(status.Load())) })
	wantAnswer(t, "a 502", do(t, "POST", server.URL, "", "Idempotency-Key", "k"), 502, false, "text\n")
	status.Store(http.StatusNotFound)
	wantAnswer(t, "then a 404", do(t, "POST", server.URL, "", "Idempotency-Key", "k"), 404, false, "text\n")
	status.Store(http.StatusOK)
	wantAnswer(t, "which stays", do(t, "POST", server.URL, "", "Idempotency-Key", "k"), 404, true, "text\n")
}

func TestAPanicOfANetHTTPHandlerFreesTheKeyAndSendsNothing(t *testing.T) {
	for _, panicked := range []any{"broken", http.ErrAbortHandler} {
		f := setUpWeb(t, idempotencyhttp.Options{}, idempotency.Config{})
		var healthy atomic.Bool
		server := f.serve(idempotencyhttp.MiddlewareOptions{}, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "half")
			if !healthy.Load() {
				panic(panicked)
			}
		})
		// A GET with a key would be sent again by the client when the connection breaks.
		request, err := http.NewRequestWithContext(t.Context(), "POST", server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header["Idempotency-Key"] = []string{"k"}
		request.Body, request.GetBody, request.ContentLength = io.NopCloser(strings.NewReader("x")), nil, 1
		if response, err := http.DefaultClient.Do(request); err == nil {
			response.Body.Close()
			t.Errorf("%v: the client got %d", panicked, response.StatusCode)
		}
		healthy.Store(true)
		wantAnswer(t, "the next", do(t, "POST", server.URL, "x", "Idempotency-Key", "k"), 200, false, "half")
		if runs := f.runs.Load(); runs != 2 {
			t.Errorf("%d runs", runs)
		}
	}
}

func TestAStatusThatIsNonePanicsAsInNetHTTP(t *testing.T) {
	f := setUpWeb(t, idempotencyhttp.Options{}, idempotency.Config{})
	handler := idempotencyhttp.Middleware(f.Front, idempotencyhttp.MiddlewareOptions{})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(0) }))
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	request := httptest.NewRequest("POST", "/", nil)
	request.Header.Set("Idempotency-Key", "k")
	handler.ServeHTTP(httptest.NewRecorder(), request)
}

func TestFieldsOfOtherMiddlewareAreNotRecorded(t *testing.T) {
	f := setUpWeb(t, idempotencyhttp.Options{Cache: idempotencyhttp.Cache{MaxAge: time.Minute}}, idempotency.Config{})
	inner := idempotencyhttp.Middleware(f.Front, idempotencyhttp.MiddlewareOptions{})(f.counted(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept")
		w.Header().Set("X-Frame-Options", "SAMEORIGIN")
		w.Header().Add("Set-Cookie", "order=1")
		fmt.Fprint(w, "ok")
	}))
	var requests atomic.Int32
	outside := func(cacheControl string) *httptest.Server {
		return listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			request := requests.Add(1)
			w.Header().Set("X-Request-Id", fmt.Sprint(request))
			w.Header().Add("Vary", "Origin")
			w.Header().Set("X-Frame-Options", "DENY")
			w.Header().Add("Link", "</a>; rel=a")
			w.Header().Add("Link", "</b>; rel=b")
			w.Header().Add("Set-Cookie", fmt.Sprintf("session=%d", request))
			if cacheControl != "" {
				w.Header().Set("Cache-Control", cacheControl)
			}
			inner.ServeHTTP(w, r)
		}))
	}
	server := outside("")
	for i, replayed := range []bool{false, true} {
		got := do(t, "POST", server.URL, "", "Idempotency-Key", "k")
		wantAnswer(t, "the answer", got, 200, replayed, "ok")
		for name, want := range map[string][]string{
			"X-Request-Id": {fmt.Sprint(i + 1)}, "X-Frame-Options": {"SAMEORIGIN"}, "Vary": {"Origin, Accept, Idempotency-Key"},
			"Link": {"</a>; rel=a", "</b>; rel=b"}, "Set-Cookie": {fmt.Sprintf("session=%d", i+1), "order=1"},
		} {
			if diff := cmp.Diff(want, got.Header.Values(name)); diff != "" {
				t.Errorf("request %d: %s (-want +got):\n%s", i+1, name, diff)
			}
		}
		if age := got.Header.Get("Cache-Control"); !strings.HasPrefix(age, "private, max-age=") {
			t.Errorf("Cache-Control: %s", age)
		}
	}
	strict := outside("no-store")
	for range 2 {
		if got := do(t, "POST", strict.URL+"/strict", "", "Idempotency-Key", "k"); got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("Cache-Control: no-store became %s", got.Header.Get("Cache-Control"))
		}
	}
	problem := do(t, "POST", server.URL, "other", "Idempotency-Key", "k")
	wantNamed(t, "a problem", problem, 422, idempotencyhttp.KeyReused)
	if problem.Header.Get("X-Request-Id") != "5" || problem.Header.Get("Vary") != "Origin" {
		t.Errorf("a problem has the header %v", problem.Header)
	}
}

func TestAProblemVariesByWhatOtherMiddlewareVariesBy(t *testing.T) {
	f := setUp(t, idempotencyhttp.Options{Require: idempotencyhttp.Always, Problem: func(r idempotencyhttp.Request, p idempotencyhttp.Problem) idempotencyhttp.Response {
		return idempotencyhttp.Response{Headers: map[string]string{"Vary": "Accept"}, Body: p.Title}
	}}, idempotency.Config{})
	got := httptest.NewRecorder()
	got.Header().Set("Vary", "Origin")
	idempotencyhttp.Middleware(f.Front, idempotencyhttp.MiddlewareOptions{})(http.NotFoundHandler()).ServeHTTP(got, httptest.NewRequest("POST", "/", nil))
	if got.Code != 400 || got.Header().Get("Vary") != "Accept, Origin" || got.Body.String() != "Idempotency-Key is missing" {
		t.Errorf("got %d %v %s", got.Code, got.Header(), got.Body)
	}
}

func TestAHandlerWhoseClientHasGoneIsRecorded(t *testing.T) {
	f := setUpWeb(t, idempotencyhttp.Options{}, idempotency.Config{})
	running, returned := make(chan struct{}), make(chan struct{})
	handler := idempotencyhttp.Middleware(f.Front, idempotencyhttp.MiddlewareOptions{})(f.counted(func(w http.ResponseWriter, r *http.Request) {
		close(running)
		<-r.Context().Done()
		fmt.Fprint(w, "done all the same")
	}))
	server := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r)
		if r.Header.Get("X-Leaves") != "" {
			close(returned)
		}
	}))
	ctx, leave := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, "POST", server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Idempotency-Key", "k")
	request.Header.Set("X-Leaves", "1")
	go func() {
		<-running
		leave()
	}()
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
		t.Errorf("the client that left got %d", response.StatusCode)
	}
	<-returned
	wantAnswer(t, "the one that comes again", do(t, "POST", server.URL, "", "Idempotency-Key", "k"), 200, true, "done all the same")
	if runs := f.runs.Load(); runs != 1 {
		t.Errorf("%d runs", runs)
	}
}

func TestARequestWhoseTwinRunsIsA409(t *testing.T) {
	f := setUpWeb(t, idempotencyhttp.Options{}, idempotency.Config{})
	running, goOn := make(chan struct{}), make(chan struct{})
	server := f.serve(idempotencyhttp.MiddlewareOptions{}, func(w http.ResponseWriter, r *http.Request) {
		close(running)
		<-goOn
	})
	first := make(chan answered, 1)
	go func() { first <- do(t, "POST", server.URL, "", "Idempotency-Key", "k") }()
	<-running
	wantNamed(t, "the twin", do(t, "POST", server.URL, "", "Idempotency-Key", "k"), 409, idempotencyhttp.KeyInUse)
	close(goOn)
	wantAnswer(t, "the first", <-first, 200, false, "")
}

func TestCallersOfNetHTTPAreToldApart(t *testing.T) {
	type identity struct{}
	f := setUpWeb(t, idempotencyhttp.Options{}, idempotency.Config{})
	protected := idempotencyhttp.Middleware(f.Front, idempotencyhttp.MiddlewareOptions{Caller: func(r *http.Request) string {
		name, _ := r.Context().Value(identity{}).(string)
		return name
	}})(f.counted(func(http.ResponseWriter, *http.Request) {}))
	server := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protected.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identity{}, r.Header.Get("X-User"))))
	}))
	for i, c := range []struct {
		user, token string
		replayed    bool
	}{
		{"alice", "t1", false}, {"bob", "t1", false}, {"alice", "t2", true}, // a token that was renewed is no other caller
		{"", "t1", false}, {"", "t2", false}, {"", "t1", true}, // credentials stand for whom nobody knows
	} {
		if got := do(t, "POST", server.URL, "", "Idempotency-Key", "k", "X-User", c.user, "Authorization", "Bearer "+c.token); got.replayed() != c.replayed {
			t.Errorf("request %d is replayed: %v", i+1, got.replayed())
		}
	}
}

func TestRoutersThatStripAPrefixDoNotMakeOneRequestOfTwo(t *testing.T) {
	f := setUpWeb(t, idempotencyhttp.Options{}, idempotency.Config{})
	orders := idempotencyhttp.Middleware(f.Front, idempotencyhttp.MiddlewareOptions{})(f.counted(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }))
	mux := http.NewServeMux()
	mux.Handle("/v1/", http.StripPrefix("/v1", orders))
	mux.Handle("/v2/", http.StripPrefix("/v2", orders))
	server := listen(t, mux)
	for _, path := range []string{"/v1/orders?a=1", "/v2/orders?a=1"} {
		wantAnswer(t, path, do(t, "POST", server.URL+path, "", "Idempotency-Key", "k"), 200, false, "/orders")
		wantAnswer(t, path, do(t, "POST", server.URL+path, "", "Idempotency-Key", "k"), 200, true, "/orders")
	}
	made := &http.Request{Method: "POST", URL: httptest.NewRequest("GET", "http://a/b%2Fc?d=e", nil).URL, Header: http.Header{"Cookie": {"a=1", "b=2"}}}
	if got := idempotencyhttp.FromHTTP(made); got.Path != "/b%2Fc" || got.Query != "d=e" || got.Headers["cookie"] != "a=1; b=2" {
		t.Errorf("a request that no server has read is %+v", got)
	}
}

func TestDisabledByTheEnvironmentTheMiddlewareIsNotThere(t *testing.T) {
	t.Setenv(idempotency.DisabledVariable, "true")
	f := setUpWeb(t, idempotencyhttp.Options{Require: idempotencyhttp.Always}, idempotency.Config{})
	server := f.serve(idempotencyhttp.MiddlewareOptions{MaxRequestBytes: 1}, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
		w.(http.Flusher).Flush()
	})
	for range 2 {
		wantAnswer(t, "disabled", do(t, "POST", server.URL, "body", "Idempotency-Key", "k"), 200, false, "body")
	}
}

func TestAFailingReplayHookIsA500(t *testing.T) {
	f := setUpWeb(t, idempotencyhttp.Options{}, idempotency.Config{
		OnReplay: func(context.Context, json.RawMessage, idempotency.Record) (json.RawMessage, error) {
			return nil, errors.New("secret")
		},
	})
	server := f.serve(idempotencyhttp.MiddlewareOptions{}, func(w http.ResponseWriter, r *http.Request) {})
	do(t, "POST", server.URL, "", "Idempotency-Key", "k")
	if got := do(t, "POST", server.URL, "", "Idempotency-Key", "k"); got.StatusCode != 500 || strings.Contains(got.body, "secret") || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %v %s", got.StatusCode, got.Header, got.body)
	}
}

// FuzzMiddleware sends any response through a recording and back.
func FuzzMiddleware(f *testing.F) {
	f.Add(201, "text/plain", []byte("body"), "v")
	f.Add(0, "", []byte{0xff, 0x00}, "a\nb")
	f.Add(304, "a", []byte("x"), "\x7f")
	m, err := idempotency.New(idempotency.NewMemoryStore(), idempotency.Config{Prefix: "p"})
	if err != nil {
		f.Fatal(err)
	}
	front, err := idempotencyhttp.NewFront(m, idempotencyhttp.Options{})
	if err != nil {
		f.Fatal(err)
	}
	n := 0
	f.Fuzz(func(t *testing.T, status int, mediaType string, body []byte, value string) {
		handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if mediaType != "" {
				w.Header().Set("Content-Type", mediaType)
			}
			w.Header().Set("X-Value", value)
			w.WriteHeader(200 + (status%800+800)%800)
			w.Write(body)
		})
		n++
		var got [2]*httptest.ResponseRecorder
		for i := range got {
			got[i] = httptest.NewRecorder()
			request := httptest.NewRequest("POST", "/", nil)
			request.Header.Set("Idempotency-Key", fmt.Sprint(n))
			idempotencyhttp.Middleware(front, idempotencyhttp.MiddlewareOptions{})(handler).ServeHTTP(got[i], request)
		}
		got[1].Header().Del("Idempotent-Replayed")
		if got[0].Code != got[1].Code || !bytes.Equal(got[0].Body.Bytes(), got[1].Body.Bytes()) || !cmp.Equal(got[0].Header(), got[1].Header()) {
			t.Fatalf("first %d %v %q, then %d %v %q", got[0].Code, got[0].Header(), got[0].Body, got[1].Code, got[1].Header(), got[1].Body)
		}
	})
}
