package retryhttp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry/retryhttp"
)

// tell is a hook that keeps the last attempt.
func tell(last *retryhttp.Attempt) func(*http.Request, retryhttp.Attempt) {
	return func(_ *http.Request, a retryhttp.Attempt) { *last = a }
}

func TestAFinalAnswerThatIsCutOffIsCutOffForTheCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t, cutOff(200))
		r, err := transport.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if string(text) != "half" || !errors.Is(err, io.ErrUnexpectedEOF) || len(u.got()) != 1 {
			t.Errorf("%q, %v after %d calls", text, err, len(u.got()))
		}
	})
}

func TestAnErrorThatIsCutOffIsRepeatedLikeAWholeOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t, cutOff(503))
		r, err := transport.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		if text := read(t, r); text != "done" || len(u.got()) != 2 {
			t.Errorf("%q after %d calls", text, len(u.got()))
		}
	})
}

func TestAStreamIsReadForAsLongAsItsContextLasts(t *testing.T) {
	t.Parallel()
	stream := func(w http.ResponseWriter, r *http.Request) {
		for i := range 600 {
			fmt.Fprintln(w, i)
			http.NewResponseController(w).Flush()
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
			}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		_, transport := serve(t, stream, stream)
		start := time.Now()
		r, err := transport.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		if began := time.Since(start); began != 0 {
			t.Errorf("the answer was held back for %v", began)
		}
		if lines := strings.Count(read(t, r), "\n"); lines != 600 {
			t.Errorf("%d lines, want 600", lines)
		}

		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second+time.Millisecond)
		defer cancel()
		r, err = transport.RoundTrip(newRequest(t, "GET", "").WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if lines := strings.Count(string(text), "\n"); !errors.Is(err, context.DeadlineExceeded) || lines != 91 {
			t.Errorf("%d lines and %v, want 91 and that the deadline has passed", lines, err)
		}
	})
}

func TestTheConnectionOfAnAnswerThatIsNotHandedOnIsUsedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t, status(503), status(429, "Retry-After", "1"), status(500))
		r, err := transport.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		read(t, r)
		if len(u.got()) != 4 || u.dialled.Load() != 1 {
			t.Errorf("%d calls over %d connections, want 4 over 1", len(u.got()), u.dialled.Load())
		}
		r, err = transport.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		read(t, r)
		if u.dialled.Load() != 1 {
			t.Error("the connection of an answer that was read is not used again")
		}
	})
}

func TestAnAnswerWithoutEndIsGivenUp(t *testing.T) {
	t.Parallel()
	endless := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
		for {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<10)); err != nil {
				return
			}
		}
	}
	stalled := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(503)
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t, endless, stalled)
		start := time.Now()
		r, err := transport.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		read(t, r)
		if took := time.Since(start); took != 1500*time.Millisecond { // half of the backoff of 1 s, and of 2 s
			t.Errorf("%d calls in %v, want 3 in 1.5 s", len(u.got()), took)
		}
	})
}

func TestTheContextOfAnAttemptEndsWithItsAnswer(t *testing.T) {
	t.Parallel()
	ends := map[string]func(*http.Response){
		"read":   func(r *http.Response) { io.Copy(io.Discard, r.Body) },
		"closed": func(r *http.Response) { r.Body.Close() },
	}
	for name, end := range ends {
		synctest.Test(t, func(t *testing.T) {
			_, transport := serve(t)
			var attempt context.Context
			base := transport.Base
			transport.Base = roundTripper(func(r *http.Request) (*http.Response, error) {
				attempt = r.Context()
				return base.RoundTrip(r)
			})
			r, err := transport.RoundTrip(newRequest(t, "GET", ""))
			if err != nil {
				t.Fatal(err)
			}
			if attempt.Err() != nil {
				t.Error("the context ended before the body was read")
			}
			end(r)
			if attempt.Err() == nil {
				t.Errorf("the context goes on after the body was %s", name)
			}
			base.(*http.Transport).CloseIdleConnections()
		})
	}
}

func TestAnAnswerWithoutABodyKeepsNoContext(t *testing.T) {
	t.Parallel()
	for _, answer := range []*http.Response{{StatusCode: 204, Body: http.NoBody}, {StatusCode: 204}} {
		var attempt context.Context
		transport := &retryhttp.Transport{Base: roundTripper(func(r *http.Request) (*http.Response, error) {
			attempt = r.Context()
			return answer, nil
		})}
		r, err := transport.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		if r.Body != http.NoBody || attempt.Err() == nil {
			t.Errorf("the body is %v, the context's error %v", r.Body, attempt.Err())
		}
	}
}

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

func TestAConnectionThatSwitchedItsProtocolCanBeWrittenTo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, buffered, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			line, _ := buffered.ReadString('\n')
			io.WriteString(conn, "you said "+line)
		})
		request := newRequest(t, "GET", "")
		request.Header.Set("Connection", "Upgrade")
		request.Header.Set("Upgrade", "echo")
		r, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		conn, ok := r.Body.(io.ReadWriter)
		if !ok {
			t.Fatalf("the body is a %T, which cannot be written to", r.Body)
		}
		io.WriteString(conn, "hello\n")
		if line, err := bufio.NewReader(conn).ReadString('\n'); line != "you said hello\n" {
			t.Errorf("%q, %v", line, err)
		}
	})
}
