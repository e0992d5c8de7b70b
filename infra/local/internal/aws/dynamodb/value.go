package dynamodb

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A kind is the type of an attribute value, by its name in the API.
type kind string

const (
	binaryKind    kind = "B"
	binarySetKind kind = "BS"
	booleanKind   kind = "BOOL"
	listKind      kind = "L"
	mapKind       kind = "M"
	nullKind      kind = "NULL"
	numberKind    kind = "N"
	numberSetKind kind = "NS"
	stringKind    kind = "S"
	stringSetKind kind = "SS"
)

// MaxNesting is how deep lists and maps can be nested in an item.
const MaxNesting = 32

// MaxNameSize is how many bytes the name of an attribute can have.
const MaxNameSize = 65535

var errName = invalid("The name of an attribute has to have 1 to %d bytes", MaxNameSize)

func isName(text string) bool { return text != "" && len(text) <= MaxNameSize }

var errNesting = invalid("Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit")

// A value is an attribute value. Values are never changed once they are stored or shared: an update builds new ones.
type value struct {
	kind       kind
	text       string // of S; the bytes of B
	number     number
	boolean    bool
	elements   []value // of L, and of SS, NS and BS in ascending order
	attributes item    // of M
}

// An item is what a table holds: attributes by name.
type item map[string]value

// isSet reports whether the value is a string, number or binary set.
func (v value) isSet() bool {
	return v.kind == stringSetKind || v.kind == numberSetKind || v.kind == binarySetKind
}

// isOrdered reports whether values of the kind are before and after one another.
func (v value) isOrdered() bool {
	return v.kind == stringKind || v.kind == numberKind || v.kind == binaryKind
}

// elementKind is the kind of a set's elements.
func (v value) elementKind() kind { return kind(strings.TrimSuffix(string(v.kind), "S")) }

func (v value) equal(other value) bool {
	return v.kind == other.kind && v.text == other.text && v.number == other.number && v.boolean == other.boolean &&
		slices.EqualFunc(v.elements, other.elements, value.equal) &&
		maps.EqualFunc(v.attributes, other.attributes, value.equal)
}

// compare orders two values of the same ordered kind: numbers by value, strings and binaries byte by byte.
func (v value) compare(other value) int {
	if v.kind == numberKind {
		return v.number.compare(other.number)
	}
	return strings.Compare(v.text, other.text)
}

// contains reports whether a set has the element.
func (v value) contains(element value) bool {
	_, found := slices.BinarySearchFunc(v.elements, element, value.compare)
	return found && v.elementKind() == element.kind
}

// length is what the function size() gives: the bytes of a string or binary, or the number of elements. Other values have
// none.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-functions.size.html
func (v value) length() (int, bool) {
	switch v.kind {
	case stringKind, binaryKind:
		return len(v.text), true
	case mapKind:
		return len(v.attributes), true
	case listKind, stringSetKind, numberSetKind, binarySetKind:
		return len(v.elements), true
	}
	return 0, false
}

// size is what the value counts for in the size of an item, in bytes.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
func (v value) size() int {
	const collectionOverhead, elementOverhead = 3, 1
	size := 0
	switch v.kind {
	case stringKind, binaryKind:
		size = len(v.text)
	case numberKind:
		size = v.number.size()
	case booleanKind, nullKind:
		size = 1
	case mapKind:
		size = collectionOverhead + elementOverhead*len(v.attributes) + v.attributes.size()
	default:
		for _, element := range v.elements {
			size += element.size()
		}
		if v.kind == listKind {
			size += collectionOverhead + elementOverhead*len(v.elements)
		}
	}
	return size
}

func (it item) size() int {
	size := 0
	for name, attribute := range it {
		size += len(name) + attribute.size()
	}
	return size
}

// nesting is how many lists and maps are in one another, with this one.
func (v value) nesting() int {
	if v.kind != listKind && v.kind != mapKind {
		return 0
	}
	deepest := 0
	for _, element := range v.elements {
		deepest = max(deepest, element.nesting())
	}
	for _, attribute := range v.attributes {
		deepest = max(deepest, attribute.nesting())
	}
	return deepest + 1
}

// MarshalJSON writes the value as the API has it: {"S": "text"}.
func (v value) MarshalJSON() ([]byte, error) {
	var content any
	switch v.kind {
	case stringKind:
		content = v.text
	case binaryKind:
		content = []byte(v.text)
	case numberKind:
		content = v.number.String()
	case booleanKind:
		content = v.boolean
	case nullKind:
		content = true
	case mapKind:
		content = v.attributes
	case listKind:
		content = v.elements
	default:
		members := make([]any, len(v.elements))
		for i, element := range v.elements {
			members[i] = element.plain()
			if element.kind == numberKind {
				members[i] = element.number.String()
			}
		}
		content = members
	}
	return json.Marshal(map[kind]any{v.kind: content})
}

// plain is the value without its type, ready for encoding/json: numbers as numbers, binaries in base64.
func (v value) plain() any {
	switch v.kind {
	case stringKind:
		return v.text
	case binaryKind:
		return []byte(v.text)
	case numberKind:
		return json.Number(v.number.String())
	case booleanKind:
		return v.boolean
	case nullKind:
		return nil
	case mapKind:
		return v.attributes.plain()
	}
	elements := make([]any, len(v.elements))
	for i, element := range v.elements {
		elements[i] = element.plain()
	}
	return elements
}

