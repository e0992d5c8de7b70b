package stacktest_test

import (
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/stacktest"
)

func TestWhereTheGatewayTakesTheOnlySlotNoProxyRuns(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t), stacktest.Concurrency(1))
	run := bench.Run(stacktest.Get("/"))
	if run.StatusCode < 500 || len(bench.Received()) != 0 {
		t.Errorf("the answer is %d after %d requests to the upstream, want a failure after none", run.StatusCode, len(bench.Received()))
	}
}

func TestTwoSlotsAreEnoughForARequest(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t), stacktest.Concurrency(2))
	bench.Upstream(stacktest.Answer(500), stacktest.Answer(200))
	if run := bench.Run(stacktest.Get("/")); run.StatusCode != 200 {
		t.Errorf("the answer is %d, want 200", run.StatusCode)
	}
}
