package stack_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestAProxyThatCrashesIsFollowedByTheNextOne(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusOK))
	s := start(t, u.URL, crashing("proxy-1"), withoutBackoff)
	get(t, s, "/").expect(t, http.StatusOK, "OK", `proxy-1; error=proxy_internal_error; details="Runtime.ExitError", proxy-2; received-status=200`)
}

func TestWhenAllProxiesCrashTheAttemptsEndWithThePolicys(t *testing.T) {
	for _, c := range []struct {
		proxies int
		from    func() (assembled, error)
		ring    []string
	}{
		{3, ring, []string{"proxy-1", "proxy-2", "proxy-3"}},
		{1, oneProxy, []string{"proxy-1", "proxy-1", "proxy-1"}},
	} {
		t.Run(fmt.Sprint(c.proxies, " in the ring"), func(t *testing.T) {
			t.Parallel()
			u := play(t) // nothing may arrive
			s := start(t, u.URL, from(c.from), crashing(c.ring...))
			p := get(t, s, "/").problem(t, http.StatusBadGateway, "no-answer")
			if n := invocations(t, s); n != 3 {
				t.Errorf("proxies were called %d times, want the 3 of the policy", n)
			}
			if len(p.Attempts) != 3 {
				t.Fatalf("the attempts are %+v, want 3", p.Attempts)
			}
			for i, a := range p.Attempts {
				if a.Proxy != c.ring[i] || a.Error != "proxy_internal_error" {
					t.Errorf("attempt %d is %+v, want proxy_internal_error by %s", i+1, a, c.ring[i])
				}
			}
		})
	}
}

func TestCrashesEndWithThePolicysAttemptsWhateverTheirNumber(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 5} {
		u := play(t)
		s := start(t, u.URL, crashing("proxy-1", "proxy-2", "proxy-3"), policy(fmt.Sprintf(`{"networkFailures":{"attempts":%d}}`, n)))
		p := get(t, s, "/").problem(t, http.StatusBadGateway, "no-answer")
		if called := invocations(t, s); called != n || len(p.Attempts) != n {
			t.Errorf("proxies were called %d times and %d attempts told, want %d", called, len(p.Attempts), n)
		}
	}
}

func TestACrashCountsWithTheFailuresBeforeIt(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusTooManyRequests), status(http.StatusOK))
	s := start(t, u.URL, crashing("proxy-2"), withoutBackoff)
	get(t, s, "/").expect(t, http.StatusOK, "OK",
		`proxy-1; received-status=429, proxy-2; error=proxy_internal_error; details="Runtime.ExitError", proxy-3; received-status=200`)
}

func TestAPOSTWhoseProxyCrashedIsNotSentAgain(t *testing.T) {
	t.Parallel()
	u := play(t) // the next proxy would reach it
	s := start(t, u.URL, crashing("proxy-1"))
	p := send(t, s, http.MethodPost, "/orders", "one").problem(t, http.StatusBadGateway, "outcome-unknown")
	if len(p.Attempts) != 1 || p.Attempts[0].Proxy != "proxy-1" || p.Attempts[0].Error != "proxy_internal_error" {
		t.Errorf("the attempts are %+v, want the lost one of proxy-1 alone", p.Attempts)
	}
	if failure := failureOf(t, s); failure != "UnsafeToRepeat" {
		t.Errorf("the execution ended with %q, want UnsafeToRepeat", failure)
	}
}

func TestAPOSTWithAnIdempotencyKeyWhoseProxyCrashedIsSentAgain(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusCreated))
	s := start(t, u.URL, crashing("proxy-1"), withoutBackoff)
	send(t, s, http.MethodPost, "/orders", "one", "Idempotency-Key", `"order-1"`).
		expect(t, http.StatusCreated, "Created", `proxy-1; error=proxy_internal_error; details="Runtime.ExitError", proxy-2; received-status=201`)
}

func TestAProxyThatHangsIsEndedAtItsTimeoutAndFollowedByTheNextOne(t *testing.T) {
	t.Parallel()
	short := edited(t, func(template map[string]any) {
		for _, r := range template["Resources"].(map[string]any) {
			r := r.(map[string]any)
			if r["Type"] == "AWS::Lambda::Function" && strings.HasSuffix(fmt.Sprint(r["Properties"].(map[string]any)["FunctionName"]), "-proxy-1") {
				r["Properties"].(map[string]any)["Timeout"] = 1
			}
		}
	})
	u := play(t, status(http.StatusOK))
	s := start(t, u.URL, from(short), crashing("proxy-1"), environment("proxy-1", "HANG", "1"), withoutBackoff)
	get(t, s, "/").expect(t, http.StatusOK, "OK", `proxy-1; error=proxy_internal_error; details="Sandbox.Timedout", proxy-2; received-status=200`)
}
