package demo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/demo"
)

// unlimited answers everything, at once.
var unlimited = demo.Settings{Requests: 1e6, IntervalSeconds: 3600}

func upstream(t *testing.T, settings demo.Settings, speed float64) *demo.Upstream {
	t.Helper()
	u, err := demo.New(settings, speed)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// call makes a request from an address.
func call(u *demo.Upstream, address string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodGet, "/status/202", nil)
	request.RemoteAddr = address
	recorder := httptest.NewRecorder()
	u.ServeHTTP(recorder, request)
	return recorder
}

func TestAnAddressOverItsLimitIsToldWhenToComeAgain(t *testing.T) {
	u := upstream(t, demo.Settings{Requests: 2, IntervalSeconds: 3600}, 1)
	for i, want := range []string{`"address";r=1;t=3600`, `"address";r=0;t=3600`} {
		r := call(u, "127.0.0.2:1000")
		if r.Code != http.StatusAccepted || r.Header().Get("RateLimit") != want || r.Header().Get("RateLimit-Policy") != `"address";q=2;w=3600` {
			t.Errorf("request %d is answered with %d %v, want httpbin's 202 and RateLimit %s", i+1, r.Code, r.Header(), want)
		}
	}

	r := call(u, "127.0.0.2:1001")
	seconds, err := strconv.Atoi(r.Header().Get("Retry-After"))
	if r.Code != http.StatusTooManyRequests || err != nil || seconds < 3590 || seconds > 3600 {
		t.Errorf("the third request is answered with %d and Retry-After %q, want 429 and what is left of 3600 s", r.Code, r.Header().Get("Retry-After"))
	}
	var body map[string]string
	if err := json.Unmarshal(r.Body.Bytes(), &body); err != nil || !strings.Contains(body["error"], "127.0.0.2 ") {
		t.Errorf("the body is %s, want the address without its port named", r.Body)
	}

	if r := call(u, "127.0.0.3:1000"); r.Code != http.StatusAccepted {
		t.Errorf("another address is answered with %d, want httpbin's 202", r.Code)
	}
	if r := call(u, "somewhere"); r.Code != http.StatusAccepted {
		t.Errorf("an address without a port is answered with %d, want httpbin's 202", r.Code)
	}
	if n := u.Calls(); n != 5 {
		t.Errorf("%d calls are counted, want 5", n)
	}
}

// At ten thousand times the speed an hour passes in 360 ms, and is called an hour all the same.
func TestALimitEndsSoMuchEarlierAsTimeRunsFaster(t *testing.T) {
	u := upstream(t, demo.Settings{Requests: 1, IntervalSeconds: 3600}, 1e4)
	for deadline := time.Now().Add(10 * time.Second); ; {
		call(u, "127.0.0.2:1")
		r := call(u, "127.0.0.2:1")
		if r.Code == http.StatusAccepted {
			continue // a new interval has begun between the two
		}
		if seconds, err := strconv.Atoi(r.Header().Get("Retry-After")); err != nil || seconds < 2 || seconds > 3600 {
			t.Errorf("Retry-After is %q, want what is left of the hour", r.Header().Get("Retry-After"))
		}
		for call(u, "127.0.0.2:1").Code != http.StatusAccepted {
			if time.Now().After(deadline) {
				t.Fatal("the limit did not end")
			}
			time.Sleep(time.Millisecond)
		}
		return
	}
}

