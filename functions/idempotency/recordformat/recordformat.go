// Package recordformat names the attributes of an idempotency record in a DynamoDB table, and the values of its status.
// It is for whoever reads or writes such items, in a program, a template or a state machine, and depends on nothing.
//
// An item has the form of Powertools for AWS Lambda, by default that of Python, with the attribute owner added:
//
//	id                      S  prefix, number sign, and hash of the key; the partition key
//	status                  S  INPROGRESS or COMPLETED
//	expiration              N  when the record expires, in seconds since the Unix epoch; the time-to-live attribute
//	in_progress_expiration  N  when the lease ends, in milliseconds since the Unix epoch; absent if nobody knows
//	data                    S  the result as JSON text, or in the format [TypeScript] a value of DynamoDB's own types;
//	                           absent while in progress, and if it could not be stored
//	validation              S  the fingerprint of the payload; absent if payloads are not compared
//	reference               S  where more is known of the call; absent if nowhere
//	owner                   S  random token of the call that wrote the record
//
// A record in progress bars other calls until its lease ends, or until it expires if it has no lease; a completed one is
// replayed until it expires. At the very moment of its end a record still counts. A lease that has ended
// leaves the key free, so writing zero there releases it.
//
// docs/idempotency.md lists the conditions and updates with which a writer takes part.
package recordformat

// The attributes of a record.
const (
	ID          = "id"
	Status      = "status"
	Expiration  = "expiration"
	LeaseEnd    = "in_progress_expiration"
	Data        = "data"
	Fingerprint = "validation"
	Owner       = "owner"
	Reference   = "reference"

	// SortKey holds the ID in a table with a sort key, where the attribute id is the same for all records.
	SortKey = "sk"
)

// A Format is the library whose records those of a store are like.
type Format int

const (
	// Python is Powertools for AWS Lambda (Python): data is JSON text, and an ID ends with the hash of Python's JSON in
	// hexadecimal.
	Python Format = iota

	// TypeScript is Powertools for AWS Lambda (TypeScript): data is of DynamoDB's own types, an object a map and so on, and
	// an ID ends with the hash of compact JSON in base64.
	TypeScript
)

// The values of the attribute status.
const (
	InProgress = "INPROGRESS"
	Completed  = "COMPLETED"
)
