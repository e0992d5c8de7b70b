package idempotency_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

// A fakeClock stands still, but for sleepers, who pass the time at once.
type fakeClock struct {
	mu     sync.Mutex
	now    time.Time
	sleeps []time.Duration

	// onSleep, if set, is called after each sleep.
	onSleep func()
}

func newClock() *fakeClock { return &fakeClock{now: time.UnixMilli(1_700_000_000_250)} }

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.sleeps = append(c.sleeps, d)
	c.mu.Unlock()
	if c.onSleep != nil {
		c.onSleep()
	}
	return ctx.Err()
}

// An observedStore counts calls, and lets a test put itself between manager and store.
type observedStore struct {
	idempotency.Store
	mu    sync.Mutex
	calls map[string]int

	insert   func(ctx context.Context, r idempotency.Record, now time.Time) (bool, *idempotency.Record, error)
	get      func(ctx context.Context, id string) (*idempotency.Record, error)
	complete func(ctx context.Context, r idempotency.Record) error
	release  func(ctx context.Context, id, owner string) error
}

func observe(store idempotency.Store) *observedStore {
	return &observedStore{Store: store, calls: map[string]int{}}
}

func (s *observedStore) count(operation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[operation]++
}

func (s *observedStore) total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := 0
	for _, n := range s.calls {
		total += n
	}
	return total
}

func (s *observedStore) Insert(ctx context.Context, r idempotency.Record, now time.Time) (bool, *idempotency.Record, error) {
	s.count("insert")
	if s.insert != nil {
		return s.insert(ctx, r, now)
	}
	return s.Store.Insert(ctx, r, now)
}

func (s *observedStore) Get(ctx context.Context, id string) (*idempotency.Record, error) {
	s.count("get")
	if s.get != nil {
		return s.get(ctx, id)
	}
	return s.Store.Get(ctx, id)
}

func (s *observedStore) Complete(ctx context.Context, r idempotency.Record) error {
	s.count("complete")
	if s.complete != nil {
		return s.complete(ctx, r)
	}
	return s.Store.Complete(ctx, r)
}

func (s *observedStore) Release(ctx context.Context, id, owner string) error {
	s.count("release")
	if s.release != nil {
		return s.release(ctx, id, owner)
	}
	return s.Store.Release(ctx, id, owner)
}

func (s *observedStore) Renew(ctx context.Context, r idempotency.Record) error {
	s.count("renew")
	return s.Store.(idempotency.Renewer).Renew(ctx, r)
}

func (s *observedStore) Forget(ctx context.Context, id string, now time.Time) (*idempotency.Record, error) {
	s.count("forget")
	return s.Store.(idempotency.Forgetter).Forget(ctx, id, now)
}

// A fixture is a manager over a memory store, at a time that stands still.
type fixture struct {
	*idempotency.Manager
	store  *observedStore
	memory *idempotency.MemoryStore
	clock  *fakeClock
	events []idempotency.EventKind
}

func setUp(t testing.TB, cfg idempotency.Config) *fixture {
	t.Helper()
	f := &fixture{memory: idempotency.NewMemoryStore(), clock: newClock()}
	f.store = observe(f.memory)
	if cfg.Prefix == "" {
		cfg.Prefix = "test"
	}
	cfg.Clock = f.clock
	cfg.Observe = func(_ context.Context, e idempotency.Event) { f.events = append(f.events, e.Kind) }
	if cfg.Random == nil {
		cfg.Random = func() float64 { return 0.5 }
	}
	owners := 0
	var mu sync.Mutex
	cfg.NewOwner = func() string {
		mu.Lock()
		defer mu.Unlock()
		owners++
		return fmt.Sprint("owner-", owners)
	}
	manager, err := idempotency.New(f.store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.Manager = manager
	return f
}

// record reads the record of a payload; nil if there is none.
func (f *fixture) record(t testing.TB, payload any) *idempotency.Record {
	t.Helper()
	id, _, err := f.Key(payload)
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.memory.Get(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// put writes a record under the ID of a payload that has none.
func (f *fixture) put(t testing.TB, payload any, r idempotency.Record) idempotency.Record {
	t.Helper()
	id, _, err := f.Key(payload)
	if err != nil {
		t.Fatal(err)
	}
	r.ID = id
	data := r.Data
	if inserted, _, err := f.memory.Insert(context.Background(), r, f.clock.Now()); !inserted || err != nil {
		t.Fatal(inserted, err)
	}
	if r.Status == idempotency.Completed && r.Owner != "" {
		r.Data = data
		if err := f.memory.Complete(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// returns is a function that counts its runs.
func returns[Out any](runs *int, out Out, err error) func(context.Context) (Out, error) {
	return func(context.Context) (Out, error) {
		*runs++
		return out, err
	}
}

type deadlineContext struct {
	context.Context
	deadline time.Time
}

// Deadline makes a deadline on the fake clock; the context does not end by it.
func (c deadlineContext) Deadline() (time.Time, bool) { return c.deadline, true }

func within(c *fakeClock, d time.Duration) context.Context {
	return deadlineContext{context.Background(), c.Now().Add(d)}
}

func raw(s string) json.RawMessage { return json.RawMessage(s) }
