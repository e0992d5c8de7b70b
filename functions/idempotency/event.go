package idempotency

import (
	"context"
	"time"
)

// An EventKind says what happened to a key.
type EventKind string

// A call has one event of the first group, and if it runs protected, one of the second. Those of the third are reported
// beside them.
const (
	EventDisabled     EventKind = "disabled"     // idempotency is switched off; the call runs
	EventUnprotected  EventKind = "unprotected"  // the payload has no key and need not have one; the call runs
	EventBadKey       EventKind = "bad-key"      // the key is missing or malformed
	EventBadEvent     EventKind = "bad-event"    // the event of a Handler is not what its function takes
	EventAcquired     EventKind = "acquired"     // the call runs
	EventTakenOver    EventKind = "taken-over"   // the call runs, in the place of one that died: its work may be done already
	EventReplayed     EventKind = "replayed"     // the result came from the store
	EventCacheHit     EventKind = "cache-hit"    // the result came from the local cache
	EventInProgress   EventKind = "in-progress"  // another call is running
	EventMismatch     EventKind = "mismatch"     // the key was used with another payload
	EventInconsistent EventKind = "inconsistent" // the record kept changing
	EventStoreFailed  EventKind = "store-failed" // the store could not be asked; nothing ran
	EventUnreadable   EventKind = "unreadable"   // there is a record that cannot be read; nothing ran

	EventStored      EventKind = "stored"       // the result is in the record
	EventReleased    EventKind = "released"     // the key is free again
	EventHeld        EventKind = "held"         // the key stays locked until the lease ends
	EventOwnerLost   EventKind = "owner-lost"   // another call has taken over
	EventNotStored   EventKind = "not-stored"   // the result is not in the record
	EventNotReleased EventKind = "not-released" // the store failed to release the key; it is locked until the lease ends

	// No lease: neither is there [Config.Lease], nor has the context a deadline. If the process dies, the key is locked
	// until the TTL has passed. Once in each such call, after EventAcquired or EventTakenOver.
	EventNoLease EventKind = "no-lease"

	EventRenewed    EventKind = "renewed"     // the lease ends later
	EventNotRenewed EventKind = "not-renewed" // the lease could not be renewed, and ends as it did
	EventForgotten  EventKind = "forgotten"   // the record was removed by Forget
)

// An Event is one thing that happened to a key.
type Event struct {
	Kind EventKind

	// ID is the record's. Empty if there is no key.
	ID string

	// Waited is how long the call waited for another one, in events of the first group.
	Waited time.Duration

	// Err is what the caller gets, if that is an error of this package.
	Err error
}

func (m *Manager) emit(ctx context.Context, e Event) {
	if m.config.Observe != nil {
		m.config.Observe(ctx, e)
	}
}
