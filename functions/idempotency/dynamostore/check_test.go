package dynamostore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/dynamostore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/recordformat"
)

func TestAStoreThatCannotWorkIsRefusedBeforeTheFirstCall(t *testing.T) {
	t.Parallel()
	attributes := func(a dynamostore.Attributes) []dynamostore.Option {
		return []dynamostore.Option{dynamostore.WithAttributes(a)}
	}
	for _, test := range []struct {
		name    string
		table   string
		options []dynamostore.Option
		want    string // "": nothing is wrong
	}{
		{"defaults", "orders", nil, ""},
		{"no table", "", nil, "table name is empty"},
		{"a table of spaces", "  ", nil, "table name is empty"},
		{"a sort key", "orders", []dynamostore.Option{dynamostore.WithSortKey("static")}, ""},
		{"a sort key of the name of the partition key", "orders",
			append(attributes(dynamostore.Attributes{ID: "id"}), dynamostore.WithSortKey("static")),
			`"id" is used for Attributes.ID and for Attributes.Partition`},
		{"a partition key without a value", "orders", []dynamostore.Option{dynamostore.WithSortKey("")}, "partition of WithSortKey is empty"},
		{"a partition key without a sort key", "orders", attributes(dynamostore.Attributes{Partition: "pk"}), "no sort key"},
		{"a result where the status is", "orders", attributes(dynamostore.Attributes{Status: "s", Data: "s"}),
			`"s" is used for Attributes.Status and for Attributes.Data`},
		{"an owner of the default name of the ID", "orders", attributes(dynamostore.Attributes{Owner: "id"}),
			`"id" is used for Attributes.ID and for Attributes.Owner`},
		{"a lease of the name of the expiration", "orders", attributes(dynamostore.Attributes{LeaseEnd: "expiration"}),
			`"expiration" is used for Attributes.LeaseEnd and for Attributes.Expiration`},
		{"another format", "orders", []dynamostore.Option{dynamostore.WithFormat(recordformat.Format(7))}, "format is 7"},
	} {
		store := dynamostore.New(&fake{}, test.table, test.options...)
		_, err := idempotency.New(store, idempotency.Config{Prefix: "f"})
		if test.want == "" {
			if err != nil || store.Check() != nil {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "dynamostore.New") {
			t.Errorf("%s: New says %v, want %s", test.name, err, test.want)
		}
		// Who does not ask by New is told by each call, and DynamoDB is not asked.
		if _, _, err := store.Insert(context.Background(), idempotency.Record{ID: "r"}, time.Now()); !errors.Is(err, store.Check()) {
			t.Errorf("%s: Insert says %v", test.name, err)
		}
	}
}
