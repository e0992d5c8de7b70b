package dynamodb_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
)

// records is the table of most tests. It has the form of the idempotency table.
var records = dynamodb.TableDefinition{
	Name:         "records",
	PartitionKey: dynamodb.KeyAttribute{Name: "id", Type: "S"},
	TTLAttribute: "expiration",
}

// events has a composite key with a number to sort by.
var events = dynamodb.TableDefinition{
	Name:         "events",
	PartitionKey: dynamodb.KeyAttribute{Name: "source", Type: "S"},
	SortKey:      dynamodb.KeyAttribute{Name: "at", Type: "N"},
}

// start is the time at which the clock of a test begins.
var start = time.Unix(1_700_000_000, 0)

// newStore makes a store with the tables records and events.
func newStore(t testing.TB, options ...dynamodb.Option) *dynamodb.Store {
	t.Helper()
	store := dynamodb.New(append([]dynamodb.Option{dynamodb.WithClock(func() time.Time { return start })}, options...)...)
	createTables(t, store)
	return store
}

func createTables(t testing.TB, store *dynamodb.Store) {
	t.Helper()
	for _, definition := range []dynamodb.TableDefinition{records, events} {
		if err := store.CreateTable(definition); err != nil {
			t.Fatal(err)
		}
	}
}

// call runs an operation that has to succeed and gives back its answer.
func call(t testing.TB, store *dynamodb.Store, operation, input string) string {
	t.Helper()
	output, err := store.Call(t.Context(), operation, json.RawMessage(input))
	if err != nil {
		t.Fatalf("%s %s: %v", operation, input, err)
	}
	return string(output)
}

// refused runs an operation that has to fail and gives back the error.
func refused(t testing.TB, store *dynamodb.Store, operation, input string) *dynamodb.Error {
	t.Helper()
	output, err := store.Call(t.Context(), operation, json.RawMessage(input))
	var refusal *dynamodb.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("%s %s: got %s and the error %v, want a refusal", operation, input, output, err)
	}
	return refusal
}

// equalJSON compares two JSON texts by what they mean.
func equalJSON(t testing.TB, what, got, want string) {
	t.Helper()
	var gotValue, wantValue any
	if err := json.Unmarshal([]byte(got), &gotValue); err != nil {
		t.Fatalf("%s: %v in %s", what, err, got)
	}
	if err := json.Unmarshal([]byte(want), &wantValue); err != nil {
		t.Fatalf("%s: %v in %s", what, err, want)
	}
	if difference := cmp.Diff(wantValue, gotValue); difference != "" {
		t.Errorf("%s: -want +got\n%s", what, difference)
	}
}

func TestAnItemComesBackAsItWasPut(t *testing.T) {
	store := newStore(t)
	item := `{"id":{"S":"k"},"text":{"S":"Zoë <&> 東京"},"number":{"N":"-12.5"},"binary":{"B":"AAEC/w=="},"yes":{"BOOL":true},
		"nothing":{"NULL":true},"list":{"L":[{"S":"a"},{"L":[]},{"M":{}}]},"map":{"M":{"inner":{"N":"1"}}},
		"strings":{"SS":["a","b"]},"numbers":{"NS":["1","2"]},"binaries":{"BS":["AA==","AQ=="]},"empty":{"S":""}}`
	equalJSON(t, "PutItem", call(t, store, "PutItem", `{"TableName":"records","Item":`+item+`}`), `{}`)
	equalJSON(t, "GetItem", call(t, store, "GetItem", `{"TableName":"records","Key":{"id":{"S":"k"}}}`), `{"Item":`+item+`}`)
	equalJSON(t, "GetItem of another key", call(t, store, "GetItem", `{"TableName":"records","Key":{"id":{"S":"other"}}}`), `{}`)
}

// decode reads JSON that has to be right.
func decode(t testing.TB, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}
