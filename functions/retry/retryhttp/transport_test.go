package retryhttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry/retryhttp"
)

func TestALostReplyIsAskedForAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t, hangUp, hangUp)
		r, err := transport.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		if text := read(t, r); text != "done" || len(u.got()) != 3 {
			t.Errorf("%q after %d calls, want the answer of the third", text, len(u.got()))
		}
	})
}

func TestAPostWithoutAKeyIsNotRepeatedWhenItsReplyIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t, hangUp)
		r, err := transport.RoundTrip(newRequest(t, "POST", "order"))
		e := failed(t, r, err, retry.UnsafeToRepeat)
		if !e.MaybeProcessed() || !errors.Is(err, io.EOF) {
			t.Errorf("maybe processed: %v, and the error is %v", e.MaybeProcessed(), err)
		}
		if n := len(u.got()); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	})
}

func TestAPostWithAKeyIsRepeatedWithItsWholeBody(t *testing.T) {
	t.Parallel()
	for _, key := range [][]string{{"k-1"}, {}} { // net/http takes a key without a value for a note to itself
		synctest.Test(t, func(t *testing.T) {
			u, transport := serve(t, hangUp, status(500))
			request := newRequest(t, "POST", "order")
			request.Header["Idempotency-Key"] = key
			r, err := transport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			read(t, r)
			for i, c := range u.got() {
				if c.body != "order" {
					t.Errorf("call %d has the body %q", i+1, c.body)
				}
			}
			if n := len(u.got()); n != 3 {
				t.Errorf("%d calls, want 3", n)
			}
		})
	}
}

func TestAPostWithoutAKeyIsRepeatedAfterARateLimitAndNotBeforeItEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t, status(429, "Retry-After", "7"))
		transport.Random = func() float64 { return 0 }
		start := time.Now()
		r, err := transport.RoundTrip(newRequest(t, "POST", "order"))
		if err != nil {
			t.Fatal(err)
		}
		read(t, r)
		if took := time.Since(start); r.StatusCode != 200 || took != 7*time.Second {
			t.Errorf("%s after %v, want 200 after 7 s", r.Status, took)
		}
		if calls := u.got(); len(calls) != 2 || calls[1].body != "order" {
			t.Errorf("the calls are %v", calls)
		}
	})
}

func TestWhenThePolicyGivesUpTheLastAnswerIsHandedOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, transport := serve(t, status(500), status(500), status(503, "Server", "the last"))
		r, err := transport.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		if text := read(t, r); r.StatusCode != 503 || r.Header.Get("Server") != "the last" || text != "Service Unavailable" {
			t.Errorf("%s, %v, %q", r.Status, r.Header, text)
		}
	})
}

func TestAWaitThatEndsAfterTheDeadlineIsNotBegun(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		timeout    time.Duration // of the context; zero for none
		retryAfter string
		waits      bool
	}{
		"the policy's":     {0, "61", false},
		"the context's":    {5 * time.Second, "6", false},
		"a longer context": {10 * time.Minute, "400", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				u, transport := serve(t, status(429, "Retry-After", test.retryAfter))
				start := time.Now()
				request := newRequest(t, "GET", "")
				if test.timeout > 0 {
					ctx, cancel := context.WithTimeout(t.Context(), test.timeout)
					defer cancel()
					request = request.WithContext(ctx)
				}
				r, err := transport.RoundTrip(request)
				if err != nil {
					t.Fatal(err)
				}
				read(t, r)
				took := time.Since(start)
				if test.waits && (r.StatusCode != 200 || took < 400*time.Second) {
					t.Errorf("%s after %v, want 200 after 400 s", r.Status, took)
				}
				if !test.waits && (r.StatusCode != 429 || took != 0 || len(u.got()) != 1) {
					t.Errorf("%s after %v and %d calls, want the 429 at once", r.Status, took, len(u.got()))
				}
			})
		})
	}
}

func TestTheTimeoutOfAClientIsADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t, status(429, "Retry-After", "6"))
		client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
		start := time.Now()
		r, err := client.Do(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		read(t, r)
		if took := time.Since(start); r.StatusCode != 429 || took != 0 || len(u.got()) != 1 {
			t.Errorf("%s after %v and %d calls, want the 429 at once", r.Status, took, len(u.got()))
		}
	})
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t, status(429, "Retry-After", "30"))
		ctx, cancel := context.WithCancel(t.Context())
		defer time.AfterFunc(time.Second, cancel).Stop()
		start := time.Now()
		r, err := (&http.Client{Transport: transport}).Do(newRequest(t, "GET", "").WithContext(ctx))
		e := failed(t, r, err, retryhttp.Cancelled)
		if took := time.Since(start); took != time.Second || !errors.Is(err, context.Canceled) || len(u.got()) != 1 {
			t.Errorf("%v after %v and %d calls", err, took, len(u.got()))
		}
		if len(e.Attempts) != 1 || e.Attempts[0].Status != 429 || e.MaybeProcessed() {
			t.Errorf("the attempts are %+v", e.Attempts)
		}
	})
}

