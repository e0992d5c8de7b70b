package dynamodb_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
)

// update runs an update on an item with the attributes, which are JSON, and gives back what it returns.
func update(t *testing.T, store *dynamodb.Store, attributesBefore, expression, returnValues string) string {
	t.Helper()
	call(t, store, "PutItem", `{"TableName":"records","Item":{"id":{"S":"k"}`+attributesBefore+`}}`)
	return call(t, store, "UpdateItem", fmt.Sprintf(`{"TableName":"records","Key":{"id":{"S":"k"}},"UpdateExpression":%q,"ReturnValues":%q%s}`,
		expression, returnValues, attributes(expression)))
}

func TestUpdatedValuesAreReturnedInTheirPlaceAndNothingElse(t *testing.T) {
	store := newStore(t)
	const before = `,"m":{"M":{"a":{"N":"1"},"b":{"M":{"c":{"S":"old"},"d":{"S":"kept"}}}}},"l":{"L":[{"N":"10"},{"N":"11"},{"N":"12"}]},"s":{"S":"old"}`
	for _, c := range []struct{ expression, wantOld, wantNew string }{
		{"SET m.a = :x", `{"m":{"M":{"a":{"N":"1"}}}}`, `{"m":{"M":{"a":{"S":"x"}}}}`},
		{"SET m.b.c = :x, s = :a", `{"m":{"M":{"b":{"M":{"c":{"S":"old"}}}}},"s":{"S":"old"}}`, `{"m":{"M":{"b":{"M":{"c":{"S":"x"}}}}},"s":{"S":"a"}}`},
		{"SET m.added = :x", `{}`, `{"m":{"M":{"added":{"S":"x"}}}}`},
		{"SET l[2] = :x, l[0] = :a", `{"l":{"L":[{"N":"10"},{"N":"12"}]}}`, `{"l":{"L":[{"S":"a"},{"S":"x"}]}}`},
		{"ADD m.a :five", `{"m":{"M":{"a":{"N":"1"}}}}`, `{"m":{"M":{"a":{"N":"6"}}}}`},
		{"REMOVE s, m.a", `{"s":{"S":"old"},"m":{"M":{"a":{"N":"1"}}}}`, `{}`},
		{"SET s = s", `{"s":{"S":"old"}}`, `{"s":{"S":"old"}}`},
		{"SET added = :x", `{}`, `{"added":{"S":"x"}}`},
	} {
		for returnValues, want := range map[string]string{"UPDATED_OLD": c.wantOld, "UPDATED_NEW": c.wantNew} {
			if want != `{}` {
				want = `{"Attributes":` + want + `}`
			}
			equalJSON(t, c.expression+" "+returnValues, update(t, store, before, c.expression, returnValues), want)
		}
	}
}

func TestIndexesOfAListAreThoseBeforeTheUpdate(t *testing.T) {
	store := newStore(t)
	const before = `,"l":{"L":[{"N":"0"},{"N":"1"},{"N":"2"},{"N":"3"}]}`
	for expression, want := range map[string]string{
		"REMOVE l[0], l[2]":             `{"N":"1"},{"N":"3"}`,
		"REMOVE l[2], l[0], l[3], l[1]": ``,
		"REMOVE l[0] SET l[1] = :x":     `{"S":"x"},{"N":"2"},{"N":"3"}`,
		"SET l[9] = :x, l[7] = :a":      `{"N":"0"},{"N":"1"},{"N":"2"},{"N":"3"},{"S":"a"},{"S":"x"}`,
		"SET l[9] = :x REMOVE l[0]":     `{"N":"1"},{"N":"2"},{"N":"3"},{"S":"x"}`,
		"SET l[9] = :x REMOVE l[4]":     `{"N":"0"},{"N":"1"},{"N":"2"},{"N":"3"},{"S":"x"}`,
		"SET l[0] = l[3], l[3] = l[0]":  `{"N":"3"},{"N":"1"},{"N":"2"},{"N":"0"}`,
		"ADD l[1] :five REMOVE l[3]":    `{"N":"0"},{"N":"6"},{"N":"2"}`,
	} {
		equalJSON(t, expression, update(t, store, before, expression, "ALL_NEW"), `{"Attributes":{"id":{"S":"k"},"l":{"L":[`+want+`]}}}`)
	}
}

