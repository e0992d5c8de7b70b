package timeshift_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack/timeshift"
)

// real is what the functions' clock shows in these tests, in milliseconds since the Unix epoch. Real time stands still.
const real = 1_800_000_000_000

func functionsClock() time.Time { return time.UnixMilli(real) }

// ring goes round one function, as the construct's definition does. Its losses are counted.
const ring = `{
  "StartAt": "Proxy",
  "States": {
    "Proxy": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "proxy", "Payload.$": "$"},
      "OutputPath": "$.Payload", "Next": "Check", "TimeoutSeconds": 20,
      "Retry": [{"ErrorEquals": ["Lambda.TooManyRequestsException"], "IntervalSeconds": 4, "MaxAttempts": 1}],
      "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.fault", "Next": "Lost"}]},
    "Lost": {"Type": "Pass", "Next": "Check", "Parameters": {"version.$": "$.version", "outcome": "retry", "waitSeconds": 5,
      "call.$": "$.call", "attempts.$": "$.attempts", "losses": {"count.$": "States.MathAdd($.losses.count, 1)", "error.$": "$.fault.Error"}}},
    "Check": {"Type": "Choice", "Default": "Wait",
      "Choices": [{"Variable": "$.outcome", "StringEquals": "succeeded", "Next": "Succeeded"}]},
    "Wait": {"Type": "Wait", "SecondsPath": "$.waitSeconds", "Next": "Proxy"},
    "Succeeded": {"Type": "Succeed"}
  }
}`

// toProxy is an envelope that leads to the function after a wait. The deadline of its call, and until when the upstream
// wanted to be left alone after each attempt before, are so far off.
func toProxy(wait, deadline time.Duration, floors ...time.Duration) string {
	var history []retry.Attempt
	for _, floor := range floors {
		history = append(history, retry.Attempt{Proxy: "proxy-1", Status: 429, NotBefore: functionsClock().Add(floor).UnixMilli()})
	}
	call := &message.Call{Request: message.Request{Method: "GET", Path: "/"}, Deadline: functionsClock().Add(deadline).UnixMilli()}
	return text(message.ToProxy(call, retry.Policy{}, history, wait))
}

func text(e *message.Envelope) string {
	marshalled, err := message.Marshal(e)
	if err != nil {
		panic(err)
	}
	return string(marshalled)
}

func answers(envelope string) call { return call{answer: envelope} }

// succeeded ends an execution.
var succeeded = call{answer: text(message.Answer("request-1", retry.Succeeded, "", message.Response{StatusCode: 200}, nil))}

// A call is what comes of calling the function.
type call struct {
	answer  string
	crashes bool
	err     error
}

