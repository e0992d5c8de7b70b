package stack_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

func TestAFinalAnswerIsRecordedIfItSettlesTheOperation(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	s := start(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		code, _ := strconv.Atoi(r.URL.Path[1:])
		status(code, "X-Status", r.URL.Path)(w, r)
	}))
	settled := []int{200, 202, 204, 301, 304, 307, 400, 402, 404, 405, 410, 412, 413, 422, 424, 451, 499}
	unsettled := []int{401, 403, 407, 409, 423, 426, 428, 431, 501, 505, 508, 510, 511}
	for i, codes := range [][]int{settled, unsettled} {
		for _, code := range codes {
			for again := range 2 {
				a := send(t, s, http.MethodPost, "/"+strconv.Itoa(code), "{}", "Idempotency-Key", "k")
				if a.Status != code || a.Header.Get("X-Status") != "/"+strconv.Itoa(code) || a.replayed() != (i == 0 && again == 1) {
					t.Errorf("answer %d is %d %q %v, want the upstream's %d", again+1, a.Status, a.Body, a.Header, code)
				}
			}
		}
	}
	if n := int(calls.Load()); n != len(settled)+2*len(unsettled) {
		t.Errorf("the upstream was called %d times for %d answers that settle and %d that do not", n, len(settled), len(unsettled))
	}
}

// wantReleased checks that the only record is one that the next call may take over. The state machine may update records
// and not delete them, so it lets the lease end.
func (d table) wantReleased() {
	d.t.Helper()
	r := d.record()
	if r.Status != idempotency.InProgress || r.LeaseEnd.UnixMilli() != 0 || r.Data != nil {
		d.t.Errorf("the record is %+v, want one in progress whose lease has ended, without data", r)
	}
}

func TestWhatIsNoFinalAnswerIsNotRecordedAndTheKeyIsFreeAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		policy string
		fields []string
		check  func(*testing.T, answer)
	}{
		{
			name:   "the attempts ran out",
			answer: respond(503, "the last one"),
			check: func(t *testing.T, a answer) {
				a.expect(t, 503, "the last one", "proxy-1; received-status=503, proxy-2; received-status=503, proxy-3; received-status=503")
			},
		},
		{
			name:   "a limit beyond the deadline",
			answer: respond(429, "slow down", "Retry-After", "3600"),
			policy: `{"scope":"per-account"}`,
			check: func(t *testing.T, a answer) {
				a.expect(t, 429, "slow down", "proxy-1; received-status=429")
				if left, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || left > 3600 || left < 3500 {
					t.Errorf("Retry-After is %q, want what is left of an hour", a.Header.Get("Retry-After"))
				}
			},
		},
		{
			name:   "the deadline came",
			answer: hang,
			fields: []string{"Prefer", "wait=1"},
			check:  func(t *testing.T, a answer) { a.problem(t, http.StatusGatewayTimeout, "outcome-unknown") },
		},
		{
			name:   "a last error that no state can hold",
			answer: respond(503, strings.Repeat("x", 300*KiB)),
			check: func(t *testing.T, a answer) {
				if told := a.Header.Get("Proxy-Status"); a.Status != 503 || a.Body != "" || !strings.Contains(told, "http_response_body_size") {
					t.Errorf("the answer is %d with %d bytes and Proxy-Status %s", a.Status, len(a.Body), told)
				}
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var better atomic.Bool
			settings := []setting{}
			if c.policy != "" {
				settings = append(settings, policy(c.policy))
			}
			s := start(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				if better.Load() {
					respond(http.StatusCreated, "made")(w, r)
				} else {
					c.answer(w, r)
				}
			}), settings...)
			failed := order(t, s, "{}", c.fields...)
			c.check(t, failed)
			if failed.Header.Get("ETag") != "" || strings.Contains(failed.Header.Get("Cache-Control"), "max-age") {
				t.Errorf("what is not recorded has the header %v", failed.Header)
			}
			d := tableOf(t, s)
			d.wantReleased()

			better.Store(true)
			// A key that was still held would be a 409 after this wait.
			if a := order(t, s, "{}", "Prefer", "wait=5"); a.Status != http.StatusCreated || a.Body != "made" || a.replayed() {
				t.Errorf("the next request is answered with %d %s %v, want the upstream's 201", a.Status, a.Body, a.Header)
			}
			if r := d.record(); r.Status != idempotency.Completed {
				t.Errorf("in the end the record is %+v, want a completed one", r)
			}
		})
	}
}

