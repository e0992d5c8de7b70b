package asl_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

type judgedCase struct {
	name       string
	definition string
	input      string
	answers    map[string][]answer
	differs    []difference
}

// one is a definition of a single state that ends the execution.
func one(state string) string { return `{"StartAt":"One","States":{"One":` + state + `}}` }

// choice is a definition that passes to Yes or No, and puts out which.
func choice(rule string) string {
	return states("Ask",
		`"Ask":{"Type":"Choice","Default":"No","Choices":[`+rule+`]}`,
		`"Yes":{"Type":"Pass","Result":"yes","End":true}`,
		`"No":{"Type":"Pass","Result":"no","End":true}`)
}

// task is a definition of one Task that calls the function f, with more fields.
func task(fields string) string { return one(taskState(fields + `"End":true`)) }

func taskState(fields string) string {
	return `{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","Payload.$":"$"},` +
		`"ResultSelector":{"answer.$":"$.Payload"},` + fields + `}`
}

// update is a Task that updates an item.
func update(fields string) string {
	return `{"Type":"Task","Resource":"arn:aws:states:::dynamodb:updateItem","Parameters":{"TableName":"t",
		"Key":{"id":{"S.$":"$.id"}},"UpdateExpression":"SET #s = :done","ConditionExpression":"#o = :me",
		"ExpressionAttributeNames":{"#s":"status","#o":"owner"},
		"ExpressionAttributeValues":{":done":{"S":"COMPLETED"},":me":{"S.$":"$.owner"}}},` + fields + `}`
}

func intrinsic(call string) string {
	return one(`{"Type":"Pass","Parameters":{"v.$":"` + call + `"},"End":true}`)
}

func functions(all ...answer) map[string][]answer { return map[string][]answer{"f": all} }

var (
	tooLarge  = answer{payload: `"` + strings.Repeat("x", asl.MaxPayload) + `"`}
	throttled = answer{refusal: &asl.ServiceError{
		Code: "TooManyRequestsException", Message: "Rate Exceeded.", StatusCode: 429, RequestID: requestID,
	}}
	crashed = answer{crash: true, payload: `{"errorMessage":"RequestId: 1 Error: Runtime exited with error: exit status 1","errorType":"Runtime.ExitError"}`}
	hung    = answer{crash: true, payload: `{"errorMessage":"2026-11-21T12:00:00.000Z 1 Task timed out after 10.00 seconds","errorType":"Sandbox.Timedout"}`}
)

// ringAnswer is an envelope as a proxy answers it.
func ringAnswer(outcome string, waitSeconds int) answer {
	return answer{payload: fmt.Sprintf(`{"outcome":%q,"waitSeconds":%d,"statusCode":200,"body":"b","answer":{"outcome":"retry","waitSeconds":0}}`, outcome, waitSeconds)}
}

const ringInput = `{"outcome":"","waitSeconds":0,"answer":{"outcome":"retry","waitSeconds":0,"answer":{"outcome":"failed","error":"AttemptsExhausted","waitSeconds":0}}}`

const (
	neverScheduled = "moto records TaskFailed for a task that it never scheduled; AWS ends the execution at once"
	limitIsFinal   = "moto lets States.ALL catch States.DataLimitExceeded, as the service has been seen to do; AWS documents that it does not"
	runtimeIsFinal = "moto lets States.ALL catch States.Runtime; AWS does not"
	missingIsFalse = "moto takes a missing variable for one that does not match; AWS fails with States.Runtime"
)