func TestFailuresAreSpreadEvenly(t *testing.T) {
	for _, c := range []struct {
		share float64
		fails []int // of 12 requests, counted from 1
	}{
		{0, nil},
		{0.25, []int{2, 6, 10}},
		{0.5, []int{1, 3, 5, 7, 9, 11}},
		{0.75, []int{1, 2, 4, 5, 6, 8, 9, 10, 12}},
		{1, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
	} {
		settings := unlimited
		settings.FailureShare = c.share
		u := upstream(t, settings, 1)
		var failed []int
		for i := range 12 {
			switch r := call(u, "127.0.0.1:1"); r.Code {
			case http.StatusServiceUnavailable:
				failed = append(failed, i+1)
			case http.StatusAccepted:
			default:
				t.Errorf("a request is answered with %d", r.Code)
			}
		}
		if !slices.Equal(failed, c.fails) {
			t.Errorf("with a share of %v the requests %v failed, want %v", c.share, failed, c.fails)
		}
	}
}

func TestARequestOverTheLimitDoesNotUseAFailureUp(t *testing.T) {
	u := upstream(t, demo.Settings{Requests: 1, IntervalSeconds: 3600, FailureShare: 0.25}, 1)
	call(u, "127.0.0.2:1")
	if r := call(u, "127.0.0.2:1"); r.Code != http.StatusTooManyRequests {
		t.Fatalf("the second request is answered with %d", r.Code)
	}
	if r := call(u, "127.0.0.3:1"); r.Code != http.StatusServiceUnavailable {
		t.Errorf("the second request within a limit is answered with %d, want the failure", r.Code)
	}
}

func TestAnswersWithinTheLimitTakeTheDelay(t *testing.T) {
	slow := demo.Settings{Requests: 1, IntervalSeconds: 3600, DelayMilliseconds: 90_000}
	u := upstream(t, slow, 1) // outside the bubble, whose goroutines must end
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if r := call(u, "127.0.0.2:1"); r.Code != http.StatusAccepted || time.Since(began) != 90*time.Second {
			t.Errorf("the answer is %d after %v, want httpbin's 202 after 90 s", r.Code, time.Since(began))
		}
		began = time.Now()
		if r := call(u, "127.0.0.2:1"); r.Code != http.StatusTooManyRequests || time.Since(began) != 0 {
			t.Errorf("over the limit the answer is %d after %v, want 429 at once", r.Code, time.Since(began))
		}
	})
}

func TestACallerThatGoesAwayEndsTheDelay(t *testing.T) {
	u := upstream(t, demo.Settings{Requests: 1, IntervalSeconds: 3600, DelayMilliseconds: 600_000}, 1)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		recorder := httptest.NewRecorder()
		u.ServeHTTP(recorder, httptest.NewRequestWithContext(ctx, http.MethodGet, "/status/202", nil))
		if took := time.Since(began); took != time.Second || recorder.Body.Len() != 0 {
			t.Errorf("it took %v and wrote %q, want nothing after a second", took, recorder.Body)
		}
	})
}

func TestWhoIsNotAdmittedIsToldSoAndNotCounted(t *testing.T) {
	u := upstream(t, demo.Settings{Requests: 1, IntervalSeconds: 3600, FailureShare: 0.5}, 1)
	u.Demand(func(*http.Request) bool { return false })
	for range 3 {
		if r := call(u, "127.0.0.2:1"); r.Code != http.StatusUnauthorized || r.Header().Get("WWW-Authenticate") == "" || r.Header().Get("RateLimit") != "" {
			t.Errorf("without a credential the answer is %d %v", r.Code, r.Header())
		}
	}
	u.Demand(func(*http.Request) bool { return true })
	if r := call(u, "127.0.0.2:1"); r.Code != http.StatusServiceUnavailable || u.Calls() != 4 {
		t.Errorf("with one the answer is %d, after %d calls, want the failure that is due first, after 4", r.Code, u.Calls())
	}
}

func TestChangedSettingsCountFromNowOn(t *testing.T) {
	u := upstream(t, demo.Settings{Requests: 1, IntervalSeconds: 3600}, 1)
	call(u, "127.0.0.2:1")
	always := demo.Settings{Requests: 5, IntervalSeconds: 60, FailureShare: 1}
	if err := u.Change(always); err != nil {
		t.Fatal(err)
	}
	if u.Settings() != always {
		t.Errorf("the settings are %+v, want %+v", u.Settings(), always)
	}
	if r := call(u, "127.0.0.2:1"); r.Code != http.StatusServiceUnavailable || r.Header().Get("RateLimit-Policy") != `"address";q=5;w=60` {
		t.Errorf("the answer is %d %v, want 503 and a new limit", r.Code, r.Header())
	}
	if err := u.Change(demo.Settings{}); err == nil || u.Settings() != always {
		t.Errorf("bad settings gave %v and left %+v, want an error and the old ones", err, u.Settings())
	}
}

