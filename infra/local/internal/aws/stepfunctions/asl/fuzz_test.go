package asl_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// FuzzParse feeds definitions to the parser. What it accepts is run, on a virtual clock, and must come to an end.
func FuzzParse(f *testing.F) {
	for _, c := range judged {
		f.Add([]byte(c.definition), []byte(c.input))
	}
	f.Fuzz(func(t *testing.T, definition, input []byte) {
		m, err := asl.Parse(definition)
		if err != nil {
			var refused *asl.DefinitionError
			if !errors.As(err, &refused) || len(refused.Problems) == 0 || m != nil {
				t.Fatalf("an error without problems: %v", err)
			}
			return
		}
		if !json.Valid(input) || len(input) > asl.MaxPayload {
			return
		}
		c := clock.NewVirtual(start)
		s := newScript(c, functions(throttled, crashed, answer{payload: `{"a":1}`}))
		r, err := m.Run(context.Background(), input, asl.Options{
			Clock: c, Lambda: s, DynamoDB: asl.DynamoDBFunc(func(context.Context, json.RawMessage) (json.RawMessage, error) {
				return json.RawMessage(`{}`), nil
			}),
		})
		if err != nil {
			t.Fatalf("%v for a machine and an input that are valid", err)
		}
		checkHistory(t, r)
	})
}

// FuzzExpression feeds paths and calls of functions to a Pass, with data for them to find.
func FuzzExpression(f *testing.F) {
	for _, seed := range []string{
		"$", "$$", "$.a", "$['a b'][0].c", "$$.Execution.Input.a", `$["\"\\"]`, "$.a[10]", "$.l[0][0]", "$..a", "$.a[?(@.b)]",
		"States.Format('{} \\{\\}', $.a)", "States.Array(1, 'x', null, States.MathAdd(1, $.n))", "States.StringToJson('{\"a\":1}')",
		"States.ArrayRange(0, 10, 3)", "States.Hash('a', 'MD5')", "States.JsonMerge($, $, false)", "States.UUID()",
		"States.ArrayPartition($.l, 2)", "States.StringSplit('a,b', ',')", "States.Base64Decode('eA==')", "States.MathRandom(0, 10, 5)",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		text, err := json.Marshal(expression)
		if err != nil {
			t.Skip()
		}
		m, err := asl.Parse([]byte(one(`{"Type":"Pass","Parameters":{"v.$":` + string(text) + `},"End":true}`)))
		if err != nil {
			return
		}
		r, err := m.Run(context.Background(), []byte(`{"a":{"b":"c"},"l":[[1,2],3,null],"n":7,"a b":[{"c":true}]}`), asl.Options{Clock: clock.NewVirtual(start)})
		if err != nil {
			t.Fatal(err)
		}
		switch r.Error {
		case "", asl.Runtime, asl.IntrinsicFailure, asl.DataLimitExceeded:
		default:
			t.Fatalf("the error %s: %s", r.Error, r.Cause)
		}
		checkHistory(t, r)
	})
}

// checkHistory checks what is true of every history.
func checkHistory(t *testing.T, r *asl.Result) {
	t.Helper()
	if len(r.Events) < 2 || len(r.Events) > asl.MaxEvents {
		t.Fatalf("%d events", len(r.Events))
	}
	for i, e := range r.Events {
		if e.ID != int64(i)+1 || e.PreviousEventID >= e.ID || (i > 0 && e.Timestamp.Before(r.Events[i-1].Timestamp)) {
			t.Fatalf("event %d: %+v", i, e)
		}
	}
	last := r.Events[len(r.Events)-1]
	switch r.Status {
	case asl.Succeeded:
		if last.Type != asl.ExecutionSucceeded || !json.Valid([]byte(r.Output)) || len(r.Output) > asl.MaxPayload {
			t.Fatalf("succeeded with %.100s after %+v", r.Output, last)
		}
	case asl.Failed:
		if last.Type != asl.ExecutionFailed || r.Output != "" {
			t.Fatalf("failed after %+v", last)
		}
	case asl.TimedOut:
		if last.Type != asl.ExecutionTimedOut {
			t.Fatalf("timed out after %+v", last)
		}
	default:
		t.Fatalf("ended %s", r.Status)
	}
}
