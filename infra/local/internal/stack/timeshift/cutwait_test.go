package timeshift_test

import (
	"context"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack/timeshift"
)

func TestAWaitThatIsCutOffMovesNoMoments(t *testing.T) {
	shifting := timeshift.New(virtual(), functionsClock)
	execution, cancel := shifting.WithTimeout(clock.WithLead(context.Background(), new(time.Duration)), time.Hour)
	defer cancel()
	cut, end := context.WithCancel(execution)
	end()
	if err := shifting.Wait(cut, time.Minute); err == nil {
		t.Error("the wait was not cut off")
	}
	want := toProxy(0, 30*time.Second)
	function := asl.LambdaFunc(func(_ context.Context, _ string, payload []byte) (asl.Invocation, error) {
		same(t, string(payload), want)
		return asl.Invocation{Payload: []byte(succeeded.answer)}, nil
	})
	if _, err := shifting.Lambda(function).Invoke(execution, "proxy", []byte(want)); err != nil {
		t.Fatal(err)
	}
}
