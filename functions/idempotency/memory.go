package idempotency

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"
)

// A MemoryStore keeps records in this process, for tests and for programs of one process. Records that have expired are
// removed now and then. The zero value is an empty store.
type MemoryStore struct {
	// MaxDataBytes is the longest Data that fits into a record. Zero: there is no limit. To be set before use.
	MaxDataBytes int

	mu      sync.Mutex
	records map[string]Record
	sweepAt int // the number of records at which to look for old ones; at least firstSweep
}

// NewMemoryStore makes an empty store.
func NewMemoryStore() *MemoryStore { return &MemoryStore{} }

// Insert implements [Store].
func (s *MemoryStore) Insert(ctx context.Context, r Record, now time.Time) (bool, *Record, error) {
	if err := ctx.Err(); err != nil {
		return false, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var existing *Record
	if there, ok := s.records[r.ID]; ok {
		there.Data = bytes.Clone(there.Data)
		existing = &there
		if there.Live(now) {
			return false, existing, nil
		}
	}
	if s.records == nil {
		s.records = map[string]Record{}
	}
	s.records[r.ID] = stored(r)
	if len(s.records) >= max(s.sweepAt, firstSweep) {
		s.sweep(now)
	}
	return true, existing, nil
}

const (
	// firstSweep is the number of records at which expired ones are looked for first.
	firstSweep = 128

	// sweepGrace is how long a record is kept that has expired: the owner of a dead lease may still complete it.
	sweepGrace = time.Hour
)

// sweep removes what has long expired. The next one comes when the number of records has doubled, so that each insert
// pays for about one look.
func (s *MemoryStore) sweep(now time.Time) {
	for id, r := range s.records {
		if !r.Live(now) && r.Expiration.Add(sweepGrace).Before(now) {
			delete(s.records, id)
		}
	}
	s.sweepAt = 2 * len(s.records)
}

// stored is a record as the store keeps it: in the precision of the table, and with bytes of its own.
func stored(r Record) Record {
	r.Expiration = time.Unix(r.Expiration.Unix(), 0)
	if !r.LeaseEnd.IsZero() {
		r.LeaseEnd = time.UnixMilli(r.LeaseEnd.UnixMilli())
	}
	r.Data = bytes.Clone(r.Data)
	r.TakenOver = false
	return r
}

// Get implements [Store].
func (s *MemoryStore) Get(ctx context.Context, id string) (*Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.records[id]
	if !ok {
		return nil, nil
	}
	r.Data = bytes.Clone(r.Data)
	return &r, nil
}

// Complete implements [Store].
func (s *MemoryStore) Complete(ctx context.Context, r Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.MaxDataBytes > 0 && len(r.Data) > s.MaxDataBytes {
		return fmt.Errorf("%w: it has %d bytes, and at most %d fit", ErrTooLarge, len(r.Data), s.MaxDataBytes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	existing, ok := s.records[r.ID]
	if !ok || existing.Owner != r.Owner || r.Owner == "" {
		return ErrOwnershipLost
	}
	existing.Status, existing.Expiration, existing.Data = Completed, r.Expiration, r.Data
	s.records[r.ID] = stored(existing)
	return nil
}

// Release implements [Store].
func (s *MemoryStore) Release(ctx context.Context, id, owner string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	existing, ok := s.records[id]
	switch {
	case !ok:
		return nil
	case existing.Owner != owner || owner == "" || existing.Status != InProgress:
		return ErrOwnershipLost
	}
	delete(s.records, id)
	return nil
}

// Renew implements [Renewer].
func (s *MemoryStore) Renew(ctx context.Context, r Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	existing, ok := s.records[r.ID]
	if !ok || existing.Owner != r.Owner || r.Owner == "" || existing.Status != InProgress {
		return ErrOwnershipLost
	}
	existing.LeaseEnd, existing.Expiration = r.LeaseEnd, r.Expiration
	s.records[r.ID] = stored(existing)
	return nil
}

// Forget implements [Forgetter].
func (s *MemoryStore) Forget(ctx context.Context, id string, now time.Time) (*Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if existing, ok := s.records[id]; ok && existing.Status == InProgress && existing.Live(now) {
		return &existing, nil
	}
	delete(s.records, id)
	return nil, nil
}
