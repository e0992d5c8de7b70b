package asl_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// start is when the virtual clocks of these tests begin.
var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func parse(t testing.TB, definition string) *asl.Machine {
	t.Helper()
	m, err := asl.Parse([]byte(definition))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// run executes a definition on a virtual clock, without jitter, unless the options say otherwise.
func run(t testing.TB, definition, input string, options asl.Options) *asl.Result {
	t.Helper()
	if options.Clock == nil {
		options.Clock = clock.NewVirtual(start)
	}
	r, err := parse(t, definition).Run(context.Background(), []byte(input), options)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// states wraps states into a definition that starts with the first one of a comma-separated list of names.
func states(startAt string, more ...string) string {
	return fmt.Sprintf(`{"StartAt":%q,"States":{%s}}`, startAt, strings.Join(more, ","))
}

func wantSuccess(t testing.TB, r *asl.Result, output string) {
	t.Helper()
	if r.Status != asl.Succeeded {
		t.Fatalf("the execution %s: %s: %s", r.Status, r.Error, r.Cause)
	}
	if diff := cmp.Diff(value(t, output), value(t, r.Output)); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func wantFailure(t testing.TB, r *asl.Result, name, cause string) {
	t.Helper()
	if r.Status != asl.Failed || r.Error != name || r.Cause != cause {
		t.Errorf("got %s %q\n     cause %q,\nwant FAILED %q\n     cause %q", r.Status, r.Error, r.Cause, name, cause)
	}
	if r.Output != "" {
		t.Errorf("an execution that failed has the output %.200s", r.Output)
	}
}

func wantEvents(t testing.TB, r *asl.Result, want ...asl.EventType) {
	t.Helper()
	if diff := cmp.Diff(want, eventTypes(r)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func eventTypes(r *asl.Result) []asl.EventType {
	var types []asl.EventType
	for _, e := range r.Events {
		types = append(types, e.Type)
	}
	return types
}

func value(t testing.TB, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return v
}

// An answer is what a scripted function does with an invocation.
type answer struct {
	payload string
	crash   bool // the payload describes the function's error
	refusal *asl.ServiceError
	takes   time.Duration
}

// script is a Lambda whose functions answer as scripted, one answer after the other; the last one is repeated.
type script struct {
	clock   clock.Clock
	answers map[string][]answer

	mu    sync.Mutex
	calls []invocation
	next  map[string]int
}

type invocation struct {
	function, payload string
	at                time.Time
}

func newScript(c clock.Clock, answers map[string][]answer) *script {
	return &script{clock: c, answers: answers, next: map[string]int{}}
}

func (s *script) Invoke(ctx context.Context, function string, payload []byte) (asl.Invocation, error) {
	a, known := s.answer(function, payload)
	if !known {
		return asl.Invocation{}, functionNotFound(function)
	}
	if a.takes > 0 {
		if err := s.clock.Wait(ctx, a.takes); err != nil {
			return asl.Invocation{}, err
		}
	}
	switch {
	case a.refusal != nil:
		return asl.Invocation{}, a.refusal
	case a.crash:
		return asl.Invocation{Payload: []byte(a.payload), FunctionError: "Unhandled"}, nil
	}
	return asl.Invocation{Payload: []byte(a.payload), RequestID: requestID}, nil
}

func (s *script) answer(function string, payload []byte) (answer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.answers[function]
	if len(all) == 0 {
		return answer{}, false
	}
	s.calls = append(s.calls, invocation{function, string(payload), s.clock.Now()})
	i := min(s.next[function], len(all)-1)
	s.next[function]++
	return all[i], true
}

const requestID = "2a7f1d3c-0000-4000-8000-000000000000"

func functionNotFound(function string) *asl.ServiceError {
	return &asl.ServiceError{
		Code: "ResourceNotFoundException", Message: "Function not found: " + function, StatusCode: 404, RequestID: requestID,
	}
}
