package dynamodb

import (
	"encoding/json"
)

// writeParameters are what PutItem, UpdateItem and DeleteItem have in common.
type writeParameters struct {
	TableName                           string
	ConditionExpression                 *string
	ReturnValues                        string
	ReturnValuesOnConditionCheckFailure string
	ReturnItemCollectionMetrics         string
	expressionAttributes
	capacityParameter
}

func (p writeParameters) check() error {
	return firstError(
		oneOf("ReturnValues", p.ReturnValues, "ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"),
		oneOf("ReturnValuesOnConditionCheckFailure", p.ReturnValuesOnConditionCheckFailure, "ALL_OLD", "NONE"),
		// A table without local indexes has no item collections, so that there is nothing to report whatever is asked for.
		oneOf("ReturnItemCollectionMetrics", p.ReturnItemCollectionMetrics, "SIZE", "NONE"),
		p.capacityParameter.check(),
	)
}

// meets checks an item, or the absence of one, against the condition.
func (p writeParameters) meets(c condition, it item) error {
	if c == nil || c.holds(it) {
		return nil
	}
	failed := &Error{Code: CodeConditionalCheckFailed, Message: "The conditional request failed"}
	if p.ReturnValuesOnConditionCheckFailure == "ALL_OLD" && it != nil {
		encoded, err := json.Marshal(it)
		if err != nil {
			return err
		}
		failed.Item = encoded
	}
	return failed
}

type writeOutput struct {
	Attributes       item              `json:",omitempty"`
	ConsumedCapacity *consumedCapacity `json:",omitempty"`
}

type putItemInput struct {
	writeParameters
	Item item
}

func (s *Store) putItem(in *putItemInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if in.Item == nil {
		return nil, invalid("1 validation error detected: Value null at 'item' failed to satisfy constraint: Member must not be null")
	}
	if err := checkOldOrNone(in.ReturnValues); err != nil {
		return nil, err
	}
	c, err := in.readCondition()
	if err != nil {
		return nil, err
	}
	if in.Item.size() > MaxItemSize {
		return nil, invalid("Item size has exceeded the maximum allowed size")
	}
	t, err := s.table(in.TableName)
	if err != nil {
		return nil, err
	}
	if err := t.definition.checkItem(in.Item); err != nil {
		return nil, err
	}
	key := t.definition.encodeKey(in.Item)
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.items[key]
	if err := in.meets(c, before); err != nil {
		return nil, err
	}
	if err := t.put(key, in.Item); err != nil {
		return nil, err
	}
	return in.output(t, before, in.Item), nil
}

// checkOldOrNone refuses what only UpdateItem can return.
func checkOldOrNone(returnValues string) error {
	switch returnValues {
	case "", "NONE", "ALL_OLD":
		return nil
	}
	return invalid("Return values set to invalid value")
}

// readCondition reads the condition of an operation that has no other expression.
func (p writeParameters) readCondition() (condition, error) {
	placeholders, err := p.placeholders([]expressionText{{"ConditionExpression", p.ConditionExpression}})
	if err != nil {
		return nil, err
	}
	c, _, err := placeholders.parseCondition("ConditionExpression", p.ConditionExpression)
	return c, firstError(err, placeholders.unused())
}

// output is the answer of PutItem and DeleteItem.
func (p writeParameters) output(t *table, before, after item) writeOutput {
	out := writeOutput{ConsumedCapacity: p.consumed(t, writeUnits(before, after))}
	if p.ReturnValues == "ALL_OLD" {
		out.Attributes = before
	}
	return out
}

type deleteItemInput struct {
	writeParameters
	Key item
}

func (s *Store) deleteItem(in *deleteItemInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if err := checkOldOrNone(in.ReturnValues); err != nil {
		return nil, err
	}
	c, err := in.readCondition()
	if err != nil {
		return nil, err
	}
	t, key, err := s.tableAndKey(in.TableName, in.Key)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.items[key]
	if err := in.meets(c, before); err != nil {
		return nil, err
	}
	if err := t.remove(key); err != nil {
		return nil, err
	}
	return in.output(t, before, nil), nil
}

