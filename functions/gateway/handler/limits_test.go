package handler

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/smithy-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// A patientEngine notes until when it may take.
type patientEngine struct {
	*fakeEngine
	until time.Time
}

func (e *patientEngine) StartSyncExecution(ctx context.Context, in *sfn.StartSyncExecutionInput, options ...func(*sfn.Options)) (*sfn.StartSyncExecutionOutput, error) {
	e.until, _ = ctx.Deadline()
	return e.fakeEngine.StartSyncExecution(ctx, in, options...)
}

// The last proxy says how it ended, and its answer has to come back, after the deadline too.
func TestTheGatewayWaitsForTheStateMachineTwoSecondsLongerThanItsCallerDoes(t *testing.T) {
	engine := &patientEngine{fakeEngine: ends(ok)}
	b := newBench(t, engine)
	b.send(t, request("GET", "/", "prefer", "wait=20"))
	if want := noon.Add(22 * time.Second); !engine.until.Equal(want) {
		t.Errorf("it waits until %v, want %v", engine.until, want)
	}
}

func TestARecordStaysLockedForHalfAMinuteAfterTheDeadline(t *testing.T) {
	engine := ends(ok)
	b := newBench(t, engine)
	b.send(t, keyed(`"k"`, "one", "prefer", "wait=20"))
	record, err := b.store.Get(t.Context(), engine.started(t).Record.ID)
	if err != nil {
		t.Fatal(err)
	}
	if want := noon.Add(50 * time.Second); !record.LeaseEnd.Equal(want) {
		t.Errorf("it is locked until %v, want %v", record.LeaseEnd, want)
	}
}

func TestWhenStepFunctionsCannotBeReachedCallersAreAskedToWaitFiveSeconds(t *testing.T) {
	b := newBench(t, &fakeEngine{end: func(*message.Envelope) (*sfn.StartSyncExecutionOutput, error) {
		return nil, &throttling{}
	}})
	response := b.send(t, request("GET", "/"))
	wantProblem(t, response, 503, "engine-unavailable")
	if got := response.Headers["retry-after"]; got != "5" {
		t.Errorf("Retry-After is %q, want 5", got)
	}
}

// throttling is a refusal of the service.
type throttling struct{}

func (*throttling) Error() string                 { return "ThrottlingException" }
func (*throttling) ErrorCode() string             { return "ThrottlingException" }
func (*throttling) ErrorMessage() string          { return "Rate exceeded" }
func (*throttling) ErrorFault() smithy.ErrorFault { return smithy.FaultClient }
