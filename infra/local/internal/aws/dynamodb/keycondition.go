package dynamodb

import "strings"

// A keyCondition is one of the parts of a key condition expression: a condition on one attribute of the key.
type keyCondition struct {
	attribute string
	condition condition
	literals  []literal
}

// keyCondition reads a key condition expression. Its grammar is that of conditions, of which it allows only part: a
// comparison, BETWEEN or begins_with() for an attribute and a value, and AND between two of these.
func (p *parser) keyCondition() ([]keyCondition, error) {
	c, err := p.wholeCondition()
	if err != nil {
		return nil, err
	}
	return keyParts(c)
}

func keyParts(c condition) ([]keyCondition, error) {
	switch c := c.(type) {
	case and:
		left, err := keyParts(c.left)
		if err != nil {
			return nil, err
		}
		right, err := keyParts(c.right)
		return append(left, right...), err
	case comparison:
		if c.comparator == "<>" {
			return nil, keyOperatorError(c.comparator)
		}
		return keyPart(c, c.left, c.right)
	case between:
		return keyPart(c, c.tested, c.lower, c.upper)
	case beginsWith:
		return keyPart(c, c.operand, c.prefix)
	case or:
		return nil, keyOperatorError("OR")
	case not:
		return nil, keyOperatorError("NOT")
	case in:
		return nil, keyOperatorError("IN")
	case contains:
		return nil, keyOperatorError("contains")
	case attributeType:
		return nil, keyOperatorError("attribute_type")
	case attributeExists:
		return nil, keyOperatorError("attribute_exists")
	case attributeNotExists:
		return nil, keyOperatorError("attribute_not_exists")
	}
	return nil, errKeyCondition
}

func keyOperatorError(operator string) error {
	return invalid("Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: %s", operator)
}

func keyPart(c condition, tested operand, others ...operand) ([]keyCondition, error) {
	target, isPath := tested.(path)
	if !isPath {
		return nil, errKeyCondition
	}
	if len(target) > 1 {
		return nil, invalid("Invalid KeyConditionExpression: KeyConditionExpressions cannot have conditions on nested attributes")
	}
	part := keyCondition{attribute: target[0].attribute, condition: c}
	for _, o := range others {
		l, isLiteral := o.(literal)
		if !isLiteral {
			return nil, errKeyCondition
		}
		part.literals = append(part.literals, l)
	}
	return []keyCondition{part}, nil
}

var errKeyCondition = invalid("Query key condition not supported")

// A keyRange is what a query goes through: the items of a partition for which a condition on the sort key holds.
type keyRange struct {
	partition value
	sort      condition // nil if all
}

// keyRange checks the parts of a key condition against the key.
func (d TableDefinition) keyRange(parts []keyCondition) (keyRange, error) {
	byAttribute := map[string]keyCondition{}
	for _, part := range parts {
		if _, twice := byAttribute[part.attribute]; twice {
			return keyRange{}, invalid("KeyConditionExpressions must only contain one condition per key")
		}
		byAttribute[part.attribute] = part
	}
	if len(parts) > len(d.keys()) {
		return keyRange{}, errKeyCondition
	}
	for i, key := range d.keys() {
		part, given := byAttribute[key.Name]
		if !given && i < len(parts) {
			return keyRange{}, invalid("Query condition missed key schema element: %s", key.Name)
		}
		for _, l := range part.literals {
			if string(l.kind) != key.Type {
				return keyRange{}, invalid("One or more parameter values were invalid: Condition parameter type does not match schema type")
			}
		}
	}
	partition := byAttribute[d.PartitionKey.Name]
	if c, isComparison := partition.condition.(comparison); !isComparison || c.comparator != "=" {
		return keyRange{}, errKeyCondition
	}
	return keyRange{partition.literals[0].value, byAttribute[d.SortKey.Name].condition}, nil
}

// keys lists the keys of the items in the range in ascending order.
func (r keyRange) keys(t *table) []string {
	encoded := sortable(r.partition)
	prefix := string(encodePartition(encoded)) + string(encoded)
	var keys []string
	for _, key := range t.keysFrom(prefix) {
		if !strings.HasPrefix(key, prefix) {
			break
		}
		if r.sort == nil || r.sort.holds(t.items[key]) {
			keys = append(keys, key)
		}
	}
	return keys
}
