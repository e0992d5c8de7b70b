package asl_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

const (
	end      = `"End":true`
	toLambda = `"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"End":true`
)

// TestWhatTheInterpreterDoesNotKnowIsRefusedByName lists definitions and the problems that are found in them, as state,
// field and a part of the message.
func TestWhatTheInterpreterDoesNotKnowIsRefusedByName(t *testing.T) {
	type problem struct{ state, field, message string }
	tests := []struct {
		name       string
		definition string
		want       []problem
	}{
		{"a Map state", one(`{"Type":"Map",` + end + `}`), []problem{{"One", "Type", "Map states are not supported"}}},
		{"a Parallel state", one(`{"Type":"Parallel",` + end + `}`), []problem{{"One", "Type", "Parallel states are not supported"}}},
		{"a type that does not exist", one(`{"Type":"Loop"}`), []problem{{"One", "Type", `"Loop" is none of`}}},
		{"no type", one(`{}`), []problem{{"One", "Type", "is missing"}}},
		{"a state that is no object", one(`7`), []problem{{"One", "", "must be an object"}}},

		{"JSONata for the machine", `{"QueryLanguage":"JSONata","StartAt":"One","States":{"One":{"Type":"Succeed"}}}`, []problem{{"", "QueryLanguage", "must be JSONPath"}}},
		{"JSONata for a state", one(`{"Type":"Succeed","QueryLanguage":"JSONata"}`), []problem{{"One", "QueryLanguage", "must be JSONPath"}}},
		{"JSONata's fields", one(`{"Type":"Pass","Output":"{% 1 %}","Assign":{"a":1},"End":true}`),
			[]problem{{"One", "Assign", "variables"}, {"One", "Output", "JSONata"}}},
		{"JSONata's arguments of a task", one(`{` + toLambda + `,"Arguments":{}}`), []problem{{"One", "Arguments", "JSONata"}}},
		{"JSONata's condition", states("One", `"One":{"Type":"Choice","Choices":[{"Condition":"{% true %}","Next":"E"}],"Default":"E"}`, `"E":{"Type":"Succeed"}`),
			[]problem{{"One", "Choices[0].Condition", "JSONata"}}},

		{"a field that does not exist", one(`{"Type":"Pass","Retries":1,"End":true}`), []problem{{"One", "Retries", "no such field"}}},
		{"a field of another type of state", one(`{"Type":"Wait","Seconds":1,"ResultPath":"$","End":true}`), []problem{{"One", "ResultPath", "no such field"}}},
		{"a field at the top that does not exist", `{"Start":"One","StartAt":"One","States":{"One":{"Type":"Succeed"}}}`, []problem{{"", "Start", "no such field"}}},
		{"a field that is there twice", `{"StartAt":"One","States":{"One":{"Type":"Pass","Type":"Pass","End":true}}}`, []problem{{"", "", `"Type" is there twice in "$.States.One"`}}},
		{"another version of the language", `{"Version":"2.0","StartAt":"One","States":{"One":{"Type":"Succeed"}}}`, []problem{{"", "Version", "must be 1.0"}}},

		{"a heartbeat", one(`{` + toLambda + `,"HeartbeatSeconds":5}`), []problem{{"One", "HeartbeatSeconds", "callbacks"}}},
		{"credentials", one(`{` + toLambda + `,"Credentials":{"RoleArn":"r"}}`), []problem{{"One", "Credentials", "not supported"}}},
		{"the bare ARN of a function", one(`{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","End":true}`), []problem{{"One", "Resource", "the bare ARN of a function"}}},
		{"an activity", one(`{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","End":true}`), []problem{{"One", "Resource", "activities"}}},
		{"a callback", one(`{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","Parameters":{"FunctionName":"f"},"End":true}`), []problem{{"One", "Resource", "the pattern .waitForTaskToken"}}},
		{"another integration", one(`{"Type":"Task","Resource":"arn:aws:states:::sns:publish","Parameters":{},"End":true}`), []problem{{"One", "Resource", "sns:publish"}}},
		{"parameters of SQS that are not supported", one(`{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl":"q","MessageGroupId":"g"},"End":true}`),
			[]problem{{"One", "Parameters.MessageGroupId", "no such parameter"}, {"One", "Parameters.MessageBody", "is missing"}}},
		{"an SDK integration", one(`{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:dynamodb:getItem","Parameters":{},"End":true}`), []problem{{"One", "Resource", "aws-sdk:dynamodb:getItem"}}},
		{"no resource", one(`{"Type":"Task","End":true}`), []problem{{"One", "Resource", "is missing"}}},
		{"no function", one(`{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","End":true}`), []problem{{"One", "Parameters.FunctionName", "is missing"}}},
		{"an empty function", one(`{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":""},"End":true}`), []problem{{"One", "Parameters.FunctionName", "must be the name or ARN"}}},
		{"a parameter of Lambda that is not supported", one(`{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","InvocationType":"Event"},"End":true}`), []problem{{"One", "Parameters.InvocationType", "no such parameter"}}},
		{"a parameter of DynamoDB that Step Functions does not pass on", one(`{"Type":"Task","Resource":"arn:aws:states:::dynamodb:updateItem","Parameters":{"TableName":"t","Key":{},"ReturnValuesOnConditionCheckFailure":"ALL_OLD"},"End":true}`),
			[]problem{{"One", "Parameters.ReturnValuesOnConditionCheckFailure", "no such parameter"}}},

		{"a wildcard", one(`{"Type":"Pass","InputPath":"$.a[*]","End":true}`), []problem{{"One", "InputPath", "the wildcard [*]"}}},
		{"a wildcard after a dot", one(`{"Type":"Pass","InputPath":"$.*","End":true}`), []problem{{"One", "InputPath", "the wildcard *"}}},
		{"a filter", one(`{"Type":"Pass","OutputPath":"$.a[?(@.b==1)]","End":true}`), []problem{{"One", "OutputPath", "the filter [?"}}},
		{"a descent", one(`{"Type":"Pass","InputPath":"$..a","End":true}`), []problem{{"One", "InputPath", "the recursive descent"}}},
		{"a slice", one(`{"Type":"Pass","InputPath":"$.a[0:2]","End":true}`), []problem{{"One", "InputPath", "the slice"}}},
		{"a union of indexes", one(`{"Type":"Pass","InputPath":"$.a[0,1]","End":true}`), []problem{{"One", "InputPath", "the union"}}},
		{"a union of names", one(`{"Type":"Pass","InputPath":"$['a','b']","End":true}`), []problem{{"One", "InputPath", "the union"}}},
		{"an index from the end", one(`{"Type":"Pass","InputPath":"$.a[-1]","End":true}`), []problem{{"One", "InputPath", "counts from the end"}}},
		{"a function in a path", one(`{"Type":"Pass","InputPath":"$.a.length()","End":true}`), []problem{{"One", "InputPath", "the function length()"}}},
		{"a path that does not begin with $", one(`{"Type":"Pass","InputPath":"a","End":true}`), []problem{{"One", "InputPath", "begins with $"}}},
		{"a path that ends early", one(`{"Type":"Pass","InputPath":"$.a.","End":true}`), []problem{{"One", "InputPath", "a name is missing"}}},
		{"a bracket that is not closed", one(`{"Type":"Pass","InputPath":"$.a[0","End":true}`), []problem{{"One", "InputPath", "a closing ]"}}},
		{"a space in a path", one(`{"Type":"Pass","InputPath":"$.a b","End":true}`), []problem{{"One", "InputPath", "['name']"}}},
		{"a result in the context object", one(`{"Type":"Pass","ResultPath":"$$.Execution","End":true}`), []problem{{"One", "ResultPath", "cannot be changed"}}},

		{"a parameter twice", one(`{"Type":"Pass","Parameters":{"a":1,"a.$":"$"},"End":true}`), []problem{{"One", "Parameters.a.$", "only one of them"}}},
		{"an expression that is no string", one(`{"Type":"Pass","Parameters":{"x":[{"a.$":1}]},"End":true}`), []problem{{"One", "Parameters.x[0].a.$", "must be a string"}}},
		{"an expression that is neither path nor function", one(`{"Type":"Pass","Parameters":{"a.$":"abc"},"End":true}`), []problem{{"One", "Parameters.a.$", "neither a path"}}},
		{"Parameters that are no object", one(`{"Type":"Pass","Parameters":"$.a","End":true}`), []problem{{"One", "Parameters", "must be an object"}}},
		{"a function that does not exist", one(`{"Type":"Pass","Parameters":{"a.$":"States.Reverse('x')"},"End":true}`), []problem{{"One", "Parameters.a.$", "no function States.Reverse"}}},
		{"a function with too few arguments", one(`{"Type":"Pass","Parameters":{"a.$":"States.MathAdd(1)"},"End":true}`), []problem{{"One", "Parameters.a.$", "takes 2 arguments, not 1"}}},
		{"a function that is not closed", one(`{"Type":"Pass","Parameters":{"a.$":"States.Array(1"},"End":true}`), []problem{{"One", "Parameters.a.$", "a closing )"}}},
		{"a backslash that escapes nothing", one(`{"Type":"Pass","Parameters":{"a.$":"States.Format('\\n')"},"End":true}`), []problem{{"One", "Parameters.a.$", "backslash"}}},
		{"text behind a call", one(`{"Type":"Pass","Parameters":{"a.$":"States.UUID() x"},"End":true}`), []problem{{"One", "Parameters.a.$", "left over"}}},
		{"calls nested too deep", one(`{"Type":"Pass","Parameters":{"a.$":"` + strings.Repeat("States.Array(", 11) + strings.Repeat(")", 11) + `"},"End":true}`), []problem{{"One", "Parameters.a.$", "nested more than 10"}}},

		{"neither Next nor End", one(`{"Type":"Pass"}`), []problem{{"One", "Next", "is missing"}}},
		{"Next and End", states("One", `"One":{"Type":"Pass","Next":"Two","End":true}`, `"Two":{"Type":"Succeed"}`), []problem{{"One", "End", "together with Next"}}},
		{"Next to nowhere", one(`{"Type":"Pass","Next":"Nowhere"}`), []problem{{"One", "Next", `no state "Nowhere"`}, {"", "States", "none of them ends"}}},
		{"Catch to nowhere", one(`{` + toLambda + `,"Catch":[{"ErrorEquals":["States.ALL"],"Next":"Nowhere"}]}`), []problem{{"One", "Catch[0]", `no state "Nowhere"`}}},
		{"StartAt nowhere", `{"StartAt":"Two","States":{"One":{"Type":"Succeed"}}}`, []problem{{"", "StartAt", `no state "Two"`}}},
		{"a state that nothing leads to", states("One", `"One":{"Type":"Succeed"}`, `"Two":{"Type":"Succeed"}`), []problem{{"Two", "", "no way leads to it"}}},
		{"two states that lead only to each other", states("One", `"One":{"Type":"Succeed"}`, `"Two":{"Type":"Pass","Next":"Three"}`, `"Three":{"Type":"Pass","Next":"Two"}`),
			[]problem{{"Two", "", "no way leads to it"}, {"Three", "", "no way leads to it"}}},
		{"a ring without an end", states("One", `"One":{"Type":"Pass","Next":"Two"}`, `"Two":{"Type":"Pass","Next":"One"}`), []problem{{"", "States", "none of them ends"}}},
		{"no states", `{"StartAt":"One","States":{}}`, []problem{{"", "States", "must not be empty"}}},
		{"a name that is too long", states(strings.Repeat("x", 81), `"`+strings.Repeat("x", 81)+`":{"Type":"Succeed"}`), []problem{{strings.Repeat("x", 81), "", "1 to 80 characters"}}},

		{"a choice without a Next", states("One", `"One":{"Type":"Choice","Choices":[{"Variable":"$.a","IsNull":true}],"Default":"E"}`, `"E":{"Type":"Succeed"}`), []problem{{"One", "Choices[0].Next", "is missing"}}},
		{"a Next inside a condition", choice(`{"Not":{"Variable":"$.a","IsNull":true,"Next":"Yes"},"Next":"Yes"}`), []problem{{"Ask", "Choices[0].Not.Next", "no such field"}}},
		{"a comparison that does not exist", choice(`{"Variable":"$.a","StringStartsWith":"x","Next":"Yes"}`), []problem{{"Ask", "Choices[0]", "one comparison"}, {"Ask", "Choices[0].StringStartsWith", "no such field"}}},
		{"two comparisons", choice(`{"Variable":"$.a","IsNull":true,"IsString":true,"Next":"Yes"}`), []problem{{"Ask", "Choices[0]", "one comparison"}}},
		{"a comparison with the wrong type", choice(`{"Variable":"$.a","NumericEquals":"1","Next":"Yes"}`), []problem{{"Ask", "Choices[0].NumericEquals", "must be a number"}}},
		{"a comparison with something that is no time", choice(`{"Variable":"$.a","TimestampEquals":"noon","Next":"Yes"}`), []problem{{"Ask", "Choices[0].TimestampEquals", "must be a timestamp"}}},
		{"a path form that does not exist", choice(`{"Variable":"$.a","StringMatchesPath":"$.b","Next":"Yes"}`), []problem{{"Ask", "Choices[0]", "one comparison"}, {"Ask", "Choices[0].StringMatchesPath", "no such field"}}},
		{"an empty And", choice(`{"And":[],"Next":"Yes"}`), []problem{{"Ask", "Choices[0].And", "at least one"}}},
		{"And beside Variable", choice(`{"And":[{"Variable":"$.a","IsNull":true}],"Variable":"$.b","Next":"Yes"}`), []problem{{"Ask", "Choices[0].Variable", "together with And"}}},
		{"no choices", states("One", `"One":{"Type":"Choice","Choices":[],"Default":"E"}`, `"E":{"Type":"Succeed"}`), []problem{{"One", "Choices", "at least one"}}},

		{"a wait for nothing", one(`{"Type":"Wait","End":true}`), []problem{{"One", "", "needs one of Seconds"}}},
		{"a wait in two forms", one(`{"Type":"Wait","Seconds":1,"SecondsPath":"$.s","End":true}`), []problem{{"One", "SecondsPath", "together with Seconds"}}},
		{"a wait of half a second", one(`{"Type":"Wait","Seconds":0.5,"End":true}`), []problem{{"One", "Seconds", "must be a whole number"}}},
		{"a wait until no time", one(`{"Type":"Wait","Timestamp":"noon","End":true}`), []problem{{"One", "Timestamp", "2016-03-14T01:59:00Z"}}},

		{"a timeout of zero", one(`{` + toLambda + `,"TimeoutSeconds":0}`), []problem{{"One", "TimeoutSeconds", "from 1 to 99999999"}}},
		{"two timeouts", one(`{` + toLambda + `,"TimeoutSeconds":1,"TimeoutSecondsPath":"$.t"}`), []problem{{"One", "TimeoutSecondsPath", "together with TimeoutSeconds"}}},
		{"a jitter that does not exist", one(`{` + toLambda + `,"Retry":[{"ErrorEquals":["A"],"JitterStrategy":"HALF"}]}`), []problem{{"One", "Retry[0].JitterStrategy", `"HALF" is none of FULL, NONE`}}},
		{"a backoff that shrinks", one(`{` + toLambda + `,"Retry":[{"ErrorEquals":["A"],"BackoffRate":0.5}]}`), []problem{{"One", "Retry[0].BackoffRate", "at least 1.0"}}},
		{"an interval of zero", one(`{` + toLambda + `,"Retry":[{"ErrorEquals":["A"],"IntervalSeconds":0}]}`), []problem{{"One", "Retry[0].IntervalSeconds", "from 1"}}},
		{"a longest delay below the first", one(`{` + toLambda + `,"Retry":[{"ErrorEquals":["A"],"IntervalSeconds":5,"MaxDelaySeconds":5}]}`), []problem{{"One", "Retry[0].MaxDelaySeconds", "more than IntervalSeconds"}}},
		{"a longest delay of more than a year", one(`{` + toLambda + `,"Retry":[{"ErrorEquals":["A"],"MaxDelaySeconds":31622400}]}`), []problem{{"One", "Retry[0].MaxDelaySeconds", "to 31622399"}}},
		{"no errors to retry", one(`{` + toLambda + `,"Retry":[{"ErrorEquals":[]}]}`), []problem{{"One", "Retry[0].ErrorEquals", "at least one"}}},
		{"States.ALL among others", one(`{` + toLambda + `,"Retry":[{"ErrorEquals":["A","States.ALL"]}]}`), []problem{{"One", "Retry[0].ErrorEquals", "must stand alone"}}},
		{"States.ALL before another", one(`{` + toLambda + `,"Retry":[{"ErrorEquals":["States.ALL"]},{"ErrorEquals":["A"]}]}`), []problem{{"One", "Retry[0].ErrorEquals", "in the last element"}}},
		{"a Catch without a Next", one(`{` + toLambda + `,"Catch":[{"ErrorEquals":["A"]}]}`), []problem{{"One", "Catch[0].Next", "is missing"}}},
		{"Retry in a Pass", one(`{"Type":"Pass","Retry":[],"End":true}`), []problem{{"One", "Retry", "no such field"}}},

		{"an input of Fail", one(`{"Type":"Fail","InputPath":"$"}`), []problem{{"One", "InputPath", "no such field"}}},
		{"a cause that is no string", one(`{"Type":"Fail","CausePath":"States.ArrayLength($.a)"}`), []problem{{"One", "CausePath", "yields no string"}}},
		{"Error and ErrorPath", one(`{"Type":"Fail","Error":"E","ErrorPath":"$.e"}`), []problem{{"One", "ErrorPath", "together with Error"}}},

		{"several problems at once", states("A", `"A":{"Type":"Map"}`, `"B":{"Type":"Wait","Seconds":-1,"Next":"C"}`),
			[]problem{{"A", "Type", "Map"}, {"B", "Seconds", "whole number"}}},
		{"something that is not JSON", `{"StartAt":`, []problem{{"", "", "not JSON"}}},
		{"JSON that is no object", `[]`, []problem{{"", "", "must be a JSON object"}}},
		{"more behind the definition", one(`{"Type":"Succeed"}`) + `{}`, []problem{{"", "", "after the end"}}},
		{"a definition that is too long", one(`{"Type":"Succeed","Comment":"` + strings.Repeat("x", asl.MaxDefinition) + `"}`), []problem{{"", "", "at most 1048576"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, err := asl.Parse([]byte(test.definition))
			var refused *asl.DefinitionError
			if !errors.As(err, &refused) || m != nil {
				t.Fatalf("got machine %v and error %v", m, err)
			}
			var got, want []string
			for _, p := range refused.Problems {
				message := p.Message
				for _, w := range test.want {
					if w.state == p.State && w.field == p.Field && strings.Contains(message, w.message) {
						message = w.message
					}
				}
				got = append(got, p.State+" | "+p.Field+" | "+message)
			}
			for _, w := range test.want {
				want = append(want, w.state+" | "+w.field+" | "+w.message)
			}
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			var problem *asl.Problem
			if !errors.As(err, &problem) {
				t.Error("the error does not unwrap to its problems")
			}
			for _, p := range refused.Problems {
				if !strings.Contains(err.Error(), p.Error()) {
					t.Errorf("the message %q leaves out %q", err, p)
				}
			}
		})
	}
}

func TestTheDefinitionsThatTheConstructWritesAreUnderstood(t *testing.T) {
	for _, n := range []int{1, 3, 20} {
		m := parse(t, ring(n))
		all := m.States()
		if want := 3*n + 2; len(all) != want {
			t.Errorf("a ring of %d has %d states, not %d", n, want, len(all))
		}
		if m.StartAt() != "Proxy-1" || all[0].Name != "Proxy-1" || all[0].Kind != asl.Task {
			t.Errorf("a ring of %d starts at %s, which is %+v", n, m.StartAt(), all[0])
		}
	}
}

func TestAMachineTellsItsTransitionsInTheOrderInWhichTheyAreTried(t *testing.T) {
	m := parse(t, ring(3))
	check, ok := m.State("Check-3")
	if !ok {
		t.Fatal("there is no Check-3")
	}
	want := []asl.Transition{
		{From: "Check-3", To: "Succeeded", By: "Choices[0]"},
		{From: "Check-3", To: "Wait-3", By: "Choices[1]"},
		{From: "Check-3", To: "Proxy-1", By: "Choices[2]"},
		{From: "Check-3", To: "Failed", By: "Default"},
	}
	if diff := cmp.Diff(want, check.Transitions); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, ok := m.State("Check-4"); ok {
		t.Error("there is a Check-4")
	}
}
