package asl_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

func TestARetryAfterAnHourIsWaitedForBetweenTheProxies(t *testing.T) {
	definition := strings.Replace(ring(3), `"TimeoutSeconds": 290,`, ``, 1)
	r, calls := runTask(t, definition, ringInput, asl.Options{}, map[string][]answer{
		proxyARN(1): {ringAnswer("retry", 3600)}, proxyARN(2): {ringAnswer("succeeded", 0)},
	})
	if r.Status != asl.Succeeded {
		t.Fatalf("the execution %s: %s %s", r.Status, r.Error, r.Cause)
	}
	if len(calls) != 2 || calls[0].function != proxyARN(1) || calls[1].function != proxyARN(2) {
		t.Fatalf("invoked were %+v", calls)
	}
	if waited := calls[1].at.Sub(calls[0].at); waited != time.Hour {
		t.Errorf("the second proxy was called after %v", waited)
	}
	if took := r.Stopped.Sub(r.Started); took != time.Hour {
		t.Errorf("the execution took %v", took)
	}
}

func TestDelaysBetweenRetriesGrowUpToTheLongest(t *testing.T) {
	tests := []struct {
		name, retry string
		random      float64
		answers     []answer
		want        []time.Duration // between the calls
	}{
		{"by default 1, 2 and 4 seconds", `{"ErrorEquals":["States.ALL"]}`, 0, []answer{throttled},
			[]time.Duration{time.Second, 2 * time.Second, 4 * time.Second}},
		{"with an interval and a rate", `{"ErrorEquals":["States.ALL"],"IntervalSeconds":3,"BackoffRate":1.5,"MaxAttempts":4}`, 0, []answer{throttled},
			[]time.Duration{3 * time.Second, 4500 * time.Millisecond, 6750 * time.Millisecond, 10125 * time.Millisecond}},
		{"up to MaxDelaySeconds", `{"ErrorEquals":["States.ALL"],"IntervalSeconds":1,"BackoffRate":10,"MaxDelaySeconds":60,"MaxAttempts":4}`, 0, []answer{throttled},
			[]time.Duration{time.Second, 10 * time.Second, time.Minute, time.Minute}},
		{"without jitter", `{"ErrorEquals":["States.ALL"],"IntervalSeconds":10,"MaxAttempts":1,"JitterStrategy":"NONE"}`, 0.25, []answer{throttled},
			[]time.Duration{10 * time.Second}},
		{"with full jitter", `{"ErrorEquals":["States.ALL"],"IntervalSeconds":10,"MaxAttempts":3,"MaxDelaySeconds":30,"JitterStrategy":"FULL"}`, 0.25, []answer{throttled},
			[]time.Duration{2500 * time.Millisecond, 5 * time.Second, 7500 * time.Millisecond}},
		{"for ten hours", `{"ErrorEquals":["States.ALL"],"IntervalSeconds":36000,"BackoffRate":1,"MaxAttempts":2}`, 0, []answer{throttled},
			[]time.Duration{10 * time.Hour, 10 * time.Hour}},
		{"up to a year", `{"ErrorEquals":["States.ALL"],"IntervalSeconds":10000000,"BackoffRate":1000,"MaxAttempts":2}`, 0, []answer{throttled},
			[]time.Duration{10000000 * time.Second, 366 * 24 * time.Hour}},
		{"each retrier for itself", `{"ErrorEquals":["Runtime.ExitError"],"IntervalSeconds":5},{"ErrorEquals":["States.ALL"],"IntervalSeconds":1}`, 0,
			[]answer{throttled, crashed, throttled, crashed, {payload: `1`}},
			[]time.Duration{time.Second, 5 * time.Second, 2 * time.Second, 10 * time.Second}},
		{"the first that matches alone", `{"ErrorEquals":["Lambda.TooManyRequestsException"],"MaxAttempts":1},{"ErrorEquals":["States.ALL"],"MaxAttempts":9}`, 0, []answer{throttled},
			[]time.Duration{time.Second}},
		{"none with MaxAttempts 0", `{"ErrorEquals":["States.ALL"],"MaxAttempts":0}`, 0, []answer{throttled}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, calls := runTask(t, task(`"Retry":[`+test.retry+`],`), `{}`, asl.Options{Random: func() float64 { return test.random }}, functions(test.answers...))
			var got []time.Duration
			for i := 1; i < len(calls); i++ {
				got = append(got, calls[i].at.Sub(calls[i-1].at))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("delays (-want +got):\n%s", diff)
			}
		})
	}
}

