package stack_test

import (
	"net/http/httptest"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate/gatestore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate/gatetest"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
)

func TestTheLocalDynamoDBIsAStoreOfGates(t *testing.T) {
	t.Parallel()
	gatetest.Run(t, func(t *testing.T) gate.Store {
		local := dynamodb.New()
		if err := local.CreateTable(dynamodb.TableDefinition{
			Name: "records", PartitionKey: dynamodb.KeyAttribute{Name: "id", Type: "S"}, TTLAttribute: "expiration",
		}); err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(local)
		t.Cleanup(server.Close)
		return gatestore.New(sdkClient(server.URL), "records")
	})
}
