package gate

import (
	"context"
	"sync"
	"time"
)

// A MemoryStore keeps items in this process, for tests and for programs of one process. The zero value is an empty store.
type MemoryStore struct {
	mu      sync.Mutex
	items   map[string]Item
	sweepAt int // the number of items at which to look for old ones
}

// firstSweep is the number of items at which expired ones are looked for first.
const firstSweep = 128

// Get implements [Store].
func (m *MemoryStore) Get(ctx context.Context, id string) (Reply, error) {
	if err := ctx.Err(); err != nil {
		return Reply{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return Reply{Item: m.items[id]}, nil
}

// Update implements [Store]. Items that are past their expiration, by the time of the latest update, are removed now and
// then.
func (m *MemoryStore) Update(ctx context.Context, id string, u Update) (Reply, error) {
	if err := ctx.Err(); err != nil {
		return Reply{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	item, applied := u.Apply(m.items[id])
	if applied {
		if m.items == nil {
			m.items = map[string]Item{}
		}
		m.items[id] = item
		if len(m.items) >= max(m.sweepAt, firstSweep) {
			m.sweep(item.Expiration)
		}
	}
	return Reply{Item: item, Applied: applied}, nil
}

// sweep removes items that expired when one that is written now was given its expiration.
func (m *MemoryStore) sweep(expiration int64) {
	now := expiration - int64(keep/time.Second)
	for id, i := range m.items {
		if i.Expiration < now {
			delete(m.items, id)
		}
	}
	m.sweepAt = 2 * len(m.items)
}

// Delete removes an item, as a table's time to live does.
func (m *MemoryStore) Delete(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.items, id)
}
