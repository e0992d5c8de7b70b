package dynamodb_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
)

// atOnce runs the function so many times at the same time.
func atOnce(count int, run func(number int)) {
	var started, ended sync.WaitGroup
	started.Add(count)
	for number := range count {
		ended.Go(func() {
			started.Done()
			started.Wait()
			run(number)
		})
	}
	ended.Wait()
}

// stores are a store of each kind.
func stores(t *testing.T) map[string]*dynamodb.Store {
	t.Helper()
	return map[string]*dynamodb.Store{"memory": newStore(t), "file": open(t, openFile(t, filepath.Join(t.TempDir(), "tables.db")))}
}

func TestOnlyOneOfManyConditionalPutsSucceeds(t *testing.T) {
	for kind, store := range stores(t) {
		var won atomic.Int32
		atOnce(50, func(number int) {
			_, err := store.Call(t.Context(), "PutItem", fmt.Appendf(nil,
				`{"TableName":"records","Item":{"id":{"S":"k"},"owner":{"N":"%d"}},"ConditionExpression":"attribute_not_exists(id)","ReturnValuesOnConditionCheckFailure":"ALL_OLD"}`, number))
			var refusal *dynamodb.Error
			switch {
			case err == nil:
				won.Add(1)
			case !errors.As(err, &refusal) || refusal.Code != dynamodb.CodeConditionalCheckFailed || refusal.Item == nil:
				t.Errorf("%s: got %v", kind, err)
			}
		})
		if won.Load() != 1 {
			t.Errorf("%s: %d of 50 puts succeeded", kind, won.Load())
		}
	}
}

func TestNoUpdateOfManyIsLost(t *testing.T) {
	for kind, store := range stores(t) {
		atOnce(50, func(number int) {
			for range 20 {
				if _, err := store.UpdateItem(t.Context(), json.RawMessage(`{"TableName":"records","Key":{"id":{"S":"k"}},"UpdateExpression":"ADD n :one",
					"ExpressionAttributeValues":{":one":{"N":"1"}}}`)); err != nil {
					t.Error(err)
				}
			}
		})
		equalJSON(t, kind, call(t, store, "GetItem", `{"TableName":"records","Key":{"id":{"S":"k"}}}`), `{"Item":{"id":{"S":"k"},"n":{"N":"1000"}}}`)
	}
}

func TestOperationsOfAllKindsRunTogether(t *testing.T) {
	for _, store := range stores(t) {
		atOnce(16, func(number int) {
			for round := range 30 {
				id := fmt.Sprint((number + round) % 10)
				for operation, input := range map[string]string{
					"PutItem":          `{"TableName":"records","Item":{"id":{"S":"` + id + `"},"expiration":{"N":"1"}}}`,
					"UpdateItem":       `{"TableName":"records","Key":{"id":{"S":"` + id + `"}},"UpdateExpression":"SET a = :a","ExpressionAttributeValues":{":a":{"S":"b"}}}`,
					"GetItem":          `{"TableName":"records","Key":{"id":{"S":"` + id + `"}}}`,
					"Scan":             `{"TableName":"records","FilterExpression":"attribute_exists(a)"}`,
					"Query":            `{"TableName":"records","KeyConditionExpression":"id = :id","ExpressionAttributeValues":{":id":{"S":"` + id + `"}}}`,
					"DeleteItem":       `{"TableName":"records","Key":{"id":{"S":"` + id + `"}}}`,
					"DescribeTable":    `{"TableName":"records"}`,
					"ListTables":       `{}`,
					"UpdateTimeToLive": `{"TableName":"events","TimeToLiveSpecification":{"AttributeName":"until","Enabled":true}}`,
				} {
					if _, err := store.Call(t.Context(), operation, json.RawMessage(input)); err != nil && operation != "UpdateTimeToLive" {
						t.Errorf("%s: %v", operation, err)
					}
				}
				if _, err := store.DeleteExpired(); err != nil {
					t.Error(err)
				}
				if _, err := store.Items("records"); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
