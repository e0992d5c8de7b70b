package dynamodb_test

import (
	"encoding/json"
	"fmt"
	"testing"
)

// The rules of the service, for where there is no judge to ask.
func TestConditionsOnWhatIsThereAndWhatIsNot(t *testing.T) {
	for condition, holds := range map[string]bool{
		"n = :one":                     true,
		"n <> :one":                    false,
		"n < :one":                     false,
		"n <= :one":                    true,
		"n > :one":                     false,
		"n >= :one":                    true,
		"n = :text":                    false,
		"n <> :text":                   true,
		"n <= :text":                   false,
		"absent = :one":                false,
		"absent <> :one":               true,
		"absent < :one":                false,
		"absent >= :one":               false,
		"attribute_exists(n)":          true,
		"attribute_exists(absent)":     false,
		"attribute_not_exists(absent)": true,
		"attribute_not_exists(n)":      false,
	} {
		store := newStore(t)
		call(t, store, "PutItem", `{"TableName":"records","Item":{"id":{"S":"a"},"n":{"N":"1"}}}`)
		values := ""
		for name, value := range map[string]string{":one": `{"N":"1"}`, ":text": `{"S":"1"}`} {
			if len(condition) > len(name) && condition[len(condition)-len(name):] == name {
				values = fmt.Sprintf(`,"ExpressionAttributeValues":{%q:%s}`, name, value)
			}
		}
		input := fmt.Sprintf(`{"TableName":"records","Key":{"id":{"S":"a"}},"ConditionExpression":%q%s}`, condition, values)
		if _, err := store.Call(t.Context(), "DeleteItem", json.RawMessage(input)); (err == nil) != holds {
			t.Errorf("%s holds: %v, want %v (%v)", condition, err == nil, holds, err)
		}
	}
}
