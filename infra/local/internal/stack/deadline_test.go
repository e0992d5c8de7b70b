package stack_test

import (
	"net/http"
	"testing"
)

func TestAHangingUpstreamEndsAtTheDeadlineWithItsAttempts(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusOK), hang)
	s := start(t, u.URL)
	get(t, s, "/warm") // so that the start of the processes does not use the second up

	a := get(t, s, "/", "Prefer", "wait=1")
	p := a.problem(t, http.StatusGatewayTimeout, "no-answer")
	if len(p.Attempts) != 1 || p.Attempts[0].Proxy != "proxy-1" || p.Attempts[0].Error != "connection_read_timeout" || p.Attempts[0].Duration == 0 {
		t.Errorf("the attempts are %+v, want one of proxy-1 that ended in connection_read_timeout", p.Attempts)
	}
	if told := a.Header.Get("Proxy-Status"); told != `proxy-1; error=connection_read_timeout; details="the request was written, and no answer came in time"` {
		t.Errorf("Proxy-Status is %s", told)
	}
}

func TestAnAttemptThatHangsIsRepeatedWithinTheDeadline(t *testing.T) {
	t.Parallel()
	u := play(t, hang, status(http.StatusOK))
	s := start(t, u.URL, policy(`{"attemptTimeout":"1s"}`))
	a := get(t, s, "/")
	a.expect(t, http.StatusOK, "OK", `proxy-1; error=connection_read_timeout; details="the request was written, and no answer came in time", proxy-2; received-status=200`)
}

func TestAnAnswerThatDoesNotEndIsNoAnswer(t *testing.T) {
	t.Parallel()
	stall := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte("the beginning"))
		w.(http.Flusher).Flush()
		hang(w, r)
	}
	u := play(t, stall, status(http.StatusOK))
	s := start(t, u.URL, policy(`{"attemptTimeout":"1s"}`))
	get(t, s, "/").expect(t, http.StatusOK, "OK",
		`proxy-1; error=http_response_timeout; received-status=200; details="the answer began, and did not end in time", proxy-2; received-status=200`)
}

func TestAnUpstreamThatIsDownIsA502WithEachAttempt(t *testing.T) {
	t.Parallel()
	s := start(t, closedAddress(t))
	p := get(t, s, "/").problem(t, http.StatusBadGateway, "no-answer")
	if len(p.Attempts) != 3 {
		t.Fatalf("the attempts are %+v, want 3", p.Attempts)
	}
	for i, a := range p.Attempts {
		if want := []string{"proxy-1", "proxy-2", "proxy-3"}[i]; a.Proxy != want || a.Error != "connection_refused" || a.Start == 0 {
			t.Errorf("attempt %d is %+v, want connection_refused by %s", i+1, a, want)
		}
	}
}

func TestTheWaitThatIsAskedForIsClampedAndToldBack(t *testing.T) {
	t.Parallel()
	ok := status(http.StatusOK)
	u := play(t, ok, ok, ok, ok)
	s := start(t, u.URL)
	for _, c := range []struct{ preference, applied string }{
		{"wait=20", "wait=20"},
		{"wait=100000", "wait=290"},
		{"respond-sync, wait=7; strict, wait=9, strict", "wait=7"},
		{"wait=soon", ""},
	} {
		a := get(t, s, "/", "Prefer", c.preference)
		if told := a.Header.Get("Preference-Applied"); a.Status != http.StatusOK || told != c.applied {
			t.Errorf("Prefer: %s is answered with %d and Preference-Applied %q, want %q", c.preference, a.Status, told, c.applied)
		}
	}
	for i, want := range []string{"", "", "respond-sync, strict", ""} {
		if got := u.received()[i].Header.Get("Prefer"); got != want {
			t.Errorf("request %d went upstream with Prefer: %s, want %s", i+1, got, want)
		}
	}
}
