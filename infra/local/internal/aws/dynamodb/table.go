package dynamodb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
)

// The limits of a table's items.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
const (
	// MaxItemSize is how many bytes an item can have, names included.
	MaxItemSize = 400 << 10

	// MaxPartitionKeySize and MaxSortKeySize are how many bytes the values of a primary key can have.
	MaxPartitionKeySize = 2048
	MaxSortKeySize      = 1024
)

// A TableDefinition says what a table is called and how its items are identified.
type TableDefinition struct {
	// Name has 3 to 255 letters, digits, underscores, dots and hyphens.
	Name string

	// ARN is the table's Amazon Resource Name; requests can use it in the place of the name. The default is one of the
	// account 123456789012 in us-east-1.
	ARN string

	// PartitionKey is the attribute that identifies an item, alone or together with the sort key.
	PartitionKey KeyAttribute

	// SortKey is the second part of the primary key. The zero value means that there is none.
	SortKey KeyAttribute

	// TTLAttribute is the attribute that says when an item expires, in seconds since the Unix epoch. Empty means that time
	// to live is disabled.
	TTLAttribute string
}

// A KeyAttribute is an attribute of a primary key.
type KeyAttribute struct {
	Name string

	// Type is S, N or B.
	Type string
}

var tableNameSyntax = regexp.MustCompile(`^[a-zA-Z0-9_.-]{3,255}$`)

// Validate lists all that is wrong with the definition in one error.
func (d TableDefinition) Validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !tableNameSyntax.MatchString(d.Name) {
		problem("the table name %q does not have 3 to 255 letters, digits, underscores, dots and hyphens", d.Name)
	}
	for i, key := range d.keys() {
		part := []string{"partition", "sort"}[i]
		if key.Name == "" {
			problem("the %s key of table %q has no name", part, d.Name)
		}
		if v := (value{kind: kind(key.Type)}); !v.isOrdered() {
			problem("the %s key %q of table %q is of type %q; allowed are S, N and B", part, key.Name, d.Name, key.Type)
		}
	}
	if d.SortKey.Name != "" && d.SortKey.Name == d.PartitionKey.Name {
		problem("both keys of table %q are called %q", d.Name, d.SortKey.Name)
	}
	return errors.Join(problems...)
}

// keys are the attributes of the primary key, one or two.
func (d TableDefinition) keys() []KeyAttribute {
	if d.SortKey == (KeyAttribute{}) {
		return []KeyAttribute{d.PartitionKey}
	}
	return []KeyAttribute{d.PartitionKey, d.SortKey}
}

func (d TableDefinition) isKey(attribute string) bool {
	return slices.ContainsFunc(d.keys(), func(key KeyAttribute) bool { return key.Name == attribute })
}

// keyOf is the primary key of an item.
func (d TableDefinition) keyOf(it item) item {
	key := item{}
	for _, attribute := range d.keys() {
		key[attribute.Name] = it[attribute.Name]
	}
	return key
}

// encodeKey is what a table files an item under. The items of a partition are next to one another, in the order of the
// sort key; the order of partitions has no meaning, as in the service.
func (d TableDefinition) encodeKey(it item) string {
	partition := sortable(it[d.PartitionKey.Name])
	encoded := append(encodePartition(partition), partition...)
	if d.SortKey.Name != "" {
		encoded = append(encoded, sortable(it[d.SortKey.Name])...)
	}
	return string(encoded)
}

// encodePartition is the length that comes before a partition key, so that none is the beginning of another.
func encodePartition(partition []byte) []byte {
	return binary.BigEndian.AppendUint16(nil, uint16(len(partition)))
}

// sortable encodes the value of a key so that the order of the encodings, byte by byte, is the order of the values.
func sortable(v value) []byte {
	if v.kind == numberKind {
		return v.number.sortable()
	}
	return []byte(v.text)
}

// checkItem refuses an item that does not have the table's key.
func (d TableDefinition) checkItem(it item) error {
	for _, key := range d.keys() {
		v, exists := it[key.Name]
		if !exists {
			return invalid("One or more parameter values were invalid: Missing the key %s in the item", key.Name)
		}
		if string(v.kind) != key.Type {
			return invalid("One or more parameter values were invalid: Type mismatch for key %s expected: %s actual: %s", key.Name, key.Type, v.kind)
		}
	}
	return d.checkKeyValues(it)
}

var errKeySchema = invalid("The provided key element does not match the schema")

// checkKey refuses a key that is not exactly the table's.
func (d TableDefinition) checkKey(key item) error {
	if len(key) != len(d.keys()) {
		return errKeySchema
	}
	for _, attribute := range d.keys() {
		if v, exists := key[attribute.Name]; !exists || string(v.kind) != attribute.Type {
			return errKeySchema
		}
	}
	return d.checkKeyValues(key)
}

func (d TableDefinition) checkKeyValues(it item) error {
	for _, key := range d.keys() {
		if v := it[key.Name]; v.kind != numberKind && v.text == "" {
			what := "string"
			if v.kind == binaryKind {
				what = "binary"
			}
			return invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s", what, key.Name)
		}
	}
	// The missing space is the service's.
	if it[d.PartitionKey.Name].size() > MaxPartitionKeySize {
		return invalid("One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of%d bytes", MaxPartitionKeySize)
	}
	if it[d.SortKey.Name].size() > MaxSortKeySize {
		return invalid("One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of %d bytes", MaxSortKeySize)
	}
	return nil
}

// A table holds items by their encoded keys. The caller of its methods holds mu.
type table struct {
	mu         sync.RWMutex
	definition TableDefinition // of which only TTLAttribute changes
	created    time.Time
	items      map[string]item
	file       *datafile.File // nil if the items are in memory only

	// order lists the keys of items in their order, or is nil if it has to be made again.
	order []string
}

// sortedKeys are the keys of all items in the order of Scan.
func (t *table) sortedKeys() []string {
	if t.order == nil {
		t.order = make([]string, 0, len(t.items))
		for key := range t.items {
			t.order = append(t.order, key)
		}
		slices.Sort(t.order)
	}
	return t.order
}

// keysFrom are the keys from the first that is not before the given one.
func (t *table) keysFrom(key string) []string {
	keys := t.sortedKeys()
	at, _ := slices.BinarySearch(keys, key)
	return keys[at:]
}

// put stores the item under its key.
func (t *table) put(key string, it item) error {
	if err := t.save(key, it); err != nil {
		return err
	}
	if _, exists := t.items[key]; !exists {
		t.order = nil
	}
	t.items[key] = it
	return nil
}

// remove deletes the item under the key, if there is one.
func (t *table) remove(key string) error {
	if _, exists := t.items[key]; !exists {
		return nil
	}
	if err := t.erase(key); err != nil {
		return err
	}
	delete(t.items, key)
	t.order = nil
	return nil
}
