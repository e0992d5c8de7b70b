// Package upstreamtest runs the scripted upstream of the verification stack for tests: its handler behind a function URL, and
// its table, on this machine.
package upstreamtest

import (
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/gofunction/gobuild"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

// handler is the main package of the scripted upstream.
const handler = "github.com/retrying-api-proxy/retrying-api-proxy/infra/verification/upstream"

// table is the name of the table of scripts.
const table = "scripts"

// Secret is the secret in the URL.
const Secret = "5f2c1d80-cc3e-11f0-9a4b-0e2a9d1c7b11"

// Start runs the upstream until the test ends, and returns its URL and the store that has its table, by the name scripts.
func Start(t testing.TB) (url string, store *dynamodb.Store) {
	t.Helper()
	dir, err := gobuild.ForHost(t.Context(), handler)
	if err != nil {
		t.Fatal(err)
	}
	store = dynamodb.New()
	if err := store.CreateTable(dynamodb.TableDefinition{
		Name: table, PartitionKey: dynamodb.KeyAttribute{Name: "script", Type: "S"}, SortKey: dynamodb.KeyAttribute{Name: "item", Type: "S"},
		TTLAttribute: "expiration",
	}); err != nil {
		t.Fatal(err)
	}
	endpoint := httptest.NewServer(store)
	t.Cleanup(endpoint.Close)
	host, err := lambda.NewHost(lambda.Config{Env: map[string]string{"AWS_ENDPOINT_URL": endpoint.URL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Close() })
	if err := host.Add(lambda.Function{
		Name: "scripted-upstream", Path: filepath.Join(dir, gobuild.Bootstrap), Timeout: 30 * time.Second,
		Env: map[string]string{"TABLE_NAME": table, "SECRET_PATH": Secret},
	}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(lambda.FunctionURL(host, "scripted-upstream", lambda.URLConfig{}))
	t.Cleanup(server.Close)
	return server.URL + "/" + Secret, store
}