func TestADelayNeverExceedsItsBounds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		interval := rapid.IntRange(1, 1000).Draw(rt, "interval")
		rate := rapid.Float64Range(1, 100).Draw(rt, "rate")
		longest := rapid.IntRange(interval+1, 100000).Draw(rt, "longest")
		attempts := rapid.IntRange(0, 20).Draw(rt, "attempts")
		random := rapid.Float64Range(0, 0.999).Draw(rt, "random")
		definition := task(fmt.Sprintf(`"Retry":[{"ErrorEquals":["States.ALL"],"IntervalSeconds":%d,"BackoffRate":%g,"MaxDelaySeconds":%d,"MaxAttempts":%d,"JitterStrategy":"FULL"}],`,
			interval, rate, longest, attempts))
		_, calls := runTask(t, definition, `{}`, asl.Options{Random: func() float64 { return random }}, functions(throttled))
		if len(calls) != attempts+1 {
			rt.Fatalf("%d calls, not %d", len(calls), attempts+1)
		}
		for i := 1; i < len(calls); i++ {
			if d := calls[i].at.Sub(calls[i-1].at); d < 0 || d > time.Duration(longest)*time.Second {
				rt.Fatalf("a delay of %v", d)
			}
		}
	})
}

func TestRetriesAreCountedAnewWhenAStateIsEnteredAgain(t *testing.T) {
	definition := states("T",
		`"T":`+taskState(`"Retry":[{"ErrorEquals":["States.ALL"],"MaxAttempts":1}],"Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.fault","Next":"Again"}],"Next":"End"`),
		`"Again":{"Type":"Choice","Choices":[{"Variable":"$.second","IsPresent":true,"Next":"End"}],"Default":"Mark"}`,
		`"Mark":{"Type":"Pass","Result":true,"ResultPath":"$.second","Next":"T"}`,
		`"End":{"Type":"Succeed"}`)
	_, calls := runTask(t, definition, `{}`, asl.Options{}, functions(throttled))
	if len(calls) != 4 {
		t.Errorf("%d calls, not 4", len(calls))
	}
}

