package timeshift_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack/timeshift"
)

// real is what the functions' clock shows in these tests, in milliseconds since the Unix epoch. Real time stands still.
const real = 1_800_000_000_000

func functionsClock() time.Time { return time.UnixMilli(real) }

// ring goes round one function, as the construct's definition does, with an answer to go on with if it is lost.
const ring = `{
  "StartAt": "Proxy",
  "States": {
    "Proxy": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "proxy", "Payload.$": "$"},
      "ResultSelector": {"answer.$": "$.Payload"}, "Next": "Check", "TimeoutSeconds": 20,
      "Retry": [{"ErrorEquals": ["Lambda.TooManyRequestsException"], "IntervalSeconds": 4, "MaxAttempts": 1}],
      "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.answer.fault", "Next": "Check"}]},
    "Check": {"Type": "Choice", "OutputPath": "$.answer", "Default": "Wait",
      "Choices": [{"Variable": "$.answer.outcome", "StringEquals": "succeeded", "Next": "Succeeded"}]},
    "Wait": {"Type": "Wait", "SecondsPath": "$.waitSeconds", "Next": "Proxy"},
    "Succeeded": {"Type": "Succeed"}
  }
}`

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

// same compares JSON documents by what they say.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	parse := func(text string) (v any) {
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatalf("%s is not JSON: %v: %s", what, err, text)
		}
		return v
	}
	if diff := cmp.Diff(parse(want), parse(got)); diff != "" {
		t.Errorf("%s is not what was expected (-want +got):\n%s", what, diff)
	}
}

func TestAfterAWaitThatTookNoTimeTheMomentsAreAsMuchNearer(t *testing.T) {
	sent, result := run(t, virtual(), fmt.Sprintf(`{"outcome":"retry","waitSeconds":0,"call":{"deadline":%d}}`, real+7_200_000),
		call{answer: fmt.Sprintf(`{"outcome":"retry","waitSeconds":3600,"answer":{"call":{"deadline":%d},"answer":{"attempts":[{"notBefore":%d},{}]}}}`,
			real+7_200_000, real+3_600_000)},
		call{answer: `{"outcome":"succeeded"}`})
	same(t, "the first payload", sent[0], fmt.Sprintf(`{"outcome":"retry","waitSeconds":0,"call":{"deadline":%d}}`, real+7_200_000))
	same(t, "the second payload", sent[1], fmt.Sprintf(
		`{"outcome":"retry","waitSeconds":3600,"answer":{"call":{"deadline":%d},"answer":{"attempts":[{"notBefore":%d},{}]}}}`,
		real+3_600_000, real))
	if got := result.Stopped.Sub(result.Started); got != time.Hour {
		t.Errorf("the execution took %v", got)
	}
}

func TestWhatAFunctionSaysIsMovedForwardAgainByAllThatWasSkipped(t *testing.T) {
	deadline := func(at int64) string { return fmt.Sprintf(`"call":{"deadline":%d}`, at) }
	sent, _ := run(t, virtual(), `{"outcome":"retry",`+deadline(real+100_000)+`}`,
		call{answer: `{"outcome":"retry","waitSeconds":10,` + deadline(real+100_000) + `}`},
		call{answer: `{"outcome":"retry","waitSeconds":20,` + deadline(real+90_000) + `}`}, // handed on as it was
		call{answer: `{"outcome":"succeeded"}`})
	for i, want := range []int64{100_000, 90_000, 70_000} {
		if !strings.Contains(sent[i], deadline(real+want)) {
			t.Errorf("payload %d is %s, want a deadline in %d s", i+1, sent[i], want/1000)
		}
	}
}

// What an execution goes on with then was written before the function was called.
func TestTheMomentsAreRightAfterALostFunctionToo(t *testing.T) {
	sent, _ := run(t, virtual(), fmt.Sprintf(
		`{"outcome":"retry","answer":{"outcome":"retry","waitSeconds":5,"answer":{"outcome":"retry","waitSeconds":7,"call":{"deadline":%d}}}}`, real+60_000),
		call{crashes: true}, call{crashes: true}, call{answer: `{"outcome":"succeeded"}`})
	for i, want := range []int64{60_000, 55_000, 48_000} {
		if !strings.Contains(sent[i], fmt.Sprint(real+want)) {
			t.Errorf("payload %d is %s, want a deadline in %d s", i+1, sent[i], want/1000)
		}
	}
}

func TestTheWaitsOfATasksRetriesCountToo(t *testing.T) {
	sent, _ := run(t, virtual(), fmt.Sprintf(`{"call":{"deadline":%d}}`, real+60_000),
		call{err: &asl.ServiceError{Code: "TooManyRequestsException", StatusCode: 429}},
		call{answer: `{"outcome":"succeeded"}`})
	if !strings.Contains(sent[1], fmt.Sprint(real+56_000)) {
		t.Errorf("the payload is %s, want a deadline in 56 s", sent[1])
	}
}

