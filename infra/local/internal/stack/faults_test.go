package stack_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/faults"
)

// failing has calls to AWS fail.
func failing(settings faults.Settings) setting {
	return func(_ testing.TB, c *config) { c.Faults = settings }
}

func TestWhereStepFunctionsThrottlesNothingIsStarted(t *testing.T) {
	t.Parallel()
	u := play(t)
	s := start(t, u.URL, failing(faults.Settings{Throttle: 1}))
	if a := get(t, s, "/"); a.Status != http.StatusServiceUnavailable {
		t.Errorf("the answer is %d %s, want 503", a.Status, a.Body)
	}
	if n := len(u.received()); n != 0 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

func TestACallerIsAnsweredWhateverCallsFail(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		status(http.StatusOK)(w, r)
	})
	s := start(t, url, failing(faults.Settings{Throttle: 0.1, Lost: 0.1, Slow: 0.1, Delay: 10 * time.Millisecond, Seed: 7}))
	answers := map[int]int{}
	for range 30 {
		answers[get(t, s, "/").Status]++
	}
	for code := range answers {
		switch code {
		case http.StatusOK, http.StatusBadGateway, http.StatusServiceUnavailable:
		default:
			t.Errorf("%d answers are %d, want 200, 502 or 503 in all of them", answers[code], code)
		}
	}
	if ok := answers[http.StatusOK]; ok == 0 || ok == 30 || int(asked.Load()) <= ok {
		t.Errorf("the answers are %v after %d requests to the upstream, want some that failed, and requests that led to no answer", answers, asked.Load())
	}
}
