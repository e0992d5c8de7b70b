// Package watchedgate has tests of what uses a gate see what is asked of its store.
package watchedgate

import (
	"context"
	"sync"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
)

// A Store is one in memory that notes what it is asked for.
type Store struct {
	gate.MemoryStore

	// ID is that of the item that Put and Item are about.
	ID string

	// Before is told of each operation: get, or that of an update. Its error is that of the operation, which has no effect then.
	// Default: none fails.
	Before func(operation string) error

	mu    sync.Mutex
	noted []string
}

func (s *Store) note(operation string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noted = append(s.noted, operation)
	if s.Before == nil {
		return nil
	}
	return s.Before(operation)
}

// Get implements [gate.Store].
func (s *Store) Get(ctx context.Context, id string) (gate.Reply, error) {
	if err := s.note("get"); err != nil {
		return gate.Reply{}, err
	}
	return s.MemoryStore.Get(ctx, id)
}

// Update implements [gate.Store].
func (s *Store) Update(ctx context.Context, id string, u gate.Update) (gate.Reply, error) {
	if err := s.note(u.Operation); err != nil {
		return gate.Reply{}, err
	}
	return s.MemoryStore.Update(ctx, id, u)
}

// Asked returns what the store was asked for since the last time.
func (s *Store) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	noted := s.noted
	s.noted = nil
	return noted
}

// Put makes the item what it is to be, as others have left it.
func (s *Store) Put(i gate.Item) { s.PutAt(s.ID, i) }

// PutAt does the same to another item.
func (s *Store) PutAt(id string, i gate.Item) {
	u := gate.Update{Operation: "put"}
	for _, a := range gate.Attributes() {
		u.Changes = append(u.Changes, gate.Change{Attribute: a, Kind: gate.Set, Value: *i.Field(a)})
	}
	s.MemoryStore.Update(context.Background(), id, u) // fails only if the context has ended
}

// Item returns the item.
func (s *Store) Item() gate.Item {
	reply, _ := s.MemoryStore.Get(context.Background(), s.ID)
	return reply.Item
}

// Queue is an item of which so many tickets wait, and have their time at a rate per second from now on.
func Queue(now time.Time, waiting int64, perSecond float64) gate.Item {
	ms, rate := now.UnixMilli(), int64(1000*perSecond)
	return gate.Item{
		Version: 5, Born: 77, Ticket: waiting, Since: ms, Rate: rate, Opened: ms - 30_000, ActiveUntil: ms + 60_000, Best: rate, Sure: 1,
		RoundStart: ms, RoundWaiting: waiting, Expiration: ms/1000 + 86_400,
	}
}

// Outage is an item of an outage that nobody has announced, which began 10 s ago, and in which somebody, who drew a number for it,
// has just tried whether it is over.
func Outage(now time.Time, waiting, prober int64) gate.Item {
	ms := now.UnixMilli()
	return gate.Item{
		Version: 5, Born: 77, Ticket: waiting, Since: ms - 10_000, Opened: ms - 10_000, Outage: 1, Probe: ms + 1000, Prober: prober,
		Expiration: ms/1000 + 86_400,
	}
}