func TestSettingsCanBeChangedWhileRequestsCome(t *testing.T) {
	u := upstream(t, unlimited, 1)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 2000 {
				if r := call(u, fmt.Sprintf("127.0.0.%d:1", i+1)); r.Code != http.StatusAccepted {
					t.Errorf("a request is answered with %d %s", r.Code, r.Body)
				}
			}
		})
		wg.Go(func() {
			for range 300 {
				if err := u.Change(unlimited); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestSettingsThatCannotBeAreRefusedWithWhatIsAllowed(t *testing.T) {
	if err := demo.DefaultSettings().Validate(); err != nil {
		t.Errorf("the default settings are refused: %v", err)
	}
	for _, c := range []struct {
		change func(*demo.Settings)
		want   string
	}{
		{func(s *demo.Settings) { s.Requests = 0 }, "requests is 0; give at least 1"},
		{func(s *demo.Settings) { s.IntervalSeconds = 0 }, "intervalSeconds is 0; give more than 0 and at most 3600"},
		{func(s *demo.Settings) { s.IntervalSeconds = 3601 }, "intervalSeconds is 3601"},
		{func(s *demo.Settings) { s.IntervalSeconds = math.NaN() }, "intervalSeconds is NaN"},
		{func(s *demo.Settings) { s.FailureShare = 1.1 }, "failureShare is 1.1; give 0 to 1"},
		{func(s *demo.Settings) { s.FailureShare = -0.1 }, "failureShare is -0.1"},
		{func(s *demo.Settings) { s.FailureShare = math.NaN() }, "failureShare is NaN"},
		{func(s *demo.Settings) { s.DelayMilliseconds = -1 }, "delayMilliseconds is -1; give 0 to 600000"},
		{func(s *demo.Settings) { s.DelayMilliseconds = 600_001 }, "delayMilliseconds is 600001"},
		{func(s *demo.Settings) { s.By = "caller" }, `by is "caller"; give address or key, or leave it out, which is address`},
		{func(s *demo.Settings) { s.Burst = -1 }, "burst is -1; give 1 to 1000000 for a token bucket, or 0 for a window"},
		{func(s *demo.Settings) { s.Burst = 1_000_001 }, "burst is 1000001"},
		{outage(demo.Outage{}), `outage.answer is ""; give 503 or cut, or leave the outage out`},
		{outage(demo.Outage{Answer: "503", Seconds: -1}), "outage.seconds is -1; give 0, for an outage without an end, to 86400"},
		{outage(demo.Outage{Answer: "503", Seconds: math.NaN()}), "outage.seconds is NaN"},
		{outage(demo.Outage{Answer: "503", RetryAfterSeconds: -1}), "outage.retryAfterSeconds is -1; give 0, for an outage that is not announced, to 86400"},
		{outage(demo.Outage{Answer: "cut", RetryAfterSeconds: 5}), "outage.retryAfterSeconds is 5, and outage.answer is cut; without an answer nothing is announced, so give one of them"},
	} {
		settings := demo.DefaultSettings()
		c.change(&settings)
		if _, err := demo.New(settings, 1); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("the error is %v, want %q in it", err, c.want)
		}
	}
}

func TestAllThatIsWrongWithSettingsIsSaidAtOnce(t *testing.T) {
	err := demo.Settings{Requests: 1, Burst: -1, Outage: &demo.Outage{Answer: "slow", Seconds: -1}}.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("four things are wrong, and this is said:\n%v", err)
	}
}

// outage gives settings an outage.
func outage(o demo.Outage) func(*demo.Settings) { return func(s *demo.Settings) { s.Outage = &o } }

// docs/large-bodies.md has four megabytes sent to it.
func TestABodyOfFourMegabytesIsTakenAndComesBack(t *testing.T) {
	u, err := demo.New(demo.Settings{Requests: 1000, IntervalSeconds: 1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRecorder()
	u.ServeHTTP(r, httptest.NewRequest("PUT", "/anything", strings.NewReader(strings.Repeat("x", 4_000_000))))
	if r.Code != 200 || r.Body.Len() < 4_000_000 {
		t.Errorf("it is answered with %d and %d bytes", r.Code, r.Body.Len())
	}
}