func TestAnAttemptEndsWithItsContext(t *testing.T) {
	t.Parallel()
	cause := errors.New("the program ends")
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t, hang)
		ctx, cancel := context.WithCancelCause(t.Context())
		defer time.AfterFunc(time.Second, func() { cancel(cause) }).Stop()
		var told []retryhttp.Attempt
		transport.OnAttempt = func(_ *http.Request, a retryhttp.Attempt) { told = append(told, a) }
		start := time.Now()
		r, err := transport.RoundTrip(newRequest(t, "GET", "").WithContext(ctx))
		e := failed(t, r, err, retryhttp.Cancelled)
		if took := time.Since(start); took != time.Second || !errors.Is(err, context.Canceled) || !errors.Is(err, cause) {
			t.Errorf("%v after %v", err, took)
		}
		if len(u.got()) != 1 || !e.MaybeProcessed() || len(told) != 1 || told[0].Decision.Reason != retryhttp.Cancelled {
			t.Errorf("%d calls, %+v, and the hook was told %+v", len(u.got()), e, told)
		}
	})
}

func TestAContextThatIsDoneSendsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t)
		ctx, cancel := context.WithTimeout(t.Context(), -time.Second)
		defer cancel()
		content := newBody("order")
		request := newRequest(t, "POST", "").WithContext(ctx)
		request.Body = content
		r, err := transport.RoundTrip(request)
		e := failed(t, r, err, retry.DeadlineExceeded)
		if !errors.Is(err, context.DeadlineExceeded) || len(e.Attempts) != 0 || content.closed.Load() != 1 || u.dialled.Load() != 0 {
			t.Errorf("%v, closed %d times, dialled %d times", err, content.closed.Load(), u.dialled.Load())
		}
	})
}

func TestAnAttemptThatHangsIsCutOffForAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, transport := serve(t, hang)
		start := time.Now()
		r, err := transport.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		read(t, r)
		if took := time.Since(start); took != 10*time.Second+500*time.Millisecond { // the timeout, and half of the backoff
			t.Errorf("200 after %v, want 10.5 s", took)
		}
	})
}

func TestAnAttemptThatNoOtherCanFollowGetsTheWholeTime(t *testing.T) {
	t.Parallel()
	slow := func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(55 * time.Second):
		case <-r.Context().Done():
		}
	}
	once := func() *http.Request {
		r, _ := http.NewRequest("PUT", "http://upstream.test/things", newBody("streamed"))
		return r
	}
	for name, request := range map[string]func() *http.Request{
		"a POST":                  func() *http.Request { return newRequest(t, "POST", "order") },
		"a body that can go once": once,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, transport := serve(t, slow, hang)
				r, err := transport.RoundTrip(request().WithContext(t.Context()))
				if err != nil {
					t.Fatal(err)
				}
				read(t, r)
				start := time.Now()
				r, err = transport.RoundTrip(request().WithContext(t.Context()))
				var e *retryhttp.Error
				if took := time.Since(start); !errors.As(err, &e) || took != time.Minute || !errors.Is(err, context.DeadlineExceeded) || !e.Timeout() {
					t.Errorf("%v, %v after %v, want a timeout after a minute", r, err, took)
				}
			})
		})
	}
}

func TestTimeThatRanOutIsATimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t)
		u.refusals.Store(100)
		transport.Policy.NetworkFailures = retry.Budget{Attempts: 9, Base: 2 * time.Second, Max: 2 * time.Second, Jitter: retry.NoJitter}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		r, err := (&http.Client{Transport: transport}).Do(newRequest(t, "GET", "").WithContext(ctx))
		e := failed(t, r, err, retry.DeadlineExceeded)
		var outer *url.Error
		if !errors.Is(err, errRefused) || !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &outer) || !outer.Timeout() {
			t.Errorf("%v is not the refusal, and a timeout", err)
		}
		if len(e.Attempts) != 2 || e.MaybeProcessed() || e.RetryAfter != 2*time.Second {
			t.Errorf("%d attempts, maybe processed: %v, retry after %v", len(e.Attempts), e.MaybeProcessed(), e.RetryAfter)
		}
		if want := "connection refused (DeadlineExceeded after 2 attempts)"; !strings.HasSuffix(err.Error(), want) {
			t.Errorf("the error is %q, want %q at its end", err, want)
		}
	})
}

func TestARefusedConnectionIsTriedAgainByEveryMethod(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t)
		u.refusals.Store(2)
		r, err := transport.RoundTrip(newRequest(t, "POST", "order"))
		if err != nil {
			t.Fatal(err)
		}
		read(t, r)
		if calls := u.got(); len(calls) != 1 || calls[0].body != "order" {
			t.Errorf("the calls are %v", calls)
		}
	})
}

