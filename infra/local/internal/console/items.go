package console

import (
	"encoding/json"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
)

// itemsOf reads the items of all tables that are of a kind, as read says.
func itemsOf[T any](tables *dynamodb.Store, now time.Time, read func(json.RawMessage, time.Time) (T, bool)) ([]T, error) {
	list := []T{}
	if tables == nil {
		return list, nil
	}
	for _, name := range tables.TableNames() {
		items, err := tables.Items(name)
		if err != nil {
			return nil, err
		}
		for _, text := range items {
			if item, ok := read(text, now); ok {
				list = append(list, item)
			}
		}
	}
	return list, nil
}
