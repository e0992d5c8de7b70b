package retry_test

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A conversation is a request whose attempts are judged one after the other, in virtual time that starts at noon.
type conversation struct {
	t       *testing.T
	policy  retry.Policy
	request retry.Request
	random  func() float64
	now     time.Time
	history []retry.Attempt
}

func get(t *testing.T, policy retry.Policy) *conversation {
	return &conversation{
		t: t, policy: policy, random: lowest, now: noon,
		request: retry.Request{Method: http.MethodGet, Proxies: 3, Deadline: noon.Add(time.Hour)},
	}
}

func post(t *testing.T, policy retry.Policy) *conversation {
	c := get(t, policy)
	c.request.Method = http.MethodPost
	return c
}

// answers judges an answer that comes at once.
func (c *conversation) answers(status int, fields ...string) retry.Decision {
	header := http.Header{}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		header.Add(name, value)
	}
	return c.brings(retry.Result{Status: status, Header: header})
}

// fails judges an attempt without an answer.
func (c *conversation) fails(kind retry.ErrorType, processed retry.Processed) retry.Decision {
	return c.brings(retry.Result{Failure: &retry.Failure{Type: kind, Processed: processed, Details: "a test"}})
}

// brings judges a result, and goes on to the time of the next attempt.
func (c *conversation) brings(result retry.Result) retry.Decision {
	result.Received = c.now
	d := c.policy.Next(c.request, c.history, result, c.random)
	proxy := fmt.Sprintf("proxy-%d", len(c.history)%c.request.Proxies+1)
	c.history = append(c.history, result.Attempt(proxy, c.now, d))
	c.now = c.now.Add(d.Delay)
	return d
}

// wantAgain checks that another attempt follows after a delay.
func wantAgain(t *testing.T, d retry.Decision, delay time.Duration) {
	t.Helper()
	if d.Outcome != retry.Again || d.Delay != delay {
		t.Errorf("got %s after %v (%s), want another attempt after %v", d.Outcome, d.Delay, d.Why, delay)
	}
}

// wantFailed checks that the request has failed for a reason, and how long whoever comes again is to wait: as long as the
// upstream asked for, or else the backoff, which is a millisecond at least. With the lowest number there is, that is what
// full jitter gives.
func wantFailed(t *testing.T, d retry.Decision, reason retry.Reason, retryAfter time.Duration) {
	t.Helper()
	if d.Outcome != retry.Failed || d.Reason != reason || d.RetryAfter != retryAfter {
		t.Errorf("got %s %s, to come again in %v (%s); want failed %s, in %v", d.Outcome, d.Reason, d.RetryAfter, d.Why, reason, retryAfter)
	}
	if d.Delay != 0 {
		t.Errorf("a failed request has a delay of %v", d.Delay)
	}
}

func TestTheUpstreamsOwnAdviceIsFollowed(t *testing.T) {
	t.Parallel()
	if d := get(t, retry.Policy{}).answers(503, "Stripe-Should-Retry: false"); d.Outcome != retry.Succeeded {
		t.Errorf("a 503 that is not to be repeated is %s", d.Outcome)
	}
	if d := get(t, retry.Default()).answers(503, "Stripe-Should-Retry: false"); d.Outcome != retry.Succeeded {
		t.Errorf("the same with the default policy spelt out is %s", d.Outcome)
	}
	if d := get(t, retry.Policy{}).answers(409, "Stripe-Should-Retry: true"); d.Outcome != retry.Again {
		t.Errorf("a 409 that is to be repeated is %s", d.Outcome)
	}
	if d := post(t, retry.Policy{}).answers(429, "Stripe-Should-Retry: true"); d.Outcome != retry.Again || d.Kind != retry.RateLimit {
		t.Errorf("a 429 that is to be repeated is %s, charged to %q", d.Outcome, d.Kind)
	}
	if d := get(t, retry.Policy{}).answers(200, "Stripe-Should-Retry: true"); d.Outcome != retry.Succeeded {
		t.Errorf("a 200 is %s", d.Outcome)
	}
	wantFailed(t, post(t, retry.Policy{}).answers(409, "Stripe-Should-Retry: true"), retry.UnsafeToRepeat, time.Millisecond)
}

