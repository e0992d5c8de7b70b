package timeshift

import (
	"context"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

// Ahead has the clocks of functions be wrong. A function cannot tell whether its clock is ahead or the moments that it is
// told of are early, nor can whoever reads its answer; so the functions keep their clocks, and the moments in what goes to
// them and comes from them are moved. by says how far the clock of a function is ahead; below zero it is behind.
//
// What a function learns of the time from somebody else, such as a date in an answer of the upstream, is not moved.
func Ahead(next asl.Lambda, by func(functionName string) time.Duration) asl.Lambda {
	return asl.LambdaFunc(func(ctx context.Context, functionName string, payload []byte) (asl.Invocation, error) {
		ahead := by(functionName)
		if ahead == 0 {
			return next.Invoke(ctx, functionName, payload)
		}
		if envelope := decode(payload); move(envelope, -ahead) {
			payload = encode(envelope, payload)
		}
		invocation, err := next.Invoke(ctx, functionName, payload)
		if err != nil || invocation.FunctionError != "" {
			return invocation, err
		}
		envelope := decode(invocation.Payload)
		moved := move(envelope, ahead)
		// The moments that the gateway reads at the end.
		if envelope.NotBefore != 0 {
			envelope.NotBefore += ahead.Milliseconds()
			moved = true
		}
		if envelope.Expiration != 0 {
			envelope.Expiration += int64(ahead / time.Second)
			moved = true
		}
		if moved {
			invocation.Payload = encode(envelope, invocation.Payload)
		}
		return invocation, nil
	})
}
