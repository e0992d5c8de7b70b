package asl_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

func TestAnOutputMayBeAsLargeAsTheLimitAndNoLarger(t *testing.T) {
	// The output {"a":"x…"} has n+8 bytes.
	definition := one(`{"Type":"Pass","Parameters":{"a.$":"$"},"End":true}`)
	n := asl.MaxPayload - 8
	for extra, want := range []asl.Status{asl.Succeeded, asl.Failed} {
		r := run(t, definition, `"`+strings.Repeat("x", n+extra)+`"`, asl.Options{})
		if r.Status != want {
			t.Errorf("with an output of %d bytes: %s %s", n+extra+8, r.Status, r.Error)
		}
		if want == asl.Failed {
			wantFailure(t, r, asl.DataLimitExceeded, "The state/task 'One' returned a result with a size exceeding the maximum number of bytes service limit.")
			wantEvents(t, r, asl.ExecutionStarted, asl.PassStateEntered, asl.ExecutionFailed)
		}
	}
}

func TestSizesAreCountedInBytesOfUTF8(t *testing.T) {
	definition := one(`{"Type":"Pass","Parameters":{"a.$":"$","b.$":"$"},"End":true}`)
	r := run(t, definition, `"`+strings.Repeat("é", asl.MaxPayload/4)+`"`, asl.Options{})
	if r.Error != asl.DataLimitExceeded {
		t.Errorf("got %s %s", r.Status, r.Error)
	}
}

func TestAResultThatIsTooLargeFailsTheTask(t *testing.T) {
	r, _ := runTask(t, task(``), `{}`, asl.Options{}, functions(answer{payload: `"` + strings.Repeat("x", asl.MaxPayload-100) + `"`}))
	wantFailure(t, r, asl.DataLimitExceeded, "The state/task 'lambda' returned a result with a size exceeding the maximum number of bytes service limit.")
	wantEvents(t, r, asl.ExecutionStarted, asl.TaskStateEntered, asl.TaskScheduled, asl.TaskStarted, asl.TaskFailedEvent, asl.ExecutionFailed)
}

// The answer is all that Task, Choice and Wait hand on: with the request beside it, it would not fit.
func TestABodyNearTheLimitTravelsRoundTheRing(t *testing.T) {
	body := strings.Repeat("x", 240<<10)
	large := func(outcome string) answer {
		return answer{payload: fmt.Sprintf(`{"outcome":%q,"waitSeconds":1,"body":%q}`, outcome, body)}
	}
	r, calls := runTask(t, ring(2), ringInput, asl.Options{}, map[string][]answer{
		proxyARN(1): {large("retry"), large("retry")}, proxyARN(2): {large("retry"), large("succeeded")},
	})
	if r.Status != asl.Succeeded || len(calls) != 4 || !strings.Contains(r.Output, body) {
		t.Errorf("%s %s %s after %d calls", r.Status, r.Error, r.Cause, len(calls))
	}
}

func TestAnExecutionEndsBeforeItsHistoryOverflows(t *testing.T) {
	definition := states("A", `"A":{"Type":"Pass","Next":"B"}`,
		`"B":{"Type":"Choice","Choices":[{"Variable":"$.x","IsPresent":true,"Next":"E"}],"Default":"A"}`, `"E":{"Type":"Succeed"}`)
	r := run(t, definition, `{}`, asl.Options{})
	if len(r.Events) != asl.MaxEvents {
		t.Errorf("%d events", len(r.Events))
	}
	wantFailure(t, r, asl.Runtime, "The execution reached the maximum number of history events (25000).")
	if last := r.Events[len(r.Events)-1]; last.Type != asl.ExecutionFailed || last.ID != asl.MaxEvents {
		t.Errorf("the last event is %+v", last)
	}

	endless := task(`"Retry":[{"ErrorEquals":["States.ALL"],"MaxAttempts":99999999,"BackoffRate":1}],`)
	r, calls := runTask(t, endless, `{}`, asl.Options{}, functions(throttled))
	if len(r.Events) != asl.MaxEvents || r.Status != asl.Failed || len(calls) > asl.MaxEvents/3 {
		t.Errorf("%s with %d events after %d calls", r.Status, len(r.Events), len(calls))
	}
}