func TestAnUnsafeRequestIsNotRepeatedAfterAServerError(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodPost, http.MethodPatch, "LOCK"} {
		for _, status := range []int{408, 500, 502, 503, 504, 507, 520, 529, 598} {
			c := get(t, retry.Policy{})
			c.request.Method = method
			wantFailed(t, c.answers(status), retry.UnsafeToRepeat, time.Millisecond)
		}
	}
}

func TestAnUnsafeRequestIsNotRepeatedAfterAFailureThatMayHaveBeenProcessed(t *testing.T) {
	t.Parallel()
	for _, kind := range []retry.ErrorType{retry.ConnectionReadTimeout, retry.ConnectionTerminated, retry.HTTPResponseIncomplete, retry.ProxyInternalError} {
		wantFailed(t, post(t, retry.Policy{}).fails(kind, retry.MaybeProcessed), retry.UnsafeToRepeat, time.Millisecond)
	}
}

func TestAnUnsafeRequestIsRepeatedOnProofThatNothingWasDone(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]retry.Decision{
		"429":                     post(t, retry.Policy{}).answers(429),
		"403 with a quota":        post(t, retry.Policy{}).answers(403, "X-RateLimit-Remaining: 0"),
		"503 with Retry-After":    post(t, retry.Policy{}).answers(503, "Retry-After: 0"),
		"421":                     post(t, retry.Policy{}).answers(421),
		"425":                     post(t, retry.Policy{}).answers(425),
		"403 with Retry-After":    post(t, retry.Policy{}).answers(403, "Retry-After: 3"),
		"503 with Retry-After-Ms": post(t, retry.Policy{}).answers(503, "Retry-After-Ms: 5"),
		"refused":                 post(t, retry.Policy{}).fails(retry.ConnectionRefused, retry.NotProcessed),
	} {
		if d.Outcome != retry.Again {
			t.Errorf("%s: got %s (%s)", name, d.Outcome, d.Why)
		}
	}
	wantFailed(t, post(t, retry.Policy{}).answers(503, "Retry-After: soon"), retry.UnsafeToRepeat, time.Millisecond)
	wantFailed(t, post(t, retry.Policy{}).answers(503, "X-RateLimit-Reset: 30", "X-RateLimit-Remaining: 0"), retry.UnsafeToRepeat, 30*time.Second)
	for _, status := range []int{404, 408, 409, 413, 418, 423, 500, 501, 504, 529} {
		wantFailed(t, post(t, retry.Policy{}).answers(status, "Retry-After: 3"), retry.UnsafeToRepeat, 3*time.Second)
	}
}

func TestAnIdempotencyKeyMakesAnyMethodSafeToRepeat(t *testing.T) {
	t.Parallel()
	c := post(t, retry.Policy{})
	c.request.IdempotencyKey = true
	wantAgain(t, c.answers(500), 0)
	wantAgain(t, c.fails(retry.ConnectionReadTimeout, retry.MaybeProcessed), 0)
}

func TestMethodsCanBeDeclaredRepeatable(t *testing.T) {
	t.Parallel()
	wantAgain(t, post(t, retry.Policy{RepeatableMethods: []string{"POST"}}).answers(500), 0)
	wantFailed(t, get(t, retry.Policy{RepeatableMethods: []string{}}).answers(500), retry.UnsafeToRepeat, time.Millisecond)
}

func TestEachKindOfFailureHasItsOwnBudget(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{Scope: retry.PerAccount})
	for range 2 {
		wantAgain(t, c.answers(503), 0)
		wantAgain(t, c.fails(retry.ConnectionTerminated, retry.MaybeProcessed), 0)
	}
	for range retry.DefaultRateLimitAttempts - 1 {
		wantAgain(t, c.answers(429), 0)
	}
	before := *c
	wantFailed(t, c.answers(503), retry.AttemptsExhausted, time.Millisecond)
	c = &before
	wantFailed(t, c.fails(retry.DNSError, retry.NotProcessed), retry.AttemptsExhausted, time.Millisecond)
	c = &before
	wantFailed(t, c.answers(429, "Retry-After: 7"), retry.AttemptsExhausted, 7*time.Second)
}

