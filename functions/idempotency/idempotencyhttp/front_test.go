package idempotencyhttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
)

type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }
func (c *clock) Sleep(_ context.Context, d time.Duration) error {
	c.now = c.now.Add(d)
	return nil
}

// brokenStore fails in every operation that is set.
type brokenStore struct {
	idempotency.Store
	insert, complete error
}

func (s *brokenStore) Insert(ctx context.Context, r idempotency.Record, now time.Time) (bool, *idempotency.Record, error) {
	if s.insert != nil {
		return false, nil, s.insert
	}
	return s.Store.Insert(ctx, r, now)
}

func (s *brokenStore) Complete(ctx context.Context, r idempotency.Record) error {
	if s.complete != nil {
		return s.complete
	}
	return s.Store.Complete(ctx, r)
}

type fixture struct {
	*idempotencyhttp.Front
	t     *testing.T
	clock *clock
	store *brokenStore
	runs  int
}

func setUp(t *testing.T, o idempotencyhttp.Options, cfg idempotency.Config) *fixture {
	t.Helper()
	f := &fixture{t: t, clock: &clock{time.Unix(1_700_000_000, 0)}, store: &brokenStore{Store: idempotency.NewMemoryStore()}}
	cfg.Prefix, cfg.Clock = "fn", f.clock
	if cfg.Lease == 0 {
		cfg.Lease = 30 * time.Second
	}
	m, err := idempotency.New(f.store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if f.Front, err = idempotencyhttp.NewFront(m, o); err != nil {
		t.Fatal(err)
	}
	return f
}

// send lets the front answer a request for which the handler has the response.
func (f *fixture) send(r idempotencyhttp.Request, response idempotencyhttp.Response) idempotencyhttp.Response {
	f.t.Helper()
	got, err := f.Serve(context.Background(), r, func(context.Context) (idempotencyhttp.Response, error) {
		f.runs++
		return response, nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return got
}

func post(key, body string, headers ...string) idempotencyhttp.Request {
	r := idempotencyhttp.Request{Method: "POST", Path: "/orders", Body: body, Headers: map[string]string{}}
	if key != "" {
		r.Headers["idempotency-key"] = key
	}
	for i := 0; i < len(headers); i += 2 {
		r.Headers[headers[i]] = headers[i+1]
	}
	return r
}

var created = idempotencyhttp.Response{
	StatusCode: 201, Headers: map[string]string{"content-type": "application/json", "location": "/orders/1"},
	Cookies: []string{"a=1", "b=2"}, Body: `{"order":1}`,
}

func wantProblem(t *testing.T, got idempotencyhttp.Response, status int, name, retryAfter string) {
	t.Helper()
	var document struct {
		Type, Title, Detail string
		Status              int
	}
	if err := json.Unmarshal([]byte(got.Body), &document); err != nil {
		t.Fatalf("%d %s: %v", got.StatusCode, got.Body, err)
	}
	if got.StatusCode != status || document.Status != status || document.Type != idempotencyhttp.ProblemTypeBase+name ||
		document.Title == "" || document.Detail == "" || got.Headers["content-type"] != "application/problem+json" ||
		got.Headers["cache-control"] != "no-store" || got.Headers["retry-after"] != retryAfter {
		t.Errorf("got %d %v %s; want problem %d %s with Retry-After %q", got.StatusCode, got.Headers, got.Body, status, name, retryAfter)
	}
}

func TestARepeatedRequestGetsTheFirstResponseAndIsMarked(t *testing.T) {
	f := setUp(t, idempotencyhttp.Options{}, idempotency.Config{})
	if diff := cmp.Diff(created, f.send(post("k", "{}"), created)); diff != "" {
		t.Errorf("the first response is changed (-want +got):\n%s", diff)
	}
	want := created
	want.Headers = map[string]string{"content-type": "application/json", "location": "/orders/1", "idempotent-replayed": "true"}
	for _, key := range []string{`k`, `"k"`} {
		if diff := cmp.Diff(want, f.send(post(key, "{}"), idempotencyhttp.Response{StatusCode: 500})); diff != "" {
			t.Errorf("replay of %s (-want +got):\n%s", key, diff)
		}
	}
	if f.runs != 1 {
		t.Errorf("%d runs", f.runs)
	}
}

func TestABinaryResponseIsReplayedAsItIs(t *testing.T) {
	f := setUp(t, idempotencyhttp.Options{ServerCacheHit: true, Cache: idempotencyhttp.Cache{ETag: true}}, idempotency.Config{})
	image := idempotencyhttp.Response{StatusCode: 200, Headers: map[string]string{"content-type": "image/png"}, Body: "iVBORw==", IsBase64Encoded: true}
	first := f.send(post("k", ""), image)
	again := f.send(post("k", ""), image)
	if again.Body != image.Body || !again.IsBase64Encoded || again.Headers["etag"] != first.Headers["etag"] || again.Headers["idempotent-replayed"] != "true" {
		t.Errorf("got %+v", again)
	}
}

func TestRequestsWithoutAKeyRunUnlessOneIsRequired(t *testing.T) {
	for _, test := range []struct {
		require idempotencyhttp.Requirement
		method  string
		refused bool
	}{
		{idempotencyhttp.Never, "POST", false},
		{idempotencyhttp.UnsafeMethods, "POST", true},
		{idempotencyhttp.UnsafeMethods, "PATCH", true},
		{idempotencyhttp.UnsafeMethods, "PUT", true},
		{idempotencyhttp.UnsafeMethods, "DELETE", true},
		{idempotencyhttp.UnsafeMethods, "GET", false},
		{idempotencyhttp.UnsafeMethods, "HEAD", false},
		{idempotencyhttp.UnsafeMethods, "OPTIONS", false},
		{idempotencyhttp.UnsafeMethods, "QUERY", false},
		{idempotencyhttp.UnsafeMethods, "PROPFIND", false},
		{idempotencyhttp.UnsafeMethods, "LOCK", true},
		{idempotencyhttp.Always, "GET", true},
	} {
		f := setUp(t, idempotencyhttp.Options{Require: test.require}, idempotency.Config{})
		r := post("", "{}")
		r.Method = test.method
		for range 2 {
			if got := f.send(r, created); test.refused {
				wantProblem(t, got, 400, idempotencyhttp.KeyMissing, "")
			} else if diff := cmp.Diff(created, got); diff != "" {
				t.Errorf("%s: (-want +got):\n%s", test.method, diff)
			}
		}
		if wantRuns := map[bool]int{true: 0, false: 2}[test.refused]; f.runs != wantRuns {
			t.Errorf("%s: %d runs; want %d", test.method, f.runs, wantRuns)
		}
	}
}

func TestAMalformedKeyIsA400(t *testing.T) {
	f := setUp(t, idempotencyhttp.Options{}, idempotency.Config{})
	for _, key := range []string{`""`, `"k`, strings.Repeat("k", 256), "a\tb"} {
		wantProblem(t, f.send(post(key, ""), created), 400, idempotencyhttp.KeyMalformed, "")
	}
	r := post("k", "")
	r.Headers["idempotency-key"] = ""
	wantProblem(t, f.send(r, created), 400, idempotencyhttp.KeyMalformed, "")
	if f.runs != 0 {
		t.Errorf("%d runs", f.runs)
	}
}

func TestAKeyInUseIsA409(t *testing.T) {
	for _, test := range []struct {
		lease, passed time.Duration
		want          string
	}{{30 * time.Second, 0, "5"}, {3500 * time.Millisecond, 0, "4"}, {10 * time.Second, 9900 * time.Millisecond, "1"}} {
		f := setUp(t, idempotencyhttp.Options{}, idempotency.Config{Lease: test.lease})
		_, err := f.Serve(context.Background(), post("k", "{}"), func(context.Context) (idempotencyhttp.Response, error) {
			f.clock.now = f.clock.now.Add(test.passed)
			wantProblem(t, f.send(post("k", "{}"), created), 409, idempotencyhttp.KeyInUse, test.want)
			wantProblem(t, f.send(post("k", `{"other":1}`), created), 422, idempotencyhttp.KeyReused, "")
			return created, nil
		})
		if err != nil || f.runs != 0 {
			t.Errorf("%v, %d runs beside the first", err, f.runs)
		}
	}
}

func TestAKeyUsedForAnotherRequestIsA422(t *testing.T) {
	f := setUp(t, idempotencyhttp.Options{}, idempotency.Config{})
	f.send(post("k", "{}"), created)
	wantProblem(t, f.send(post("k", "[]"), created), 422, idempotencyhttp.KeyReused, "")
	other := post("k", "{}")
	other.Query = "dry=1"
	wantProblem(t, f.send(other, created), 422, idempotencyhttp.KeyReused, "")
	if f.runs != 1 {
		t.Errorf("%d runs", f.runs)
	}
}

func TestAnotherCallerMethodOrPathIsAnotherKey(t *testing.T) {
	f := setUp(t, idempotencyhttp.Options{Caller: func(r idempotencyhttp.Request) string { return r.Headers["x-tenant"] }}, idempotency.Config{})
	requests := []idempotencyhttp.Request{post("k", "{}", "x-tenant", "a"), post("k", "{}", "x-tenant", "b"), post("k", "{}", "x-tenant", "a"), post("k", "{}", "x-tenant", "a")}
	requests[2].Method = "PATCH"
	requests[3].Path = "/payments"
	for i, r := range requests {
		if got := f.send(r, created); got.Headers["idempotent-replayed"] != "" {
			t.Errorf("request %d got another one's response", i)
		}
	}
	if f.runs != len(requests) {
		t.Errorf("%d runs; want %d", f.runs, len(requests))
	}
}

func TestOnlyFinalResponsesAreRecorded(t *testing.T) {
	for status, recorded := range map[int]bool{
		200: true, 202: true, 204: true, 206: true, 301: true, 303: true, 304: true, 307: true,
		400: true, 404: true, 405: true, 410: true, 412: true, 413: true, 422: true, 424: true, 451: true, 499: true,
		401: false, 403: false, 407: false, 408: false, 409: false, 421: false, 423: false, 425: false, 426: false, 428: false,
		429: false, 431: false,
		500: false, 501: false, 502: false, 503: false, 504: false, 505: false, 511: false, 520: false, 599: false,
		0: false, 100: false, 600: false,
	} {
		f := setUp(t, idempotencyhttp.Options{Cache: idempotencyhttp.Cache{ETag: true}}, idempotency.Config{})
		response := idempotencyhttp.Response{StatusCode: status, Body: "body"}
		f.send(post("k", ""), response)
		got := f.send(post("k", ""), response)
		if replayed := got.Headers["idempotent-replayed"] == "true"; got.StatusCode != status || replayed != recorded || f.runs == 1 != recorded || got.Headers["etag"] != "" != (recorded && status < 300) {
			t.Errorf("%d: %+v after %d runs; want recorded %v", status, got, f.runs, recorded)
		}
	}
	f := setUp(t, idempotencyhttp.Options{Store: func(r idempotencyhttp.Response) bool { return r.StatusCode == 500 }}, idempotency.Config{})
	for _, status := range []int{200, 200, 500, 500} {
		f.send(post("k", ""), idempotencyhttp.Response{StatusCode: status})
	}
	if f.runs != 3 {
		t.Errorf("with Options.Store: %d runs; want 3", f.runs)
	}
}

func TestAHandlersErrorAndPanicFreeTheKey(t *testing.T) {
	f := setUp(t, idempotencyhttp.Options{}, idempotency.Config{})
	broken := errors.New("broken")
	if _, err := f.Serve(context.Background(), post("k", ""), func(context.Context) (idempotencyhttp.Response, error) { return created, broken }); err != broken {
		t.Errorf("error is %v; want the handler's", err)
	}
	func() {
		defer func() {
			if p := recover(); p != "broken" {
				t.Errorf("recovered %v", p)
			}
		}()
		_, _ = f.Serve(context.Background(), post("k", ""), func(context.Context) (idempotencyhttp.Response, error) { panic("broken") })
	}()
	if got := f.send(post("k", ""), created); got.StatusCode != 201 || f.runs != 1 {
		t.Errorf("got %d after %d runs", got.StatusCode, f.runs)
	}
}

func TestARecordThatCannotBeReadIsAConflictThatASecondTryDoesNotEnd(t *testing.T) {
	f := setUp(t, idempotencyhttp.Options{}, idempotency.Config{})
	f.store.insert = &idempotency.UnreadableRecordError{ID: "r", Err: errors.New("its status is DONE")}
	wantProblem(t, f.send(post("k", ""), created), 409, idempotencyhttp.RecordUnreadable, "")
	if f.runs != 0 {
		t.Errorf("%d runs", f.runs)
	}
}

func TestAStoreThatFailsIsA503BeforeTheHandlerAndNoConcernAfterIt(t *testing.T) {
	f := setUp(t, idempotencyhttp.Options{}, idempotency.Config{})
	f.store.insert = errors.New("outage")
	wantProblem(t, f.send(post("k", ""), created), 503, idempotencyhttp.StoreUnavailable, "1")
	if f.runs != 0 {
		t.Errorf("%d runs", f.runs)
	}
	f.store.insert, f.store.complete = nil, errors.New("outage")
	if diff := cmp.Diff(created, f.send(post("k", ""), created)); diff != "" || f.runs != 1 {
		t.Errorf("after %d runs (-want +got):\n%s", f.runs, diff)
	}
}

func TestAResponseThatWasNotKeptIsA409(t *testing.T) {
	f := setUp(t, idempotencyhttp.Options{}, idempotency.Config{})
	f.store.Store = &idempotency.MemoryStore{MaxDataBytes: 10}
	if got := f.send(post("k", ""), created); got.StatusCode != 201 {
		t.Errorf("the first response is %d", got.StatusCode)
	}
	wantProblem(t, f.send(post("k", ""), created), 409, idempotencyhttp.ResultUnavailable, "")
	if f.runs != 1 {
		t.Errorf("%d runs", f.runs)
	}
}

func TestEveryProblemOfTheOptionsIsInOneError(t *testing.T) {
	_, err := idempotencyhttp.NewFront(nil, idempotencyhttp.Options{
		Require: 7, Cache: idempotencyhttp.Cache{MaxAge: time.Millisecond},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"manager is nil", "Options.Require is 7", "Cache.MaxAge is 1ms"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}

func TestDisabledByTheEnvironmentTheHandlerAnswers(t *testing.T) {
	t.Setenv(idempotency.DisabledVariable, "true")
	f := setUp(t, idempotencyhttp.Options{Require: idempotencyhttp.Always}, idempotency.Config{})
	for _, key := range []string{"k", "k", "", `"`} {
		if diff := cmp.Diff(created, f.send(post(key, ""), created)); diff != "" {
			t.Errorf("key %q (-want +got):\n%s", key, diff)
		}
	}
	if f.runs != 4 {
		t.Errorf("%d runs", f.runs)
	}
}

func TestAProblemHasItsExtensionsAndRoundsRetryAfterUp(t *testing.T) {
	p := idempotencyhttp.Problem{Type: "about:blank", Title: "T", Status: 502, Detail: "D", RetryAfter: 1001 * time.Millisecond,
		Extensions: map[string]any{"b": []int{1}, "a": "x"}}
	got := p.Response()
	if want := `{"type":"about:blank","title":"T","status":502,"detail":"D","a":"x","b":[1]}`; got.Body != want || got.Headers["retry-after"] != "2" {
		t.Errorf("got %s, %v; want %s", got.Body, got.Headers, want)
	}
	if _, ok := idempotencyhttp.ProblemFor(errors.New("other"), time.Now()); ok {
		t.Error("any error has a problem")
	}
}

func TestAnAnswerToAConditionOrARangeIsNotRecorded(t *testing.T) {
	for _, c := range []struct {
		field    string
		status   int
		recorded bool
	}{
		{"range", 206, false}, {"if-modified-since", 304, false}, {"if-match", 412, false}, {"if-unmodified-since", 412, false},
		{"range", 416, false}, {"if-range", 206, false}, {"range", 200, true}, {"x-range", 206, true}, {"if-match", 404, true},
	} {
		f := setUp(t, idempotencyhttp.Options{}, idempotency.Config{})
		response := idempotencyhttp.Response{StatusCode: c.status}
		f.send(post("k", "", c.field, "x"), response)
		f.send(post("k", ""), response)
		if recorded := f.runs == 1; recorded != c.recorded {
			t.Errorf("%d to a request with %s: %d runs", c.status, c.field, f.runs)
		}
	}
}

// Whoever may write to the table may have written anything.
func TestARecordThatIsNoResponseIsUnavailable(t *testing.T) {
	for _, status := range []int{0, 99, 600} {
		f := setUp(t, idempotencyhttp.Options{Store: func(idempotencyhttp.Response) bool { return true }}, idempotency.Config{})
		f.send(post("k", ""), idempotencyhttp.Response{StatusCode: status})
		if got := f.send(post("k", ""), created); got.StatusCode != 409 || f.runs != 1 {
			t.Errorf("%d is replayed as %d, after %d runs", status, got.StatusCode, f.runs)
		}
	}
}
