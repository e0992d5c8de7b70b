package gatestore

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
)

// An expression is an update as DynamoDB takes it. All names are placeholders, since some are reserved words.
type expression struct {
	set, add, remove, clauses []string

	names  map[string]string
	values map[string]types.AttributeValue
	store  *Store
}

func (s *Store) express(u gate.Update) *expression {
	e := &expression{names: map[string]string{}, values: map[string]types.AttributeValue{}, store: s}
	for _, clause := range u.If {
		var tests []string
		for _, t := range clause {
			tests = append(tests, e.test(t))
		}
		e.clauses = append(e.clauses, "("+strings.Join(tests, " OR ")+")")
	}
	for _, c := range u.Changes {
		name := e.name(c.Attribute)
		switch {
		case c.Kind == gate.Add:
			e.add = append(e.add, name+" "+e.value(c.Value))
		case c.Kind == gate.Copy:
			e.set = append(e.set, fmt.Sprintf("%s = if_not_exists(%s, %s)", name, e.name(c.From), e.value(0)))
		case c.Value == 0: // zero and absent are the same, and absent is shorter
			e.remove = append(e.remove, name)
		default:
			e.set = append(e.set, name+" = "+e.value(c.Value))
		}
	}
	return e
}

// test is a comparison. An attribute that is absent counts as zero, and DynamoDB takes no comparison with it to be true.
func (e *expression) test(t gate.Test) string {
	name := e.name(t.Attribute)
	compared := fmt.Sprintf("%s %s %s", name, t.Compare, e.value(t.Value))
	if (gate.Update{If: []gate.Clause{{t}}}).Holds(gate.Item{}) {
		return "attribute_not_exists(" + name + ") OR " + compared
	}
	return compared
}

func (e *expression) name(a gate.Attribute) string {
	name := "#" + string(a)
	e.names[name] = e.store.name(a)
	return name
}

func (e *expression) value(n int64) string {
	text := strconv.FormatInt(n, 10)
	name := ":n" + strings.ReplaceAll(text, "-", "minus")
	e.values[name] = &types.AttributeValueMemberN{Value: text}
	return name
}

func (e *expression) update() string {
	var parts []string
	for _, part := range []struct {
		word    string
		actions []string
	}{{"SET", e.set}, {"ADD", e.add}, {"REMOVE", e.remove}} {
		if len(part.actions) > 0 {
			parts = append(parts, part.word+" "+strings.Join(part.actions, ", "))
		}
	}
	return strings.Join(parts, " ")
}

func (e *expression) condition() *string {
	if len(e.clauses) == 0 {
		return nil
	}
	return aws.String(strings.Join(e.clauses, " AND "))
}

func (e *expression) valuesOrNil() map[string]types.AttributeValue {
	if len(e.values) == 0 { // which DynamoDB refuses
		return nil
	}
	return e.values
}