func TestBackoffGrowsWithFailuresOfTheSameKindOnly(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{ServerErrors: retry.Budget{Jitter: retry.NoJitter, Attempts: 9}, NetworkFailures: retry.Budget{Jitter: retry.NoJitter}})
	wantAgain(t, c.answers(503), 1*time.Second)
	wantAgain(t, c.fails(retry.DNSError, retry.NotProcessed), 1*time.Second)
	wantAgain(t, c.answers(500), 2*time.Second)
	wantAgain(t, c.fails(retry.DNSError, retry.NotProcessed), 2*time.Second)
	for _, delay := range []time.Duration{4, 8, 16, 30, 30} {
		wantAgain(t, c.answers(502), delay*time.Second)
	}
}

func TestJitterDrawsFromItsWindow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		jitter    retry.Jitter
		random    float64
		first     time.Duration
		second    time.Duration
		secondToo time.Duration // with a Retry-After of 60 s
	}{
		{retry.FullJitter, 0, 0, 0, 60 * time.Second},
		{retry.FullJitter, 0.5, 500 * time.Millisecond, time.Second, 67500 * time.Millisecond},
		{retry.EqualJitter, 0, 500 * time.Millisecond, time.Second, 61 * time.Second},
		{retry.EqualJitter, 0.5, 750 * time.Millisecond, 1500 * time.Millisecond, 68 * time.Second},
		{retry.DecorrelatedJitter, 0, time.Second, time.Second, 61 * time.Second},
		{retry.DecorrelatedJitter, 0.5, 2 * time.Second, 3500 * time.Millisecond, 68 * time.Second},
		{retry.NoJitter, 0.5, time.Second, 2 * time.Second, 60 * time.Second},
	} {
		t.Run(fmt.Sprint(c.jitter, c.random), func(t *testing.T) {
			for _, second := range []struct {
				fields []string
				delay  time.Duration
			}{{nil, c.second}, {[]string{"Retry-After: 60"}, c.secondToo}} {
				conversation := get(t, retry.Policy{ServerErrors: retry.Budget{Jitter: c.jitter}})
				conversation.random = func() float64 { return c.random }
				wantAgain(t, conversation.answers(503), c.first)
				wantAgain(t, conversation.answers(503, second.fields...), second.delay)
			}
		})
	}
}

func TestDecorrelatedJitterGrowsFromTheLastDelayOfItsKind(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{ServerErrors: retry.Budget{Jitter: retry.DecorrelatedJitter}})
	c.random = func() float64 { return 0.5 }
	wantAgain(t, c.answers(503), 2*time.Second)
	wantAgain(t, c.fails(retry.DNSError, retry.NotProcessed), 500*time.Millisecond)
	wantAgain(t, c.answers(503), 3500*time.Millisecond) // between 1 s and three times 2 s
}

func TestTheLargestWindowsDoNotOverflow(t *testing.T) {
	t.Parallel()
	for _, jitter := range []retry.Jitter{retry.FullJitter, retry.EqualJitter, retry.DecorrelatedJitter, retry.NoJitter} {
		c := get(t, retry.Policy{ServerErrors: retry.Budget{Attempts: retry.MaxAttempts, Base: 1, Max: math.MaxInt64, Jitter: jitter}})
		c.request.Deadline = time.Time{}
		c.random = highest
		for range retry.MaxAttempts - 1 {
			if d := c.answers(503, "Retry-After: 1"); d.Outcome != retry.Again || d.Delay < time.Second {
				t.Fatalf("%s: %s after %v", jitter, d.Outcome, d.Delay)
			}
			c.now = noon
		}
	}
}

