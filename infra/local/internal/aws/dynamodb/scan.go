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

// A reading is what Scan and Query read of a request besides the keys.
type reading struct {
	table      *table
	filter     condition
	filtered   []path // by the filter
	projection []path
}

// reading reads the filter and the projection, after which no placeholder may be left, and finds the table.
func (s *Store) reading(in readParameters, placeholders *placeholders) (r reading, err error) {
	if r.filter, r.filtered, err = placeholders.parseCondition("FilterExpression", in.FilterExpression); err != nil {
		return reading{}, err
	}
	r.projection, err = placeholders.parseProjection(in.ProjectionExpression)
	if err := firstError(err, placeholders.unused()); err != nil {
		return reading{}, err
	}
	r.table, err = s.table(in.TableName)
	return r, err
}

// page goes through items until the limit or the size of a page is reached. The keys come in the order of the answer,
// from the first one after the start key.
func (p readParameters) page(r reading, keys []string) readOutput {
	out := readOutput{}
	if p.Select != "COUNT" {
		out.Items = []item{}
	}
	size := 0
	for _, key := range keys {
		it := r.table.items[key]
		size += it.size()
		out.ScannedCount++
		if r.filter == nil || r.filter.holds(it) {
			out.Count++
			switch {
			case p.Select == "COUNT":
			case r.projection != nil:
				out.Items = append(out.Items, it.project(r.projection))
			default:
				out.Items = append(out.Items, it)
			}
		}
		if size >= MaxPageSize || p.Limit != nil && out.ScannedCount == *p.Limit {
			out.LastEvaluatedKey = r.table.definition.keyOf(it)
			break
		}
	}
	out.ConsumedCapacity = p.consumed(r.table, readUnits(size, p.ConsistentRead))
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
	r, err := s.reading(in.readParameters, placeholders)
	if err != nil {
		return nil, err
	}
	t := r.table
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
	return in.page(r, keys), nil
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
	r, err := s.reading(in.readParameters, placeholders)
	if err != nil {
		return nil, err
	}
	t := r.table
	for _, p := range r.filtered {
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
	return in.page(r, keys), nil
}