func TestWhatAnotherAttemptWouldMeetAgainIsNotRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, transport := serve(t)
		request := newRequest(t, "GET", "")
		request.URL.Scheme = "gopher"
		start := time.Now()
		r, err := transport.RoundTrip(request)
		failed(t, r, err, retry.NotRetryable)
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

func TestRedirectsAreFollowedThroughFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t,
			status(429, "Retry-After", "1"), status(307, "Location", "/elsewhere"), status(429, "Retry-After", "1"))
		r, err := (&http.Client{Transport: transport}).Do(newRequest(t, "POST", "order"))
		if err != nil {
			t.Fatal(err)
		}
		if text := read(t, r); text != "done" || r.Request.URL.Path != "/elsewhere" {
			t.Errorf("%q from %s", text, r.Request.URL)
		}
		var got []string
		for _, c := range u.got() {
			got = append(got, c.path+" "+c.body)
		}
		if want := "/things order, /things order, /elsewhere order, /elsewhere order"; strings.Join(got, ", ") != want {
			t.Errorf("the calls are %q", got)
		}
	})
}

func TestTheHookIsToldOfEachAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, transport := serve(t, hangUp, status(503, "Retry-After", "2"))
		request := newRequest(t, "GET", "")
		var told []string
		transport.OnAttempt = func(r *http.Request, a retryhttp.Attempt) {
			if r != request {
				t.Error("the hook is not told of the caller's request")
			}
			told = append(told, fmt.Sprintf("%d: %d %s, %s %v, on %d, error %v", a.Number, a.Status, a.Error, a.Decision.Outcome, a.Decision.Delay, a.Connections, a.Err))
		}
		r, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		read(t, r)
		want := []string{
			"1: 0 connection_terminated, retry 500ms, on 1, error EOF",
			"2: 503 , retry 2.5s, on 1, error <nil>",
			"3: 200 , succeeded 0s, on 1, error <nil>",
		}
		if strings.Join(told, "\n") != strings.Join(want, "\n") {
			t.Errorf("the hook was told\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestAPolicyThatIsNotValidFailsEachRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t)
		transport.Policy.RateLimits.Attempts = -1
		for range 2 {
			content := newBody("order")
			request := newRequest(t, "POST", "")
			request.Body = content
			_, err := transport.RoundTrip(request)
			if err == nil || !strings.Contains(err.Error(), "RateLimits.Attempts is -1") || content.closed.Load() != 1 {
				t.Errorf("the error is %v, the body was closed %d times", err, content.closed.Load())
			}
		}
		if u.dialled.Load() != 0 {
			t.Error("the upstream was called")
		}
	})
}

func TestTheRequestIsNotChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, transport := serve(t, status(429, "Retry-After", "1"))
		request := newRequest(t, "POST", "order")
		request.Header.Set("Accept", "text/plain")
		content, ctx := request.Body, request.Context()
		r, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		read(t, r)
		if request.Body != content || request.Context() != ctx || len(request.Header) != 1 {
			t.Errorf("the request became %+v", request)
		}
		if r.Request != request {
			t.Error("the answer names another request")
		}
	})
}

func TestManyRequestsAtOnceShareATransport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		seen := map[string]int{}
		u, transport := serve(t)
		for range 300 {
			u.answers = append(u.answers, func(w http.ResponseWriter, r *http.Request) {
				key := r.Header.Get("Idempotency-Key")
				mu.Lock()
				seen[key]++
				first := seen[key] == 1
				mu.Unlock()
				if first {
					status(429, "Retry-After", "1")(w, r)
					return
				}
				io.WriteString(w, key)
			})
		}
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				request := newRequest(t, "POST", fmt.Sprint("order ", i))
				key := fmt.Sprint("k-", i)
				request.Header.Set("Idempotency-Key", key)
				r, err := transport.RoundTrip(request)
				if err != nil {
					t.Error(err)
					return
				}
				if text := read(t, r); text != key {
					t.Errorf("the answer to %s is that to %q", key, text)
				}
			})
		}
		all.Wait()
		if n := len(u.got()); n != 200 {
			t.Errorf("%d calls, want 200", n)
		}
	})
}

func TestTheRouteOfARequestHasAPolicyOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, transport := serve(t, hang, hang)
		transport.Policy.Routes = []retry.Route{{Path: "/things", Policy: retry.Policy{
			Deadline: 3 * time.Second, AttemptTimeout: time.Second, NetworkFailures: retry.Budget{Attempts: 2},
		}}}
		start := time.Now()
		r, err := transport.RoundTrip(newRequest(t, "GET", ""))
		failed(t, r, err, retry.AttemptsExhausted)
		if took := time.Since(start); took != 3*time.Second { // 1 s, half of the backoff, and what is left for the last
			t.Errorf("it failed after %v, want 3 s", took)
		}
	})
}
