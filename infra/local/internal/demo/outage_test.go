package demo_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/demo"
)

// steady answers everything, at once, with a limit that needs no goroutine.
var steady = demo.Settings{Requests: 1000, IntervalSeconds: 1, Burst: 1000}

// down is steady with an outage.
func down(o demo.Outage) demo.Settings {
	s := steady
	s.Outage = &o
	return s
}

func TestAnOutageEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := upstream(t, down(demo.Outage{Answer: demo.Unavailable, Seconds: 60}), 2)
		for range 3 {
			if r := call(u, "127.0.0.2:1"); r.Code != 503 || r.Header().Get("Retry-After") != "" || r.Header().Get("RateLimit") != "" {
				t.Errorf("in an outage that is not announced the answer is %d %v, want a bare 503", r.Code, r.Header())
			}
		}
		time.Sleep(30*time.Second - time.Millisecond)
		if r := call(u, "127.0.0.2:1"); r.Code != 503 || u.Settings().Outage == nil {
			t.Errorf("a moment before its end the answer is %d, and the settings are %+v", r.Code, u.Settings())
		}
		time.Sleep(time.Millisecond)
		if r := call(u, "127.0.0.2:1"); r.Code != 202 || r.Header().Get("RateLimit") != `"address";r=999;t=1` {
			t.Errorf("after 30 s, at twice the speed, the answer is %d %v, want the first one that counts", r.Code, r.Header())
		}
		if got := u.Settings(); got != steady || u.Calls() != 5 {
			t.Errorf("the settings are %+v after %d calls, want none of the outage, and 5", got, u.Calls())
		}
	})
}

func TestAnOutageWithoutAnEndLastsUntilTheSettingsEndIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := upstream(t, down(demo.Outage{Answer: demo.Unavailable, RetryAfterSeconds: 120}), 1)
		for range 2 {
			if r := call(u, "127.0.0.2:1"); r.Code != 503 || r.Header().Get("Retry-After") != "120" {
				t.Errorf("the answer is %d %v, want 503 and Retry-After 120", r.Code, r.Header())
			}
			time.Sleep(24 * time.Hour)
		}
		if err := u.Change(steady); err != nil {
			t.Fatal(err)
		}
		if r := call(u, "127.0.0.2:1"); r.Code != 202 {
			t.Errorf("afterwards the answer is %d, want httpbin's 202", r.Code)
		}
	})
}

func TestAnOutageBeginsAnewWithEachChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := demo.Outage{Answer: demo.Unavailable, Seconds: 10}
		u := upstream(t, down(o), 1)
		time.Sleep(9 * time.Second)
		if err := u.Change(down(o)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Second)
		if r := call(u, "127.0.0.2:1"); r.Code != 503 {
			t.Errorf("9 s after the change the answer is %d, want 503", r.Code)
		}
	})
}

func TestAConnectionThatIsCutHasNoAnswer(t *testing.T) {
	u := upstream(t, down(demo.Outage{Answer: demo.Cut}), 1)
	server := httptest.NewServer(u)
	defer server.Close()
	response, err := http.Get(server.URL + "/get")
	if err == nil {
		response.Body.Close()
	}
	if !errors.Is(err, io.EOF) || u.Calls() != 1 {
		t.Errorf("got %v after %d calls, want the end of the connection after 1", err, u.Calls())
	}
}

func TestSettingsThatWereHandedOutAreACopy(t *testing.T) {
	given := demo.Outage{Answer: demo.Unavailable}
	u := upstream(t, down(given), 1)
	u.Settings().Outage.Answer = demo.Cut
	if r := call(u, "127.0.0.2:1"); r.Code != 503 {
		t.Errorf("the answer is %d, want 503", r.Code)
	}
}

func TestAnOutageComesBeforeWhoIsAdmitted(t *testing.T) {
	u := upstream(t, down(demo.Outage{Answer: demo.Unavailable}), 1)
	u.Demand(func(*http.Request) bool { return false })
	if r := call(u, "127.0.0.2:1"); r.Code != 503 || r.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("the answer is %d %v, want the 503 of the outage", r.Code, r.Header())
	}
}
