package dynamodb_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
)

func TestAnItemOfTheLargestSizeIsStoredAndALargerOneRefused(t *testing.T) {
	store := newStore(t)
	// "id" and its value "k" are 3 bytes, "data" is 4.
	largest := strings.Repeat("x", dynamodb.MaxItemSize-7)
	put := func(data string) string {
		return `{"TableName":"records","Item":{"id":{"S":"k"},"data":{"S":"` + data + `"}}}`
	}
	call(t, store, "PutItem", put(largest))
	if refusal := refused(t, store, "PutItem", put(largest+"x")); refusal.Message != "Item size has exceeded the maximum allowed size" {
		t.Errorf("got %v", refusal)
	}
	refusal := refused(t, store, "UpdateItem", `{"TableName":"records","Key":{"id":{"S":"k"}},"UpdateExpression":"SET a = :a","ExpressionAttributeValues":{":a":{"BOOL":true}}}`)
	if refusal.Message != "Item size to update has exceeded the maximum allowed size" {
		t.Errorf("got %v", refusal)
	}
}

func TestTheSizeOfAnItemCountsNamesAndValues(t *testing.T) {
	for attribute, want := range map[string]int{
		`"é":{"S":"東京"}`:                       2 + 6,
		`"b":{"B":"AAEC"}`:                     1 + 3,
		`"n":{"N":"0"}`:                        1 + 1,
		`"n":{"N":"12345"}`:                    1 + 4,
		`"n":{"N":"-12345"}`:                   1 + 5,
		`"n":{"N":"100000000"}`:                1 + 2,
		`"t":{"BOOL":true}`:                    1 + 1,
		`"z":{"NULL":true}`:                    1 + 1,
		`"l":{"L":[]}`:                         1 + 3,
		`"l":{"L":[{"S":"ab"},{"NULL":true}]}`: 1 + 3 + 2 + 2 + 1,
		`"m":{"M":{"a":{"S":"b"}}}`:            1 + 3 + 1 + 2,
		`"ss":{"SS":["a","bc"]}`:               2 + 3,
	} {
		store := newStore(t)
		call(t, store, "PutItem", `{"TableName":"records","Item":{"id":{"S":"k"},`+attribute+`}}`)
		var description struct {
			Table struct{ TableSizeBytes, ItemCount int }
		}
		decode(t, call(t, store, "DescribeTable", `{"TableName":"records"}`), &description)
		if got := description.Table.TableSizeBytes - len("idk"); got != want || description.Table.ItemCount != 1 {
			t.Errorf("%s: got %d bytes, want %d", attribute, got, want)
		}
	}
}