func TestTheRestOfAWaitPassesOnTheClockAndNotInTheFunction(t *testing.T) {
	sent, result := run(t, virtual(), `{"outcome":"retry"}`,
		call{answer: fmt.Sprintf(`{"outcome":"retry","waitSeconds":2,"sleepMilliseconds":700,"call":{"deadline":%d}}`, real+60_000)},
		call{answer: `{"outcome":"succeeded"}`})
	same(t, "the payload", sent[1], fmt.Sprintf(`{"outcome":"retry","waitSeconds":2,"call":{"deadline":%d}}`, real+57_300))
	if got := result.Stopped.Sub(result.Started); got != 2700*time.Millisecond {
		t.Errorf("the execution took %v", got)
	}
}

// The function that started the execution reads these, and for it no time was skipped.
func TestTheMomentsThatComeBackToTheCallerStay(t *testing.T) {
	answer := fmt.Sprintf(`{"outcome":"succeeded","notBefore":%d,"expiration":%d,"attempts":[{"start":%d}]}`, real+1, real/1000, real+2)
	_, result := run(t, virtual(), `{}`, call{answer: `{"outcome":"retry","waitSeconds":3600}`}, call{answer: answer})
	same(t, "the output", result.Output, answer)
}

// On a clock that is faster by some factor only a part of each wait is skipped: what it did not take. Here the clock of
// the functions stands still, as if it had taken nothing.
func TestAFasterClockSkipsAsMuchAsItIsFaster(t *testing.T) {
	sent, _ := run(t, clock.Faster(1e9), fmt.Sprintf(`{"call":{"deadline":%d}}`, real+7_200_000),
		call{answer: fmt.Sprintf(`{"outcome":"retry","waitSeconds":3600,"call":{"deadline":%d}}`, real+7_200_000)},
		call{answer: `{"outcome":"succeeded"}`})
	if !strings.Contains(sent[1], fmt.Sprint(real+3_600_000)) {
		t.Errorf("the payload is %s, want a deadline in an hour", sent[1])
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
	})).Invoke(ctx, "proxy", []byte(`{"call":{"deadline":99}}`))
	same(t, "the payload", sent, `{"call":{"deadline":99}}`)
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
		same(t, "the payload", string(payload), fmt.Sprintf(`{"call":{"deadline":%d}}`, real))
		return asl.Invocation{}, nil
	})).Invoke(other, "proxy", fmt.Appendf(nil, `{"call":{"deadline":%d}}`, real))
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
		``, `null`, `"deadline"`, `[1,{"call":{"deadline":5000000}}]`, `{"call":7,"attempts":{},"answer":[]}`,
		`{"call":{"deadline":"soon"},"attempts":[1,null,{"notBefore":1.5}]}`,
		`{"body":"<&> é 😀 \u0001","n":12345678901234567890}`, `{"sleepMilliseconds":0.5}`, `{`,
	} {
		got, err := echo.Invoke(ctx, "f", []byte(text))
		if err != nil || string(got.Payload) != text && compact(string(got.Payload)) != compact(text) {
			t.Errorf("%s came back as %s, %v", text, got.Payload, err)
		}
	}
}

// What is sent may fill what a payload can hold, so it must not grow.
func TestAnEnvelopeDoesNotGrow(t *testing.T) {
	text := fmt.Sprintf(`{"body":"<a href=\"/?b&c\">","call":{"deadline":%d}}`, real)
	sent, _ := run(t, virtual(), text, call{answer: `{"outcome":"succeeded"}`})
	if len(sent[0]) != len(text) {
		t.Errorf("the payload is %s, want it as long as %s", sent[0], text)
	}
}

// compact undoes what may differ between two texts of one document: the order of fields and escapes.
func compact(text string) string {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var v any
	if decoder.Decode(&v) != nil {
		return text
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// However long the waits, a function sees the time to its deadline shrink by exactly what was waited.
func TestTheTimeThatIsLeftShrinksByWhatWasWaited(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		waits := rapid.SliceOfN(rapid.IntRange(0, 10_000_000), 1, 6).Draw(rt, "waits in milliseconds")
		left := int64(real) + 1_000_000_000
		input := fmt.Sprintf(`{"call":{"deadline":%d}}`, left)
		var calls []call
		var want []int64
		for _, wait := range waits {
			want = append(want, left)
			calls = append(calls, call{answer: fmt.Sprintf(`{"outcome":"retry","waitSeconds":%d,"sleepMilliseconds":%d,"call":{"deadline":%d}}`, wait/1000, wait%1000, left)})
			left -= int64(wait)
		}
		want, calls = append(want, left), append(calls, call{answer: `{"outcome":"succeeded"}`})
		sent, _ := run(t, virtual(), input, calls...)
		for i, payload := range sent {
			if !strings.Contains(payload, fmt.Sprintf(`"deadline":%d`, want[i])) {
				rt.Fatalf("payload %d is %s, want the deadline %d", i+1, payload, want[i])
			}
		}
	})
}
