package stack_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// An hour passes in 3.6 s, of which the first process sees a part only. To the proxies it has passed all the same: of the two
// hours one is left, so that the second wait of an hour and ten minutes is not begun, whoever runs them, and at what speed.
func TestAWaitOfAKilledStackGoesOnAndUsesUpItsDeadline(t *testing.T) {
	t.Parallel()
	for _, then := range []float64{1000, 1} {
		input := asked(t, http.MethodGet, 2*time.Hour, exactlyForHours)
		u := play(t, status(http.StatusTooManyRequests, "Retry-After", "3600"), status(http.StatusTooManyRequests, "Retry-After", "4200"))
		run := victimOf(t, u.URL, exactlyForHours)
		first := run(1000)
		arn := begin(t, first.client, first.machine, input)
		first.waits(arn)
		first.kill()
		second := run(then)
		e, envelope := ended(t, second.client, arn)
		if envelope.Outcome != retry.Failed || envelope.Error != "DeadlineExceeded" || len(envelope.Made()) != 2 {
			t.Errorf("at the speed %v it ended with %s %s after %+v, want DeadlineExceeded after two attempts", then, envelope.Outcome, envelope.Error, envelope.Made())
		}
		if took := e.StopDate.Sub(*e.StartDate); took < 3590*time.Millisecond {
			t.Errorf("at the speed %v it took %v, want the 3.6 s in which an hour passes", then, took)
		}
	}
}

var exactlyForHours = policy(`{"scope":"per-account","rateLimits":{"jitter":"none"},"retryAfterMax":"24h","deadline":"24h","maxDeadline":"24h"}`)

// The upstream has the request when the process dies. Whether it acted on it nobody knows: a GET is sent again by the next
// proxy, a POST is not.
func TestAProxyOfAKilledStackIsALostOne(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]struct {
		outcome  retry.Outcome
		status   int
		attempts int
	}{http.MethodGet: {retry.Succeeded, http.StatusOK, 2}, http.MethodPost: {retry.Failed, 0, 1}} {
		input := asked(t, method, time.Hour, exactly)
		arrived := make(chan struct{})
		u := play(t, func(_ http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-r.Context().Done()
		}, status(http.StatusOK))
		run := victimOf(t, u.URL, exactly)
		first := run(1)
		arn := begin(t, first.client, first.machine, input)
		<-arrived
		first.kill()
		second := run(1)
		_, envelope := ended(t, second.client, arn)
		made := envelope.Made()
		if envelope.Outcome != want.outcome || envelope.StatusCode != want.status || len(made) != want.attempts || len(u.received()) != want.attempts {
			t.Errorf("%s: it ended with %s %d after %+v and %d requests, want %+v", method, envelope.Outcome, envelope.StatusCode, made, len(u.received()), want)
		}
		if made[0].Details != "States.Timeout" {
			t.Errorf("%s: the first attempt is %+v, want one that was lost with States.Timeout", method, made[0])
		}
	}
}
