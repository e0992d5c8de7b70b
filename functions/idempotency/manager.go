package idempotency

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/recordformat"
)

const (
	// AcquireAttempts is how often a record is tried to be written when the one in its way is gone or dead on a closer
	// look.
	AcquireAttempts = 3

	// acquireJitter is the longest pause before such an attempt; it doubles with each.
	acquireJitter = 50 * time.Millisecond

	// abandonTimeout is how long the release of a key may take that was perhaps acquired, when the store failed while
	// acquiring it.
	abandonTimeout = time.Second
)

// wholePayload stands for the key expression of a configuration without one. It is not evaluated.
var wholePayload = &expression{source: "@"}

// A Manager acquires, completes and releases keys. It is safe for concurrent use and never changes.
//
// [Do] and [Handler] do all that is needed around a function. The methods are the pieces beneath them, for programs in
// which one process acquires a key and another completes it.
type Manager struct {
	store Store

	// config is settled: it has its defaults and has been checked. Policy, OnReplay and Observe are nil if there is
	// nothing to call. What Key, Validation, CacheSize and LockOnly ask for is in the fields below and in Policy.
	config Config

	key        *expression
	validation *expression // nil without
	cache      *cache      // nil without
	format     recordformat.Format
	disabled   bool
}

// New checks the configuration and makes a Manager. It does not ask the store. The error names everything that is
// wrong.
func New(store Store, cfg Config) (*Manager, error) {
	var problems []error
	problem := func(format string, a ...any) { problems = append(problems, fmt.Errorf(format, a...)) }

	if _, renews := store.(Renewer); cfg.Renew && store != nil && !renews {
		problem("Renew is set and the store, a %T, has no method Renew: use one that is a Renewer, such as dynamostore's, or a longer Lease", store)
	}
	if store == nil {
		problem("store is nil: pass dynamostore.New(client, table), or NewMemoryStore() in tests")
	}
	if checked, ok := store.(interface{ Check() error }); ok {
		if err := checked.Check(); err != nil {
			problem("store: %w", err)
		}
	}
	derived := cfg.Prefix == ""
	cfg = cfg.withDefaults()
	problems = append(problems, cfg.validate())
	m := &Manager{store: store, config: cfg, key: wholePayload}
	if formatted, ok := store.(interface{ Format() recordformat.Format }); ok {
		m.format = formatted.Format()
	}
	var err error
	if cfg.Key != "" {
		if m.key, err = compileExpression(cfg.Key, cfg.Functions); err != nil {
			problem("Key `%s`: %w", cfg.Key, err)
		}
	}
	if cfg.Validation != "" {
		if m.validation, err = compileExpression(cfg.Validation, cfg.Functions); err != nil {
			problem("Validation `%s`: %w", cfg.Validation, err)
		}
	}
	m.disabled, err = disabledBy(os.Getenv(DisabledVariable))
	err = errors.Join(append(problems, err)...)
	if err == nil && derived && !m.disabled {
		err = takeDerivedPrefix(cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("idempotency.New: %w", err)
	}
	if cfg.CacheSize > 0 {
		m.cache = newCache(cfg.CacheSize)
	}
	if cfg.LockOnly {
		m.config.Policy = func(context.Context, any, error) Action { return ReleaseKey }
	}
	return m, nil
}

// WithTTL returns a Manager that keeps results for ttl, of at least a second, and is like m otherwise. It shares m's
// cache.
func (m *Manager) WithTTL(ttl time.Duration) *Manager {
	with := *m
	with.config.TTL = max(ttl, time.Second)
	return &with
}

// WithPolicy returns a copy of m with another [Config.Policy], which also replaces [Config.LockOnly]. It shares m's cache.
func (m *Manager) WithPolicy(p Policy) *Manager {
	with := *m
	with.config.Policy = p
	return &with
}

// Prefix is with what the IDs of records begin: [Config.Prefix], and [Config.Operation] if there is one.
func (m *Manager) Prefix() string { return m.config.Prefix }

// Now is the time by the manager's clock.
func (m *Manager) Now() time.Time { return m.config.Clock.Now() }

// Enabled says whether the environment lets idempotency be: see [DisabledVariable].
func (m *Manager) Enabled() bool { return !m.disabled }

// A Claim asks for a key.
type Claim struct {
	// ID is the record's, such as [Manager.Key] works out.
	ID string

	// Fingerprint is stored with the record and compared with that of a record that is there. Empty: nothing is
	// compared.
	Fingerprint string

	// Matches says of a stored fingerprint other than Fingerprint whether it is one of the same payload nevertheless, such as
	// by the rule of an earlier version of the program. Nil: none is.
	Matches func(stored string) bool

	// Reference is stored with the record, for other calls with the key to read in [Record.Reference]: where more is known of
	// this one, such as the id of a job. Empty: nothing is.
	Reference string

	// LeaseEnd is until when the key is locked at most. Zero: as [Config.Lease] says.
	LeaseEnd time.Time

	// Wait is how long to wait for another call with the same key. Zero: as [Config.Wait] says; negative: not at all.
	Wait time.Duration
}

// An Acquisition is the answer to a Claim.
type Acquisition struct {
	// Record is the caller's own record in progress, or if Replay is set, the completed one of an earlier call. Whoever
	// has its ID and Owner can complete or release it. Its Expiration is that of the record in progress; a completed
	// one lasts until its completion plus the TTL.
	//
	// It is the zero Record if idempotency is disabled.
	Record Record

	// Replay says that the call has been made. See [Record.Result].
	Replay bool
}

// Acquire asks for a key. Without an error the caller either runs, and then calls Complete or Release with the record,
// or replays.
//
// Errors, all of which mean that nothing is to be run: [InProgressError], [PayloadMismatchError],
// [InconsistentStateError], [UnreadableRecordError], [StoreError]. If the store fails, the key may have been acquired nevertheless, with the
// reply lost; it is released again, as far as the store allows.
func (m *Manager) Acquire(ctx context.Context, c Claim) (Acquisition, error) {
	if m.disabled {
		m.emit(ctx, Event{Kind: EventDisabled, ID: c.ID})
		return Acquisition{}, nil
	}
	start := m.config.Clock.Now()
	a, kind, err := m.acquire(ctx, c, start)
	m.emit(ctx, Event{Kind: kind, ID: c.ID, Waited: m.config.Clock.Now().Sub(start), Err: err})
	if err == nil && !a.Replay && a.Record.LeaseEnd.IsZero() {
		m.emit(ctx, Event{Kind: EventNoLease, ID: c.ID})
	}
	return a, err
}

func (m *Manager) acquire(ctx context.Context, c Claim, start time.Time) (Acquisition, EventKind, error) {
	if cached, ok := m.cache.get(c.ID, start); ok {
		a, kind, err := settle(cached, c)
		if kind == EventReplayed {
			kind = EventCacheHit
		}
		return a, kind, err
	}
	if c.Wait == 0 {
		c.Wait = m.config.Wait
	}
	age := m.cache.age()
	owner := m.config.NewOwner()
	patience := newPatience(ctx, start, c.Wait)
	for {
		a, kind, err := m.insert(ctx, c, owner)
		var busy *InProgressError
		if errors.As(err, &busy) {
			var completed *Record
			if completed, err = m.await(ctx, busy, patience); err == nil && completed == nil {
				continue // the other call has released the key, or its lease has ended
			}
			if completed != nil {
				a, kind, err = settle(*completed, c)
			} else if errors.Is(err, ErrRecordUnreadable) {
				kind = EventUnreadable
			} else if !errors.Is(err, ErrInProgress) {
				kind = EventStoreFailed
			}
		}
		if kind == EventReplayed {
			m.cache.put(a.Record, age)
		}
		return a, kind, err
	}
}

// insert writes the record, or finds out why not.
func (m *Manager) insert(ctx context.Context, c Claim, owner string) (Acquisition, EventKind, error) {
	for attempt := range AcquireAttempts {
		if attempt > 0 {
			pause := time.Duration(m.config.Random() * float64(acquireJitter<<(attempt-1)))
			if err := m.config.Clock.Sleep(ctx, pause); err != nil {
				return Acquisition{}, EventStoreFailed, &StoreError{Operation: "insert", ID: c.ID, Err: err}
			}
		}
		now := m.config.Clock.Now()
		r := m.newRecord(ctx, c, owner, now)
		inserted, existing, err := m.store.Insert(ctx, r, now)
		switch {
		case errors.Is(err, ErrRecordUnreadable):
			return Acquisition{}, EventUnreadable, err
		case err != nil:
			m.abandon(ctx, r)
			failed := (*StoreError)(nil)
			if !errors.As(err, &failed) {
				failed = &StoreError{Operation: "insert", ID: c.ID, Err: err}
			}
			return Acquisition{}, EventStoreFailed, failed
		case inserted && existing != nil && existing.diedInProgress():
			r.TakenOver = true
			return Acquisition{Record: r}, EventTakenOver, nil
		case inserted:
			return Acquisition{Record: r}, EventAcquired, nil
		case existing == nil:
			continue
		case existing.Owner == owner && existing.Status == InProgress:
			// The record is this call's own: the answer to its request was lost and the client repeated it.
			return Acquisition{Record: *existing}, EventAcquired, nil
		case existing.Live(m.config.Clock.Now()):
			return settle(*existing, c)
		}
	}
	return Acquisition{}, EventInconsistent, &InconsistentStateError{ID: c.ID, Attempts: AcquireAttempts}
}

// matches says whether a stored fingerprint is one of the claim's payload, as far as that is known.
func (c Claim) matches(stored string) bool {
	return c.Fingerprint == "" || stored == "" || c.Fingerprint == stored || c.Matches != nil && c.Matches(stored)
}

// settle answers a claim with the live record of another call.
func settle(existing Record, c Claim) (Acquisition, EventKind, error) {
	switch {
	case !c.matches(existing.Fingerprint):
		return Acquisition{}, EventMismatch, &PayloadMismatchError{Record: existing, Fingerprint: c.Fingerprint}
	case existing.Status == InProgress:
		return Acquisition{}, EventInProgress, &InProgressError{Record: existing}
	default:
		return Acquisition{Record: existing, Replay: true}, EventReplayed, nil
	}
}

func (m *Manager) newRecord(ctx context.Context, c Claim, owner string, now time.Time) Record {
	r := Record{
		ID:          c.ID,
		Status:      InProgress,
		Owner:       owner,
		LeaseEnd:    c.LeaseEnd,
		Expiration:  m.expiration(now),
		Fingerprint: c.Fingerprint,
		Reference:   c.Reference,
	}
	if r.LeaseEnd.IsZero() {
		if m.config.Lease > 0 {
			r.LeaseEnd = now.Add(m.config.Lease)
		} else if deadline, ok := ctx.Deadline(); ok {
			r.LeaseEnd = deadline.Add(m.config.LeaseMargin)
		}
	}
	return r.lockedUntil(r.LeaseEnd)
}

// expiration is when what is written at the time now expires.
func (m *Manager) expiration(now time.Time) time.Time {
	return time.Unix(now.Unix(), 0).Add(m.config.TTL.Truncate(time.Second))
}

// abandon releases a record of which it is not known whether it was written. Nothing can be done if that fails: the
// lease ends.
func (m *Manager) abandon(ctx context.Context, r Record) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTimeout)
	defer cancel()
	_ = m.store.Release(ctx, r.ID, r.Owner)
}

