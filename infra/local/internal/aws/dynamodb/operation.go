package dynamodb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// operations are the supported operations by name.
var operations = map[string]func(*Store, []byte) (any, error){
	"DeleteItem":         operation((*Store).deleteItem),
	"DescribeTable":      operation((*Store).describeTable),
	"DescribeTimeToLive": operation((*Store).describeTimeToLive),
	"GetItem":            operation((*Store).getItem),
	"ListTables":         operation((*Store).listTables),
	"PutItem":            operation((*Store).putItem),
	"Query":              operation((*Store).query),
	"Scan":               operation((*Store).scan),
	"UpdateItem":         operation((*Store).updateItem),
	"UpdateTimeToLive":   operation((*Store).updateTimeToLive),
}

// operation makes an operation read its parameters from JSON. Parameters that its input does not have are refused by
// name, so that none is ignored.
func operation[In any](run func(*Store, *In) (any, error)) func(*Store, []byte) (any, error) {
	supported := map[string]bool{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[In]()) {
		supported[field.Name] = !field.Anonymous
	}
	return func(s *Store, input []byte) (any, error) {
		parameters, err := read[map[string]json.RawMessage]("the request", input)
		if err != nil {
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(parameters)) {
			if !supported[name] && !bytes.Equal(parameters[name], []byte("null")) {
				return nil, invalid("The local DynamoDB does not support the parameter %s here", name)
			}
		}
		var in In
		decoder := json.NewDecoder(bytes.NewReader(input))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&in); err != nil {
			return nil, malformed("the request", err)
		}
		return run(s, &in)
	}
}

// oneOf refuses a parameter that is none of the values. Empty stands for an absent parameter, which is fine.
func oneOf(parameter, given string, values ...string) error {
	if given == "" || slices.Contains(values, given) {
		return nil
	}
	return invalid("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy enum value set: [%s]",
		given, strings.ToLower(parameter[:1])+parameter[1:], strings.Join(values, ", "))
}

// capacityParameter is the parameter that asks for the consumed capacity.
type capacityParameter struct{ ReturnConsumedCapacity string }

func (c capacityParameter) check() error {
	return oneOf("ReturnConsumedCapacity", c.ReturnConsumedCapacity, "INDEXES", "TOTAL", "NONE")
}

// The sizes by which capacity is counted.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
const (
	readUnitSize          = 4 << 10
	writeUnitSize         = 1 << 10
	eventualReadReduction = 0.5
)

type capacityUnits struct{ CapacityUnits float64 }

type consumedCapacity struct {
	TableName string
	capacityUnits
	Table *capacityUnits `json:",omitempty"`
}

// consumed is what the operation reports; nil if it was not asked for.
func (c capacityParameter) consumed(t *table, units float64) *consumedCapacity {
	switch c.ReturnConsumedCapacity {
	case "TOTAL":
		return &consumedCapacity{TableName: t.definition.Name, capacityUnits: capacityUnits{units}}
	case "INDEXES":
		return &consumedCapacity{TableName: t.definition.Name, capacityUnits: capacityUnits{units}, Table: &capacityUnits{units}}
	}
	return nil
}

func readUnits(size int, consistent bool) float64 {
	units := math.Max(1, math.Ceil(float64(size)/readUnitSize))
	if !consistent {
		units *= eventualReadReduction
	}
	return units
}

func writeUnits(before, after item) float64 {
	return math.Max(1, math.Ceil(float64(max(before.size(), after.size()))/writeUnitSize))
}

// wholeNumber is the value of an integer.
func wholeNumber(n int) value {
	parsed, err := parseNumber(strconv.Itoa(n))
	if err != nil {
		panic(fmt.Sprintf("an int has more digits than a number: %v", err))
	}
	return value{kind: numberKind, number: parsed}
}