func (it item) plain() map[string]any {
	attributes := make(map[string]any, len(it))
	for name, attribute := range it {
		attributes[name] = attribute.plain()
	}
	return attributes
}

// UnmarshalJSON reads a value as the API has it, and refuses what the service refuses.
func (v *value) UnmarshalJSON(data []byte) error {
	read, err := readValue(data, 0)
	if err != nil {
		return err
	}
	*v = read
	return nil
}

func readValue(data []byte, depth int) (value, error) {
	if depth > MaxNesting {
		return value{}, errNesting
	}
	members, err := read[map[kind]json.RawMessage]("an attribute value", data)
	if err != nil {
		return value{}, err
	}
	for name, content := range members {
		if bytes.Equal(content, []byte("null")) {
			delete(members, name)
		}
	}
	if len(members) > 1 {
		return value{}, invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
	}
	for name, content := range members {
		return readContent(name, content, depth)
	}
	return value{}, errEmptyValue
}

var errEmptyValue = invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")

func readContent(name kind, content []byte, depth int) (value, error) {
	v := value{kind: name}
	var err error
	switch name {
	case stringKind:
		v.text, err = read[string](contentOfValue, content)
	case binaryKind:
		v.text, err = readBinary(content)
	case numberKind:
		var text string
		if text, err = read[string](contentOfValue, content); err == nil {
			v.number, err = parseNumber(text)
		}
	case booleanKind:
		v.boolean, err = read[bool](contentOfValue, content)
	case nullKind:
		var null bool
		if null, err = read[bool](contentOfValue, content); err == nil && !null {
			err = invalid("One or more parameter values were invalid: Null attribute value types must have the value of true")
		}
	case listKind:
		var elements []json.RawMessage
		elements, err = read[[]json.RawMessage](contentOfValue, content)
		v.elements = make([]value, len(elements))
		for i := 0; i < len(elements) && err == nil; i++ {
			v.elements[i], err = readValue(elements[i], depth+1)
		}
	case mapKind:
		v.attributes, err = readItem(content, depth+1)
	case stringSetKind, numberSetKind, binarySetKind:
		v.elements, err = readSet(v.elementKind(), content)
	default:
		err = errEmptyValue
	}
	return v, err
}

// readItem reads attributes by name; depth is how many lists and maps they are in.
func readItem(data []byte, depth int) (item, error) {
	raw, err := read[map[string]json.RawMessage]("an item or map", data)
	if err != nil {
		return nil, err
	}
	it := make(item, len(raw))
	for name, content := range raw {
		if !isName(name) {
			return nil, errName
		}
		if it[name], err = readValue(content, depth); err != nil {
			return nil, err
		}
	}
	return it, nil
}

// UnmarshalJSON reads an item as the API has it.
func (it *item) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		return nil
	}
	read, err := readItem(data, 0)
	*it = read
	return err
}

// contentOfValue is what the errors call that which stands after the type of an attribute value.
const contentOfValue = "the content of an attribute value"

func readSet(elementKind kind, content []byte) ([]value, error) {
	raw, err := read[[]json.RawMessage](contentOfValue, content)
	if err != nil {
		return nil, err
	}
	if len(raw) == 0 {
		// The wording, double space and all, is the service's.
		switch elementKind {
		case stringKind:
			return nil, invalid("One or more parameter values were invalid: An string set  may not be empty")
		case numberKind:
			return nil, invalid("One or more parameter values were invalid: An number set  may not be empty")
		}
		return nil, invalid("One or more parameter values were invalid: Binary sets should not be empty")
	}
	elements := make([]value, len(raw))
	for i, element := range raw {
		if elements[i], err = readContent(elementKind, element, 0); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(elements, value.compare)
	for i := range elements[1:] {
		if elements[i].equal(elements[i+1]) {
			return nil, invalid("One or more parameter values were invalid: Input collection %s contains duplicates.", texts(elements))
		}
	}
	return elements, nil
}

func texts(elements []value) string {
	all := make([]string, len(elements))
	for i, element := range elements {
		all[i] = fmt.Sprint(element.plain())
		if element.kind == binaryKind {
			all[i] = base64.StdEncoding.EncodeToString([]byte(element.text))
		}
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func readBinary(content []byte) (string, error) {
	text, err := read[string](contentOfValue, content)
	if err != nil {
		return "", err
	}
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", &Error{Code: CodeSerialization, Message: "a B value is not base64: " + err.Error()}
	}
	return string(decoded), nil
}

// read decodes JSON; what it is for is said in the error if its type is wrong.
func read[T any](what string, content []byte) (T, error) {
	var result T
	if err := json.Unmarshal(content, &result); err != nil {
		return result, malformed(what, err)
	}
	return result, nil
}

// malformed turns an error of encoding/json into the service's, and leaves an [Error] as it is.
func malformed(what string, err error) *Error {
	if own := (*Error)(nil); errors.As(err, &own) {
		return own
	}
	if mismatch := (*json.UnmarshalTypeError)(nil); errors.As(err, &mismatch) {
		if mismatch.Field != "" {
			what = mismatch.Field
		}
		return &Error{Code: CodeSerialization, Message: what + " cannot be a JSON " + mismatch.Value}
	}
	return &Error{Code: CodeSerialization, Message: err.Error()}
}
