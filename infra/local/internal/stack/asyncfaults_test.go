package stack_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"pgregory.net/rapid"
)

// TestWhateverHappensAnAsynchronousRequestEndsAsPromised lets the upstream answer, limit and fail, proxies crash and be throttled,
// and the table fail before or after it has done what it was asked, in any order.
func TestWhateverHappensAnAsynchronousRequestEndsAsPromised(t *testing.T) {
	var accepted, refused, succeeded, failed, stopped, faults int
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
		answer := w.ask(method, "/", append(key(keyed), "prefer", "respond-async")...)
		calls := func() (n int) {
			locked(func() { n = len(w.sent) })
			return n
		}
		if answer.StatusCode != 202 {
			refused++
			if answer.StatusCode != 503 && answer.StatusCode != 502 {
				t.Fatalf("it is answered with %d %s", answer.StatusCode, answer.Body)
			}
			if answer.StatusCode == 503 && calls() > 0 {
				t.Fatalf("the caller was told that nothing was sent, and %d requests were", calls())
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
		sent := calls()
		var repeated, done bool
		locked(func() { w.table, repeated, done = nil, c.repeated, c.succeeded })
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
		if !keyed || stops {
			return
		}
		// Whatever came of it, the next request with the key is answered, and from the record if that was final.
		locked(c.succeedsFromNowOn)
		again := w.ask(method, "/", key(true)...)
		replayed := again.Headers["idempotent-replayed"] == "true"
		if status.Status == "succeeded" && (again.StatusCode != 200 || !replayed || calls() != sent) {
			t.Fatalf("after a success the next request with the key is answered with %d %s, replayed %v, after %d more requests", again.StatusCode, again.Body, replayed, calls()-sent)
		}
	})
	t.Logf("%d requests were accepted and %d refused, with %d faults of the table: %d succeeded, %d failed, %d were stopped; 0 were lost, 0 sent twice without proof",
		accepted, refused, faults, succeeded, failed, stopped)
}

func isProblem(answer events.LambdaFunctionURLResponse) bool {
	return answer.Headers["content-type"] == "application/problem+json"
}
