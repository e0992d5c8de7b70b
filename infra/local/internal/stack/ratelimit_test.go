package stack_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// waitsAtLeast checks that the first attempt was followed by a wait of a floor, and by not much more: the backoff above
// the floor is at most the first window of the default policy.
func waitsAtLeast(t *testing.T, all []attempt, floor time.Duration, because string) {
	t.Helper()
	if len(all) == 0 {
		t.Fatal("the execution tells of no attempts")
	}
	first := all[0]
	wait := time.Duration(first.Wait) * time.Millisecond
	if wait < floor || wait > floor+10*time.Second {
		t.Errorf("after the first attempt it waited %v, want %v and some jitter", wait, floor)
	}
	if !strings.Contains(first.Why, because) {
		t.Errorf("it waited because of %q, want %s named", first.Why, because)
	}
}

// With one proxy there is no other address to try, so the first limit is waited for already.
func TestALimitIsWaitedForAsTheUpstreamAsks(t *testing.T) {
	now := time.Now()
	cases := []struct {
		name    string
		limited http.HandlerFunc
		floor   time.Duration
		because string
	}{
		{"Retry-After in seconds", status(429, "Retry-After", "3"), 3 * time.Second, "Retry-After"},
		{"Retry-After as a date, by the upstream's own clock",
			status(429, "Date", "Tue, 03 Mar 2026 10:00:00 GMT", "Retry-After", "Tue, 03 Mar 2026 10:00:04 GMT"), 4 * time.Second, "Retry-After"},
		{"RateLimit", status(429, "RateLimit", `"default";r=0;t=5`), 5 * time.Second, "RateLimit"},
		{"GitHub's 403 with the moment of the reset",
			status(403, "Date", now.UTC().Format(http.TimeFormat), "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", strconv.FormatInt(now.Unix()+6, 10)),
			6 * time.Second, "X-RateLimit-Reset"},
		{"a 503 with Retry-After", status(503, "Retry-After", "2"), 2 * time.Second, "Retry-After"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := play(t, c.limited, status(200))
			s := start(t, u.URL, from(oneProxy))
			if a := get(t, s, "/"); a.Status != 200 {
				t.Fatalf("the answer is %d %s", a.Status, a.Body)
			}
			waitsAtLeast(t, attempts(t, s), c.floor, c.because)
		})
	}
}

func TestASecondLimitMeansThatTheLimitIsNotByAddressAndIsWaitedFor(t *testing.T) {
	t.Parallel()
	u := play(t, status(429, "Retry-After", "4"), status(429, "Retry-After", "4"), status(200))
	s := start(t, u.URL)
	get(t, s, "/").expect(t, 200, "OK", "proxy-1; received-status=429, proxy-2; received-status=429, proxy-3; received-status=200")
	all := attempts(t, s)
	if all[0].Wait != 0 {
		t.Errorf("after the first limit it waited %d ms, want a quick try from another address", all[0].Wait)
	}
	waitsAtLeast(t, all[1:], 4*time.Second, "Retry-After")
}

func TestAWaitBeyondTheDeadlineIsToldAtOnce(t *testing.T) {
	t.Parallel()
	u := play(t, respond(429, "slow down", "Retry-After", "120"))
	s := start(t, u.URL, from(oneProxy))
	began := time.Now()
	a := get(t, s, "/")
	a.expect(t, 429, "slow down", "proxy-1; received-status=429")
	left, err := strconv.Atoi(a.Header.Get("Retry-After"))
	if passed := int(time.Since(began)/time.Second) + 1; err != nil || left > 120 || left < 120-passed {
		t.Errorf("Retry-After is %q, want what is left of 120 s", a.Header.Get("Retry-After"))
	}
	if failure := failureOf(t, s); failure != "DeadlineExceeded" {
		t.Errorf("the execution ended with %q, want DeadlineExceeded", failure)
	}
}

func TestTheLongestWaitThatAnyAnswerAskedForIsToldToTheCaller(t *testing.T) {
	t.Parallel()
	u := play(t, status(429, "Retry-After", "300"), status(429, "Retry-After", "200"))
	s := start(t, u.URL)
	a := get(t, s, "/")
	if left, err := strconv.Atoi(a.Header.Get("Retry-After")); a.Status != 429 || err != nil || left > 300 || left < 250 {
		t.Errorf("the answer is %d with Retry-After %q, want 429 and what is left of 300 s", a.Status, a.Header.Get("Retry-After"))
	}
}
