package stacktest_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/stacktest"
)

func TestAStepFunctionsThatThrottlesStartsNothing(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t), stacktest.Faults("throttle=1"))
	run := bench.Run(stacktest.Post("/orders", "tea"))
	if run.StatusCode != 503 || run.Header.Get("Retry-After") == "" || len(run.States) != 0 {
		t.Errorf("the answer is %v, want 503 with Retry-After, and no execution", run)
	}
}

func TestFaultsThatCannotBeReadFailTheTest(t *testing.T) {
	t.Parallel()
	dir := cdkOut(t)
	fails(t, func(t testing.TB) { stacktest.Load(t, dir, stacktest.Faults("trottle=0.1,lost=2")) },
		`the faults of the bench are "trottle=0.1,lost=2"`, `"trottle=0.1" is not known`, `lost is "2"`)
}

// The gateway is frozen between requests, so that it does not see that its connections were closed.
func TestConnectionsToAWSThatWereClosedMeanwhileAreNotUsed(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t), stacktest.EndpointIdleTimeout(10*time.Millisecond))
	for i := range 10 {
		bench.Upstream(stacktest.Answer(201))
		request := stacktest.Post("/orders", "tea")
		if i%2 == 1 { // which DynamoDB is asked for, too
			request = request.IdempotencyKey(strconv.Itoa(i))
		}
		if run := bench.Run(request); run.StatusCode != 201 {
			t.Errorf("request %d is answered with %v, want 201", i+1, run)
		}
		time.Sleep(30 * time.Millisecond) // in which the endpoints close the connection
	}
}

func TestToAProxyWhoseClockIsAheadTheDeadlineHasPassed(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t), stacktest.ClockAhead("proxy-1", time.Hour))
	if run := bench.Run(stacktest.Get("/")); run.StatusCode != 504 || len(bench.Received()) != 0 {
		t.Errorf("the answer is %v, want 504 and no request", run)
	}
}

func TestWhereTheGatewaysClockIsBehindTheDeadlineHasPassedForAllProxies(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t), stacktest.ClockAhead("gateway", -time.Hour))
	if run := bench.Run(stacktest.Get("/")); run.StatusCode != 504 || len(bench.Received()) != 0 {
		t.Errorf("the answer is %v, want 504 and no request", run)
	}
}

func TestFunctionsWhoseClocksAreWrongByTheSameSeeNothingOfIt(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t), stacktest.ClockAhead("gateway", time.Hour), stacktest.ClockAhead("proxy-1", time.Hour))
	bench.Upstream(stacktest.Answer(200))
	if run := bench.Run(stacktest.Get("/")); run.StatusCode != 200 {
		t.Errorf("the answer is %v, want 200", run)
	}
}

func TestTheClockOfAFunctionThatIsNotThereFailsTheTest(t *testing.T) {
	t.Parallel()
	dir := cdkOut(t)
	fails(t, func(t testing.TB) { stacktest.Load(t, dir, stacktest.ClockAhead("proxy-9", time.Hour)) }, `"proxy-9"`, "gateway", "proxy-1, proxy-2, proxy-3")
}

func TestTheFirstAttemptIsTheProxysThatTheTestNames(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t), stacktest.Start(3), policy(`{"networkFailures":{"attempts":3,"base":"1ms","max":"1ms"}}`))
	bench.Upstream(stacktest.Reset(), stacktest.Answer(200))
	run := bench.Run(stacktest.Get("/"))
	if run.StatusCode != 200 || len(run.Attempts) != 2 || run.Attempts[0].Proxy != "proxy-3" || run.Attempts[1].Proxy != "proxy-1" {
		t.Errorf("the attempts are %+v, want one of proxy-3 and one of proxy-1", run.Attempts)
	}
}

func TestSecretsThatCannotBeFailTheTestAndAreNotSaid(t *testing.T) {
	t.Parallel()
	dir := cdkOut(t)
	load := func(t testing.TB) {
		stacktest.Load(t, dir, stacktest.Secrets(map[string]string{"a b": "hidden"}), stacktest.Secrets(map[string]string{"empty": ""}))
	}
	fails(t, load, `"a b" is no name of a secret`, `the value of the secret "empty" has 0 bytes`)
	if said := try(t, load).said.String(); strings.Contains(said, "hidden") {
		t.Errorf("the test said %s", said)
	}
}
