package dynamodb_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
)

// A record is put once; who comes second is told by the error, and gets the record with it.
func ExampleStore_Call() {
	store := dynamodb.New()
	if err := store.CreateTable(dynamodb.TableDefinition{
		Name:         "records",
		PartitionKey: dynamodb.KeyAttribute{Name: "id", Type: "S"},
	}); err != nil {
		log.Fatal(err)
	}
	for range 2 {
		_, err := store.Call(context.Background(), "PutItem", json.RawMessage(`{
			"TableName": "records",
			"Item": {"id": {"S": "order-1"}, "status": {"S": "INPROGRESS"}},
			"ConditionExpression": "attribute_not_exists(id)",
			"ReturnValuesOnConditionCheckFailure": "ALL_OLD"
		}`))
		var refusal *dynamodb.Error
		if errors.As(err, &refusal) {
			fmt.Println(refusal.Code, string(refusal.Item))
		}
	}
	// Output:
	// ConditionalCheckFailedException {"id":{"S":"order-1"},"status":{"S":"INPROGRESS"}}
}
