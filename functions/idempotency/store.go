package idempotency

import (
	"context"
	"time"
)

// A Store keeps records. It is safe for concurrent use, and each of its methods is atomic. Package storetest holds the
// tests that every Store has to pass.
//
// Stores keep Expiration in whole seconds and LeaseEnd in whole milliseconds, and have no clock of their own. They keep
// Data as a JSON document: white space and the order of members may change. Of a record
// that they cannot read, Insert and Get return an [UnreadableRecordError].
//
// A Store may have two methods more, which [New] asks: Check() error, for what is wrong with its configuration; and
// Format() recordformat.Format, for the library whose IDs and fingerprints the records have. The default is Python's.
type Store interface {
	// Insert writes r, which is in progress, unless the record that is there under its ID is live at the time now (see
	// [Record.Live]). It says whether it has written, and what was there. If it has not, that is the record in the way,
	// or nil if that has gone in the meantime. If it has, it is the dead record that r has replaced, or nil if there was
	// none or none that can be read. Insert may return a [StoreError] that says by its Operation which request failed.
	Insert(ctx context.Context, r Record, now time.Time) (inserted bool, existing *Record, err error)

	// Get reads a record, at least as new as the last write that was answered. Nil if there is none. It may return
	// records that have expired.
	Get(ctx context.Context, id string) (*Record, error)

	// Complete makes the record with r's ID a completed one, with r's Expiration and Data, if it has r's Owner. The
	// other fields stay as they are; r holds them for stores that have to know the whole. Completing twice is no error,
	// so that a request whose answer was lost may be repeated.
	//
	// If the record is another's or has gone, the error wraps [ErrOwnershipLost]; if Data does not fit, [ErrTooLarge],
	// and the record is as before.
	Complete(ctx context.Context, r Record) error

	// Release removes the record in progress with this ID, if it has this owner. That there is none is no error. If the
	// record is another's, or completed, it stays and the error wraps [ErrOwnershipLost].
	Release(ctx context.Context, id, owner string) error
}

// A Renewer is a [Store] that can move the end of a lease, for [Manager.Renew] and [Config.Renew].
type Renewer interface {
	// Renew sets LeaseEnd and Expiration of the record in progress with r's ID to those of r, if it has r's Owner, whether
	// or not its lease has ended. The other fields stay as they are. If the record is another's, is completed or has gone,
	// it stays so and the error wraps [ErrOwnershipLost].
	Renew(ctx context.Context, r Record) error
}

// A Forgetter is a [Store] that can remove a record whoever owns it, for [Manager.Forget].
type Forgetter interface {
	// Forget removes the record with this ID, whether or not it can be read, unless it is in progress and live at the time
	// now. It then returns that record. That there is no record is no error.
	Forget(ctx context.Context, id string, now time.Time) (running *Record, err error)
}