func TestARetryAfterInSecondsIsAFloorWithJitterAboveIt(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{})
	wantAgain(t, c.answers(503, "Retry-After: 2"), 2*time.Second)

	c = get(t, retry.Policy{ServerErrors: retry.Budget{Base: time.Millisecond}})
	c.random = func() float64 { return 0.999 }
	if d := c.answers(503, "Retry-After: 2"); d.Delay < 2900*time.Millisecond || d.Delay > 3*time.Second {
		t.Errorf("the longest delay is %v, want a second above the floor", d.Delay)
	}
	if d := get(t, retry.Policy{}).answers(503, "Retry-After: 2"); !strings.Contains(d.Why, "Retry-After asks for 2s") {
		t.Errorf("why %q does not tell of the floor", d.Why)
	}
}

func TestAnEarlierFloorStillHolds(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{Scope: retry.Inferred})
	wantAgain(t, c.answers(429, "Retry-After: 30"), 0) // the quick try
	c.now = c.now.Add(time.Second)
	d := c.answers(429, "Retry-After: 5")
	wantAgain(t, d, 29*time.Second) // which told of a limit by account: all of it holds
	if !strings.Contains(d.Why, "an earlier answer asks for 29s") {
		t.Errorf("why %q does not tell whose floor it is", d.Why)
	}
}

func TestTheFirstRateLimitIsFollowedByAQuickTryFromTheNextProxy(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{})
	c.random = highest
	d := c.answers(429, "Retry-After: 30")
	wantAgain(t, d, 0)
	if !strings.Contains(d.Why, "quick try") {
		t.Errorf("why %q does not tell of a quick try", d.Why)
	}
	c.random = lowest
	d = c.answers(429, "Retry-After: 30")
	wantAgain(t, d, 30*time.Second)
	if strings.Contains(d.Why, "quick try") {
		t.Errorf("the second rate limit is followed by another quick try: %q", d.Why)
	}
	wantAgain(t, c.answers(429, "Retry-After: 30"), 30*time.Second)
}

func TestWithOneProxyThereIsNoQuickTry(t *testing.T) {
	t.Parallel()
	for _, scope := range []retry.Scope{retry.Inferred, retry.PerAddress} {
		c := get(t, retry.Policy{Scope: scope})
		c.request.Proxies = 1
		wantAgain(t, c.answers(429, "Retry-After: 30"), 30*time.Second)
		wantAgain(t, c.answers(429), 0)
	}
}

func TestALimitByAccountWaitsAsTold(t *testing.T) {
	t.Parallel()
	wantAgain(t, get(t, retry.Policy{Scope: retry.PerAccount}).answers(429, "Retry-After: 30"), 30*time.Second)
}

func TestALimitByAddressGoesRoundTheRingAndThenWaitsForEachProxysOwnFloor(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{Scope: retry.PerAddress, RateLimits: retry.Budget{Attempts: 9}})
	wantAgain(t, c.answers(429, "Retry-After: 60"), 0) // proxy-1
	wantAgain(t, c.answers(429, "Retry-After: 10"), 0) // proxy-2
	c.now = c.now.Add(time.Second)
	wantAgain(t, c.answers(429, "Retry-After: 90"), 59*time.Second) // proxy-3; proxy-1 is free again at 60 s
	wantAgain(t, c.answers(429, "Retry-After: 60"), 0)              // proxy-2 has been free since 10 s
	wantAgain(t, c.answers(429, "Retry-After: 60"), 31*time.Second) // proxy-3 is free at 91 s
}

func TestTheBackoffOfALimitByAddressCountsByProxy(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{Scope: retry.PerAddress, RateLimits: retry.Budget{Attempts: 9, Jitter: retry.NoJitter}})
	c.request.Proxies = 2
	for _, delay := range []time.Duration{0, 1, 1, 2, 2, 4} { // the next proxy has been limited so often: 0, 1, 1, 2, 2, 3
		wantAgain(t, c.answers(429), delay*time.Second)
	}
}