// tableAndKey finds the table and encodes the key of an item in it.
func (s *Store) tableAndKey(tableName string, key item) (*table, string, error) {
	if key == nil {
		return nil, "", invalid("1 validation error detected: Value null at 'key' failed to satisfy constraint: Member must not be null")
	}
	t, err := s.table(tableName)
	if err != nil {
		return nil, "", err
	}
	if err := t.definition.checkKey(key); err != nil {
		return nil, "", err
	}
	return t, t.definition.encodeKey(key), nil
}

type updateItemInput struct {
	writeParameters
	Key              item
	UpdateExpression *string
}

func (s *Store) updateItem(in *updateItemInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	texts := []expressionText{{"UpdateExpression", in.UpdateExpression}, {"ConditionExpression", in.ConditionExpression}}
	placeholders, err := in.placeholders(texts)
	if err != nil {
		return nil, err
	}
	u, err := placeholders.parseUpdate(in.UpdateExpression)
	if err != nil {
		return nil, err
	}
	c, _, err := placeholders.parseCondition("ConditionExpression", in.ConditionExpression)
	if err := firstError(err, placeholders.unused()); err != nil {
		return nil, err
	}
	t, key, err := s.tableAndKey(in.TableName, in.Key)
	if err != nil {
		return nil, err
	}
	for _, p := range u.paths() {
		if t.definition.isKey(p[0].attribute) {
			return nil, invalid("One or more parameter values were invalid: Cannot update attribute %s. This attribute is part of the key", p[0].attribute)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	before, exists := t.items[key]
	if err := in.meets(c, before); err != nil {
		return nil, err
	}
	after := before
	if !exists {
		after = in.Key
	}
	if u != nil {
		if after, err = u.apply(after); err != nil {
			return nil, err
		}
	}
	if after.size() > MaxItemSize {
		return nil, invalid("Item size to update has exceeded the maximum allowed size")
	}
	if (value{kind: mapKind, attributes: after}).nesting() > MaxNesting+1 {
		return nil, errNesting
	}
	if err := t.put(key, after); err != nil {
		return nil, err
	}
	out := writeOutput{ConsumedCapacity: in.consumed(t, writeUnits(before, after))}
	switch in.ReturnValues {
	case "ALL_OLD":
		out.Attributes = before
	case "ALL_NEW":
		out.Attributes = after
	case "UPDATED_OLD":
		out.Attributes = before.project(u.paths())
	case "UPDATED_NEW":
		out.Attributes = after.project(u.paths())
	}
	return out, nil
}

type getItemInput struct {
	TableName            string
	Key                  item
	ConsistentRead       bool
	ProjectionExpression *string
	expressionAttributes
	capacityParameter
}

type getItemOutput struct {
	Item             item              `json:",omitzero"`
	ConsumedCapacity *consumedCapacity `json:",omitempty"`
}

func (s *Store) getItem(in *getItemInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if in.ExpressionAttributeValues != nil {
		return nil, invalid("The local DynamoDB does not support the parameter ExpressionAttributeValues here")
	}
	placeholders, err := in.placeholders(nil, expressionText{"ProjectionExpression", in.ProjectionExpression})
	if err != nil {
		return nil, err
	}
	projection, err := placeholders.parseProjection(in.ProjectionExpression)
	if err := firstError(err, placeholders.unused()); err != nil {
		return nil, err
	}
	t, key, err := s.tableAndKey(in.TableName, in.Key)
	if err != nil {
		return nil, err
	}
	t.mu.RLock()
	it, exists := t.items[key]
	t.mu.RUnlock()
	out := getItemOutput{Item: it, ConsumedCapacity: in.consumed(t, readUnits(it.size(), in.ConsistentRead))}
	if exists && projection != nil {
		out.Item = it.project(projection)
	}
	return out, nil
}
