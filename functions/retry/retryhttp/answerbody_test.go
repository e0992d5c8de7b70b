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

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
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

// throttling is a policy with a rule that reads the bodies of successes.
var throttling = retry.Policy{Signals: []retry.Rule{{
	Name: "throttled", Statuses: []int{200}, When: retry.Condition{Expression: "error", Equals: "throttled"},
	Verdict: retry.Limited, Wait: retry.Wait{Expression: "seconds"},
}}}

// say answers with 200 and a text.
func say(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
}

func TestARuleReadsTheBodyAndTheCallerReadsItAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, transport := serve(t, say(`{"error": "throttled", "seconds": 9}`), say(`{"name": "thing"}`))
		transport.Policy, transport.Random = throttling, func() float64 { return 0 }
		start := time.Now()
		r, err := transport.RoundTrip(newRequest(t, "POST", "order"))
		if err != nil {
			t.Fatal(err)
		}
		if text, took := read(t, r), time.Since(start); text != `{"name": "thing"}` || took != 9*time.Second {
			t.Errorf("%q after %v, want the second answer after 9 s", text, took)
		}
		if u.dialled.Load() != 1 {
			t.Errorf("%d connections, want 1", u.dialled.Load())
		}
	})
}

func TestAnAnswerThatIsTooLargeForRulesIsHandedOnWhole(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", retry.MaxRuleBodyBytes+100_000)
	synctest.Test(t, func(t *testing.T) {
		_, transport := serve(t, say(large))
		transport.Policy = throttling
		r, err := transport.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		if text := read(t, r); text != large {
			t.Errorf("%d bytes, want %d", len(text), len(large))
		}
	})
}

func TestAnAnswerThatIsCutOffBeforeARuleHasReadItIsRepeatedIfTheRequestMayBe(t *testing.T) {
	t.Parallel()
	for method, calls := range map[string]int{"GET": 2, "POST": 1} {
		synctest.Test(t, func(t *testing.T) {
			u, transport := serve(t, cutOff(200))
			transport.Policy = throttling
			r, err := transport.RoundTrip(newRequest(t, method, ""))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			text, err := io.ReadAll(r.Body)
			if n := len(u.got()); n != calls {
				t.Errorf("%s: %d calls, want %d", method, n, calls)
			}
			if method == "GET" && (string(text) != "done" || err != nil) {
				t.Errorf("%q, %v, want the answer of the second attempt", text, err)
			}
			if method == "POST" && (string(text) != "half" || !errors.Is(err, io.ErrUnexpectedEOF)) {
				t.Errorf("%q, %v, want what came and that the rest is missing", text, err)
			}
		})
	}
}

func TestAnAnswerThatStallsBeforeARuleHasReadItIsCutOffForAnotherAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []retryhttp.Attempt
		_, transport := serve(t, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "{")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		transport.Policy = throttling
		transport.OnAttempt = func(_ *http.Request, a retryhttp.Attempt) { told = append(told, a) }
		start := time.Now()
		r, err := transport.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); read(t, r) != "done" || took != 10500*time.Millisecond {
			t.Errorf("after %v, want another attempt after 10.5 s", took)
		}
		if told[0].Status != 200 || told[0].Error != retry.HTTPResponseTimeout {
			t.Errorf("the hook was told %+v", told[0])
		}
	})
}

func TestBodiesForRulesAreAskedForInACodingThatRulesRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var accepted []string
		note := func(w http.ResponseWriter, r *http.Request) {
			accepted = append(accepted, r.Header.Get("Accept-Encoding"))
		}
		_, transport := serve(t, note, note)
		other := &retryhttp.Transport{Base: transport.Base, Policy: throttling}
		for _, transport := range []*retryhttp.Transport{transport, other} {
			request := newRequest(t, "GET", "")
			request.Header.Set("Accept-Encoding", "br, gzip")
			r, err := transport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			read(t, r)
			if given := request.Header.Get("Accept-Encoding"); given != "br, gzip" {
				t.Errorf("the request's own field became %q", given)
			}
		}
		if strings.Join(accepted, "; ") != "br, gzip; gzip" {
			t.Errorf("asked for %q", accepted)
		}
	})
}