// The upstream has done what was asked: it must not be asked again, although nothing can be replayed.
func TestAnAnswerThatNoRecordCanHoldIsAProblemAndTheUpstreamIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	quotes := strings.Repeat(`"`, 100*KiB) // fits into a state as JSON, and not as JSON within JSON
	for _, c := range []struct{ name, body string }{
		{"that a state could hold", quotes},
		{"that no state could hold", binary(300 * KiB)},
		{"that is not read to its end", strings.Repeat("x", 7<<20)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := play(t, respond(200, c.body))
			s := start(t, u.URL)
			p := order(t, s, "{}").problem(t, http.StatusBadGateway, "outcome-unknown")
			if len(p.Attempts) != 1 || p.Attempts[0].Status != 200 || p.Attempts[0].Error != "http_response_body_size" {
				t.Errorf("the attempts are %+v, want one that ended in http_response_body_size", p.Attempts)
			}
			order(t, s, "{}").problem(t, http.StatusConflict, "idempotency-result-unavailable")
		})
	}

	u := play(t, respond(200, quotes))
	s := start(t, u.URL)
	get(t, s, "/").expect(t, 200, quotes, "proxy-1; received-status=200") // without a key it passes
}

func TestWhenAllProxiesCrashTheKeyIsFreeAtOnce(t *testing.T) {
	t.Parallel()
	u := play(t) // nothing may arrive
	s := start(t, u.URL, crashing("proxy-1", "proxy-2", "proxy-3"))
	d := tableOf(t, s)
	for range 2 {
		order(t, s, "{}", "Prefer", "wait=20").problem(t, http.StatusBadGateway, "outcome-unknown")
		d.wantReleased()
	}
	if executions, err := s.StepFunctions.Executions("", ""); err != nil || len(executions) != 2 {
		t.Errorf("there were %d executions, want one for each request", len(executions))
	}
}

// gatewayCalls hands the number of each invocation of the gateway to f, when it starts.
func gatewayCalls(f func(n int32)) setting {
	var calls atomic.Int32
	return logged(func(e lambda.LogEvent) {
		if e.Type == lambda.LogStart && strings.HasSuffix(e.Function, "-gateway") {
			f(calls.Add(1))
		}
	})
}

// After a failure one of those that wait goes on in its place, and never two.
func TestDuplicatesOfARequestThatFailsTryOneAfterTheOther(t *testing.T) {
	t.Parallel()
	const duplicates, failures = 8, 2
	var calls, running atomic.Int32
	all := make(chan struct{})
	s := start(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if running.Add(1) > 1 {
			t.Error("two requests with one key are upstream at the same time")
		}
		defer running.Add(-1)
		<-all // nobody is answered before all have come
		if calls.Add(1) <= failures {
			status(http.StatusInternalServerError)(w, r)
		} else {
			status(http.StatusCreated)(w, r)
		}
	}), longLived(), policy(`{"attemptTimeout":"50s","serverErrors":{"attempts":1}}`), gatewayCalls(func(n int32) {
		if n == duplicates {
			close(all)
		}
	}))
	answers := make([]answer, duplicates)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = order(t, s, "{}") })
	}
	wg.Wait()
	outcomes := map[string]int{}
	for _, a := range answers {
		outcomes[strconv.Itoa(a.Status)+" "+a.Header.Get("Idempotent-Replayed")]++
	}
	if outcomes["500 "] != failures || outcomes["201 "] != 1 || outcomes["201 true"] != duplicates-failures-1 {
		t.Errorf("the answers are %v, want %d failures, a new one, and the rest replays of it", outcomes, failures)
	}
	if n := calls.Load(); n != failures+1 {
		t.Errorf("the upstream was called %d times, want %d", n, failures+1)
	}
}
