package retryhttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry/retryhttp"
)

// A roundTripper is a base that is not net/http's, and that tells nothing to hooks.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestABaseThatReturnsNothingFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		transport := &retryhttp.Transport{Base: roundTripper(func(*http.Request) (*http.Response, error) { return nil, nil })}
		if r, err := transport.RoundTrip(newRequest(t, "GET", "")); err == nil {
			t.Errorf("the answer is %v", r)
		}
	})
}

func TestWhatABaseMayHaveSentThatDoesNotTellMayHaveBeenProcessed(t *testing.T) {
	t.Parallel()
	broken := errors.New("it is broken")
	bases := map[string]roundTripper{
		"fails": func(*http.Request) (*http.Response, error) { return nil, broken },
		"hangs": func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, broken },
	}
	for name, base := range bases {
		for method, attempts := range map[string]int{"POST": 1, "GET": 3} {
			synctest.Test(t, func(t *testing.T) {
				var told []retryhttp.Attempt
				transport := &retryhttp.Transport{Base: base, OnAttempt: func(_ *http.Request, a retryhttp.Attempt) { told = append(told, a) }}
				r, err := transport.RoundTrip(newRequest(t, method, ""))
				if err == nil {
					t.Fatalf("%s, %s: the answer is %s", name, method, r.Status)
				}
				if len(told) != attempts || !told[0].MaybeProcessed {
					t.Errorf("%s, %s: %d attempts, want %d: %+v", name, method, len(told), attempts, told)
				}
				if timedOut := errors.Is(err, context.DeadlineExceeded); timedOut != (name == "hangs") {
					t.Errorf("%s, %s: the error is a timeout: %v: %v", name, method, timedOut, err)
				}
			})
		}
	}
}

func TestAnAnswerThatComesAfterTheTimeoutIsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		late := &body{Reader: strings.NewReader("late")}
		attempts := 0
		var first retryhttp.Attempt
		transport := &retryhttp.Transport{
			Base: roundTripper(func(*http.Request) (*http.Response, error) {
				if attempts++; attempts > 1 {
					return &http.Response{StatusCode: 204, Body: http.NoBody}, nil
				}
				time.Sleep(11 * time.Second) // it does not look at its context
				return &http.Response{StatusCode: 200, Body: late}, nil
			}),
			OnAttempt: func(_ *http.Request, a retryhttp.Attempt) {
				if a.Number == 1 {
					first = a
				}
			},
		}
		r, err := transport.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != 204 || first.Error != retry.HTTPResponseTimeout || late.closed.Load() != 1 {
			t.Errorf("%d; the first attempt is %+v, and its body was closed %d times", r.StatusCode, first, late.closed.Load())
		}
	})
}

func TestAnAnswerThatIsNotHandedOnIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var answers []*body
		transport := &retryhttp.Transport{Base: roundTripper(func(*http.Request) (*http.Response, error) {
			answers = append(answers, newBody("busy"))
			return &http.Response{StatusCode: 503, Body: answers[len(answers)-1]}, nil
		})}
		r, err := transport.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		for i, b := range answers {
			if want := int64(1); i < 2 && b.closed.Load() != want || i == 2 && b.closed.Load() != 0 {
				t.Errorf("the body of answer %d of %d was closed %d times", i+1, len(answers), b.closed.Load())
			}
		}
		r.Body.Close()
	})
}

func TestAnAttemptThatIsOverCannotReadTheBodyOfTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var first io.ReadCloser
		transport := &retryhttp.Transport{Base: roundTripper(func(r *http.Request) (*http.Response, error) {
			if first == nil {
				first = r.Body
				first.Close()
				first.Close()
				return nil, io.ErrUnexpectedEOF
			}
			if n, err := first.Read(make([]byte, 10)); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
				t.Errorf("%d bytes, %v", n, err)
			}
			text, _ := io.ReadAll(r.Body)
			r.Body.Close()
			r.Body.Close()
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(string(text)))}, nil
		})}
		content := newBody("streamed")
		request := newRequest(t, "PUT", "")
		request.Body = content
		r, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		if text := read(t, r); text != "streamed" || content.closed.Load() != 1 {
			t.Errorf("%q was sent, and the body was closed %d times", text, content.closed.Load())
		}
	})
}