func TestTheContextObjectTellsTheRetryCount(t *testing.T) {
	definition := one(`{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","Payload.$":"$$.State.RetryCount"},
		"Retry":[{"ErrorEquals":["States.ALL"]}],"End":true}`)
	_, calls := runTask(t, definition, `{}`, asl.Options{}, functions(throttled))
	var got []string
	for _, c := range calls {
		got = append(got, c.payload)
	}
	if diff := cmp.Diff([]string{"0", "1", "2", "3"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestATaskThatTakesTooLongTimesOut(t *testing.T) {
	for _, definition := range []string{task(`"TimeoutSeconds":10,`), task(`"TimeoutSecondsPath":"$.t",`)} {
		r, _ := runTask(t, definition, `{"t":10}`, asl.Options{}, functions(answer{payload: `1`, takes: 11 * time.Second}))
		wantFailure(t, r, asl.Timeout, "")
		wantEvents(t, r, asl.ExecutionStarted, asl.TaskStateEntered, asl.TaskScheduled, asl.TaskStarted, asl.TaskTimedOut, asl.ExecutionFailed)
		if took := r.Stopped.Sub(r.Started); took != 10*time.Second {
			t.Errorf("it took %v", took)
		}
		if got := r.Events[2].TaskScheduled.TimeoutInSeconds; got != 10 {
			t.Errorf("the timeout is told as %d", got)
		}
		r, _ = runTask(t, definition, `{"t":10}`, asl.Options{}, functions(answer{payload: `1`, takes: 9 * time.Second}))
		wantSuccess(t, r, `{"answer":1}`)
	}
}

func TestATimeoutFromTheInputMustBeAWholeNumberOfSeconds(t *testing.T) {
	for _, timeout := range []string{`0`, `-1`, `1.5`, `"1"`, `null`} {
		r, calls := runTask(t, task(`"TimeoutSecondsPath":"$.t",`), `{"t":`+timeout+`}`, asl.Options{}, functions(answer{payload: `1`}))
		if r.Status != asl.Failed || r.Error != asl.Runtime || !strings.Contains(r.Cause, "TimeoutSecondsPath") || len(calls) != 0 {
			t.Errorf("%s: got %s %s %s after %d calls", timeout, r.Status, r.Error, r.Cause, len(calls))
		}
	}
}

func TestEachAttemptHasTheWholeTimeout(t *testing.T) {
	r, calls := runTask(t, task(`"TimeoutSeconds":10,"Retry":[{"ErrorEquals":["States.Timeout"],"IntervalSeconds":1,"MaxAttempts":1}],`), `{}`, asl.Options{},
		functions(answer{payload: `1`, takes: time.Hour}, answer{payload: `2`, takes: 9 * time.Second}))
	wantSuccess(t, r, `{"answer":2}`)
	if len(calls) != 2 || calls[1].at.Sub(start) != 11*time.Second {
		t.Errorf("calls: %+v", calls)
	}
}

func TestAMachineThatTakesTooLongTimesOut(t *testing.T) {
	tests := []struct {
		name, definition string
		most             time.Duration
		took             time.Duration
	}{
		{"while it waits", `{"StartAt":"W","TimeoutSeconds":60,"States":{"W":{"Type":"Wait","Seconds":61,"End":true}}}`, 0, time.Minute},
		{"while a task runs", `{"StartAt":"One","TimeoutSeconds":60,"States":{"One":` + taskState(`"TimeoutSeconds":300,"Catch":[{"ErrorEquals":["States.ALL"],"Next":"One"}],"End":true`) + `}}`, 0, time.Minute},
		{"while it waits for a retry", `{"StartAt":"One","TimeoutSeconds":60,"States":{"One":` + taskState(`"TimeoutSeconds":1,"Retry":[{"ErrorEquals":["States.ALL"],"IntervalSeconds":100}],"End":true`) + `}}`, 0, time.Minute},
		{"by the bound of an Express workflow", `{"StartAt":"W","TimeoutSeconds":600,"States":{"W":{"Type":"Wait","Seconds":601,"End":true}}}`, 5 * time.Minute, 5 * time.Minute},
		{"by its own bound", `{"StartAt":"W","TimeoutSeconds":60,"States":{"W":{"Type":"Wait","Seconds":601,"End":true}}}`, 5 * time.Minute, time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, _ := runTask(t, test.definition, `{}`, asl.Options{MaxDuration: test.most}, functions(answer{payload: `1`, takes: time.Hour}))
			if r.Status != asl.TimedOut || r.Error != "" || r.Output != "" {
				t.Errorf("got %s %s", r.Status, r.Error)
			}
			if took := r.Stopped.Sub(r.Started); took != test.took {
				t.Errorf("it took %v, not %v", took, test.took)
			}
			if last := r.Events[len(r.Events)-1]; last.Type != asl.ExecutionTimedOut || last.ExecutionTimedOut == nil {
				t.Errorf("the last event is %+v", last)
			}
			if test.name == "while a task runs" {
				wantEvents(t, r, asl.ExecutionStarted, asl.TaskStateEntered, asl.TaskScheduled, asl.TaskStarted, asl.ExecutionTimedOut)
			}
		})
	}
}

func TestAnExecutionIsAbortedWhenItsContextIsDone(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	m := parse(t, one(`{"Type":"Wait","Seconds":1000,"End":true}`))
	r, err := m.Run(ctx, []byte(`{}`), asl.Options{Clock: clock.Real, OnEvent: func(e asl.Event) {
		if e.Type == asl.WaitStateEntered {
			cancel(&asl.Failure{Name: "Enough", Cause: "of this"})
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != asl.Aborted || r.Error != "Enough" || r.Cause != "of this" {
		t.Errorf("got %+v", r)
	}
	last := r.Events[len(r.Events)-1]
	if last.Type != asl.ExecutionAborted || last.PreviousEventID != 0 || last.ExecutionAborted.Error != "Enough" {
		t.Errorf("the last event is %+v", last)
	}
}

func TestARingWithoutWaitsCanBeAborted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	m := parse(t, states("A", `"A":{"Type":"Pass","Next":"B"}`, `"B":{"Type":"Choice","Choices":[{"Variable":"$.x","IsPresent":true,"Next":"E"}],"Default":"A"}`, `"E":{"Type":"Succeed"}`))
	n := 0
	r, err := m.Run(ctx, []byte(`{}`), asl.Options{OnEvent: func(asl.Event) {
		if n++; n == 100 {
			cancel()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != asl.Aborted || len(r.Events) > 103 {
		t.Errorf("%s after %d events", r.Status, len(r.Events))
	}
}

func TestAWaitUntilATimeEndsThen(t *testing.T) {
	tests := []struct {
		state, input string
		want         time.Duration
	}{
		{`{"Type":"Wait","Seconds":0,"End":true}`, `{}`, 0},
		{`{"Type":"Wait","Seconds":90,"End":true}`, `{}`, 90 * time.Second},
		{`{"Type":"Wait","SecondsPath":"$.s","End":true}`, `{"s":2.0}`, 2 * time.Second},
		{`{"Type":"Wait","Timestamp":"2026-11-21T12:30:00Z","End":true}`, `{}`, 30 * time.Minute},
		{`{"Type":"Wait","Timestamp":"2026-11-21T13:30:00+01:00","End":true}`, `{}`, 30 * time.Minute},
		{`{"Type":"Wait","Timestamp":"2020-01-01T00:00:00Z","End":true}`, `{}`, 0},
		{`{"Type":"Wait","TimestampPath":"$.t","End":true}`, `{"t":"2026-11-21T22:00:00.500Z"}`, 10*time.Hour + 500*time.Millisecond},
	}
	for _, test := range tests {
		r := run(t, one(test.state), test.input, asl.Options{})
		if took := r.Stopped.Sub(r.Started); r.Status != asl.Succeeded || took != test.want {
			t.Errorf("%s with %s: %s after %v, not %v", test.state, test.input, r.Status, took, test.want)
		}
	}
}

func TestAWaitThatCannotBeReadFails(t *testing.T) {
	tests := []struct{ state, input, cause string }{
		{`{"Type":"Wait","SecondsPath":"$.s","End":true}`, `{"s":1.5}`, "The SecondsPath parameter cannot be parsed as a long value: $.s == 1.5"},
		{`{"Type":"Wait","SecondsPath":"$.s","End":true}`, `{"s":"1"}`, "The SecondsPath parameter cannot be parsed as a long value: $.s == 1"},
		{`{"Type":"Wait","SecondsPath":"$.s","End":true}`, `{"s":-1}`, "The SecondsPath parameter references a negative value: $.s == -1"},
		{`{"Type":"Wait","SecondsPath":"$.s","End":true}`, `{}`, "The SecondsPath parameter does not reference an input value: $.s"},
		{`{"Type":"Wait","SecondsPath":"$.s","End":true}`, `{"s":2147483648}`, "Wait state delay is too long."},
		{`{"Type":"Wait","SecondsPath":"$.s","End":true}`, `{"s":9223372036854775807}`, "Wait state delay is too long."},
		{`{"Type":"Wait","Timestamp":"9999-01-01T00:00:00Z","End":true}`, `{}`, "Wait state delay is too long."},
		{`{"Type":"Wait","TimestampPath":"$.t","End":true}`, `{"t":"2026-11-21T12:00:00"}`, "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: $.t == 2026-11-21T12:00:00"},
		{`{"Type":"Wait","TimestampPath":"$.t","End":true}`, `{"t":5}`, "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: $.t == 5"},
		{`{"Type":"Wait","TimestampPath":"$.t","End":true}`, `{}`, "The TimestampPath parameter does not reference an input value: $.t"},
	}
	for _, test := range tests {
		wantFailure(t, run(t, one(test.state), test.input, asl.Options{}), asl.Runtime,
			"An error occurred while executing the state 'One' (entered at the event id #2). "+test.cause)
	}
}
