package dynamodb

import (
	"slices"
	"time"
)

// DefaultListTablesLimit is how many names ListTables gives at once, and the most that can be asked for.
const DefaultListTablesLimit = 100

// describedTable finds a table for an operation on the table itself, whose error says more.
func (s *Store) describedTable(name string) (*table, error) {
	t, err := s.table(name)
	if own, ok := err.(*Error); ok && own.Code == CodeResourceNotFound {
		return nil, &Error{Code: own.Code, Message: "Requested resource not found: Table: " + name + " not found"}
	}
	return t, err
}

type keySchemaElement struct{ AttributeName, KeyType string }

type attributeDefinition struct{ AttributeName, AttributeType string }

type tableDescription struct {
	TableName            string
	TableArn             string
	TableStatus          string
	CreationDateTime     float64 // seconds since the Unix epoch
	KeySchema            []keySchemaElement
	AttributeDefinitions []attributeDefinition
	ItemCount            int
	TableSizeBytes       int
	BillingModeSummary   struct{ BillingMode string }
}

type describeTableInput struct{ TableName string }

// describeTable counts at once; the service brings ItemCount and TableSizeBytes up to date every six hours.
func (s *Store) describeTable(in *describeTableInput) (any, error) {
	t, err := s.describedTable(in.TableName)
	if err != nil {
		return nil, err
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	description := tableDescription{
		TableName:        t.definition.Name,
		TableArn:         t.definition.ARN,
		TableStatus:      "ACTIVE",
		CreationDateTime: float64(t.created.UnixMilli()) / float64(time.Second/time.Millisecond),
		ItemCount:        len(t.items),
	}
	description.BillingModeSummary.BillingMode = "PAY_PER_REQUEST"
	for i, key := range t.definition.keys() {
		description.KeySchema = append(description.KeySchema, keySchemaElement{key.Name, []string{"HASH", "RANGE"}[i]})
		description.AttributeDefinitions = append(description.AttributeDefinitions, attributeDefinition{key.Name, key.Type})
	}
	for _, it := range t.items {
		description.TableSizeBytes += it.size()
	}
	return map[string]any{"Table": description}, nil
}

type listTablesInput struct {
	ExclusiveStartTableName string
	Limit                   *int
}

type listTablesOutput struct {
	TableNames             []string
	LastEvaluatedTableName string `json:",omitempty"`
}

func (s *Store) listTables(in *listTablesInput) (any, error) {
	limit := DefaultListTablesLimit
	if in.Limit != nil {
		limit = *in.Limit
	}
	if err := checkLimit(limit); err != nil {
		return nil, err
	}
	if limit > DefaultListTablesLimit {
		return nil, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value less than or equal to %d",
			limit, DefaultListTablesLimit)
	}
	names := s.TableNames()
	if start := in.ExclusiveStartTableName; start != "" {
		names = slices.DeleteFunc(names, func(name string) bool { return name <= start })
	}
	out := listTablesOutput{TableNames: names}
	if len(names) > limit {
		out = listTablesOutput{TableNames: names[:limit], LastEvaluatedTableName: names[limit-1]}
	}
	return out, nil
}

func checkLimit(limit int) error {
	if limit >= 1 {
		return nil
	}
	return invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1", limit)
}
