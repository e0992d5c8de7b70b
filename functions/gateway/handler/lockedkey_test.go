package handler

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// A key that is freed too early has the upstream called twice. Each of these ends leaves open whether it was called.
func TestTheKeyStaysLockedAfterEveryEndThatLeavesTheOutcomeOpen(t *testing.T) {
	ended := func(status types.SyncExecutionStatus, cause string) func() (*sfn.StartSyncExecutionOutput, error) {
		return func() (*sfn.StartSyncExecutionOutput, error) {
			return &sfn.StartSyncExecutionOutput{Status: status, Cause: aws.String(cause)}, nil
		}
	}
	fails := func(err error) func() (*sfn.StartSyncExecutionOutput, error) {
		return func() (*sfn.StartSyncExecutionOutput, error) { return nil, err }
	}
	for what, c := range map[string]struct {
		end    func() (*sfn.StartSyncExecutionOutput, error)
		status int
		name   string
	}{
		"the execution timed out":          {ended("TIMED_OUT", ""), 504, "outcome-unknown"},
		"no answer came in time":           {fails(context.DeadlineExceeded), 504, "outcome-unknown"},
		"the engine failed":                {ended("FAILED", "An error occurred"), 502, "engine-failed"},
		"the connection broke":             {fails(io.ErrUnexpectedEOF), 502, "engine-failed"},
		"the connection could not be read": {fails(&net.OpError{Op: "read", Net: "tcp", Err: errors.New("reset")}), 502, "engine-failed"},
	} {
		t.Run(what, func(t *testing.T) {
			engine := &fakeEngine{end: func(*message.Envelope) (*sfn.StartSyncExecutionOutput, error) { return c.end() }}
			b := newBench(t, engine)
			wantProblem(t, b.send(t, keyed("k", "one")), c.status, c.name)
			wantProblem(t, b.send(t, keyed("k", "one", "prefer", "wait=1")), 409, idempotencyhttp.KeyInUse)
			if waited := b.clock.now.Sub(noon); len(engine.inputs) != 1 || waited != time.Second {
				t.Errorf("%d executions were started, and the second request waited for %v", len(engine.inputs), waited)
			}
		})
	}
}
