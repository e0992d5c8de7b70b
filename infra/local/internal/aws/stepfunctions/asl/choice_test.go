package asl_test

import (
	"fmt"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

func TestComparisonsHoldAsTheirTypesAllow(t *testing.T) {
	tests := []struct {
		comparison string // with its operand
		value      string
		holds      bool
	}{
		{`"StringEquals":"a"`, `"a"`, true},
		{`"StringEquals":"a"`, `"A"`, false},
		{`"StringEquals":"1"`, `1`, false},
		{`"StringEquals":""`, `null`, false},
		{`"StringLessThan":"b"`, `"a"`, true},
		{`"StringLessThan":"a"`, `"a"`, false},
		{`"StringLessThanEquals":"a"`, `"a"`, true},
		{`"StringGreaterThan":"a"`, `"é"`, true},
		{`"StringGreaterThan":"a"`, `1`, false},
		{`"StringGreaterThanEquals":"b"`, `"a"`, false},
		{`"StringMatches":"*"`, `""`, true},
		{`"StringMatches":"a*c*e"`, `"abcde"`, true},
		{`"StringMatches":"a*c*e"`, `"abde"`, false},
		{`"StringMatches":"a*a"`, `"a"`, false},
		{`"StringMatches":"a\\*c"`, `"a*c"`, true},
		{`"StringMatches":"a\\*c"`, `"abc"`, false},
		{`"StringMatches":"a\\\\*"`, `"a\\b"`, true},
		{`"StringMatches":"1*"`, `12`, false},
		{`"NumericEquals":1`, `1.0`, true},
		{`"NumericEquals":0.1`, `1e-1`, true},
		{`"NumericEquals":1`, `"1"`, false},
		{`"NumericEquals":0`, `false`, false},
		{`"NumericEquals":0`, `null`, false},
		{`"NumericLessThan":1`, `-1`, true},
		{`"NumericLessThan":1`, `1`, false},
		{`"NumericLessThanEquals":1`, `1`, true},
		{`"NumericGreaterThan":1`, `1e300`, true},
		{`"NumericGreaterThan":1e300`, `1e999`, true},
		{`"NumericGreaterThanEquals":1`, `1`, true},
		{`"NumericGreaterThanEquals":1`, `[1]`, false},
		{`"BooleanEquals":true`, `true`, true},
		{`"BooleanEquals":false`, `null`, false},
		{`"BooleanEquals":false`, `"false"`, false},
		{`"TimestampEquals":"2026-01-01T00:00:00Z"`, `"2026-01-01T02:00:00+02:00"`, true},
		{`"TimestampEquals":"2026-01-01T00:00:00Z"`, `"2026-01-01T00:00:00.000Z"`, true},
		{`"TimestampEquals":"2026-01-01T00:00:00Z"`, `"2026-01-01"`, false},
		{`"TimestampLessThan":"2026-01-01T00:00:00Z"`, `"2025-12-31T23:59:59.999Z"`, true},
		{`"TimestampLessThanEquals":"2026-01-01T00:00:00Z"`, `"2026-01-01T00:00:00Z"`, true},
		{`"TimestampGreaterThan":"2026-01-01T00:00:00Z"`, `1`, false},
		{`"TimestampGreaterThanEquals":"2026-01-01T00:00:00Z"`, `"2026-01-01T00:00:00Z"`, true},
		{`"IsNull":true`, `null`, true},
		{`"IsNull":false`, `null`, false},
		{`"IsNull":false`, `0`, true},
		{`"IsPresent":true`, `null`, true},
		{`"IsPresent":false`, `1`, false},
		{`"IsString":true`, `"x"`, true},
		{`"IsString":true`, `1`, false},
		{`"IsNumeric":true`, `1.5`, true},
		{`"IsNumeric":true`, `"1.5"`, false},
		{`"IsNumeric":false`, `true`, true},
		{`"IsBoolean":true`, `false`, true},
		{`"IsBoolean":true`, `"false"`, false},
		{`"IsTimestamp":true`, `"2026-01-01T00:00:00Z"`, true},
		{`"IsTimestamp":true`, `"2026-01-01t00:00:00z"`, false},
		{`"IsTimestamp":true`, `"2026-01-01 00:00:00Z"`, false},
		{`"IsTimestamp":true`, `"2026-01-01T00:00:00"`, false},
		{`"IsTimestamp":false`, `1767225600`, true},

		{`"StringEqualsPath":"$.other.s"`, `"s"`, true},
		{`"StringLessThanPath":"$.other.s"`, `"t"`, false},
		{`"StringEqualsPath":"$.other.n"`, `"5"`, false},
		{`"NumericEqualsPath":"$.other.n"`, `5.0`, true},
		{`"NumericGreaterThanPath":"$.other.n"`, `6`, true},
		{`"NumericLessThanEqualsPath":"$.other.s"`, `1`, false},
		{`"NumericGreaterThanPath":"$.other.s"`, `1`, false},
		{`"BooleanEqualsPath":"$.other.b"`, `true`, true},
		{`"TimestampLessThanPath":"$.other.t"`, `"2025-01-01T00:00:00Z"`, true},
		{`"StringEqualsPath":"$$.Execution.Name"`, `"e"`, true},
	}
	for _, test := range tests {
		t.Run(test.comparison+" of "+test.value, func(t *testing.T) {
			input := fmt.Sprintf(`{"v":%s,"other":{"s":"s","n":5,"b":true,"t":"2026-01-01T00:00:00Z"}}`, test.value)
			for _, negated := range []bool{false, true} {
				rule := fmt.Sprintf(`{"Variable":"$.v",%s,"Next":"Yes"}`, test.comparison)
				want := map[bool]string{true: `"yes"`, false: `"no"`}[test.holds != negated]
				if negated {
					rule = fmt.Sprintf(`{"Not":{"Variable":"$.v",%s},"Next":"Yes"}`, test.comparison)
				}
				wantSuccess(t, run(t, choice(rule), input, asl.Options{Execution: asl.ExecutionContext{Name: "e"}}), want)
			}
		})
	}
}

func TestAChoiceWhoseVariableIsMissingFailsTheExecution(t *testing.T) {
	for _, rule := range []string{
		`{"Variable":"$.v","StringEquals":"a","Next":"Yes"}`,
		`{"Variable":"$.v","IsNull":true,"Next":"Yes"}`,
		`{"Not":{"Variable":"$.v","NumericEquals":1},"Next":"Yes"}`,
		`{"Variable":"$.w","StringEqualsPath":"$.v","Next":"Yes"}`,
	} {
		wantFailure(t, run(t, choice(rule), `{"w":"a"}`, asl.Options{}), asl.Runtime,
			"An error occurred while executing the state 'Ask' (entered at the event id #2). "+
				"Invalid path '$.v': The choice state's condition path references an invalid value.")
	}
}

func TestAnOrStopsAtTheFirstConditionThatHolds(t *testing.T) {
	rule := `{"Or":[{"Variable":"$.a","NumericEquals":1},{"Variable":"$.missing","NumericEquals":1}],"Next":"Yes"}`
	wantSuccess(t, run(t, choice(rule), `{"a":1}`, asl.Options{}), `"yes"`)
}

func TestAnAndStopsAtTheFirstConditionThatDoesNotHold(t *testing.T) {
	rule := `{"And":[{"Variable":"$.missing","IsPresent":true},{"Variable":"$.missing","NumericEquals":1}],"Next":"Yes"}`
	wantSuccess(t, run(t, choice(rule), `{"a":1}`, asl.Options{}), `"no"`)
}
