package asl_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// A stand is where an execution stood, and what the world was like then.
type stand struct {
	position asl.Position
	events   []asl.Event
	at       time.Time
	next     map[string]int // of the script
}

// stands runs a definition and gives the positions that it told.
func stands(t *testing.T, definition, input string, answers map[string][]answer) (*asl.Result, []stand) {
	t.Helper()
	var told []asl.Event
	var all []stand
	c := clock.NewVirtual(start)
	s := newScript(c, answers)
	r := run(t, definition, input, asl.Options{
		Clock: c, Lambda: s, DynamoDB: asl.DynamoDBFunc(s.updateItem), Random: func() float64 { return 0.5 },
		OnEvent: func(e asl.Event) { told = append(told, e) },
		OnPosition: func(p asl.Position) error {
			all = append(all, stand{p, slices.Clone(told), c.Now(), maps.Clone(s.next)})
			return nil
		},
	})
	return r, all
}

// resume goes on from there so much later.
func (from stand) resume(t *testing.T, definition string, answers map[string][]answer, later time.Duration) (*asl.Result, []invocation) {
	t.Helper()
	c := clock.NewVirtual(from.at.Add(later))
	s := newScript(c, answers)
	s.next = maps.Clone(from.next)
	var position asl.Position // as it was kept
	text, err := json.Marshal(from.position)
	if err == nil {
		err = json.Unmarshal(text, &position)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := parse(t, definition).Resume(t.Context(), from.events, position, asl.Options{
		Clock: c, Lambda: s, DynamoDB: asl.DynamoDBFunc(s.updateItem), Random: func() float64 { return 0.5 },
		Execution: asl.ExecutionContext{Started: start},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r, s.calls
}

// All definitions that others judge are interrupted at each position, and go on as if nothing had been.
func TestAnExecutionThatIsInterruptedAnywhereBetweenItsCallsGoesOnAsIfItHadNotBeen(t *testing.T) {
	cases := append(slices.Clone(judged), judgedCase{
		name: "a ring", definition: ring(3), input: ringInput, answers: map[string][]answer{
			proxyARN(1): {throttled, throttled, ringAnswer("retry", 100)}, proxyARN(2): {crashed}, proxyARN(3): {ringAnswer("succeeded", 0)},
		},
	})
	phases := map[asl.Phase]int{}
	for _, c := range cases {
		want, all := stands(t, c.definition, c.input, c.answers)
		for _, from := range all {
			if from.position.Phase == asl.Calling {
				continue
			}
			phases[from.position.Phase]++
			// A wait is gone on with after a part of it.
			later := time.Duration(0)
			if rest := from.position.Until.Sub(from.at); rest > 0 {
				later = rest / 4
			}
			got, _ := from.resume(t, c.definition, c.answers, later)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: after it was interrupted at %+v it is another execution (-want +got):\n%s", c.name, from.position, diff)
			}
		}
	}
	for phase, want := range map[asl.Phase]int{asl.Entered: 100, asl.Waiting: 5, asl.Retrying: 5} {
		if phases[phase] < want {
			t.Errorf("%d executions were interrupted while %s, want %d at least", phases[phase], phase, want)
		}
	}
}

func TestAWaitThatEndedWhileNobodyRanTheExecutionIsOverAtOnce(t *testing.T) {
	definition := one(`{"Type":"Wait","Seconds":3600,"End":true}`)
	_, all := stands(t, definition, `{}`, nil)
	for later, want := range map[time.Duration]time.Duration{0: time.Hour, 20 * time.Minute: time.Hour, time.Hour: time.Hour, 5 * time.Hour: 5 * time.Hour} {
		got, _ := all[0].resume(t, definition, nil, later)
		if took := got.Stopped.Sub(got.Started); got.Status != asl.Succeeded || took != want {
			t.Errorf("resumed after %v the execution %s after %v, want SUCCEEDED after %v", later, got.Status, took, want)
		}
	}
}

func TestACallThatWasInterruptedIsNotMadeAgainButTimesOut(t *testing.T) {
	definition := states("T", `"T":`+taskState(`"Next":"Done"`), `"Done":{"Type":"Succeed"}`)
	_, all := stands(t, definition, `{}`, functions(answer{payload: `1`}))
	got, calls := all[0].resume(t, definition, functions(answer{payload: `1`}), time.Second)
	wantFailure(t, got, "States.Timeout", "The process that ran the execution ended during the call. Whether the call was carried out is not known.")
	wantEvents(t, got, asl.ExecutionStarted, asl.TaskStateEntered, asl.TaskScheduled, asl.TaskStarted, asl.TaskTimedOut, asl.ExecutionFailed)
	if len(calls) != 0 {
		t.Errorf("it was called again: %+v", calls)
	}
}

func TestACallThatWasInterruptedIsForCatchAndRetryToJudge(t *testing.T) {
	definition := states("T",
		`"T":`+taskState(`"Retry":[{"ErrorEquals":["Lambda.TooManyRequestsException"],"MaxAttempts":1},{"ErrorEquals":["States.Timeout"],"MaxAttempts":1}],
			"Catch":[{"ErrorEquals":["States.Timeout"],"ResultPath":"$.fault","Next":"Caught"}],"Next":"Done"`),
		`"Done":{"Type":"Succeed"}`, `"Caught":{"Type":"Succeed"}`)
	answers := functions(throttled, answer{payload: `1`})
	_, all := stands(t, definition, `{}`, answers)
	var calling []stand
	for _, s := range all {
		if s.position.Phase == asl.Calling {
			calling = append(calling, s)
		}
	}
	if len(calling) != 2 || !slices.Equal(calling[1].position.Retries, []int{1, 0}) {
		t.Fatalf("the calls were made at %+v", calling)
	}
	// The Retry for timeouts repeats the call once; its loss is no throttling, and has a count of its own.
	got, calls := calling[1].resume(t, definition, answers, 0)
	if got.Output != `{"answer":1}` || len(calls) != 1 {
		t.Errorf("the execution %s with %s after %d calls, want the answer of one", got.Status, got.Output, len(calls))
	}
	// A second loss is caught.
	calling[1].position.Retries = []int{1, 1}
	got, calls = calling[1].resume(t, definition, answers, 0)
	if !strings.Contains(got.Output, `"Error":"States.Timeout"`) || len(calls) != 0 {
		t.Errorf("the execution %s with %s after %d calls, want it caught", got.Status, got.Output, len(calls))
	}
}

func TestTheTimeWhileNobodyRanTheExecutionCountsForItsTimeout(t *testing.T) {
	definition := strings.Replace(one(`{"Type":"Wait","Seconds":3000,"End":true}`), `{`, `{"TimeoutSeconds":3600,`, 1)
	_, all := stands(t, definition, `{}`, nil)
	for later, want := range map[time.Duration]asl.Status{50 * time.Minute: asl.Succeeded, time.Hour: asl.TimedOut, 70 * time.Minute: asl.TimedOut} {
		if got, _ := all[0].resume(t, definition, nil, later); got.Status != want {
			t.Errorf("resumed after %v the execution %s, want %s", later, got.Status, want)
		}
	}
	long := strings.Replace(definition, `3000`, `9000`, 1)
	_, all = stands(t, long, `{}`, nil)
	got, _ := all[0].resume(t, long, nil, 30*time.Minute)
	if took := got.Stopped.Sub(got.Started); got.Status != asl.TimedOut || took != time.Hour {
		t.Errorf("the execution %s after %v, want TIMED_OUT after its hour", got.Status, took)
	}
}

func TestASuspendedExecutionIsLeftWhereItIs(t *testing.T) {
	definition := states("T", `"T":`+taskState(`"Next":"W"`), `"W":{"Type":"Wait","Seconds":10,"Next":"Done"}`, `"Done":{"Type":"Succeed"}`)
	for name, at := range map[string]struct {
		phase asl.Phase // in which it is suspended
		want  asl.Phase // in which it stands
		state string
	}{
		"before the call": {asl.Calling, asl.Calling, "T"},
		"in the wait":     {asl.Waiting, asl.Waiting, "W"},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		c := clock.NewVirtual(start)
		var last asl.Position
		r, err := parse(t, definition).Run(ctx, []byte(`{}`), asl.Options{
			Clock: c,
			Lambda: asl.LambdaFunc(func(ctx context.Context, _ string, _ []byte) (asl.Invocation, error) {
				return asl.Invocation{Payload: []byte(`1`)}, ctx.Err()
			}),
			OnPosition: func(p asl.Position) error {
				last = p
				if p.Phase == at.phase {
					cancel(asl.ErrSuspended)
				}
				return nil
			},
		})
		if err != nil || r.Status != asl.Running || r.Events[len(r.Events)-1].Type == asl.ExecutionAborted {
			t.Errorf("%s: it ended: %+v %v", name, r, err)
			continue
		}
		if last.Phase != at.want || r.Events[last.EnteredID-1].State() != at.state {
			t.Errorf("%s: it stands %s in %s", name, last.Phase, r.Events[last.EnteredID-1].State())
		}
	}
}

func TestAnAnswerThatComesWhileTheExecutionIsSuspendedIsKept(t *testing.T) {
	definition := states("T", `"T":`+taskState(`"Next":"U"`), `"U":`+taskState(`"Next":"Done"`), `"Done":{"Type":"Succeed"}`)
	ctx, cancel := context.WithCancelCause(t.Context())
	var told []asl.Event
	var last asl.Position
	calls := 0
	options := asl.Options{
		Execution: asl.ExecutionContext{Started: time.Now()},
		Lambda: asl.LambdaFunc(func(context.Context, string, []byte) (asl.Invocation, error) {
			if calls++; calls == 1 {
				cancel(asl.ErrSuspended)
			}
			return asl.Invocation{Payload: []byte(`1`)}, nil
		}),
		OnEvent:    func(e asl.Event) { told = append(told, e) },
		OnPosition: func(p asl.Position) error { last = p; return nil },
	}
	m := parse(t, definition)
	if r, err := m.Run(ctx, []byte(`{}`), options); err != nil || r.Status != asl.Running {
		t.Fatalf("it ended: %+v %v", r, err)
	}
	r, err := m.Resume(t.Context(), told, last, options)
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != asl.Succeeded || calls != 2 {
		t.Errorf("the execution %s (%s) after %d calls, want SUCCEEDED after one of each function", r.Status, r.Error, calls)
	}
}

func TestAnExecutionWhosePositionCannotBeKeptCallsNothing(t *testing.T) {
	r := run(t, task(``), `{}`, asl.Options{
		Lambda: asl.LambdaFunc(func(context.Context, string, []byte) (asl.Invocation, error) {
			t.Error("the function was called")
			return asl.Invocation{}, nil
		}),
		OnPosition: func(asl.Position) error { return errors.New("the disk is full") },
	})
	if r.Status != asl.Failed || r.Error != "States.Runtime" || !strings.Contains(r.Cause, "could not be kept: the disk is full") {
		t.Errorf("the execution %s: %s %s", r.Status, r.Error, r.Cause)
	}
}

func TestWhatCannotBeResumedIsRefused(t *testing.T) {
	definition := one(`{"Type":"Wait","Seconds":1,"End":true}`)
	_, all := stands(t, definition, `{}`, nil)
	options := asl.Options{Clock: clock.NewVirtual(start), Execution: asl.ExecutionContext{Started: start}}
	for _, c := range []struct {
		definition string
		events     []asl.Event
		entered    int64
		want       string
	}{
		{definition, nil, 0, "event 0 of 0 is not the entry of a state"},
		{definition, all[0].events, 1, "event 1 of 2 is not the entry of a state"},
		{definition, all[0].events, 3, "event 3 of 2 is not the entry of a state"},
		{strings.ReplaceAll(definition, "One", "Two"), all[0].events, 2, `the state "One", which its machine does not have`},
	} {
		if _, err := parse(t, c.definition).Resume(t.Context(), c.events, asl.Position{EnteredID: c.entered}, options); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}
