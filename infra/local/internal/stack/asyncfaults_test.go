package stack_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"pgregory.net/rapid"

	gateway "github.com/retrying-api-proxy/retrying-api-proxy/functions/gateway/handler"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// TestWhateverHappensAnAsynchronousRequestEndsAsPromised lets the upstream answer, limit and fail, proxies crash and be throttled,
// and the table fail before or after it has done what it was asked, in any order.
func TestWhateverHappensAnAsynchronousRequestEndsAsPromised(t *testing.T) {
	var accepted, refused, succeeded, failed, stopped, faults, letters, redriven int
	rapid.Check(t, func(t *rapid.T) {
		method, keyed := methods.Draw(t, "method"), rapid.Bool().Draw(t, "with a key")
		c := drawCourse(t)
		c.kept = true
		var w *whole
		var end func()
		// The gateway and the state machine are at work at the same time.
		locked := func(f func()) {
			w.mu.Lock()
			defer w.mu.Unlock()
			f()
		}
		w, end = newWhole(t, `{"networkFailures":{"attempts":4}}`, func() (drawn float64) {
			locked(func() { drawn = c.random() })
			return drawn
		})
		defer end()
		c.of(w)
		fates := rapid.SliceOfN(rapid.IntRange(0, 39), 0, 60).Draw(t, "table")
		w.table = func() (bool, bool) {
			if len(fates) == 0 {
				return true, true
			}
			next := fates[0]
			fates = fates[1:]
			if next == 17 || next == 23 { // small numbers are drawn more often
				faults++
			}
			return next != 17, next != 23
		}
		queueFates := rapid.SliceOfN(rapid.IntRange(0, 9), 0, 6).Draw(t, "queue of letters")
		w.queue = func() (bool, bool) {
			if len(queueFates) == 0 {
				return true, true
			}
			next := queueFates[0]
			queueFates = queueFates[1:]
			return next != 7, next != 5
		}

		answer := w.ask(method, "/", append(key(keyed), "prefer", "respond-async")...)
		if answer.StatusCode != 202 {
			refused++
			if answer.StatusCode != 503 && answer.StatusCode != 502 {
				t.Fatalf("it is answered with %d %s", answer.StatusCode, answer.Body)
			}
			if answer.StatusCode == 503 && w.calls() > 0 {
				t.Fatalf("the caller was told that nothing was sent, and %d requests were", w.calls())
			}
			return
		}
		accepted++
		location := answer.Headers["location"]
		stops := rapid.IntRange(0, 9).Draw(t, "stop") == 7
		if stops {
			w.ask("DELETE", location)
		}
		var status struct {
			Status string
			Sent   *bool
		}
		for range 600 {
			looked := w.ask("GET", location, "prefer", "wait=60")
			if looked.StatusCode == 503 {
				continue // the table failed
			}
			if err := json.Unmarshal([]byte(looked.Body), &status); err != nil || looked.StatusCode != 200 {
				t.Fatalf("the status is %d %s", looked.StatusCode, looked.Body)
			}
			if status.Status != "running" && status.Status != "waiting" {
				break
			}
		}
		sent := w.calls()
		var repeated, done bool
		locked(func() { w.table, w.queue, repeated, done = nil, nil, c.repeated, c.succeeded })
		if method == "POST" && !keyed && repeated {
			t.Fatalf("a POST without a key was sent %d times, although nothing proved that nothing was done", sent)
		}
		response := w.ask("GET", location+"/response")
		switch status.Status {
		case "succeeded":
			succeeded++
			if response.StatusCode != 200 || !done {
				t.Fatalf("it has succeeded, and the response is %d %s", response.StatusCode, response.Body)
			}
		case "failed":
			failed++
			if response.StatusCode == 404 || response.StatusCode < 400 {
				t.Fatalf("it has failed, and the response is %d %s", response.StatusCode, response.Body)
			}
			if done && method == "POST" && !keyed && !strings.Contains(response.Body, `"processed":"unknown"`) && isProblem(response) {
				t.Fatalf("the upstream has done it, and the caller is told %s", response.Body)
			}
		case "stopped":
			stopped++
			if response.StatusCode != 410 || !stops {
				t.Fatalf("it was stopped, and the response is %d %s", response.StatusCode, response.Body)
			}
			if sent > 0 && !*status.Sent {
				t.Fatalf("the caller was told that nothing was sent, and %d requests were", sent)
			}
		default:
			t.Fatalf("after ten hours it is %q", status.Status)
		}
		if took := w.clock.Now().Sub(dawn); took > 6*time.Hour+2*time.Minute {
			t.Fatalf("it took %v", took)
		}
		// Whoever watches the queue is told of every request that failed, and of none that was stopped.
		for n := 0; status.Status == "failed" && n < 120 && w.lettersSent() == 0; n++ {
			w.passes(time.Minute)
		}
		if n := w.lettersSent(); status.Status == "failed" && n == 0 && !strings.Contains(response.Body, "Another request has the Idempotency-Key") {
			t.Fatalf("it has failed with %d %s, and there is no letter", response.StatusCode, response.Body)
		}
		if w.lettersSent() > 0 {
			letters++
			w.mu.Lock()
			letter := w.letters[0]
			c.succeedsFromNowOn()
			w.mu.Unlock()
			if w.redrivenAsPromised(t, status.Status, letter, location, method, keyed) {
				redriven++
			}
			return
		}
		if !keyed || stops {
			return
		}
		// Whatever came of it, the next request with the key is answered, and from the record if that was final.
		locked(c.succeedsFromNowOn)
		again := w.ask(method, "/", key(true)...)
		replayed := again.Headers["idempotent-replayed"] == "true"
		if status.Status == "succeeded" && (again.StatusCode != 200 || !replayed || w.calls() != sent) {
			t.Fatalf("after a success the next request with the key is answered with %d %s, replayed %v, after %d more requests", again.StatusCode, again.Body, replayed, w.calls()-sent)
		}
	})
	t.Logf("%d requests were accepted and %d refused, with %d faults of the table: %d succeeded, %d failed, %d were stopped; 0 were lost, 0 sent twice without proof; "+
		"%d had letters, of which %d were sent again and succeeded once",
		accepted, refused, faults, succeeded, failed, stopped, letters, redriven)
}

