package handler

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
)

// An endingEngine ends all executions in the same way, and keeps nothing.
type endingEngine struct{ out *sfn.StartSyncExecutionOutput }

func (e endingEngine) StartSyncExecution(context.Context, *sfn.StartSyncExecutionInput, ...func(*sfn.Options)) (*sfn.StartSyncExecutionOutput, error) {
	return e.out, nil
}

// BenchmarkRequest measures what the gateway itself does for a request, the line of the log among it: all but the execution.
func BenchmarkRequest(b *testing.B) {
	bench := newBench(b, endingEngine{endedWith(ok)})
	bench.log = slog.New(slog.NewJSONHandler(io.Discard, nil))
	ctx := lambdacontext.NewContext(b.Context(), &lambdacontext.LambdaContext{AwsRequestID: "0c5f2a4e-1111-4222-8333-444455556666"})
	event := request("GET", "/orders/7", "accept", "application/json", "user-agent", "shop/1.0")
	b.ReportAllocs()
	for b.Loop() {
		if response, err := bench.Handle(ctx, event); err != nil || response.StatusCode != 200 {
			b.Fatal(response.StatusCode, err)
		}
	}
}