// Complete stores the result of a run, as JSON, in the record that Acquire gave, and keeps it for the TTL from now on.
// Later calls replay it. With nil data the record is completed without a result: later calls get a
// [ResultNotStoredError].
//
// Results that do not fit are compressed, if that has not been done. If they still do not fit, the record is completed
// without a result. The context's end does not matter; [Config.FinishTimeout] limits the time. Errors: [OwnershipLostError],
// [ResultNotStoredError].
func (m *Manager) Complete(ctx context.Context, r Record, data json.RawMessage) error {
	_, err := m.complete(ctx, r, ending{data: data, value: data})
	return err
}

// An ending is what is recorded of a run.
type ending struct {
	// data is the result as JSON, or if the run failed, a wrapping of its error. Nil if the result could not be
	// encoded.
	data   json.RawMessage
	failed bool

	// value is the result as it was returned, for errors to carry, and err why it could not be encoded.
	value any
	err   error
}

// complete returns the record as it is then.
func (m *Manager) complete(ctx context.Context, acquired Record, e ending) (Record, error) {
	if m.disabled {
		return acquired, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.config.FinishTimeout)
	defer cancel()
	age := m.cache.age()
	r := acquired
	r.Status, r.Data, r.Expiration = Completed, e.data, m.expiration(m.config.Clock.Now())
	if !e.failed {
		r.Data = m.packed(e.data)
	}
	err := m.store.Complete(ctx, r)
	if errors.Is(err, ErrTooLarge) && !e.failed && len(e.data) <= maxUnpackedBytes {
		r.Data = pack(e.data) // which is text, so that it may fit where it is no shorter
		err = m.store.Complete(ctx, r)
	}
	cause := e.err
	if errors.Is(err, ErrTooLarge) {
		cause = err
		r.Data = nil
		err = m.store.Complete(ctx, r)
	}
	switch {
	case errors.Is(err, ErrOwnershipLost):
		err = &OwnershipLostError{ID: r.ID, Result: e.value}
		m.emit(ctx, Event{Kind: EventOwnerLost, ID: r.ID, Err: err})
		return acquired, err
	case err != nil:
		cause = errors.Join(cause, &StoreError{Operation: "complete", ID: r.ID, Err: err})
		r = acquired
	default:
		m.cache.put(r, age)
	}
	if cause != nil {
		err = &ResultNotStoredError{ID: r.ID, Result: e.value, Err: cause}
		m.emit(ctx, Event{Kind: EventNotStored, ID: r.ID, Err: err})
		return r, err
	}
	m.emit(ctx, Event{Kind: EventStored, ID: r.ID})
	return r, nil
}