// calls is how many requests the upstream has got.
func (w *whole) calls() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sent)
}

func (w *whole) lettersSent() int { return len(w.sentLetters()) }

func (w *whole) sentLetters() []message.DeadLetter {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.letters)
}

// passes lets time pass.
func (w *whole) passes(d time.Duration) {
	leave := w.clock.Enter()
	defer leave()
	_ = w.clock.Wait(context.Background(), d)
}

// redrivenAsPromised redrives a letter twice, with both gateways at the same time, where the upstream works by now, and says
// whether that has sent the request again: once.
func (w *whole) redrivenAsPromised(t *rapid.T, state string, letter message.DeadLetter, location, method string, keyed bool) bool {
	before := w.calls()
	resend := method == "POST" && !keyed
	fates := rapid.SliceOfN(rapid.IntRange(0, 9), 0, 12).Draw(t, "table of the redrive")
	faults := 0
	w.mu.Lock()
	w.table = func() (bool, bool) {
		if len(fates) == 0 {
			return true, true
		}
		next := fates[0]
		fates = fates[1:]
		if next == 7 || next == 5 {
			faults++
		}
		return next != 7, next != 5
	}
	w.mu.Unlock()
	type result struct {
		out gateway.Redriven
		err error
	}
	var results [2]result
	for tries := 0; ; tries++ {
		var wait sync.WaitGroup
		for i, g := range []*gateway.Gateway{w.gateway, w.another} {
			wait.Go(func() {
				out, err := w.redrive(g, letter, resend)
				results[i] = result{out, err}
			})
		}
		wait.Wait()
		if results[0].err == nil || results[1].err == nil {
			break
		}
		if tries == 600 {
			t.Fatalf("the letter of an execution that is %s cannot be redriven in ten hours: %v, %v", state, results[0].err, results[1].err)
		}
		w.passes(time.Minute) // the key may be locked until after the deadline
	}
	w.mu.Lock()
	w.table = nil
	w.mu.Unlock()
	if state == "succeeded" || state == "stopped" {
		if w.calls() != before {
			t.Fatalf("a request that is %s was sent again", state)
		}
		return false
	}
	var now struct{ Status string }
	var answer events.LambdaFunctionURLResponse
	for n := 0; n < 600 && now.Status != "succeeded" && now.Status != "failed"; n++ {
		answer = w.ask("GET", location, "prefer", "wait=60")
		if err := json.Unmarshal([]byte(answer.Body), &now); err != nil {
			t.Fatalf("%v: %s", err, answer.Body)
		}
	}
	if now.Status == "failed" && faults > 0 { // of which nobody knows what the upstream did: it is a dead letter again
		for n := 0; n < 120 && !slices.ContainsFunc(w.sentLetters(), func(l message.DeadLetter) bool { return l.Execution == letter.Execution+"-1" }); n++ {
			w.passes(time.Minute)
			if n == 119 {
				t.Fatalf("after the redrive it has failed, and there is no letter: %s", answer.Body)
			}
		}
		return false
	}
	if now.Status != "succeeded" {
		t.Fatalf("after the redrive it is %d %s; the redrives were answered with %+v", answer.StatusCode, answer.Body, results)
	}
	if response := w.ask("GET", location+"/response"); response.StatusCode != 200 {
		t.Fatalf("the response is %d %s", response.StatusCode, response.Body)
	}
	if again, err := w.redrive(w.gateway, letter, resend); err != nil || again.Status != gateway.RedriveSettled {
		t.Fatalf("afterwards a redrive is answered with %+v, error %v", again, err)
	}
	if n := w.calls() - before; n != 1 && (faults == 0 || resend) {
		t.Fatalf("it was sent %d times more", n)
	}
	if keyed {
		sent := w.calls()
		if answer := w.ask(method, "/", key(true)...); answer.Headers["idempotent-replayed"] != "true" || w.calls() != sent {
			t.Fatalf("the next request with the key is answered with %d %v", answer.StatusCode, answer.Headers)
		}
	}
	return true
}

func isProblem(answer events.LambdaFunctionURLResponse) bool {
	return answer.Headers["content-type"] == "application/problem+json"
}
