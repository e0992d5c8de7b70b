package largebody

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// A MemoryStore keeps bodies in memory, for tests. The zero value is empty. It is safe for concurrent use.
type MemoryStore struct {
	mu      sync.Mutex
	objects map[string][]byte
}

// Put writes an object.
func (s *MemoryStore) Put(ctx context.Context, kind Kind, name string, body []byte) error {
	if !IsName(name) {
		return fmt.Errorf("largebody: %+q is no name of an object", name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects == nil {
		s.objects = map[string][]byte{}
	}
	s.objects[string(kind)+"/"+name] = slices.Clone(body)
	return ctx.Err()
}

// Get reads an object. The error is [ErrNotFound] if it is not there.
func (s *MemoryStore) Get(ctx context.Context, kind Kind, name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, there := s.objects[string(kind)+"/"+name]
	if !there {
		return nil, ErrNotFound
	}
	return slices.Clone(body), ctx.Err()
}

// Objects are those that there are, by kind and name, with a slash between them.
func (s *MemoryStore) Objects() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.objects)
}
