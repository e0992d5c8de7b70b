package timeshift_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack/timeshift"
)

func tenSecondsAhead(function string) time.Duration {
	return map[string]time.Duration{"fast": 10 * time.Second, "slow": -10 * time.Second}[function]
}

func TestAFunctionWhoseClockIsAheadSeesMomentsEarlierAndTellsThemLater(t *testing.T) {
	for function, ahead := range map[string]time.Duration{"right": 0, "fast": 10 * time.Second, "slow": -10 * time.Second} {
		answer := message.Failure("request-1", retry.DeadlineExceeded, []retry.Attempt{{Proxy: "proxy-1", NotBefore: real + 2000}})
		answer.NotBefore, answer.Expiration = real+3000, real/1000+4
		var sent string
		functions := timeshift.Ahead(asl.LambdaFunc(func(_ context.Context, _ string, payload []byte) (asl.Invocation, error) {
			sent = string(payload)
			return asl.Invocation{Payload: []byte(text(answer))}, nil
		}), tenSecondsAhead)
		invocation, err := functions.Invoke(t.Context(), function, []byte(toProxy(0, time.Minute, time.Second)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(toProxy(0, time.Minute-ahead, time.Second-ahead), sent); diff != "" {
			t.Errorf("the function whose clock is %s was sent something else (-want +got):\n%s", function, diff)
		}
		answer.Attempts[0].NotBefore += ahead.Milliseconds()
		answer.NotBefore += ahead.Milliseconds()
		answer.Expiration += int64(ahead.Seconds())
		if diff := cmp.Diff(text(answer), string(invocation.Payload)); diff != "" {
			t.Errorf("the function whose clock is %s answered something else (-want +got):\n%s", function, diff)
		}
	}
}

func TestWhatIsNoEnvelopeIsLeftAloneWhateverTheClock(t *testing.T) {
	failure := errors.New("it cannot be invoked")
	for _, c := range []struct {
		invocation asl.Invocation
		err        error
	}{
		{invocation: asl.Invocation{Payload: []byte(`{"errorType":"x"}`), FunctionError: "Unhandled"}},
		{invocation: asl.Invocation{Payload: []byte(`"text"`)}},
		{err: failure},
	} {
		functions := timeshift.Ahead(asl.LambdaFunc(func(_ context.Context, _ string, payload []byte) (asl.Invocation, error) {
			if string(payload) != `{"a":1}` {
				t.Errorf("the function was sent %s", payload)
			}
			return c.invocation, c.err
		}), tenSecondsAhead)
		got, err := functions.Invoke(t.Context(), "fast", []byte(`{"a":1}`))
		if diff := cmp.Diff(c.invocation, got); diff != "" || !errors.Is(err, c.err) {
			t.Errorf("the invocation came out with %v and (-want +got):\n%s", err, diff)
		}
	}
}
