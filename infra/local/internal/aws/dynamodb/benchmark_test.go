package dynamodb_test

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
)

// benchmarkRequests are the operations that the idempotency library makes, and a read.
var benchmarkRequests = map[string]string{
	"PutItem": `{"TableName":"records","Item":{"id":{"S":"gateway#%d"},"status":{"S":"INPROGRESS"},"expiration":{"N":"1700003600"},"in_progress_expiration":{"N":"1700000030250"},"owner":{"S":"me"}},
		"ConditionExpression":"` + acquireCondition + `","ReturnValuesOnConditionCheckFailure":"ALL_OLD","ExpressionAttributeNames":{` + acquireNames + `},
		"ExpressionAttributeValues":{":now":{"N":"1800000000"},":now_in_millis":{"N":"1800000000250"},":inprogress":{"S":"INPROGRESS"}}}`,
	"GetItem": `{"TableName":"records","Key":{"id":{"S":"gateway#%d"}},"ConsistentRead":true}`,
	"UpdateItem": `{"TableName":"records","Key":{"id":{"S":"gateway#%d"}},"UpdateExpression":"SET #data = :data, #expiry = :expiry, #status = :status",
		"ExpressionAttributeNames":{"#data":"data","#expiry":"expiration","#status":"status"},
		"ExpressionAttributeValues":{":data":{"S":"{\"statusCode\": 200}"},":expiry":{"N":"1700003601"},":status":{"S":"COMPLETED"}}}`,
}

// benchmarkKeys is how many items the requests of a benchmark are spread over.
const benchmarkKeys = 1000

func benchmarkStores(b *testing.B) map[string]*dynamodb.Store {
	return map[string]*dynamodb.Store{"memory": newStore(b), "file": open(b, openFile(b, filepath.Join(b.TempDir(), "tables.db")))}
}

func BenchmarkDirect(b *testing.B) {
	for kind, store := range benchmarkStores(b) {
		for _, operation := range []string{"PutItem", "GetItem", "UpdateItem"} {
			b.Run(operation+"/"+kind, func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					call(b, store, operation, fmt.Sprintf(benchmarkRequests[operation], i%benchmarkKeys))
				}
			})
		}
	}
}

func BenchmarkHTTP(b *testing.B) {
	for kind, store := range benchmarkStores(b) {
		url := serve(b, store)
		for _, operation := range []string{"PutItem", "GetItem", "UpdateItem"} {
			b.Run(operation+"/"+kind, func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(fmt.Sprintf(benchmarkRequests[operation], i%benchmarkKeys)))
					if err != nil {
						b.Fatal(err)
					}
					request.Header.Set("X-Amz-Target", dynamodb.TargetPrefix+operation)
					response, err := http.DefaultClient.Do(request)
					if err != nil {
						b.Fatal(err)
					}
					if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK {
						b.Fatalf("%d %s %v", response.StatusCode, body, err)
					}
					_ = response.Body.Close()
				}
			})
		}
	}
}