var judged = []judgedCase{
	// Rings of the kind that the construct writes. Those that it does write follow at the end.
	{name: "a ring of three, success at the second proxy after a wait", definition: ring(3), input: ringInput,
		answers: map[string][]answer{proxyARN(1): {ringAnswer("retry", 1)}, proxyARN(2): {ringAnswer("succeeded", 0)}}},
	{name: "a ring of three, twice round without waits", definition: ring(3), input: ringInput,
		answers: map[string][]answer{
			proxyARN(1): {ringAnswer("retry", 0)}, proxyARN(2): {ringAnswer("retry", 0)},
			proxyARN(3): {ringAnswer("retry", 0), ringAnswer("succeeded", 0)}}},
	{name: "a ring of three, the first proxy hangs", definition: ring(3), input: ringInput,
		answers: map[string][]answer{proxyARN(1): {hung}, proxyARN(2): {ringAnswer("succeeded", 0)}}},
	{name: "a ring of three, all proxies crash", definition: ring(3), input: ringInput,
		answers: map[string][]answer{proxyARN(1): {crashed}, proxyARN(2): {crashed}, proxyARN(3): {crashed}}},

	// Pass, input and output processing.
	{name: "a Pass hands on its input", definition: one(`{"Type":"Pass","End":true}`), input: `{"a":[1,2.5,"x",null,true]}`},
	{name: "a Pass puts out its Result", definition: one(`{"Type":"Pass","Result":{"r":1},"End":true}`), input: `{"a":1}`},
	{name: "Result goes to ResultPath", definition: one(`{"Type":"Pass","Result":{"r":1},"ResultPath":"$.x","End":true}`), input: `{"a":1}`},
	{name: "ResultPath makes the objects that it needs", definition: one(`{"Type":"Pass","Result":1,"ResultPath":"$.x.y.z","End":true}`), input: `{"a":1}`},
	{name: "ResultPath replaces what is there", definition: one(`{"Type":"Pass","Result":1,"ResultPath":"$.a.b","End":true}`), input: `{"a":{"b":2,"c":3}}`},
	{name: "ResultPath null drops the result", definition: one(`{"Type":"Pass","Result":1,"ResultPath":null,"End":true}`), input: `{"a":1}`},
	{name: "InputPath selects", definition: one(`{"Type":"Pass","InputPath":"$.a.b","End":true}`), input: `{"a":{"b":{"c":1}}}`},
	{name: "InputPath null is an empty object", definition: one(`{"Type":"Pass","InputPath":null,"End":true}`), input: `{"a":1}`},
	{name: "OutputPath selects", definition: one(`{"Type":"Pass","OutputPath":"$.a","End":true}`), input: `{"a":{"b":1}}`},
	{name: "OutputPath null is an empty object", definition: one(`{"Type":"Pass","OutputPath":null,"End":true}`), input: `{"a":1}`},
	{name: "Parameters build an object", definition: one(`{"Type":"Pass","Parameters":{"fixed":1,"deep":{"list":[{"x.$":"$.a"},2]},"all.$":"$"},"End":true}`), input: `{"a":7}`},
	{name: "Parameters after InputPath, ResultPath and OutputPath",
		definition: one(`{"Type":"Pass","InputPath":"$.in","Parameters":{"v.$":"$.x"},"ResultPath":"$.out","OutputPath":"$.out","End":true}`), input: `{"in":{"x":5}}`},
	{name: "quoted names and indexes in paths", definition: one(`{"Type":"Pass","Parameters":{"v.$":"$['a b'][1].c"},"End":true}`), input: `{"a b":[0,{"c":"found"}]}`,
		differs: []difference{{"Output", "moto takes a path with an index behind a quoted name for one that may select several values"}}},
	{name: "a path of the context object", definition: one(`{"Type":"Pass","Parameters":{"name.$":"$$.Execution.Name","input.$":"$$.Execution.Input","state.$":"$$.State.Name"},"End":true}`), input: `{"a":1}`},
	{name: "an InputPath that leads nowhere", definition: one(`{"Type":"Pass","InputPath":"$.b","End":true}`), input: `{"a":1}`},
	{name: "an OutputPath that leads nowhere", definition: one(`{"Type":"Pass","OutputPath":"$.b","End":true}`), input: `{"a":1}`},
	{name: "a parameter that leads nowhere", definition: one(`{"Type":"Pass","Parameters":{"v.$":"$.b"},"End":true}`), input: `{}`},
	{name: "a chain of states", definition: states("A",
		`"A":{"Type":"Pass","Result":1,"ResultPath":"$.a","Next":"B"}`, `"B":{"Type":"Wait","Seconds":0,"Next":"C"}`,
		`"C":{"Type":"Pass","Result":2,"ResultPath":"$.c","Next":"D"}`, `"D":{"Type":"Succeed","OutputPath":"$.c"}`), input: `{}`},
	{name: "Succeed filters its input", definition: one(`{"Type":"Succeed","InputPath":"$.a","OutputPath":"$.b"}`), input: `{"a":{"b":"out"}}`},

	// Choice.
	{name: "StringEquals holds", definition: choice(`{"Variable":"$.v","StringEquals":"a","Next":"Yes"}`), input: `{"v":"a"}`},
	{name: "StringEquals of a number does not hold", definition: choice(`{"Variable":"$.v","StringEquals":"1","Next":"Yes"}`), input: `{"v":1}`},
	{name: "StringLessThan", definition: choice(`{"Variable":"$.v","StringLessThan":"b","Next":"Yes"}`), input: `{"v":"a"}`},
	{name: "StringMatches with wildcards", definition: choice(`{"Variable":"$.v","StringMatches":"log-*.txt","Next":"Yes"}`), input: `{"v":"log-2026.txt"}`},
	{name: "StringEqualsPath", definition: choice(`{"Variable":"$.v","StringEqualsPath":"$.w","Next":"Yes"}`), input: `{"v":"a","w":"a"}`},
	{name: "NumericEquals of 1 and 1.0", definition: choice(`{"Variable":"$.v","NumericEquals":1,"Next":"Yes"}`), input: `{"v":1.0}`},
	{name: "NumericGreaterThanEquals at the bound", definition: choice(`{"Variable":"$.v","NumericGreaterThanEquals":1,"Next":"Yes"}`), input: `{"v":1}`},
	{name: "NumericGreaterThanEquals of a string does not hold", definition: choice(`{"Variable":"$.v","NumericGreaterThanEquals":1,"Next":"Yes"}`), input: `{"v":"2"}`},
	{name: "NumericLessThanPath", definition: choice(`{"Variable":"$.v","NumericLessThanPath":"$.w","Next":"Yes"}`), input: `{"v":1,"w":2}`},
	{name: "BooleanEquals", definition: choice(`{"Variable":"$.v","BooleanEquals":false,"Next":"Yes"}`), input: `{"v":false}`},
	{name: "TimestampLessThan", definition: choice(`{"Variable":"$.v","TimestampLessThan":"2026-01-01T00:00:00Z","Next":"Yes"}`), input: `{"v":"2025-12-31T23:59:59Z"}`},
	{name: "TimestampEquals across offsets", definition: choice(`{"Variable":"$.v","TimestampEquals":"2026-01-01T00:00:00Z","Next":"Yes"}`), input: `{"v":"2026-01-01T01:00:00+01:00"}`,
		differs: []difference{
			{"Output", "moto reads no offsets in timestamps; the language allows them"},
			{"Events", "and so it goes on to the other state"}}},
	{name: "IsPresent of a null", definition: choice(`{"Variable":"$.v","IsPresent":true,"Next":"Yes"}`), input: `{"v":null}`},
	{name: "IsPresent false", definition: choice(`{"Variable":"$.v","IsPresent":false,"Next":"Yes"}`), input: `{}`},
	{name: "IsNull", definition: choice(`{"Variable":"$.v","IsNull":true,"Next":"Yes"}`), input: `{"v":null}`},
	{name: "IsNumeric of a boolean does not hold", definition: choice(`{"Variable":"$.v","IsNumeric":true,"Next":"Yes"}`), input: `{"v":true}`},
	{name: "IsString false", definition: choice(`{"Variable":"$.v","IsString":false,"Next":"Yes"}`), input: `{"v":1}`},
	{name: "IsTimestamp", definition: choice(`{"Variable":"$.v","IsTimestamp":true,"Next":"Yes"}`), input: `{"v":"2026-01-01T00:00:00Z"}`},
	{name: "And, Or and Not", definition: choice(`{"And":[{"Not":{"Variable":"$.a","BooleanEquals":true}},{"Or":[{"Variable":"$.b","NumericEquals":1},{"Variable":"$.b","NumericEquals":2}]}],"Next":"Yes"}`), input: `{"a":false,"b":2}`},
	{name: "And stops at the first that does not hold", definition: choice(`{"And":[{"Variable":"$.v","IsPresent":true},{"Variable":"$.v","NumericEquals":1}],"Next":"Yes"}`), input: `{}`},
	{name: "the first choice that holds counts", definition: states("Ask",
		`"Ask":{"Type":"Choice","Choices":[{"Variable":"$.v","NumericGreaterThan":5,"Next":"Five"},{"Variable":"$.v","NumericGreaterThan":1,"Next":"One"}]}`,
		`"Five":{"Type":"Pass","Result":5,"End":true}`, `"One":{"Type":"Pass","Result":1,"End":true}`), input: `{"v":9}`},
	{name: "a choice with InputPath and OutputPath", definition: states("Ask",
		`"Ask":{"Type":"Choice","InputPath":"$.a","OutputPath":"$.b","Choices":[{"Variable":"$.b.c","NumericEquals":1,"Next":"End"}],"Default":"End"}`,
		`"End":{"Type":"Succeed"}`), input: `{"a":{"b":{"c":1}}}`},
	{name: "a variable that is missing", definition: choice(`{"Variable":"$.v","StringEquals":"a","Next":"Yes"}`), input: `{}`,
		differs: []difference{{"Status", missingIsFalse}, {"Output", missingIsFalse}, {"Error", missingIsFalse}, {"Cause", missingIsFalse}, {"Events", missingIsFalse}}},
	{name: "no choice matches", definition: states("Ask",
		`"Ask":{"Type":"Choice","Choices":[{"Variable":"$.v","NumericEquals":1,"Next":"End"}]}`, `"End":{"Type":"Succeed"}`), input: `{"v":2}`,
		differs: []difference{
			{"Error", "moto ends with an exception of Python's as States.Runtime; AWS documents States.NoChoiceMatched"},
			{"Cause", "the same exception"}}},

	// Wait.
	{name: "Wait for a second", definition: one(`{"Type":"Wait","Seconds":1,"End":true}`), input: `{"a":1}`},
	{name: "SecondsPath", definition: one(`{"Type":"Wait","SecondsPath":"$.s","End":true}`), input: `{"s":1}`},
	{name: "SecondsPath of a fraction", definition: one(`{"Type":"Wait","SecondsPath":"$.s","End":true}`), input: `{"s":1.5}`},
	{name: "SecondsPath below zero", definition: one(`{"Type":"Wait","SecondsPath":"$.s","End":true}`), input: `{"s":-1}`},
	{name: "SecondsPath of a string", definition: one(`{"Type":"Wait","SecondsPath":"$.s","End":true}`), input: `{"s":"1"}`},
	{name: "SecondsPath that leads nowhere", definition: one(`{"Type":"Wait","SecondsPath":"$.s","End":true}`), input: `{}`},
	{name: "a Timestamp in the past", definition: one(`{"Type":"Wait","Timestamp":"2020-01-01T00:00:00Z","End":true}`), input: `{}`},
	{name: "TimestampPath", definition: one(`{"Type":"Wait","TimestampPath":"$.t","End":true}`), input: `{"t":"2020-01-01T00:00:00Z"}`},
	{name: "TimestampPath of something else", definition: one(`{"Type":"Wait","TimestampPath":"$.t","End":true}`), input: `{"t":"tomorrow"}`},

	// Fail.
	{name: "Fail with Error and Cause", definition: one(`{"Type":"Fail","Error":"E","Cause":"because"}`), input: `{}`},
	{name: "Fail without either", definition: one(`{"Type":"Fail"}`), input: `{}`},
	{name: "ErrorPath and CausePath", definition: one(`{"Type":"Fail","ErrorPath":"$.e","CausePath":"States.JsonToString($)"}`), input: `{"e":"E","detail":{"n":1}}`},
	{name: "CausePath with States.Format", definition: one(`{"Type":"Fail","Error":"E","CausePath":"States.Format('{} of {}', $.a, $.b)"}`), input: `{"a":1,"b":"two"}`},
	{name: "ErrorPath that leads nowhere", definition: one(`{"Type":"Fail","ErrorPath":"$.x","Cause":"c"}`), input: `{}`},

	// Intrinsic functions.
	{name: "States.Format of all types", definition: intrinsic(`States.Format('{} {} {} {} {} {}', $.s, $.n, $.b, $.z, $.o, $.l)`),
		input: `{"s":"x","n":1.5,"b":true,"z":null,"o":{"k":"v"},"l":[1,"a"]}`},
	{name: "States.StringToJson and JsonToString", definition: one(`{"Type":"Pass","Parameters":{"j.$":"States.StringToJson($.text)","s.$":"States.JsonToString($.o)"},"End":true}`), input: `{"text":"{\"a\":[1]}","o":{"b":2}}`},
	{name: "States.MathAdd", definition: intrinsic(`States.MathAdd($.a, -3)`), input: `{"a":5}`},
	{name: "States.Array with nested calls", definition: intrinsic(`States.Array($.a, 'x', 2, true, null, States.MathAdd(1, 1))`), input: `{"a":{"b":1}}`,
		differs: []difference{{"Output", "moto forgets a null among arguments"}}},
	{name: "States.ArrayLength, GetItem and Contains", definition: one(`{"Type":"Pass","Parameters":{"n.$":"States.ArrayLength($.l)","i.$":"States.ArrayGetItem($.l, 1)","c.$":"States.ArrayContains($.l, 3)","d.$":"States.ArrayContains($.l, 4)"},"End":true}`), input: `{"l":[1,2,3]}`},
	{name: "States.ArrayPartition", definition: intrinsic(`States.ArrayPartition($.l, 4)`), input: `{"l":[1,2,3,4,5,6,7,8,9]}`},
	{name: "States.ArrayRange", definition: intrinsic(`States.ArrayRange(1, 9, 2)`), input: `{}`},
	{name: "States.ArrayUnique", definition: intrinsic(`States.ArrayUnique($.l)`), input: `{"l":[1,2,2,3,1,"a","a"]}`},
	{name: "States.Base64Encode and Decode", definition: one(`{"Type":"Pass","Parameters":{"e.$":"States.Base64Encode('Data to encode')","d.$":"States.Base64Decode('RGVjb2RlZCBkYXRh')"},"End":true}`), input: `{}`},
	{name: "States.Hash", definition: one(`{"Type":"Pass","Parameters":{"a.$":"States.Hash($.d, 'MD5')","b.$":"States.Hash($.d, 'SHA-1')","c.$":"States.Hash($.d, 'SHA-256')","e.$":"States.Hash($.d, 'SHA-384')","f.$":"States.Hash($.d, 'SHA-512')"},"End":true}`), input: `{"d":"input data"}`},
	{name: "States.JsonMerge", definition: intrinsic(`States.JsonMerge($.a, $.b, false)`), input: `{"a":{"x":{"p":1},"y":1},"b":{"x":{"q":2},"z":3}}`},
	{name: "States.StringSplit at several characters", definition: intrinsic(`States.StringSplit('This.is+a,test=string', '.+,=')`), input: `{}`},

	// Task: lambda:invoke.
	{name: "a task's answer goes through ResultSelector", definition: task(``), input: `{"a":1}`, answers: functions(answer{payload: `{"b":2}`})},
	{name: "a task's answer goes to ResultPath and OutputPath", definition: task(`"ResultPath":"$.out","OutputPath":"$.out.answer",`), input: `{"a":1}`, answers: functions(answer{payload: `{"b":2}`})},
	{name: "a function that fails", definition: task(``), input: `{}`, answers: functions(crashed)},
	{name: "a function that does not exist", definition: task(``), input: `{}`},
	{name: "a throttled function is tried again", definition: task(`"Retry":[{"ErrorEquals":["Lambda.TooManyRequestsException"],"IntervalSeconds":1,"MaxAttempts":2,"BackoffRate":1}],`), input: `{}`,
		answers: functions(throttled, answer{payload: `"at last"`})},
	{name: "retries run out", definition: task(`"Retry":[{"ErrorEquals":["Lambda.TooManyRequestsException"],"IntervalSeconds":1,"MaxAttempts":1}],`), input: `{}`, answers: functions(throttled)},
	{name: "MaxAttempts 0 is no retry", definition: task(`"Retry":[{"ErrorEquals":["States.ALL"],"MaxAttempts":0}],`), input: `{}`, answers: functions(crashed)},
	{name: "a retrier for another error is passed over", definition: task(`"Retry":[{"ErrorEquals":["Other"],"MaxAttempts":5},{"ErrorEquals":["States.TaskFailed"],"IntervalSeconds":1,"MaxAttempts":1}],`), input: `{}`,
		answers: functions(crashed, answer{payload: `1`})},
	{name: "two retriers count apart", definition: task(`"Retry":[{"ErrorEquals":["Lambda.TooManyRequestsException"],"IntervalSeconds":1,"MaxAttempts":1},{"ErrorEquals":["Runtime.ExitError"],"IntervalSeconds":1,"MaxAttempts":1}],`), input: `{}`,
		answers: functions(throttled, crashed, answer{payload: `1`})},
	{name: "a caught error goes to ResultPath", definition: states("T",
		`"T":`+taskState(`"Catch":[{"ErrorEquals":["Runtime.ExitError"],"ResultPath":"$.x.fault","Next":"Caught"}],"OutputPath":"$.never","Next":"Caught"`),
		`"Caught":{"Type":"Pass","End":true}`), input: `{"x":{"a":1}}`, answers: functions(crashed)},
	{name: "a caught error replaces the input", definition: states("T",
		`"T":`+taskState(`"Catch":[{"ErrorEquals":["Other"],"Next":"Caught"},{"ErrorEquals":["States.ALL"],"Next":"Caught"}],"Next":"Caught"`),
		`"Caught":{"Type":"Pass","End":true}`), input: `{"a":1}`, answers: functions(throttled)},
	{name: "an error is caught when retries run out", definition: states("T",
		`"T":`+taskState(`"Retry":[{"ErrorEquals":["States.ALL"],"IntervalSeconds":1,"MaxAttempts":1}],"Catch":[{"ErrorEquals":["States.TaskFailed"],"ResultPath":"$.f","Next":"Caught"}],"Next":"Caught"`),
		`"Caught":{"Type":"Pass","End":true}`), input: `{}`, answers: functions(throttled)},
	{name: "a task runs into its timeout", definition: task(`"TimeoutSeconds":1,`), input: `{}`,
		answers: functions(answer{payload: `1`, takes: time.Hour})},
	{name: "a timeout is caught as States.Timeout", definition: states("T",
		`"T":`+taskState(`"TimeoutSeconds":1,"Catch":[{"ErrorEquals":["States.TaskFailed"],"Next":"Wrong"},{"ErrorEquals":["States.Timeout"],"ResultPath":"$.f","Next":"Caught"}],"Next":"Caught"`),
		`"Wrong":{"Type":"Fail"}`, `"Caught":{"Type":"Pass","End":true}`), input: `{}`,
		answers: functions(answer{payload: `1`, takes: time.Hour})},
	{name: "a parameter of a task leads nowhere", definition: one(`{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","Payload.$":"$.b"},"Catch":[{"ErrorEquals":["States.ALL"],"Next":"One"}],"End":true}`), input: `{}`,
		differs: []difference{{"Status", runtimeIsFinal}, {"Output", runtimeIsFinal}, {"Error", runtimeIsFinal}, {"Cause", runtimeIsFinal}, {"Events", neverScheduled}}},
	{name: "the machine's timeout", definition: `{"StartAt":"W","TimeoutSeconds":1,"States":{"W":{"Type":"Wait","Seconds":3,"End":true}}}`, input: `{}`},

	{name: "a result that is too large, caught by its name", definition: states("T",
		`"T":`+taskState(`"Catch":[{"ErrorEquals":["States.DataLimitExceeded"],"ResultPath":"$.f","Next":"Caught"}],"Next":"Caught"`),
		`"Caught":{"Type":"Pass","End":true}`), input: `{}`, answers: functions(tooLarge)},
	{name: "a result that is too large and States.ALL", definition: states("T",
		`"T":`+taskState(`"Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.f","Next":"Caught"}],"Next":"Caught"`),
		`"Caught":{"Type":"Pass","End":true}`), input: `{}`, answers: functions(tooLarge),
		differs: []difference{{"Status", limitIsFinal}, {"Output", limitIsFinal}, {"Error", limitIsFinal}, {"Cause", limitIsFinal}, {"Events", limitIsFinal}}},

	// Task: dynamodb:updateItem.
	{name: "an item is updated", definition: one(update(`"ResultPath":null,"End":true`)), input: `{"id":"k","owner":"me"}`, answers: map[string][]answer{"updateItem": {{payload: `{}`}}}},
	{name: "an update's attributes", definition: one(update(`"ResultSelector":{"was.$":"$.Attributes"},"End":true`)), input: `{"id":"k","owner":"me"}`,
		answers: map[string][]answer{"updateItem": {{payload: `{"Attributes":{"id":{"S":"k"}}}`}}}},
	{name: "an update whose condition does not hold", definition: one(update(`"End":true`)), input: `{"id":"k","owner":"me"}`,
		answers: map[string][]answer{"updateItem": {{refusal: conditionFailed}}}},
	{name: "an update's error is caught by name", definition: states("T",
		`"T":`+update(`"ResultPath":null,"Catch":[{"ErrorEquals":["DynamoDB.ConditionalCheckFailedException"],"ResultPath":"$.f","Next":"Caught"}],"Next":"Caught"`),
		`"Caught":{"Type":"Pass","End":true}`), input: `{"id":"k","owner":"me"}`, answers: map[string][]answer{"updateItem": {{refusal: conditionFailed}}}},
}

var conditionFailed = &asl.ServiceError{
	Code: "ConditionalCheckFailedException", Message: "The conditional request failed", StatusCode: 400, RequestID: requestID,
}

func theLastOfFiveSucceeds() map[string][]answer {
	all := map[string][]answer{proxyARN(5): {ringAnswer("succeeded", 0)}}
	for i := 1; i < 5; i++ {
		all[proxyARN(i)] = []answer{ringAnswer("retry", 0)}
	}
	return all
}
