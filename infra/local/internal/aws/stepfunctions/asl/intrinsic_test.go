package asl_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

const functionInput = `{"s":"text","n":2,"f":1.5,"b":true,"z":null,"l":[1,2,2,"a",null,[1],[1.0]],"o":{"k":"v","m":[1]},"names":{"a.b":"dotted","it's":"quoted"}}`

func TestIntrinsicFunctionsYieldWhatTheServiceYields(t *testing.T) {
	tests := []struct{ call, want string }{
		{`States.Format('plain')`, `"plain"`},
		{`States.Format('{} and {}', 'a', $.n)`, `"a and 2"`},
		{`States.Format('{}', $.o)`, `"{k=v, m=[1]}"`},
		{`States.Format('{}|{}|{}', $.z, $.b, $.f)`, `"null|true|1.5"`},
		{`States.Format('\{\} it\'s \\ {}', 1)`, `"{} it's \\ 1"`},
		{`States.Format($.s)`, `"text"`},
		{`States.StringToJson('[1, "a"]')`, `[1,"a"]`},
		{`States.StringToJson('')`, `null`},
		{`States.StringToJson('{"a": false}')`, `{"a":false}`},
		{`States.JsonToString($.o)`, `"{\"k\":\"v\",\"m\":[1]}"`},
		{`States.JsonToString('<&>')`, `"\"<&>\""`},
		{`States.Array()`, `[]`},
		{`States.Array( 1 , 'a,b)' ,$.n , States.Array( ) )`, `[1,"a,b)",2,[]]`},
		{`States.Array($.names['a.b'], $.names['it\'s'], $["s"])`, `["dotted","quoted","text"]`},
		{`States.ArrayPartition($.l, 3)`, `[[1,2,2],["a",null,[1]],[[1.0]]]`},
		{`States.ArrayPartition(States.Array(), 3)`, `[]`},
		{`States.ArrayContains($.l, 'a')`, `true`},
		{`States.ArrayContains($.l, 1.0)`, `true`},
		{`States.ArrayContains($.l, null)`, `true`},
		{`States.ArrayContains($.l, '1')`, `false`},
		{`States.ArrayContains(States.Array($.o), $.o)`, `true`},
		{`States.ArrayRange(1, 9, 2)`, `[1,3,5,7,9]`},
		{`States.ArrayRange(3, 1, -1)`, `[3,2,1]`},
		{`States.ArrayRange(3, 1, 1)`, `[]`},
		{`States.ArrayGetItem($.l, 3)`, `"a"`},
		{`States.ArrayLength($.l)`, `7`},
		{`States.ArrayUnique($.l)`, `[1,2,"a",null,[1]]`},
		{`States.Base64Encode('Grüße')`, `"R3LDvMOfZQ=="`},
		{`States.Base64Decode('R3LDvMOfZQ==')`, `"Grüße"`},
		{`States.Hash('input data', 'SHA-1')`, `"aaff4a450a104cd177d28d18d74485e8cae074b7"`},
		{`States.JsonMerge($.o, States.StringToJson('{"k":1,"z":2}'), false)`, `{"k":1,"m":[1],"z":2}`},
		{`States.MathAdd(111, -222)`, `-111`},
		{`States.MathAdd(1.5, 0)`, `2`},
		{`States.MathAdd(-1.5, 0)`, `-1`},
		{`States.MathAdd(2147483646, 1)`, `2147483647`},
		{`States.MathRandom(5, 6)`, `5`},
		{`States.StringSplit('a,b;;c', ',;')`, `["a","b","c"]`},
		{`States.StringSplit('', ',')`, `[]`},
	}
	for _, test := range tests {
		t.Run(test.call, func(t *testing.T) {
			r := run(t, passing(t, test.call), functionInput, asl.Options{})
			wantSuccess(t, r, `{"v":`+test.want+`}`)
		})
	}
}

