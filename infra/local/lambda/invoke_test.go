package lambda_test

import (
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/lambda"
)

func TestAWarmProcessServesTheNextInvocation(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	first := invoke(t, host, `{}`)
	second := invoke(t, host, `{}`)
	if !first.Cold || second.Cold {
		t.Errorf("cold: first %v, second %v; want true, false", first.Cold, second.Cold)
	}
	if first.InitDuration <= 0 || second.InitDuration != 0 {
		t.Errorf("init durations: first %v, second %v; want some, none", first.InitDuration, second.InitDuration)
	}
	a, b := parseReport(t, first), parseReport(t, second)
	if a.PID != b.PID || b.Count != 2 {
		t.Errorf("the second invocation ran in process %d as number %d, want process %d, number 2", b.PID, b.Count, a.PID)
	}
}
