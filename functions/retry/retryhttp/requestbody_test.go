package retryhttp_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry/retryhttp"
)

func TestABodyThatCanBeReadOnceIsSentOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t, status(429, "Retry-After", "1"))
		var last retryhttp.Attempt
		transport.OnAttempt = tell(&last)
		content := newBody("streamed")
		request := newRequest(t, "PUT", "")
		request.Body = content
		r, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		read(t, r)
		if r.StatusCode != 429 || len(u.got()) != 1 || last.Decision.Reason != retryhttp.BodyConsumed {
			t.Errorf("%s after %d calls, and the reason is %q", r.Status, len(u.got()), last.Decision.Reason)
		}
		if last.Decision.RetryAfter < 1e9 {
			t.Errorf("the caller should retry after %v, want what the upstream said", last.Decision.RetryAfter)
		}
		synctest.Wait()
		if n := content.closed.Load(); n != 1 {
			t.Errorf("the body was closed %d times, want once", n)
		}
	})
}

func TestABodyThatCanBeReadOnceIsNotSentAgainWhenItsReplyIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t, hangUp)
		request := newRequest(t, "PUT", "")
		request.Body = newBody("streamed")
		r, err := transport.RoundTrip(request)
		e := failed(t, r, err, retryhttp.BodyConsumed)
		if !e.MaybeProcessed() || len(u.got()) != 1 {
			t.Errorf("%d calls, %+v", len(u.got()), e)
		}
	})
}

func TestABodyThatNobodyReadIsThereForTheNextAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t)
		u.refusals.Store(2)
		content := newBody("streamed")
		request := newRequest(t, "POST", "")
		request.Body = content
		r, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		read(t, r)
		if calls := u.got(); len(calls) != 1 || calls[0].body != "streamed" {
			t.Errorf("the calls are %v", calls)
		}
		synctest.Wait()
		if n := content.closed.Load(); n != 1 {
			t.Errorf("the body was closed %d times, want once", n)
		}
	})
}

func TestABodyThatNobodyReadIsClosedInTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t)
		u.refusals.Store(100)
		content := newBody("streamed")
		request := newRequest(t, "POST", "")
		request.Body = content
		if _, err := transport.RoundTrip(request); err == nil {
			t.Fatal("there is an answer")
		}
		if n := content.closed.Load(); n != 1 {
			t.Errorf("the body was closed %d times, want once", n)
		}
	})
}

func TestABodyIsKeptInMemoryUpToTheSizeThatIsAllowed(t *testing.T) {
	t.Parallel()
	const size = 1000
	for text, status429s := range map[string]int{strings.Repeat("x", size): 2, strings.Repeat("x", size+1): 1, "": 2} {
		synctest.Test(t, func(t *testing.T) {
			limited := status(429, "Retry-After", "1")
			u, transport := serve(t, limited, limited)
			transport.BufferBody = size
			transport.Policy.RateLimits.Attempts = 2
			content := newBody(text)
			request := newRequest(t, "POST", "")
			request.Body = content
			r, err := transport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			read(t, r)
			if n := len(u.got()); n != status429s {
				t.Errorf("a body of %d bytes was sent %d times, want %d", len(text), n, status429s)
			}
			for _, c := range u.got() {
				if c.body != text {
					t.Errorf("of %d bytes came %d", len(text), len(c.body))
				}
			}
			synctest.Wait()
			if n := content.closed.Load(); n != 1 {
				t.Errorf("the body was closed %d times, want once", n)
			}
		})
	}
}

func TestABodyThatCannotBeReadIntoMemoryIsNotSent(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is broken")
	for _, before := range []string{"", strings.Repeat("x", 10)} {
		synctest.Test(t, func(t *testing.T) {
			u, transport := serve(t)
			transport.BufferBody = 10
			content := &body{Reader: io.MultiReader(strings.NewReader(before), iotest.ErrReader(broken))}
			request := newRequest(t, "POST", "")
			request.Body = content
			r, err := transport.RoundTrip(request)
			failed(t, r, err, retryhttp.BodyConsumed)
			if !errors.Is(err, broken) || content.closed.Load() != 1 || u.dialled.Load() != 0 {
				t.Errorf("%v, closed %d times, %d connections", err, content.closed.Load(), u.dialled.Load())
			}
		})
	}
}

func TestAGetBodyThatFailsEndsTheRequest(t *testing.T) {
	t.Parallel()
	broken := errors.New("the file is gone")
	synctest.Test(t, func(t *testing.T) {
		_, transport := serve(t, status(429, "Retry-After", "1"))
		request := newRequest(t, "POST", "order")
		request.GetBody = func() (io.ReadCloser, error) { return nil, broken }
		r, err := transport.RoundTrip(request)
		e := failed(t, r, err, retryhttp.BodyConsumed)
		if !errors.Is(err, broken) || len(e.Attempts) != 1 {
			t.Errorf("%v after %d attempts", err, len(e.Attempts))
		}
	})
}
