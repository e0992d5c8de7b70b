package execution

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// A MemoryStore keeps executions in this process, for tests. It does what package executionstore does, but forgets nothing by
// itself and locks no records. The zero value is an empty store.
type MemoryStore struct {
	mu    sync.Mutex
	items map[string]keptExecution
	parts map[string][]byte
}

// keptExecution is an execution as the table has it.
type keptExecution struct {
	content              []byte
	revision, expiration int64
	lost                 *message.Envelope
}

// Get reads an execution. The error is ErrNotFound if there is none of that name.
func (s *MemoryStore) Get(_ context.Context, name string) (*Execution, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	item, found := s.items[name]
	if !found {
		return nil, ErrNotFound
	}
	x := &Execution{Name: name, Revision: item.revision, Expiration: item.expiration, Lost: item.lost}
	return x, json.Unmarshal(item.content, x)
}

// Create writes an execution that was not there before. The error is ErrChanged if it was.
func (s *MemoryStore) Create(ctx context.Context, x *Execution) error {
	x.Revision = 0
	return s.Save(ctx, x)
}

// Save writes an execution, in the place of the one that was read. The error is ErrChanged if somebody has written another one
// since.
func (s *MemoryStore) Save(_ context.Context, x *Execution) error {
	content, err := json.Marshal(x)
	if err != nil {
		return fmt.Errorf("execution: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if item := s.items[x.Name]; item.revision != x.Revision || item.lost != nil {
		return ErrChanged
	}
	if s.items == nil {
		s.items = map[string]keptExecution{}
	}
	x.Revision++
	s.items[x.Name] = keptExecution{content: content, revision: x.Revision, expiration: x.Expiration}
	return nil
}

// Restart writes an execution that is started again, in the place of the one that was read, losses or not.
func (s *MemoryStore) Restart(ctx context.Context, x *Execution) error {
	s.mu.Lock()
	item := s.items[x.Name]
	if item.revision == x.Revision {
		item.lost = nil
		s.items[x.Name] = item
	}
	s.mu.Unlock()
	return s.Save(ctx, x)
}

// Lose writes that no proxy was left to judge, as the state machine does.
func (s *MemoryStore) Lose(name string, lost *message.Envelope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	item := s.items[name]
	item.lost = lost
	s.items[name] = item
}

// Delete forgets an execution and its request, as the table does in the end.
func (s *MemoryStore) Delete(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.items, name)
	delete(s.parts, "request:"+name)
	return nil
}

// HoldRecord does nothing.
func (s *MemoryStore) HoldRecord(context.Context, message.Record, time.Time) error { return nil }

// PutRequest keeps the request of an execution. The error is ErrTooLarge if it is.
func (s *MemoryStore) PutRequest(_ context.Context, name string, request *message.Request, _ int64) error {
	content, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("execution: %w", err)
	}
	return s.putPart("request:"+name, content)
}

// Request reads the request of an execution.
func (s *MemoryStore) Request(_ context.Context, name string) (*message.Request, error) {
	content, err := s.part("request:" + name)
	if err != nil {
		return nil, err
	}
	request := new(message.Request)
	return request, json.Unmarshal(content, request)
}

// PutAnswer keeps what came of an execution, and returns the name of the part.
func (s *MemoryStore) PutAnswer(_ context.Context, name string, number int, answer *message.Envelope, _ int64) (string, error) {
	content, err := message.Marshal(answer)
	if err != nil {
		return "", err
	}
	part := "answer:" + name + ":" + strconv.Itoa(number)
	return part, s.putPart(part, content)
}

// Answer reads what came of an execution.
func (s *MemoryStore) Answer(_ context.Context, part string) (*message.Envelope, error) {
	content, err := s.part(part)
	if err != nil {
		return nil, err
	}
	return message.Unmarshal(content)
}

func (s *MemoryStore) putPart(id string, content []byte) error {
	if len(content) > MaxPartBytes {
		return fmt.Errorf("%w: it takes %d bytes as JSON, and may take %d", ErrTooLarge, len(content), MaxPartBytes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parts == nil {
		s.parts = map[string][]byte{}
	}
	s.parts[id] = content
	return nil
}

func (s *MemoryStore) part(id string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, found := s.parts[id]
	if !found {
		return nil, ErrNotFound
	}
	return content, nil
}