// run executes the ring with calls that are listed, and returns what the function was sent and what the execution ended
// with. It is run as the service does it: on the shifting clock, with its time limited.
func run(t *testing.T, beneath clock.Clock, input string, calls ...call) (sent []string, result *asl.Result) {
	t.Helper()
	shifting := timeshift.New(beneath, functionsClock)
	machine, err := asl.Parse([]byte(ring))
	if err != nil {
		t.Fatal(err)
	}
	function := asl.LambdaFunc(func(_ context.Context, _ string, payload []byte) (asl.Invocation, error) {
		sent = append(sent, string(payload))
		c := calls[len(sent)-1]
		if c.crashes {
			return asl.Invocation{FunctionError: "Unhandled", Payload: []byte(`{"errorType":"Runtime.ExitError","call":{"deadline":5}}`)}, nil
		}
		return asl.Invocation{Payload: []byte(c.answer)}, c.err
	})
	result, err = machine.Run(context.Background(), []byte(input), asl.Options{
		Clock: shifting, Lambda: shifting.Lambda(function), MaxDuration: 24 * time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(sent) != len(calls) {
		t.Fatalf("the function was called %d times, want %d; the execution is %s %s %s", len(sent), len(calls), result.Status, result.Error, result.Cause)
	}
	return sent, result
}

func virtual() clock.Clock { return clock.NewVirtual(functionsClock()) }

// same compares envelopes by what they say.
func same(t *testing.T, got, want string) {
	t.Helper()
	read := func(text string) *message.Envelope {
		e, err := message.Unmarshal([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if diff := cmp.Diff(read(want), read(got)); diff != "" {
		t.Errorf("the payload is not what was expected (-want +got):\n%s", diff)
	}
}

// deadline is how far off the deadline in a payload is.
func deadline(t *testing.T, payload string) time.Duration {
	t.Helper()
	e, err := message.Unmarshal([]byte(payload))
	if err != nil || e.Call == nil {
		t.Fatalf("%s is no envelope with a call: %v", payload, err)
	}
	return e.Call.DeadlineTime().Sub(functionsClock())
}

func TestAfterAWaitThatTookNoTimeTheMomentsAreAsMuchNearer(t *testing.T) {
	sent, result := run(t, virtual(), toProxy(0, 2*time.Hour), call{answer: toProxy(time.Hour, 2*time.Hour, time.Hour, 90*time.Minute)}, succeeded)
	same(t, sent[0], toProxy(0, 2*time.Hour))
	// What is left of two hours after one of them, and of the floors of the attempts.
	same(t, sent[1], strings.Replace(toProxy(0, time.Hour, 0, 30*time.Minute), `"waitSeconds":0`, `"waitSeconds":3600`, 1))
	if got := result.Stopped.Sub(result.Started); got != time.Hour {
		t.Errorf("the execution took %v", got)
	}
}

func TestWhatAFunctionSaysIsMovedForwardAgainByAllThatWasSkipped(t *testing.T) {
	sent, _ := run(t, virtual(), toProxy(0, 100*time.Second),
		call{answer: toProxy(10*time.Second, 100*time.Second)},
		call{answer: toProxy(20*time.Second, 90*time.Second)}, // handed on as it was
		succeeded)
	for i, want := range []time.Duration{100 * time.Second, 90 * time.Second, 70 * time.Second} {
		if got := deadline(t, sent[i]); got != want {
			t.Errorf("payload %d has a deadline in %v, want %v", i+1, got, want)
		}
	}
}

// What an execution goes on with then was written before the function was called.
func TestTheMomentsAreRightAfterALostFunctionToo(t *testing.T) {
	sent, _ := run(t, virtual(), toProxy(0, time.Minute), call{crashes: true}, call{crashes: true}, succeeded)
	for i, want := range []time.Duration{60 * time.Second, 55 * time.Second, 50 * time.Second} {
		if got := deadline(t, sent[i]); got != want {
			t.Errorf("payload %d has a deadline in %v, want %v", i+1, got, want)
		}
	}
}

func TestTheWaitsOfATasksRetriesCountToo(t *testing.T) {
	sent, _ := run(t, virtual(), toProxy(0, time.Minute),
		call{err: &asl.ServiceError{Code: "TooManyRequestsException", StatusCode: 429}}, succeeded)
	if got := deadline(t, sent[1]); got != 56*time.Second {
		t.Errorf("the deadline is in %v, want 56s", got)
	}
}

func TestTheRestOfAWaitPassesOnTheClockAndNotInTheFunction(t *testing.T) {
	sent, result := run(t, virtual(), toProxy(0, time.Minute), call{answer: toProxy(2700*time.Millisecond, time.Minute)}, succeeded)
	if got := deadline(t, sent[1]); got != 57_300*time.Millisecond || strings.Contains(sent[1], "sleepMilliseconds") {
		t.Errorf("the deadline is in %v, want 57.3s, and nothing left to sleep: %s", got, sent[1])
	}
	if got := result.Stopped.Sub(result.Started); got != 2700*time.Millisecond {
		t.Errorf("the execution took %v", got)
	}
}

// The function that started the execution reads these, and for it no time was skipped.
func TestTheMomentsThatComeBackToTheCallerStay(t *testing.T) {
	answer := message.Answer("request-1", retry.Succeeded, "", message.Response{StatusCode: 200}, []retry.Attempt{{Proxy: "proxy-1", Start: real + 2}})
	answer.NotBefore, answer.Expiration = real+1, real/1000
	_, result := run(t, virtual(), toProxy(0, 2*time.Hour), call{answer: toProxy(time.Hour, 2*time.Hour)}, call{answer: text(answer)})
	output, err := message.Unmarshal([]byte(result.Output))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(answer, output); diff != "" {
		t.Errorf("the output is not what was answered (-want +got):\n%s", diff)
	}
}

// On a clock that is faster by some factor only a part of each wait is skipped: what it did not take. Here the clock of
// the functions stands still, as if it had taken nothing.
func TestAFasterClockSkipsAsMuchAsItIsFaster(t *testing.T) {
	sent, _ := run(t, clock.Faster(1e9), toProxy(0, 2*time.Hour), call{answer: toProxy(time.Hour, 2*time.Hour)}, succeeded)
	if got := deadline(t, sent[1]); got != time.Hour {
		t.Errorf("the deadline is in %v, want an hour", got)
	}
}

// While a wait takes as long as it is, as on the real clock, nothing is skipped.
func TestAWaitThatTakesItsTimeMovesNothing(t *testing.T) {
	now := functionsClock()
	ticking := func() time.Time { now = now.Add(10 * time.Second); return now } // asked at the start and end of a wait
	shifting := timeshift.New(virtual(), ticking)
	ctx, cancel := shifting.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if err := shifting.Wait(ctx, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	var sent string
	_, _ = shifting.Lambda(asl.LambdaFunc(func(_ context.Context, _ string, payload []byte) (asl.Invocation, error) {
		sent = string(payload)
		return asl.Invocation{}, nil
	})).Invoke(ctx, "proxy", []byte(toProxy(0, time.Minute)))
	if want := toProxy(0, time.Minute); sent != want {
		t.Errorf("the payload is %s, want %s", sent, want)
	}
}

func TestExecutionsDoNotShareWhatTheySkipped(t *testing.T) {
	shifting := timeshift.New(virtual(), functionsClock)
	one, cancel := shifting.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	other, cancel := shifting.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if err := shifting.Wait(one, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	_, _ = shifting.Lambda(asl.LambdaFunc(func(_ context.Context, _ string, payload []byte) (asl.Invocation, error) {
		if got := deadline(t, string(payload)); got != time.Minute {
			t.Errorf("the deadline is in %v, want a minute", got)
		}
		return asl.Invocation{}, nil
	})).Invoke(other, "proxy", []byte(toProxy(0, time.Minute)))
}

func TestWhatIsNoEnvelopePassesAsItIs(t *testing.T) {
	shifting := timeshift.New(virtual(), functionsClock)
	ctx, cancel := shifting.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if err := shifting.Wait(ctx, time.Minute); err != nil {
		t.Fatal(err)
	}
	echo := shifting.Lambda(asl.LambdaFunc(func(_ context.Context, _ string, payload []byte) (asl.Invocation, error) {
		return asl.Invocation{Payload: payload}, nil
	}))
	for _, text := range []string{
		``, `null`, `"deadline"`, `[1,{"call":{"deadline":5000000}}]`, `{"outcome":"retry","call":7,"attempts":{},"losses":[]}`,
		`{"outcome":"retry","call":{"deadline":"soon"},"attempts":[1,null,{"notBefore":1.5}]}`, `{"call":{"deadline":5}}`,
		`{"body":"<&> é 😀 \u0001","n":12345678901234567890}`, `{"outcome":"retry","sleepMilliseconds":0.5}`, `{`, `{"outcome":"retry","version":99}`,
	} {
		got, err := echo.Invoke(ctx, "f", []byte(text))
		if err != nil || string(got.Payload) != text {
			t.Errorf("%s came back as %s, %v", text, got.Payload, err)
		}
	}
}

// What is sent may fill what a payload can hold, so it must not grow.
func TestAnEnvelopeDoesNotGrow(t *testing.T) {
	call := &message.Call{Request: message.Request{Method: "POST", Path: "/", Body: `<a href="/?b&c">`}, Deadline: real + 60_000}
	input := text(message.ToProxy(call, retry.Policy{}, nil, 0))
	sent, _ := run(t, virtual(), input, answers(text(message.ToProxy(call, retry.Policy{}, nil, time.Second))), succeeded)
	for i, payload := range sent {
		if len(payload) > len(input) {
			t.Errorf("payload %d is %s, longer than %s", i+1, payload, input)
		}
	}
}

// However long the waits, a function sees the time to its deadline shrink by exactly what was waited.
func TestTheTimeThatIsLeftShrinksByWhatWasWaited(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		left := 1_000_000 * time.Second
		input := toProxy(0, left)
		var calls []call
		var want []time.Duration
		for _, wait := range rapid.SliceOfN(rapid.IntRange(0, 10_000_000), 1, 6).Draw(rt, "waits in milliseconds") {
			want = append(want, left)
			calls = append(calls, call{answer: toProxy(time.Duration(wait)*time.Millisecond, left)})
			left -= time.Duration(wait) * time.Millisecond
		}
		sent, _ := run(t, virtual(), input, append(calls, succeeded)...)
		for i, payload := range sent {
			if want := append(want, left)[i]; deadline(t, payload) != want {
				rt.Fatalf("payload %d has a deadline in %v, want %v", i+1, deadline(t, payload), want)
			}
		}
	})
}
