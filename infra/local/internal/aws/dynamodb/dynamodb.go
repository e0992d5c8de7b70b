package dynamodb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
)

// A Store holds tables. It is safe for concurrent use; each operation on an item is atomic.
type Store struct {
	now           func() time.Time
	deletionDelay time.Duration
	file          *datafile.File // nil if the items are in memory only

	mu     sync.RWMutex
	tables map[string]*table
}

// An Option changes how a [Store] works.
type Option func(*Store)

// WithClock sets the clock. The default is time.Now.
func WithClock(now func() time.Time) Option { return func(s *Store) { s.now = now } }

// WithDeletionDelay sets how long after its time an item expires in fact; see [Store.DeleteExpired]. The default is
// [DefaultDeletionDelay].
func WithDeletionDelay(delay time.Duration) Option { return func(s *Store) { s.deletionDelay = delay } }

// New makes a store without tables.
func New(options ...Option) *Store {
	s := &Store{now: time.Now, deletionDelay: DefaultDeletionDelay, tables: map[string]*table{}}
	for _, option := range options {
		option(s)
	}
	return s
}

// CreateTable adds a table. If the store has a file, the items that it holds for a table of this name are there again;
// it is an error if they do not fit the key of the definition.
func (s *Store) CreateTable(definition TableDefinition) error {
	if err := definition.Validate(); err != nil {
		return err
	}
	if definition.ARN == "" {
		definition.ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/" + definition.Name
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tables[definition.Name] != nil {
		return &Error{Code: CodeResourceInUse, Message: "Table already exists: " + definition.Name}
	}
	t := &table{definition: definition, created: s.now(), items: map[string]item{}, file: s.file}
	if err := t.load(); err != nil {
		return err
	}
	s.tables[definition.Name] = t
	return nil
}

// TableNames lists the tables in the order of their names.
func (s *Store) TableNames() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.tables))
}

// Items lists all items of a table as plain JSON objects, in the order in which Scan gives them: strings as strings,
// numbers as numbers with all their digits, binary values in base64, sets as lists. The form is meant for a person; it
// does not tell all types apart.
func (s *Store) Items(tableName string) ([]json.RawMessage, error) {
	t, err := s.table(tableName)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	items := make([]json.RawMessage, 0, len(t.items))
	for _, key := range t.sortedKeys() {
		encoded, err := json.Marshal(t.items[key].plain())
		if err != nil {
			return nil, fmt.Errorf("encode an item of table %s: %w", tableName, err)
		}
		items = append(items, encoded)
	}
	return items, nil
}

// table finds a table by its name or its ARN.
func (s *Store) table(name string) (*table, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t := s.tables[name]; t != nil {
		return t, nil
	}
	for _, t := range s.tables {
		if t.definition.ARN == name {
			return t, nil
		}
	}
	if name == "" {
		return nil, invalid("1 validation error detected: Value null at 'tableName' failed to satisfy constraint: Member must not be null")
	}
	return nil, &Error{Code: CodeResourceNotFound, Message: "Requested resource not found"}
}

// UpdateItem is [Store.Call] for the operation UpdateItem.
func (s *Store) UpdateItem(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
	return s.Call(ctx, "UpdateItem", input)
}

// Call runs an operation, such as "PutItem", with the parameters and the result as the API has them in JSON. The error
// is an [*Error], or the context's if it was over before the operation began.
func (s *Store) Call(ctx context.Context, operation string, input json.RawMessage) (json.RawMessage, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	run, known := operations[operation]
	if !known {
		return nil, &Error{Code: CodeUnknownOperation, Message: "The local DynamoDB does not support the operation " + operation}
	}
	output, err := run(s, input)
	if err != nil {
		var own *Error
		if !errors.As(err, &own) {
			own = &Error{Code: CodeInternalServerError, Message: err.Error()}
		}
		return nil, own
	}
	encoded, err := json.Marshal(output)
	if err != nil {
		return nil, &Error{Code: CodeInternalServerError, Message: err.Error()}
	}
	return encoded, nil
}
