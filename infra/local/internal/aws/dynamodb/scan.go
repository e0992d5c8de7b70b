package dynamodb

import (
	"slices"
	"strings"
)

// MaxPageSize is how many bytes of items Scan and Query go through before they answer, whatever the filter keeps.
const MaxPageSize = 1 << 20

// readParameters are what Scan and Query have in common.
type readParameters struct {
	TableName            string
	IndexName            string
	ConsistentRead       bool
	ExclusiveStartKey    item
	FilterExpression     *string
	ProjectionExpression *string
	Limit                *int
	Select               string
	expressionAttributes
	capacityParameter
}

func (p readParameters) check() error {
	err := firstError(
		noIndex(p.IndexName),
		oneOf("Select", p.Select, "SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"),
		p.capacityParameter.check(),
	)
	if err == nil && p.Limit != nil {
		err = checkLimit(*p.Limit)
	}
	switch {
	case err != nil:
		return err
	case p.Select == "ALL_PROJECTED_ATTRIBUTES":
		return invalid("One or more parameter values were invalid: Select type ALL_PROJECTED_ATTRIBUTES is not supported for tables, only for indexes")
	case p.Select == "SPECIFIC_ATTRIBUTES" && p.ProjectionExpression == nil:
		return invalid("One or more parameter values were invalid: Must specify the ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")
	case p.Select == "ALL_ATTRIBUTES" && p.ProjectionExpression != nil:
		return invalid("One or more parameter values were invalid: Cannot specify the ProjectionExpression when choosing to get ALL_ATTRIBUTES")
	case p.Select == "COUNT" && p.ProjectionExpression != nil:
		return invalid("One or more parameter values were invalid: Cannot specify the ProjectionExpression when choosing to get only the Count")
	}
	return nil
}

// noIndex refuses an index by its name, since tables have none.
func noIndex(name string) error {
	if name == "" {
		return nil
	}
	return invalid("The table does not have the specified index: %s", name)
}

type readOutput struct {
	Items            []item `json:",omitzero"`
	Count            int
	ScannedCount     int
	LastEvaluatedKey item              `json:",omitempty"`
	ConsumedCapacity *consumedCapacity `json:",omitempty"`
}

// page goes through items until the limit or the size of a page is reached. The keys come in the order of the answer,
// from the first one after the start key.
func (p readParameters) page(t *table, keys []string, filter condition, projection []path) readOutput {
	out := readOutput{}
	if p.Select != "COUNT" {
		out.Items = []item{}
	}
	size := 0
	for _, key := range keys {
		it := t.items[key]
		size += it.size()
		out.ScannedCount++
		if filter == nil || filter.holds(it) {
			out.Count++
			switch {
			case p.Select == "COUNT":
			case projection != nil:
				out.Items = append(out.Items, it.project(projection))
			default:
				out.Items = append(out.Items, it)
			}
		}
		if size >= MaxPageSize || p.Limit != nil && out.ScannedCount == *p.Limit {
			out.LastEvaluatedKey = t.definition.keyOf(it)
			break
		}
	}
	out.ConsumedCapacity = p.consumed(t, readUnits(size, p.ConsistentRead))
	return out
}

// startKey encodes the key after which the answer begins; it need not be in the table any more.
func (p readParameters) startKey(t *table) (string, error) {
	if err := t.definition.checkKey(p.ExclusiveStartKey); err != nil {
		return "", invalid("The provided starting key is invalid: %s", strings.TrimPrefix(err.Error(), CodeValidation+": "))
	}
	return t.definition.encodeKey(p.ExclusiveStartKey), nil
}

type scanInput struct {
	readParameters
}

func (s *Store) scan(in *scanInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	placeholders, err := in.placeholders([]expressionText{{"FilterExpression", in.FilterExpression}},
		expressionText{"ProjectionExpression", in.ProjectionExpression})
	if err != nil {
		return nil, err
	}
	filter, err := placeholders.parseCondition("FilterExpression", in.FilterExpression)
	if err != nil {
		return nil, err
	}
	projection, err := placeholders.parseProjection(in.ProjectionExpression)
	if err := firstError(err, placeholders.unused()); err != nil {
		return nil, err
	}
	t, err := s.table(in.TableName)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := t.sortedKeys()
	if in.ExclusiveStartKey != nil {
		start, err := in.startKey(t)
		if err != nil {
			return nil, err
		}
		at, found := slices.BinarySearch(keys, start)
		if found {
			at++
		}
		keys = keys[at:]
	}
	return in.page(t, keys, filter, projection), nil
}

type queryInput struct {
	readParameters
	KeyConditionExpression *string
	ScanIndexForward       *bool
}

func (s *Store) query(in *queryInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if in.KeyConditionExpression == nil {
		return nil, invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	placeholders, err := in.placeholders(
		[]expressionText{{"FilterExpression", in.FilterExpression}, {"KeyConditionExpression", in.KeyConditionExpression}},
		expressionText{"ProjectionExpression", in.ProjectionExpression})
	if err != nil {
		return nil, err
	}
	parser, err := placeholders.parser(expressionText{"KeyConditionExpression", in.KeyConditionExpression}, conditionKeywords...)
	if err != nil {
		return nil, err
	}
	parts, err := parser.keyCondition()
	if err != nil {
		return nil, err
	}
	filter, filtered, err := placeholders.parseFilter(in.FilterExpression)
	if err != nil {
		return nil, err
	}
	projection, err := placeholders.parseProjection(in.ProjectionExpression)
	if err := firstError(err, placeholders.unused()); err != nil {
		return nil, err
	}
	t, err := s.table(in.TableName)
	if err != nil {
		return nil, err
	}
	for _, p := range filtered {
		if t.definition.isKey(p[0].attribute) {
			return nil, invalid("Filter Expression can only contain non-primary key attributes: Primary key attribute: %s", p[0].attribute)
		}
	}
	asked, err := t.definition.keyRange(parts)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := asked.keys(t)
	backward := in.ScanIndexForward != nil && !*in.ScanIndexForward
	if backward {
		keys = slices.Clone(keys)
		slices.Reverse(keys)
	}
	if in.ExclusiveStartKey != nil {
		start, err := in.startKey(t)
		if err != nil {
			return nil, err
		}
		if !in.ExclusiveStartKey[t.definition.PartitionKey.Name].equal(asked.partition) {
			return nil, invalid("The provided starting key is outside query boundaries based on provided conditions")
		}
		after := slices.IndexFunc(keys, func(key string) bool { return backward && key < start || !backward && key > start })
		if after < 0 {
			after = len(keys)
		}
		keys = keys[after:]
	}
	return in.page(t, keys, filter, projection), nil
}

// parseFilter reads a filter expression and lists its paths.
func (p *placeholders) parseFilter(text *string) (condition, []path, error) {
	if text == nil {
		return nil, nil, nil
	}
	parser, err := p.parser(expressionText{"FilterExpression", text}, conditionKeywords...)
	if err != nil {
		return nil, nil, err
	}
	filter, err := parser.wholeCondition()
	return filter, parser.paths, err
}
