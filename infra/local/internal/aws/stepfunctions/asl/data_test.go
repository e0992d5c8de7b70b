package asl_test

import (
	"context"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

func TestInputAndOutputAreProcessedInTheOrderOfTheLanguage(t *testing.T) {
	tests := []struct{ name, state, input, want string }{
		{"numbers come out as they went in", `{"Type":"Pass","End":true}`, `{"a":1.0,"b":1e2,"c":12345678901234567890}`, `{"a":1.0,"b":1e2,"c":12345678901234567890}`},
		{"text comes out as it went in", `{"Type":"Pass","End":true}`, `{"a":"<&> é 😀 \u0000"}`, `{"a":"<&> é 😀 \u0000"}`},
		{"an input that is no object", `{"Type":"Pass","End":true}`, `"text"`, `"text"`},
		{"ResultPath looks at the whole input, not at what InputPath took", `{"Type":"Pass","InputPath":"$.a","ResultPath":"$.r","End":true}`, `{"a":{"x":1},"b":2}`, `{"a":{"x":1},"b":2,"r":{"x":1}}`},
		{"OutputPath looks at what ResultPath made", `{"Type":"Pass","Result":5,"ResultPath":"$.r","OutputPath":"$.r","End":true}`, `{}`, `5`},
		{"ResultPath replaces an element of an array", `{"Type":"Pass","Result":9,"ResultPath":"$.a[1]","End":true}`, `{"a":[1,2,3]}`, `{"a":[1,9,3]}`},
		{"ResultPath makes objects on its way", `{"Type":"Pass","Result":9,"ResultPath":"$.a['x y'].b","End":true}`, `{"z":0}`, `{"a":{"x y":{"b":9}},"z":0}`},
		{"a Result of null is a result", `{"Type":"Pass","Result":null,"ResultPath":"$.r","End":true}`, `{}`, `{"r":null}`},
		{"a Result is taken as it is", `{"Type":"Pass","Result":{"a.$":"$.b"},"End":true}`, `{}`, `{"a.$":"$.b"}`},
		{"InputPath takes the context object", `{"Type":"Pass","InputPath":"$$.State","Parameters":{"n.$":"$.Name"},"End":true}`, `{}`, `{"n":"One"}`},
		{"a Pass has no retry count", `{"Type":"Pass","InputPath":"$$.State","End":true}`, `{}`, `{"EnteredTime":"2026-11-21T12:00:00.000Z","Name":"One"}`},
		{"the whole context object", `{"Type":"Pass","InputPath":"$$","End":true}`, `{"in":1}`,
			`{"Execution":{"Id":"id","Input":{"in":1},"Name":"name","RedriveCount":0,"RoleArn":"role","StartTime":"2026-11-21T12:00:00.000Z"},
			"State":{"EnteredTime":"2026-11-21T12:00:00.000Z","Name":"One"},"StateMachine":{"Id":"machine","Name":"m"}}`},
		{"a Wait filters", `{"Type":"Wait","SecondsPath":"$.s","InputPath":"$.a","OutputPath":"$.b","End":true}`, `{"a":{"s":1,"b":"out"}}`, `"out"`},
		{"null for both paths", `{"Type":"Succeed","InputPath":null,"OutputPath":"$"}`, `{"a":1}`, `{}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := run(t, one(test.state), test.input, asl.Options{
				Execution:    asl.ExecutionContext{ID: "id", Name: "name", RoleARN: "role", Standard: true},
				StateMachine: asl.StateMachineContext{ID: "machine", Name: "m"},
			})
			wantSuccess(t, r, test.want)
			if !strings.ContainsAny(test.want, " \n") && r.Output != test.want {
				t.Errorf("got the text %s, want %s", r.Output, test.want)
			}
		})
	}
}

func TestAPathThatLeadsNowhereEndsTheExecution(t *testing.T) {
	const at = "An error occurred while executing the state 'One' (entered at the event id #2). "
	tests := []struct{ name, state, input, cause string }{
		{"InputPath", `{"Type":"Pass","InputPath":"$.a","End":true}`, `{"b":1}`, "Invalid path '$.a' : No results for path: $['a']"},
		{"InputPath, early", `{"Type":"Pass","InputPath":"$.a.b.c","End":true}`, `{}`, "Invalid path '$.a.b.c' : Missing property in path $['a']"},
		{"InputPath, late", `{"Type":"Pass","InputPath":"$.a.b.c","End":true}`, `{"a":{"b":{}}}`, "Invalid path '$.a.b.c' : No results for path: $['a']['b']['c']"},
		{"an element that is not there", `{"Type":"Pass","InputPath":"$.a[2]","End":true}`, `{"a":[0,1]}`, "Invalid path '$.a[2]' : No results for path: $['a'][2]"},
		{"OutputPath", `{"Type":"Succeed","OutputPath":"$.a"}`, `{}`, "Invalid path '$.a' : No results for path: $['a']"},
		{"Parameters", `{"Type":"Pass","Parameters":{"x":{"y.$":"$.a"}},"End":true}`, `{"b":1}`, `The JSONPath '$.a' specified for the field 'y.$' could not be found in the input '{"b":1}'`},
		{"ErrorPath", `{"Type":"Fail","ErrorPath":"$.e"}`, `{"b":1}`, `The JSONPath '$.e' specified for the field 'ErrorPath' could not be found in the input '{"b":1}'`},
		{"CausePath", `{"Type":"Fail","Error":"E","CausePath":"States.Format('{}', $.c)"}`, `{}`, `The JSONPath '$.c' specified for the field 'CausePath' could not be found in the input '{}'`},
		{"CausePath of a number", `{"Type":"Fail","Error":"E","CausePath":"$.c"}`, `{"c":1}`, `The value of '$.c' specified for the field 'CausePath' must be a string, not a number`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wantFailure(t, run(t, one(test.state), test.input, asl.Options{}), asl.Runtime, at+test.cause)
		})
	}
}

func TestAResultWithoutAPlaceInTheInputFails(t *testing.T) {
	tests := []struct{ path, input string }{
		{"$.a.b", `{"a":1}`},
		{"$.a.b", `{"a":null}`},
		{"$.a[0]", `{"a":{}}`},
		{"$.a[2]", `{"a":[0,1]}`},
		{"$.a", `"text"`},
		{"$.a[0].b", `{}`},
	}
	for _, test := range tests {
		r := run(t, one(`{"Type":"Pass","Result":1,"ResultPath":"`+test.path+`","End":true}`), test.input, asl.Options{})
		wantFailure(t, r, asl.ResultPathMatchFailure, "Unable to apply ReferencePath "+test.path+" to input "+test.input)
	}
}

func TestAnInputThatIsNotJSONStartsNothing(t *testing.T) {
	m := parse(t, one(`{"Type":"Succeed"}`))
	for _, input := range []string{``, `{`, `{}{}`, `nul`, `"` + strings.Repeat("x", asl.MaxPayload) + `"`} {
		r, err := m.Run(context.Background(), []byte(input), asl.Options{OnEvent: func(e asl.Event) { t.Errorf("%+v", e) }})
		if err == nil || r != nil {
			t.Errorf("%.20q: got %v and %v", input, r, err)
		}
	}
}

func TestAMachineWithATaskNeedsTheServiceThatItCalls(t *testing.T) {
	m := parse(t, ring(2))
	_, err := m.Run(context.Background(), []byte(`{}`), asl.Options{})
	if err == nil || !strings.Contains(err.Error(), `"Proxy-1" invokes a function`) || !strings.Contains(err.Error(), `"Proxy-2" invokes a function`) {
		t.Errorf("got %v", err)
	}
	m = parse(t, one(update(`"End":true`)))
	if _, err = m.Run(context.Background(), []byte(`{}`), asl.Options{}); err == nil || !strings.Contains(err.Error(), `"One" updates an item`) {
		t.Errorf("got %v", err)
	}
}
