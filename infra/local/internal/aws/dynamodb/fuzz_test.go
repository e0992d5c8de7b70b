package dynamodb_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
)

// fuzzValues are the parameters for the placeholders of all fuzzed expressions.
var fuzzValues = map[string]json.RawMessage{
	":n": json.RawMessage(`{"N":"1"}`), ":s": json.RawMessage(`{"S":"a"}`), ":l": json.RawMessage(`{"L":[{"N":"1"}]}`), ":set": json.RawMessage(`{"SS":["a"]}`),
}

// answer runs the operation and fails if the error is none of the service's. It tells whether the operation succeeded.
func answer(t *testing.T, store *dynamodb.Store, operation string, parameters any) (json.RawMessage, bool) {
	t.Helper()
	input, err := json.Marshal(parameters)
	if err != nil {
		t.Skip(err)
	}
	output, err := store.Call(t.Context(), operation, input)
	var refusal *dynamodb.Error
	if err != nil && (!errors.As(err, &refusal) || refusal.Code == dynamodb.CodeInternalServerError || refusal.Message == "") {
		t.Fatalf("%s %s: %v", operation, input, err)
	}
	return output, err == nil
}

// trim leaves only the values that the expression uses, since others are refused.
func trim(expression string) map[string]json.RawMessage {
	used := map[string]json.RawMessage{}
	for name, value := range fuzzValues {
		if uses(expression, name) {
			used[name] = value
		}
	}
	if len(used) == 0 {
		return nil
	}
	return used
}

func FuzzConditions(f *testing.F) {
	for _, condition := range conditions {
		f.Add(condition)
	}
	for _, condition := range refusedConditions {
		f.Add(condition[0])
	}
	f.Add("size(l) > :n AND NOT (contains(ss, :s) OR s BETWEEN :s AND :s)")
	store := newStore(f)
	call(f, store, "PutItem", `{"TableName":"records","Item":{"id":{"S":"k"},`+sample+`}}`)
	f.Fuzz(func(t *testing.T, condition string) {
		check := func(expression string) bool {
			_, holds := answer(t, store, "UpdateItem", map[string]any{"TableName": "records", "Key": map[string]any{"id": map[string]string{"S": "k"}},
				"ConditionExpression": expression, "ExpressionAttributeValues": trim(expression)})
			return holds
		}
		// A condition and its opposite cannot both hold, and a scan finds what the condition says.
		holds := check(condition)
		if holds && check("NOT ("+condition+")") {
			t.Errorf("%q holds, and so does its opposite", condition)
		}
		output, scanned := answer(t, store, "Scan", map[string]any{"TableName": "records", "FilterExpression": condition, "ExpressionAttributeValues": trim(condition)})
		if holds && !scanned {
			t.Errorf("%q holds but cannot be a filter", condition)
		}
		if scanned {
			var got page
			decode(t, string(output), &got)
			if (got.Count == 1) != holds {
				t.Errorf("%q holds: %v; the filter keeps %d", condition, holds, got.Count)
			}
		}
	})
}

func FuzzUpdates(f *testing.F) {
	for _, update := range updates {
		f.Add(update)
	}
	for _, update := range refusedUpdates {
		f.Add(update[0])
	}
	f.Add("SET m.a = list_append(l, :l), n = n + :n REMOVE l[0] ADD ns :n DELETE ss :set")
	store := newStore(f)
	f.Fuzz(func(t *testing.T, update string) {
		const item = `{"id":{"S":"k"},` + sample + `}`
		call(t, store, "PutItem", `{"TableName":"records","Item":`+item+`}`)
		key := map[string]any{"id": map[string]string{"S": "k"}}
		output, done := answer(t, store, "UpdateItem", map[string]any{"TableName": "records", "Key": key, "UpdateExpression": update,
			"ExpressionAttributeValues": trim(update), "ReturnValues": "ALL_NEW"})
		got := call(t, store, "GetItem", `{"TableName":"records","Key":{"id":{"S":"k"}}}`)
		if !done {
			equalJSON(t, "the item after an update that was refused", got, `{"Item":`+item+`}`)
			return
		}
		var returned struct{ Attributes json.RawMessage }
		decode(t, string(output), &returned)
		equalJSON(t, "the item after "+update, got, fmt.Sprintf(`{"Item":%s}`, returned.Attributes))
		// What an update makes can be put, and comes back as it is.
		call(t, store, "PutItem", fmt.Sprintf(`{"TableName":"records","Item":%s}`, returned.Attributes))
		if again := call(t, store, "GetItem", `{"TableName":"records","Key":{"id":{"S":"k"}}}`); again != got {
			t.Errorf("%q: put again, the item is %s instead of %s", update, again, got)
		}
	})
}

func FuzzProjections(f *testing.F) {
	for _, projection := range []string{"id", "s, m.a", "l[0], l[2].deep", "m.b.c, m.a", "l[2].deep[1], absent", "m, m.a", "#a", "id,,s"} {
		f.Add(projection)
	}
	store := newStore(f)
	call(f, store, "PutItem", `{"TableName":"records","Item":{"id":{"S":"k"},`+sample+`}}`)
	f.Fuzz(func(t *testing.T, projection string) {
		answer(t, store, "GetItem", map[string]any{"TableName": "records", "Key": map[string]any{"id": map[string]string{"S": "k"}}, "ProjectionExpression": projection})
	})
}

func FuzzItems(f *testing.F) {
	f.Add(`{"id":{"S":"k"},` + sample + `}`)
	f.Add(`{"id":{"S":"k"},"n":{"N":"1e-130"},"set":{"NS":["1","1.0"]},"nested":{"L":[{"M":{"a":{"NULL":true}}}]}}`)
	f.Add(`{"id":{"S":"k","N":null},"empty":{},"two":{"S":"a","N":"1"},"b":{"B":"?"}}`)
	store := newStore(f)
	f.Fuzz(func(t *testing.T, item string) {
		output, err := store.Call(t.Context(), "PutItem", json.RawMessage(`{"TableName":"records","Item":`+item+`}`))
		var refusal *dynamodb.Error
		if errors.As(err, &refusal) {
			return
		}
		if err != nil || string(output) != `{}` {
			t.Fatalf("%s: got %s %v", item, output, err)
		}
		// An item that is stored comes back in a form that is stored as the same.
		var page struct{ Items []map[string]json.RawMessage }
		decode(t, call(t, store, "Scan", `{"TableName":"records"}`), &page)
		for _, stored := range page.Items {
			again, err := json.Marshal(stored)
			if err != nil {
				t.Fatal(err)
			}
			key := fmt.Sprintf(`{"TableName":"records","Key":{"id":%s}}`, stored["id"])
			before := call(t, store, "GetItem", key)
			call(t, store, "PutItem", `{"TableName":"records","Item":`+string(again)+`}`)
			if d := cmp.Diff(before, call(t, store, "GetItem", key)); d != "" {
				t.Errorf("%s: put again, the item differs: %s", item, d)
			}
			call(t, store, "DeleteItem", key)
		}
	})
}
