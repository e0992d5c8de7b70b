package stack_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// seconds draws by how much a clock is off, at most 30 s.
func seconds(t *rapid.T, name string) time.Duration {
	return time.Duration(rapid.IntRange(-30, 30).Draw(t, name)) * time.Second
}

// TestWhateverFunctionsTakeTheTimeForTheWholeStackKeepsItsPromises has the clock of each function be off by up to half a
// minute. The deadline, which the gateway tells the proxies as a moment, is then off by as much as their clocks differ. The
// waits are durations, and so no attempt comes too early; everything else holds as it does with clocks that are right.
func TestWhateverFunctionsTakeTheTimeForTheWholeStackKeepsItsPromises(t *testing.T) {
	requests, attempts := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		method, keyed := methods.Draw(t, "method"), rapid.Bool().Draw(t, "with a key")
		clocks := off{gateway: seconds(t, "gateway"), another: seconds(t, "another gateway")}
		for i := range clocks.proxies {
			clocks.proxies[i] = seconds(t, fmt.Sprintf("proxy-%d", i+1))
		}
		slowest := slices.Min(clocks.proxies[:])
		c := drawCourse(t)
		w, end := newWholeWithClocks(t, `{"networkFailures":{"attempts":4}}`, c.random, clocks)
		defer end()
		c.of(w)
		answer := w.ask(method, "/", key(keyed)...)
		requests++
		attempts += len(w.sent)

		// By the clock of the proxy that is slowest, the deadline is so much later.
		c.judge(t, w, method, keyed, answer, 62*time.Second+max(0, clocks.gateway-slowest))
		if !keyed {
			return
		}
		c.succeedsFromNowOn()
		before := len(w.sent)
		again := w.askOf(w.another, method, "/", key(true)...)
		replayed := again.Headers["idempotent-replayed"] == "true"
		// To a proxy whose clock is ahead by the whole deadline there is no time left.
		late := again.StatusCode == 504 && clocks.proxies[0]-clocks.another > 55*time.Second
		if again.StatusCode != 200 && !late || replayed != (answer.StatusCode == 200) || replayed && len(w.sent) != before {
			t.Fatalf("after %d the second request with the key was answered with %d, replayed %v, after %d more requests", answer.StatusCode, again.StatusCode, replayed, len(w.sent)-before)
		}
	})
	t.Logf("compared %d requests, which led to %d attempts, with what the stack promises where clocks are wrong", requests, attempts)
}

// A request whose fate nobody knows keeps its key for the deadline, which is a minute, and half a minute more, by the
// clock of the gateway that took it.
func TestAKeyIsLockedForItsLeaseAndWhatClocksDiffer(t *testing.T) {
	for _, clocks := range []off{
		{},
		{gateway: 30 * time.Second, another: -30 * time.Second},
		{gateway: -30 * time.Second, another: 30 * time.Second},
	} {
		w, end := newWholeWithClocks(t, "", half, clocks)
		w.upstream = func(int, http.ResponseWriter) {}
		w.severed = true
		if answer := w.ask("POST", "/", "idempotency-key", "k"); answer.StatusCode != 502 {
			t.Errorf("with %+v a request of which nobody knows whether it was started is answered with %d, want 502", clocks, answer.StatusCode)
		}
		w.severed = false
		again := func() int { return w.askOf(w.another, "POST", "/", "idempotency-key", "k").StatusCode }
		status := again()
		for range 10 {
			if status == 409 {
				status = again()
			}
		}
		lease := 90*time.Second + clocks.gateway - clocks.another
		took := w.clock.Now().Sub(dawn)
		if status == 504 {
			status = again() // it got the key when its own deadline had come
		}
		if status != 200 || took < lease || took > lease+10*time.Second {
			t.Errorf("with %+v the key was free after %v, where the answer is %d; want 200 and %v or little more", clocks, took, status, lease)
		}
		end()
	}
}

// ahead sets the clocks of functions.
func ahead(clocks map[string]time.Duration) setting {
	return func(_ testing.TB, c *config) { c.ClocksAhead = clocks }
}

func TestToAProxyWhoseClockIsAheadByTheDeadlineNoTimeIsLeft(t *testing.T) {
	t.Parallel()
	s := start(t, play(t).URL, ahead(map[string]time.Duration{"proxy-1": 61 * time.Second}))
	send(t, s, http.MethodPost, "/", "").problem(t, http.StatusGatewayTimeout, "no-answer")
}

func TestWhatAProxyTellsOfTheTimeIsByItsOwnClock(t *testing.T) {
	t.Parallel()
	limited := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	u := play(t, limited, status(http.StatusInternalServerError), status(http.StatusOK))
	s := start(t, u.URL, ahead(map[string]time.Duration{"proxy-1": 20 * time.Second, "proxy-2": -20 * time.Second}))
	// The upstream asks for more than there is time for, and proxy-1 says until when, by its own clock.
	if a := get(t, s, "/"); a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") < "615" || a.Header.Get("Retry-After") > "621" {
		t.Errorf("the answer is %d with Retry-After %s, want 503 and 20 s more than 600, by which proxy-1's clock is ahead", a.Status, a.Header.Get("Retry-After"))
	}
	get(t, s, "/").expect(t, http.StatusOK, "OK", "proxy-1; received-status=500, proxy-2; received-status=200")
}

func TestAClockOfAFunctionThatIsNotThereIsRefused(t *testing.T) {
	t.Parallel()
	_, err := launch(t, config{}, []setting{ahead(map[string]time.Duration{"proxy-1": time.Second, "proxy-8": time.Second, "proxy-9": time.Second})})
	want := `stack: Config.ClocksAhead names "proxy-8"; the functions with a clock are gateway, proxy-1, proxy-2, proxy-3
stack: Config.ClocksAhead names "proxy-9"; the functions with a clock are gateway, proxy-1, proxy-2, proxy-3`
	if err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
}