// packed is a result as it is stored, if it fits.
func (m *Manager) packed(result json.RawMessage) json.RawMessage {
	if _, ambiguous := unwrap(result); ambiguous {
		return pack(result)
	}
	if m.config.CompressAbove > 0 && len(result) > m.config.CompressAbove && len(result) <= maxUnpackedBytes {
		if p := pack(result); len(p) < len(result) {
			return p
		}
	}
	return result
}

// Release frees the key of a record that Acquire gave, so that the next call runs. The context's end does not matter;
// [Config.FinishTimeout] limits the time. Errors: [OwnershipLostError], [StoreError].
func (m *Manager) Release(ctx context.Context, r Record) error {
	if m.disabled {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.config.FinishTimeout)
	defer cancel()
	err := m.store.Release(ctx, r.ID, r.Owner)
	switch {
	case err == nil:
		m.emit(ctx, Event{Kind: EventReleased, ID: r.ID})
	case errors.Is(err, ErrOwnershipLost):
		err = &OwnershipLostError{ID: r.ID}
		m.emit(ctx, Event{Kind: EventOwnerLost, ID: r.ID, Err: err})
	default:
		err = &StoreError{Operation: "release", ID: r.ID, Err: err}
		m.emit(ctx, Event{Kind: EventNotReleased, ID: r.ID, Err: err})
	}
	return err
}