// passing is a definition whose output is the value of a call.
func passing(t *testing.T, call string) string {
	t.Helper()
	text, err := json.Marshal(call)
	if err != nil {
		t.Fatal(err)
	}
	return one(`{"Type":"Pass","Parameters":{"v.$":` + string(text) + `},"End":true}`)
}

func TestIntrinsicFunctionsFailByNameWhereTheyCannotWork(t *testing.T) {
	tests := []struct{ call, why string }{
		{`States.Format('{}')`, "1 places for values and 0 values"},
		{`States.Format('{', 1)`, `needs a \ before it`},
		{`States.Format($.n)`, "must be a string, not a number"},
		{`States.StringToJson('{')`, "not JSON"},
		{`States.StringToJson($.n)`, "must be a string"},
		{`States.ArrayPartition($.l, 0)`, "must be at least 1"},
		{`States.ArrayPartition($.s, 1)`, "must be an array, not a string"},
		{`States.ArrayRange(1, 9, 0)`, "must not be zero"},
		{`States.ArrayRange(0, 1000, 1)`, "more than 1000"},
		{`States.ArrayGetItem($.l, 7)`, "outside the array"},
		{`States.ArrayGetItem($.l, -1)`, "outside the array"},
		{`States.ArrayGetItem($.l, 'a')`, "must be a number, not a string"},
		{`States.ArrayLength($.o)`, "must be an array, not an object"},
		{`States.Base64Decode('***')`, "not base64"},
		{`States.Hash('x', 'CRC')`, "no algorithm"},
		{`States.JsonMerge($.o, $.o, true)`, "must be false"},
		{`States.JsonMerge($.o, $.l, false)`, "must be objects"},
		{`States.MathAdd(2147483647, 1)`, "not between"},
		{`States.MathAdd(3000000000, 1)`, "not between"},
		{`States.MathRandom(6, 6)`, "must be above"},
		{`States.MathAdd(States.ArrayGetItem($.l, 9), 1)`, "'States.ArrayGetItem($.l, 9)' had the following error"},
	}
	for _, test := range tests {
		t.Run(test.call, func(t *testing.T) {
			r := run(t, passing(t, test.call), functionInput, asl.Options{})
			if r.Status != asl.Failed || r.Error != asl.IntrinsicFailure || !strings.Contains(r.Cause, test.why) {
				t.Errorf("got %s %s: %s", r.Status, r.Error, r.Cause)
			}
			if !strings.HasPrefix(r.Cause, "An error occurred while executing the state 'One' (entered at the event id #2). The function '") {
				t.Errorf("the cause does not say where: %s", r.Cause)
			}
		})
	}
}

func TestAnArgumentThatLeadsNowhereIsNamedWithItsField(t *testing.T) {
	r := run(t, passing(t, `States.MathAdd($.missing, 1)`), `{"a":1}`, asl.Options{})
	wantFailure(t, r, asl.Runtime, "An error occurred while executing the state 'One' (entered at the event id #2). "+
		`The JSONPath '$.missing' specified for the field 'v.$' could not be found in the input '{"a":1}'`)
}

func TestRandomFunctionsDrawFromTheInjectedSource(t *testing.T) {
	next := 0.0
	options := asl.Options{Random: func() float64 { next += 0.1; return next }}
	wantSuccess(t, run(t, passing(t, `States.MathRandom(10, 20)`), `{}`, options), `{"v":11}`)
	wantSuccess(t, run(t, passing(t, `States.MathRandom(10, 20)`), `{}`, options), `{"v":12}`)

	id := run(t, passing(t, `States.UUID()`), `{}`, asl.Options{}).Output
	if !regexp.MustCompile(`^\{"v":"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"\}$`).MatchString(id) {
		t.Errorf("%s holds no UUID of version 4", id)
	}

	seeded := run(t, passing(t, `States.MathRandom(0, 1000000, 7)`), `{}`, options).Output
	if again := run(t, passing(t, `States.MathRandom(0, 1000000, 7)`), `{}`, options).Output; seeded != again {
		t.Errorf("the same seed yields %s and %s", seeded, again)
	}
}
