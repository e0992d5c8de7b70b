package dynamostore

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/recordformat"
)

func (s *Store) key(id string) map[string]types.AttributeValue {
	key := map[string]types.AttributeValue{s.names.ID: text(id)}
	if s.hasPartition {
		key[s.names.Partition] = text(s.partition)
	}
	return key
}

// item is a record as an item, with data for its Data. What is empty has no attribute.
func (s *Store) item(r idempotency.Record, data types.AttributeValue) map[string]types.AttributeValue {
	item := s.key(r.ID)
	item[s.names.Status] = text(string(r.Status))
	item[s.names.Expiration] = number(r.Expiration.Unix())
	if r.Owner != "" {
		item[s.names.Owner] = text(r.Owner)
	}
	if !r.LeaseEnd.IsZero() {
		item[s.names.LeaseEnd] = number(r.LeaseEnd.UnixMilli())
	}
	if data != nil {
		item[s.names.Data] = data
	}
	if r.Fingerprint != "" {
		item[s.names.Fingerprint] = text(r.Fingerprint)
	}
	if r.Reference != "" {
		item[s.names.Reference] = text(r.Reference)
	}
	return item
}

// data is a result as an attribute: nil if there is none.
func (s *Store) data(result json.RawMessage) (types.AttributeValue, error) {
	switch {
	case result == nil:
		return nil, nil
	case s.format == recordformat.TypeScript:
		return nativeOf(result)
	default:
		return text(string(result)), nil
	}
}

// result reads the attribute data. A value of DynamoDB's own types is one of Powertools for TypeScript in either format;
// a string is JSON text in the format of Python, and the result itself in that of TypeScript.
func (s *Store) result(data types.AttributeValue) (json.RawMessage, error) {
	switch v := data.(type) {
	case nil:
		return nil, nil
	case *types.AttributeValueMemberS:
		if s.format == recordformat.Python {
			return json.RawMessage(v.Value), nil
		}
	}
	return jsonOf(data)
}

// record reads an item. Of the attributes, status and expiration must be there.
func (s *Store) record(id string, item map[string]types.AttributeValue) (*idempotency.Record, error) {
	i := itemReader{item: item}
	r := &idempotency.Record{
		ID:          i.text(s.names.ID),
		Status:      idempotency.Status(i.text(s.names.Status)),
		Owner:       i.optionalText(s.names.Owner),
		Expiration:  time.Unix(i.number(s.names.Expiration), 0),
		Fingerprint: i.optionalText(s.names.Fingerprint),
		Reference:   i.optionalText(s.names.Reference),
	}
	if i.has(s.names.LeaseEnd) {
		r.LeaseEnd = time.UnixMilli(i.number(s.names.LeaseEnd))
	}
	var err error
	if r.Data, err = s.result(item[s.names.Data]); err != nil {
		i.fail("attribute %q: %w", s.names.Data, err)
	}
	if r.Status != idempotency.InProgress && r.Status != idempotency.Completed {
		i.fail("attribute %q is %q, want %s or %s", s.names.Status, r.Status, idempotency.InProgress, idempotency.Completed)
	}
	if i.err != nil {
		return nil, &idempotency.UnreadableRecordError{ID: id, Err: fmt.Errorf("the item in table %s: %w", s.table, i.err)}
	}
	return r, nil
}

// An itemReader reads attributes and keeps the first problem.
type itemReader struct {
	item map[string]types.AttributeValue
	err  error
}

func (i *itemReader) fail(format string, a ...any) {
	if i.err == nil {
		i.err = fmt.Errorf(format, a...)
	}
}

// has says whether an attribute is there and not null.
func (i *itemReader) has(name string) bool {
	switch i.item[name].(type) {
	case nil, *types.AttributeValueMemberNULL:
		return false
	}
	return true
}

func (i *itemReader) text(name string) string {
	s, ok := i.item[name].(*types.AttributeValueMemberS)
	if !ok {
		i.fail("attribute %q is not a string", name)
		return ""
	}
	return s.Value
}

func (i *itemReader) optionalText(name string) string {
	if !i.has(name) {
		return ""
	}
	return i.text(name)
}

func (i *itemReader) number(name string) int64 {
	n, ok := i.item[name].(*types.AttributeValueMemberN)
	if !ok {
		i.fail("attribute %q is not a number", name)
		return 0
	}
	if value, err := strconv.ParseInt(n.Value, 10, 64); err == nil {
		return value
	}
	value, err := strconv.ParseFloat(n.Value, 64)
	if err != nil {
		i.fail("attribute %q is not a number: %w", name, err)
	}
	return int64(value)
}

// itemBytes is an item's size as DynamoDB counts it: UTF-8 bytes of names and strings, and for a number about half a
// byte a digit and one more. A list or map takes three bytes, and one for each value in it (Amazon DynamoDB Developer
// Guide, "Item sizes and formats").
func itemBytes(item map[string]types.AttributeValue) int {
	size := 0
	for name, value := range item {
		size += len(name) + valueBytes(value)
	}
	return size
}

func valueBytes(value types.AttributeValue) int {
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return len(v.Value)/2 + 2
	case *types.AttributeValueMemberL:
		size := 3
		for _, member := range v.Value {
			size += 1 + valueBytes(member)
		}
		return size
	case *types.AttributeValueMemberM:
		return 3 + len(v.Value) + itemBytes(v.Value)
	default: // true, false, null
		return 1
	}
}
