package stack_test

import (
	"net/http"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

func TestASuccessIsHandedBackAtOnce(t *testing.T) {
	t.Parallel()
	u := play(t, respond(http.StatusOK, "hello", "X-Answer", "42"))
	s := start(t, u.URL)

	a := get(t, s, "/greeting")
	a.expect(t, http.StatusOK, "hello", "proxy-1; received-status=200")
	if a.Header.Get("X-Answer") != "42" {
		t.Errorf("the header of the answer is %v, want the upstream's X-Answer in it", a.Header)
	}
	if e := lastExecution(t, s); e.Status != asl.Succeeded {
		t.Errorf("the execution is %s, want SUCCEEDED", e.Status)
	}
}

func TestARateLimitedRequestIsTriedByTheNextProxy(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusTooManyRequests, "Retry-After", "1"), status(http.StatusOK))
	s := start(t, u.URL)
	get(t, s, "/").expect(t, http.StatusOK, "OK", "proxy-1; received-status=429, proxy-2; received-status=200")
}

func TestARequestThatIsLimitedAndThenMeetsAFaultComesBackAsTheSuccessAfterwards(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusTooManyRequests), status(http.StatusServiceUnavailable), status(http.StatusOK))
	s := start(t, u.URL)
	get(t, s, "/").expect(t, http.StatusOK, "OK",
		"proxy-1; received-status=429, proxy-2; received-status=503, proxy-3; received-status=200")
	if n := len(u.received()); n != 3 {
		t.Errorf("the upstream was called %d times, want 3", n)
	}
}

func TestWhenAllAttemptsFailTheLastAnswerIsHandedBack(t *testing.T) {
	t.Parallel()
	u := play(t,
		respond(http.StatusServiceUnavailable, "down, part 1"),
		respond(http.StatusInternalServerError, "down, part 2"),
		respond(http.StatusBadGateway, "down, part 3", "X-Part", "3"))
	s := start(t, u.URL)

	a := get(t, s, "/")
	a.expect(t, http.StatusBadGateway, "down, part 3",
		"proxy-1; received-status=503, proxy-2; received-status=500, proxy-3; received-status=502")
	if a.Header.Get("X-Part") != "3" {
		t.Errorf("the header of the answer is %v, want that of the last one", a.Header)
	}
	if failure := failureOf(t, s); failure != "AttemptsExhausted" {
		t.Errorf("the execution ended with %q, want AttemptsExhausted", failure)
	}
}

func TestMoreAttemptsThanProxiesGoRoundAgain(t *testing.T) {
	t.Parallel()
	limited := status(http.StatusTooManyRequests)
	u := play(t, limited, limited, limited, limited, limited, status(http.StatusOK))
	s := start(t, u.URL)
	get(t, s, "/").expect(t, http.StatusOK, "OK",
		"proxy-1; received-status=429, proxy-2; received-status=429, proxy-3; received-status=429, "+
			"proxy-1; received-status=429, proxy-2; received-status=429, proxy-3; received-status=200")
}

func TestASingleProxyMakesAllAttempts(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusInternalServerError), status(http.StatusServiceUnavailable), status(http.StatusOK))
	s := start(t, u.URL, from(oneProxy))
	get(t, s, "/").expect(t, http.StatusOK, "OK",
		"proxy-1; received-status=500, proxy-1; received-status=503, proxy-1; received-status=200")
}

func TestAFinalErrorIsHandedBackWithoutAnotherAttempt(t *testing.T) {
	t.Parallel()
	for _, code := range []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusNotImplemented} {
		u := play(t, status(code))
		s := start(t, u.URL)
		a := get(t, s, "/")
		if a.Status != code || a.Body != http.StatusText(code) {
			t.Errorf("the answer is %d %q, want %d %q", a.Status, a.Body, code, http.StatusText(code))
		}
		if e := lastExecution(t, s); e.Status != asl.Succeeded {
			t.Errorf("the execution that ended with %d is %s, want SUCCEEDED: the upstream gave a final answer", code, e.Status)
		}
	}
}

func TestTheCallerCanAskForFewerAttempts(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusInternalServerError), status(http.StatusInternalServerError))
	s := start(t, u.URL)
	a := get(t, s, "/", "Prefer", "attempts=2")
	a.expect(t, http.StatusInternalServerError, "Internal Server Error", "proxy-1; received-status=500, proxy-2; received-status=500")
}

func TestThePolicyOfTheStackIsTheOneThatIsFollowed(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusInternalServerError))
	s := start(t, u.URL, policy(`{"serverErrors":{"attempts":1}}`))
	get(t, s, "/").expect(t, http.StatusInternalServerError, "Internal Server Error", "proxy-1; received-status=500")

	u = play(t, status(http.StatusNotFound), status(http.StatusOK))
	s = start(t, u.URL, policy(`{"statuses":{"404":"server-error"}}`))
	get(t, s, "/").expect(t, http.StatusOK, "OK", "proxy-1; received-status=404, proxy-2; received-status=200")
}
