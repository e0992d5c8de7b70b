package dynamodb

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
)

// expressionAttributes are the parameters of an operation that its expressions refer to.
type expressionAttributes struct {
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues map[string]json.RawMessage
}

// placeholders hold what #name and :value stand for in the expressions of one request, and which were used.
type placeholders struct {
	names      map[string]string
	values     map[string]value
	usedNames  map[string]bool
	usedValues map[string]bool
}

// An expressionText is an expression as a request has it; its text is nil if the parameter is absent.
type expressionText struct {
	parameter string
	text      *string
}

func (e expressionText) isGiven() bool { return e.text != nil }

// placeholders reads the expression attributes of a request. They are refused if there is no expression to use them.
// allowsValues lists the expressions in which a value may stand.
func (a expressionAttributes) placeholders(allowsValues []expressionText, others ...expressionText) (*placeholders, error) {
	if a.ExpressionAttributeNames != nil {
		if !slices.ContainsFunc(slices.Concat(allowsValues, others), expressionText.isGiven) {
			return nil, invalid("ExpressionAttributeNames can only be specified when using expressions")
		}
		if len(a.ExpressionAttributeNames) == 0 {
			return nil, invalid("ExpressionAttributeNames must not be empty")
		}
	}
	if a.ExpressionAttributeValues != nil {
		if !slices.ContainsFunc(allowsValues, expressionText.isGiven) {
			return nil, invalid("ExpressionAttributeValues can only be specified when using expressions: %s", nullParameters(allowsValues))
		}
		if len(a.ExpressionAttributeValues) == 0 {
			return nil, invalid("ExpressionAttributeValues must not be empty")
		}
	}
	p := &placeholders{
		names:     a.ExpressionAttributeNames,
		values:    make(map[string]value, len(a.ExpressionAttributeValues)),
		usedNames: map[string]bool{}, usedValues: map[string]bool{},
	}
	for _, key := range slices.Sorted(maps.Keys(a.ExpressionAttributeNames)) {
		if !isPlaceholder(key, '#') {
			return nil, invalid("ExpressionAttributeNames contains invalid key: Syntax error; key: %q", key)
		}
		if name := a.ExpressionAttributeNames[key]; !isName(name) {
			return nil, invalid("ExpressionAttributeNames contains invalid value: %s for key %s", errName.Message, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(a.ExpressionAttributeValues)) {
		if !isPlaceholder(key, ':') {
			return nil, invalid("ExpressionAttributeValues contains invalid key: Syntax error; key: %q", key)
		}
		read, err := readValue(a.ExpressionAttributeValues[key], 0)
		if err != nil {
			if own := (*Error)(nil); errors.As(err, &own) && own.Code == CodeValidation {
				return nil, invalid("ExpressionAttributeValues contains invalid value: %s for key %s", own.Message, key)
			}
			return nil, err
		}
		p.values[key] = read
	}
	return p, nil
}

func isPlaceholder(key string, sign byte) bool {
	return len(key) > 1 && key[0] == sign && wordEnd(key, 1) == len(key)
}

// nullParameters says in the service's words that none of the parameters is given.
func nullParameters(expressions []expressionText) string {
	names := make([]string, len(expressions))
	for i, e := range expressions {
		names[i] = e.parameter
	}
	if len(names) == 1 {
		return names[0] + " is null"
	}
	return strings.Join(names, " and ") + " are null"
}

// unused is the error for placeholders that no expression has used; nil if there are none.
func (p *placeholders) unused() error {
	for _, group := range []struct {
		parameter string
		defined   []string
		used      map[string]bool
	}{
		{"ExpressionAttributeNames", slices.Sorted(maps.Keys(p.names)), p.usedNames},
		{"ExpressionAttributeValues", slices.Sorted(maps.Keys(p.values)), p.usedValues},
	} {
		unused := slices.DeleteFunc(group.defined, func(key string) bool { return group.used[key] })
		if len(unused) > 0 {
			return invalid("Value provided in %s unused in expressions: keys: {%s}", group.parameter, strings.Join(unused, ", "))
		}
	}
	return nil
}