func TestKeysHaveALargestSize(t *testing.T) {
	store := newStore(t)
	if err := store.CreateTable(dynamodb.TableDefinition{Name: "pairs",
		PartitionKey: dynamodb.KeyAttribute{Name: "p", Type: "S"}, SortKey: dynamodb.KeyAttribute{Name: "s", Type: "S"}}); err != nil {
		t.Fatal(err)
	}
	put := func(partition, sort int) string {
		return fmt.Sprintf(`{"TableName":"pairs","Item":{"p":{"S":%q},"s":{"S":%q}}}`, strings.Repeat("p", partition), strings.Repeat("s", sort))
	}
	call(t, store, "PutItem", put(dynamodb.MaxPartitionKeySize, dynamodb.MaxSortKeySize))
	if got, want := refused(t, store, "PutItem", put(dynamodb.MaxPartitionKeySize+1, 1)).Message,
		"One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes"; got != want {
		t.Errorf("got %s", got)
	}
	if got, want := refused(t, store, "PutItem", put(1, dynamodb.MaxSortKeySize+1)).Message,
		"One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 bytes"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestAnItemIsNestedUpToALimit(t *testing.T) {
	store := newStore(t)
	nested := func(levels int) string {
		return strings.Repeat(`{"L":[`, levels) + `{"S":"x"}` + strings.Repeat(`]}`, levels)
	}
	put := `{"TableName":"records","Item":{"id":{"S":"k"},"l":%s}}`
	call(t, store, "PutItem", fmt.Sprintf(put, nested(dynamodb.MaxNesting)))
	if refusal := refused(t, store, "PutItem", fmt.Sprintf(put, nested(dynamodb.MaxNesting+1))); !strings.HasPrefix(refusal.Message, "Nesting Levels have exceeded supported limits") {
		t.Errorf("got %v", refusal)
	}
	refusal := refused(t, store, "UpdateItem", `{"TableName":"records","Key":{"id":{"S":"k"}},"UpdateExpression":"SET l[0] = :v","ExpressionAttributeValues":{":v":`+nested(dynamodb.MaxNesting)+`}}`)
	if !strings.HasPrefix(refusal.Message, "Nesting Levels have exceeded supported limits") {
		t.Errorf("got %v", refusal)
	}
}

func TestAnExpressionHasALargestSizeAndDepth(t *testing.T) {
	store := newStore(t)
	condition := func(text string) string {
		return fmt.Sprintf(`{"TableName":"records","Item":{"id":{"S":"k"}},"ConditionExpression":%q}`, text)
	}
	longest := "attribute_not_exists(id)" + strings.Repeat(" ", dynamodb.MaxExpressionSize-len("attribute_not_exists(id)"))
	call(t, store, "PutItem", condition(longest))
	if got, want := refused(t, store, "PutItem", condition(longest+" ")).Message,
		"Invalid ConditionExpression: Expression size has exceeded the maximum allowed size; expression size: 4097"; got != want {
		t.Errorf("got %s", got)
	}
	deep := strings.Repeat("NOT (", 700) + "attribute_exists(id)" + strings.Repeat(")", 700)
	if refusal := refused(t, store, "PutItem", condition(deep[:dynamodb.MaxExpressionSize])); !strings.Contains(refusal.Message, "nested too deep") {
		t.Errorf("got %v", refusal)
	}
	path := "attribute_exists(a" + strings.Repeat(".a", dynamodb.MaxNesting) + ")"
	if got, want := refused(t, store, "PutItem", condition(path)).Message,
		"Invalid ConditionExpression: The document path has too many nesting elements; nesting levels: 33"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestInTakesUpToAHundredValues(t *testing.T) {
	store := newStore(t)
	in := func(count int) string {
		return `{"TableName":"records","Item":{"id":{"S":"k"},"n":{"N":"1"}},"ConditionExpression":"NOT n IN (:v` + strings.Repeat(", :v", count-1) + `)","ExpressionAttributeValues":{":v":{"N":"1"}}}`
	}
	call(t, store, "PutItem", in(dynamodb.MaxInOperands))
	if refusal := refused(t, store, "PutItem", in(dynamodb.MaxInOperands+1)); !strings.Contains(refusal.Message, "101") {
		t.Errorf("got %v", refusal)
	}
}

func TestConsumedCapacityIsReportedIfItIsAskedFor(t *testing.T) {
	store := newStore(t)
	text := strings.Repeat("x", 4090)
	for _, c := range []struct{ operation, input, want string }{
		{"PutItem", `{"TableName":"records","Item":{"id":{"S":"k"},"a":{"S":"` + text + `"}},"ReturnConsumedCapacity":"TOTAL"}`, `{"TableName":"records","CapacityUnits":4}`},
		{"GetItem", `{"TableName":"records","Key":{"id":{"S":"k"}},"ProjectionExpression":"id","ReturnConsumedCapacity":"TOTAL"}`, `{"TableName":"records","CapacityUnits":0.5}`},
		{"GetItem", `{"TableName":"records","Key":{"id":{"S":"k"}},"ProjectionExpression":"id","ConsistentRead":true,"ReturnConsumedCapacity":"INDEXES"}`, `{"TableName":"records","CapacityUnits":1,"Table":{"CapacityUnits":1}}`},
		{"UpdateItem", `{"TableName":"records","Key":{"id":{"S":"k"}},"UpdateExpression":"SET b = a","ReturnConsumedCapacity":"TOTAL"}`, `{"TableName":"records","CapacityUnits":8}`},
		{"DeleteItem", `{"TableName":"records","Key":{"id":{"S":"k"}},"ReturnConsumedCapacity":"TOTAL"}`, `{"TableName":"records","CapacityUnits":8}`},
		{"DeleteItem", `{"TableName":"records","Key":{"id":{"S":"k"}},"ReturnConsumedCapacity":"TOTAL"}`, `{"TableName":"records","CapacityUnits":1}`},
	} {
		var output struct{ ConsumedCapacity any }
		decode(t, call(t, store, c.operation, c.input), &output)
		var want any
		decode(t, c.want, &want)
		if fmt.Sprint(output.ConsumedCapacity) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v", c.operation, output.ConsumedCapacity, want)
		}
	}
	if output := call(t, store, "GetItem", `{"TableName":"records","Key":{"id":{"S":"k"}},"ReturnConsumedCapacity":"NONE"}`); output != `{}` {
		t.Errorf("got %s", output)
	}
}