func TestALimitByAddressStillWaitsForAServerThatAskedToBeLeftAlone(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{Scope: retry.PerAddress})
	wantAgain(t, c.answers(503, "Retry-After: 20"), 20*time.Second)
	c.now = c.now.Add(-15 * time.Second) // as if its proxy was lost, and the next one went out early
	wantAgain(t, c.answers(429, "Retry-After: 60"), 15*time.Second)
}

func TestALostProxyInTheHistoryDoesNotShiftTheRing(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{Scope: retry.PerAddress})
	wantAgain(t, c.answers(429, "Retry-After: 60"), 0)
	wantAgain(t, c.fails(retry.ProxyInternalError, retry.MaybeProcessed), 0)
	wantAgain(t, c.answers(429, "Retry-After: 60"), 60*time.Second) // proxy-1 comes next, and was limited
}

// With another credential a proxy repeats an attempt at once; then the next one has its turn.
func TestAnAttemptThatItsProxyRepeatedDoesNotShiftTheRing(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{Scope: retry.PerAddress, RateLimits: retry.Budget{Attempts: 4}})
	repeated := func() { c.history = append(c.history, retry.Attempt{Status: 401}) }
	wantAgain(t, c.answers(429, "Retry-After: 60"), 0)                                        // proxy-1
	repeated()                                                                                // proxy-2
	wantAgain(t, c.answers(429, "Retry-After: 90"), 0)                                        // proxy-2
	wantAgain(t, c.answers(429, "Retry-After: 30"), 60*time.Second)                           // proxy-1 comes next, and was limited
	wantFailed(t, c.answers(429, "Retry-After: 30"), retry.AttemptsExhausted, 30*time.Second) // the fourth, without the 401

	c = get(t, retry.Policy{Scope: retry.PerAddress})
	c.request.MaxAttempts = 3
	repeated()
	wantAgain(t, c.answers(429), 0)
	wantFailed(t, c.answers(429), retry.AttemptsExhausted, time.Millisecond) // the caller allows three in all
}

func TestAFloorBeyondTheDeadlineIsAnsweredAtOnceWithWhatRemains(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{Scope: retry.PerAccount})
	c.request.Deadline = noon.Add(30 * time.Second)
	wantFailed(t, c.answers(429, "Retry-After: 3600"), retry.DeadlineExceeded, time.Hour)

	c = get(t, retry.Policy{})
	c.request.Deadline = noon.Add(30 * time.Second)
	wantAgain(t, c.answers(429, "Retry-After: 60"), 0) // another address may be let in
	c.now = c.now.Add(2 * time.Second)
	wantFailed(t, c.answers(429), retry.DeadlineExceeded, 58*time.Second)
}

func TestAFloorBeyondTheCapEndsTheRequestInsteadOfBeingCut(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{Scope: retry.PerAccount})
	c.request.Deadline = time.Time{}
	d := c.answers(429, "Retry-After: 901")
	wantFailed(t, d, retry.DeadlineExceeded, 901*time.Second)
	if !strings.Contains(d.Why, "15m0s") {
		t.Errorf("why %q does not name the cap", d.Why)
	}
	c = get(t, retry.Policy{Scope: retry.PerAccount})
	wantAgain(t, c.answers(429, "Retry-After: 900"), 15*time.Minute)
}

func TestAnAttemptThatCannotEndBeforeTheDeadlineIsNotStarted(t *testing.T) {
	t.Parallel()
	policy := retry.Policy{ServerErrors: retry.Budget{Jitter: retry.NoJitter}}
	c := get(t, policy)
	c.request.Deadline = noon.Add(time.Second + retry.MinimumAttemptTime)
	wantAgain(t, c.answers(503), time.Second)

	c = get(t, policy)
	c.request.Deadline = noon.Add(time.Second + retry.MinimumAttemptTime - 1)
	wantFailed(t, c.answers(503), retry.DeadlineExceeded, time.Second)

	c = get(t, policy)
	c.request.Deadline = noon.Add(-time.Second)
	wantFailed(t, c.answers(503), retry.DeadlineExceeded, time.Second)

	policy.AttemptTimeout = 100 * time.Millisecond
	c = get(t, policy)
	c.request.Deadline = noon.Add(1100 * time.Millisecond)
	wantAgain(t, c.answers(503), time.Second)
}