func TestAnUpdateThatTheItemDoesNotAllowIsRefused(t *testing.T) {
	store := newStore(t)
	call(t, store, "PutItem", `{"TableName":"records","Item":{"id":{"S":"k"},`+sample+`}}`)
	const (
		missing = "The provided expression refers to an attribute that does not exist in the item"
		wrong   = "An operand in the update expression has an incorrect data type"
		path    = "The document path provided in the update expression is invalid for update"
		digits  = "Attempting to store more than 38 significant digits in a Number"
	)
	for expression, want := range map[string]string{
		"SET s = absent":                      missing,
		"SET s = absent + :one":               missing,
		"SET s = list_append(absent, :list)":  missing,
		"SET s = if_not_exists(absent, gone)": missing,
		"SET n = s + :one":                    wrong,
		"SET l = list_append(s, :list)":       wrong,
		"ADD s :one":                          wrong,
		"ADD ns :bd":                          wrong,
		"DELETE ns :bd":                       wrong,
		"SET absent.part = :x":                path,
		"SET s.part = :x":                     path,
		"SET l.part = :x":                     path,
		"SET m[0] = :x":                       path,
		"SET l[9].part = :x":                  path,
		"REMOVE absent.part":                  path,
		"REMOVE m[0]":                         path,
		"ADD absent.part :one":                path,
		"DELETE s.part :bd":                   path,
		"SET d = d + :long":                   digits,
	} {
		refusal := refused(t, store, "UpdateItem", fmt.Sprintf(
			`{"TableName":"records","Key":{"id":{"S":"k"}},"UpdateExpression":%q%s}`, expression, attributes(expression)))
		if refusal.Message != want {
			t.Errorf("%s: got %q, want %q", expression, refusal.Message, want)
		}
	}
}

func TestAnUpdateOfNothingMakesAnItemOfItsKey(t *testing.T) {
	store := newStore(t)
	for _, returnValues := range []string{"ALL_OLD", "UPDATED_OLD", "UPDATED_NEW", "NONE"} {
		key := `{"id":{"S":"` + strings.ToLower(returnValues) + `"}}`
		equalJSON(t, returnValues, call(t, store, "UpdateItem", `{"TableName":"records","Key":`+key+`,"ReturnValues":"`+returnValues+`"}`), `{}`)
		equalJSON(t, "the item", call(t, store, "GetItem", `{"TableName":"records","Key":`+key+`}`), `{"Item":`+key+`}`)
	}
}

func TestAFailedConditionBringsTheItemOnlyIfItWasAskedFor(t *testing.T) {
	store := newStore(t)
	const item = `{"id":{"S":"k"},"n":{"N":"1"}}`
	call(t, store, "PutItem", `{"TableName":"records","Item":`+item+`}`)
	for operation, subject := range map[string]string{"PutItem": `"Item":{"id":{"S":"k"}}`, "UpdateItem": `"Key":{"id":{"S":"k"}}`, "DeleteItem": `"Key":{"id":{"S":"k"}}`} {
		input := `{"TableName":"records",` + subject + `,"ConditionExpression":"attribute_not_exists(id)"`
		if refusal := refused(t, store, operation, input+`}`); refusal.Item != nil {
			t.Errorf("%s without being asked: got %s", operation, refusal.Item)
		}
		refusal := refused(t, store, operation, input+`,"ReturnValuesOnConditionCheckFailure":"ALL_OLD"}`)
		if refusal.Error() != "ConditionalCheckFailedException: The conditional request failed" {
			t.Errorf("%s: got %v", operation, refusal)
		}
		equalJSON(t, operation, string(refusal.Item), item)
	}
	refusal := refused(t, store, "DeleteItem", `{"TableName":"records","Key":{"id":{"S":"gone"}},"ConditionExpression":"attribute_exists(id)","ReturnValuesOnConditionCheckFailure":"ALL_OLD"}`)
	if refusal.Code != dynamodb.CodeConditionalCheckFailed || refusal.Item != nil {
		t.Errorf("a condition on an item that is not there: got %v with the item %s", refusal, refusal.Item)
	}
}