func TestADelayIsDrawnFromWhatIsLeftBeforeTheDeadline(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{})
	c.request.Deadline = noon.Add(700 * time.Millisecond)
	c.random = func() float64 { return 0.5 }
	wantAgain(t, c.answers(503), 100*time.Millisecond) // half of 700 ms less the least time of an attempt
}

func TestTheCallerCanAllowFewerAttempts(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{})
	c.request.MaxAttempts = 2
	wantAgain(t, c.answers(429), 0)
	d := c.answers(503, "Retry-After: 4")
	wantFailed(t, d, retry.AttemptsExhausted, 4*time.Second)
	if !strings.Contains(d.Why, "caller") {
		t.Errorf("why %q does not say whose limit it was", d.Why)
	}
	c = get(t, retry.Policy{})
	c.request.MaxAttempts = 100
	wantAgain(t, c.answers(503), 0)
	wantAgain(t, c.answers(503), 0)
	wantFailed(t, c.answers(503), retry.AttemptsExhausted, time.Millisecond)
}

func TestAFailureThatWouldComeAgainIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, kind := range []retry.ErrorType{
		retry.TLSCertificateError, retry.HTTPResponseBodySize, retry.HTTPResponseHeaderSectionSize, retry.DestinationIPProhibited,
		retry.HTTPRequestError, retry.HTTPRequestDenied, retry.ProxyConfigurationError, retry.ProxyLoopDetected,
	} {
		wantFailed(t, get(t, retry.Policy{}).fails(kind, retry.NotProcessed), retry.NotRetryable, 0)
	}
}

func TestALostProxyIsANetworkFailure(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{})
	for range retry.DefaultNetworkFailureAttempts - 1 {
		wantAgain(t, c.fails(retry.ProxyInternalError, retry.MaybeProcessed), 0)
	}
	wantFailed(t, c.fails(retry.ProxyInternalError, retry.MaybeProcessed), retry.AttemptsExhausted, time.Millisecond)
}

func TestAnAttemptIsRecordedWithoutLosingAFraction(t *testing.T) {
	t.Parallel()
	decision := retry.Decision{Kind: retry.RateLimit, Delay: 1500*time.Millisecond + 1, NotBefore: noon.Add(1), Why: "a test"}
	result := retry.Result{Status: 429, Received: noon}
	a := result.Attempt("proxy-2", noon.Add(-250*time.Millisecond), decision)
	want := retry.Attempt{
		Proxy: "proxy-2", Start: noon.UnixMilli() - 250, Duration: 250, Status: 429, Kind: retry.RateLimit,
		Wait: 1501, NotBefore: noon.UnixMilli() + 1, Why: "a test",
	}
	if a != want {
		t.Errorf("got  %+v\nwant %+v", a, want)
	}
	failed := retry.Result{Failure: &retry.Failure{Type: retry.DNSError, Details: "no such host"}, Received: noon}
	a = failed.Attempt("proxy-1", time.Time{}, retry.Decision{Kind: retry.NetworkFailure})
	want = retry.Attempt{Proxy: "proxy-1", Error: retry.DNSError, Details: "no such host", Kind: retry.NetworkFailure}
	if a != want {
		t.Errorf("got  %+v\nwant %+v", a, want)
	}
}

func BenchmarkNext(b *testing.B) {
	policy := retry.Default()
	request := retry.Request{Method: http.MethodGet, Proxies: 3, Deadline: noon.Add(time.Minute)}
	result := retry.Result{Status: 429, Header: http.Header{"Retry-After": {"2"}, "Date": {noon.Format(http.TimeFormat)}}, Received: noon}
	history := []retry.Attempt{{Status: 503, Kind: retry.ServerError}}
	for b.Loop() {
		policy.Next(request, history, result, lowest)
	}
}
